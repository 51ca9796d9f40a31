import type { AppHistory, Point, ScalingChange } from "../state";
import type { AppView } from "../state";
import { byId, element, figure, fill } from "../../../tools/dashboards/page/element";

/** Seconds that the charts show. */
const windowSeconds = 300;
const height = 160;

interface Line {
    label: string;
    /** Custom property of console.css that holds its colour. */
    colour: string;
    value: (point: Point, app: AppView) => number | null;
    stepped?: boolean;
    dashed?: boolean;
    filled?: boolean;
    /** Has values in some seconds alone: joined over those between, and not over longer pauses. */
    sparse?: boolean;
}

const charts: Record<string, Line[]> = {
    replicas: [
        { label: "ready", colour: "--blue", value: ({ ready }) => ready, stepped: true, filled: true },
        { label: "wanted", colour: "--orange", value: ({ wanted }) => wanted, stepped: true, dashed: true },
    ],
    metric: [
        { label: "value", colour: "--blue", value: ({ value }) => value },
        { label: "target", colour: "--red", value: (_, { scaling }) => scaling.target ?? null, dashed: true },
    ],
    requests: [
        { label: "running", colour: "--blue", value: ({ running }) => running, filled: true },
        { label: "waiting", colour: "--orange", value: ({ waiting }) => waiting },
    ],
    answers: [
        { label: "ok", colour: "--green", value: ({ ok }) => ok, filled: true },
        { label: "failed", colour: "--red", value: ({ failed }) => failed },
    ],
    latency: [
        { label: "to the end", colour: "--blue", value: ({ latency }) => latency, filled: true, sparse: true },
        { label: "to the first byte", colour: "--orange", value: ({ first }) => first, sparse: true },
    ],
};

/** Seconds without a value that a sparse line is not drawn over. */
const pauseSeconds = 10;

/** Of what lies between two values of a sparse line: what is a pause. */
const pauses: uPlot.Series.GapsRefiner = (plot, _series, _from, _to, gaps) =>
    gaps.filter(([from, to]) => plot.posToVal(to, "x", true) - plot.posToVal(from, "x", true) > pauseSeconds);

/** Values of a sparse line with a pause on either side: no line leads to them, so each is a point. */
const lonely: uPlot.Series.Points.Filter = (plot, series) => {
    const times = plot.data[0];
    const there = [...times.keys()].filter((i) => plot.data[series][i] != null);
    const apart = (a: number | undefined, b: number | undefined): boolean =>
        a === undefined || b === undefined || times[b] - times[a] > pauseSeconds;
    return there.filter((i, k) => apart(there[k - 1], i) && apart(i, there[k + 1]));
};

/** The charts of one app, with one cursor, and a mark at each change of the number of replicas. */
export class Charts {
    private plots: { name: string; plot: uPlot }[] = [];
    private changes: ScalingChange[] = [];

    constructor() {
        this.build();
        window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.build());
        new ResizeObserver(() => {
            for (const { name, plot } of this.plots) plot.setSize(sizeOf(name));
        }).observe(byId("charts"));
    }

    /** Shows this app's history. */
    show(app: AppView, { points, changes }: AppHistory): void {
        const until = points.at(-1)?.t ?? Date.now() / 1000;
        const shown = points.filter(({ t }) => t > until - windowSeconds);
        this.changes = changes;
        for (const { name, plot } of this.plots) {
            const lines = charts[name];
            const values = lines.map(({ value }) => shown.map((point) => value(point, app)));
            plot.batch(() => {
                plot.setData([shown.map(({ t }) => t), ...values], false);
                plot.setScale("x", { min: until - windowSeconds, max: until });
                const most = Math.max(...values.flat().filter((value) => value !== null), 1);
                plot.setScale("y", { min: 0, max: most * (name === "replicas" ? 1.35 : 1.15) });
            });
            const newest = lines.map(({ label }, i) => [label, values[i].at(-1)] as const);
            const told = newest.map(([label, value]) => `${label} ${value == null ? "none" : figure(value)}`);
            byId(`plot-${name}`).setAttribute("aria-label", `${name} over the last minutes; now ${told.join(", ")}`);
            fill(
                byId(`legend-${name}`),
                ...lines.map((line, i) =>
                    element("span", { class: `key ${line.colour.slice(2)}${line.dashed ? " dashed" : ""}` }, told[i]),
                ),
            );
        }
        const { metric, aggregation } = app.scaling;
        byId("metric-name").textContent = metric ? `${metric} (${aggregation ?? "average"})` : "No scaling metric";
    }

    private build(): void {
        for (const { plot } of this.plots) plot.destroy();
        const style = getComputedStyle(document.documentElement);
        const colour = (name: string): string => style.getPropertyValue(name).trim();
        const cursor = { sync: { key: "console" }, y: false, points: { show: false } };
        this.plots = Object.entries(charts).map(([name, lines]) => {
            const axis = {
                stroke: colour("--dim"),
                grid: { stroke: colour("--line"), width: 1 },
                ticks: { show: false },
            };
            const options: uPlot.Options = {
                ...sizeOf(name),
                cursor,
                legend: { show: false },
                scales: { x: { time: true, auto: false }, y: { auto: false } },
                axes: [
                    { ...axis, size: 26, values: (_, times) => times.map(clockOf), space: 70 },
                    {
                        ...axis,
                        size: 44,
                        space: 22,
                        incrs: name === "replicas" ? [1, 2, 5, 10, 20, 50, 100] : undefined,
                        values: (_, values) => values.map(figure),
                    },
                ],
                series: [
                    {},
                    ...lines.map((line): uPlot.Series => ({
                        label: line.label,
                        stroke: colour(line.colour),
                        fill: line.filled ? colour(`${line.colour}-soft`) : undefined,
                        width: 2,
                        dash: line.dashed ? [6, 4] : undefined,
                        ...(line.sparse
                            ? { gaps: pauses, points: { size: 3, filter: lonely } }
                            : { points: { show: false } }),
                        paths: line.stepped ? uPlot.paths.stepped!({ align: 1 }) : undefined,
                    })),
                ],
                hooks: { draw: [(plot) => this.mark(plot, colour("--text"), name === "replicas")] },
            };
            return { name, plot: new uPlot(options, [[], ...lines.map(() => [])], byId(`plot-${name}`)) };
        });
    }

    /** A line at each decision that changed the number of replicas; the first chart says from what to what. */
    private mark(plot: uPlot, colour: string, labelled: boolean): void {
        const { ctx, bbox } = plot;
        const { min, max } = plot.scales.x;
        if (min == null || max == null) return;
        ctx.save();
        ctx.strokeStyle = colour;
        ctx.fillStyle = colour;
        ctx.globalAlpha = 0.55;
        ctx.lineWidth = devicePixelRatio;
        ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
        ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
        ctx.textBaseline = "top";
        const labels: { x: number; text: string }[] = [];
        for (const { t, from, to } of this.changes) {
            if (t < min || t > max) continue;
            const x = Math.round(plot.valToPos(t, "x", true));
            ctx.beginPath();
            ctx.moveTo(x, bbox.top);
            ctx.lineTo(x, bbox.top + bbox.height);
            ctx.stroke();
            // What comes too soon for a label of its own goes on in the one before: 1→2→3.
            const before = labels.at(-1);
            if (before && x - before.x < 40 * devicePixelRatio) before.text += `→${to}`;
            else labels.push({ x, text: `${from}→${to}` });
        }
        if (labelled) {
            ctx.globalAlpha = 0.9;
            const margin = 3 * devicePixelRatio;
            for (const { x, text } of labels) {
                const last = bbox.left + bbox.width - ctx.measureText(text).width;
                ctx.fillText(text, Math.min(x + margin, last), bbox.top);
            }
        }
        ctx.restore();
    }
}

function sizeOf(name: string): { width: number; height: number } {
    return { width: Math.max(200, byId(`plot-${name}`).clientWidth), height };
}

function clockOf(t: number): string {
    return new Date(t * 1000).toLocaleTimeString("en-GB");
}
