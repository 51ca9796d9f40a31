/**
 * A Prometheus page as prometheus_client 0.23 writes it, with the families of vLLM v0.13.0
 * (vllm/v1/metrics/loggers.py and prometheus-fastapi-instrumentator at that tag).
 */

type Labels = Record<string, string>;

/** 1, 2, 5, 10, 20 ... up to the largest value that is not above `max`. */
function upTo(max: number): number[] {
    const out: number[] = [];
    for (let power = 1; power <= max; power *= 10) out.push(...[1, 2, 5].map((digit) => digit * power).filter((n) => n <= max));
    return out;
}

const ttftBuckets = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560];
const itlBuckets = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80];
const requestBuckets = [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680];
const iterationBuckets = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384];
const httpHighBuckets = [0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60];

abstract class Family {
    protected readonly created = Date.now() / 1000;
    constructor(
        readonly name: string,
        readonly help: string,
    ) {}
    abstract write(): string[];
}

export class Counter extends Family {
    private readonly values = new Map<string, number>();

    add(labels: Labels, amount = 1): void {
        const key = labelText(labels);
        this.values.set(key, (this.values.get(key) ?? 0) + amount);
    }

    write(): string[] {
        return [
            `# HELP ${this.name}_total ${this.help}`,
            `# TYPE ${this.name}_total counter`,
            ...[...this.values].map(([labels, value]) => `${this.name}_total${labels} ${number(value)}`),
            `# HELP ${this.name}_created ${this.help}`,
            `# TYPE ${this.name}_created gauge`,
            ...[...this.values.keys()].map((labels) => `${this.name}_created${labels} ${this.created}`),
        ];
    }
}

export class Gauge extends Family {
    private readonly values = new Map<string, number>();

    set(labels: Labels, value: number): void {
        this.values.set(labelText(labels), value);
    }

    write(): string[] {
        return [
            `# HELP ${this.name} ${this.help}`,
            `# TYPE ${this.name} gauge`,
            ...[...this.values].map(([labels, value]) => `${this.name}${labels} ${number(value)}`),
        ];
    }
}

export class Histogram extends Family {
    private readonly series = new Map<string, { labels: Labels; counts: number[]; sum: number }>();

    constructor(
        name: string,
        help: string,
        private readonly buckets: number[],
    ) {
        super(name, help);
    }

    /** Makes the series exist with no observation. */
    begin(labels: Labels): { counts: number[]; sum: number } {
        const key = labelText(labels);
        let series = this.series.get(key);
        if (!series) {
            series = { labels, counts: new Array<number>(this.buckets.length + 1).fill(0), sum: 0 };
            this.series.set(key, series);
        }
        return series;
    }

    observe(labels: Labels, value: number): void {
        const series = this.begin(labels);
        const at = this.buckets.findIndex((bound) => value <= bound);
        series.counts[at < 0 ? this.buckets.length : at]++;
        series.sum += value;
    }

    write(): string[] {
        const lines = [`# HELP ${this.name} ${this.help}`, `# TYPE ${this.name} histogram`];
        for (const { labels, counts, sum } of this.series.values()) {
            let cumulative = 0;
            [...this.buckets, Infinity].forEach((bound, i) => {
                cumulative += counts[i];
                lines.push(`${this.name}_bucket${labelText({ ...labels, le: number(bound) })} ${number(cumulative)}`);
            });
            lines.push(`${this.name}_count${labelText(labels)} ${number(cumulative)}`, `${this.name}_sum${labelText(labels)} ${number(sum)}`);
        }
        lines.push(`# HELP ${this.name}_created ${this.help}`, `# TYPE ${this.name}_created gauge`);
        for (const { labels } of this.series.values()) lines.push(`${this.name}_created${labelText(labels)} ${this.created}`);
        return lines;
    }
}

class Summary extends Family {
    private readonly series = new Map<string, { count: number; sum: number }>();

    observe(labels: Labels, value: number): void {
        const key = labelText(labels);
        const { count, sum } = this.series.get(key) ?? { count: 0, sum: 0 };
        this.series.set(key, { count: count + 1, sum: sum + value });
    }

    write(): string[] {
        return [
            `# HELP ${this.name} ${this.help}`,
            `# TYPE ${this.name} summary`,
            ...[...this.series].flatMap(([labels, { count, sum }]) => [`${this.name}_count${labels} ${number(count)}`, `${this.name}_sum${labels} ${number(sum)}`]),
        ];
    }
}

/** Labels in alphabetical order, as prometheus_client writes them. */
function labelText(labels: Labels): string {
    const entries = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
    const escape = (text: string): string => text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
    return entries.length === 0 ? "" : `{${entries.map(([name, value]) => `${name}="${escape(value)}"`).join(",")}}`;
}

/** A number as Python prints a float. */
function number(value: number): string {
    if (value === Infinity) return "+Inf";
    if (Number.isInteger(value) && Math.abs(value) < 1e16) return `${value}.0`;
    return String(value);
}

/** No two processes of one machine start in the same instant: the page of each replica is told apart by this. */
let lastStart = 0;
function uniqueStart(): number {
    lastStart = Math.max(Date.now() / 1000, lastStart + 0.01);
    return Math.round(lastStart * 100) / 100;
}

export interface EngineFacts {
    modelName: string;
    maxModelLen: number;
    blockSize: number;
    numBlocks: number;
    prefixCaching: boolean;
}

/** All families of one replica. */
export function vllmMetrics(facts: EngineFacts) {
    const labels = { engine: "0", model_name: facts.modelName };
    const lengths = upTo(facts.maxModelLen);
    const families: Family[] = [];
    const keep = <T extends Family>(family: T): T => {
        families.push(family);
        return family;
    };
    const gauge = (name: string, help: string): Gauge => keep(new Gauge(name, help));
    const counter = (name: string, help: string): Counter => keep(new Counter(name, help));
    const histogram = (name: string, help: string, buckets: number[]): Histogram => keep(new Histogram(name, help, buckets));

    const process = {
        start: gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
        resident: gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
        virtual: gauge("process_virtual_memory_bytes", "Virtual memory size in bytes."),
        cpu: counter("process_cpu_seconds", "Total user and system CPU time spent in seconds."),
        openFds: gauge("process_open_fds", "Number of open file descriptors."),
        maxFds: gauge("process_max_fds", "Maximum number of open file descriptors."),
        python: gauge("python_info", "Python platform information"),
    };
    process.start.set({}, uniqueStart());
    process.resident.set({}, 1.4e9);
    process.virtual.set({}, 2.1e10);
    process.cpu.add({}, 30);
    process.openFds.set({}, 60);
    process.maxFds.set({}, 1048576);
    process.python.set({ implementation: "CPython", major: "3", minor: "12", patchlevel: "12", version: "3.12.12" }, 1);

    const metrics = {
        running: gauge("vllm:num_requests_running", "Number of requests in model execution batches."),
        waiting: gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed."),
        sleep: gauge("vllm:engine_sleep_state", "Engine sleep state; awake = 0 means engine is sleeping; awake = 1 means engine is awake; weights_offloaded = 1 means sleep level 1; discard_all = 1 means sleep level 2."),
        kvCacheUsage: gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage."),
        prefixQueries: counter("vllm:prefix_cache_queries", "Prefix cache queries, in terms of number of queried tokens."),
        prefixHits: counter("vllm:prefix_cache_hits", "Prefix cache hits, in terms of number of cached tokens."),
        externalQueries: counter("vllm:external_prefix_cache_queries", "External prefix cache queries from KV connector cross-instance cache sharing, in terms of number of queried tokens."),
        externalHits: counter("vllm:external_prefix_cache_hits", "External prefix cache hits from KV connector cross-instance cache sharing, in terms of number of cached tokens."),
        mmQueries: counter("vllm:mm_cache_queries", "Multi-modal cache queries, in terms of number of queried items."),
        mmHits: counter("vllm:mm_cache_hits", "Multi-modal cache hits, in terms of number of cached items."),
        preemptions: counter("vllm:num_preemptions", "Cumulative number of preemption from the engine."),
        promptTokens: counter("vllm:prompt_tokens", "Number of prefill tokens processed."),
        generationTokens: counter("vllm:generation_tokens", "Number of generation tokens processed."),
        success: counter("vllm:request_success", "Count of successfully processed requests."),
        requestPrompt: histogram("vllm:request_prompt_tokens", "Number of prefill tokens processed.", lengths),
        requestGeneration: histogram("vllm:request_generation_tokens", "Number of generation tokens processed.", lengths),
        iterationTokens: histogram("vllm:iteration_tokens_total", "Histogram of number of tokens per engine_step.", iterationBuckets),
        maxGeneration: histogram("vllm:request_max_num_generation_tokens", "Histogram of maximum number of requested generation tokens.", lengths),
        paramsN: histogram("vllm:request_params_n", "Histogram of the n request parameter.", [1, 2, 5, 10, 20]),
        paramsMaxTokens: histogram("vllm:request_params_max_tokens", "Histogram of the max_tokens request parameter.", lengths),
        ttft: histogram("vllm:time_to_first_token_seconds", "Histogram of time to first token in seconds.", ttftBuckets),
        interToken: histogram("vllm:inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", itlBuckets),
        perOutputToken: histogram("vllm:request_time_per_output_token_seconds", "Histogram of time_per_output_token_seconds per request.", itlBuckets),
        e2e: histogram("vllm:e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", requestBuckets),
        queueTime: histogram("vllm:request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", requestBuckets),
        inferenceTime: histogram("vllm:request_inference_time_seconds", "Histogram of time spent in RUNNING phase for request.", requestBuckets),
        prefillTime: histogram("vllm:request_prefill_time_seconds", "Histogram of time spent in PREFILL phase for request.", requestBuckets),
        decodeTime: histogram("vllm:request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.", requestBuckets),
        prefillComputed: histogram("vllm:request_prefill_kv_computed_tokens", "Histogram of new KV tokens computed during prefill (excluding cached tokens).", lengths),
        cacheConfig: gauge("vllm:cache_config_info", "Information of the LLMEngine CacheConfig"),
        http: counter("http_requests", "Total number of requests by method, status and handler."),
        httpHigh: histogram("http_request_duration_highr_seconds", "Latency with many buckets but no API specific labels. Made for more accurate percentile calculations.", httpHighBuckets),
        httpLow: histogram("http_request_duration_seconds", "Latency with only few buckets by handler. Made to be only used if aggregation by handler is important.", [0.1, 0.5, 1]),
        requestSize: keep(new Summary("http_request_size_bytes", "Content length of incoming requests by handler. Only value of header is respected. Otherwise ignored. No percentile calculated.")),
        responseSize: keep(new Summary("http_response_size_bytes", "Content length of outgoing responses by handler. Only value of header is respected. Otherwise ignored. No percentile calculated.")),
    };
    // Everything that does not depend on traffic is there from the start, with 0.
    for (const family of [metrics.running, metrics.waiting, metrics.kvCacheUsage]) family.set(labels, 0);
    for (const [state, value] of [["awake", 1], ["weights_offloaded", 0], ["discard_all", 0]] as const) {
        metrics.sleep.set({ ...labels, sleep_state: state }, value);
    }
    for (const reason of ["stop", "length", "abort", "error"]) metrics.success.add({ ...labels, finished_reason: reason }, 0);
    for (const family of families) {
        if (!family.name.startsWith("vllm:")) continue;
        if (family instanceof Histogram) family.begin(labels);
        else if (family instanceof Counter && family !== metrics.success) family.add(labels, 0);
    }
    metrics.cacheConfig.set(
        {
            engine: "0",
            block_size: String(facts.blockSize),
            cache_dtype: "auto",
            enable_prefix_caching: facts.prefixCaching ? "True" : "False",
            gpu_memory_utilization: "0.9",
            num_gpu_blocks: String(facts.numBlocks),
        },
        1,
    );
    return { ...metrics, labels, page: (): string => families.flatMap((family) => family.write()).join("\n") + "\n" };
}

export type VllmMetrics = ReturnType<typeof vllmMetrics>;
