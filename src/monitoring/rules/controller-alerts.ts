import type { SpendAction } from "../../hours/wanted";
import { controllerMetrics as controller } from "../metrics";
import { aggregate, gauge } from "../promql";
import { about, everyScrape, type WatchedModel } from "./model";
import { alertsOf, type AlertRule } from "./rule";

/** Alerts on what the controller does with a model, and on that it cannot. */
export function controllerAlerts(model: WatchedModel, runbooks: string): AlertRule[] {
    if (!model.controlled) return [];
    const { name } = model;
    const alert = alertsOf(name, runbooks);
    const applied = aggregate("min", [], gauge(controller.applied, about(model)));
    const lastSuccess = aggregate("max", [], gauge(controller.lastSuccess, about(model)));
    const leaseEnd = aggregate("max", [], gauge(controller.leaseEnd, about(model)));
    const stopped = aggregate("max", [], gauge(controller.stopped, about(model)));
    return [
        alert("VllmControllerFailing", "ticket", {
            expr:
                `${applied} == 0 or on () time() - ${lastSuccess} > 600 ` +
                `or on () absent(${gauge(controller.applied, about(model))})`,
            for: "10m",
            summary: `${name} is not as its hours, its lease or the limit of spend want it, and may cost too much.`,
            description: "The controller does not run, cannot ask OVHcloud's API, or something else changes the app.",
        }),
        ...(model.controlled.lease
            ? [
                  alert("VllmLeaseEnding", "info", {
                      expr: `${leaseEnd} - time() < 86400 and on () ${leaseEnd} - time() > 0`,
                      summary: `The lease of ${name} ends within a day, and its app is stopped then.`,
                      description:
                          "It ends in {{ $value | humanizeDuration }}. The command that extends it is in the runbook.",
                  }),
              ]
            : []),
        alert("VllmStoppedByController", "info", {
            expr: untilItAnswers(model, `${stopped} == 1`),
            summary: `${name} is stopped, or loads again: its lease has ended, or the month's limit of spend is reached.`,
            description: "Nothing else of it alerts meanwhile.",
        }),
    ];
}

/**
 * This holds, or has held within half an hour, and since then the address has not answered: an app that is let go again loads for
 * minutes, which is no outage, and the controller that lets it go is another pod than the one that stopped it.
 */
function untilItAnswers(model: WatchedModel, holds: string): string {
    const last = (expr: string): string => `max_over_time(timestamp(${expr})[30m:1m])`;
    const answered = last(`${aggregate("max", [], everyScrape(model))} == 1`);
    return `${last(holds)} >= on () (${answered} or on () vector(0))`;
}

const consequence: Record<SpendAction, string> = {
    warn: "Nothing else is done.",
    scaleToMin: "Each model runs its fewest replicas and no more until the month ends.",
    stop: "The apps are stopped until the month ends.",
};

/** The alert on the limit of spend, which concerns all models. */
export function spendLimitAlert(action: SpendAction, runbooks: string): AlertRule[] {
    const alert = alertsOf(undefined, runbooks);
    const known = aggregate("min", [], gauge(controller.spendKnown, {}));
    return [
        alert("VllmSpendLimitReached", "ticket", {
            expr:
                `${aggregate("sum", [], gauge(controller.spend, {}))} >= ` +
                `on () ${aggregate("max", [], gauge(controller.spendLimit, {}))}`,
            summary: "The models have cost as much this month as they may: the limit of spend is reached.",
            description: `They have cost {{ $value | humanize }} euros. ${consequence[action]}`,
        }),
        alert("VllmSpendUnknown", "ticket", {
            expr: `${known} == 0 or on () absent(${gauge(controller.spendKnown, {})})`,
            for: "30m",
            summary: "Nobody knows what this month has cost: the limit of spend is not kept.",
            description: "The controller cannot ask Prometheus, has no price of a replica, or does not run.",
        }),
    ];
}

/** The alert on apps that no stack has made. */
export function unownedAppAlert(runbooks: string): AlertRule[] {
    const price = gauge(controller.unownedPrice, { app: "=%s" });
    return [
        alertsOf(undefined, runbooks)("VllmAppOfNoStack", "ticket", {
            expr: `${aggregate("max", ["app", "name", "region", "flavor"], gauge(controller.unownedReplicas, {}))} > 0`,
            for: "30m",
            summary: "An app of the project runs and is billed, and no stack has made it.",
            description:
                "{{ $labels.name }} ({{ $labels.app }}) in {{ $labels.region }} runs {{ $value }} replica(s) of {{ $labels.flavor }}" +
                `{{ with printf ${JSON.stringify(`max(${price})`)} $labels.app | query }}` +
                " for {{ . | first | value | humanize }} euros an hour{{ end }}.",
        }),
    ];
}
