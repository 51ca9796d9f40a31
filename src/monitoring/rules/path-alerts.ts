import { platformMetrics as platform, relayMetrics as relay, scrapeMetrics as scrape } from "../metrics";
import { aggregate, gauge, gaugeOver, ratio } from "../promql";
import { relayJobName } from "../scrape-jobs";
import { about, everyScrape, ofReplicas, tokenRefused, type WatchedModel } from "./model";
import { alertsOf, type AlertRule, type MakeAlert } from "./rule";

/** Alerts on the way from a model to Prometheus: without it no other alert sees anything. */
export function pathAlerts(model: WatchedModel, runbooks: string): AlertRule[] {
    const alert = alertsOf(model.name, runbooks);
    return [
        metricsStale(model, alert),
        ...(model.relayed
            ? [certificateExpiring(model, alert), tokenRejected(model, alert), relayBlind(model, alert)]
            : []),
    ];
}

function metricsStale(model: WatchedModel, alert: MakeAlert): AlertRule {
    const unscraped = `absent(${gauge(scrape.up, ofReplicas(model))})`;
    return alert("VllmMetricsStale", "ticket", {
        expr: model.relayed
            ? `${unscraped} or ${aggregate("max", ["job"], gauge(relay.sampleAge, about(model)))} > 120`
            : unscraped,
        for: "5m",
        summary: `Nothing is known of ${model.name}: dashboards and alerts are blind, users may or may not be served.`,
        description: "Prometheus does not scrape it, or what it gets is more than 2 minutes old.",
    });
}

function certificateExpiring(model: WatchedModel, alert: MakeAlert): AlertRule {
    return alert("VllmCertificateExpiring", "ticket", {
        expr: `${aggregate("min", [], gauge(relay.certificateExpiry, about(model)))} - time() < 14 * 86400`,
        for: "1h",
        summary: `Clients of ${model.name} will soon refuse it: its certificate ends in {{ $value | humanizeDuration }}.`,
        description: "The platform renews certificates by itself; this one it has not.",
    });
}

function tokenRejected(model: WatchedModel, alert: MakeAlert): AlertRule {
    return alert("VllmTokenRejected", "page", {
        // Nothing comes through now: a rotation that took two minutes is over when it is.
        expr: `${aggregate("max", [], gauge(scrape.up, ofReplicas(model)))} == 0 and on () (${tokenRefused(model)})`,
        for: "5m",
        summary: `The metrics of ${model.name} are refused with 401: nobody would notice if it went down.`,
        description:
            "The token with which it is scraped is not, or no longer, accepted. The clients' token is another one.",
    });
}

function relayBlind(model: WatchedModel, alert: MakeAlert): AlertRule {
    const relayUp = gauge(scrape.up, { job: `=${relayJobName}`, ...about(model) });
    return alert("VllmRelayBlind", "ticket", {
        // While nobody answers there is nothing to be seen.
        expr:
            `${aggregate("max", [], gauge(relay.blind, about(model)))} == 1 ` +
            `and on () ${aggregate("max", [], everyScrape(model))} == 1 ` +
            `or on () ${aggregate("max", [], relayUp)} == 0 or on () absent(${relayUp})`,
        for: "10m",
        summary: `The numbers of ${model.name} are too low: not every replica is seen.`,
        description: "The relay misses replicas, or does not run.",
    });
}

/** Claim of Prometheus' volume, as the operator names it. */
const prometheusClaim = "prometheus-monitoring-prometheus-db-.*";

/** Alerts on the monitoring itself. */
export function monitoringAlerts(runbooks: string): AlertRule[] {
    const alert = alertsOf(undefined, runbooks);
    const disk = { persistentvolumeclaim: `=~${prometheusClaim}` } as const;
    const free = ratio(gauge(platform.volumeAvailable, disk), gauge(platform.volumeCapacity, disk));
    const available = gaugeOver(platform.volumeAvailable, disk, "6h");
    return [
        alert("PrometheusDiskFilling", "ticket", {
            expr: `${free} < 0.05 or (${free} < 0.2 and predict_linear(${available}, 86400) < 0)`,
            for: "30m",
            summary: "The monitoring is about to stop: Prometheus' disk is full within a day.",
            description: "{{ $value | humanizePercentage }} of volume {{ $labels.persistentvolumeclaim }} is free.",
        }),
        alert("DeadMansSwitch", "none", {
            expr: "vector(1)",
            summary: "Always on: when whoever receives it no longer does, the monitoring itself is down.",
            description: "Sent to the receivers of the route `heartbeat`, again and again.",
        }),
    ];
}
