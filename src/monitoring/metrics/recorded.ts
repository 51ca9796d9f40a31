import type { Metric } from "../../vllm/metrics";

const model = ["model"] as const;

/** What the recording rules make (rules/recording.ts): one series for each model of the stack, labelled with its name there. */
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
        when: "a price of the flavor in euros",
        meaning: "Price of one replica for an hour without tax, by OVHcloud's price list or prices.file.",
    },
    replicas: {
        name: "model:replicas:count",
        type: "gauge",
        unit: "short",
        labels: model,
        meaning: "Replicas whose metrics were read at the last scrape; 0 while the model sleeps.",
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
    userRequests: {
        name: "model:user_requests:rate5m",
        type: "gauge",
        unit: "short",
        labels: model,
        meaning: "Finished requests per second with an answer of more than one token: the relay's own probes have one.",
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
