import { vllmMetrics as vllm } from "../../vllm/metrics";
import { recordedMetrics as recorded, scrapeMetrics as scrape } from "../metrics";
import { aggregate, gauge, gaugeOver, rate, sumBy } from "../promql";
import { about, inPhase, ofReplicas, perReplica, scalingMetric, tokenRate, type WatchedModel } from "./model";
import { alertsOf, type AlertRule, type MakeAlert } from "./rule";

/** Alerts on replicas: whether there are enough of them, whether they work, and whether scaling does. */
export function capacityAlerts(model: WatchedModel, runbooks: string): AlertRule[] {
    const alert = alertsOf(model.name, runbooks);
    // With several replicas behind one address and no relay, what a scrape shows is one of them, another each time.
    const replicasSeen = model.relayed || model.replicas.max === 1;
    return [
        queueNotDraining(model, alert),
        kvCacheExhausted(model, alert),
        scalingMetricMissing(model, alert),
        unused(model, alert),
        ...(replicasSeen
            ? [atMaxReplicas(model, alert), replicaFlapping(model, alert), replicaStuck(model, alert)]
            : []),
    ];
}

function queueNotDraining(model: WatchedModel, alert: MakeAlert): AlertRule {
    return alert("VllmQueueNotDraining", "ticket", {
        expr: `min_over_time(${gaugeOver(recorded.waiting, about(model), "10m")}) > 0`,
        for: "5m",
        summary: `Requests to ${model.name} wait: the queue has not been empty for 15 minutes.`,
        description: "At least {{ $value }} requests were waiting at any time.",
    });
}

function kvCacheExhausted(model: WatchedModel, alert: MakeAlert): AlertRule {
    const series = ofReplicas(model);
    return alert("VllmKvCacheExhausted", "ticket", {
        expr:
            `${aggregate("max", perReplica, gauge(vllm.kvCacheUsage, series))} > 0.95 and on (${perReplica.join(", ")}) ` +
            `${sumBy(perReplica, rate(vllm.numPreemptions, series, "5m"))} > 0`,
        for: "10m",
        summary: `Answers of ${model.name} stall and go on: its memory for running requests is full.`,
        description:
            "The KV cache of replica {{ $labels.replica }} is {{ $value | humanizePercentage }} full, and running " +
            "requests are thrown back into the queue to be computed again.",
    });
}

function scalingMetricMissing(model: WatchedModel, alert: MakeAlert): AlertRule {
    return alert("VllmScalingMetricMissing", "ticket", {
        expr:
            `${aggregate("max", ["job"], gauge(scrape.up, ofReplicas(model)))} == 1 ` +
            `unless on (job) ${aggregate("count", ["job"], scalingMetric(model))}` +
            // Of one that is let alone nothing is read.
            (model.replicas.min > 0 ? "" : ` unless on () ${inPhase(model, "awake")} == 0`),
        for: "10m",
        summary: `${model.name} will not scale: the metric that decides on it is not there.`,
        description: `The app is scraped, and ${model.scaling.metric} is not among what it tells.`,
    });
}

function atMaxReplicas(model: WatchedModel, alert: MakeAlert): AlertRule {
    const { name, scaling, replicas } = model;
    return alert("VllmAtMaxReplicas", "ticket", {
        expr:
            `${gauge(recorded.scalingValue, about(model))} > ${scaling.target} ` +
            `and ${gauge(recorded.replicas, about(model))} >= ${replicas.max}`,
        for: "15m",
        summary: `${name} is at its ${replicas.max} replicas and still over target: it gets slower from here.`,
        description: `${scaling.metric} is {{ $value | humanize }}, the target is ${scaling.target}.`,
    });
}

function replicaFlapping(model: WatchedModel, alert: MakeAlert): AlertRule {
    return alert("VllmReplicaFlapping", "info", {
        expr: `changes(${gaugeOver(recorded.replicas, about(model), "1h")}) > 6`,
        summary: `Replicas of ${model.name} come and go: each new one is paid for and takes minutes to serve.`,
        description: "The number of replicas changed {{ $value }} times within an hour.",
    });
}

function replicaStuck(model: WatchedModel, alert: MakeAlert): AlertRule {
    const running = gaugeOver(vllm.numRequestsRunning, ofReplicas(model), "10m");
    return alert("VllmReplicaStuck", "ticket", {
        expr:
            `${aggregate("min", perReplica, `min_over_time(${running})`)} > 0 ` +
            `and on (${perReplica.join(", ")}) ${tokenRate(model, "10m", perReplica)} == 0`,
        for: "5m",
        summary: `Some requests to ${model.name} hang: one replica takes them and answers none.`,
        description:
            "Replica {{ $labels.replica }} has had {{ $value }} requests or more for 10 minutes and generated nothing.",
    });
}

/** An app that was there days ago, and of whose requests since then none was more than the relay's own probes. */
function unused(model: WatchedModel, alert: MakeAlert): AlertRule {
    const there = gauge(recorded.replicas, about(model));
    return alert("VllmUnused", "ticket", {
        expr:
            // Not 0: a sum of rates that cancel out may leave a trace.
            `max_over_time(${gaugeOver(recorded.userRequests, about(model), "3d")}) < 0.0001 ` +
            `and (${there} offset 3d) > 0 and ${there} > 0`,
        for: "1h",
        summary: `Nobody has asked ${model.name} for anything in 3 days, and its replicas are billed.`,
        description: "Of its answers none was longer than the one token that the monitoring asks for.",
    });
}
