import { engine, type Metric } from "./metric";

/** Requests: how many run, wait and end, and what they ask for. */
export const requestMetrics = {
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
    numRequestsWaitingByReason: {
        name: "vllm:num_requests_waiting_by_reason",
        type: "gauge",
        unit: "short",
        labels: [...engine, "reason"],
        only: ["0.33.0"],
        meaning: "Requests in the queue by what they wait for: capacity, or deferred.",
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
    admissionRejections: {
        name: "vllm:admission_rejections_total",
        type: "counter",
        unit: "short",
        labels: ["model_name", "reason"],
        only: ["0.33.0"],
        meaning: "Requests refused because the queue was at its limit.",
    },
    numPreemptions: {
        name: "vllm:num_preemptions_total",
        type: "counter",
        unit: "short",
        labels: engine,
        meaning: "Running requests thrown back into the queue to free KV cache; their work is done again.",
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
    engineSleepState: {
        name: "vllm:engine_sleep_state",
        type: "gauge",
        unit: "short",
        labels: [...engine, "sleep_state"],
        max: 1,
        meaning: "1 for the state that the engine is in: awake, weights_offloaded or discard_all.",
    },
} as const satisfies Record<string, Metric>;
