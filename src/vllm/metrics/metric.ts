import type { VllmVersion } from "../versions";

export type MetricType = "gauge" | "counter" | "histogram" | "summary";

export interface Metric {
    /** Exposed name; of a histogram or summary the base, to which `_bucket` (histogram), `_sum` and `_count` are added. */
    name: string;
    type: MetricType;
    /** Unit as Grafana calls it. */
    unit: "s" | "ms" | "short" | "percentunit" | "bytes" | "dateTimeFromNow" | "currencyEUR";
    /** Its own labels; those that the scrape adds are in `targetLabels`. */
    labels: readonly string[];
    /** Upper bounds of a histogram, without +Inf; `upToModelLength`: 1, 2, 5, 10 ... up to the longest context. */
    buckets?: readonly number[] | "upToModelLength";
    /** The highest value a gauge can take, where there is one. */
    max?: number;
    /** The versions that have it, when not all of `vllmVersions` do. */
    only?: readonly VllmVersion[];
    /** What must be switched on for it to exist. */
    when?: string;
    /** What it measures, for the reader of a panel. */
    meaning: string;
}

/** Labels of all that the engine counts. */
export const engine = ["model_name", "engine"] as const;

/** Buckets of the times between two tokens. */
export const betweenTokens = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
] as const;

/** Every series name that Prometheus holds for these metrics. */
export function seriesNames(metrics: readonly Metric[]): string[] {
    return metrics.flatMap(({ name, type }) => {
        if (type === "histogram") return [`${name}_bucket`, `${name}_sum`, `${name}_count`];
        return type === "summary" ? [`${name}_sum`, `${name}_count`] : [name];
    });
}
