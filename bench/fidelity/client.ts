import { Agent, request } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type { StreamedAnswer } from "../../tools/find-target/calibrate";
import type { PlannedRequest } from "./load";

/** A client that streams and notes when each piece comes, and a reader of `/metrics`: the same for the real server and the simulated one. */

const now = (): number => performance.now() / 1000;

export class Client {
    private readonly agent = new Agent({ keepAlive: true, maxSockets: Infinity });

    constructor(
        private readonly url: string,
        private readonly model: string,
    ) {}

    /** Sends each at its time. Throws for an answer that is not whole. */
    async send(planned: PlannedRequest[]): Promise<StreamedAnswer[]> {
        const begin = now() + 0.1;
        return Promise.all(
            planned.map(async (one) => {
                await sleep(Math.max(0, (begin + one.at - now()) * 1000));
                return this.stream(one);
            }),
        );
    }

    /** Sends one after the other, each when the one before is answered and the server has come to rest. */
    async sendAlone(planned: Omit<PlannedRequest, "at">[]): Promise<StreamedAnswer[]> {
        const answers: StreamedAnswer[] = [];
        for (const one of planned) {
            answers.push(await this.stream(one));
            await sleep(50);
        }
        return answers;
    }

    close(): void {
        this.agent.destroy();
    }

    private async stream({ prompt, maxTokens }: Omit<PlannedRequest, "at">): Promise<StreamedAnswer> {
        const body = JSON.stringify({
            model: this.model,
            prompt,
            max_tokens: maxTokens,
            ignore_eos: true,
            temperature: 0,
            stream: true,
            stream_options: { include_usage: true, continuous_usage_stats: true },
        });
        const chunks: { at: number; data: Buffer }[] = [];
        const sent = now();
        await new Promise<void>((resolve, reject) => {
            const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
            const call = request(
                `${this.url}/v1/completions`,
                { method: "POST", agent: this.agent, headers },
                (answer) => {
                    if (answer.statusCode !== 200) {
                        text(answer).then((said) => reject(new Error(`status ${answer.statusCode}: ${said}`)), reject);
                        return;
                    }
                    answer.on("data", (data: Buffer) => chunks.push({ at: now(), data }));
                    answer.on("end", resolve).on("error", reject);
                },
            );
            call.on("error", reject).end(body);
        });
        // Read afterwards, so that reading one answer does not delay the clock of another.
        const pieces: StreamedAnswer["pieces"] = [];
        let tokens = 0;
        for (const { at, data } of chunks) {
            const counts = [...data.toString("latin1").matchAll(/"completion_tokens":\s*(\d+)/g)];
            const after = Math.max(tokens, ...counts.map(([, count]) => Number(count)));
            if (after > tokens) pieces.push({ at, tokens: after - tokens });
            tokens = after;
        }
        if (tokens !== maxTokens) throw new Error(`an answer of ${maxTokens} tokens had ${tokens}`);
        return { sent, promptTokens: prompt.length, pieces };
    }
}

/** The sum over all label sets of each series of a `/metrics` page. */
export async function readMetrics(url: string): Promise<Map<string, number>> {
    const answer = await fetch(`${url}/metrics`);
    if (!answer.ok) throw new Error(`${url}/metrics: status ${answer.status}`);
    const sums = new Map<string, number>();
    for (const line of (await answer.text()).split("\n")) {
        if (line === "" || line.startsWith("#")) continue;
        const name = line.split(/[{ ]/)[0];
        sums.set(name, (sums.get(name) ?? 0) + Number(line.slice(line.lastIndexOf(" "))));
    }
    return sums;
}
