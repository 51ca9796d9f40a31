import type { Metric } from "../../vllm/metrics";

const when = "models.<name>.frontDoor";
const whenAnswered = "models.<name>.frontDoor, and an answer through it";
/** Upper bounds that Envoy gives every histogram. */
const buckets = [
    0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
    3_600_000,
] as const;

/**
 * What a model's front door says of itself (src/front-door), as its job labels it: `consumer` is who asked, by the key. Those
 * called `envoy_door_` are counted when a generation has ended that was answered with 200.
 */
export const frontDoorMetrics = {
    requests: {
        name: "envoy_vhost_route_upstream_rq",
        type: "counter",
        unit: "short",
        labels: ["model", "consumer", "code"],
        when,
        meaning: "Requests that were let in, by what came of each in the end.",
    },
    answers: {
        name: "envoy_http_downstream_rq_xx",
        type: "counter",
        unit: "short",
        labels: ["model", "envoy_http_conn_manager_prefix", "envoy_response_code_class"],
        when,
        meaning: "Everything that the door has answered, itself or for the app, by class of status.",
    },
    limited: {
        name: "envoy_http_local_rate_limit_rate_limited",
        type: "counter",
        unit: "short",
        labels: ["model", "consumer"],
        when: "models.<name>.frontDoor.requestsPerMinute",
        meaning: "Requests that were turned away since their consumer asks oftener than it may.",
    },
    queueFull: {
        name: "envoy_vhost_route_upstream_rq_retry_overflow",
        type: "counter",
        unit: "short",
        labels: ["model", "consumer"],
        when,
        meaning: "Requests that were turned away at once, since as many waited as may.",
    },
    heldInVain: {
        name: "envoy_vhost_route_upstream_rq_retry_limit_exceeded",
        type: "counter",
        unit: "short",
        labels: ["model", "consumer"],
        when,
        meaning: "Requests that were turned away after they had waited for as long as they are held.",
    },
    placesLeft: {
        name: "envoy_cluster_circuit_breakers_default_remaining_retries",
        type: "gauge",
        unit: "short",
        labels: ["model"],
        when,
        meaning: "How many more requests may wait for a replica.",
    },
    underWay: {
        name: "envoy_cluster_upstream_rq_active",
        type: "gauge",
        unit: "short",
        labels: ["model"],
        when,
        meaning: "Requests that the app works on now.",
    },
    unconnected: {
        name: "envoy_cluster_upstream_cx_connect_fail",
        type: "counter",
        unit: "short",
        labels: ["model"],
        when,
        meaning: "Connections to the app that could not be made.",
    },
    firstByte: {
        name: "envoy_door_first_byte_milliseconds",
        type: "histogram",
        unit: "ms",
        labels: ["model", "consumer"],
        buckets,
        when: whenAnswered,
        meaning: "Time from a request's arrival to the first byte of its answer, time held included.",
    },
    held: {
        name: "envoy_door_held_milliseconds",
        type: "histogram",
        unit: "ms",
        labels: ["model", "consumer"],
        buckets,
        when: whenAnswered,
        meaning: "Time from a request's arrival to the try that was answered: that in which it came in, and waited.",
    },
    lastedInAll: {
        name: "envoy_door_request_milliseconds_total",
        type: "counter",
        unit: "ms",
        labels: ["model", "consumer"],
        when: whenAnswered,
        meaning: "Time of all requests from their arrival to the end of their answer, or until their client left.",
    },
    heldInAll: {
        name: "envoy_door_held_milliseconds_total",
        type: "counter",
        unit: "ms",
        labels: ["model", "consumer"],
        when: whenAnswered,
        meaning: "Time of all requests from their arrival to the try that was answered.",
    },
    promptTokens: {
        name: "envoy_door_prompt_tokens",
        type: "counter",
        unit: "short",
        labels: ["model", "consumer"],
        when: whenAnswered,
        meaning: "Tokens of prompts, by what answers say of their usage.",
    },
    generatedTokens: {
        name: "envoy_door_generated_tokens",
        type: "counter",
        unit: "short",
        labels: ["model", "consumer"],
        when: whenAnswered,
        meaning: "Tokens of answers, by what they say of their usage.",
    },
    uncounted: {
        name: "envoy_door_answers_without_usage",
        type: "counter",
        unit: "short",
        labels: ["model", "consumer"],
        when: whenAnswered,
        meaning: "Answers that do not say how many tokens they took, or whose client left before.",
    },
} as const satisfies Record<string, Metric>;
