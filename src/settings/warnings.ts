import { advisoryWarning } from "../vllm/advisories";
import { vllmVersionOf, vllmVersions } from "../vllm/versions";
import { frontDoorWarnings } from "./checks/front-door";
import { hoursWarnings } from "./checks/hours";
import { storageClasses } from "./checks/monitoring";
import { weightsWarnings } from "./checks/server";
import { sleepWarnings } from "./checks/sleep";
import { isEverywhere } from "./formats";
import type { Settings } from "./schema";

/** What is allowed and may yet surprise: a sentence each, which `pulumi preview` shows. */
export function settingsWarnings({
    models,
    monitoring,
    alerting,
}: Pick<Settings, "models" | "monitoring" | "alerting">): string[] {
    const warnings = Object.entries(models)
        .filter(([, { image }]) => vllmVersionOf(image) === undefined)
        .map(
            ([name, { image }]) =>
                `models.${name}.image: the metrics of "${image}" are not known (known: vLLM ${vllmVersions.join(", ")}); ` +
                "dashboards and alerts use what those have in common, and some may stay empty",
        );
    warnings.push(
        ...Object.entries(models).flatMap(([name, { image }]) => advisoryWarning(name, image) ?? []),
        ...Object.entries(models).flatMap(([name, model]) => weightsWarnings(name, model)),
        ...Object.entries(models).flatMap(([name, model]) => sleepWarnings(name, model)),
        ...hoursWarnings(models, new Date()),
        ...Object.entries(models).flatMap(([name, model]) => frontDoorWarnings(name, model, new Date())),
    );
    if (!storageClasses.includes(monitoring.storage.class)) {
        warnings.push(
            `monitoring.storage.class: "${monitoring.storage.class}" is no class of Managed Kubernetes ` +
                `(${storageClasses.join(", ")}): without one of this name in the cluster the volumes wait for it for ever`,
        );
    }
    const { access, allowedSources } = monitoring.grafana;
    if (access !== "internal" && allowedSources.some(isEverywhere)) {
        const plain = access === "loadBalancer" ? ", and its password travels there unencrypted" : "";
        warnings.push(`monitoring.grafana.allowedSources: Grafana's login page is open to the whole internet${plain}`);
    }
    const { routes, runbooks } = alerting;
    const howTo = "name a receiver (docs/operations/README.md)";
    if (routes.page.length === 0) {
        warnings.push(
            `alerting.routes.page: nobody is told when users are not served; ${howTo}, or look at Grafana and Alertmanager ` +
                "yourself",
        );
    }
    if (routes.ticket.length === 0) {
        warnings.push(`alerting.routes.ticket: nobody is told of what must be mended in working hours; ${howTo}`);
    }
    if (routes.heartbeat.length === 0) {
        warnings.push(
            `alerting.routes.heartbeat: nobody would notice that the monitoring itself is down, alerts included; ${howTo}`,
        );
    }
    if (!/^https?:\/\//.test(runbooks) || !URL.canParse(runbooks)) {
        warnings.push(
            `alerting.runbooks: "${runbooks}" is no address that whoever gets an alert could open; give the one at which ` +
                "your copy of docs/operations is found, https://...",
        );
    }
    return warnings;
}
