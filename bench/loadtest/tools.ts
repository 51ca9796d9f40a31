import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { stringify } from "yaml";
import type { Report } from "../../tools/loadtest/report";

/** The load tools that are compared, each as it is run and as it tells its times. */

export interface Figures {
    mean: number;
    p50: number;
    p95: number;
    p99: number;
}

/** `gaps`: between tokens, all of them; `tpot`: the mean of each answer. In seconds. */
export type Times = Partial<Record<"ttft" | "gaps" | "tpot" | "latency", Figures>>;

export interface Load {
    /** OpenAI base URL. */
    url: string;
    streams: number;
    /** Of each stream. */
    requests: number;
    /** An empty folder for what the tool writes. */
    dir: string;
}

export interface Tool {
    name: string;
    command: (load: Load) => string[];
    /** What it says of its times. */
    times: (output: string, dir: string) => Times;
    /** What it says of itself. */
    note?: (dir: string) => string;
}

const root = resolve(__dirname, "../..");

/** Each tool that is there: ours, and those with a Python environment of their name in the folder `venvs`. */
export function toolsIn(venvs: string | undefined): Tool[] {
    const rivals: Record<string, (venv: string) => Tool> = {
        script,
        guidellm,
        aiperf,
        "inference-perf": inferencePerf,
    };
    const there = Object.keys(rivals).filter((name) => venvs !== undefined && existsSync(join(venvs, name, "bin")));
    return [
        ours("ours, burst", () => 0),
        ours("ours, ramp", (streams) => streams / 100),
        ...there.map((name) => rivals[name](join(venvs!, name))),
    ];
}

function ours(name: string, ramp: (streams: number) => number): Tool {
    const report = (dir: string) => readJson(dir, "report.json") as Report;
    return {
        name,
        command: ({ url, streams, requests, dir }) => [
            ...[process.execPath, "--import", "tsx", join(root, "tools/loadtest/cli.ts"), "--url", url],
            ...["--workers", String(streams), "--requests", String(requests), "--ramp", String(ramp(streams))],
            ...["--json", join(dir, "report.json")],
        ],
        times: (_, dir) => {
            const { ttftSeconds, interTokenSeconds, latencySeconds } = report(dir);
            return { ttft: ttftSeconds!, gaps: interTokenSeconds!, latency: latencySeconds! };
        },
        note: (dir) => (report(dir).valid ? "" : "says that it was the limit"),
    };
}

/** The reference architecture's: it asks for whole answers, so that it knows of no first token. */
function script(venv: string): Tool {
    return {
        name: "Python script with openai",
        command: ({ url, streams, requests }) => [
            join(venv, "bin/python"),
            join(__dirname, "script.py"),
            ...[url, String(streams), String(requests)],
        ],
        times: (output) => JSON.parse(output.trim().split("\n").at(-1)!) as Times,
    };
}

function guidellm(venv: string): Tool {
    return {
        name: "guidellm",
        command: ({ url, streams, requests, dir }) => [
            ...[join(venv, "bin/guidellm"), "run", "--disable-console"],
            ...["--backend", `kind=openai_http,target=${origin(url)}`],
            ...["--profile", `kind=concurrent,streams=${streams}`],
            ...["--constraint", `kind=max_requests,count=${streams * requests}`],
            // It asks each once.
            ...["--data", `kind=json_file,path=${promptsIn(dir, "prompt", streams * requests)}`],
            ...["--output", `kind=json,path=${join(dir, "guidellm.json")}`],
        ],
        times: (_, dir) => {
            const [{ metrics }] = (readJson(dir, "guidellm.json") as Json).benchmarks;
            const of = (name: string, unit: number): Figures => {
                const { mean, percentiles } = metrics[name].successful;
                const [p50, p95, p99] = ["p50", "p95", "p99"].map((key) => percentiles[key] / unit);
                return { mean: mean / unit, p50, p95, p99 };
            };
            return {
                ttft: of("time_to_first_token_ms", 1000),
                tpot: of("inter_token_latency_ms", 1000),
                latency: of("request_latency", 1),
            };
        },
    };
}

function aiperf(venv: string): Tool {
    return {
        name: "aiperf",
        command: ({ url, streams, requests, dir }) => [
            ...[join(venv, "bin/aiperf"), "profile", "-m", "mock", "--endpoint-type", "chat", "--streaming"],
            ...["-u", origin(url), "--concurrency", String(streams), "--request-count", String(streams * requests)],
            ...["--input-file", promptsIn(dir, "text", 2), "--custom-dataset-type", "single_turn"],
            ...["--use-server-token-count", "--tokenizer", tokenizerIn(dir), "--ui", "none"],
            ...["--no-gpu-telemetry", "--no-server-metrics", "--output-artifact-dir", dir],
        ],
        times: (_, dir) => {
            const all = readJson(dir, "profile_export_aiperf.json") as Json;
            const of = (name: string): Figures => {
                const [mean, p50, p95, p99] = ["avg", "p50", "p95", "p99"].map((key) => all[name][key] / 1000);
                return { mean, p50, p95, p99 };
            };
            return {
                ttft: of("time_to_first_token"),
                gaps: of("inter_chunk_latency"),
                latency: of("request_latency"),
            };
        },
    };
}

function inferencePerf(venv: string): Tool {
    return {
        name: "inference-perf",
        command: ({ url, streams, requests, dir }) => {
            const config = {
                api: { type: "chat", streaming: true },
                data: { type: "mock" },
                load: {
                    type: "concurrent",
                    // By default a worker has 100 requests under way at most.
                    worker_max_concurrency: streams,
                    stages: [{ num_requests: streams * requests, concurrency_level: streams }],
                },
                server: { type: "vllm", model_name: "mock", base_url: origin(url), ignore_eos: false },
                tokenizer: { pretrained_model_name_or_path: tokenizerIn(dir) },
                storage: { local_storage: { path: join(dir, "reports") } },
            };
            writeFileSync(join(dir, "config.yaml"), stringify(config));
            return [join(venv, "bin/inference-perf"), "-c", join(dir, "config.yaml")];
        },
        times: (_, dir) => {
            const { latency } = (readJson(dir, "reports/summary_lifecycle_metrics.json") as Json).successes;
            const of = (name: string): Figures => {
                const { mean, median, p95, p99 } = latency[name];
                return { mean, p50: median, p95, p99 };
            };
            return {
                ttft: of("time_to_first_token"),
                gaps: of("inter_token_latency"),
                latency: of("request_latency"),
            };
        },
    };
}

/** The shape of other tools' files. */
type Json = any;

function readJson(dir: string, file: string): unknown {
    return JSON.parse(readFileSync(join(dir, file), "utf8"));
}

function origin(url: string): string {
    return new URL(url).origin;
}

/** A file of so many short prompts, each under the key that the tool wants. */
function promptsIn(dir: string, key: string, count: number): string {
    const prompts = ["Name five rivers of Europe.", "What is a replica, in one sentence?"];
    const lines = Array.from({ length: count }, (_, i) => JSON.stringify({ [key]: prompts[i % 2] }) + "\n");
    writeFileSync(join(dir, "prompts.jsonl"), lines.join(""));
    return join(dir, "prompts.jsonl");
}

/** A tokenizer for tools that do not start without one, and would get it from the Internet: one word, one token. */
function tokenizerIn(dir: string): string {
    const folder = join(dir, "tokenizer");
    mkdirSync(folder);
    const model = { type: "WordLevel", vocab: { "[UNK]": 0, word: 1 }, unk_token: "[UNK]" };
    const rest = { version: "1.0", truncation: null, padding: null, added_tokens: [] };
    const steps = { normalizer: null, pre_tokenizer: { type: "Whitespace" }, post_processor: null, decoder: null };
    writeFileSync(join(folder, "tokenizer.json"), JSON.stringify({ ...rest, ...steps, model }));
    const config = { tokenizer_class: "PreTrainedTokenizerFast", unk_token: "[UNK]" };
    writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(config));
    return folder;
}
