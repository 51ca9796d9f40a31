import { engineFamilies, httpFamilies, processFamilies, type FamilySpec } from "./metric-families";

/** Metrics of one replica, and their page as prometheus_client 0.23 writes it. */

export type Labels = Record<string, string>;

/** One series of a family: what `labels()` returns, to be kept by who writes to it often. */
export class Series {
    private readonly suffix: string;
    private readonly bucketSuffixes: string[];
    private readonly counts: number[];
    private readonly created: number;
    private count = 0;
    private value = 0;

    constructor(
        private readonly spec: FamilySpec,
        private readonly bounds: readonly number[],
        labels: Labels,
        now: number,
    ) {
        this.suffix = labelText(labels);
        this.bucketSuffixes = bounds.map((bound) => labelText({ ...labels, le: numberText(bound) }));
        this.counts = bounds.map(() => 0);
        this.created = now;
    }

    /** Of a gauge. */
    set(value: number): void {
        this.value = value;
    }

    /** Of a counter. */
    add(amount = 1): void {
        this.value += amount;
    }

    /** Of a histogram or summary. */
    observe(value: number): void {
        this.value += value;
        this.count++;
        if (this.bounds.length > 0) this.counts[this.bounds.findIndex((bound) => value <= bound)]++;
    }

    lines(): string[] {
        const { name, type } = this.spec;
        if (type === "gauge") return [`${name}${this.suffix} ${numberText(this.value)}`];
        if (type === "counter") return [`${name}_total${this.suffix} ${numberText(this.value)}`];
        let cumulative = 0;
        const buckets = this.counts.map((count, i) => {
            cumulative += count;
            return `${name}_bucket${this.bucketSuffixes[i]} ${numberText(cumulative)}`;
        });
        return [
            ...buckets,
            `${name}_count${this.suffix} ${numberText(this.count)}`,
            `${name}_sum${this.suffix} ${numberText(this.value)}`,
        ];
    }

    createdLine(): string {
        return `${this.spec.name}_created${this.suffix} ${numberText(this.created)}`;
    }
}

export class Family {
    private readonly series = new Map<string, Series>();
    private readonly bounds: readonly number[];

    constructor(
        private readonly spec: FamilySpec,
        private readonly settings: PageSettings,
    ) {
        const { buckets = [] } = spec;
        const bounds = buckets === "length" ? lengthBuckets(settings.maxModelLen) : buckets;
        this.bounds = spec.type === "histogram" ? [...bounds, Infinity] : [];
    }

    /** The series with these labels; it exists, with 0, from now on. */
    labels(labels: Labels): Series {
        const key = Object.values(labels).join("\n");
        let series = this.series.get(key);
        if (!series) {
            series = new Series(this.spec, this.bounds, labels, this.settings.now());
            this.series.set(key, series);
        }
        return series;
    }

    lines(): string[] {
        const { name, type, help, created } = this.spec;
        const exposed = type === "counter" ? `${name}_total` : name;
        const series = [...this.series.values()];
        const lines = [
            `# HELP ${exposed} ${help}`,
            `# TYPE ${exposed} ${type}`,
            ...series.flatMap((one) => one.lines()),
        ];
        const withCreated = this.settings.created && type !== "gauge" && created !== false && series.length > 0;
        if (!withCreated) return lines;
        const base = `${name}_created`;
        return [...lines, `# HELP ${base} ${help}`, `# TYPE ${base} gauge`, ...series.map((one) => one.createdLine())];
    }
}

export interface PageSettings {
    maxModelLen: number;
    /** Whether `_created` series are written; `PROMETHEUS_DISABLE_CREATED_SERIES=true` turns them off. */
    created: boolean;
    /** Unix time in seconds. */
    now: () => number;
}

export interface ReplicaFacts extends PageSettings {
    modelName: string;
    /** Unix time in seconds at which the server process was started. */
    startTime: number;
    /** Labels of `vllm:cache_config_info`. */
    cacheConfig: Labels;
    /** False with `--disable-log-stats`. */
    engine: boolean;
    /** Whether metrics that the release before had are shown, too. */
    hidden: boolean;
}

type FamiliesOf<S> = { [K in keyof S]: Family };
type SeriesOf<S> = { [K in keyof S]: Series };
export type EngineSeries = SeriesOf<Omit<typeof engineFamilies, "success" | "sleepState" | "cacheConfig">> & {
    success: Record<"stop" | "length" | "abort" | "error", Series>;
};

export interface ReplicaMetrics {
    /** Undefined when the engine's statistics are off. */
    engine?: EngineSeries;
    http: FamiliesOf<typeof httpFamilies>;
    /** The text of `GET /metrics`. */
    page(): string;
}

/** All families of one replica, those that vLLM registers at start with their series. */
export function replicaMetrics(facts: ReplicaFacts): ReplicaMetrics {
    const process = families(processFamilies, facts);
    const http = families(httpFamilies, facts);
    http.durationFine.labels({});
    const groups: Record<string, Family>[] = [process, http];

    process.python
        .labels({ implementation: "CPython", major: "3", minor: "12", patchlevel: "12", version: "3.12.12" })
        .set(1);
    for (const generation of ["0", "1", "2"]) {
        for (const family of [process.gcCollected, process.gcUncollectable, process.gcCollections]) {
            family.labels({ generation });
        }
    }
    // Of a server process at rest; the simulation has no process of its own to measure.
    process.virtualMemory.labels({}).set(21e9);
    process.residentMemory.labels({}).set(1.4e9);
    process.startTime.labels({}).set(facts.startTime);
    process.cpu.labels({});
    process.openFds.labels({}).set(61);
    process.maxFds.labels({}).set(1048576);

    let engine: EngineSeries | undefined;
    if (facts.engine) {
        const all = families(engineFamilies, facts);
        const labels = { engine: "0", model_name: facts.modelName };
        const { success, sleepState, cacheConfig, ...plain } = all;
        const states = { awake: 1, weights_offloaded: 0, discard_all: 0 };
        for (const [state, value] of Object.entries(states)) {
            sleepState.labels({ ...labels, sleep_state: state }).set(value);
        }
        cacheConfig.labels({ ...facts.cacheConfig, engine: "0" }).set(1);
        const reason = (finished_reason: string): Series => success.labels({ ...labels, finished_reason });
        engine = {
            ...(Object.fromEntries(
                Object.entries(plain).map(([key, family]) => [key, family.labels(labels)]),
            ) as SeriesOf<typeof plain>),
            success: { stop: reason("stop"), length: reason("length"), abort: reason("abort"), error: reason("error") },
        };
        const shown = Object.entries(engineFamilies).filter(
            ([, spec]: [string, FamilySpec]) => facts.hidden || !spec.hidden,
        );
        groups.splice(1, 0, Object.fromEntries(shown.map(([key]) => [key, all[key as keyof typeof all]])));
    }
    const pageLines = (): string[] =>
        groups.flatMap((group) => Object.values(group)).flatMap((family) => family.lines());
    return { engine, http, page: () => pageLines().join("\n") + "\n" };
}

/** The labels of `vllm:cache_config_info`: every field of vLLM's cache configuration as Python prints it, with its default. */
export function cacheConfigLabels(set: Record<string, string | undefined>): Labels {
    const fields: Labels = {
        block_size: "16",
        cache_dtype: "auto",
        calculate_kv_scales: "False",
        cpu_kvcache_space_bytes: "None",
        cpu_offload_gb: "0",
        enable_prefix_caching: "True",
        gpu_memory_utilization: "0.9",
        is_attention_free: "False",
        kv_cache_memory_bytes: "None",
        kv_offloading_backend: "None",
        kv_offloading_size: "None",
        kv_sharing_fast_prefill: "False",
        mamba_block_size: "None",
        mamba_cache_dtype: "auto",
        mamba_page_size_padded: "None",
        mamba_ssm_cache_dtype: "auto",
        num_cpu_blocks: "None",
        num_gpu_blocks: "None",
        num_gpu_blocks_override: "None",
        prefix_caching_hash_algo: "sha256",
        sliding_window: "None",
        swap_space: "4",
    };
    const given = Object.entries(set).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const floats = ["cpu_offload_gb", "swap_space"];
    const all = Object.entries({ ...fields, ...Object.fromEntries(given) });
    return Object.fromEntries(
        all.map(([name, text]) => [name, floats.includes(name) && /^\d+$/.test(text) ? `${text}.0` : text]),
    );
}

function families<S extends Record<string, FamilySpec>>(specs: S, settings: PageSettings): FamiliesOf<S> {
    return Object.fromEntries(
        Object.entries(specs).map(([key, spec]) => [key, new Family(spec, settings)]),
    ) as FamiliesOf<S>;
}

/** 1, 2, 5, 10, 20 ... up to the largest value that is not above `max`. */
export function lengthBuckets(max: number): number[] {
    const buckets: number[] = [];
    for (let power = 1; power <= max; power *= 10) {
        for (const digit of [1, 2, 5]) if (digit * power <= max) buckets.push(digit * power);
    }
    return buckets;
}

let lastTick = 0;
/**
 * A unix time in seconds for a process that starts now, as the kernel counts it: in ticks of 10 ms. No two calls return
 * the same, so that replicas can be told apart by it even when they start together.
 */
export function processStartTime(): number {
    lastTick = Math.max(Math.floor(Date.now() / 10), lastTick + 1);
    return lastTick / 100;
}

/** Labels in alphabetical order. */
function labelText(labels: Labels): string {
    const names = Object.keys(labels).sort();
    const escape = (text: string): string => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n").replace(/"/g, '\\"');
    return names.length === 0 ? "" : `{${names.map((name) => `${name}="${escape(labels[name])}"`).join(",")}}`;
}

/** A number as prometheus_client prints it: Python's `repr` of a float, with an exponent from a million on. */
export function numberText(value: number): string {
    if (value === Infinity) return "+Inf";
    const magnitude = Math.abs(value);
    if (magnitude !== 0 && magnitude < 1e-4) return value.toExponential().replace(/e-(\d)$/, "e-0$1");
    if (magnitude >= 1e16) return value.toExponential();
    const text = Number.isInteger(value) ? `${value}.0` : String(value);
    const dot = text.indexOf(".");
    if (value <= 0 || dot <= 6) return text;
    const mantissa = `${text[0]}.${text.slice(1, dot)}${text.slice(dot + 1)}`.replace(/[0.]+$/, "");
    return `${mantissa}e+0${dot - 1}`;
}
