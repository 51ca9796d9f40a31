import {
    AnnotationQueryBuilder,
    DashboardBuilder,
    DashboardLinkBuilder,
    DatasourceVariableBuilder,
    QueryVariableBuilder,
    RowBuilder,
    ThresholdsConfigBuilder,
    type Dashboard,
    type DynamicConfigValue,
    type Panel,
} from "@grafana/grafana-foundation-sdk/dashboard";
import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import * as common from "@grafana/grafana-foundation-sdk/common";
import * as grafana from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as TimeseriesBuilder } from "@grafana/grafana-foundation-sdk/timeseries";
import { recordedMetrics } from "../metrics";
import type { Metric } from "../../vllm/metrics";
import { gauge, type Always, type Matchers } from "../promql";

/**
 * A dashboard before Grafana: what is shown, not how. `grafanaDashboard` makes Grafana's JSON of it, and the renderer
 * (render.ts) draws it without Grafana.
 */
export interface DashboardSpec {
    uid: string;
    /** Letters, digits and spaces: Grafana makes the address of it. */
    title: string;
    description: string;
    rows: RowSpec[];
}

/** A titled row of panels, which share the width of the page. */
export interface RowSpec {
    title: string;
    /** In Grafana's units of about 30 pixels. */
    height: number;
    panels: PanelSpec[];
}

export interface PanelSpec {
    /** `stat`: the present value of each query, large. `timeseries`: lines over time. */
    kind: "stat" | "timeseries";
    title: string;
    /** For someone on call for the first time. */
    description: string;
    /** As Grafana calls it. */
    unit: string;
    queries: Query[];
    /** Highest value of the axis. */
    max?: number;
    /** Values of several orders of magnitude are to be seen, such as a latency and its target. */
    logarithmic?: boolean;
    /** Lines are laid on top of each other. */
    stacked?: boolean;
    /** Colours of a stat from these values up; without any it is not judged. */
    thresholds?: Threshold[];
    /** Text in place of values. */
    words?: Record<number, string>;
    /** What a stat says when there is no value. */
    idle?: string;
    /** A metric that not every stack has; without it the panel stays empty. */
    needs?: Metric;
}

export interface Threshold {
    from: number;
    color: "green" | "orange" | "red";
}

export interface Query {
    expr: string;
    legend: string;
    /** A value to compare with, drawn dashed. */
    reference?: true;
}

/** The data source chosen at the top of the dashboard. */
const datasource = { type: "prometheus", uid: "${datasource}" };

/** The models chosen at the top: of series that carry the model's name. */
export const chosenModels = { model: "=~$model" } as const;
/** The models and replicas chosen at the top: of vLLM's own series. Without the relay these have no label `replica`. */
export const chosen = { job: "=~vllm-$model", replica: "=~$replica" } as const satisfies Matchers<"job" | "replica">;
/** An interval that suits both the zoom and the scrape interval. */
export const interval = "$__rate_interval";

/** Lines over time. */
export function timeseries(
    title: string,
    description: string,
    unit: string,
    queries: Query[],
    more?: Pick<PanelSpec, "max" | "logarithmic" | "stacked" | "needs">,
): PanelSpec {
    return { kind: "timeseries", title, description, unit, queries, ...more };
}

/** One number: the present one, or none. Of a range Grafana would go on to show the last one there was, an hour old. */
export function stat(
    title: string,
    description: string,
    unit: string,
    expr: string,
    more?: Pick<PanelSpec, "thresholds" | "words" | "idle" | "needs">,
): PanelSpec {
    return { kind: "stat", title, description, unit, queries: [{ expr, legend: "" }], ...more };
}

/** What is recorded of each model chosen. */
export function of(
    metric: Always<"gauge"> & { labels: readonly ["model"] },
    legend: string,
    reference?: true,
): Query {
    return { expr: gauge(metric, chosenModels), legend: `${legend} {{model}}`, ...(reference && { reference }) };
}

const columns = 24;

/** Grafana's JSON of a dashboard. */
export function grafanaDashboard(spec: DashboardSpec, others: DashboardSpec[]): Dashboard {
    const dashboard = new DashboardBuilder(spec.title)
        .uid(spec.uid)
        .description(spec.description)
        .tags(["vllm", "ai-deploy"])
        .readonly()
        .version(1)
        .refresh("15s")
        .time({ from: "now-1h", to: "now" })
        .tooltip(grafana.DashboardCursorSync.Crosshair)
        .variables(variables())
        .annotations(annotations())
        .links([...links(), ...others.map(linkTo)]);
    let id = 1;
    let y = 0;
    for (const { title, height, panels } of spec.rows) {
        dashboard.withRow(new RowBuilder(title).id(id++).gridPos({ h: 1, w: columns, x: 0, y }));
        y += 1;
        for (const [index, panel] of panels.entries()) {
            // Divided so that the widths add up to the full row whatever the number of panels.
            const x = Math.round((columns * index) / panels.length);
            const w = Math.round((columns * (index + 1)) / panels.length) - x;
            dashboard.withPanel(grafanaPanel(panel, id++, { h: height, w, x, y }));
        }
        y += height;
    }
    return dashboard.build();
}

function grafanaPanel(spec: PanelSpec, id: number, place: grafana.GridPos): Builder<Panel> {
    return spec.kind === "stat" ? statPanel(spec, id, place) : timeseriesPanel(spec, id, place);
}

function timeseriesPanel(spec: PanelSpec, id: number, place: grafana.GridPos): Builder<Panel> {
    const panel = new TimeseriesBuilder()
        .id(id)
        .gridPos(place)
        .title(spec.title)
        .description(spec.description)
        .datasource(datasource)
        .targets(targets(spec.queries).map((target) => target.range()))
        .unit(spec.unit)
        .lineWidth(1)
        .fillOpacity(spec.stacked ? 30 : 8)
        .showPoints(common.VisibilityMode.Never)
        .legend(
            new common.VizLegendOptionsBuilder()
                .displayMode(common.LegendDisplayMode.Table)
                .placement(common.LegendPlacement.Bottom)
                .showLegend(true)
                .calcs(["lastNotNull", "max"]),
        )
        .tooltip(
            new common.VizTooltipOptionsBuilder()
                .mode(common.TooltipDisplayMode.Multi)
                .sort(common.SortOrder.Descending),
        );
    if (spec.max !== undefined) panel.max(spec.max);
    if (spec.logarithmic) {
        panel.scaleDistribution(
            new common.ScaleDistributionConfigBuilder().type(common.ScaleDistribution.Log).log(10),
        );
    } else panel.min(0);
    if (spec.stacked) panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal));
    for (const [index, { reference }] of spec.queries.entries()) {
        if (reference) panel.overrideByQuery(refId(index), dashed);
    }
    return panel;
}

const dashed: DynamicConfigValue[] = [
    { id: "custom.lineStyle", value: { fill: "dash", dash: [8, 6] } },
    { id: "custom.fillOpacity", value: 0 },
    { id: "color", value: { mode: "fixed", fixedColor: "red" } },
];

function statPanel(spec: PanelSpec, id: number, place: grafana.GridPos): Builder<Panel> {
    const panel = new StatBuilder()
        .id(id)
        .gridPos(place)
        .title(spec.title)
        .description(spec.description)
        .datasource(datasource)
        .targets(targets(spec.queries).map((target) => target.instant()))
        .unit(spec.unit)
        .min(0)
        .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(["lastNotNull"]).values(false))
        .colorMode(spec.thresholds ? common.BigValueColorMode.Value : common.BigValueColorMode.None)
        .graphMode(common.BigValueGraphMode.None)
        .textMode(common.BigValueTextMode.Auto);
    if (spec.idle) panel.noValue(spec.idle);
    if (spec.thresholds) {
        const steps = spec.thresholds.map(({ from, color }, index) => ({ value: index === 0 ? null : from, color }));
        panel.thresholds(new ThresholdsConfigBuilder().mode(grafana.ThresholdsMode.Absolute).steps(steps));
    }
    if (spec.words) {
        const options = Object.entries(spec.words).map(([value, text]) => [value, { text }]);
        panel.mappings([
            {
                type: grafana.MappingType.ValueToText,
                options: Object.fromEntries(options) as Record<string, grafana.ValueMappingResult>,
            },
        ]);
    }
    return panel;
}

function targets(queries: Query[]) {
    return queries.map(({ expr, legend }, index) =>
        new DataqueryBuilder().refId(refId(index)).datasource(datasource).expr(expr).legendFormat(legend),
    );
}

function refId(index: number): string {
    return String.fromCharCode(65 + index);
}

/** A choice at the top of the dashboards: the values of a label. */
export interface Choice {
    name: string;
    label: string;
    /** The series whose label is asked for. */
    series: string;
    of: string;
    /** What "All" stands for, where that is not the list of all values. */
    all?: string;
    /** Not to be chosen: a part of links. */
    hidden?: true;
}

const info = recordedMetrics.info.name;

/** In the order of their dependence: each may use those before. */
export const choices: Choice[] = [
    { name: "model", label: "Model", series: info, of: "model" },
    {
        name: "replica",
        label: "Replica",
        series: 'vllm:num_requests_running{job=~"vllm-$model"}',
        of: "replica",
        all: ".*",
    },
    { name: "app", label: "App", series: `${info}{model=~"$model"}`, of: "app", hidden: true },
    { name: "region", label: "Region", series: `${info}{model=~"$model"}`, of: "region", hidden: true },
    { name: "runbooks", label: "Runbooks", series: `${info}{model=~"$model"}`, of: "runbooks", hidden: true },
];

function variables() {
    return [
        new DatasourceVariableBuilder("datasource")
            .label("Data source")
            .type("prometheus")
            .current({ text: "Prometheus", value: "prometheus" }),
        ...choices.map(({ name, label, series, of, all, hidden }) => {
            const query = `label_values(${series}, ${of})`;
            const variable = new QueryVariableBuilder(name)
                .label(label)
                .datasource(datasource)
                .query({ query, refId: name })
                .definition(query)
                // With each change of the time range, as models and replicas come and go.
                .refresh(grafana.VariableRefresh.OnTimeRangeChanged)
                .sort(grafana.VariableSort.AlphabeticalAsc);
            // One value: that of the first model chosen.
            if (hidden) return variable.hide(grafana.VariableHide.HideVariable);
            variable.multi(true).includeAll(true).current({ text: "All", value: "$__all" });
            return all ? variable.allValue(all) : variable;
        }),
    ];
}

/** Marks in every graph: alerts, and changes of the number of replicas. */
export const marks = [
    {
        name: "Alerts",
        expr: 'ALERTS{alertstate="firing",severity=~"page|ticket",model=~"$model"}',
        color: "red",
        title: "{{alertname}}",
    },
    {
        name: "Replicas",
        expr: `changes(${recordedMetrics.replicas.name}{model=~"$model"}[2m]) > 0`,
        color: "blue",
        title: "replicas of {{model}} change",
    },
] as const;

function annotations() {
    return marks.map(({ name, expr, color, title }) =>
        new AnnotationQueryBuilder()
            .name(name)
            .datasource(datasource)
            .enable(true)
            .iconColor(color)
            .expr(expr)
            .titleFormat(title)
            .step("60s"),
    );
}

function links() {
    const link = (title: string, url: string, tooltip: string) =>
        new DashboardLinkBuilder(title)
            .type(grafana.DashboardLinkType.Link)
            .icon("external link")
            .url(url)
            .tooltip(tooltip)
            .targetBlank(true);
    return [
        link(
            "OVHcloud's view of the app",
            "https://monitoring.${region}.ai.cloud.ovh.net/d/app/app-monitoring?var-app=${app}&orgId=1",
            "GPU, memory and network of each replica, as the platform measures them",
        ),
        link("Runbooks", "${runbooks}/README.md", "What to do, alert by alert"),
    ];
}

function linkTo({ uid, title }: DashboardSpec) {
    return new DashboardLinkBuilder(title)
        .type(grafana.DashboardLinkType.Link)
        .icon("dashboard")
        .url(`/d/${uid}`)
        .includeVars(true)
        .keepTime(true);
}
