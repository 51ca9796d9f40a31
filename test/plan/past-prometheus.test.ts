import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { readPast, ofPast } from "../../plan/past";
import { startChild, type Child } from "../../sandbox/prometheus/child";
import { ensureToolchain } from "../../sandbox/toolchain/toolchain";
import { Prometheus } from "../../tools/prometheus";
import { ask } from "../../tools/http";

// What a real Prometheus answers to the questions of `npm run plan -- --live`, of a past that is known.
const folder = mkdtempSync(join(tmpdir(), "past-"));
const hour = 3600;
const hours = 24;
/** Ends just now: what is older than the retention would be deleted. */
const end = Math.floor(Date.now() / 1000 / 300) * 300;
const begin = end - hours * hour;

/** Requests a second of two replicas: one is there all the time and starts anew in the middle, the other comes for six hours. */
const replicas = [
    { name: "a", from: 0, to: hours, restarts: 12, rate: (at: number) => (at < 12 ? 0.5 : 2) },
    { name: "b", from: 14, to: 20, restarts: Infinity, rate: () => 1 },
];

/** Of each request: a prompt of 150 or 900 tokens, as often; an answer of 80; a quarter of the prompt found. */
const perRequest: [series: string, labels: string, amount: number][] = [
    ["request_success_total", ',finished_reason="stop"', 0.75],
    ["request_success_total", ',finished_reason="length"', 0.25],
    ["request_prompt_tokens_bucket", ',le="100.0"', 0],
    ["request_prompt_tokens_bucket", ',le="200.0"', 0.5],
    ["request_prompt_tokens_bucket", ',le="1000.0"', 1],
    ["request_prompt_tokens_bucket", ',le="+Inf"', 1],
    ["request_prompt_tokens_sum", "", 525],
    ["request_prompt_tokens_count", "", 1],
    ["request_generation_tokens_bucket", ',le="50.0"', 0],
    ["request_generation_tokens_bucket", ',le="100.0"', 1],
    ["request_generation_tokens_bucket", ',le="+Inf"', 1],
    ["request_generation_tokens_sum", "", 80],
    ["request_generation_tokens_count", "", 1],
    ["prefix_cache_queries_total", "", 525],
    ["prefix_cache_hits_total", "", 131.25],
];

const types = [
    ...["request_success", "prefix_cache_queries", "prefix_cache_hits"].map((name) => `# TYPE vllm:${name} counter`),
    ...["request_prompt_tokens", "request_generation_tokens"].map((name) => `# TYPE vllm:${name} histogram`),
];

/** A sample a minute of each series, as promtool reads them; of another model's job there is ten times as much. */
function openMetrics(): string {
    const lines = replicas.flatMap(({ name, from, to, restarts, rate }) =>
        perRequest.flatMap(([series, labels, amount]) => {
            let [count, before] = [0, from];
            const samples: string[] = [];
            for (let minute = 60 * from; minute <= 60 * to; minute++) {
                const at = minute / 60;
                count = before < restarts && at >= restarts ? 0 : count + 60 * rate(before);
                before = at;
                for (const [job, factor] of [
                    ["vllm-chat", 1],
                    ["vllm-other", 10],
                ] as const) {
                    const value = factor * amount * count;
                    samples.push(
                        `vllm:${series}{job="${job}",replica="${name}"${labels}} ${value} ${begin + 60 * minute}`,
                    );
                }
            }
            return samples;
        }),
    );
    return [...types, ...lines, "# EOF", ""].join("\n");
}

let child: Child;
let prometheus: Prometheus;

beforeAll(async () => {
    const { bin } = await ensureToolchain({ log: () => undefined, wanted: ["promtool", "prometheus"] });
    writeFileSync(join(folder, "past.txt"), openMetrics());
    mkdirSync(join(folder, "data"));
    const made = spawnSync(bin.promtool, ["tsdb", "create-blocks-from", "openmetrics", "past.txt", "data"], {
        cwd: folder,
        encoding: "utf8",
    });
    expect(made.status, made.stderr).toBe(0);
    writeFileSync(join(folder, "prometheus.yaml"), "{}\n");
    const logFile = join(folder, "prometheus.log");
    const storage = `--storage.tsdb.path=${folder}/data`;
    const args = [`--config.file=${folder}/prometheus.yaml`, storage, "--web.listen-address=127.0.0.1:0"];
    child = await startChild({ program: bin.prometheus, args, logFile });
    const address = await vi.waitFor(() => {
        const found = /msg="Listening on".* address=(\S+)/.exec(readFileSync(logFile, "utf8"));
        expect(found).not.toBeNull();
        return found![1];
    }, 60_000);
    const get = async (path: string): Promise<unknown> => {
        const { status, body } = await ask(`http://${address}${path}`, { timeoutSeconds: 10 });
        expect(status, body).toBe(200);
        return JSON.parse(body);
    };
    await vi.waitFor(async () => {
        const { status } = await ask(`http://${address}/-/ready`);
        expect(status).toBe(200);
    }, 60_000);
    prometheus = new Prometheus({ where: "a test", get });
}, 120_000);
afterAll(async () => {
    await child?.stop();
    rmSync(folder, { recursive: true, force: true });
});

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

it("the arrivals, lengths and prefixes of a past, through a restart and a second replica", async () => {
    const past = await readPast(prometheus, "vllm-chat", 1, end * 1000);
    const rates = (from: number, to: number): number[] => past.rates.slice((from * hour) / 300, (to * hour) / 300);
    expect(past.rates).toHaveLength((hours * hour) / 300);
    // Ends of the ranges are left out: there a series begins, ends or starts anew.
    expect(mean(rates(1, 11))).toBeCloseTo(0.5, 2);
    expect(mean(rates(15, 19))).toBeCloseTo(3, 2);
    expect(mean(rates(21, 23))).toBeCloseTo(2, 2);
    expect(past.promptTokens.mean).toBeCloseTo(525, 0);
    expect(past.answerTokens.mean).toBeCloseTo(80, 1);
    expect(past.prefix).toBeCloseTo(0.25, 3);
    const [, short, long] = past.promptTokens.buckets;
    expect([short.upTo, long.upTo]).toEqual([200, 1000]);
    expect(short.count / long.count).toBeCloseTo(1, 3);
    // And again, as requests.
    const requests = Array.from(ofPast(past).requests(1), ({ promptTokens }) => promptTokens);
    expect(requests.length / past.rates.reduce((sum, rate) => sum + 300 * rate, 0)).toBeCloseTo(1, 1);
    expect(mean(requests) / 525).toBeCloseTo(1, 1);
});

it("of a job without requests there is none", async () => {
    await expect(readPast(prometheus, "vllm-nobody", 1, end * 1000)).rejects.toThrow(
        "no answered request of job vllm-nobody",
    );
});
