import { vllmVersionOf, vllmVersions } from "../monitoring/metrics";
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
    const { access, allowedSources } = monitoring.grafana;
    if (access !== "internal" && allowedSources.some((source) => source === "0.0.0.0/0" || source === "::/0")) {
        const plain = access === "loadBalancer" ? ", and its password travels there unencrypted" : "";
        warnings.push(`monitoring.grafana.allowedSources: Grafana's login page is open to the whole internet${plain}`);
    }
    if (alerting.routes.page.length === 0) {
        warnings.push(
            "alerting.routes.page: nobody is told when users are not served; name a receiver " +
                "(docs/operations/README.md), or look at Grafana and Alertmanager yourself",
        );
    }
    return warnings;
}
