import type { Input } from "@pulumi/pulumi";
import {
    platformMetrics as platform,
    recordedMetrics as recorded,
    relayMetrics as relay,
    scrapeMetrics as scrape,
    type Window,
} from "./metrics";
import { serverMetrics as server, vllmMetrics as vllm, type Metric } from "../vllm/metrics";
import {
    aggregate,
    bucketLabel,
    gauge,
    gaugeOver,
    histogramIncrease,
    histogramRate,
    increase,
    rate,
    ratio,
    selector,
    sumBy,
} from "./promql";
import { jobName, probeJobName, relayJobName } from "./scrape-jobs";

/** Recording rules and alerts, in Prometheus' own format, which a PrometheusRule object holds as it is. */
export interface RuleGroup {
    name: string;
    rules: Rule[];
}
export type Rule = RecordingRule | AlertRule;

export interface RecordingRule {
    record: string;
    expr: string;
    labels: Record<string, Input<string>>;
}

export interface AlertRule {
    alert: AlertName;
    expr: string;
    for?: string;
    labels: { severity: Severity; model?: string; window?: string };
    annotations: { summary: string; description: string; runbook_url: string };
}

/**
 * page: users feel it now, wake someone. ticket: someone must act in working hours. info: worth knowing.
 * none: the dead man's switch, which is no alert.
 */
export type Severity = "page" | "ticket" | "info" | "none";

/** Every alert of this project; each has a runbook docs/operations/NAME.md. */
export const alertNames = [
    "VllmEndpointDown",
    "VllmNoSuccessfulRequest",
    "VllmErrorBudgetBurn",
    "VllmFirstTokenSlow",
    "VllmTokensSlow",
    "VllmQueueNotDraining",
    "VllmKvCacheExhausted",
    "VllmAtMaxReplicas",
    "VllmScalingMetricMissing",
    "VllmReplicaFlapping",
    "VllmReplicaStuck",
    "VllmMetricsStale",
    "VllmCertificateExpiring",
    "VllmTokenRejected",
    "VllmRelayBlind",
    "PrometheusDiskFilling",
    "DeadMansSwitch",
] as const;
export type AlertName = (typeof alertNames)[number];

/** A model as the rules see it. */
export interface WatchedModel {
    /** Name in the stack. */
    name: string;
    /** Id of the app. */
    app: Input<string>;
    /** AI Deploy region. */
    region: string;
    image: string;
    replicas: { min: number; max: number };
    scaling: { metric: string; target: number; aggregation: "AVERAGE" | "MAX" | "MIN" | "SUM" };
    /** Requests that one replica runs at once at most. */
    maxNumSeqs: number;
    targets: {
        /** Seconds; one of the buckets of the metric. */
        timeToFirstToken: number;
        /** Seconds; one of the buckets of the metric. */
        interTokenLatency: number;
        /** Share of the observations that is to be within them, 0 to 1. */
        withinTargets: number;
        /** Share of the requests that may fail, 0 to 1. */
        errorBudget: number;
    };
    /** Euros per hour. */
    replicaPrice?: number;
    /** Whether the relay scrapes it, so that every replica is seen and told apart. */
    relayed: boolean;
}

/** Rate of spending a budget of 30 days: the fast one has spent 2 % of it after an hour, the slow one 5 % after six. */
const burns = [
    { window: "fast", severity: "page", factor: 14.4, long: "1h", short: "5m" },
    { window: "slow", severity: "ticket", factor: 6, long: "6h", short: "30m" },
] as const;

/** The highest budget that the fast rule can still see spent: with more, no ratio is above 14.4 times the budget. */
export const largestBudget = 1 / burns[0].factor;

/** With fewer requests than this in the long window a single failure would be an outage. */
const fewestRequests = 10;

/** With fewer calls than this in ten minutes, users who hang up before the end would be an outage. */
const fewestCalls = 5;

const windows: Window[] = ["5m", "30m", "1h", "6h"];

/** Calls of the model, in any of the API's forms: probes, lists of models and tokenizing are none. */
const calls = { handler: "=~/v1/.+", method: "=POST" } as const;

/** A replica is told by the label `replica`, which is empty without the relay. */
const perReplica = ["instance", "replica"];

/**
 * The rules of a model.
 * @param runbooks address under which the runbooks are found, without a slash at the end
 */
export function modelRules(model: WatchedModel, runbooks: string): RuleGroup {
    return {
        name: `vllm-${model.name}`,
        rules: [...recordingRules(model, runbooks), ...alertRules(model, runbooks)],
    };
}

/** The rules of the monitoring itself, which concern no model. */
export function stackRules(runbooks: string): RuleGroup {
    return { name: "monitoring", rules: monitoringRules(runbooks) };
}

function recordingRules(model: WatchedModel, runbooks: string): RecordingRule[] {
    const { name, targets, scaling, replicas } = model;
    const series = { job: `=${jobName(name)}` } as const;
    const rule = (metric: Metric, expr: string, labels: Record<string, Input<string>> = {}): RecordingRule => ({
        record: metric.name,
        expr,
        labels: { model: name, ...labels },
    });
    const constant = (metric: Metric, value: number) => rule(metric, `vector(${value})`);
    const running = gauge(vllm.numRequestsRunning, series);
    const { app, region, image } = model;
    return [
        rule(recorded.info, "vector(1)", { app, region: region.toLowerCase(), image, runbooks }),
        constant(recorded.firstTokenTarget, targets.timeToFirstToken),
        constant(recorded.interTokenTarget, targets.interTokenLatency),
        constant(recorded.withinTargetsObjective, targets.withinTargets),
        constant(recorded.errorBudget, targets.errorBudget),
        constant(recorded.scalingTarget, scaling.target),
        constant(recorded.maxNumSeqs, model.maxNumSeqs),
        constant(recorded.replicasMin, replicas.min),
        constant(recorded.replicasMax, replicas.max),
        ...(model.replicaPrice === undefined ? [] : [constant(recorded.replicaPrice, model.replicaPrice)]),
        rule(recorded.replicas, aggregate("count", [], aggregate("sum", perReplica, running))),
        rule(recorded.running, sumBy([], running)),
        rule(recorded.waiting, sumBy([], gauge(vllm.numRequestsWaiting, series))),
        rule(recorded.scalingValue, scalingValue(model)),
        ...windows.flatMap((window) => [
            rule(recorded[`errors${window}`], errorRatio(series, window)),
            rule(
                recorded[`firstTokenSlow${window}`],
                slowRatio(vllm.timeToFirstToken, targets.timeToFirstToken, series, window),
            ),
            rule(
                recorded[`interTokenSlow${window}`],
                slowRatio(vllm.interTokenLatency, targets.interTokenLatency, series, window),
            ),
        ]),
    ];
}

type Job = { job: `=${string}` };

/** Failures of the server among the calls that it did not refuse; no result without calls. */
function errorRatio(job: Job, window: string): string {
    const all = sumBy([], rate(server.httpRequests, { ...job, ...calls, status: "!=4xx" }, window));
    const failed = sumBy([], rate(server.httpRequests, { ...job, ...calls, status: "=5xx" }, window));
    // Before the first failure there is no series of failures.
    return ratio(`(${failed} or 0 * ${all})`, all);
}

/** Share of the observations above a bucket's bound; no result without observations. */
function slowRatio(
    metric: typeof vllm.timeToFirstToken | typeof vllm.interTokenLatency,
    bound: number,
    job: Job,
    window: string,
): string {
    const within = sumBy([], histogramRate(metric, "bucket", { ...job, le: `=${bucketLabel(bound)}` }, window));
    return `1 - ${ratio(within, sumBy([], histogramRate(metric, "count", job, window)))}`;
}

/** The scaling metric over the replicas, aggregated as the platform does. */
function scalingValue({ name, scaling }: WatchedModel): string {
    const operator = ({ AVERAGE: "avg", MAX: "max", MIN: "min", SUM: "sum" } as const)[scaling.aggregation];
    return aggregate(operator, [], aggregate("sum", perReplica, scalingMetric(name, scaling.metric)));
}

/**
 * The series of the metric that scaling follows. It may be one of an image that is not vLLM's, unknown here and perhaps
 * called like a word of PromQL: so by the label that every series has its name in.
 */
function scalingMetric(model: string, metric: string): string {
    return selector({ __name__: `=${metric}`, job: `=${jobName(model)}` });
}

function alertRules(model: WatchedModel, runbooks: string): AlertRule[] {
    const { name, targets, scaling, replicas } = model;
    const job = jobName(name);
    const series = { job: `=${job}` } as const;
    const own = { model: `=${name}` } as const;
    const relayUp = gauge(scrape.up, { job: `=${relayJobName}`, ...own });
    const alert = (
        alert: AlertName,
        severity: Severity,
        rule: { expr: string; for?: string; summary: string; description: string; window?: string },
    ): AlertRule => ({
        alert,
        expr: rule.expr,
        ...(rule.for && { for: rule.for }),
        labels: { severity, model: name, ...(rule.window && { window: rule.window }) },
        annotations: {
            summary: rule.summary,
            description: rule.description,
            runbook_url: `${runbooks}/${alert}.md`,
        },
    });
    const percent = (share: number) => `${Number((share * 100).toPrecision(3))} %`;
    const answered = (window: string) =>
        sumBy([], increase(server.httpRequests, { ...series, ...calls, status: "!=4xx" }, window));
    const runningAllTheTime = (labels: string[]) =>
        `${aggregate("min", labels, `min_over_time(${gaugeOver(vllm.numRequestsRunning, series, "10m")})`)} > 0`;
    const generating = (labels: string[]) => `${sumBy(labels, rate(vllm.generationTokens, series, "10m"))} > 0`;
    /** The long and the short window are over the limit, and there were requests enough, of those the share is of, to tell. */
    const burning = (
        name: "errors" | "firstTokenSlow" | "interTokenSlow",
        { factor, long, short }: (typeof burns)[number],
        budget: number,
    ) => {
        const limit = Number((factor * budget).toPrecision(6));
        const over = (window: Window) => `${gauge(recorded[`${name}${window}`], own)} > ${limit}`;
        const judged =
            name === "errors"
                ? answered(long)
                : sumBy([], histogramIncrease(vllm.timeToFirstToken, "count", series, long));
        return `${over(long)} and ${over(short)} and on () (${judged} >= ${fewestRequests})`;
    };
    const ratioShown = "{{ $value | humanizePercentage }}";

    // With several replicas behind one address and no relay, what a scrape shows is one of them, another each time.
    const replicasSeen = model.relayed || replicas.max === 1;

    return [
        alert("VllmEndpointDown", "page", {
            expr: `${aggregate("max", [], gauge(scrape.up, { job: `=~${job}|${probeJobName(name)}` }))} == 0`,
            for: "3m",
            summary: `${name} does not answer: every request fails.`,
            description: `No scrape of https://.../metrics of ${name} has succeeded for 3 minutes.`,
        }),
        alert("VllmNoSuccessfulRequest", "page", {
            // A call is counted when it has been answered, which those that wait for a stalled engine are not.
            expr:
                `(${answered("10m")} >= ${fewestCalls} or (max(${runningAllTheTime(perReplica)}) unless on () ${generating([])})) ` +
                `unless on () ` +
                `${sumBy([], rate(vllm.requestSuccess, { ...series, finished_reason: "=~stop|length" }, "10m"))} > 0`,
            for: "5m",
            summary: `${name} answers no request: requests come in, and none ends well.`,
            description: "There were requests in the last 10 minutes, and not one generation was completed.",
        }),
        ...burns.map((burn) =>
            alert("VllmErrorBudgetBurn", burn.severity, {
                window: burn.window,
                expr: burning("errors", burn, targets.errorBudget),
                summary: `Requests to ${name} fail: more than the ${percent(targets.errorBudget)} allowed.`,
                description:
                    `${ratioShown} of the requests of the last ${burn.long} failed on the server (5xx), ` +
                    `${burn.factor} times what the budget allows for.`,
            }),
        ),
        ...burns.map((burn) =>
            alert("VllmFirstTokenSlow", burn.severity, {
                window: burn.window,
                expr: burning("firstTokenSlow", burn, 1 - targets.withinTargets),
                summary: `Answers of ${name} begin late: after more than ${targets.timeToFirstToken} s.`,
                description:
                    `${ratioShown} of the first tokens of the last ${burn.long} came after ${targets.timeToFirstToken} s; ` +
                    `the target allows ${percent(1 - targets.withinTargets)}.`,
            }),
        ),
        ...burns.map((burn) =>
            alert("VllmTokensSlow", burn.severity, {
                window: burn.window,
                expr: burning("interTokenSlow", burn, 1 - targets.withinTargets),
                summary: `Answers of ${name} flow slowly: more than ${targets.interTokenLatency} s between tokens.`,
                description:
                    `${ratioShown} of the tokens of the last ${burn.long} came more than ${targets.interTokenLatency} s ` +
                    `after the one before; the target allows ${percent(1 - targets.withinTargets)}.`,
            }),
        ),
        alert("VllmQueueNotDraining", "ticket", {
            expr: `min_over_time(${gaugeOver(recorded.waiting, own, "10m")}) > 0`,
            for: "5m",
            summary: `Requests to ${name} wait: the queue has not been empty for 15 minutes.`,
            description: "At least {{ $value }} requests were waiting at any time.",
        }),
        alert("VllmKvCacheExhausted", "ticket", {
            expr:
                `${aggregate("max", perReplica, gauge(vllm.kvCacheUsage, series))} > 0.95 and on (${perReplica.join(", ")}) ` +
                `${sumBy(perReplica, rate(vllm.numPreemptions, series, "5m"))} > 0`,
            for: "10m",
            summary: `Answers of ${name} stall and go on: its memory for running requests is full.`,
            description:
                "The KV cache of replica {{ $labels.replica }} is {{ $value | humanizePercentage }} full, and running " +
                "requests are thrown back into the queue to be computed again.",
        }),
        ...(replicasSeen
            ? [
                  alert("VllmAtMaxReplicas", "ticket", {
                      expr:
                          `${gauge(recorded.scalingValue, own)} > ${scaling.target} ` +
                          `and ${gauge(recorded.replicas, own)} >= ${replicas.max}`,
                      for: "15m",
                      summary: `${name} is at its ${replicas.max} replicas and still over target: it gets slower from here.`,
                      description: `${scaling.metric} is {{ $value | humanize }}, the target is ${scaling.target}.`,
                  }),
              ]
            : []),
        alert("VllmScalingMetricMissing", "ticket", {
            expr:
                `${aggregate("max", ["job"], gauge(scrape.up, series))} == 1 ` +
                `unless on (job) ${aggregate("count", ["job"], scalingMetric(name, scaling.metric))}`,
            for: "10m",
            summary: `${name} will not scale: the metric that decides on it is not there.`,
            description: `The app is scraped, and ${scaling.metric} is not among what it tells.`,
        }),
        ...(replicasSeen
            ? [
                  alert("VllmReplicaFlapping", "info", {
                      expr: `changes(${gaugeOver(recorded.replicas, own, "1h")}) > 6`,
                      summary: `Replicas of ${name} come and go: each new one is paid for and takes minutes to serve.`,
                      description: "The number of replicas changed {{ $value }} times within an hour.",
                  }),
                  alert("VllmReplicaStuck", "ticket", {
                      expr: `${runningAllTheTime(perReplica)} unless on (${perReplica.join(", ")}) ${generating(perReplica)}`,
                      for: "5m",
                      summary: `Some requests to ${name} hang: one replica takes them and answers none.`,
                      description:
                          "Replica {{ $labels.replica }} has had {{ $value }} requests or more for 10 minutes and generated nothing.",
                  }),
              ]
            : []),
        alert("VllmMetricsStale", "ticket", {
            expr: model.relayed
                ? `absent(${gauge(scrape.up, series)}) or ` +
                  `${aggregate("max", ["job"], gauge(relay.sampleAge, own))} > 120`
                : `absent(${gauge(scrape.up, series)})`,
            for: "5m",
            summary: `Nothing is known of ${name}: dashboards and alerts are blind, users may or may not be served.`,
            description: "Prometheus does not scrape it, or what it gets is more than 2 minutes old.",
        }),
        ...(model.relayed
            ? [
                  alert("VllmCertificateExpiring", "ticket", {
                      expr: `${aggregate("min", [], gauge(relay.certificateExpiry, own))} - time() < 14 * 86400`,
                      for: "1h",
                      summary: `Clients of ${name} will soon refuse it: its certificate ends in {{ $value | humanizeDuration }}.`,
                      description: "The platform renews certificates by itself; this one it has not.",
                  }),
                  alert("VllmTokenRejected", "page", {
                      expr: `${sumBy([], increase(relay.failures, { ...own, kind: "=unauthorized" }, "5m"))} > 0`,
                      for: "5m",
                      summary: `The metrics of ${name} are refused with 401: nobody would notice if it went down.`,
                      description:
                          "The token with which it is scraped is not, or no longer, accepted. The clients' token is another one.",
                  }),
                  alert("VllmRelayBlind", "ticket", {
                      expr:
                          `${aggregate("max", [], gauge(relay.blind, own))} == 1 or on () ` +
                          `${aggregate("max", [], relayUp)} == 0 or on () absent(${relayUp})`,
                      for: "10m",
                      summary: `The numbers of ${name} are too low: not every replica is seen.`,
                      description: "The relay misses replicas, or does not run.",
                  }),
              ]
            : []),
    ];
}

/** Claim of Prometheus' volume, as the operator names it. */
const prometheusClaim = "prometheus-monitoring-prometheus-db-.*";

function monitoringRules(runbooks: string): AlertRule[] {
    const disk = { persistentvolumeclaim: `=~${prometheusClaim}` } as const;
    const free = ratio(gauge(platform.volumeAvailable, disk), gauge(platform.volumeCapacity, disk));
    const available = gaugeOver(platform.volumeAvailable, disk, "6h");
    return [
        {
            alert: "PrometheusDiskFilling",
            expr: `${free} < 0.05 or (${free} < 0.2 and predict_linear(${available}, 86400) < 0)`,
            for: "30m",
            labels: { severity: "ticket" },
            annotations: {
                summary: "The monitoring is about to stop: Prometheus' disk is full within a day.",
                description: "{{ $value | humanizePercentage }} of volume {{ $labels.persistentvolumeclaim }} is free.",
                runbook_url: `${runbooks}/PrometheusDiskFilling.md`,
            },
        },
        {
            alert: "DeadMansSwitch",
            expr: "vector(1)",
            labels: { severity: "none" },
            annotations: {
                summary: "Always on: when whoever receives it no longer does, the monitoring itself is down.",
                description: "Sent to the receivers of the route `heartbeat`, again and again.",
                runbook_url: `${runbooks}/DeadMansSwitch.md`,
            },
        },
    ];
}
