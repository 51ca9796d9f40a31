import type { KubeConfig } from "@kubernetes/client-node";
import { CoreV1Api } from "@kubernetes/client-node";
import { metricGroups, recordedMetrics } from "../../src/monitoring/metrics";
import { seriesNames, serverMetrics, vllmMetrics, type Metric } from "../../src/vllm/metrics";
import type { Prometheus } from "../prometheus";
import { expect, unseen, type Check } from "./check";
import { prometheusAnswers } from "./metrics";

/** A dashboard as Grafana loads it, in part. */
interface Dashboard {
    title: string;
    panels: Panel[];
}

interface Panel {
    title: string;
    targets?: { expr: string }[];
    /** Of a row that is folded. */
    panels?: Panel[];
    fieldConfig?: { defaults?: { noValue?: string } };
}

const catalogued = [vllmMetrics, serverMetrics, ...metricGroups].flatMap((group) => Object.values<Metric>(group));
/** The metric that a series belongs to, by the name of the series. */
const metricOf = new Map(catalogued.flatMap((metric) => seriesNames([metric]).map((name) => [name, metric] as const)));

const recorded = new Set<string>(Object.values(recordedMetrics).map(({ name }) => name));

/**
 * Checks each dashboard that Grafana has: every panel has data now, or it is known why not. A panel whose metrics are all
 * there is quiet (no requests, no error), one whose metric needs something that this stack has not says what, and any
 * other is broken.
 * @param notRun names of the metrics of what does not run here
 */
export async function checkPanels(
    check: Check,
    kubernetes: KubeConfig,
    namespace: string,
    models: string[],
    prometheus: Prometheus,
    notRun?: RegExp,
): Promise<void> {
    const dashboards: Dashboard[] = [];
    await check(
        "dashboards are there",
        async () => {
            const { items } = await kubernetes
                .makeApiClient(CoreV1Api)
                .listNamespacedConfigMap({ namespace, labelSelector: "grafana_dashboard=1" });
            for (const text of items.flatMap(({ data }) => Object.values(data ?? {}))) {
                dashboards.push(JSON.parse(text) as Dashboard);
            }
            expect(dashboards.length > 0, `no ConfigMap labelled grafana_dashboard=1 in ${namespace}`, "pulumi up");
            return dashboards.map(({ title }) => title).join(", ");
        },
        { needs: [prometheusAnswers] },
    );
    const names = new Set<string>();
    for (const { title, panels } of dashboards) {
        await check(
            `every panel of "${title}" has data, or it is known why not`,
            async () => {
                if (names.size === 0) for (const name of await seriesThere(prometheus)) names.add(name);
                const all = panels
                    .flatMap((panel) => [panel, ...(panel.panels ?? [])])
                    .filter(({ targets }) => targets);
                if (all.length === 0) unseen("it has no panels with queries");
                const looked = await Promise.all(all.map((panel) => lookAt(panel, models, prometheus, names, notRun)));
                const broken = looked.filter((one) => one?.broken);
                expect(
                    broken.length === 0,
                    broken.map((one) => one!.why).join("; "),
                    "see docs/operations/VllmMetricsStale.md",
                );
                const quiet = looked.filter((one) => one !== undefined);
                const why = quiet.length > 0 ? `; empty: ${quiet.map((one) => one.why).join("; ")}` : "";
                return `${all.length - quiet.length} of ${all.length} panels${why}`;
            },
            { needs: [prometheusAnswers] },
        );
    }
}

/** Names of all series of the last hour, which is what a dashboard opens with. */
async function seriesThere(prometheus: Prometheus): Promise<string[]> {
    const from = Math.floor(Date.now() / 1000) - 3600;
    const { data } = (await prometheus.api.get(`/api/v1/label/__name__/values?start=${from}`)) as { data: string[] };
    return data;
}

/** Why a panel has no data; undefined when it has. */
async function lookAt(
    { title, targets = [], fieldConfig }: Panel,
    models: string[],
    prometheus: Prometheus,
    there: Set<string>,
    notRun?: RegExp,
): Promise<{ why: string; broken: boolean } | undefined> {
    const results = await Promise.all(targets.map(({ expr }) => prometheus.query(interpolated(expr, models))));
    if (results.some((samples) => samples.some(({ value }) => Number.isFinite(value)))) return undefined;
    const read = targets
        .flatMap(({ expr }) => expr.match(/[a-zA-Z_][\w:]*/g) ?? [])
        .filter((word) => metricOf.has(word));
    const missing = [...new Set(read)].filter((name) => !there.has(name));
    const local = missing.filter((name) => notRun?.test(name));
    if (local.length > 0) return { why: `"${title}": what tells ${local[0]} does not run here`, broken: false };
    const needed = missing.map((name) => metricOf.get(name)!).filter(({ when }) => when !== undefined);
    if (needed.length > 0) return { why: `"${title}" needs ${needed[0].when}`, broken: false };
    // Of what is recorded there is no series before there is something to record, such as a first request.
    const gone = missing.filter((name) => !recorded.has(name));
    if (gone.length > 0) return { why: `"${title}": there is no ${gone.join(", ")}`, broken: true };
    const idle = fieldConfig?.defaults?.noValue;
    return { why: `"${title}": ${idle ?? "nothing happened lately"}`, broken: false };
}

/** With "All" chosen, and the intervals of Grafana for the last hour. */
function interpolated(expr: string, models: string[]): string {
    const chosen: Record<string, string> = {
        model: models.length > 1 ? `(${models.join("|")})` : models[0],
        replica: ".*",
        __rate_interval: "1m15s",
        __range: "1h",
        __interval: "15s",
    };
    return expr.replaceAll(/\$(\w+)/g, (text, name: string) => chosen[name] ?? text);
}
