import type { FilledPanel, Line, Mark, Span } from "./query";
import { formatTick, formatValue } from "./units";

/** Colours of lines that can be told apart on white, by those who confuse red and green too. */
const palette = ["#1f77b4", "#e6862e", "#2c9c6a", "#9467bd", "#8c564b", "#17a2b8", "#c2528b", "#7f8c2b", "#555f6b"];
const referenceColor = "#d62728";
const judged = { green: "#2c9c6a", orange: "#d9822b", red: "#d62728" } as const;

/** A panel's content as HTML: lines over time, or one large number. */
export function drawPanel({ spec, lines }: FilledPanel, marks: Mark[], span: Span, width: number): string {
    if (spec.kind === "stat") return drawStat(spec, lines);
    return drawTimeseries(spec, lines, marks, span, width);
}

function drawStat(spec: FilledPanel["spec"], lines: Line[]): string {
    const value = lines[0]?.points.at(-1)?.[1];
    if (value === undefined) return `<div class="stat">${escapeHtml(spec.idle ?? "no data")}</div>`;
    const step = spec.thresholds?.filter(({ from }, index) => index === 0 || value >= from).at(-1);
    const color = step ? judged[step.color] : "#1f2933";
    const text = spec.words?.[value] ?? formatValue(value, spec.unit);
    return `<div class="stat" style="color:${color}">${escapeHtml(text).replace(/ (.+)$/, " <small>$1</small>")}</div>`;
}

const left = 62;
const bottom = 20;

function drawTimeseries(
    spec: FilledPanel["spec"],
    given: Line[],
    marks: Mark[],
    span: Span,
    width: number,
): string {
    const height = 190;
    const lines = spec.stacked ? stacked(given) : given;
    const values = lines.flatMap(({ points }) => points.map(([, value]) => value));
    const positive = values.filter((value) => value > 0);
    const ticks =
        spec.logarithmic && positive.length > 0
            ? decades(Math.min(...positive), Math.max(...positive))
            : niceTicks(spec.max ?? (Math.max(0, ...values) || 1));
    // Distance from the bottom of the axis, 0 to 1.
    const first = Math.log10(ticks[0]);
    const along = (value: number) =>
        ticks[0] > 0
            ? Math.max(0, (Math.log10(value) - first) / (Math.log10(ticks.at(-1)!) - first))
            : value / ticks.at(-1)!;
    const x = scale(span, width - left - 8, left);
    const y = (value: number) => 8 + (1 - along(value)) * (height - bottom - 8);
    const grid = ticks.map((tick) => {
        const at = y(tick).toFixed(1);
        return (
            `<line x1="${left}" x2="${width - 8}" y1="${at}" y2="${at}" stroke="#e3e7eb"/>` +
            `<text x="${left - 6}" y="${Number(at) + 4}" text-anchor="end">${escapeHtml(formatTick(tick, spec.unit))}</text>`
        );
    });
    const hours = timeTicks(span, width / 75).map(
        (t) => `<text x="${x(t).toFixed(1)}" y="${height - 4}" text-anchor="middle">${clock(t)}</text>`,
    );
    const marked = marks.map(({ t, color }) => {
        const at = x(t).toFixed(1);
        return `<line x1="${at}" x2="${at}" y1="8" y2="${height - bottom}" stroke="${color}" stroke-opacity=".5"/>`;
    });
    const colors = colorsOf(lines);
    const drawn = lines.map((line, index) => {
        const dash = line.reference ? ' stroke-dasharray="7 5"' : "";
        const path = linePath(line.points, x, y);
        const area = spec.stacked
            ? `<path d="${areaPath(line.points, x, y)}" fill="${colors[index]}" fill-opacity=".25"/>`
            : "";
        return `${area}<path d="${path}" fill="none" stroke="${colors[index]}" stroke-width="1.6"${dash}/>`;
    });
    // The lowest of a stack is drawn last, so that it is not covered.
    const order = spec.stacked ? drawn.reverse() : drawn;
    return `<svg width="${width}" height="${height}">${grid.join("")}${hours.join("")}${marked.join("")}${order.join("")}</svg>${legend(given, colors, spec.unit)}`;
}

function legend(lines: Line[], colors: string[], unit: string): string {
    const rows = lines.map(({ label, points }, index) => {
        const last = formatValue(points.at(-1)![1], unit);
        const most = formatValue(Math.max(...points.map(([, value]) => value)), unit);
        return `<tr><td><i style="background:${colors[index]}"></i>${escapeHtml(label)}</td><td>${last}</td><td>${most}</td></tr>`;
    });
    return `<table class="legend"><tr><th></th><th>last</th><th>max</th></tr>${rows.join("")}</table>`;
}

function colorsOf(lines: Line[]): string[] {
    let next = 0;
    return lines.map(({ reference }) => (reference ? referenceColor : palette[next++ % palette.length]));
}

/** Each line on top of those before it. */
function stacked(lines: Line[]): Line[] {
    const sums = new Map<number, number>();
    return lines.map((line) => ({
        ...line,
        points: line.points.map(([t, value]): [number, number] => {
            const sum = (sums.get(t) ?? 0) + value;
            sums.set(t, sum);
            return [t, sum];
        }),
    }));
}

type Scale = (value: number) => number;

/** A line that does not bridge times without data; a lone point is drawn as a dash. */
function linePath(points: [number, number][], x: Scale, y: Scale): string {
    return runsOf(points)
        .map((run) => `M${run.map((point) => at(point, x, y)).join("L")}${run.length === 1 ? " h2" : ""}`)
        .join("");
}

/** What lies between such a line and 0. */
function areaPath(points: [number, number][], x: Scale, y: Scale): string {
    return runsOf(points)
        .map((run) => [[run[0][0], 0], ...run, [run.at(-1)![0], 0]] as [number, number][])
        .map((outline) => `M${outline.map((point) => at(point, x, y)).join("L")}Z`)
        .join("");
}

function at([t, value]: [number, number], x: Scale, y: Scale): string {
    return `${x(t).toFixed(1)} ${y(value).toFixed(1)}`;
}

/** Points that follow each other at the usual distance. */
function runsOf(points: [number, number][]): [number, number][][] {
    const gaps = points.slice(1).map(([t], index) => t - points[index][0]);
    const usual = Math.min(...gaps);
    const runs: [number, number][][] = [];
    for (const [index, point] of points.entries()) {
        if (index === 0 || gaps[index - 1] > 1.5 * usual) runs.push([]);
        runs.at(-1)!.push(point);
    }
    return runs;
}

function scale({ from, to }: Span, width: number, offset = 0): (t: number) => number {
    return (t) => offset + ((t - from) / (to - from)) * width;
}

/** 0 and up to five steps of 1, 2 or 5 times a power of ten, the last one not below `highest`. */
export function niceTicks(highest: number): number[] {
    const rough = highest / 4;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.999)!;
    const count = Math.ceil((highest / step) * 0.999);
    return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/** Powers of ten from not above `lowest` to not below `highest`. */
export function decades(lowest: number, highest: number): number[] {
    const from = Math.floor(Math.log10(lowest) + 1e-9);
    const to = Math.max(from + 1, Math.ceil(Math.log10(highest) - 1e-9));
    return Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index));
}

/** Round times, at most so many. */
function timeTicks({ from, to }: Span, most: number): number[] {
    const steps = [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400];
    const step = steps.find((seconds) => (to - from) / seconds <= most) ?? 86_400;
    const first = Math.ceil(from / step) * step;
    return Array.from({ length: Math.floor((to - first) / step) + 1 }, (_, index) => first + index * step).filter(
        (t) => t - from > (to - from) * 0.03 && to - t > (to - from) * 0.03,
    );
}

function clock(t: number): string {
    return new Date(t * 1000).toISOString().slice(11, 19).replace(/:00$/, "");
}

export function escapeHtml(text: string): string {
    return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
