import { recordedMetrics as recorded, relayMetrics as relay } from "../metrics";
import { vllmMetrics as vllm } from "../../vllm/metrics";
import { aggregate, gauge, rate, ratio, sumBy } from "../promql";
import { consumersRow } from "./front-door";
import { chosen, chosenModels, interval, of, stat, timeseries, type DashboardSpec, type RowSpec } from "./panels";

const replicas = gauge(recorded.replicas, chosenModels);
const value = gauge(recorded.scalingValue, chosenModels);
const target = gauge(recorded.scalingTarget, chosenModels);
const price = gauge(recorded.replicaPrice, chosenModels);
const running = gauge(recorded.running, chosenModels);
const generated = rate(vllm.generationTokens, chosen, interval);

/** Euros per hour of each model. */
const cost = `${replicas} * on (model) ${price}`;
/** A number of replicas as euros per hour. */
const costOf = (count: string) => `${count} * on (model) ${price}`;
/** Money is known of models whose price is set. */
const priced = { needs: recorded.replicaPrice } as const;

const now: RowSpec = {
    title: "Now: what it costs, what it yields, how far from the limits",
    height: 4,
    panels: [
        stat(
            "Cost per hour",
            "Replicas seen, times the price of one without tax (docs/cost.md). Replicas that are starting are paid " +
                "for too and not seen yet.",
            "currencyEUR",
            sumBy([], cost),
            priced,
        ),
        stat(
            "Tokens per euro",
            "Generated tokens for each euro that the replicas cost, at the present rate.",
            "short",
            ratio(`3600 * ${sumBy([], generated)}`, sumBy([], cost)),
            { ...priced, idle: "no tokens" },
        ),
        stat(
            "A million tokens",
            "What a million generated tokens cost at the present rate. Falls with load: an idle replica costs as much as a busy one.",
            "currencyEUR",
            ratio(`1e6 * ${sumBy([], cost)}`, `(3600 * ${sumBy([], generated)})`),
            { ...priced, idle: "no tokens" },
        ),
        stat(
            "Utilisation",
            "The scaling metric as a share of its target. About 100 % is what scaling aims at; the fullest of the models.",
            "percentunit",
            aggregate("max", [], ratio(value, target)),
        ),
        stat(
            "Replicas left",
            "How many more replicas scaling may add. At 0 more load means slower answers.",
            "short",
            `sum(${gauge(recorded.replicasMax, chosenModels)} - ${replicas})`,
            {
                thresholds: [
                    { from: 0, color: "orange" },
                    { from: 1, color: "green" },
                ],
            },
        ),
    ],
};

const money: RowSpec = {
    title: "Money",
    height: 9,
    panels: [
        timeseries(
            "Cost per hour, and its limits",
            "What the replicas cost, between what the fewest and the most of them would. The app is billed per minute, " +
                "whether requests come or not.",
            "currencyEUR",
            [
                { expr: cost, legend: "now {{model}}" },
                { expr: costOf(gauge(recorded.replicasMin, chosenModels)), legend: "at min {{model}}", reference: true },
                { expr: costOf(gauge(recorded.replicasMax, chosenModels)), legend: "at max {{model}}", reference: true },
            ],
            priced,
        ),
        timeseries(
            "Generated tokens per euro",
            "The yield, over time. A fall without a fall of traffic: answers got shorter, batches smaller, or replicas idle.",
            "short",
            [{ expr: ratio(`3600 * ${sumBy([], generated)}`, sumBy([], cost)), legend: "tokens per euro" }],
            priced,
        ),
        timeseries(
            "Cost of doing nothing",
            "Euros per hour of replicas that have no request: what a lower minimum, or closing at night, would save.",
            "currencyEUR",
            [{ expr: `(${running} == bool 0) * ${cost}`, legend: "{{model}}" }],
            priced,
        ),
    ],
};

const use: RowSpec = {
    title: "Use",
    height: 9,
    panels: [
        timeseries(
            "Utilisation",
            `${recorded.scalingValue.meaning} As a share of the target.`,
            "percentunit",
            [{ expr: ratio(value, target), legend: "{{model}}" }],
        ),
        timeseries(
            "Time with requests",
            "Share of the last hour in which there was any request. Low, and steady traffic at other times: fewer replicas would do.",
            "percentunit",
            [{ expr: `avg_over_time((${running} > bool 0)[1h:1m])`, legend: "{{model}}" }],
            { max: 1 },
        ),
        timeseries(
            "Tokens of each replica",
            "Generated tokens per second and replica: compare it with what one replica reached in a load test.",
            "tokens/s",
            [{ expr: ratio(sumBy([], generated), sumBy([], replicas)), legend: "tokens/s" }],
        ),
    ],
};

const scaling: RowSpec = {
    title: "How far from scaling",
    height: 9,
    panels: [
        timeseries(
            "Scaling metric against its target",
            "More replicas when it stays above the target by more than 10 %, fewer when the load of all would fit on fewer.",
            "short",
            [of(recorded.scalingValue, "now"), of(recorded.scalingTarget, "target", true)],
        ),
        timeseries(
            "Room before the next replica",
            "By how much the scaling metric, all replicas together, may grow before the platform adds one (target plus 10 %). " +
                "At 0 one is being added, or the maximum is reached.",
            "short",
            [
                {
                    expr: `clamp_min((1.1 * ${target} - ${value}) * on (model) ${replicas}, 0)`,
                    legend: "{{model}}",
                },
            ],
        ),
        timeseries("Replicas", recorded.replicas.meaning, "short", [
            of(recorded.replicas, "serving"),
            of(recorded.replicasMin, "min", true),
            of(recorded.replicasMax, "max", true),
        ]),
    ],
};

const sleep: RowSpec = {
    title: "Sleep: models that go to zero replicas when nobody asks",
    height: 8,
    panels: [
        timeseries(
            "Asleep and waking",
            "Whether a model that may sleep is asleep (nothing is billed) or waking (requests wait or are refused until the " +
                "first replica serves). Flat at 0: awake.",
            "short",
            ["asleep", "waking"].map((phase) => ({
                expr: aggregate("max", ["model"], gauge(relay.phase, { ...chosenModels, phase: `=${phase}` })),
                legend: `${phase} {{model}}`,
            })),
            { max: 1, needs: relay.phase },
        ),
        timeseries(
            "Time of the last waking",
            `${relay.lastWake.meaning} So long the request that woke it waited, or was refused.`,
            "s",
            [{ expr: aggregate("max", ["model"], gauge(relay.lastWake, chosenModels)), legend: "{{model}}" }],
            { needs: relay.lastWake },
        ),
        timeseries(
            "Age of the state",
            `${relay.stateAge.meaning} Rising: whether the model sleeps is not known, see the runbook VllmSleepUnknown.`,
            "s",
            [{ expr: aggregate("max", ["model"], gauge(relay.stateAge, chosenModels)), legend: "{{model}}" }],
            { needs: relay.stateAge },
        ),
    ],
};

/** What it costs, what that buys, and when it grows. */
export const capacityDashboard: DashboardSpec = {
    uid: "vllm-capacity-cost",
    title: "vLLM capacity and cost",
    description:
        "What the replicas cost and what they yield, how well they are used, and how far it is to the next one. Prices are " +
        "those of OVHcloud's list, or of prices.file, when the stack was last brought up, in euros and without tax.",
    rows: [now, money, consumersRow, use, scaling, sleep],
};
