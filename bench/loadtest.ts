// How much CPU and memory load tools take, and how wrong their times are, against a server that knows the true ones.
// `npm run bench -- loadtest [STREAMS,...] [VENVS]`: VENVS is a folder of Python environments, script/ (with openai) and
// guidellm/; those that are there are measured too.
import { fork, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Report } from "../tools/loadtest/report";

interface Figures {
    mean: number;
    p50: number;
    p95: number;
    p99: number;
}
type Times = Partial<Record<"ttft" | "gaps" | "latency", Figures>>;

interface Tool {
    name: string;
    command: (run: { url: string; streams: number; requests: number; dir: string }) => string[];
    /** What it says of its times, in seconds. */
    times: (output: string, dir: string) => Times;
    /** What it says of itself. */
    note?: (dir: string) => string;
}

const root = resolve(__dirname, "..");
const streamCounts = (process.argv[2] ?? "50,500,2000").split(",").map(Number);
const venvs = process.argv[3];
const requestsAt = (streams: number): number => Math.max(3, Math.round(1000 / streams));

function ours(name: string, ramp: (streams: number) => number): Tool {
    const report = (dir: string) => JSON.parse(readFileSync(join(dir, "report.json"), "utf8")) as Report;
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
        note: (dir) => {
            const { client, valid } = report(dir);
            const { p50, p99 } = client.firstTokenDelayMs;
            return `${valid ? "valid" : "says it was the limit"}: up to ${p50.toFixed(0)} ms late at p50, ${p99.toFixed(0)} at p99`;
        },
    };
}

const guidellm: Tool = {
    name: "guidellm",
    command: ({ url, streams, requests, dir }) => [
        ...[join(venvs, "guidellm/bin/guidellm"), "run", "--disable-console"],
        ...["--backend", `kind=openai_http,target=${url.replace(/\/v1$/, "")}`],
        ...["--profile", `kind=concurrent,streams=${streams}`],
        ...["--constraint", `kind=max_requests,count=${streams * requests}`],
        ...["--data", `kind=json_file,path=${join(__dirname, "loadtest/prompts.jsonl")}`],
        ...["--output", `kind=json,path=${join(dir, "guidellm.json")}`],
    ],
    times: (_, dir) => {
        const { benchmarks } = JSON.parse(readFileSync(join(dir, "guidellm.json"), "utf8"));
        const { metrics } = benchmarks[0];
        const of = (name: string, unit: number): Figures => {
            const { mean, percentiles } = metrics[name].successful;
            const [p50, p95, p99] = ["p50", "p95", "p99"].map((key) => percentiles[key] / unit);
            return { mean: mean / unit, p50, p95, p99 };
        };
        return {
            ttft: of("time_to_first_token_ms", 1000),
            gaps: of("inter_token_latency_ms", 1000),
            latency: of("request_latency", 1),
        };
    },
};

const script: Tool = {
    name: "script with openai",
    command: ({ url, streams, requests }) => [
        join(venvs, "script/bin/python"),
        join(__dirname, "loadtest/script.py"),
        ...[url, String(streams), String(requests)],
    ],
    times: (output) => JSON.parse(output.trim().split("\n").at(-1)!) as Times,
};

const tools = [
    ours("ours, burst", () => 0),
    ours("ours, ramp", (streams) => streams / 100),
    ...(venvs && existsSync(join(venvs, "script")) ? [script] : []),
    ...(venvs && existsSync(join(venvs, "guidellm")) ? [guidellm] : []),
];

async function main(): Promise<void> {
    const server = fork(join(__dirname, "loadtest/server.ts"), { execArgv: ["--import", "tsx"] });
    const port = await new Promise<number>((done) => server.once("message", done));
    const dir = mkdtempSync(join(tmpdir(), "bench-loadtest-"));
    try {
        console.log("errors in ms: what the tool says less what the server recorded; mean/p50/p95/p99");
        for (const streams of streamCounts) {
            for (const tool of tools) console.log(await measure(tool, streams, port, dir));
        }
    } finally {
        server.kill();
        rmSync(dir, { recursive: true });
    }
}

async function measure(tool: Tool, streams: number, port: number, dir: string): Promise<string> {
    const truth = async () => (await (await fetch(`http://127.0.0.1:${port}/truth`)).json()) as Required<Times>;
    await truth(); // what came before is not counted
    const requests = requestsAt(streams);
    const own = join(dir, `${streams}-${readdirSync(dir).length}`);
    mkdirSync(own);
    const command = tool.command({ url: `http://127.0.0.1:${port}/v1`, streams, requests, dir: own });
    const usageFile = join(own, "usage.json");
    const began = performance.now();
    const { output, errors } = await run(["python3", join(__dirname, "loadtest/measured.py"), usageFile, ...command]);
    const seconds = (performance.now() - began) / 1000;
    const { cpu, mb } = JSON.parse(readFileSync(usageFile, "utf8")) as { cpu: number; mb: number };
    const true_ = await truth();
    let times: Times;
    try {
        times = tool.times(output, own);
    } catch {
        return `${tool.name}, ${streams}: no result: ${errors.trim().split("\n").at(-1)}`;
    }
    const error = (key: keyof Times): string => {
        const said = times[key];
        if (!said) return "-";
        return (["mean", "p50", "p95", "p99"] as const)
            .map((at) => signed(1000 * (said[at] - true_[key][at])))
            .join("/");
    };
    const thousands = (streams * requests) / 1000;
    return [
        `${tool.name}, ${streams} streams x ${requests}:`,
        `CPU ${(cpu / thousands).toFixed(2)} s per 1,000, ${mb.toFixed(0)} MB, ${seconds.toFixed(1)} s in all;`,
        `TTFT ${error("ttft")}, between tokens ${error("gaps")}, latency ${error("latency")}`,
        `(true TTFT p50 ${(1000 * true_.ttft.p50).toFixed(0)}; load average ${loadavg()[0].toFixed(0)})`,
        tool.note ? tool.note(own) : "",
    ].join(" ");
}

function signed(ms: number): string {
    const text = Math.abs(ms) < 1 ? ms.toFixed(1) : ms.toFixed(0);
    return ms > 0 ? `+${text}` : text;
}

function run([program, ...args]: string[]): Promise<{ output: string; errors: string }> {
    const child = spawn(program, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let errors = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
    return new Promise((done) => child.on("close", () => done({ output, errors })));
}

main().then(
    () => process.exit(0),
    (error: unknown) => {
        console.error(error);
        process.exit(1);
    },
);
