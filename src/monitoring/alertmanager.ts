import type { AlertingSettings, Receiver } from "../settings";
import type { AlertName } from "./rules";
import { frontDoorJobName, jobName } from "./scrape-jobs";

/** The Secret with what is secret of the receivers, a key for each; mounted by Alertmanager. */
export const receiversSecretName = "alertmanager-receivers";

/** Where the operator mounts it. */
const secretsFolder = `/etc/alertmanager/secrets/${receiversSecretName}`;

/** Content of the Secret: the secret of each receiver that has one, by its name. */
export function receiverSecrets(receivers: AlertingSettings["receivers"]): Record<string, string> {
    const secrets = Object.entries(receivers).map(([name, receiver]) => [name, secretOf(receiver)] as const);
    return Object.fromEntries(secrets.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function secretOf(receiver: Receiver): string | undefined {
    switch (receiver.type) {
        case "webhook":
        case "slack":
            return receiver.url;
        case "email":
            return receiver.password;
        case "pagerduty":
            return receiver.routingKey;
        case "opsgenie":
            return receiver.apiKey;
    }
}

/** A tier of alerts, and with it a receiver of Alertmanager's: it tells everyone that the tier's route names. */
type Tier = keyof AlertingSettings["routes"];

/** Tells no one. */
const nobody = "null";

/** Alerts whose cause lies in the app being gone: told of once, by the alert that says so. */
const childrenOfDown: AlertName[] = [
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
    "VllmRelayBlind",
    "VllmFrontDoorRefusing",
];

/**
 * Alertmanager's configuration. It holds no secret: those are read from files (`receiverSecrets`).
 * The chart's own alerts (critical, warning, info) go the way of page, ticket and info. Models are told by the label
 * `model` alone, so that it stays the same whichever there are.
 */
export function alertmanagerConfig({ receivers, routes }: AlertingSettings): Record<string, unknown> {
    const tier = (name: Tier): Record<string, unknown> => ({
        name,
        ...integrations(routes[name].map((receiver) => [receiver, receivers[receiver]])),
    });
    const route = (name: Tier, severities: string, repeat: string) => ({
        receiver: name,
        matchers: [`severity =~ "${severities}"`],
        repeat_interval: repeat,
        // One message for all that is wrong with a model.
        routes: [{ receiver: name, matchers: [`model != ""`], group_by: ["model"] }],
    });
    return {
        global: { resolve_timeout: "5m" },
        route: {
            receiver: nobody,
            group_by: ["namespace", "alertname"],
            // Time for the alert that explains the others to arrive with them.
            group_wait: "30s",
            group_interval: "5m",
            repeat_interval: "12h",
            routes: [
                {
                    receiver: "heartbeat",
                    matchers: [`alertname = "DeadMansSwitch"`],
                    group_by: ["alertname"],
                    group_wait: "0s",
                    group_interval: "1m",
                    repeat_interval: "5m",
                },
                // Made by the chart to silence others.
                { receiver: nobody, matchers: [`alertname = "InfoInhibitor"`] },
                route("page", "page|critical", "4h"),
                route("ticket", "ticket|warning", "24h"),
                route("info", "info", "7d"),
            ],
        },
        receivers: [{ name: nobody }, tier("heartbeat"), tier("page"), tier("ticket"), tier("info")],
        inhibit_rules: [
            inhibit([`alertname = "VllmEndpointDown"`], [`alertname =~ "${childrenOfDown.join("|")}"`], ["model"]),
            // Without the token nothing is seen: that the app seems to be down is not known to be true.
            inhibit(
                [`alertname = "VllmTokenRejected"`],
                [`alertname =~ "VllmEndpointDown|${childrenOfDown.join("|")}"`],
                ["model"],
            ),
            // Whoever is stopped on purpose is down, and nobody has to do anything about it.
            inhibit(
                [`alertname = "VllmStoppedByController"`],
                [`alertname =~ "VllmEndpointDown|VllmTokenRejected|TargetDown|${childrenOfDown.join("|")}"`],
                ["model"],
            ),
            // The chart's alert says the same of each of the model's jobs.
            inhibit(
                [`alertname =~ "VllmEndpointDown|VllmTokenRejected"`],
                [`alertname = "TargetDown"`, `model != ""`],
                ["model"],
            ),
            inhibit(
                [`alertname =~ "VllmFrontDoorDown|VllmNotWaking"`],
                [`alertname = "VllmFrontDoorRefusing"`],
                ["model"],
            ),
            // Of all doors there is one of the chart's, which names no model.
            inhibit(
                [`alertname = "VllmFrontDoorDown"`],
                [`alertname = "TargetDown"`, `job = "${frontDoorJobName}"`],
                [],
            ),
            inhibit([`severity = "page"`], [`severity = "ticket"`], ["alertname", "model"]),
            // Those that the chart comes with.
            inhibit([`severity = "critical"`], [`severity =~ "warning|info"`], ["namespace", "alertname"]),
            inhibit([`severity = "warning"`], [`severity = "info"`], ["namespace", "alertname"]),
            inhibit([`alertname = "InfoInhibitor"`], [`severity = "info"`, `model = ""`], ["namespace"]),
        ],
    };
}

/**
 * Relabelling of alerts on their way to Alertmanager: those of the chart that concern a model's job are given its label
 * `model`, which they lack.
 */
export const alertRelabelConfigs = [
    {
        source_labels: ["model", "job"],
        regex: `;${jobName("(.+?)")}(-direct)?`,
        target_label: "model",
        replacement: "$1",
    },
];

function inhibit(source: string[], target: string[], equal: string[]) {
    return { source_matchers: source, target_matchers: target, equal };
}

const title = "{{ .CommonLabels.alertname }} {{ .CommonLabels.model }} ({{ .Status }})";
const text =
    "{{ range .Alerts }}{{ .Annotations.summary }} {{ .Annotations.description }} " +
    "Runbook: {{ .Annotations.runbook_url }}\n{{ end }}";

/** The receivers of a tier as Alertmanager's configuration has them: a list for each kind. */
function integrations(receivers: [name: string, receiver: Receiver][]): Record<string, object[]> {
    const lists: Record<string, object[]> = {};
    for (const [name, receiver] of receivers) {
        const file = `${secretsFolder}/${name}`;
        const { kind, config } = integration(receiver, file);
        (lists[kind] ??= []).push({ send_resolved: true, ...config });
    }
    return lists;
}

function integration(receiver: Receiver, file: string): { kind: string; config: object } {
    switch (receiver.type) {
        case "webhook":
            return { kind: "webhook_configs", config: { url_file: file } };
        case "slack":
            return {
                kind: "slack_configs",
                config: { api_url_file: file, channel: receiver.channel, title, text },
            };
        case "email":
            return {
                kind: "email_configs",
                config: {
                    to: receiver.to,
                    from: receiver.from,
                    smarthost: receiver.smarthost,
                    ...(receiver.username && { auth_username: receiver.username, auth_password_file: file }),
                    require_tls: true,
                    headers: { Subject: title },
                },
            };
        case "pagerduty":
            return { kind: "pagerduty_configs", config: { routing_key_file: file, description: title } };
        case "opsgenie":
            return {
                kind: "opsgenie_configs",
                config: {
                    api_key_file: file,
                    ...(receiver.region === "eu" && { api_url: "https://api.eu.opsgenie.com/" }),
                    message: title,
                    description: text,
                },
            };
    }
}
