import { vllmMetrics as vllm } from "../../vllm/metrics";
import { recordedMetrics as recorded, type Window } from "../metrics";
import { aggregate, gauge, gaugeOver, histogramIncrease, rate, sumBy } from "../promql";
import {
    about,
    answeredCalls,
    engineHangs,
    everyScrape,
    ofReplicas,
    tokenRate,
    tokenRefused,
    type WatchedModel,
} from "./model";
import { alertsOf, type AlertRule, type MakeAlert } from "./rule";

/** Rate of spending a budget of 30 days: the fast one has spent 2 % of it after an hour, the slow one 5 % after six. */
const burns = [
    { window: "fast", severity: "page", factor: 14.4, long: "1h", short: "5m" },
    { window: "slow", severity: "ticket", factor: 6, long: "6h", short: "30m" },
] as const;
type Burn = (typeof burns)[number];

/** The highest budget that the fast rule can still see spent: with more, no ratio is above 14.4 times the budget. */
export const largestBudget = 1 / burns[0].factor;

/** With fewer failed or slow requests than this in the long window, the retries of one client would be an outage. */
const fewestFailures = 10;

/** With fewer calls than this in each five minutes, users who hang up before the end would be an outage. */
const fewestCalls = 5;

/** Alerts on what users feel: no answers, failures, and answers that are slow. */
export function userAlerts(model: WatchedModel, runbooks: string): AlertRule[] {
    const alert = alertsOf(model.name, runbooks);
    return [
        endpointDown(model, alert),
        noSuccessfulRequest(model, alert),
        ...burns.map((burn) => errorBudgetBurn(model, alert, burn)),
        ...burns.map((burn) => firstTokenSlow(model, alert, burn)),
        ...burns.map((burn) => tokensSlow(model, alert, burn)),
    ];
}

function endpointDown(model: WatchedModel, alert: MakeAlert): AlertRule {
    const { name, relayed } = model;
    const down = `${aggregate("max", ["instance"], everyScrape(model))} == 0 and on (instance) (${expectedUp(model)})`;
    return alert("VllmEndpointDown", "page", {
        // A token that is refused says nothing of the users' requests, and has a page of its own.
        expr: relayed ? `(${down} unless on () (${tokenRefused(model)})) or (${engineHangs(model)})` : down,
        for: "3m",
        summary: relayed
            ? `${name} does not answer: every request fails.`
            : `${name} does not answer and every request fails, or the token it is scraped with is refused.`,
        description: relayed
            ? "For 3 minutes no scrape of {{ $labels.instance }} has succeeded, or no completion of one token has come from it."
            : "No scrape of {{ $labels.instance }} has succeeded for 3 minutes.",
    });
}

/**
 * An address that has answered since its scrapes began, or has been scraped for half an hour without a break: not that of a
 * model which was added, replaced or started again a moment ago, and takes its minutes to load. Gaps of three minutes, and
 * five more that Prometheus bridges by itself, are none: so long may Prometheus be away.
 */
function expectedUp(model: WatchedModel): string {
    const up = aggregate("max", ["instance"], everyScrape(model));
    const before = aggregate("max", ["instance"], `${everyScrape(model)} offset 30m`);
    return `count_over_time(${up}[30m:1m]) >= 27 or (max_over_time(${up}[30m:1m]) == 1 unless on (instance) ${before})`;
}

function noSuccessfulRequest(model: WatchedModel, alert: MakeAlert): AlertRule {
    const { name } = model;
    const wellEnded = { ...ofReplicas(model), finished_reason: "=~stop|length" } as const;
    const failing =
        `${answeredCalls(model, "5m")} >= ${fewestCalls} and on () ${answeredCalls(model, "5m", "5m")} >= ${fewestCalls} ` +
        `unless on () ${sumBy([], rate(vllm.requestSuccess, wellEnded, "10m"))} > 0`;
    // A call is counted when it has been answered, which those that wait for a stalled engine are not.
    const allTheTime = (metric: typeof recorded.running | typeof recorded.waiting) =>
        `min_over_time(${gaugeOver(metric, about(model), "5m")}) > 0`;
    const stalled = `(${allTheTime(recorded.running)} or ${allTheTime(recorded.waiting)}) and on () ${tokenRate(model, "5m")} == 0`;
    return alert("VllmNoSuccessfulRequest", "page", {
        expr: `(${failing}) or on () max(${stalled})`,
        for: "2m",
        summary: `${name} answers no request: requests come in, and none ends well.`,
        description:
            "Calls were answered all through the last 10 minutes and not one generation was completed, " +
            "or requests have been under way for 5 minutes and not one token came.",
    });
}

function errorBudgetBurn(model: WatchedModel, alert: MakeAlert, burn: Burn): AlertRule {
    const { name, targets } = model;
    return alert("VllmErrorBudgetBurn", burn.severity, {
        window: burn.window,
        expr: burning(model, "errors", burn, targets.errorBudget, answeredCalls(model, burn.long)),
        summary: `Requests to ${name} fail: more than the ${percent(targets.errorBudget)} allowed.`,
        description:
            `${ratioShown} of the requests of the last ${burn.long} failed on the server (5xx), ` +
            `${burn.factor} times what the budget allows for.`,
    });
}

function firstTokenSlow(model: WatchedModel, alert: MakeAlert, burn: Burn): AlertRule {
    const { name, targets } = model;
    return alert("VllmFirstTokenSlow", burn.severity, {
        window: burn.window,
        expr: burning(model, "firstTokenSlow", burn, 1 - targets.withinTargets, begun(model, burn.long)),
        summary: `Answers of ${name} begin late: after more than ${targets.timeToFirstToken} s.`,
        description:
            `${ratioShown} of the first tokens of the last ${burn.long} came after ${targets.timeToFirstToken} s; ` +
            `the target allows ${percent(1 - targets.withinTargets)}.`,
    });
}

function tokensSlow(model: WatchedModel, alert: MakeAlert, burn: Burn): AlertRule {
    const { name, targets } = model;
    return alert("VllmTokensSlow", burn.severity, {
        window: burn.window,
        expr: burning(model, "interTokenSlow", burn, 1 - targets.withinTargets, begun(model, burn.long)),
        summary: `Answers of ${name} flow slowly: more than ${targets.interTokenLatency} s between tokens.`,
        description:
            `${ratioShown} of the tokens of the last ${burn.long} came more than ${targets.interTokenLatency} s ` +
            `after the one before; the target allows ${percent(1 - targets.withinTargets)}.`,
    });
}

/**
 * The share is over the limit in the long and in the short window, and it is one of requests enough.
 * @param judged the requests that the share is of
 */
function burning(
    model: WatchedModel,
    share: "errors" | "firstTokenSlow" | "interTokenSlow",
    { factor, long, short }: Burn,
    budget: number,
    judged: string,
): string {
    const limit = Number((factor * budget).toPrecision(6));
    const of = (window: Window) => gauge(recorded[`${share}${window}`], about(model));
    return (
        `${of(long)} > ${limit} and ${of(short)} > ${limit} ` +
        `and on () (${of(long)} * on () ${judged} >= ${fewestFailures})`
    );
}

/** Requests whose answer began in the window. */
function begun(model: WatchedModel, window: string): string {
    return sumBy([], histogramIncrease(vllm.timeToFirstToken, "count", ofReplicas(model), window));
}

const ratioShown = "{{ $value | humanizePercentage }}";

function percent(share: number): string {
    return `${Number((share * 100).toPrecision(3))} %`;
}
