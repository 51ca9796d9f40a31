import type { Metric } from "../metrics";

/** The parts of Grafana's dashboard format that are used here. */
export interface Panel {
    id: number;
    type: "timeseries" | "stat" | "row";
    title: string;
    description?: string;
    gridPos: { h: number; w: number; x: number; y: number };
    datasource?: Datasource;
    targets?: Target[];
    fieldConfig?: { defaults: Record<string, unknown>; overrides: unknown[] };
    options?: Record<string, unknown>;
    collapsed?: boolean;
    panels?: Panel[];
}
export interface Target {
    refId: string;
    expr: string;
    legendFormat: string;
    datasource: Datasource;
}
interface Datasource {
    type: "prometheus";
    uid: string;
}

/** The data source chosen at the top of the dashboard. */
export const datasource: Datasource = { type: "prometheus", uid: "${datasource}" };

/** One line of a panel. */
export interface Query {
    expr: string;
    legend: string;
}

export type Draft = Omit<Panel, "id" | "gridPos">;

/** Lines over time. */
export function timeseries(title: string, description: string, unit: string, queries: Query[]): Draft {
    const defaults = {
        unit,
        min: 0,
        ...(unit === "percentunit" && { max: 1 }),
        custom: { lineWidth: 1, fillOpacity: 10, showPoints: "never" },
    };
    const options = {
        legend: { displayMode: "table", placement: "bottom", calcs: ["lastNotNull", "max"] },
        tooltip: { mode: "multi", sort: "desc" },
    };
    return draft("timeseries", title, description, queries, defaults, options);
}

/** One number, the present one, with its course behind it. */
export function stat(title: string, description: string, unit: string, query: Query): Draft {
    const options = { reduceOptions: { calcs: ["lastNotNull"] }, colorMode: "none", graphMode: "area" };
    return draft("stat", title, description, [query], { unit, min: 0 }, options);
}

function draft(
    type: "timeseries" | "stat",
    title: string,
    description: string,
    queries: Query[],
    defaults: Record<string, unknown>,
    options: Record<string, unknown>,
): Draft {
    const targets = queries.map(({ expr, legend }, index) => ({
        refId: String.fromCharCode(65 + index),
        expr,
        legendFormat: legend,
        datasource,
    }));
    return { type, title, description, datasource, targets, fieldConfig: { defaults, overrides: [] }, options };
}

/** A titled row of panels of one height that share Grafana's 24 columns. */
export interface Row {
    title: string;
    height: number;
    panels: Draft[];
}

/** Puts rows one below the other and numbers the panels. */
export function layOut(rows: Row[]): Panel[] {
    const columns = 24;
    const placed: Panel[] = [];
    let y = 0;
    for (const { title, height, panels } of rows) {
        const header = { type: "row" as const, title, collapsed: false, panels: [] };
        placed.push({ id: placed.length + 1, ...header, gridPos: { h: 1, w: columns, x: 0, y } });
        y += 1;
        let x = 0;
        for (const [index, panel] of panels.entries()) {
            // Divided so that the widths add up to the full row whatever the number of panels.
            const w = Math.round((columns * (index + 1)) / panels.length) - x;
            placed.push({ id: placed.length + 1, ...panel, gridPos: { h: height, w, x, y } });
            x += w;
        }
        y += height;
    }
    return placed;
}

/** The series chosen at the top of the dashboard. */
export const selection = 'job=~"$job",model_name=~"$model_name"';

/** Rate per second over an interval that suits both the zoom and the scrape interval. */
export function rate(metric: Metric, suffix = "", matcher = ""): string {
    return `rate(${metric.name}${suffix}{${selection}${matcher}}[$__rate_interval])`;
}

/** The present value of a gauge. */
export function gauge(metric: Metric): string {
    return `${metric.name}{${selection}}`;
}

/** p50, p95, p99 and mean of a histogram, over all series chosen. The mean divides by zero when idle: shown as no data. */
export function distribution(metric: Metric): Query[] {
    const quantile = (q: number): Query => ({
        expr: `histogram_quantile(${q}, sum by (le) (${rate(metric, "_bucket")}))`,
        legend: `p${q * 100}`,
    });
    const mean = `sum(${rate(metric, "_sum")}) / (sum(${rate(metric, "_count")}) > 0)`;
    return [quantile(0.5), quantile(0.95), quantile(0.99), { expr: mean, legend: "mean" }];
}
