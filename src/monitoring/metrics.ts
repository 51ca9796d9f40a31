/**
 * The metrics that dashboards, rules and the autoscaler may use, as vLLM 0.13.0 exports them.
 * Anything that names a metric takes it from here, so that nothing is built on one that does not exist.
 */

export type MetricType = "gauge" | "counter" | "histogram";

export interface Metric {
    /** Exposed name; of a histogram the base, to which `_bucket`, `_sum` and `_count` are added. */
    name: string;
    type: MetricType;
    /** Unit as Grafana calls it. */
    unit: "s" | "short" | "percentunit";
    /** Labels besides `model_name` and `engine`. */
    labels?: readonly string[];
    /** The highest value a gauge can take, where there is one. */
    max?: number;
    /** What it measures, for the reader of a panel. */
    meaning: string;
}

export const vllmMetrics = {
    timeToFirstToken: {
        name: "vllm:time_to_first_token_seconds",
        type: "histogram",
        unit: "s",
        meaning: "From the arrival of a request to its first token, time in the queue included.",
    },
    interTokenLatency: {
        name: "vllm:inter_token_latency_seconds",
        type: "histogram",
        unit: "s",
        meaning:
            "Between two consecutive outputs of one request. The buckets begin at 10 ms: below that, trust the mean.",
    },
    e2eRequestLatency: {
        name: "vllm:e2e_request_latency_seconds",
        type: "histogram",
        unit: "s",
        meaning: "From the arrival of a request to its end. Finished requests only.",
    },
    requestSuccess: {
        name: "vllm:request_success_total",
        type: "counter",
        unit: "short",
        labels: ["finished_reason"],
        meaning: "Finished requests by reason: stop and length are successes, abort and error are not.",
    },
    kvCacheUsage: {
        name: "vllm:kv_cache_usage_perc",
        type: "gauge",
        unit: "percentunit",
        max: 1,
        meaning:
            "Share of the KV cache in use, 0 to 1. High alone is healthy; high with preemptions is too little memory.",
    },
    numRequestsRunning: {
        name: "vllm:num_requests_running",
        type: "gauge",
        unit: "short",
        meaning: "Requests in the batch at the engine's last step. The autoscaler follows it.",
    },
    numRequestsWaiting: {
        name: "vllm:num_requests_waiting",
        type: "gauge",
        unit: "short",
        meaning: "Requests in the queue at the engine's last step.",
    },
    numPreemptions: {
        name: "vllm:num_preemptions_total",
        type: "counter",
        unit: "short",
        meaning: "Running requests thrown back into the queue to free KV cache; their work is done again.",
    },
    promptTokens: {
        name: "vllm:prompt_tokens_total",
        type: "counter",
        unit: "short",
        meaning: "Tokens of prompts, cached ones included, counted at the first token of the answer.",
    },
    generationTokens: {
        name: "vllm:generation_tokens_total",
        type: "counter",
        unit: "short",
        meaning: "Tokens generated.",
    },
} as const satisfies Record<string, Metric>;

/** Names of the metrics that the dashboard shows. */
export const dashboardMetrics: string[] = Object.values(vllmMetrics).map(({ name }) => name);

/** What Prometheus itself records about each scrape. */
export const scrapeMetrics = {
    up: { name: "up", type: "gauge", unit: "short", max: 1, meaning: "1 when the last scrape succeeded, else 0." },
} as const satisfies Record<string, Metric>;

/** Every series name that Prometheus holds for these metrics. */
export function seriesNames(metrics: readonly Metric[]): string[] {
    return metrics.flatMap(({ name, type }) =>
        type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    );
}
