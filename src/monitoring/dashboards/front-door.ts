import { frontDoorMetrics as door, recordedMetrics as recorded } from "../metrics";
import { aggregate, gauge, gaugeOver, histogramIncrease, increase, mean, quantile, rate, sumBy } from "../promql";
import { chosenModels, interval, timeseries, type Query, type RowSpec } from "./panels";

/** What a stack's front doors are asked, and by whom. Of a model without one there is nothing to be seen. */

const ofDoors = { needs: door.requests } as const;
const each = ["model", "consumer"] as const;
const eachLegend = "{{model}} {{consumer}}";

/** How long the slowest in twenty took, and the mean. */
function times(metric: typeof door.firstByte | typeof door.held): Query[] {
    return [
        { expr: quantile(0.95, metric, chosenModels, interval, [...each]), legend: `p95 ${eachLegend}` },
        { expr: mean(metric, chosenModels, interval, [...each]), legend: `mean ${eachLegend}` },
    ];
}

/** A row for whoever is on call. */
export const frontDoorRows: RowSpec[] = [
    {
        title: "Front door: who asks, and who is turned away (models with one)",
        height: 9,
        panels: [
            timeseries(
                "Requests by consumer",
                `${door.requests.meaning} One that was held counts once. Of 503 see the panel to the right.`,
                "reqps",
                [
                    {
                        expr: sumBy([...each, "code"], rate(door.requests, chosenModels, interval)),
                        legend: `${eachLegend} {{code}}`,
                    },
                ],
                ofDoors,
            ),
            timeseries(
                "Turned away by the door",
                "503: as many waited as may, or it was held in vain; 429: its consumer asks oftener than it may; 4xx: all of " +
                    "these statuses, such as 401 for a key that nobody has. See the runbook VllmFrontDoorRefusing.",
                "reqps",
                [
                    {
                        expr: sumBy(each, rate(door.queueFull, chosenModels, interval)),
                        legend: `queue full ${eachLegend}`,
                    },
                    {
                        expr: sumBy(each, rate(door.heldInVain, chosenModels, interval)),
                        legend: `held in vain ${eachLegend}`,
                    },
                    { expr: sumBy(each, rate(door.limited, chosenModels, interval)), legend: `limited ${eachLegend}` },
                    {
                        expr: sumBy(
                            ["model"],
                            rate(door.answers, { ...chosenModels, envoy_response_code_class: "=4" }, interval),
                        ),
                        legend: "4xx {{model}}",
                    },
                ],
                ofDoors,
            ),
            timeseries(
                "Places for requests that wait",
                `${door.placesLeft.meaning} Flat at its top: nobody waits. At 0 whoever comes gets 503 at once.`,
                "short",
                [{ expr: aggregate("min", ["model"], gauge(door.placesLeft, chosenModels)), legend: "{{model}}" }],
                ofDoors,
            ),
        ],
    },
    {
        title: "Front door: how long it takes, and the way to the app (models with one)",
        height: 9,
        panels: [
            timeseries(
                "Time to the first byte",
                `${door.firstByte.meaning} Of an answer that is no stream that is all of it.`,
                "ms",
                times(door.firstByte),
                { needs: door.firstByte },
            ),
            timeseries(
                "Time held",
                `${door.held.meaning} A few milliseconds while replicas serve.`,
                "ms",
                times(door.held),
                { needs: door.held },
            ),
            timeseries(
                "At the app",
                `${door.underWay.meaning} ${door.unconnected.meaning} These are tried again.`,
                "short",
                [
                    {
                        expr: sumBy(["model"], gauge(door.underWay, chosenModels)),
                        legend: "under way {{model}}",
                    },
                    {
                        expr: sumBy(["model"], increase(door.unconnected, chosenModels, interval)),
                        legend: "not connected {{model}}",
                    },
                ],
                ofDoors,
            ),
        ],
    },
];

const hour = "1h";
const tokens = (metric: typeof door.promptTokens | typeof door.generatedTokens) =>
    sumBy(each, rate(metric, chosenModels, interval));
/** Milliseconds at the app in the last hour: all that a request lasted but for what it was held. */
const atTheApp = (by: readonly string[]) =>
    sumBy(
        by,
        `${increase(door.lastedInAll, chosenModels, hour)} - ${increase(door.heldInAll, chosenModels, hour)}`,
    );
const share = `${atTheApp(each)} / on (model) group_left () (${atTheApp(["model"])} > 0)`;
/** Euros per hour, as a mean of the last hour. */
const cost = `avg_over_time(${gaugeOver(recorded.replicas, chosenModels, hour)}) * on (model) ${gauge(recorded.replicaPrice, chosenModels)}`;
const costOfEach = `${share} * on (model) group_left () (${cost})`;
const uncounted = sumBy(each, increase(door.uncounted, chosenModels, hour));
const answered = sumBy(each, histogramIncrease(door.firstByte, "count", chosenModels, hour));
const generated = sumBy(each, increase(door.generatedTokens, chosenModels, hour));

/** A row for whoever shares out the bill. */
export const consumersRow: RowSpec = {
    title: "Consumers: who uses it, and what of its cost is theirs (models with a front door)",
    height: 9,
    panels: [
        timeseries(
            "Tokens by consumer",
            `${door.promptTokens.meaning} ${door.generatedTokens.meaning} What does not say so is not in it: see the panel on the right.`,
            "tokens/s",
            [
                { expr: tokens(door.promptTokens), legend: `prompt ${eachLegend}` },
                { expr: tokens(door.generatedTokens), legend: `generated ${eachLegend}` },
            ],
            { needs: door.generatedTokens },
        ),
        timeseries(
            "Cost per hour, by consumer",
            "What the replicas cost in the last hour, shared out by the time that the app worked on each consumer's requests: it " +
                "needs no count of tokens, and knows what was broken off. An hour in which nobody asked is nobody's; whoever " +
                "asks the app itself is not seen, and has no share.",
            "currencyEUR",
            [{ expr: costOfEach, legend: eachLegend }],
            { needs: door.lastedInAll },
        ),
        timeseries(
            "A million generated tokens, by consumer",
            "A consumer's cost of the last hour for each million of its generated tokens. No line where more than one in a " +
                "hundred of its answers told of no tokens: it would be too high.",
            "currencyEUR",
            [
                {
                    expr: `1e6 * ${costOfEach} / (${generated} > 0) unless ${uncounted} > 0.01 * ${answered}`,
                    legend: eachLegend,
                },
            ],
            { needs: door.generatedTokens },
        ),
        timeseries(
            "Answers without a count of tokens",
            `${door.uncounted.meaning} As a share of the last hour's. Streams tell when their client asks for it ` +
                "(stream_options.include_usage), or the server always does (docs/front-door.md).",
            "percentunit",
            [{ expr: `${uncounted} / (${answered} > 0)`, legend: eachLegend }],
            { max: 1, needs: door.uncounted },
        ),
    ],
};
