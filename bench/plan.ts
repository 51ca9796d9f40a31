// How fast the planner simulates, beside BLIS (inference-sim/inference-sim) on the same trace, and how its built-in figures
// compare with a published benchmark. `npm run bench -- plan [--trace FILE] [--blis PROGRAM --blis-folder CHECKOUT]`
// `--memory DAYS` only runs so many days and prints the most memory that they took, in bytes.
// Of CPU time, not of time on the wall: other work on the machine does not count.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Batch } from "../plan/batch";
import { simulateFleet } from "../plan/fleet";
import { worldOf, type Problem } from "../plan/problem";
import { inColumns, replay, shaped, weekOf, type Traffic } from "../plan/traffic";
import { kvBlocks, ministral14bOnH100 as profile } from "../sandbox/vllm/profiles";
import { readTrace, type TraceRequest } from "../tools/loadtest/trace";
import { logNormal, seededRandom } from "../tools/random";
import { cpuOf, replayWithBlis } from "./blis/replay";

const targets = { timeToFirstToken: 1, interTokenLatency: 0.05 };

/** A fixed number of replicas of the built-in profile, with the limits that BLIS is given, too. */
function simulateOurs(traffic: Traffic, replicas: number) {
    const problem = {
        ...{ profile, gpus: 1, gpuMemoryUtilization: 0.9, prefixCaching: false, boot: { median: 0, spread: 0 } },
        ...{ noGpu: { chance: 0, retry: 60 }, drainSeconds: Infinity, asleep: "refused" },
    } as Problem;
    const world = worldOf(problem, { every: traffic.seconds, replicas: [replicas] });
    return simulateFleet(world, traffic, targets, 1);
}

function cpuSeconds<Result>(work: () => Result): [seconds: number, Result] {
    const before = process.cpuUsage();
    const result = work();
    const { user, system } = process.cpuUsage(before);
    return [(user + system) / 1e6, result];
}

function tell(what: string, requests: number, seconds: number): void {
    const rate = Math.round(requests / seconds).toLocaleString("en");
    console.log(
        `${what}: ${requests.toLocaleString("en")} requests in ${seconds.toFixed(2)} s of CPU, ${rate} a second`,
    );
}

/** The run of a trace with one instance of a model of the same size on an H100. */
function cpuOfBlis(program: string, checkout: string, trace: TraceRequest[]): number {
    const requests = trace.map(({ t, inputTokens, outputTokens }) => ({
        at: t,
        promptTokens: inputTokens,
        answerTokens: outputTokens,
    }));
    const { maxNumSeqs, maxNumBatchedTokens } = profile.defaults;
    const limits = {
        ...{ model: "qwen/qwen3-14b", hardware: "H100", tp: 1 },
        ...{ "max-num-seqs": maxNumSeqs, "max-num-batched-tokens": maxNumBatchedTokens },
        "total-kv-blocks": kvBlocks(profile, 1, 0.9, 16),
    };
    return replayWithBlis(
        { program, checkout },
        requests,
        () => limits,
        () => undefined,
    ).cpuSeconds;
}

/**
 * Llama 3.1 8B in 16 bit reads as many bytes of weights for a step as Ministral 3 14B in 8 bit, so their steps should take
 * alike. Published: 5,000 prompts of ShareGPT at once, at most 256 together, vLLM 0.6.0 with ten scheduler steps
 * (LambdaLabsML/vllm-benchmark, benchmark_v0.md; its table names neither precision nor GPU). Mean lengths are those of 1,000 such requests in vllm-project/vllm #17788.
 */
const published = { prompts: 5000, maxNumSeqs: 256, input: 217, output: 200, tokensPerSecond: 8088, tpotMs: 25.6 };

function comparePublished(): void {
    const { prompts, maxNumSeqs, input, output } = published;
    const random = seededRandom(1);
    const length = (mean: number): number => Math.min(1024, Math.max(4, Math.round(mean * logNormal(random, 1))));
    const tpot: number[] = [];
    let [end, tokens] = [0, 0];
    const numBlocks = kvBlocks(profile, 1, 0.9, 16);
    const config = { ...profile.defaults, maxNumSeqs, prefixCaching: false, blockSize: 16, numBlocks };
    const batch = new Batch(
        { ...config, step: { ...profile.step, spread: 0 } },
        (_request, _at, first, last, count) => {
            end = Math.max(end, last);
            tokens += count;
            if (count > 1) tpot.push((1000 * (last - first)) / (count - 1));
        },
    );
    for (let i = 0; i < prompts; i++) batch.add(0, i, length(input), length(output));
    batch.advance(Infinity);
    const median = tpot.sort((a, b) => a - b)[Math.floor(tpot.length / 2)];
    const rate = tokens / end;
    const ratio = (ours: number, theirs: number): string => (ours / theirs).toFixed(2);
    console.log(
        "the built-in profile of an H100 beside a published benchmark of a model with as many bytes of weights:",
    );
    console.log(
        `  ${Math.round(rate)} tokens/s, published ${published.tokensPerSecond}: ${ratio(rate, published.tokensPerSecond)}; ` +
            `median time per token ${median.toFixed(1)} ms, published ${published.tpotMs}: ${ratio(median, published.tpotMs)}`,
    );
}

/** A whole answer of `npm run plan`: search, alternatives, yardsticks, assumptions, seeds. */
function timeSearch(): void {
    const folder = mkdtempSync(join(tmpdir(), "plan-"));
    try {
        const json = join(folder, "plan.json");
        const traffic = [
            "--peak",
            "6/s",
            "--shape",
            "office",
            "--prompt",
            "3000",
            "--output",
            "500",
            "--prefix",
            "0.3",
        ];
        const command = [process.execPath, "--import", "tsx", "plan/cli.ts", ...traffic, "--price", "3"];
        const seconds = cpuOf([...command, "--json-file", json], join(__dirname, ".."));
        const { run, runs } = JSON.parse(readFileSync(json, "utf8")) as { run: number; runs: number };
        console.log(
            `a day in office hours, ${run} settings searched, ${runs} runs in all, in ${seconds.toFixed(0)} s of CPU: ` +
                `${((100 * seconds) / runs).toFixed(0)} s for 100 of them`,
        );
    } finally {
        rmSync(folder, { recursive: true });
    }
}

/** The most memory of a process that simulates so many days, of a shape and of a repeated trace. */
function compareMemory(trace: string | undefined): void {
    for (const [what, options] of [
        ["a shape", []] as const,
        ...(trace ? [["a trace", ["--trace", trace]] as const] : []),
    ]) {
        const mebibytes = [1, 7].map((days) => {
            const command = ["--import", "tsx", __filename, "--memory", String(days), ...options];
            const { stdout, status, stderr } = spawnSync(process.execPath, command, { encoding: "utf8" });
            if (status !== 0) throw new Error(stderr);
            return Math.round(Number(stdout) / 2 ** 20);
        });
        console.log(`  memory of ${what} for 1 day at most ${mebibytes[0]} MiB, for 7 days ${mebibytes[1]} MiB`);
    }
}

function printMemory(days: number, trace: string | undefined): void {
    const seconds = 86_400 * days;
    const lengths = { promptTokens: 900, answerTokens: 250 };
    simulateOurs(
        trace === undefined
            ? shaped({ ...{ name: "days", peak: 5, week: weekOf("flat"), seconds }, ...lengths })
            : replay(inColumns(trace, readTrace(trace)), { seconds }),
        2,
    );
    console.log(process.resourceUsage().maxRSS * 1024);
}

function main(): void {
    const text = { type: "string" } as const;
    const { values } = parseArgs({ options: { trace: text, blis: text, "blis-folder": text, memory: text } });
    if (values.memory !== undefined) {
        printMemory(Number(values.memory), values.trace);
        return;
    }
    const day = shaped({
        ...{ name: "a day", peak: 20, week: weekOf("flat"), promptTokens: 900, answerTokens: 250 },
    });
    const [seconds, { requests }] = cpuSeconds(() => simulateOurs(day, 3));
    tell("a day at 20 a second on 3 replicas", requests, seconds);
    compareMemory(values.trace);
    timeSearch();
    comparePublished();
    if (values.trace === undefined) return;
    const [ours, count] = cpuSeconds(() => {
        const trace = readTrace(values.trace!);
        simulateOurs(replay(inColumns(values.trace!, trace)), 1);
        return trace.length;
    });
    tell("the trace on one replica, its reading included", count, ours);
    if (values.blis === undefined) return;
    const theirs = cpuOfBlis(values.blis, values["blis-folder"] ?? ".", readTrace(values.trace));
    tell("the same with BLIS", count, theirs);
    console.log(`  ${(theirs / ours).toFixed(1)} times as much CPU as ours`);
}

main();
