import { betweenTokens, engine, type Metric } from "./metric";

const firstToken = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
] as const;
const ofRequest = [
    0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
] as const;

/** Where the time of a request goes. */
export const latencyMetrics = {
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
    requestTimePerOutputToken: {
        name: "vllm:request_time_per_output_token_seconds",
        type: "histogram",
        unit: "s",
        labels: engine,
        buckets: betweenTokens,
        meaning: "Mean time per token after the first one, of each finished request.",
    },
} as const satisfies Record<string, Metric>;
