import { scrapeMetrics, vllmMetrics as vllm } from "../metrics";
import { datasource, distribution, gauge, layOut, rate, stat, timeseries, type Panel, type Row } from "./panels";

const uid = "vllm-ministral-monitoring";
/** Grafana makes the address's last part of the title. */
const title = "Ministral 14B vLLM metrics monitoring";
export const dashboardFile = `${uid}.json`;
/** Path of the dashboard in Grafana. */
export const dashboardPath = `/d/${uid}/${slug(title)}`;

/** The part of an address that Grafana makes of a title of letters, digits and spaces. */
export function slug(text: string): string {
    return text.toLowerCase().replaceAll(" ", "-");
}

const eachScrape =
    "The app's address is load-balanced: with more than one replica each scrape shows one of them, " +
    "so gauges are one replica's and rates read every change of replica as a restart.";

const rows: Row[] = [
    {
        title: "Now",
        height: 4,
        panels: [
            stat("Scrape", "1 when the last scrape reached the model, 0 when not.", "short", {
                expr: `min(${scrapeMetrics.up.name}{job=~"$job"})`,
                legend: "up",
            }),
            stat("Running", vllm.numRequestsRunning.meaning, "short", {
                expr: `sum(${gauge(vllm.numRequestsRunning)})`,
                legend: "running",
            }),
            stat("Waiting", vllm.numRequestsWaiting.meaning, "short", {
                expr: `sum(${gauge(vllm.numRequestsWaiting)})`,
                legend: "waiting",
            }),
            stat("KV cache", vllm.kvCacheUsage.meaning, vllm.kvCacheUsage.unit, {
                expr: `max(${gauge(vllm.kvCacheUsage)})`,
                legend: "fullest replica",
            }),
            stat("Time to first token, p95", vllm.timeToFirstToken.meaning, vllm.timeToFirstToken.unit, {
                expr: distribution(vllm.timeToFirstToken)[1].expr,
                legend: "p95",
            }),
            stat("Generated tokens", vllm.generationTokens.meaning, "tokens/s", {
                expr: `sum(${rate(vllm.generationTokens)})`,
                legend: "tokens/s",
            }),
        ],
    },
    {
        title: "Latency",
        height: 9,
        panels: [
            timeseries(
                "Time to first token",
                vllm.timeToFirstToken.meaning,
                vllm.timeToFirstToken.unit,
                distribution(vllm.timeToFirstToken),
            ),
            timeseries(
                "Inter-token latency",
                vllm.interTokenLatency.meaning,
                vllm.interTokenLatency.unit,
                distribution(vllm.interTokenLatency),
            ),
            timeseries(
                "End-to-end request latency",
                vllm.e2eRequestLatency.meaning,
                vllm.e2eRequestLatency.unit,
                distribution(vllm.e2eRequestLatency),
            ),
        ],
    },
    {
        title: "Traffic",
        height: 9,
        panels: [
            timeseries("Finished requests", vllm.requestSuccess.meaning, "reqps", [
                { expr: `sum by (finished_reason) (${rate(vllm.requestSuccess)})`, legend: "{{finished_reason}}" },
            ]),
            timeseries(
                "Successful share",
                "Requests that ended by themselves or at their length limit, of all that ended.",
                "percentunit",
                [
                    {
                        expr:
                            `sum(${rate(vllm.requestSuccess, "", ',finished_reason=~"stop|length"')})` +
                            ` / (sum(${rate(vllm.requestSuccess)}) > 0)`,
                        legend: "success",
                    },
                ],
            ),
            timeseries("Token throughput", `${vllm.promptTokens.meaning} ${vllm.generationTokens.meaning}`, "tokens/s", [
                { expr: `sum(${rate(vllm.promptTokens)})`, legend: "prompt" },
                { expr: `sum(${rate(vllm.generationTokens)})`, legend: "generated" },
            ]),
        ],
    },
    {
        title: "Saturation",
        height: 9,
        panels: [
            timeseries("Requests running and waiting", `${vllm.numRequestsRunning.meaning} ${eachScrape}`, "short", [
                { expr: `sum by (model_name) (${gauge(vllm.numRequestsRunning)})`, legend: "running {{model_name}}" },
                { expr: `sum by (model_name) (${gauge(vllm.numRequestsWaiting)})`, legend: "waiting {{model_name}}" },
            ]),
            timeseries("KV cache usage", vllm.kvCacheUsage.meaning, vllm.kvCacheUsage.unit, [
                { expr: `max by (model_name) (${gauge(vllm.kvCacheUsage)})`, legend: "{{model_name}}" },
            ]),
            timeseries("Preemptions", vllm.numPreemptions.meaning, "cps", [
                { expr: `sum by (model_name) (${rate(vllm.numPreemptions)})`, legend: "{{model_name}}" },
            ]),
        ],
    },
];

/** The models' dashboard, as Grafana loads it from a file. */
export function vllmDashboard(): { uid: string; title: string; panels: Panel[] } & Record<string, unknown> {
    const running = vllm.numRequestsRunning.name;
    return {
        uid,
        title,
        description: `vLLM on AI Deploy. ${eachScrape}`,
        tags: ["vllm", "ai-deploy"],
        schemaVersion: 41,
        version: 1,
        editable: false,
        timezone: "browser",
        refresh: "15s",
        time: { from: "now-1h", to: "now" },
        templating: {
            list: [
                {
                    name: "datasource",
                    label: "Data source",
                    type: "datasource",
                    query: "prometheus",
                    current: { text: "Prometheus", value: "prometheus" },
                },
                // All means all models: the cluster has scrape jobs of its own.
                variable("job", "Scrape job", `label_values(${running}, job)`, "vllm-.+"),
                variable("model_name", "Model", `label_values(${running}{job=~"$job"}, model_name)`),
            ],
        },
        annotations: { list: [] },
        panels: layOut(rows),
    };
}

/** A choice among the values that a label has; all of them at first. */
function variable(name: string, label: string, query: string, all = ".+"): Record<string, unknown> {
    return {
        name,
        label,
        type: "query",
        datasource,
        query: { query, refId: name },
        definition: query,
        // With each change of the time range, as models come and go.
        refresh: 2,
        sort: 1,
        multi: true,
        includeAll: true,
        allValue: all,
        current: { text: "All", value: "$__all" },
    };
}

/** The dashboard's file, byte for byte. */
export function dashboardJson(): string {
    return `${JSON.stringify(vllmDashboard(), null, 4)}\n`;
}
