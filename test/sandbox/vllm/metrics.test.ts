import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import * as catalogue from "../../../src/vllm/metrics";
import { lengthBuckets, numberText } from "../../../sandbox/vllm/metrics";
import { model, readyReplica, type TestReplica } from "./replica";

// Written by vLLM's own code: test/monitoring/metrics-pages.
const recorded = readFileSync(join(__dirname, "../../monitoring/metrics-pages/v0.13.0.txt"), "utf8");

let server: TestReplica | undefined;
afterEach(() => server?.replica.stop());

async function pageOf(flags: string[] = [], env: Record<string, string> = {}): Promise<string> {
    server = await readyReplica(["--max-model-len", "4096", ...flags], { env });
    await server.post("/v1/chat/completions", { model, messages: [{ role: "user", content: "x" }], max_tokens: 3 });
    await server.post("/v1/chat/completions", { model: "other" });
    const answer = await server.get("/metrics");
    expect(answer.headers.get("content-type")).toBe("text/plain; version=1.0.0; charset=utf-8");
    return answer.text();
}

/** `# HELP` and `# TYPE` lines, in order. */
const heads = (page: string): string[] => page.split("\n").filter((line) => line.startsWith("#"));
/** Name and names of labels of each series, and the bucket of a histogram; each once. */
function series(page: string): Set<string> {
    const shapes = page
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("#"))
        .map((line) => {
            const [, name, labels = ""] = /^([\w:]+)(?:\{(.*)\})? \S+$/.exec(line)!;
            const names = [...labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, value]) =>
                ["le", "finished_reason", "sleep_state", "generation"].includes(label) ? `${label}=${value}` : label,
            );
            return `${name}{${names.join(",")}}`;
        });
    return new Set(shapes);
}
const typeOf = (page: string, name: string): string | undefined =>
    new RegExp(`^# TYPE ${name} (\\w+)$`, "m").exec(page)?.[1];

describe("/metrics", () => {
    it("has every family of v0.13.0 with its help text and type, in vLLM's order", async () => {
        expect(heads(await pageOf())).toEqual(heads(recorded));
    });

    it("has every series of v0.13.0 with its labels and buckets", async () => {
        const ofRecord = series(recorded);
        const ours = series(await pageOf());
        // The fields of the cache configuration and the bucket limits that follow the context's length differ by setting.
        const bySetting = (shape: string): boolean =>
            /^vllm:cache_config_info/.test(shape) || /_tokens_bucket\{.*le=(5|10|20)000/.test(shape);
        expect([...ofRecord].filter((shape) => !ours.has(shape) && !bySetting(shape))).toEqual([]);
        expect([...ours].filter((shape) => !ofRecord.has(shape) && !bySetting(shape))).toEqual([]);
    });

    it("has every metric of the catalogue that v0.13.0 has by itself, as its type and with its buckets", async () => {
        const page = await pageOf();
        const groups = catalogue as Record<string, unknown>;
        const metrics = ["vllmMetrics", "serverMetrics"].flatMap((name) =>
            Object.values(
                (groups[name] ?? {}) as Record<string, catalogue.Metric & { only?: string[]; buckets?: unknown }>,
            ),
        );
        expect(metrics.length).toBeGreaterThanOrEqual(10);
        for (const { name, type, only, buckets } of metrics) {
            if (only && !only.includes("0.13.0")) continue;
            expect([name, typeOf(page, name)]).toEqual([name, type]);
            if (!Array.isArray(buckets)) continue;
            const bounds = [...page.matchAll(new RegExp(`^${name}_bucket\\{.*?le="([^"]+)"`, "gm"))].map(
                ([, le]) => le,
            );
            expect(new Set(bounds)).toEqual(new Set([...(buckets as number[]).map(numberText), "+Inf"]));
        }
    });

    it("counts what was done: tokens, requests by reason and by status", async () => {
        const page = await pageOf();
        expect(page).toContain(`vllm:generation_tokens_total{engine="0",model_name="${model}"} 3.0`);
        expect(page).toContain('http_requests_total{handler="/v1/chat/completions",method="POST",status="2xx"} 1.0');
        expect(page).toContain('http_requests_total{handler="/v1/chat/completions",method="POST",status="4xx"} 1.0');
        expect(page).not.toMatch(/handler="\/metrics"/);
        expect(await server!.metric("vllm:inter_token_latency_seconds_count")).toBe(2);
        expect(await server!.metric("vllm:request_success_total", { finished_reason: "length" })).toBe(1);
        expect(await server!.metric("vllm:request_params_max_tokens_sum")).toBe(3);
        expect(await server!.metric("vllm:iteration_tokens_total_count")).toBe(3);
        expect(Date.now() / 1000 - (await server!.metric("process_start_time_seconds"))!).toBeLessThan(600);
    });

    it("loses vllm:* with --disable-log-stats, *_created by its variable, and shows the hidden one when asked", async () => {
        const without = await pageOf(["--disable-log-stats"]);
        expect(without).not.toContain("vllm:");
        expect(typeOf(without, "http_requests_total")).toBe("counter");
        await server!.replica.stop();
        expect(await pageOf([], { PROMETHEUS_DISABLE_CREATED_SERIES: "true" })).not.toContain("_created");
        await server!.replica.stop();
        const hidden = await pageOf(["--show-hidden-metrics-for-version", "0.12"]);
        expect(typeOf(hidden, "vllm:time_per_output_token_seconds")).toBe("histogram");
    });

    it("names the model as --served-model-name does", async () => {
        server = await readyReplica(["--served-model-name", "short", "long"]);
        expect(await server.metric("vllm:num_requests_running", { model_name: "short" })).toBe(0);
    });
});

describe("format", () => {
    it("writes numbers as Python does", () => {
        const written: [number, string][] = [
            [0, "0.0"],
            [3, "3.0"],
            [0.04271844660194173, "0.04271844660194173"],
            [0.00001, "1e-05"],
            [98304, "98304.0"],
            [999999, "999999.0"],
            [1048576, "1.048576e+06"],
            [1795487651.8067656, "1.7954876518067656e+09"],
            [Infinity, "+Inf"],
        ];
        expect(written.map(([value]) => numberText(value))).toEqual(written.map(([, text]) => text));
    });
    it("has buckets of lengths up to the longest context", () => {
        expect(lengthBuckets(32768).at(-1)).toBe(20000);
        expect(lengthBuckets(262144).slice(-2)).toEqual([100000, 200000]);
    });
});
