import type { Input } from "@pulumi/pulumi";

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
    "VllmNotWaking",
    "VllmSleepUnknown",
    "VllmFrontDoorDown",
    "VllmFrontDoorRefusing",
    "VllmControllerFailing",
    "VllmLeaseEnding",
    "VllmStoppedByController",
    "VllmSpendLimitReached",
    "VllmSpendUnknown",
    "VllmUnused",
    "VllmAppOfNoStack",
    "SpendAbovePace",
    "PrometheusDiskFilling",
    "DeadMansSwitch",
] as const;
export type AlertName = (typeof alertNames)[number];

/** Makes one alert. */
export type MakeAlert = (
    alert: AlertName,
    severity: Severity,
    rule: { expr: string; for?: string; summary: string; description: string; window?: string },
) => AlertRule;

/**
 * What makes the alerts of a model, or, without one, of the monitoring itself.
 * @param runbooks address under which the runbooks are found, without a slash at the end
 */
export function alertsOf(model: string | undefined, runbooks: string): MakeAlert {
    return (alert, severity, { expr, for: wait, window, summary, description }) => ({
        alert,
        expr,
        ...(wait && { for: wait }),
        labels: { severity, ...(model !== undefined && { model }), ...(window && { window }) },
        annotations: { summary, description, runbook_url: `${runbooks}/${alert}.md` },
    });
}
