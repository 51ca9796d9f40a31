// What a large sandbox takes of this machine: 50 apps with 10 replicas each that do nothing, then 2,000 streams on one app.
// `npm run bench -- sandbox [apps] [replicas] [streams]`
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { kvBlocks, ministral14bOnH100 } from "../sandbox/vllm/profiles";
import { simulate } from "../sandbox/vllm/virtual-time";
import { startBenchCloud, type Usage } from "./cloud/start";

const apps = Number(process.argv[2] ?? 50);
const replicas = Number(process.argv[3] ?? 10);
const streams = Number(process.argv[4] ?? 2000);
const tokensEach = 500;
const speed = 60;

const mib = (bytes: number): string => `${Math.round(bytes / 1024 ** 2)} MiB`;

/** CPU between two looks, as a share of one core. */
function share(before: Usage, after: Usage, seconds: number): string {
    return `${((100 * (after.cpuSeconds - before.cpuSeconds)) / seconds).toFixed(0)} % of a core`;
}

async function idle(): Promise<void> {
    const one = await startBenchCloud({ apps: 1, replicas: 1, speed });
    const single = await one.usage();
    await one.close();
    const cloud = await startBenchCloud({ apps, replicas, speed });
    const before = await cloud.usage();
    const seconds = 20;
    await sleep(seconds * 1000);
    const after = await cloud.usage();
    const asked = performance.now();
    const status = await (await fetch(`${cloud.answer.controls}/status`)).text();
    const took = performance.now() - asked;
    await cloud.close();
    const count = apps * replicas;
    console.log(`idle: ${apps} apps x ${replicas} replicas, at ${speed} times real time`);
    console.log(`  up after ${cloud.answer.startSeconds.toFixed(1)} s, ${before.cpuSeconds.toFixed(1)} s of CPU`);
    console.log(
        `  memory ${mib(after.rss)}, of which ${((after.rss - single.rss) / (count - 1) / 1024).toFixed(0)} KiB for each replica`,
    );
    console.log(
        `  CPU ${share(before, after, seconds)}; GET /sandbox/status ${took.toFixed(0)} ms, ${Math.round(status.length / 1024)} KiB`,
    );
}

interface Stream {
    tokens: number;
    chunks: number;
    firstMs: number;
    ok: boolean;
}

function stream(url: string, token: string, agent: Agent): Promise<Stream> {
    const begin = performance.now();
    const body = { prompt: "a".repeat(400), max_tokens: tokensEach, ignore_eos: true, stream: true };
    const options = { include_usage: true };
    return new Promise((resolve) => {
        const seen: Stream = { tokens: 0, chunks: 0, firstMs: NaN, ok: false };
        const call = request(
            `${url}/v1/completions`,
            {
                method: "POST",
                agent,
                headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
            },
            (answer) => {
                let tail = "";
                answer.setEncoding("utf8").on("data", (part: string) => {
                    if (Number.isNaN(seen.firstMs)) seen.firstMs = performance.now() - begin;
                    seen.chunks += part.split("data: ").length - 1;
                    tail = (tail + part).slice(-600);
                });
                answer.on("close", () => {
                    seen.tokens = Number(/"completion_tokens":(\d+)/.exec(tail)?.[1] ?? 0);
                    seen.ok = answer.statusCode === 200 && tail.endsWith("data: [DONE]\n\n");
                    resolve(seen);
                });
            },
        );
        call.on("error", () => resolve(seen));
        call.end(JSON.stringify({ ...body, stream_options: options }));
    });
}

/** Seconds that the engine's model says the same streams take. */
function inVirtualTime(maxNumSeqs: number): number {
    const { defaults, step } = ministral14bOnH100;
    const numBlocks = kvBlocks(ministral14bOnH100, 1, 0.9, 16);
    const config = { ...defaults, maxNumSeqs, prefixCaching: true, blockSize: 16, numBlocks, step };
    const promptBlocks = ["a", "b", "c", "d", "e", "f"]; // all ask the same
    const one = { promptTokens: 100, promptBlocks, naturalTokens: Infinity, maxTokens: tokensEach, arrival: 0 };
    return simulate(
        config,
        Array.from({ length: streams }, (_, n) => ({ ...one, id: String(n) })),
    ).end;
}

async function busy(ofApp: number, flags: string[], what: string): Promise<void> {
    const cloud = await startBenchCloud({ apps: 1, replicas: ofApp, speed, flags });
    const { answer } = cloud;
    const agent = new Agent({ keepAlive: true, maxSockets: Infinity, ca: readFileSync(answer.caFile) });
    // The handshakes of so many connections are not what is measured.
    await Promise.all(Array.from({ length: 8 }, () => stream(answer.urls[0], answer.token, agent)));
    const before = await cloud.usage();
    const ownBefore = process.cpuUsage();
    const begin = performance.now();
    let open = 0;
    let mostOpen = 0;
    const results = await Promise.all(
        Array.from({ length: streams }, async () => {
            mostOpen = Math.max(mostOpen, ++open);
            const result = await stream(answer.urls[0], answer.token, agent);
            open--;
            return result;
        }),
    );
    const seconds = (performance.now() - begin) / 1000;
    const after = await cloud.usage();
    const own = process.cpuUsage(ownBefore);
    agent.destroy();
    await cloud.close();
    const tokens = results.reduce((sum, one) => sum + one.tokens, 0);
    const chunks = results.reduce((sum, one) => sum + one.chunks, 0);
    const failed = results.filter(({ ok }) => !ok).length;
    console.log(`busy: ${what}; ${streams} streams of ${tokensEach} tokens at once on one app`);
    console.log(`  at most ${mostOpen} open, ${failed} failed, all done after ${seconds.toFixed(1)} s`);
    console.log(
        `  ${Math.round(tokens / seconds)} tokens/s in ${Math.round(chunks / seconds)} chunks/s (${(tokens / chunks).toFixed(1)} tokens a chunk)`,
    );
    if (ofApp === 1) {
        const ideal = inVirtualTime(flags.length > 0 ? Number(flags[1]) : ministral14bOnH100.defaults.maxNumSeqs);
        console.log(`  ${(seconds / ideal).toFixed(2)} times as long as in virtual time (${ideal.toFixed(1)} s)`);
    }
    console.log(
        `  sandbox: CPU ${share(before, after, seconds)}, memory ${mib(after.rss)}; ` +
            `this client: CPU ${((own.user + own.system) / 1e4 / seconds).toFixed(0)} % of a core`,
    );
}

async function main(): Promise<void> {
    await idle();
    await busy(1, [], "1 replica, 1,024 sequences at once, the rest waits");
    await busy(3, [], "3 replicas");
    await busy(1, ["--max-num-seqs", "2048"], "1 replica, as many at once as its KV cache holds");
}

main().then(
    () => process.exit(0),
    (error: unknown) => {
        console.error(error);
        process.exit(1);
    },
);
