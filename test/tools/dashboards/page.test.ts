import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { marksOf } from "../../../tools/dashboards/page/annotations";
import { parametersOf, uidOf, viewOf } from "../../../tools/dashboards/page/address";
import type { Dashboard, VariableJson } from "../../../tools/dashboards/page/grafana";
import { interpolate, legendOf } from "../../../tools/dashboards/page/prometheus";
import { cumulated, incrementsOf, isolated, logRange, topOf } from "../../../tools/dashboards/page/scales";
import { gridOf, rangeTitle, rateInterval, spanOf, stepOf } from "../../../tools/dashboards/page/time-range";
import { all, escapeRegex, valueOf, variablesOf } from "../../../tools/dashboards/page/variables";

// What the page of the dashboards works out, without a browser.

const now = 1_800_000_000;

describe("a time range", () => {
    it.each([
        ["now-1h", "now", [now - 3600, now]],
        ["now-2d", "now-1d", [now - 172_800, now - 86_400]],
        [String((now - 60) * 1000), String(now * 1000), [now - 60, now]],
        [new Date((now - 60) * 1000).toISOString(), "now", [now - 60, now]],
    ])("%s to %s", (from, to, [begin, end]) => {
        expect(spanOf({ from, to }, now)).toEqual({ from: begin, to: end });
    });

    it.each([
        ["now", "now-1h"],
        ["now/d", "now"],
        ["yesterday", "now"],
        ["now-1y", "now"],
        ["", "now"],
    ])("%s to %s is none", (from, to) => {
        expect(spanOf({ from, to }, now)).toBeUndefined();
    });

    it("is called as people say it", () => {
        expect(rangeTitle({ from: "now-15m", to: "now" }, now)).toBe("Last 15 minutes");
        const [from, to] = [now - 60, now].map((t) => String(t * 1000));
        // The day is said once.
        expect(rangeTitle({ from, to }, now).match(/Jan/g)).toHaveLength(1);
    });

    it("has at most 240 points on a line, none closer than a scrape, at the same moments in a later look", () => {
        fc.assert(
            fc.property(
                fc.integer({ min: 1, max: 30 * 86_400 }),
                fc.integer({ min: 0, max: 10_000 }),
                (length, later) => {
                    const span = { from: now + later - length, to: now + later };
                    const step = stepOf(span);
                    const grid = gridOf(span, step);
                    expect(step).toBeGreaterThanOrEqual(15);
                    expect(grid.length).toBeLessThanOrEqual(242);
                    expect(grid.every((t) => t % step === 0 && t <= span.to)).toBe(true);
                    expect(span.to - grid.at(-1)!).toBeLessThan(step);
                    expect(rateInterval(step)).toBeGreaterThanOrEqual(Math.max(60, step + 15));
                },
            ),
        );
    });
});

describe("a variable", () => {
    const json: VariableJson = { type: "query", name: "model", label: "Model", query: "label_values(x, model)" };
    const chosen = (address: string) => variablesOf([json], new URLSearchParams(address))[0].chosen;

    it("is what the address says, and all without", () => {
        expect(chosen("")).toEqual([all]);
        expect(chosen("var-model=a&var-model=b")).toEqual(["a", "b"]);
        expect(chosen("var-model=$__all")).toEqual([all]);
        expect(chosen("var-model=")).toEqual([all]);
    });

    it("stands for a regular expression of its values", () => {
        const value = (options: string[], picked: string[], more: Partial<VariableJson> = {}) =>
            valueOf({ json: { ...json, ...more }, options, chosen: picked });
        expect(value(["a", "b.c"], [all])).toBe("(a|b\\\\.c)");
        expect(value(["a", "b.c"], ["b.c"])).toBe("b\\\\.c");
        expect(value(["a", "b"], [all], { allValue: ".*" })).toBe(".*");
        expect(value(["GRA", "BHS"], [all], { hide: 2 })).toBe("GRA");
        expect(value([], [all])).toBe("");
    });

    it("cannot leave the quotes that it stands in", () => {
        fc.assert(
            fc.property(fc.string(), (text) => {
                // As PromQL reads a string: a backslash and what follows are one.
                expect(escapeRegex(text).replaceAll(/\\./gs, "")).not.toContain('"');
            }),
        );
    });

    it("is put in where its name stands, and nowhere else", () => {
        const values = { model: "a", region: "GRA" };
        expect(interpolate("$model ${region} ${model:regex} $models $other", values)).toBe("a GRA a $models $other");
    });
});

it("a line is called as the format says, by all its labels without one", () => {
    expect(legendOf("p95 {{job}} {{none}}", { job: "x" })).toBe("p95 x");
    expect(legendOf("", { __name__: "up", job: "x" })).toBe('up{job="x"}');
});

it("marks that follow each other are one", () => {
    const times = [0, 60, 120, 180, 240];
    const series = { labels: { alertname: "A" }, values: [1, 1, null, 0, 2] };
    expect(marksOf(series, times, 60, "{{alertname}}", "red")).toEqual([
        { from: 0, to: 60, title: "A", color: "red" },
        { from: 240, to: 240, title: "A", color: "red" },
    ]);
});

describe("scales", () => {
    it("reach a little above what is there, and to 1 above nothing", () => {
        expect(topOf([3, 5])).toBeCloseTo(5.4);
        expect(topOf([0])).toBeGreaterThan(1);
        expect(topOf([])).toBeGreaterThan(1);
    });

    it.each([
        [[0.012, 1], 0.01, 1],
        [[1], 1, 10],
        [[3, 5], 1, 10],
        [[], 0.1, 1],
    ])("of powers of ten around %j go from %d to %d", (values, min, max) => {
        const range = logRange(values);
        expect(range.min).toBeCloseTo(min);
        expect(range.max).toBeCloseTo(max);
    });

    it.each(["s", "short", "bytes"])("have ticks that grow, %s", (unit) => {
        const steps = incrementsOf(unit);
        expect(steps).toEqual([...new Set(steps)].sort((a, b) => a - b));
    });

    it("stack lines, and leave out what is missing", () => {
        expect(
            cumulated([
                [1, null, 3],
                [2, 2, null],
            ]),
        ).toEqual([
            [1, null, 3],
            [3, 2, null],
        ]);
    });

    it("know the points that would not be seen", () => {
        expect(isolated([1, null, 2, 3, null, 4])).toEqual([0, 5]);
    });
});

describe("an address", () => {
    const dashboard = {
        time: { from: "now-1h", to: "now" },
        refresh: "15s",
        annotations: {
            list: [
                { name: "Alerts", enable: true },
                { name: "Replicas", enable: false },
            ],
        },
    } as Dashboard;

    it("names a dashboard as Grafana's does", () => {
        expect(uidOf("/d/abc-1/some-title")).toBe("abc-1");
        expect(uidOf("/d/abc-1")).toBe("abc-1");
        expect(uidOf("/dashboards")).toBeUndefined();
    });

    it("says only what differs from the dashboard, and is read as it was written", () => {
        const view = viewOf(dashboard, new URLSearchParams());
        expect(view).toEqual({ range: dashboard.time, refresh: 15, hidden: new Set(["Replicas"]) });
        expect(parametersOf(dashboard, view, [], false).toString()).toBe("");
        const other = { range: { from: "1000", to: "2000" }, refresh: 0, hidden: new Set(["Alerts"]) };
        expect(viewOf(dashboard, parametersOf(dashboard, other, [], false))).toEqual(other);
    });

    it("that is not understood is told", () => {
        const { fault, range } = viewOf(dashboard, new URLSearchParams("from=now/w"));
        expect(fault).toContain("from=now/w");
        expect(range).toEqual(dashboard.time);
    });
});
