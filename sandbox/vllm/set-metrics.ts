import { engineFamilies, httpFamilies, processFamilies, type FamilySpec } from "./metric-families";
import { numberText, type Labels } from "./metrics";

/**
 * Metrics set by hand, so that every alert can be seen firing without load. A gauge shows the value while it lasts; a counter
 * grows by so much a second beside what is counted; a histogram or summary gets one observation of the value each second.
 * What was added stays when it ends: counters do not go back.
 */
export interface SetMetric {
    /** As on the page: a counter with `_total`. */
    name: string;
    /** Those that a series must have; all that do are concerned. */
    labels: Labels;
    value: number;
}

interface Kind {
    spec: FamilySpec;
    /** Names of its labels. */
    labels: string[];
    /** Whether its series are there from the start; of others, all labels must be given. */
    always: boolean;
}

const httpLabels: Record<keyof typeof httpFamilies, string[]> = {
    requests: ["handler", "method", "status"],
    requestSize: ["handler"],
    responseSize: ["handler"],
    durationFine: [],
    duration: ["handler", "method"],
};
const extraLabels: Record<string, string[]> = { success: ["finished_reason"], sleepState: ["sleep_state"] };
const informative = ["python", "cacheConfig"]; // they say what something is: there is nothing to set

const kinds = new Map<string, Kind>([
    ...Object.entries(engineFamilies as Record<string, FamilySpec>)
        .filter(([key, { hidden }]) => !hidden && !informative.includes(key))
        .map(([key, spec]) => entry(spec, ["engine", "model_name", ...(extraLabels[key] ?? [])], true)),
    ...Object.entries(httpFamilies as Record<string, FamilySpec>).map(([key, spec]) => {
        const labels = httpLabels[key as keyof typeof httpFamilies];
        return entry(spec, labels, labels.length === 0);
    }),
    ...Object.entries(processFamilies as Record<string, FamilySpec>)
        .filter(([key]) => !informative.includes(key))
        .map(([key, spec]) => entry(spec, key.startsWith("gc") ? ["generation"] : [], true)),
]);

function entry(spec: FamilySpec, labels: string[], always: boolean): [string, Kind] {
    return [spec.type === "counter" ? `${spec.name}_total` : spec.name, { spec, labels, always }];
}

/** Reads `NAME=VALUE` or `NAME{LABEL="VALUE",...}=VALUE`. Throws an Error that says what is possible. */
export function readSetMetric(text: string): SetMetric {
    const [, name, inBraces = "", number] = /^([\w:]+)(?:\{(.*)\})?=([^=]*)$/s.exec(text.trim()) ?? [];
    if (name === undefined) throw new Error(`"${text}": write NAME=VALUE or NAME{LABEL="VALUE"}=VALUE`);
    const kind = kinds.get(name);
    if (!kind) throw new Error(`there is no metric "${name}"; ${suggestion(name)}`);
    const value = Number(number);
    if (number.trim() === "" || !Number.isFinite(value)) throw new Error(`${name}: "${number}" is no number`);
    if (kind.spec.type !== "gauge" && value < 0) throw new Error(`${name}: a ${kind.spec.type} takes nothing below 0`);
    return { name, labels: readLabels(name, inBraces, kind), value };
}

function readLabels(name: string, text: string, { labels, always }: Kind): Labels {
    const found: Labels = {};
    for (const part of text.split(",").filter((one) => one.trim() !== "")) {
        const [, label, value] = /^\s*(\w+)\s*=\s*"?([^"]*)"?\s*$/.exec(part) ?? [];
        if (label === undefined) throw new Error(`${name}: "${part}" is no label; write LABEL="VALUE"`);
        if (!labels.includes(label))
            throw new Error(`${name} has no label "${label}"; it has ${labels.join(", ") || "none"}`);
        found[label] = value;
    }
    const absent = labels.filter((label) => found[label] === undefined);
    if (!always && absent.length > 0) {
        throw new Error(`${name}: give all of its labels, ${absent.join(", ")} too; its series begin with requests`);
    }
    return found;
}

function suggestion(name: string): string {
    const words = name.split(/[:_]/).filter((word) => word.length > 3);
    const near = [...kinds.keys()].filter((known) => words.some((word) => known.includes(word)));
    return `there is ${(near.length > 0 ? near : [...kinds.keys()]).join(", ")}`;
}

/** As it was written. */
export function setMetricText({ name, labels, value }: SetMetric): string {
    return `${name}${labelText(labels)}=${value}`;
}

interface Addition {
    metric: SetMetric;
    /** Seconds for which it has been in force, before `since`. */
    seconds: number;
    /** On the clock of `SetMetrics.now`; undefined when it is not in force. */
    since?: number;
}

/** The metrics of one replica that are set by hand, and what of them stays. */
export class SetMetrics {
    private readonly additions = new Map<string, Addition>();

    /** @param now seconds on a clock that never goes back */
    constructor(private readonly now: () => number = () => performance.now() / 1000) {}

    /** Those in force from now on. */
    set(metrics: SetMetric[]): void {
        const now = this.now();
        for (const addition of this.additions.values()) {
            addition.seconds = this.secondsOf(addition, now);
            addition.since = undefined;
        }
        for (const metric of metrics) {
            const key = setMetricText(metric);
            const addition = this.additions.get(key) ?? { metric, seconds: 0 };
            this.additions.set(key, { ...addition, since: now });
        }
    }

    /** The page with them. */
    page(text: string): string {
        if (this.additions.size === 0) return text;
        let lines = text.split("\n");
        for (const addition of this.additions.values()) lines = this.changed(lines, addition);
        return lines.join("\n");
    }

    private secondsOf({ seconds, since }: Addition, now: number): number {
        return seconds + (since === undefined ? 0 : now - since);
    }

    private changed(lines: string[], addition: Addition): string[] {
        const { metric, since } = addition;
        const { spec } = kinds.get(metric.name)!;
        if (spec.type === "gauge" && since === undefined) return lines;
        const seconds = this.secondsOf(addition, this.now());
        let found = false;
        const result = lines.map((line) => {
            const sample = readSample(line);
            if (!sample || !matches(sample, metric)) return line;
            const change = changeOf(spec, sample, metric, seconds);
            if (change === undefined) return line;
            found = true;
            return `${line.slice(0, line.lastIndexOf(" "))} ${numberText(change)}`;
        });
        return found ? result : withSeries(lines, metric, spec, seconds);
    }
}

interface Sample {
    name: string;
    labels: Labels;
    value: number;
}

function readSample(line: string): Sample | undefined {
    const [, name, inBraces = "", number] = /^([\w:]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) return undefined;
    const labels = Object.fromEntries(
        [...inBraces.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, value]) => [label, value]),
    );
    return { name, labels, value: Number(number) };
}

function matches({ name, labels }: Sample, metric: SetMetric): boolean {
    return name.startsWith(metric.name) && Object.entries(metric.labels).every(([key, value]) => labels[key] === value);
}

/** The new value of a sample; undefined when it is none of this metric. */
function changeOf(spec: FamilySpec, sample: Sample, metric: SetMetric, seconds: number): number | undefined {
    const { name, value, labels } = sample;
    const suffix = name.slice(metric.name.length);
    if (spec.type === "gauge") return suffix === "" ? metric.value : undefined;
    if (spec.type === "counter") return suffix === "" ? value + metric.value * seconds : undefined;
    const times = Math.floor(seconds);
    if (suffix === "_count") return value + times;
    if (suffix === "_sum") return value + times * metric.value;
    if (suffix !== "_bucket") return undefined;
    return value + (metric.value <= Number(labels.le.replace("+Inf", "Infinity")) ? times : 0);
}

/** The page with a series that was not there. A page without the family stays as it is. */
function withSeries(lines: string[], metric: SetMetric, spec: FamilySpec, seconds: number): string[] {
    const at = lines.indexOf(`# TYPE ${metric.name} ${spec.type}`);
    if (at < 0) return lines;
    const of = (suffix: string, labels: Labels = metric.labels): Sample => ({
        name: metric.name + suffix,
        labels,
        value: 0,
    });
    const bounds = Array.isArray(spec.buckets) ? [...(spec.buckets as number[]), Infinity] : [];
    const samples =
        spec.type === "counter" || spec.type === "gauge"
            ? [of("")]
            : [
                  ...bounds.map((le) => of("_bucket", { ...metric.labels, le: numberText(le) })),
                  of("_count"),
                  of("_sum"),
              ];
    const added = samples.map(
        (sample) =>
            `${sample.name}${labelText(sample.labels)} ${numberText(changeOf(spec, sample, metric, seconds) ?? 0)}`,
    );
    return [...lines.slice(0, at + 1), ...added, ...lines.slice(at + 1)];
}

function labelText(labels: Labels): string {
    const names = Object.keys(labels).sort();
    return names.length === 0 ? "" : `{${names.map((name) => `${name}="${labels[name]}"`).join(",")}}`;
}
