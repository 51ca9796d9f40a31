// How much CPU and memory load tools take, and how wrong their times are, against a server that knows the true ones.
// `npm run bench -- loadtest [STREAMS,...] [VENVS] [TIMES]`: VENVS is a folder of Python 3.12 environments, script/ (with
// openai), guidellm/, aiperf/ and inference-perf/; those that are there are measured too. Prints medians of TIMES runs (1).
import { fork, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { toolsIn, type Figures, type Times, type Tool } from "./loadtest/tools";

const root = resolve(__dirname, "..");
const streamCounts = (process.argv[2] ?? "50,500,2000").split(",").map(Number);
const tools = toolsIn(process.argv[3]);
const times = Number(process.argv[4] ?? 1);
const requestsAt = (streams: number): number => Math.max(3, Math.round(1000 / streams));
/** Longer where streams are many: the server has one core at most, and is to send no more than 10,000 tokens a second. */
const betweenTokensMs = (streams: number): number => Math.max(50, streams / 10);

type Truth = Required<Times> & { rate: number; count: number };

/** One run of a tool, or the medians of several. Errors are what it says less what the server recorded, in ms. */
interface Result {
    cpu: number;
    mb: number;
    rate: number;
    errors: Partial<Record<keyof Times, number[]>>;
    notes: string[];
}

async function main(): Promise<void> {
    const dir = mkdtempSync(join(tmpdir(), "bench-loadtest-"));
    const head = [
        "tool, streams",
        "CPU s per 1,000",
        "peak MB",
        "requests/s",
        "first token",
        "between tokens",
        "latency",
    ];
    try {
        console.log(`errors in ms at mean/p50/p95/p99; medians of ${times}; load average ${loadavg()[0].toFixed(1)}\n`);
        console.log(row([...head, "true first token p50, s", "notes"]));
        console.log(row(Array.from({ length: head.length + 2 }, () => "---")));
        for (const streams of streamCounts) {
            for (const tool of tools) console.log(await compare(tool, streams, dir));
        }
        console.log(`\nload average at the end ${loadavg()[0].toFixed(1)}`);
    } finally {
        rmSync(dir, { recursive: true });
    }
}

/** A row of the table. */
async function compare(tool: Tool, streams: number, dir: string): Promise<string> {
    const results: Result[] = [];
    const truths: number[] = [];
    for (let i = 0; i < times; i++) {
        const own = join(dir, `${tool.name}-${streams}-${i}`.replace(/\W+/g, "-"));
        mkdirSync(own);
        const server = fork(join(__dirname, "loadtest/server.ts"), ["0", "40", String(betweenTokensMs(streams))], {
            execArgv: ["--import", "tsx"],
        });
        const port = await new Promise<number>((done) => server.once("message", done));
        try {
            const { result, truth } = await measure(tool, streams, port, own);
            results.push(result);
            truths.push(truth.ttft.p50);
        } catch (error) {
            results.push({ cpu: NaN, mb: NaN, rate: NaN, errors: {}, notes: [(error as Error).message] });
        } finally {
            server.kill();
        }
    }
    const { cpu, mb, rate, errors, notes } = medians(results);
    const error = (key: keyof Times): string | undefined => errors[key]?.map(signed).join("/");
    return row([
        `${tool.name}, ${streams}`,
        cpu.toFixed(1),
        mb.toFixed(0),
        rate.toFixed(0),
        error("ttft") ?? "-",
        error("gaps") ?? (errors.tpot ? `${error("tpot")} (of answers' means)` : "-"),
        error("latency") ?? "-",
        median(truths).toFixed(3),
        [...new Set(notes)].join("; "),
    ]);
}

async function measure(
    tool: Tool,
    streams: number,
    port: number,
    dir: string,
): Promise<{ result: Result; truth: Truth }> {
    const requests = requestsAt(streams);
    const command = tool.command({ url: `http://127.0.0.1:${port}/v1`, streams, requests, dir });
    const usageFile = join(dir, "usage.json");
    const { output, errors } = await run(["python3", join(__dirname, "loadtest/measured.py"), usageFile, ...command]);
    const { cpu, mb } = JSON.parse(readFileSync(usageFile, "utf8")) as { cpu: number; mb: number };
    const truth = (await (await fetch(`http://127.0.0.1:${port}/truth`)).json()) as Truth;
    let said: Times;
    try {
        said = tool.times(output, dir);
    } catch {
        throw new Error(`no result: ${errors.trim().split("\n").at(-1)}`);
    }
    const wrong = (Object.keys(said) as (keyof Times)[]).map((key) => [key, difference(said[key]!, truth[key])]);
    const note = tool.note?.(dir);
    const short = truth.count < streams * requests;
    return {
        result: {
            cpu: cpu / ((streams * requests) / 1000),
            mb,
            rate: truth.rate,
            errors: Object.fromEntries(wrong),
            notes: [...(note ? [note] : []), ...(short ? [`${truth.count} of ${streams * requests} requests`] : [])],
        },
        truth,
    };
}

function difference(said: Figures, truth: Figures): number[] {
    return (["mean", "p50", "p95", "p99"] as const).map((at) => 1000 * (said[at] - truth[at]));
}

function medians(results: Result[]): Result {
    const of = (value: (result: Result) => number): number => median(results.map(value).filter((one) => !isNaN(one)));
    const errors = Object.fromEntries(
        (["ttft", "gaps", "tpot", "latency"] as const).flatMap((key) => {
            const all = results.flatMap(({ errors }) => (errors[key] ? [errors[key]] : []));
            return all.length === 0 ? [] : [[key, all[0].map((_, i) => median(all.map((one) => one[i])))]];
        }),
    );
    return {
        cpu: of(({ cpu }) => cpu),
        mb: of(({ mb }) => mb),
        rate: of(({ rate }) => rate),
        errors,
        notes: results.flatMap(({ notes }) => notes),
    };
}

function median(values: number[]): number {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted.length === 0 ? NaN : sorted[Math.floor(sorted.length / 2)];
}

function signed(ms: number): string {
    const text = Math.abs(ms) < 1 ? ms.toFixed(1) : ms.toFixed(0);
    return ms > 0 ? `+${text}` : text;
}

function row(cells: string[]): string {
    return `| ${cells.join(" | ")} |`;
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
