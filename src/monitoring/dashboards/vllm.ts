import { platformMetrics, recordedMetrics as recorded, relayMetrics, scrapeMetrics as scrape } from "../metrics";
import { serverMetrics as server, vllmMetrics as vllm, type Metric } from "../../vllm/metrics";
import { aggregate, gauge, histogramRate, mean, quantile, rate, ratio, sumBy, type Always } from "../promql";
import { guideDashboard } from "./files";
import { frontDoorRows } from "./front-door";
import {
    chosen,
    chosenModels,
    interval,
    of,
    stat,
    timeseries,
    type DashboardSpec,
    type Query,
    type RowSpec,
} from "./panels";

/** p50, p95, p99 and mean of a histogram over all replicas chosen, for each model. */
function distribution(metric: Always<"histogram">): Query[] {
    return [
        ...[0.5, 0.95, 0.99].map((q) => ({
            expr: quantile(q, metric, chosen, interval, ["job"]),
            legend: `p${q * 100} {{job}}`,
        })),
        { expr: mean(metric, chosen, interval, ["job"]), legend: "mean {{job}}" },
    ];
}

/** 1 for each of the models chosen that is in this phase of its sleep, 0 for the others that may sleep. */
const phaseOf = (phase: string): string =>
    aggregate("max", ["model"], gauge(relayMetrics.phase, { ...chosenModels, phase: `=${phase}` }));

const each = ["job", "replica"];
const eachLegend = "{{job}} {{replica}}";

/** A histogram's mean, as one of several that add up. */
const meanOf = (metric: Always<"histogram">, legend: string): Query => ({
    expr: mean(metric, chosen, interval),
    legend,
});

const meaning = (...metrics: Metric[]) => metrics.map((metric) => metric.meaning).join(" ");

const health: RowSpec = {
    title: "Health: is it up, is it fast, is anything wrong",
    height: 4,
    panels: [
        stat(
            "Endpoint",
            "Whether the last scrape of every model chosen reached it, and its last completion of one token came. Down: see the runbook VllmEndpointDown.",
            "short",
            `min(${aggregate("max", ["job"], gauge(scrape.up, { job: chosen.job }))} or ${aggregate("max", ["model"], gauge(relayMetrics.completionSuccess, chosenModels))})`,
            {
                words: { 0: "Down", 1: "Up" },
                thresholds: [
                    { from: 0, color: "red" },
                    { from: 1, color: "green" },
                ],
            },
        ),
        stat(
            "Sleep",
            "Whether the models chosen that may sleep (replicas.min of 0) are awake. Asleep: nobody asks, and nothing is billed; " +
                "the next request wakes it.",
            "short",
            `max(${phaseOf("asleep")} + on (model) 2 * ${phaseOf("waking")})`,
            { words: { 0: "Awake", 1: "Asleep", 2: "Waking" }, needs: relayMetrics.phase, idle: "never" },
        ),
        stat(
            "Alerts",
            "Alerts firing for the models chosen: pages and tickets.",
            "short",
            `count(${gauge(platformMetrics.alerts, { alertstate: "=firing", severity: "=~page|ticket", model: "=~$model" })}) or vector(0)`,
            {
                thresholds: [
                    { from: 0, color: "green" },
                    { from: 1, color: "red" },
                ],
            },
        ),
        stat(
            "Replicas",
            `${recorded.replicas.meaning} Without the relay one is seen whatever their number.`,
            "short",
            sumBy([], gauge(recorded.replicas, chosenModels)),
        ),
        stat(
            "Failed requests",
            "Share of the requests of the last 5 minutes that failed on the server (5xx); of the worst model. The error " +
                "budget is what alerts go by.",
            "percentunit",
            aggregate("max", [], gauge(recorded.errors5m, chosenModels)),
            {
                idle: "no requests",
                thresholds: [
                    { from: 0, color: "green" },
                    { from: 0.01, color: "orange" },
                    { from: 0.05, color: "red" },
                ],
            },
        ),
        stat(
            "First token, p95",
            `${vllm.timeToFirstToken.meaning} 95 of 100 requests are faster.`,
            "s",
            quantile(0.95, vllm.timeToFirstToken, chosen, interval),
            { idle: "no requests" },
        ),
        stat(
            "Between tokens",
            `Mean. ${vllm.interTokenLatency.meaning}`,
            "s",
            mean(vllm.interTokenLatency, chosen, interval),
            { idle: "no requests" },
        ),
        stat(
            "Waiting",
            `${recorded.waiting.meaning} More than a few for minutes: see the runbook VllmQueueNotDraining.`,
            "short",
            sumBy([], gauge(recorded.waiting, chosenModels)),
        ),
        stat(
            "Generated",
            "Tokens that all replicas chosen generate per second.",
            "tokens/s",
            sumBy([], rate(vllm.generationTokens, chosen, interval)),
        ),
    ],
};

const latency: RowSpec[] = [
    {
        title: "Latency: what users wait for",
        height: 10,
        panels: [
            timeseries("Time to first token", vllm.timeToFirstToken.meaning, "s", [
                ...distribution(vllm.timeToFirstToken),
                of(recorded.firstTokenTarget, "target", true),
            ], { logarithmic: true }),
            timeseries("Inter-token latency", vllm.interTokenLatency.meaning, "s", [
                ...distribution(vllm.interTokenLatency),
                of(recorded.interTokenTarget, "target", true),
            ], { logarithmic: true }),
            timeseries(
                "End-to-end request latency",
                `${vllm.e2eRequestLatency.meaning} Long answers take long: judge by the two to the left.`,
                "s",
                distribution(vllm.e2eRequestLatency),
                { logarithmic: true },
            ),
        ],
    },
    {
        title: "Latency: against the targets, and where the time goes",
        height: 9,
        panels: [
            timeseries(
                "Within target",
                "Share of first tokens and of tokens within their targets, over 5 minutes. Below the dashed objective the " +
                    "budget of the month is being spent; alerts fire when it is spent fast.",
                "percentunit",
                [
                    { expr: `1 - ${gauge(recorded.firstTokenSlow5m, chosenModels)}`, legend: "first token {{model}}" },
                    { expr: `1 - ${gauge(recorded.interTokenSlow5m, chosenModels)}`, legend: "tokens {{model}}" },
                    of(recorded.withinTargetsObjective, "objective", true),
                ],
                { max: 1 },
            ),
            timeseries(
                "Where a request spends its time",
                "Means of finished requests: in the queue, on the prompt (prefill), on the answer (decode). A growing queue " +
                    "asks for replicas, a growing prefill for shorter or cacheable prompts, a growing decode for smaller batches.",
                "s",
                [
                    meanOf(vllm.requestQueueTime, "queue"),
                    meanOf(vllm.requestPrefillTime, "prefill"),
                    meanOf(vllm.requestDecodeTime, "decode"),
                ],
                { stacked: true },
            ),
            timeseries(
                "Failed requests",
                "Share of the requests that failed on the server (5xx), over 5 minutes and an hour, and the budget for it.",
                "percentunit",
                [
                    of(recorded.errors5m, "5 min"),
                    of(recorded.errors1h, "1 h"),
                    of(recorded.errorBudget, "budget", true),
                ],
            ),
        ],
    },
];

const traffic: RowSpec = {
    title: "Traffic: what is asked of it",
    height: 9,
    panels: [
        timeseries("Finished requests", vllm.requestSuccess.meaning, "reqps", [
            {
                expr: sumBy(["finished_reason"], rate(vllm.requestSuccess, chosen, interval)),
                legend: "{{finished_reason}}",
            },
        ]),
        timeseries("Answers by status", server.httpRequests.meaning, "reqps", [
            {
                expr: sumBy(["status"], rate(server.httpRequests, { ...chosen, method: "=POST" }, interval)),
                legend: "{{status}}",
            },
        ]),
        timeseries("Tokens", meaning(vllm.promptTokens, vllm.generationTokens), "tokens/s", [
            { expr: sumBy(["job"], rate(vllm.promptTokens, chosen, interval)), legend: "prompt {{job}}" },
            { expr: sumBy(["job"], rate(vllm.generationTokens, chosen, interval)), legend: "generated {{job}}" },
        ]),
        timeseries(
            "Length of a request",
            "Mean tokens of prompt and answer of finished requests. A change here explains a change of latency.",
            "short",
            [
                meanOf(vllm.requestPromptTokens, "prompt tokens"),
                meanOf(vllm.requestGenerationTokens, "generated tokens"),
            ],
        ),
    ],
};

const saturation: RowSpec = {
    title: "Saturation: how full it is",
    height: 9,
    panels: [
        timeseries(
            "Scaling metric against its target",
            `${recorded.scalingValue.meaning} Above the dashed target (by more than 10 %) the platform adds replicas, up to the maximum.`,
            "short",
            [of(recorded.scalingValue, "now"), of(recorded.scalingTarget, "target", true)],
        ),
        timeseries(
            "Requests running and waiting",
            `${vllm.numRequestsRunning.meaning} ${vllm.numRequestsWaiting.meaning}`,
            "short",
            [
                { expr: sumBy(["job"], gauge(vllm.numRequestsRunning, chosen)), legend: "running {{job}}" },
                { expr: sumBy(["job"], gauge(vllm.numRequestsWaiting, chosen)), legend: "waiting {{job}}" },
            ],
        ),
        timeseries(
            "Places in the batch in use",
            "Running requests as a share of what the replicas can run at once (max-num-seqs of each). At 100 % further " +
                "requests wait, whatever memory is left.",
            "percentunit",
            [
                {
                    expr: ratio(
                        gauge(recorded.running, chosenModels),
                        `(${gauge(recorded.replicas, chosenModels)} * ${gauge(recorded.maxNumSeqs, chosenModels)})`,
                    ),
                    legend: "{{model}}",
                },
            ],
            { max: 1 },
        ),
        timeseries("KV cache usage", vllm.kvCacheUsage.meaning, "percentunit", [
            {
                expr: aggregate("max", ["job"], gauge(vllm.kvCacheUsage, chosen)),
                legend: "fullest replica {{job}}",
            },
            { expr: aggregate("avg", ["job"], gauge(vllm.kvCacheUsage, chosen)), legend: "mean {{job}}" },
        ], { max: 1 }),
        timeseries("Preemptions", `${vllm.numPreemptions.meaning} Any number above 0 for minutes is too many.`, "cps", [
            { expr: sumBy(["job"], rate(vllm.numPreemptions, chosen, interval)), legend: "{{job}}" },
        ]),
    ],
};

const efficiency: RowSpec = {
    title: "Efficiency: how much it makes of its time",
    height: 9,
    panels: [
        timeseries(
            "Prefix cache hits",
            "Share of prompt tokens found in the prefix cache, which need not be computed. Unreliable while requests wait.",
            "percentunit",
            [
                {
                    expr: ratio(
                        sumBy(["job"], rate(vllm.prefixCacheHits, chosen, interval)),
                        sumBy(["job"], rate(vllm.prefixCacheQueries, chosen, interval)),
                    ),
                    legend: "{{job}}",
                },
            ],
            { max: 1 },
        ),
        timeseries(
            "Tokens per step",
            "Mean tokens that one step of the engine works on: the larger the batch, the more of the GPU is used.",
            "short",
            [{ expr: mean(vllm.iterationTokens, chosen, interval, ["job"]), legend: "{{job}}" }],
        ),
        timeseries(
            "Prompt tokens computed",
            "Share of prompt tokens of finished requests that were computed, not taken from a cache.",
            "percentunit",
            [
                {
                    expr: ratio(
                        sumBy(["job"], histogramRate(vllm.requestPrefillKvComputedTokens, "sum", chosen, interval)),
                        sumBy(["job"], histogramRate(vllm.requestPromptTokens, "sum", chosen, interval)),
                    ),
                    legend: "{{job}}",
                },
            ],
            { max: 1 },
        ),
    ],
};

const replicas: RowSpec[] = [
    {
        title: "Replicas: how many, and whether one is unlike the others",
        height: 9,
        panels: [
            timeseries(
                "Replicas",
                `${recorded.replicas.meaning} The dashed lines are the fewest and the most that the stack allows.`,
                "short",
                [
                    of(recorded.replicas, "serving"),
                    of(recorded.replicasMin, "min", true),
                    of(recorded.replicasMax, "max", true),
                ],
            ),
            timeseries(
                "Running requests, each replica",
                "Requests in the batch of each replica. One far above the others: the balancer does not spread evenly.",
                "short",
                [{ expr: sumBy(each, gauge(vllm.numRequestsRunning, chosen)), legend: eachLegend }],
            ),
            timeseries(
                "Generated tokens, each replica",
                "Tokens per second of each replica. Running requests without tokens: see the runbook VllmReplicaStuck.",
                "tokens/s",
                [{ expr: sumBy(each, rate(vllm.generationTokens, chosen, interval)), legend: eachLegend }],
            ),
        ],
    },
    {
        title: "Replicas: memory, latency, age",
        height: 9,
        panels: [
            timeseries("KV cache, each replica", vllm.kvCacheUsage.meaning, "percentunit", [
                { expr: aggregate("max", each, gauge(vllm.kvCacheUsage, chosen)), legend: eachLegend },
            ], { max: 1 }),
            timeseries(
                "Time to first token, each replica",
                "Mean of each replica. A new replica is slow for its first requests.",
                "s",
                [{ expr: mean(vllm.timeToFirstToken, chosen, interval, ["job", "replica"]), legend: eachLegend }],
            ),
            timeseries(
                "Age, each replica",
                "Time since the server process of each replica started. A fall to 0 is a restart.",
                "s",
                [
                    {
                        expr: `time() - ${aggregate("max", each, gauge(server.processStartTime, chosen))}`,
                        legend: eachLegend,
                    },
                ],
            ),
        ],
    },
];

/** The on-call view of the models. */
export const vllmDashboard: DashboardSpec = {
    ...guideDashboard,
    description:
        "vLLM on AI Deploy, for whoever is on call: from top to bottom, is it up, is it fast, what is asked of it, how full " +
        "is it, how well is it used, which replica, and who asks by a front door. Red marks are alerts, blue ones changes of the number of replicas.",
    rows: [health, ...latency, traffic, saturation, efficiency, ...replicas, ...frontDoorRows],
};
