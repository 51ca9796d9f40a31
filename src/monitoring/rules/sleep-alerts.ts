import { relayMetrics as relay } from "../metrics";
import { aggregate, gauge } from "../promql";
import { about, inPhase, type WatchedModel } from "./model";
import { alertsOf, type AlertRule } from "./rule";

/** Alerts on a model that may sleep. That it sleeps is none: nobody asks. */
export function sleepAlerts(model: WatchedModel, runbooks: string): AlertRule[] {
    if (model.replicas.min > 0) return [];
    const alert = alertsOf(model.name, runbooks);
    return [
        alert("VllmNotWaking", "page", {
            // A boot takes some minutes: the image, the weights, the first probe after five minutes.
            expr: `${inPhase(model, "waking")} == 1`,
            for: "15m",
            summary: `${model.name} does not wake up: requests wait or are refused, and no replica comes.`,
            description: "For 15 minutes the platform has been starting its first replica, and none serves.",
        }),
        alert("VllmSleepUnknown", "ticket", {
            expr: `${aggregate("max", [], gauge(relay.stateAge, about(model)))} > 600`,
            for: "5m",
            summary: `Nobody knows whether ${model.name} sleeps: its relay cannot read its state, and lets it alone.`,
            description: "OVHcloud's API has not told its state for {{ $value | humanizeDuration }}.",
        }),
    ];
}
