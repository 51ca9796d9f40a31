// `npm run plan`: how many replicas, which target, what will it cost, will users wait.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { styled } from "../machine/terminal";
import { readProfiles } from "../sandbox/vllm/profile-file";
import { builtInProfiles, type Profile } from "../sandbox/vllm/profiles";
import { defaultModel } from "../src/settings/defaults";
import { plan } from "./plan";
import { openTraffic, type Problem, type TrafficSource } from "./problem";
import { planText } from "./text";
import { shapes } from "./traffic";

const usage = `Usage: npm run plan -- TRAFFIC [OPTIONS]

Traffic
  --trace FILE           a recorded trace: Azure's, BurstGPT's (CSV) or Mooncake's (JSON lines)
  --scale N              so many requests for each of it, default 1
  --days N               repeated for so long, default: once
or
  --peak N               requests a second in the busiest hour
  --shape NAME           ${Object.keys(shapes).join(", ")}; default flat
  --prompt N             mean tokens of a prompt, default 900
  --output N             mean tokens of an answer, default 250
  --prefix SHARE         of the prompt that all begin with, default 0
  --days N               default 1

World
  --model NAME           for the settings that are printed, default ministral
  --gpu NAME             ${builtInProfiles.map(({ gpu }) => gpu).join(", ")}; default H100
  --gpus N               of each replica, default 1
  --profile FILE         measured figures of the engine in place of the built-in ones
  --boot SECONDS         from the decision to the first request of a new replica, default 420
  --no-gpu SHARE         of the tries that find no free GPU, default 0
  --drained              a replica that goes answers what it has (default: it is lost, as with vLLM 0.13.0)
  --max-replicas N       default 10
  --price N              of one replica for an hour, in euros

Targets (default: those of a model in the stack config)
  --first-token SECONDS  --between-tokens SECONDS  --within SHARE  --failed SHARE

  --seed N               default 1
  --json                 the whole answer as JSON, on standard output
  --json-file FILE       the same, into a file

Exit code: 0, 1 (no setting meets the targets), 2 (could not start), 130 (Ctrl-C; the best so far is shown).`;

class UsageError extends Error {}

const options = {
    trace: { type: "string" },
    scale: { type: "string" },
    days: { type: "string" },
    peak: { type: "string" },
    shape: { type: "string" },
    prompt: { type: "string" },
    output: { type: "string" },
    prefix: { type: "string" },
    model: { type: "string" },
    gpu: { type: "string" },
    gpus: { type: "string" },
    profile: { type: "string" },
    boot: { type: "string" },
    "no-gpu": { type: "string" },
    drained: { type: "boolean" },
    "max-replicas": { type: "string" },
    price: { type: "string" },
    "first-token": { type: "string" },
    "between-tokens": { type: "string" },
    within: { type: "string" },
    failed: { type: "string" },
    seed: { type: "string" },
    json: { type: "boolean" },
    "json-file": { type: "string" },
    help: { type: "boolean", short: "h" },
} as const;

type Values = {
    -readonly [K in keyof typeof options]?: (typeof options)[K]["type"] extends "string" ? string : boolean;
};

/** A number of the command line. Throws a UsageError that names the option. */
function number(values: Values, name: keyof Values, fallback: number, from = 0, to = Infinity): number {
    const given = values[name];
    if (given === undefined) return fallback;
    const value = Number(String(given).replace(/\/s$/, ""));
    if (!(value >= from && value <= to)) {
        const range = to === Infinity ? `from ${from} on` : `from ${from} to ${to}`;
        throw new UsageError(`--${name} ${String(given)}: give a number ${range}`);
    }
    return value;
}

function readTraffic(values: Values): TrafficSource {
    const { trace, peak, shape = "flat" } = values;
    if ((trace === undefined) === (peak === undefined)) throw new UsageError("give either --trace FILE or --peak N");
    if (trace !== undefined) {
        const days = values.days === undefined ? undefined : 86_400 * number(values, "days", 1, 0.01, 366);
        const source = { trace, scale: number(values, "scale", 1, 0.001, 1000), seconds: days };
        openTraffic(source);
        return source;
    }
    if (!Object.hasOwn(shapes, shape)) {
        throw new UsageError(`--shape ${shape}: give one of ${Object.keys(shapes).join(", ")}`);
    }
    return {
        shape: {
            peak: number(values, "peak", 1, 0.001, 10_000),
            shape: shape as keyof typeof shapes,
            promptTokens: number(values, "prompt", 900, 1),
            answerTokens: number(values, "output", 250, 1),
            prefix: number(values, "prefix", 0, 0, 1),
            seconds: 86_400 * number(values, "days", 1, 0.01, 366),
        },
    };
}

function readProfile({ profile, gpu = "H100" }: Values): Profile {
    const among = profile === undefined ? builtInProfiles : readProfiles(profile);
    const found = profile === undefined ? among.find((one) => one.gpu === gpu) : among[0];
    if (!found) throw new UsageError(`--gpu ${gpu}: give one of ${builtInProfiles.map((one) => one.gpu).join(", ")}`);
    return found;
}

function readProblem(values: Values): Problem {
    const { targets } = defaultModel(values.model ?? "ministral") as { targets: Problem["targets"] };
    return {
        traffic: readTraffic(values),
        profile: readProfile(values),
        gpus: number(values, "gpus", 1, 1, 8),
        gpuMemoryUtilization: 0.9,
        prefixCaching: true,
        targets: {
            timeToFirstToken: number(values, "first-token", targets.timeToFirstToken, 0.001),
            interTokenLatency: number(values, "between-tokens", targets.interTokenLatency, 0.0001),
            withinTargets: number(values, "within", targets.withinTargets, 0, 1),
            errorBudget: number(values, "failed", targets.errorBudget, 0, 1),
        },
        boot: { median: number(values, "boot", 420), spread: 0.2 },
        noGpu: { chance: number(values, "no-gpu", 0, 0, 0.99), retry: 60 },
        scaleDown: values.drained ? "drained" : "lost",
        maxReplicas: number(values, "max-replicas", 10, 1, 500),
        seed: number(values, "seed", 1),
    };
}

async function main(): Promise<number> {
    let values: Values;
    try {
        ({ values } = parseArgs({ options }));
    } catch (error) {
        throw new UsageError((error as Error).message);
    }
    if (values.help) {
        console.log(usage);
        return 0;
    }
    const problem = readProblem(values);
    const price =
        values.price === undefined ? undefined : { perHour: number(values, "price", 0, 0.0001), currency: "EUR" };
    const stop = new AbortController();
    process.once("SIGINT", () => stop.abort());
    const progress = process.stderr.isTTY && !values.json;
    const found = await plan(
        problem,
        (run, best) => {
            if (!progress) return;
            const sofar = best
                ? `best so far ${(best.replicaHours / best.hours).toFixed(2)} replicas on average`
                : "none keeps the targets yet";
            process.stderr.write(`\r\u001b[K${run} settings, ${sofar}`);
        },
        stop.signal,
    );
    if (progress) process.stderr.write("\r\u001b[K");
    const { intervals, ...rest } = found;
    const json = JSON.stringify(
        {
            problem,
            ...rest,
            day: intervals.map(({ firstToken, ...interval }) => ({
                ...interval,
                firstTokenP95: firstToken.count > 0 ? firstToken.quantile(0.95) : null,
            })),
        },
        null,
        2,
    );
    if (values["json-file"] !== undefined) writeFileSync(values["json-file"], json);
    console.log(values.json ? json : planText(found, problem, values.model ?? "ministral", price));
    if (stop.signal.aborted) return 130;
    return found.best ? 0 : 1;
}

main().then(
    (code) => (process.exitCode = code),
    (error: Error) => {
        console.error(styled("red", error.message));
        if (error instanceof UsageError) console.error("See npm run plan -- --help");
        process.exitCode = 2;
    },
);
