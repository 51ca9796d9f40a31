import { parse } from "yaml";
import { replicaRange } from "../../src/hours/schedule";
import { isControlled } from "../../src/inference/app-hours";
import { isRelayed } from "../../src/monitoring/relayed";
import { controllerRules, modelRules, spendRules, stackRules } from "../../src/monitoring/rules";
import type { Settings } from "../../src/settings";
import { maxNumSeqs } from "../../src/vllm/limits";
import type { MonitoringApi } from "../monitoring-api";
import type { Prometheus } from "../prometheus";
import type { VerifiedModel } from "./app";
import { caution, expect, type Check } from "./check";
import { prometheusAnswers } from "./metrics";

const connected = "Prometheus sends its alerts to an Alertmanager";
/** Of the failed notifications, so long back. */
const window = "1h";

/** An Alertmanager's configuration, in part. */
interface AlertmanagerConfig {
    receivers: Record<string, unknown>[];
}

/** Checks the way of an alert: its rule is evaluated, Alertmanager hears of it, and somebody is told. */
export async function checkAlerts(
    check: Check,
    models: VerifiedModel[],
    prometheus: Prometheus,
    alertmanager: MonitoringApi,
    settings: Settings,
): Promise<void> {
    const { alerting, monitoring } = settings;
    await check(
        "every rule is loaded and evaluated without an error",
        async () => {
            const loaded = await prometheus.rules();
            const ill = loaded.filter(({ health }) => health === "err");
            expect(ill.length === 0, ill.map(({ name, lastError }) => `${name}: ${lastError}`).join("; "));
            const names = ruleNames(models, settings);
            const missing = [...new Set(names)].filter((name) => !loaded.some((one) => one.name === name));
            const fix = `kubectl get prometheusrule -n ${monitoring.namespace}; then pulumi up`;
            expect(missing.length === 0, `not loaded: ${missing.join(", ")}`, fix);
            return `${loaded.length} rules, the ${names.length} of this program among them`;
        },
        { needs: [prometheusAnswers] },
    );
    await check(
        connected,
        async () => {
            const found = await prometheus.alertmanagers();
            expect(found.length > 0, "it knows none: nobody will be told of anything", "pulumi up");
            return found.join(", ");
        },
        { needs: [prometheusAnswers] },
    );
    await check(
        "an alert goes all the way to Alertmanager",
        async () => {
            const alerts = (await alertmanager.get("/api/v2/alerts?active=true")) as {
                labels: Record<string, string>;
                updatedAt: string;
            }[];
            const always = alerts.find(({ labels }) => labels.alertname === "DeadMansSwitch");
            expect(
                always,
                "DeadMansSwitch, which always fires, has not arrived",
                "see docs/operations/DeadMansSwitch.md",
            );
            return `DeadMansSwitch arrived at ${always.updatedAt}`;
        },
        { needs: [connected] },
    );
    await check("somebody is told of pages", () => checkReceivers(alertmanager, alerting), { needs: [connected] });
    await check(
        "nothing that was sent to receivers failed",
        async () => {
            const expression = `sum by (integration) (increase(alertmanager_notifications_failed_total[${window}])) > 0`;
            const failed = await prometheus.query(expression);
            const said = failed.map(({ labels, value }) => `${labels.integration}: ${Math.round(value)} failed`);
            expect(failed.length === 0, said.join(", "), "look at Alertmanager's log, and at the receiver's address");
            return `none in ${window}`;
        },
        { needs: [prometheusAnswers] },
    );
}

/** Of every rule and alert that the program makes of these settings. */
function ruleNames(models: VerifiedModel[], { alerting, monitoring, limits }: Settings): string[] {
    const { runbooks } = alerting;
    const { action, eurosPerMonth } = limits;
    const kept = models.filter(({ settings }) => isControlled(settings, limits));
    const groups = models.map((model) => {
        const { name, settings, output } = model;
        const replicas = replicaRange(settings);
        const watched = {
            ...{ ...settings, name, replicas, app: output.appId, maxNumSeqs: maxNumSeqs(settings) },
            relayed: isRelayed(monitoring, replicas),
            frontDoor: settings.frontDoor !== undefined,
            controlled: kept.includes(model) ? { lease: settings.lease !== undefined } : undefined,
        };
        return modelRules(watched, runbooks);
    });
    groups.push(stackRules(runbooks), spendRules({ eurosPerMonth }, runbooks));
    if (kept.length > 0) groups.push(controllerRules(action, runbooks));
    return groups.flatMap(({ rules }) => rules).map((rule) => ("alert" in rule ? rule.alert : rule.record));
}

/** Whether Alertmanager holds the receivers that are configured, and anybody hears of a page at all. */
async function checkReceivers(alertmanager: MonitoringApi, { routes }: Settings["alerting"]): Promise<string> {
    const { config } = (await alertmanager.get("/api/v2/status")) as { config: { original: string } };
    const { receivers } = parse(config.original) as AlertmanagerConfig;
    const counted = (["page", "ticket", "info", "heartbeat"] as const).map((tier) => {
        const receiver = receivers.find(({ name }) => name === tier);
        const integrations = Object.entries(receiver ?? {}).filter(([key]) => key.endsWith("_configs"));
        return { tier, count: integrations.reduce((sum, [, list]) => sum + (list as unknown[]).length, 0) };
    });
    for (const { tier, count } of counted) {
        const wanted = routes[tier].length;
        expect(count === wanted, `${tier}: Alertmanager tells ${count}, configured are ${wanted}`, "pulumi up");
    }
    const fix =
        "name one, such as: pulumi config set --path --secret alerting.receivers.oncall.url (it asks for the address); see docs/operations/README.md";
    caution(routes.page.length > 0, "nobody: no receiver is configured for pages", fix);
    caution(
        routes.heartbeat.length > 0,
        "pages reach somebody, but nobody would notice if the monitoring itself ended",
        fix,
    );
    return counted.map(({ tier, count }) => `${tier}: ${count}`).join(", ");
}
