import { describe, expect, it } from "vitest";
import { decades, drawPanel, niceTicks } from "../../../tools/dashboards/draw";
import { dashboardsPage } from "../../../tools/dashboards/page";
import type { FilledPanel, Line } from "../../../tools/dashboards/query";
import { formatTick, formatValue } from "../../../tools/dashboards/units";

const span = { from: 1000, to: 1100 };
const line = (label: string, points: [number, number][], reference = false): Line => ({ label, points, reference });
const panel = (lines: Line[], over: Partial<FilledPanel["spec"]> = {}): FilledPanel => ({
    spec: { kind: "timeseries", title: "t", description: "d", unit: "s", queries: [], ...over },
    lines,
    faults: [],
});

it.each([
    [0.0123, "s", "12.3 ms"],
    [90, "s", "90 s"],
    [7200, "s", "2 h"],
    [0.5, "percentunit", "50 %"],
    [5.4e10, "bytes", "50.3 GiB"],
    [1234567, "short", "1.23 M"],
    [3130, "tokens/s", "3.13 K tokens/s"],
    [2.5, "currencyEUR", "€2.5"],
    [0, "reqps", "0 req/s"],
])("%d in %s is written %s", (value, unit, text) => {
    expect(formatValue(value, unit)).toBe(text);
});

it("leaves a unit of words out beside an axis", () => {
    expect(formatTick(2000, "tokens/s")).toBe("2 K");
});

it.each([
    [1, [0, 0.5, 1]],
    [7, [0, 2, 4, 6, 8]],
    [50, [0, 20, 40, 60]],
    [0.03, [0, 0.01, 0.02, 0.03]],
])("the axis up to %d has %j", (highest, ticks) => {
    expect(niceTicks(highest)).toEqual(ticks);
});

it.each([
    [0.012, 1, [0.01, 0.1, 1]],
    [1, 1, [1, 10]],
    [3, 5, [1, 10]],
])("the logarithmic axis from %d to %d has %j", (lowest, highest, ticks) => {
    expect(decades(lowest, highest)).toEqual(ticks);
});

describe("a panel", () => {
    const points: [number, number][] = [
        [1000, 1],
        [1010, 2],
        [1020, 4],
    ];

    it("draws each line, a reference dashed, with its last and highest value", () => {
        const html = drawPanel(panel([line("p95", points), line("target", [[1000, 3]], true)]), [], span, 400);
        expect(html.match(/<path /g)).toHaveLength(2);
        expect(html.match(/stroke-dasharray/g)).toHaveLength(1);
        expect(html).toContain("<td>4 s</td><td>4 s</td>");
    });

    it("does not bridge a time without data", () => {
        const gap = line("x", [...points, [1080, 1], [1090, 1]]);
        expect(/ d="([^"]*)"/.exec(drawPanel(panel([gap]), [], span, 400))![1].match(/M/g)).toHaveLength(2);
    });

    it("marks moments", () => {
        expect(drawPanel(panel([line("x", points)]), [{ t: 1050, color: "red" }], span, 400)).toContain('stroke="red"');
    });

    it("says what a stat says when there is nothing", () => {
        const html = drawPanel(panel([], { kind: "stat", idle: "no requests" }), [], span, 200);
        expect(html).toContain("no requests");
    });

    it("judges a stat by its thresholds and words", () => {
        const thresholds = [
            { from: 0, color: "red" as const },
            { from: 1, color: "green" as const },
        ];
        const up = (value: number) =>
            drawPanel(
                panel([line("", [[1000, value]])], { kind: "stat", thresholds, words: { 0: "Down", 1: "Up" } }),
                [],
                span,
                200,
            );
        expect(up(0)).toMatch(/#d62728.*Down/);
        expect(up(1)).toMatch(/#2c9c6a.*Up/);
    });

    it("stacks lines when they add up", () => {
        const html = drawPanel(panel([line("a", points), line("b", points)], { stacked: true }), [], span, 400);
        // The legend keeps each line's own value; the axis fits the sum.
        expect(html).toContain("<td>4 s</td>");
        expect(html).toContain("8 s");
    });
});

it("the page escapes what comes from labels, and says what is wrong with a panel", () => {
    const spec = { uid: "u", title: "T", description: "d", rows: [] };
    const faulty = { ...panel([line("<b>", [[1000, 1]])]), faults: ["no data for up"] };
    const html = dashboardsPage([{ spec, rows: [{ title: "r", panels: [faulty] }] }], [], span);
    expect(html).toContain("&lt;b&gt;");
    expect(html).not.toContain("<b>");
    expect(html).toContain("no data for up");
    // Nothing is fetched from anywhere.
    expect(html).not.toMatch(/(src|href)=|https?:/);
});
