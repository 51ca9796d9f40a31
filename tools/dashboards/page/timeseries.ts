import type { Mark } from "./annotations";
import { element, fill } from "./element";
import type { PanelJson } from "./grafana";
import { legendRows } from "./legend";
import type { Line, Look } from "./panel";
import { colour, seriesStyle, type SeriesStyle } from "./series-style";
import { cumulated, fillBands, incrementsOf, isolated, logRange, topOf } from "./scales";
import { clockFormat, clockSpace } from "./clock";
import { hideTooltip, showTooltip } from "./tooltip";
import { formatTick, formatValue } from "./units";

/** Is told the span that a reader has drawn the mouse over, Unix seconds. */
export type Zoom = (from: number, to: number) => void;

/** Lines over time, with a legend below, the marks behind, and one cursor for all panels. */
export class Timeseries {
    private readonly plot = element("div", { class: "plot", role: "img" });
    private readonly legend = element("table", { class: "legend" });
    private readonly logarithmic: boolean;
    private readonly stacked: boolean;
    private drawn?: uPlot;
    /** What the plot was built for; another one is needed when it differs. */
    private builtFor = "";
    private look!: Look;
    private styles: SeriesStyle[] = [];

    constructor(
        private readonly panel: PanelJson,
        body: HTMLElement,
        private readonly zoom: Zoom,
    ) {
        const { custom } = panel.fieldConfig!.defaults;
        this.logarithmic = custom?.scaleDistribution?.type === "log";
        this.stacked = custom?.stacking?.mode === "normal";
        body.append(this.plot, element("div", { class: "legend-box" }, this.legend));
        new ResizeObserver(() => this.drawn?.setSize(this.size())).observe(this.plot);
        window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
            if (this.drawn) this.show(this.look, true);
        });
    }

    show(look: Look, anew = false): void {
        this.look = look;
        const { lines, times, span } = look;
        this.styles = seriesStyle(this.panel, lines);
        const wanted = JSON.stringify(lines.map(({ refId, label }) => [refId, label]));
        const positive = (values: Line["values"]) =>
            values.map((value) => (value !== null && value > 0 ? value : null));
        let values = lines.map((line) => (this.logarithmic ? positive(line.values) : line.values));
        if (this.stacked) values = cumulated(values);
        if (!this.drawn || anew || wanted !== this.builtFor) {
            // A plot that goes from under the pointer tells nobody that the pointer has left it.
            if (this.drawn?.over.matches(":hover")) hideTooltip();
            this.drawn?.destroy();
            this.drawn = this.build();
            this.builtFor = wanted;
        }
        const { drawn } = this;
        drawn.batch(() => {
            drawn.setData([times, ...values], false);
            drawn.setScale("x", { min: span.from, max: span.to });
            drawn.setScale("y", this.rangeOf(values.flat()));
        });
        const { unit } = this.panel.fieldConfig!.defaults;
        fill(this.legend, ...legendRows(lines, this.styles, unit, this.panel.options?.legend?.calcs ?? []));
        const told = lines.slice(0, 8).map((line) => `${line.label} ${formatValue(lastOf(line), unit)}`);
        this.plot.setAttribute("aria-label", `${this.panel.title} over time; last: ${told.join(", ")}`);
    }

    private rangeOf(values: (number | null)[]): { min: number; max: number } {
        const { min = 0, max } = this.panel.fieldConfig!.defaults;
        const there = values.filter((value) => value !== null);
        if (this.logarithmic) return logRange(there);
        return { min: Math.min(min, ...there), max: max ?? topOf(there) };
    }

    private size(): { width: number; height: number } {
        return { width: Math.max(200, this.plot.clientWidth), height: Math.max(120, this.plot.clientHeight) };
    }

    private build(): uPlot {
        const { unit } = this.panel.fieldConfig!.defaults;
        const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
        const widest = (texts: string[] | null): number => Math.max(0, ...(texts ?? []).map((text) => text.length));
        const options: uPlot.Options = {
            ...this.size(),
            legend: { show: false },
            cursor: {
                sync: { key: "dashboard" },
                y: false,
                points: { size: 7 },
                drag: { x: true, y: false, setScale: false },
            },
            scales: {
                x: { time: true, auto: false },
                y: { auto: false, ...(this.logarithmic && { distr: 3, log: 10 }) },
            },
            axes: [
                {
                    ...axis,
                    size: 24,
                    space: (_, __, min, max) => clockSpace(max - min),
                    values: (plot, times) => times.map(clockFormat(plot.scales.x)),
                },
                {
                    ...axis,
                    space: 26,
                    size: (_, texts) => 16 + 6.5 * widest(texts),
                    incrs: this.logarithmic ? undefined : incrementsOf(unit),
                    values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : formatTick(tick, unit))),
                },
            ],
            series: [
                {},
                ...this.styles.map(({ color, dash, fill: filled, width }, index): uPlot.Series => ({
                    label: this.look.lines[index].label,
                    stroke: color,
                    width,
                    dash,
                    fill: filled === undefined ? undefined : filled,
                    // A line of one point cannot be seen as a line.
                    points: {
                        show: (plot, series) => isolated(plot.data[series] as (number | null)[]).length > 0,
                        filter: (plot, series) => isolated(plot.data[series] as (number | null)[]),
                        size: 4,
                    },
                })),
            ],
            bands: this.stacked ? fillBands(this.styles.length) : undefined,
            hooks: {
                drawClear: [(plot) => drawMarks(plot, this.look.marks)],
                setCursor: [(plot) => this.point(plot)],
                setSelect: [
                    (plot) => {
                        const { left, width } = plot.select;
                        if (width > 4) this.zoom(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
                    },
                ],
            },
        };
        const plot = new uPlot(options, [[], ...this.styles.map(() => [])], this.plot);
        plot.over.addEventListener("mouseleave", hideTooltip);
        return plot;
    }

    /** Tells the values under the pointer; the other panels show the cursor alone. */
    private point(plot: uPlot): void {
        const { left = -1, top = 0, idx } = plot.cursor;
        if (!plot.over.matches(":hover") || left < 0 || idx == null) return;
        const { lines, marks, times } = this.look;
        const { unit } = this.panel.fieldConfig!.defaults;
        const t = plot.posToVal(left, "x");
        const near = (plot.scales.x.max! - plot.scales.x.min!) / 100;
        const rows = lines
            .map(({ label, values }, index) => ({ label, value: values[idx], color: this.styles[index].color }))
            .filter((row): row is { label: string; value: number; color: string } => row.value !== null)
            .sort((a, b) => b.value - a.value)
            .map((row) => ({ ...row, text: formatValue(row.value, unit) }));
        const titles = marks.filter(({ from, to }) => t >= from - near && t <= to + near);
        const { x, y } = plot.over.getBoundingClientRect();
        showTooltip({ x: x + left, y: y + top }, times[idx], rows, titles);
    }
}

function lastOf({ values }: Line): number {
    return values.findLast((value) => value !== null)!;
}

/** Behind the lines: a line where something began, and a veil for as long as it lasted. */
function drawMarks(plot: uPlot, marks: Mark[]): void {
    const { ctx, bbox } = plot;
    const { min, max } = plot.scales.x;
    if (min == null || max == null) return;
    ctx.save();
    for (const { from, to, color } of marks) {
        if (to < min || from > max) continue;
        const [begin, end] = [from, to].map((t) => plot.valToPos(Math.min(Math.max(t, min), max), "x", true));
        ctx.fillStyle = ctx.strokeStyle = colour(`--mark-${color}`, `--mark-blue`);
        ctx.globalAlpha = 0.05;
        ctx.fillRect(begin, bbox.top, end - begin, bbox.height);
        ctx.globalAlpha = 0.75;
        ctx.lineWidth = devicePixelRatio;
        ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
        ctx.beginPath();
        for (const [at, t] of [
            [begin, from],
            [end, to],
        ]) {
            if (t < min || t > max) continue;
            ctx.moveTo(Math.round(at), bbox.top);
            ctx.lineTo(Math.round(at), bbox.top + bbox.height);
        }
        ctx.stroke();
    }
    ctx.restore();
}
