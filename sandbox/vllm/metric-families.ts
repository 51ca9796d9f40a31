/**
 * The families on the `/metrics` page of vLLM v0.13.0, in the order of their registration: names, help texts and buckets
 * as in vllm/v1/metrics/loggers.py at that tag, prometheus-fastapi-instrumentator 7.1 and prometheus_client 0.23.
 */

export interface FamilySpec {
    /** Without the suffix of its type: a counter `x` is exposed as `x_total`. */
    name: string;
    type: "counter" | "gauge" | "histogram" | "summary";
    help: string;
    /** Upper bounds; "length": 1, 2, 5, 10 ... up to the longest context. */
    buckets?: readonly number[] | "length";
    /** A counter or gauge that a collector makes afresh at each scrape has no `_created`. */
    created?: false;
    /** Only with `--show-hidden-metrics-for-version=0.12`. */
    hidden?: true;
}

const counter = (name: string, help: string): FamilySpec => ({ name, type: "counter", help });
const gauge = (name: string, help: string): FamilySpec => ({ name, type: "gauge", help });
const histogram = (name: string, help: string, buckets: FamilySpec["buckets"]): FamilySpec => ({
    name,
    type: "histogram",
    help,
    buckets,
});
const summary = (name: string, help: string): FamilySpec => ({ name, type: "summary", help });
const collected = (spec: FamilySpec): FamilySpec => ({ ...spec, created: false });

const firstToken = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
];
const betweenTokens = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80];
const ofRequest = [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680];
const perStep = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384];
const httpFine = [0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60];

/** Of the Python process that serves HTTP. */
export const processFamilies = {
    gcCollected: collected(counter("python_gc_objects_collected", "Objects collected during gc")),
    gcUncollectable: collected(counter("python_gc_objects_uncollectable", "Uncollectable objects found during GC")),
    gcCollections: collected(counter("python_gc_collections", "Number of times this generation was collected")),
    python: gauge("python_info", "Python platform information"),
    virtualMemory: gauge("process_virtual_memory_bytes", "Virtual memory size in bytes."),
    residentMemory: gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
    startTime: gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
    cpu: collected(counter("process_cpu_seconds", "Total user and system CPU time spent in seconds.")),
    openFds: gauge("process_open_fds", "Number of open file descriptors."),
    maxFds: gauge("process_max_fds", "Maximum number of open file descriptors."),
};

/** Of the engine: labelled `model_name` and `engine`, there from the start with 0. `--disable-log-stats` removes them. */
export const engineFamilies = {
    running: gauge("vllm:num_requests_running", "Number of requests in model execution batches."),
    waiting: gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed."),
    /** Label `sleep_state`. */
    sleepState: gauge(
        "vllm:engine_sleep_state",
        "Engine sleep state; awake = 0 means engine is sleeping; awake = 1 means engine is awake; weights_offloaded = 1 means sleep level 1; discard_all = 1 means sleep level 2.",
    ),
    kvCacheUsage: gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage."),
    prefixQueries: counter("vllm:prefix_cache_queries", "Prefix cache queries, in terms of number of queried tokens."),
    prefixHits: counter("vllm:prefix_cache_hits", "Prefix cache hits, in terms of number of cached tokens."),
    externalPrefixQueries: counter(
        "vllm:external_prefix_cache_queries",
        "External prefix cache queries from KV connector cross-instance cache sharing, in terms of number of queried tokens.",
    ),
    externalPrefixHits: counter(
        "vllm:external_prefix_cache_hits",
        "External prefix cache hits from KV connector cross-instance cache sharing, in terms of number of cached tokens.",
    ),
    mmQueries: counter("vllm:mm_cache_queries", "Multi-modal cache queries, in terms of number of queried items."),
    mmHits: counter("vllm:mm_cache_hits", "Multi-modal cache hits, in terms of number of cached items."),
    preemptions: counter("vllm:num_preemptions", "Cumulative number of preemption from the engine."),
    promptTokens: counter("vllm:prompt_tokens", "Number of prefill tokens processed."),
    generationTokens: counter("vllm:generation_tokens", "Number of generation tokens processed."),
    /** Label `finished_reason`. */
    success: counter("vllm:request_success", "Count of successfully processed requests."),
    requestPromptTokens: histogram("vllm:request_prompt_tokens", "Number of prefill tokens processed.", "length"),
    requestGenerationTokens: histogram(
        "vllm:request_generation_tokens",
        "Number of generation tokens processed.",
        "length",
    ),
    iterationTokens: histogram(
        "vllm:iteration_tokens_total",
        "Histogram of number of tokens per engine_step.",
        perStep,
    ),
    maxGenerationTokens: histogram(
        "vllm:request_max_num_generation_tokens",
        "Histogram of maximum number of requested generation tokens.",
        "length",
    ),
    paramsN: histogram("vllm:request_params_n", "Histogram of the n request parameter.", [1, 2, 5, 10, 20]),
    paramsMaxTokens: histogram(
        "vllm:request_params_max_tokens",
        "Histogram of the max_tokens request parameter.",
        "length",
    ),
    timeToFirstToken: histogram(
        "vllm:time_to_first_token_seconds",
        "Histogram of time to first token in seconds.",
        firstToken,
    ),
    hiddenTimePerOutputToken: {
        ...histogram(
            "vllm:time_per_output_token_seconds",
            "Histogram of time per output token in seconds.DEPRECATED: Use vllm:inter_token_latency_seconds instead.",
            betweenTokens,
        ),
        hidden: true,
    } as FamilySpec,
    interTokenLatency: histogram(
        "vllm:inter_token_latency_seconds",
        "Histogram of inter-token latency in seconds.",
        betweenTokens,
    ),
    timePerOutputToken: histogram(
        "vllm:request_time_per_output_token_seconds",
        "Histogram of time_per_output_token_seconds per request.",
        betweenTokens,
    ),
    e2eLatency: histogram(
        "vllm:e2e_request_latency_seconds",
        "Histogram of e2e request latency in seconds.",
        ofRequest,
    ),
    queueTime: histogram(
        "vllm:request_queue_time_seconds",
        "Histogram of time spent in WAITING phase for request.",
        ofRequest,
    ),
    inferenceTime: histogram(
        "vllm:request_inference_time_seconds",
        "Histogram of time spent in RUNNING phase for request.",
        ofRequest,
    ),
    prefillTime: histogram(
        "vllm:request_prefill_time_seconds",
        "Histogram of time spent in PREFILL phase for request.",
        ofRequest,
    ),
    decodeTime: histogram(
        "vllm:request_decode_time_seconds",
        "Histogram of time spent in DECODE phase for request.",
        ofRequest,
    ),
    prefillKvComputed: histogram(
        "vllm:request_prefill_kv_computed_tokens",
        "Histogram of new KV tokens computed during prefill (excluding cached tokens).",
        "length",
    ),
    /** No `model_name`; the cache's configuration as labels. */
    cacheConfig: gauge("vllm:cache_config_info", "Information of the LLMEngine CacheConfig"),
};

/** Of HTTP requests; probes and `/metrics` itself are not counted. */
export const httpFamilies = {
    requests: counter("http_requests", "Total number of requests by method, status and handler."),
    requestSize: summary(
        "http_request_size_bytes",
        "Content length of incoming requests by handler. Only value of header is respected. Otherwise ignored. No percentile calculated. ",
    ),
    responseSize: summary(
        "http_response_size_bytes",
        "Content length of outgoing responses by handler. Only value of header is respected. Otherwise ignored. No percentile calculated. ",
    ),
    durationFine: histogram(
        "http_request_duration_highr_seconds",
        "Latency with many buckets but no API specific labels. Made for more accurate percentile calculations. ",
        httpFine,
    ),
    duration: histogram(
        "http_request_duration_seconds",
        "Latency with only few buckets by handler. Made to be only used if aggregation by handler is important. ",
        [0.1, 0.5, 1],
    ),
};
