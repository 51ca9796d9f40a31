import { accessSync, constants } from "node:fs";
import { dirname } from "node:path";
import { UsageError } from "../tools/loadtest/usage-error";
import { builtInProfiles, type Profile } from "../sandbox/vllm/profiles";
import { readProfiles } from "../sandbox/vllm/profile-file";
import { drainSeconds } from "../src/vllm/command-line";
import { commandLine } from "../tools/command-line";
import { flavorOf, hardwareFor, profileOf, type Hardware } from "./hardware";
import { openTraffic, type Problem, type TrafficSource } from "./problem";
import { overlap, parseEntry, type ScheduleEntry } from "./schedule";
import { defaultServed, type Served } from "./served";
import { shapes, weekOf, type Week } from "./traffic";

export const usage = `Usage: npm run plan -- TRAFFIC [OPTIONS]

Traffic
  --trace FILE           a recorded trace: Azure's, BurstGPT's (CSV) or Mooncake's (JSON lines)
  --scale N              so many requests for each of it, default 1
  --shape NAME           it is the busiest hour of such a week, below; default: all hours are like it
  --days N               repeated for so long; default: once, with --shape 1
or
  --peak N               requests a second in the busiest hour
  --shape NAME           ${Object.keys(shapes).join(", ")}; default flat
  --prompt N             mean tokens of a prompt, default 900
  --output N             mean tokens of an answer, default 250
  --prefix SHARE         of the prompt that all begin with, default 0
  --days N               from a Monday on, default 1
or
  --live                 what the stack's own model was asked for, from its Prometheus
  --prometheus URL       default: through the cluster
  --scale N              so many requests for each of them, default 1
  --days N               the last ones, default 7

  --weekend FACTOR       of the shape on Saturday and Sunday, default its own
  --shift HOURS          by which the shape comes later than on the clock of UTC

World
  --stack NAME           whose settings hold: flavor, GPUs, targets, drain, prices; default with --live: the selected
                         one, else none, and the defaults hold
  --model NAME           which model of it; without a stack for the settings that are printed, default ministral
  --flavor NAME          ${builtInProfiles.map(flavorOf).join(", ")}; default: all that have a
                         profile and a price are compared
  --gpus N               of each replica; default: 1, 2 and 4 are compared
  --profile FILE         measured figures of the engine in place of the built-in ones; of each GPU the first counts
  --boot SECONDS         from the decision to the first request of a new replica, default 420
  --no-gpu SHARE         of the tries that find no free GPU, default 0
  --no-drain             a replica that goes loses what it has, as with drain false (default: as the settings say)
  --held                 requests wait while an app that sleeps wakes up (default: they are refused)
  --max-replicas N       default 10
  --schedule ENTRY       hours with limits of their own, "mon-fri 08:00-19:00 2-4" (UTC), several times for several;
                         default: schedules that the traffic suggests are tried
  --price N              of one replica of the settings for an hour, in euros, and nothing else is compared; default: that of
                         OVHcloud's public list or of prices.file, as pulumi preview has it (docs/cost.md)

Targets (default: those of a model in the stack config)
  --first-token SECONDS  --between-tokens SECONDS  --within SHARE  --failed SHARE

  --seed N               default 1
  --json                 the whole answer as JSON, on standard output
  --json-file FILE       the same, into a file
  --html FILE            the answer as a page with pictures
  --progress             tells how far it is, also where nobody watches (default: in a terminal)
  --svg FILE             one day of the recommended setting as a picture

Exit code: 0, 1 (no setting meets the targets), 2 (could not start), 130 (Ctrl-C; the best so far is shown).`;

const options = {
    trace: { type: "string" },
    live: { type: "boolean" },
    stack: { type: "string" },
    prometheus: { type: "string" },
    scale: { type: "string" },
    days: { type: "string" },
    peak: { type: "string" },
    shape: { type: "string" },
    weekend: { type: "string" },
    shift: { type: "string" },
    prompt: { type: "string" },
    output: { type: "string" },
    prefix: { type: "string" },
    model: { type: "string" },
    flavor: { type: "string" },
    gpus: { type: "string" },
    profile: { type: "string" },
    boot: { type: "string" },
    "no-gpu": { type: "string" },
    "no-drain": { type: "boolean" },
    held: { type: "boolean" },
    "max-replicas": { type: "string" },
    schedule: { type: "string", multiple: true },
    price: { type: "string" },
    "first-token": { type: "string" },
    "between-tokens": { type: "string" },
    within: { type: "string" },
    failed: { type: "string" },
    seed: { type: "string" },
    json: { type: "boolean" },
    "json-file": { type: "string" },
    html: { type: "string" },
    svg: { type: "string" },
    progress: { type: "boolean" },
    help: { type: "boolean", short: "h" },
} as const;

export type Values = ReturnType<typeof commandLine<{ options: typeof options }>>["values"];

/** Of each kind of traffic: the options that describe it. */
const ofTraffic = {
    trace: ["scale", "shape", "days", "weekend", "shift"],
    peak: ["shape", "prompt", "output", "prefix", "days", "weekend", "shift"],
    live: ["prometheus", "scale", "days"],
} as const satisfies Record<string, (keyof Values)[]>;

/** The options as they were typed. Throws a UsageError, also when they name no traffic, or two, or say more of it than it has. */
export function readValues(args?: string[]): Values {
    let values: Values;
    try {
        ({ values } = commandLine({ args, options }));
    } catch (error) {
        throw new UsageError((error as Error).message);
    }
    if (values.help) return values;
    const [kind, ...others] = (["trace", "peak", "live"] as const).filter((one) => values[one] !== undefined);
    if (kind === undefined || others.length > 0) throw new UsageError("give --trace FILE, --peak N or --live");
    const own: readonly string[] = ofTraffic[kind];
    const foreign = Object.values(ofTraffic)
        .flat()
        .find((name) => values[name] !== undefined && !own.includes(name));
    if (foreign) throw new UsageError(`--${foreign} says nothing of --${kind}: leave it out`);
    const ofShape = (["weekend", "shift"] as const).find((name) => values[name] !== undefined);
    if (ofShape && values.shape === undefined) throw new UsageError(`--${ofShape} is of a shape: give --shape, too`);
    for (const name of ["json-file", "html", "svg"] as const) requireFolder(name, values[name]);
    return values;
}

/** What is to be written is told before the search, not after it. */
function requireFolder(name: string, file: string | undefined): void {
    if (file === undefined) return;
    try {
        accessSync(dirname(file), constants.W_OK);
    } catch {
        throw new UsageError(`--${name} ${file}: there is no folder ${dirname(file)} that can be written to`);
    }
}

/** A number of the command line. Throws a UsageError that names the option. */
export function number(values: Values, name: keyof Values, fallback: number, from = 0, to = Infinity): number {
    const given = values[name];
    if (given === undefined) return fallback;
    const value = String(given).trim() === "" ? NaN : Number(String(given).replace(/\/s$/, ""));
    if (!(value >= from && value <= to)) {
        const range = to === Infinity ? `from ${from} on` : `from ${from} to ${to}`;
        throw new UsageError(`--${name} ${String(given)}: give a number ${range}`);
    }
    return value;
}

/** A whole number of the command line. Throws a UsageError that names the option. */
function whole(values: Values, name: keyof Values, fallback: number, from: number, to: number): number {
    const value = number(values, name, fallback, from, to);
    if (Number.isInteger(value)) return value;
    throw new UsageError(`--${name} ${String(values[name])}: give a whole number from ${from} to ${to}`);
}

/** The traffic of `--trace` or `--peak`. Throws a UsageError. */
export function readTraffic(values: Values): TrafficSource {
    const { trace, peak, shape } = values;
    const week = shape === undefined && trace !== undefined ? undefined : readWeek(values);
    if (trace !== undefined) {
        const days = values.days !== undefined || week ? 86_400 * number(values, "days", 1, 0.01, 366) : undefined;
        const source = { trace, scale: number(values, "scale", 1, 0.001, 1000), seconds: days, week };
        openTraffic(source);
        return source;
    }
    return {
        shape: {
            name: `${shape ?? "flat"}, ${peak} at the peak`,
            peak: number(values, "peak", 1, 0.001, 10_000),
            week: week!,
            promptTokens: number(values, "prompt", 900, 1),
            answerTokens: number(values, "output", 250, 1),
            prefix: number(values, "prefix", 0, 0, 1),
            seconds: 86_400 * number(values, "days", 1, 0.01, 366),
        },
    };
}

function readWeek(values: Values): Week {
    const { shape = "flat" } = values;
    if (!Object.hasOwn(shapes, shape)) {
        throw new UsageError(`--shape ${shape}: give one of ${Object.keys(shapes).join(", ")}`);
    }
    const name = shape as keyof typeof shapes;
    return weekOf(name, {
        weekend: values.weekend === undefined ? undefined : number(values, "weekend", 1, 0, 10),
        shift: number(values, "shift", 0, -24, 24),
    });
}

function readSchedule({ schedule = [] }: Values): ScheduleEntry[] | undefined {
    const entries = schedule.map((text) => {
        try {
            return parseEntry(text);
        } catch (error) {
            throw new UsageError(`--schedule "${text}": ${(error as Error).message}`);
        }
    });
    entries.forEach((entry, i) => {
        const other = entries.findIndex((earlier, j) => j < i && overlap(earlier, entry));
        if (other >= 0) throw new UsageError(`--schedule "${schedule[i]}" and "${schedule[other]}" overlap`);
    });
    return entries.length > 0 ? entries : undefined;
}

function profilesOf({ profile }: Values): Profile[] {
    try {
        const profiles = profile === undefined ? builtInProfiles : readProfiles(profile);
        if (profiles.length === 0) throw new Error(`profiles ${profile}: there is none in it`);
        return profiles;
    } catch (error) {
        throw new UsageError(`--profile: ${(error as Error).message}`);
    }
}

/**
 * What replicas may run on: that of the settings first, then all else that is to be compared. Throws a UsageError where there
 * is no profile for the first one.
 */
export function readHardware(values: Values, { model }: Served): [Hardware, ...Hardware[]] {
    const profiles = profilesOf(values);
    const gpus = values.gpus === undefined ? undefined : whole(values, "gpus", 1, 1, 8);
    // Measured on other hardware than the stack has, a profile decides.
    const own = profileOf(model.flavor, profiles) ? model.flavor : flavorOf(profiles[0]);
    const flavor = values.flavor ?? (values.profile === undefined ? model.flavor : own);
    const [first] = hardwareFor(profiles, flavor, gpus ?? model.gpus);
    if (!first) {
        const known = profiles.map(flavorOf).join(", ");
        if (!profileOf(flavor, profiles)) {
            throw new UsageError(
                `--flavor ${flavor}: there is no profile of it: give one of ${known}, or --profile FILE`,
            );
        }
        throw new UsageError(
            `--gpus ${gpus ?? model.gpus}: the weights do not fit into so many of ${flavor}: give more`,
        );
    }
    const others = values.price === undefined ? hardwareFor(profiles, values.flavor, gpus) : [];
    return [first, ...others.filter((one) => one.flavor !== first.flavor || one.gpus !== first.gpus)];
}

/** Everything that is asked, of a traffic. The settings hold where no option says otherwise. Throws a UsageError. */
export function readProblem(values: Values, traffic: TrafficSource, served: Served = defaultServed()): Problem {
    const { targets, vllm } = served.model;
    const [hardware] = readHardware(values, served);
    return {
        ...hardware,
        traffic,
        gpuMemoryUtilization: vllm.gpuMemoryUtilization ?? 0.9,
        prefixCaching: vllm.enablePrefixCaching ?? true,
        maxModelLen: vllm.maxModelLen,
        targets: {
            timeToFirstToken: number(values, "first-token", targets.timeToFirstToken, 0.001),
            interTokenLatency: number(values, "between-tokens", targets.interTokenLatency, 0.0001),
            withinTargets: number(values, "within", targets.withinTargets, 0, 1),
            errorBudget: number(values, "failed", targets.errorBudget, 0, 1),
        },
        boot: { median: number(values, "boot", 420), spread: 0.2 },
        noGpu: { chance: number(values, "no-gpu", 0, 0, 0.99), retry: 60 },
        drainSeconds: values["no-drain"] ? 0 : drainSeconds(served.model),
        asleep: values.held ? "held" : "refused",
        maxReplicas: whole(values, "max-replicas", 10, 1, 500),
        schedule: readSchedule(values),
        seed: whole(values, "seed", 1, 0, 2 ** 31 - 1),
    };
}
