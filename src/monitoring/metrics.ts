/**
 * Every metric that may be named in this project: dashboards, rules, autoscaling settings, the relay and the load test
 * take names from here, so that nothing is built on one that does not exist. A wrong name does not compile, and neither
 * does a dashboard or rule on a metric that only some of the supported vLLM versions have.
 *
 * Source: vllm/v1/metrics/loggers.py and vllm/entrypoints/serve/instrumentator/metrics.py of each version's source
 * distribution. A test holds the catalogue to a page written by that code (test/monitoring/metrics-pages).
 */

/** Versions of vLLM whose metrics are known. The first one is what an unknown version is taken for. */
export const vllmVersions = ["0.13.0", "0.33.0"] as const;
export type VllmVersion = (typeof vllmVersions)[number];

export type MetricType = "gauge" | "counter" | "histogram" | "summary";

export interface Metric {
    /** Exposed name; of a histogram or summary the base, to which `_bucket` (histogram), `_sum` and `_count` are added. */
    name: string;
    type: MetricType;
    /** Unit as Grafana calls it. */
    unit: "s" | "short" | "percentunit" | "bytes" | "dateTimeFromNow" | "currencyEUR";
    /** Its own labels; those that the scrape adds are in `targetLabels`. */
    labels: readonly string[];
    /** Upper bounds of a histogram, without +Inf; `upToModelLength`: 1, 2, 5, 10 ... up to the longest context. */
    buckets?: readonly number[] | "upToModelLength";
    /** The highest value a gauge can take, where there is one. */
    max?: number;
    /** The versions that have it, when not all of `vllmVersions` do. */
    only?: readonly VllmVersion[];
    /** What must be switched on for it to exist. */
    when?: string;
    /** What it measures, for the reader of a panel. */
    meaning: string;
}

/**
 * Labels that Prometheus adds to each series of a model. `replica` comes from the relay: without it there is one series
 * for all replicas, that of whichever one answered.
 */
export const targetLabels = ["job", "instance", "replica"] as const;

const engine = ["model_name", "engine"] as const;

const firstToken = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
] as const;
const betweenTokens = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
] as const;
const ofRequest = [
    0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
] as const;
const ofBlock = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800,
] as const;
const perStep = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384] as const;

/** Of the engine: on the page from the start, with 0. `--disable-log-stats` removes them all. */
export const vllmMetrics = {
    timeToFirstToken: {
        name: "vllm:time_to_first_token_seconds",
        type: "histogram",
        unit: "s",
        labels: engine,
        buckets: firstToken,
        meaning: "From the arrival of a request to its first token, time in the queue included.",
    },
    interTokenLatency: {
        name: "vllm:inter_token_latency_seconds",
        type: "histogram",
        unit: "s",
        labels: engine,
        buckets: betweenTokens,
        meaning:
            "Between two consecutive outputs of one request. The buckets begin at 10 ms: below that, trust the mean.",
    },
    e2eRequestLatency: {
        name: "vllm:e2e_request_latency_seconds",
        type: "histogram",
        unit: "s",
        labels: engine,
        buckets: ofRequest,
        meaning: "From the arrival of a request to its end. Finished requests only.",
    },
    requestSuccess: {
        name: "vllm:request_success_total",
        type: "counter",
        unit: "short",
        labels: [...engine, "finished_reason"],
        meaning:
            "Finished requests by reason: stop and length are successes, abort and error are not. A client that hangs " +
            "up is not counted at all.",
    },
    kvCacheUsage: {
        name: "vllm:kv_cache_usage_perc",
        type: "gauge",
        unit: "percentunit",
        labels: engine,
        max: 1,
        meaning:
            "Share of the KV cache in use, 0 to 1. High alone is healthy; high with preemptions is too little memory.",
    },
    numRequestsRunning: {
        name: "vllm:num_requests_running",
        type: "gauge",
        unit: "short",
        labels: engine,
        meaning: "Requests in the batch at the engine's last step. The autoscaler follows it.",
    },
    numRequestsWaiting: {
        name: "vllm:num_requests_waiting",
        type: "gauge",
        unit: "short",
        labels: engine,
        meaning: "Requests in the queue at the engine's last step.",
    },
    numPreemptions: {
        name: "vllm:num_preemptions_total",
        type: "counter",
        unit: "short",
        labels: engine,
        meaning: "Running requests thrown back into the queue to free KV cache; their work is done again.",
    },
    promptTokens: {
        name: "vllm:prompt_tokens_total",
        type: "counter",
        unit: "short",
        labels: engine,
        meaning: "Tokens of prompts, cached ones included, counted at the first token of the answer.",
    },
    generationTokens: {
        name: "vllm:generation_tokens_total",
        type: "counter",
        unit: "short",
        labels: engine,
        meaning: "Tokens generated.",
    },
    engineSleepState: {
        name: "vllm:engine_sleep_state",
        type: "gauge",
        unit: "short",
        labels: [...engine, "sleep_state"],
        max: 1,
        meaning: "1 for the state that the engine is in: awake, weights_offloaded or discard_all.",
    },
    prefixCacheQueries: {
        name: "vllm:prefix_cache_queries_total",
        type: "counter",
        unit: "short",
        labels: engine,
        meaning: "Prompt tokens looked up in the prefix cache.",
    },
    prefixCacheHits: {
        name: "vllm:prefix_cache_hits_total",
        type: "counter",
        unit: "short",
        labels: engine,
        meaning: "Prompt tokens found in the prefix cache, in whole blocks.",
    },
    externalPrefixCacheQueries: {
        name: "vllm:external_prefix_cache_queries_total",
        type: "counter",
        unit: "short",
        labels: engine,
        meaning: "Prompt tokens looked up through a KV connector; 0 without one.",
    },
    externalPrefixCacheHits: {
        name: "vllm:external_prefix_cache_hits_total",
        type: "counter",
        unit: "short",
        labels: engine,
        meaning: "Prompt tokens found through a KV connector; 0 without one.",
    },
    mmCacheQueries: {
        name: "vllm:mm_cache_queries_total",
        type: "counter",
        unit: "short",
        labels: engine,
        meaning: "Images and other items looked up in the cache of processed inputs.",
    },
    mmCacheHits: {
        name: "vllm:mm_cache_hits_total",
        type: "counter",
        unit: "short",
        labels: engine,
        meaning: "Images and other items found in the cache of processed inputs.",
    },
    requestPromptTokens: {
        name: "vllm:request_prompt_tokens",
        type: "histogram",
        unit: "short",
        labels: engine,
        buckets: "upToModelLength",
        meaning: "Prompt tokens of each finished request.",
    },
    requestGenerationTokens: {
        name: "vllm:request_generation_tokens",
        type: "histogram",
        unit: "short",
        labels: engine,
        buckets: "upToModelLength",
        meaning: "Generated tokens of each finished request.",
    },
    iterationTokens: {
        // A histogram, whatever its name says.
        name: "vllm:iteration_tokens_total",
        type: "histogram",
        unit: "short",
        labels: engine,
        buckets: perStep,
        meaning: "Tokens, of prompts and generated, that one step of the engine worked on.",
    },
    requestMaxNumGenerationTokens: {
        name: "vllm:request_max_num_generation_tokens",
        type: "histogram",
        unit: "short",
        labels: engine,
        buckets: "upToModelLength",
        meaning: "Generated tokens of the longest of a request's n answers.",
    },
    requestParamsN: {
        name: "vllm:request_params_n",
        type: "histogram",
        unit: "short",
        labels: engine,
        buckets: [1, 2, 5, 10, 20],
        meaning: "Answers asked for (n).",
    },
    requestParamsMaxTokens: {
        name: "vllm:request_params_max_tokens",
        type: "histogram",
        unit: "short",
        labels: engine,
        buckets: "upToModelLength",
        meaning: "Longest answer asked for (max_tokens), of requests that set it.",
    },
    requestTimePerOutputToken: {
        name: "vllm:request_time_per_output_token_seconds",
        type: "histogram",
        unit: "s",
        labels: engine,
        buckets: betweenTokens,
        meaning: "Mean time per token after the first one, of each finished request.",
    },
    requestQueueTime: {
        name: "vllm:request_queue_time_seconds",
        type: "histogram",
        unit: "s",
        labels: engine,
        buckets: ofRequest,
        meaning: "Time in the queue until a request was first scheduled. The buckets begin at 300 ms: see the mean.",
    },
    requestPrefillTime: {
        name: "vllm:request_prefill_time_seconds",
        type: "histogram",
        unit: "s",
        labels: engine,
        buckets: ofRequest,
        meaning: "From the first scheduling to the first token: the prompt is worked through.",
    },
    requestDecodeTime: {
        name: "vllm:request_decode_time_seconds",
        type: "histogram",
        unit: "s",
        labels: engine,
        buckets: ofRequest,
        meaning: "From the first to the last token, preemptions included.",
    },
    requestInferenceTime: {
        name: "vllm:request_inference_time_seconds",
        type: "histogram",
        unit: "s",
        labels: engine,
        buckets: ofRequest,
        meaning: "From the first scheduling to the last token.",
    },
    requestPrefillKvComputedTokens: {
        name: "vllm:request_prefill_kv_computed_tokens",
        type: "histogram",
        unit: "short",
        labels: engine,
        buckets: "upToModelLength",
        meaning: "Prompt tokens of each finished request that were computed, not taken from the cache.",
    },
    cacheConfigInfo: {
        name: "vllm:cache_config_info",
        type: "gauge",
        unit: "short",
        // And every other field of the version's cache configuration.
        labels: ["engine", "block_size", "num_gpu_blocks", "cache_dtype", "enable_prefix_caching"],
        max: 1,
        meaning: "1; the labels are the configuration of the KV cache.",
    },
    numRequestsWaitingByReason: {
        name: "vllm:num_requests_waiting_by_reason",
        type: "gauge",
        unit: "short",
        labels: [...engine, "reason"],
        only: ["0.33.0"],
        meaning: "Requests in the queue by what they wait for: capacity, or deferred.",
    },
    promptTokensBySource: {
        name: "vllm:prompt_tokens_by_source_total",
        type: "counter",
        unit: "short",
        labels: [...engine, "source"],
        only: ["0.33.0"],
        meaning: "Prompt tokens by where they came from: computed, the local cache, another instance.",
    },
    promptTokensCached: {
        name: "vllm:prompt_tokens_cached_total",
        type: "counter",
        unit: "short",
        labels: engine,
        only: ["0.33.0"],
        meaning: "Prompt tokens that were not computed.",
    },
    promptTokensCachedBySource: {
        name: "vllm:prompt_tokens_cached_by_source_total",
        type: "counter",
        unit: "short",
        labels: [...engine, "source"],
        only: ["0.33.0"],
        meaning: "Prompt tokens that were not computed, by the cache that had them.",
    },
    admissionRejections: {
        name: "vllm:admission_rejections_total",
        type: "counter",
        unit: "short",
        labels: ["model_name", "reason"],
        only: ["0.33.0"],
        meaning: "Requests refused because the queue was at its limit.",
    },
    requestNumPreemptions: {
        name: "vllm:request_num_preemptions",
        type: "histogram",
        unit: "short",
        labels: engine,
        buckets: [1, 2, 3, 4, 5, 10, 20],
        only: ["0.33.0"],
        meaning: "How often each finished request was preempted.",
    },
    estimatedFlopsPerGpu: {
        name: "vllm:estimated_flops_per_gpu_total",
        type: "counter",
        unit: "short",
        labels: engine,
        only: ["0.33.0"],
        meaning: "Floating-point operations per GPU, estimated from the model's shape; 0 unless asked for.",
    },
    estimatedReadBytesPerGpu: {
        name: "vllm:estimated_read_bytes_per_gpu_total",
        type: "counter",
        unit: "bytes",
        labels: engine,
        only: ["0.33.0"],
        meaning: "Bytes read from memory per GPU, estimated from the model's shape; 0 unless asked for.",
    },
    estimatedWriteBytesPerGpu: {
        name: "vllm:estimated_write_bytes_per_gpu_total",
        type: "counter",
        unit: "bytes",
        labels: engine,
        only: ["0.33.0"],
        meaning: "Bytes written to memory per GPU, estimated from the model's shape; 0 unless asked for.",
    },
} as const satisfies Record<string, Metric>;

/** Of the engine, there only with an option that this project does not set by itself. */
export const conditionalMetrics = {
    corruptedRequests: {
        name: "vllm:corrupted_requests_total",
        type: "counter",
        unit: "short",
        labels: engine,
        when: "VLLM_COMPUTE_NANS_IN_LOGITS=1",
        meaning: "Requests whose logits held NaN.",
    },
    kvBlockLifetime: {
        name: "vllm:kv_block_lifetime_seconds",
        type: "histogram",
        unit: "s",
        labels: engine,
        buckets: ofBlock,
        when: "--kv-cache-metrics",
        meaning: "Life of a block of the KV cache, of a sample of the blocks.",
    },
    kvBlockIdleBeforeEvict: {
        name: "vllm:kv_block_idle_before_evict_seconds",
        type: "histogram",
        unit: "s",
        labels: engine,
        buckets: ofBlock,
        when: "--kv-cache-metrics",
        meaning: "Time without use before a block was evicted, of a sample of the blocks.",
    },
    kvBlockReuseGap: {
        name: "vllm:kv_block_reuse_gap_seconds",
        type: "histogram",
        unit: "s",
        labels: engine,
        buckets: ofBlock,
        when: "--kv-cache-metrics",
        meaning: "Time between two uses of a block, of a sample of the blocks.",
    },
    loraRequestsInfo: {
        name: "vllm:lora_requests_info",
        type: "gauge",
        unit: "short",
        labels: ["max_lora", "waiting_lora_adapters", "running_lora_adapters"],
        when: "--enable-lora",
        meaning: "The time of the last change; the labels name the adapters.",
    },
    specDecodeNumDrafts: {
        name: "vllm:spec_decode_num_drafts_total",
        type: "counter",
        unit: "short",
        labels: engine,
        when: "--speculative-config",
        meaning: "Drafts proposed.",
    },
    specDecodeNumDraftTokens: {
        name: "vllm:spec_decode_num_draft_tokens_total",
        type: "counter",
        unit: "short",
        labels: engine,
        when: "--speculative-config",
        meaning: "Tokens of drafts.",
    },
    specDecodeNumAcceptedTokens: {
        name: "vllm:spec_decode_num_accepted_tokens_total",
        type: "counter",
        unit: "short",
        labels: engine,
        when: "--speculative-config",
        meaning: "Tokens of drafts that were accepted.",
    },
    specDecodeNumAcceptedTokensPerPos: {
        name: "vllm:spec_decode_num_accepted_tokens_per_pos_total",
        type: "counter",
        unit: "short",
        labels: [...engine, "position"],
        when: "--speculative-config",
        meaning: "Tokens of drafts that were accepted, by their position.",
    },
    nixlXferTime: {
        name: "vllm:nixl_xfer_time_seconds",
        type: "histogram",
        unit: "s",
        labels: engine,
        when: "the NIXL connector",
        meaning: "Time of a KV transfer.",
    },
    nixlPostTime: {
        name: "vllm:nixl_post_time_seconds",
        type: "histogram",
        unit: "s",
        labels: engine,
        when: "the NIXL connector",
        meaning: "Time to post a KV transfer.",
    },
    nixlBytesTransferred: {
        name: "vllm:nixl_bytes_transferred",
        type: "histogram",
        unit: "bytes",
        labels: engine,
        when: "the NIXL connector",
        meaning: "Bytes of a KV transfer.",
    },
    nixlNumDescriptors: {
        name: "vllm:nixl_num_descriptors",
        type: "histogram",
        unit: "short",
        labels: engine,
        when: "the NIXL connector",
        meaning: "Descriptors of a KV transfer.",
    },
    nixlNumFailedTransfers: {
        name: "vllm:nixl_num_failed_transfers_total",
        type: "counter",
        unit: "short",
        labels: engine,
        when: "the NIXL connector",
        meaning: "KV transfers that failed.",
    },
    nixlNumFailedNotifications: {
        name: "vllm:nixl_num_failed_notifications_total",
        type: "counter",
        unit: "short",
        labels: engine,
        when: "the NIXL connector",
        meaning: "Notifications of KV transfers that failed.",
    },
    timePerOutputToken: {
        name: "vllm:time_per_output_token_seconds",
        type: "histogram",
        unit: "s",
        labels: engine,
        buckets: betweenTokens,
        only: ["0.13.0"],
        when: "--show-hidden-metrics-for-version=0.12",
        meaning: "The old name of vllm:inter_token_latency_seconds.",
    },
} as const satisfies Record<string, Metric>;

const httpFine = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60,
] as const;

/**
 * Of the HTTP server and its process, which is not the engine's. Series with labels appear with the first request.
 * Probes and /metrics itself are not counted; a streamed answer is 2xx as soon as it starts.
 */
export const serverMetrics = {
    httpRequests: {
        name: "http_requests_total",
        type: "counter",
        unit: "short",
        labels: ["handler", "method", "status"],
        meaning: "Answered requests by status class (2xx, 4xx, 5xx). Refused ones (4xx) are counted here only.",
    },
    httpRequestDurationFine: {
        name: "http_request_duration_highr_seconds",
        type: "histogram",
        unit: "s",
        labels: [],
        buckets: httpFine,
        meaning: "Time of a request of any kind, streaming included.",
    },
    httpRequestDuration: {
        name: "http_request_duration_seconds",
        type: "histogram",
        unit: "s",
        labels: ["handler", "method"],
        buckets: [0.1, 0.5, 1],
        meaning: "Time of a request; the buckets are too coarse for percentiles.",
    },
    httpRequestSize: {
        name: "http_request_size_bytes",
        type: "summary",
        unit: "bytes",
        labels: ["handler"],
        meaning: "Size of requests, by their header.",
    },
    httpResponseSize: {
        name: "http_response_size_bytes",
        type: "summary",
        unit: "bytes",
        labels: ["handler"],
        meaning: "Size of answers, by their header; a streamed answer counts 0.",
    },
    processStartTime: {
        name: "process_start_time_seconds",
        type: "gauge",
        unit: "dateTimeFromNow",
        labels: [],
        meaning: "When the server process started: it tells replicas apart.",
    },
    processCpu: {
        name: "process_cpu_seconds_total",
        type: "counter",
        unit: "s",
        labels: [],
        meaning: "CPU time of the server process.",
    },
    processResidentMemory: {
        name: "process_resident_memory_bytes",
        type: "gauge",
        unit: "bytes",
        labels: [],
        meaning: "Memory of the server process.",
    },
    processVirtualMemory: {
        name: "process_virtual_memory_bytes",
        type: "gauge",
        unit: "bytes",
        labels: [],
        meaning: "Address space of the server process.",
    },
    processOpenFds: {
        name: "process_open_fds",
        type: "gauge",
        unit: "short",
        labels: [],
        meaning: "Open file descriptors of the server process, one for each connection among them.",
    },
    processMaxFds: {
        name: "process_max_fds",
        type: "gauge",
        unit: "short",
        labels: [],
        meaning: "File descriptors that the server process may open.",
    },
    pythonInfo: {
        name: "python_info",
        type: "gauge",
        unit: "short",
        labels: ["implementation", "major", "minor", "patchlevel", "version"],
        max: 1,
        meaning: "1; the labels are the version of Python.",
    },
    pythonGcObjectsCollected: {
        name: "python_gc_objects_collected_total",
        type: "counter",
        unit: "short",
        labels: ["generation"],
        meaning: "Objects that the garbage collector freed.",
    },
    pythonGcObjectsUncollectable: {
        name: "python_gc_objects_uncollectable_total",
        type: "counter",
        unit: "short",
        labels: ["generation"],
        meaning: "Objects that the garbage collector could not free.",
    },
    pythonGcCollections: {
        name: "python_gc_collections_total",
        type: "counter",
        unit: "short",
        labels: ["generation"],
        meaning: "Runs of the garbage collector.",
    },
} as const satisfies Record<string, Metric>;

/** What is asked for but does not exist in any supported version, and what to use. */
export const goneMetrics: Record<string, string> = {
    "vllm:gpu_cache_usage_perc": "vllm:kv_cache_usage_perc, since 0.12",
    "vllm:gpu_prefix_cache_queries_total": "vllm:prefix_cache_queries_total, since 0.12",
    "vllm:gpu_prefix_cache_hits_total": "vllm:prefix_cache_hits_total, since 0.12",
    "vllm:gpu_prefix_cache_hit_rate": "the rates of vllm:prefix_cache_hits_total and vllm:prefix_cache_queries_total",
    "vllm:num_requests_swapped": "vllm:num_preemptions_total: requests are computed again instead of swapped",
    "vllm:cpu_cache_usage_perc": "vllm:kv_cache_usage_perc: there is one cache",
    "vllm:time_in_queue_requests": "vllm:request_queue_time_seconds",
    "vllm:avg_prompt_throughput_toks_per_s": "the rate of vllm:prompt_tokens_total",
    "vllm:avg_generation_throughput_toks_per_s": "the rate of vllm:generation_tokens_total",
};

/** What Prometheus itself records about each scrape. */
export const scrapeMetrics = {
    up: {
        name: "up",
        type: "gauge",
        unit: "short",
        // Of the relays' jobs.
        labels: ["model"],
        max: 1,
        meaning: "1 when the last scrape succeeded, else 0.",
    },
    duration: {
        name: "scrape_duration_seconds",
        type: "gauge",
        unit: "s",
        labels: [],
        meaning: "How long the last scrape took.",
    },
    samples: {
        name: "scrape_samples_scraped",
        type: "gauge",
        unit: "short",
        labels: [],
        meaning: "Series that the last scrape brought in.",
    },
} as const satisfies Record<string, Metric>;

/** What the replica relay says of itself (src/monitoring/relay). There only for models that it scrapes. */
export const relayMetrics = {
    replicas: {
        name: "vllm_relay_replicas",
        type: "gauge",
        unit: "short",
        labels: ["model"],
        when: "the relay",
        meaning: "Replicas that the relay knows, and whose series it passes on.",
    },
    replicasMin: {
        name: "vllm_relay_replicas_min",
        type: "gauge",
        unit: "short",
        labels: ["model"],
        when: "the relay",
        meaning: "Fewest replicas, as the relay was told.",
    },
    replicasMax: {
        name: "vllm_relay_replicas_max",
        type: "gauge",
        unit: "short",
        labels: ["model"],
        when: "the relay",
        meaning: "Most replicas, as the relay was told.",
    },
    blind: {
        name: "vllm_relay_blind",
        type: "gauge",
        unit: "short",
        labels: ["model"],
        max: 1,
        when: "the relay",
        meaning: "1 when the relay knows that it misses replicas.",
    },
    spreadSeen: {
        name: "vllm_relay_spread_seen",
        type: "gauge",
        unit: "short",
        labels: ["model"],
        max: 1,
        when: "the relay",
        meaning: "1 once two replicas were seen in one round: the balancer spreads connections.",
    },
    unseenProbability: {
        name: "vllm_relay_unseen_probability",
        type: "gauge",
        unit: "percentunit",
        labels: ["model"],
        max: 1,
        when: "the relay",
        meaning: "Chance that the last round missed a replica, if connections are spread evenly.",
    },
    sampleAge: {
        name: "vllm_relay_sample_age_seconds",
        type: "gauge",
        unit: "s",
        labels: ["model"],
        when: "the relay",
        meaning: "Age of what the relay tells of a replica.",
    },
    roundRequests: {
        name: "vllm_relay_round_requests",
        type: "gauge",
        unit: "short",
        labels: ["model"],
        when: "the relay",
        meaning: "Requests that the last round took to see every replica.",
    },
    roundDuration: {
        name: "vllm_relay_round_duration_seconds",
        type: "gauge",
        unit: "s",
        labels: ["model"],
        when: "the relay",
        meaning: "Time that the last round took.",
    },
    rounds: {
        name: "vllm_relay_rounds_total",
        type: "counter",
        unit: "short",
        labels: ["model", "result"],
        when: "the relay",
        meaning: "Rounds by result: complete, incomplete, failed.",
    },
    requests: {
        name: "vllm_relay_requests_total",
        type: "counter",
        unit: "short",
        labels: ["model"],
        when: "the relay",
        meaning: "Requests that the relay made to the app.",
    },
    failures: {
        name: "vllm_relay_failures_total",
        type: "counter",
        unit: "short",
        labels: ["model", "kind"],
        when: "the relay",
        meaning: "Requests of the relay that brought nothing, by kind: unauthorized, timeout, connection and others.",
    },
    lastSuccess: {
        name: "vllm_relay_last_success_timestamp_seconds",
        type: "gauge",
        unit: "dateTimeFromNow",
        labels: ["model"],
        when: "the relay",
        meaning: "End of the last round in which a replica answered.",
    },
    certificateExpiry: {
        name: "vllm_relay_certificate_expiry_timestamp_seconds",
        type: "gauge",
        unit: "dateTimeFromNow",
        labels: ["model"],
        when: "the relay",
        meaning: "End of the certificate of the app's address.",
    },
} as const satisfies Record<string, Metric>;

/** Of Prometheus, Alertmanager and the cluster's nodes: whether alerts can be raised and delivered. */
export const platformMetrics = {
    alerts: {
        name: "ALERTS",
        type: "gauge",
        unit: "short",
        labels: ["alertname", "alertstate", "severity", "model"],
        max: 1,
        meaning: "1 for each alert that is pending or firing.",
    },
    notificationsSent: {
        name: "prometheus_notifications_sent_total",
        type: "counter",
        unit: "short",
        labels: ["alertmanager"],
        meaning: "Alerts that Prometheus handed to Alertmanager.",
    },
    notificationsDropped: {
        name: "prometheus_notifications_dropped_total",
        type: "counter",
        unit: "short",
        labels: [],
        meaning: "Alerts that Prometheus could not hand to Alertmanager and gave up.",
    },
    ruleFailures: {
        name: "prometheus_rule_evaluation_failures_total",
        type: "counter",
        unit: "short",
        labels: ["rule_group"],
        meaning: "Rules that could not be evaluated.",
    },
    headSeries: {
        name: "prometheus_tsdb_head_series",
        type: "gauge",
        unit: "short",
        labels: [],
        meaning: "Series in Prometheus' memory.",
    },
    blocksBytes: {
        name: "prometheus_tsdb_storage_blocks_bytes",
        type: "gauge",
        unit: "bytes",
        labels: [],
        meaning: "Size of the blocks on Prometheus' disk; its log and newest block come on top.",
    },
    retentionLimitBytes: {
        name: "prometheus_tsdb_retention_limit_bytes",
        type: "gauge",
        unit: "bytes",
        labels: [],
        meaning: "Size at which Prometheus drops its oldest block; 0 when there is no limit.",
    },
    deliveries: {
        name: "alertmanager_notifications_total",
        type: "counter",
        unit: "short",
        labels: ["integration", "receiver_name"],
        meaning: "Notifications that Alertmanager tried to deliver.",
    },
    deliveriesFailed: {
        name: "alertmanager_notifications_failed_total",
        type: "counter",
        unit: "short",
        labels: ["integration", "receiver_name", "reason"],
        meaning: "Notifications that Alertmanager could not deliver.",
    },
    volumeAvailable: {
        name: "kubelet_volume_stats_available_bytes",
        type: "gauge",
        unit: "bytes",
        labels: ["namespace", "persistentvolumeclaim"],
        meaning: "Free space of a volume.",
    },
    volumeCapacity: {
        name: "kubelet_volume_stats_capacity_bytes",
        type: "gauge",
        unit: "bytes",
        labels: ["namespace", "persistentvolumeclaim"],
        meaning: "Size of a volume.",
    },
} as const satisfies Record<string, Metric>;

const model = ["model"] as const;

/** What the recording rules make (rules.ts): one series for each model of the stack, labelled with its name there. */
export const recordedMetrics = {
    info: {
        name: "model:info",
        type: "gauge",
        unit: "short",
        labels: [...model, "app", "region", "image", "runbooks"],
        max: 1,
        meaning: "1; the labels tell the app's id and region, the image, and where the runbooks are.",
    },
    firstTokenTarget: {
        name: "model:time_to_first_token_target:seconds",
        type: "gauge",
        unit: "s",
        labels: model,
        meaning: "Target for the time to first token, from the stack config.",
    },
    interTokenTarget: {
        name: "model:inter_token_latency_target:seconds",
        type: "gauge",
        unit: "s",
        labels: model,
        meaning: "Target for the inter-token latency, from the stack config.",
    },
    withinTargetsObjective: {
        name: "model:within_targets_objective:ratio",
        type: "gauge",
        unit: "percentunit",
        labels: model,
        max: 1,
        meaning: "Share of the observations that is to be within the latency targets, from the stack config.",
    },
    errorBudget: {
        name: "model:error_budget:ratio",
        type: "gauge",
        unit: "percentunit",
        labels: model,
        max: 1,
        meaning: "Share of the requests that may fail, from the stack config.",
    },
    scalingTarget: {
        name: "model:scaling_target:value",
        type: "gauge",
        unit: "short",
        labels: model,
        meaning: "Value of the scaling metric above which the platform adds replicas, from the stack config.",
    },
    scalingValue: {
        name: "model:scaling_metric:value",
        type: "gauge",
        unit: "short",
        labels: model,
        meaning: "The scaling metric over all replicas, aggregated as the platform does.",
    },
    maxNumSeqs: {
        name: "model:max_num_seqs:requests",
        type: "gauge",
        unit: "short",
        labels: model,
        meaning: "Requests that one replica runs at once at most (max-num-seqs); more wait.",
    },
    replicasMin: {
        name: "model:replicas_min:count",
        type: "gauge",
        unit: "short",
        labels: model,
        meaning: "Fewest replicas, from the stack config.",
    },
    replicasMax: {
        name: "model:replicas_max:count",
        type: "gauge",
        unit: "short",
        labels: model,
        meaning: "Most replicas, from the stack config.",
    },
    replicaPrice: {
        name: "model:replica_price:euros_per_hour",
        type: "gauge",
        unit: "currencyEUR",
        labels: model,
        when: "models.<name>.replicaPrice",
        meaning: "Price of one replica for an hour, from the stack config.",
    },
    replicas: {
        name: "model:replicas:count",
        type: "gauge",
        unit: "short",
        labels: model,
        meaning: "Replicas whose metrics were read at the last scrape.",
    },
    running: {
        name: "model:requests_running:sum",
        type: "gauge",
        unit: "short",
        labels: model,
        meaning: "Requests being worked on, over all replicas.",
    },
    waiting: {
        name: "model:requests_waiting:sum",
        type: "gauge",
        unit: "short",
        labels: model,
        meaning: "Requests in the queue, over all replicas.",
    },
    ...windowed("errors", "model:request_errors:ratio_rate", "Share of the requests that failed on the server (5xx)."),
    ...windowed(
        "firstTokenSlow",
        "model:time_to_first_token_slow:ratio_rate",
        "Share of the first tokens over target.",
    ),
    ...windowed("interTokenSlow", "model:inter_token_latency_slow:ratio_rate", "Share of the tokens over target."),
} as const satisfies Record<string, Metric>;

/** The windows over which budgets are watched: two for what burns fast, two for what burns slowly. */
export type Window = "5m" | "30m" | "1h" | "6h";

/** A ratio recorded over each of the windows. */
function windowed<Key extends string, Name extends string>(key: Key, name: Name, meaning: string) {
    const windows: Window[] = ["5m", "30m", "1h", "6h"];
    const metrics = windows.map((window) => [
        `${key}${window}`,
        { name: `${name}${window}`, type: "gauge", unit: "percentunit", labels: model, max: 1, meaning },
    ]);
    return Object.fromEntries(metrics) as {
        [W in Window as `${Key}${W}`]: {
            name: `${Name}${W}`;
            type: "gauge";
            unit: "percentunit";
            labels: typeof model;
            max: 1;
            meaning: string;
        };
    };
}

/** Names of the ten metrics that the reference architecture shows. */
export const dashboardMetrics: string[] = [
    vllmMetrics.timeToFirstToken,
    vllmMetrics.interTokenLatency,
    vllmMetrics.e2eRequestLatency,
    vllmMetrics.requestSuccess,
    vllmMetrics.kvCacheUsage,
    vllmMetrics.numRequestsRunning,
    vllmMetrics.numRequestsWaiting,
    vllmMetrics.numPreemptions,
    vllmMetrics.promptTokens,
    vllmMetrics.generationTokens,
].map(({ name }) => name);

/** Every series name that Prometheus holds for these metrics. */
export function seriesNames(metrics: readonly Metric[]): string[] {
    return metrics.flatMap(({ name, type }) => {
        if (type === "histogram") return [`${name}_bucket`, `${name}_sum`, `${name}_count`];
        return type === "summary" ? [`${name}_sum`, `${name}_count`] : [name];
    });
}

/** The metrics on the page of a vLLM version, conditional ones left out. */
export function metricsOf(version: VllmVersion): Metric[] {
    const all: Metric[] = [...Object.values(vllmMetrics), ...Object.values(serverMetrics)];
    return all.filter(({ only }) => !only || only.includes(version));
}

/** The vLLM version that an image's tag names; undefined when it is none of the known ones. */
export function vllmVersionOf(image: string): VllmVersion | undefined {
    const tag = /:v?(\d+\.\d+\.\d+)[^/]*$/.exec(image)?.[1];
    return vllmVersions.find((version) => version === tag);
}
