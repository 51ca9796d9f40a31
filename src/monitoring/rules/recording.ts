import type { Input } from "@pulumi/pulumi";
import { vllmMetrics as vllm, type Metric } from "../../vllm/metrics";
import { recordedMetrics as recorded, relayMetrics as relay, type Window } from "../metrics";
import { aggregate, bucketLabel, gauge, histogramRate, ratio, sumBy, type Matcher } from "../promql";
import { about, callRate, ofReplicas, orAsleep, perReplica, scalingMetric, type WatchedModel } from "./model";
import type { RecordingRule } from "./rule";

const windows: Window[] = ["5m", "30m", "1h", "6h"];

/** What dashboards and alerts read of a model: its settings as series, its replicas summed up, and shares of failures. */
export function recordingRules(model: WatchedModel, runbooks: string): RecordingRule[] {
    return [...settings(model, runbooks), ...sums(model), ...windows.flatMap((window) => shares(model, window))];
}

function rule(model: WatchedModel, metric: Metric, expr: string, labels: Record<string, Input<string>> = {}) {
    return { record: metric.name, expr, labels: { model: model.name, ...labels } };
}

function settings(model: WatchedModel, runbooks: string): RecordingRule[] {
    const { app, region, image, targets, scaling, replicas, maxNumSeqs, replicaPrice } = model;
    const constant = (metric: Metric, value: number) => rule(model, metric, `vector(${value})`);
    return [
        rule(model, recorded.info, "vector(1)", { app, region: region.toLowerCase(), image, runbooks }),
        constant(recorded.firstTokenTarget, targets.timeToFirstToken),
        constant(recorded.interTokenTarget, targets.interTokenLatency),
        constant(recorded.withinTargetsObjective, targets.withinTargets),
        constant(recorded.errorBudget, targets.errorBudget),
        constant(recorded.scalingTarget, scaling.target),
        constant(recorded.maxNumSeqs, maxNumSeqs),
        constant(recorded.replicasMin, replicas.min),
        constant(recorded.replicasMax, replicas.max),
        ...(replicaPrice === undefined ? [] : [constant(recorded.replicaPrice, replicaPrice)]),
    ];
}

function sums(model: WatchedModel): RecordingRule[] {
    const running = gauge(vllm.numRequestsRunning, ofReplicas(model));
    return [
        rule(model, recorded.replicas, replicas(model)),
        rule(model, recorded.running, orAsleep(model, sumBy([], running))),
        rule(model, recorded.waiting, orAsleep(model, sumBy([], gauge(vllm.numRequestsWaiting, ofReplicas(model))))),
        rule(model, recorded.scalingValue, orAsleep(model, scalingValue(model))),
        rule(model, recorded.userRequests, userRequests(model)),
    ];
}

/** Those that were seen; of a model that is let alone, so that it may sleep, those that OVHcloud's API tells of. */
function replicas(model: WatchedModel): string {
    const seen = aggregate("count", [], sumBy(perReplica, gauge(vllm.numRequestsRunning, ofReplicas(model))));
    if (model.replicas.min > 0) return seen;
    return `${seen} or on () ${aggregate("max", [], gauge(relay.appReplicas, about(model)))}`;
}

/** The scaling metric over the replicas, aggregated as the platform does. */
function scalingValue(model: WatchedModel): string {
    const { aggregation } = model.scaling;
    const operator = ({ AVERAGE: "avg", MAX: "max", MIN: "min", SUM: "sum" } as const)[aggregation];
    return aggregate(operator, [], sumBy(perReplica, scalingMetric(model)));
}

function shares(model: WatchedModel, window: Window): RecordingRule[] {
    const { timeToFirstToken, interTokenLatency } = model.targets;
    return [
        rule(model, recorded[`errors${window}`], errorRatio(model, window)),
        rule(
            model,
            recorded[`firstTokenSlow${window}`],
            slowRatio(model, vllm.timeToFirstToken, timeToFirstToken, window),
        ),
        rule(
            model,
            recorded[`interTokenSlow${window}`],
            slowRatio(model, vllm.interTokenLatency, interTokenLatency, window),
        ),
    ];
}

/** Requests but those of one token, which may be the relay's. Both rates are of the same samples, so of one-token answers alone it is 0. */
function userRequests(model: WatchedModel): string {
    const series = ofReplicas(model);
    const finished = (part: "bucket" | "count", le: { le?: Matcher }) =>
        sumBy([], histogramRate(vllm.requestGenerationTokens, part, { ...series, ...le }, "5m"));
    return `${finished("count", {})} - ${finished("bucket", { le: `=${bucketLabel(1)}` })}`;
}

/** Failures of the server among the calls that it did not refuse; no result without calls. */
function errorRatio(model: WatchedModel, window: string): string {
    const all = callRate(model, "!=4xx", window);
    // Before the first failure there is no series of failures.
    return ratio(`(${callRate(model, "=5xx", window)} or 0 * ${all})`, all);
}

/** Share of the observations above a bucket's bound; no result without observations. */
function slowRatio(
    model: WatchedModel,
    metric: typeof vllm.timeToFirstToken | typeof vllm.interTokenLatency,
    bound: number,
    window: string,
): string {
    const series = ofReplicas(model);
    const within = sumBy([], histogramRate(metric, "bucket", { ...series, le: `=${bucketLabel(bound)}` }, window));
    return `1 - ${ratio(within, sumBy([], histogramRate(metric, "count", series, window)))}`;
}
