/**
 * Asks a model for one real completion of one token again and again, through its public address: what a user gets, and so
 * what "up" means. An engine that hangs goes on answering `/health` and `/metrics`, which its server answers without it.
 * A part of the relay, which runs it from the same ConfigMap; nothing but Node.
 */
import * as http from "node:http";
import * as https from "node:https";

/** What the relay is told of it. */
export interface CompletionProbeConfig {
    /** What requests name as their model. */
    model: string;
    /** Seconds between the beginnings of two completions. */
    interval: number;
    /** Seconds after which one has failed. */
    timeout: number;
}

/** How a completion ended. `refused`: 401 or 403, which says nothing of the engine. `error`: any other answer, or none. */
export const completionResults = ["ok", "refused", "timeout", "error"] as const;
export type CompletionResult = (typeof completionResults)[number];

export class CompletionProbe {
    readonly totals: Record<CompletionResult, number> = { ok: 0, refused: 0, timeout: 0, error: 0 };
    /** How the last one ended, and how many seconds it took; undefined before the first has ended. */
    last?: { result: CompletionResult; seconds: number };
    private timer?: NodeJS.Timeout;
    private underWay = 0;
    /** When the last one began, by `performance.now()`. */
    private beganAt?: number;

    /**
     * @param url address of the app as the platform gives it
     * @param readToken called for each completion, so that a rotated token needs no restart
     * @param may whether one may be asked for now, told when the last one began
     */
    constructor(
        private readonly url: string,
        private readonly config: CompletionProbeConfig,
        private readonly readToken: () => string,
        private readonly log: (line: string) => void,
        private readonly may: (since?: number) => boolean = () => true,
    ) {}

    /** The completions that it has asked for itself. */
    get work(): { underWay: number; ended: number } {
        const { totals, underWay } = this;
        return { underWay, ended: Object.values(totals).reduce((sum, count) => sum + count, 0) };
    }

    /** Asks at once, and then again and again until it is stopped. */
    begin(): void {
        void this.look();
        this.timer = setInterval(() => void this.look(), this.config.interval * 1000);
        this.timer.unref();
    }

    stop(): void {
        clearInterval(this.timer);
    }

    /** One completion, if it may be. Never rejects: see `last`. */
    async look(): Promise<void> {
        // One that failed is repeated: whether an engine hangs is not left open for want of other requests.
        const failed = this.last !== undefined && this.last.result !== "ok";
        if (!this.may(failed ? undefined : this.beganAt)) {
            // What it was before says nothing of an app that is not asked any more.
            if (!this.underWay) this.last = undefined;
            return;
        }
        const began = (this.beganAt = performance.now());
        this.underWay++;
        const { result, why } = await this.complete().catch((error: Error) => ({
            result: "error" as const,
            why: error.message, // of a token that cannot be read
        }));
        const before = this.last?.result ?? "ok";
        this.underWay--;
        this.totals[result]++;
        this.last = { result, seconds: (performance.now() - began) / 1000 };
        if (result !== before) this.log(result === "ok" ? "completions come again" : `no completion: ${why}`);
    }

    private complete(): Promise<{ result: CompletionResult; why: string }> {
        const { model, timeout } = this.config;
        const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }], max_tokens: 1 });
        const url = new URL("/v1/chat/completions", this.url);
        const { request } = url.protocol === "https:" ? https : http;
        return new Promise((resolve) => {
            const end = (result: CompletionResult, why: string): void => {
                clearTimeout(timer);
                resolve({ result, why });
                call.destroy();
            };
            const timer = setTimeout(() => end("timeout", `none within ${timeout} s`), timeout * 1000);
            const headers = {
                authorization: `Bearer ${this.readToken()}`,
                "content-type": "application/json",
                "content-length": Buffer.byteLength(body),
                "user-agent": "vllm-relay",
            };
            // A connection of its own: one that is kept would go to the same replica each time.
            const call = request(url, { method: "POST", agent: false, headers }, (answer) => {
                let text = "";
                answer.setEncoding("utf8").on("data", (part: string) => {
                    text += part;
                    if (text.length > 1_000_000) end("error", "an answer of more than a megabyte");
                });
                answer.on("error", (error) => end("error", error.message));
                answer.on("end", () => {
                    const { statusCode: status = 0 } = answer;
                    if (status === 401 || status === 403) return end("refused", `status ${status}`);
                    if (status !== 200) return end("error", `status ${status}`);
                    if (!hasToken(text)) return end("error", "an answer without a token");
                    end("ok", "");
                });
            });
            call.on("error", (error) => end("error", error.message));
            call.end(body);
        });
    }
}

/** Whether it is a completion, of a token at least. */
function hasToken(text: string): boolean {
    try {
        const { usage } = JSON.parse(text) as { usage?: { completion_tokens?: number } };
        return (usage?.completion_tokens ?? 0) >= 1;
    } catch {
        return false;
    }
}
