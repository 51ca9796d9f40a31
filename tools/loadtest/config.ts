import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";
import { distributionForms, parseDistribution, type Distribution } from "./distribution";
import { UsageError } from "./usage-error";

/** What a run can be told, in a file or by flags; docs/loadtest.md shows it as tables, which a test holds to this. */

const longestDay = 86_400;

function number(least: number, most: number, whole = false) {
    const words = `give a ${whole ? "whole " : ""}number from ${least} to ${most}`;
    const checked = z.number(words).min(least, words).max(most, words);
    return z.preprocess(toNumber, whole ? checked.int(words) : checked);
}

function toNumber(value: unknown): unknown {
    return typeof value === "string" && value.trim() !== "" && !isNaN(Number(value)) ? Number(value) : value;
}

/** A number, or several: the steps of a run. */
function levels(least: number, most: number, whole: boolean) {
    const words = `give a ${whole ? "whole " : ""}number from ${least} to ${most}, or up to 50 of them such as ${least},${2 * least}`;
    const one = z.number(words).min(least, words).max(most, words);
    return z.preprocess(
        (value) =>
            typeof value === "string" ? value.split(",").map(toNumber) : typeof value === "number" ? [value] : value,
        z
            .array(whole ? one.int(words) : one, words)
            .min(1, words)
            .max(50, words),
    );
}

function distribution(most: number) {
    const words = `give a whole number up to ${most}, or ${distributionForms.slice(3)}`;
    return z.preprocess((value, context) => {
        const parsed =
            typeof value === "number" || typeof value === "string" ? parseDistribution(String(value)) : value;
        if (parsed === undefined || (isFixed(parsed) && (parsed.value < 1 || parsed.value > most))) {
            context.issues.push({ code: "custom", message: words, input: value });
            return z.NEVER;
        }
        return parsed;
    }, z.custom<Distribution>());
}

function isFixed(value: unknown): value is { value: number } {
    return (value as Distribution).kind === "fixed";
}

const words = (form: string) => z.string(form).min(1, form);
const flag = z.boolean("give true or false");
const fixed = (value: number): Distribution => ({ kind: "fixed", value });

/** Each with the key of the config file; its flag is the same in kebab case. */
export const loadConfigSchema = z.strictObject({
    stack: words("name a stack").optional().describe("stack whose outputs hold URL and token; else the selected stack"),
    model: words("name a model")
        .optional()
        .describe("which model of the stack, when it has several; with `url`: the id that requests name"),
    url: words("give a URL")
        .optional()
        .describe("instead of a stack: OpenAI base URL; the token is taken from OPENAI_API_KEY"),
    app: words("give an app's id")
        .optional()
        .describe(
            "with `url`: AI Deploy app whose replicas are counted (credentials: OVH_*, project: OVH_CLOUD_PROJECT_SERVICE)",
        ),
    ca: words("name a file").optional().describe("file (PEM) with a certificate authority to trust besides Node's own"),

    workers: levels(1, 20_000, true)
        .default([500])
        .describe(
            "workers of a closed loop: each asks, reads the answer, asks again. Several, such as 10,50,100: one step after the other",
        ),
    requests: number(1, 1_000_000, true).optional().describe("per worker; 25 without a `duration`"),
    rate: levels(0.001, 20_000, false)
        .optional()
        .describe("instead of workers, an open loop: requests a second, whatever the answers do. Several: steps"),
    arrivals: z
        .enum(["poisson", "constant"], "give poisson or constant")
        .default("poisson")
        .describe("of an open loop: by chance, or evenly spaced"),
    burst: number(1, 20_000, true)
        .default(1)
        .describe("requests that an open loop sends at one moment; the rate stays the same"),
    ramp: number(0, longestDay)
        .default(10)
        .describe("seconds over which workers start, or the rate rises, before each step"),
    duration: number(0.1, 30 * longestDay)
        .optional()
        .describe("seconds of each step after its ramp; 60 for an open loop and for several steps"),
    sweep: flag.default(false).describe("let every request end before the next step begins"),
    trace: words("name a file")
        .optional()
        .describe(
            "instead of workers, an open loop with the times and lengths of a trace file: CSV of Azure or BurstGPT, JSONL of Mooncake",
        ),
    traceSpeed: number(0.001, 1000).default(1).describe("how much faster than it was the trace is replayed"),

    inputTokens: distribution(1_000_000)
        .optional()
        .describe("tokens of each prompt, made up of common words, instead of the guide's pool of prompts"),
    maxTokens: distribution(1_000_000).default(fixed(768)).describe("most tokens of an answer"),
    ignoreEos: flag.default(false).describe("answers go on to `maxTokens` (vLLM's `ignore_eos`)"),
    prefixShare: number(0, 1).default(0).describe("share of each made-up prompt that is the same in all of them"),
    turns: distribution(1000)
        .default(fixed(1))
        .describe("requests of a conversation: each holds the questions and answers before it"),
    dataset: words("name a file")
        .optional()
        .describe("JSONL file whose lines have `messages` or `prompt`, and may have `max_tokens`; drawn at random"),
    images: number(0, 64, true).default(0).describe("images of noise in each question"),
    imageSize: z
        .string()
        .regex(/^[1-9]\d{0,3}x[1-9]\d{0,3}$/, "give pixels such as 512x512")
        .default("512x512")
        .describe("their width and height in pixels"),
    temperature: number(0, 2).default(0.7).describe("of sampling"),
    seed: number(0, 2 ** 32, true)
        .default(1)
        .describe("of everything that is drawn: the same seed asks the same"),

    timeout: number(0.1, longestDay).default(300).describe("seconds for one request"),
    connectionAge: number(0, longestDay)
        .default(30)
        .describe("seconds after which a connection is replaced, give or take half; 0: one for each request"),
    processes: number(1, 64, true)
        .optional()
        .describe("that send; one for each 1,000 streams at once, as far as there are cores"),
    inCluster: number(1, 100, true)
        .optional()
        .describe("pods of the stack's monitoring cluster that send instead, each one process"),

    ttftTarget: number(0, longestDay)
        .optional()
        .describe("seconds to the first token that a good answer takes at most; from the stack's config"),
    itlTarget: number(0, longestDay)
        .optional()
        .describe(
            "seconds between tokens, on an answer's average, that a good answer takes at most; from the stack's config",
        ),
    replicaPrice: number(0, 100_000)
        .optional()
        .describe("euros per hour of a replica, for the cost of tokens; from the stack's output `cost`"),
    maxErrorRate: number(0, 1).default(0.05).describe("exit code 1 when a larger share of requests fails"),

    json: words("name a file").optional().describe("file for the report as JSON"),
    html: words("name a file").optional().describe("file for the report as a page"),
    csv: words("name a file").optional().describe("file with a line for each request"),
    withPrompts: flag.default(false).describe("the lines also hold the question's text"),
});

/** Lengths in tokens, times in seconds. */
export type LoadConfig = z.output<typeof loadConfigSchema>;
export type LoadConfigKey = keyof LoadConfig;

/** Under which heading the usage and the docs show them. */
export const groups: Record<string, LoadConfigKey[]> = {
    Target: ["stack", "model", "url", "app", "ca"],
    Load: ["workers", "requests", "rate", "arrivals", "burst", "ramp", "duration", "sweep", "trace", "traceSpeed"],
    Requests: [
        "inputTokens",
        "maxTokens",
        "ignoreEos",
        "prefixShare",
        "turns",
        "dataset",
        "images",
        "imageSize",
        "temperature",
        "seed",
    ],
    Client: ["timeout", "connectionAge", "processes", "inCluster"],
    Judgement: ["ttftTarget", "itlTarget", "replicaPrice", "maxErrorRate"],
    Result: ["json", "html", "csv", "withPrompts"],
};

/** Settings that mean something only where one of these is given. */
const onlyWith: Partial<Record<LoadConfigKey, LoadConfigKey[]>> = {
    app: ["url"],
    burst: ["rate"],
    arrivals: ["rate"],
    traceSpeed: ["trace"],
    prefixShare: ["inputTokens"],
    imageSize: ["images"],
    withPrompts: ["csv"],
};

/** Whether a setting had any say in a run; defaults stand in the config of other loads, too. */
export function hasSay(key: LoadConfigKey, config: LoadConfig): boolean {
    const unused: LoadConfigKey[] = config.trace
        ? ["workers", "requests", "ramp", "duration", "sweep", "maxTokens", "turns"]
        : config.rate
          ? ["workers", "requests"]
          : [];
    const hosts = onlyWith[key];
    return !unused.includes(key) && (hosts === undefined || hosts.some((host) => config[host]));
}

/** `maxTokens` -> `max-tokens` */
export function flagName(key: string): string {
    return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** A setting as people would write it; undefined where there is none. */
export function written(value: unknown): string | undefined {
    if (value === undefined) return undefined;
    if (Array.isArray(value)) return value.join(",");
    if (typeof value !== "object" || value === null) return `${value as string | number | boolean | null}`;
    const { kind, ...rest } = value as Distribution;
    return kind === "fixed" ? Object.values(rest).join() : [kind, ...Object.values(rest)].join(":");
}

/**
 * The config of settings as a file or flags hold them. `shown` names a key the way it was written. Throws UsageError with
 * all that is wrong.
 */
export function loadConfig(
    given: z.input<typeof loadConfigSchema>,
    shown: (key: string) => string = String,
): LoadConfig {
    const parsed = loadConfigSchema.safeParse(given);
    const as = (key: string): string => `${shown(key)} ${written((given as Record<string, unknown>)[key])}`;
    const faults = parsed.success
        ? contradictions(parsed.data, given, shown)
        : parsed.error.issues.map((issue) =>
              issue.code === "unrecognized_keys"
                  ? `${issue.keys.map(shown).join(", ")}: no such setting`
                  : `${as(String(issue.path[0]))}: ${issue.message}`,
          );
    if (!parsed.success || faults.length > 0) throw new UsageError([...new Set(faults)].join("\n"));
    return parsed.data;
}

function contradictions(config: LoadConfig, given: object, shown: (key: string) => string): string[] {
    const has = (key: LoadConfigKey): boolean => (given as LoadConfig)[key] !== undefined;
    const faults: string[] = [];
    const exclude = (...keys: LoadConfigKey[]): void => {
        const found = keys.filter(has);
        if (found.length > 1) faults.push(`${found.map(shown).join(" and ")} exclude each other`);
    };
    exclude("url", "stack");
    exclude("workers", "rate", "trace");
    exclude("requests", "rate");
    exclude("requests", "trace");
    exclude("inputTokens", "dataset", "trace");
    exclude("sweep", "trace");
    // A trace has its own of these.
    for (const key of ["duration", "ramp", "maxTokens", "turns"] as const) exclude(key, "trace");
    exclude("inCluster", "url");
    exclude("inCluster", "processes");
    for (const [key, hosts] of Object.entries(onlyWith) as [LoadConfigKey, LoadConfigKey[]][]) {
        if (has(key) && !hosts.some(has)) faults.push(`${shown(key)} is only for ${hosts.map(shown).join(" and ")}`);
    }
    if (config.sweep && (config.rate ?? config.workers).length < 2) {
        faults.push(
            `${shown("sweep")} needs several steps: give them as ${shown("workers")} 10,50,100 or ${shown("rate")} 1,5,10`,
        );
    }
    return faults;
}

/** The settings of a config file (YAML or JSON). Throws UsageError. */
export function readConfigFile(file: string): Record<string, unknown> {
    let content: unknown;
    try {
        content = parse(readFileSync(file, "utf8"));
    } catch (error) {
        throw new UsageError(`--config ${file}: ${(error as Error).message.split("\n")[0]}`);
    }
    if (typeof content !== "object" || content === null || Array.isArray(content)) {
        throw new UsageError(`--config ${file}: write settings in it, such as "workers: 50"`);
    }
    return content as Record<string, unknown>;
}
