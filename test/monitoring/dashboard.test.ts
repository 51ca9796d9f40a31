import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dashboardFiles, dashboardsFolder } from "../../src/monitoring/dashboards/files";
import { layOut, type Panel } from "../../src/monitoring/dashboards/panels";
import { dashboardFile, dashboardJson, dashboardPath, vllmDashboard } from "../../src/monitoring/dashboards/vllm";
import { dashboardMetrics, scrapeMetrics, seriesNames, vllmMetrics } from "../../src/monitoring/metrics";

const dashboard = vllmDashboard();
const expressions = dashboard.panels.flatMap(({ targets }) => targets ?? []).map(({ expr }) => expr);

/** Names of the series in an expression: what stands before a selector. */
function seriesIn(expr: string): string[] {
    return [...expr.matchAll(/([a-zA-Z_:][\w:]*)\{/g)].map(([, name]) => name);
}

describe("the committed dashboards", () => {
    it("are what the builders make (else: npm run dashboards)", () => {
        expect(readFileSync(join(dashboardsFolder, dashboardFile), "utf8")).toBe(dashboardJson());
        expect(Object.keys(dashboardFiles())).toEqual([dashboardFile]);
    });

    it("can be loaded from a file by Grafana", () => {
        for (const [file, text] of Object.entries(dashboardFiles())) {
            const { uid, title, ...rest } = JSON.parse(text) as { uid: string; title: string };
            expect(uid, file).toMatch(/^[\w-]{1,40}$/);
            expect(title, file).toBeTruthy();
            // Exported dashboards are wrapped or hold inputs to be asked for: neither works from a file.
            expect(rest).not.toHaveProperty("dashboard");
            expect(rest).not.toHaveProperty("__inputs");
            expect(rest).not.toHaveProperty("id");
            expect(Buffer.byteLength(text)).toBeLessThan(256 * 1024);
        }
    });
});

it("has the promised uid and slug", () => {
    expect(dashboardPath).toBe("/d/vllm-ministral-monitoring/ministral-14b-vllm-metrics-monitoring");
    expect(dashboard.uid).toBe("vllm-ministral-monitoring");
    // Nothing that Grafana would turn into more than one hyphen.
    expect(dashboard.title).toMatch(/^[A-Za-z0-9]+( [A-Za-z0-9]+)*$/);
});

describe("metrics", () => {
    it("are the ten of the reference architecture", () => {
        expect([...dashboardMetrics].sort()).toEqual(
            [
                "vllm:time_to_first_token_seconds",
                "vllm:inter_token_latency_seconds",
                "vllm:e2e_request_latency_seconds",
                "vllm:request_success_total",
                "vllm:kv_cache_usage_perc",
                "vllm:num_requests_running",
                "vllm:num_requests_waiting",
                "vllm:num_preemptions_total",
                "vllm:prompt_tokens_total",
                "vllm:generation_tokens_total",
            ].sort(),
        );
    });

    it("each is shown, and nothing that is not in the catalogue", () => {
        const catalogue = [...Object.values(vllmMetrics), ...Object.values(scrapeMetrics)];
        const known = new Set(seriesNames(catalogue));
        const used = new Set(expressions.flatMap(seriesIn));
        expect(expressions.length).toBeGreaterThan(10);
        expect([...used].filter((name) => !known.has(name))).toEqual([]);
        const shown = catalogue.filter((metric) => seriesNames([metric]).some((name) => used.has(name)));
        expect(shown).toEqual(catalogue);
    });

    it("counters and histograms are read as rates, gauges as they are", () => {
        for (const metric of Object.values(vllmMetrics)) {
            for (const expr of expressions.filter((text) => text.includes(metric.name))) {
                const reads = [...expr.matchAll(new RegExp(`(rate\\()?${metric.name}`, "g"))];
                for (const [, rate] of reads) expect(rate !== undefined, expr).toBe(metric.type !== "gauge");
            }
        }
    });
});

describe("expressions", () => {
    it.each(expressions)("%s", (expr) => {
        expect(expr).toContain('job=~"$job"');
        // Every series is summed up: engines and replicas are not to show as lines without a name.
        expect(expr).toMatch(/\b(sum|max|min)\b/);
        for (const [, window] of expr.matchAll(/\[([^\]]*)\]/g)) expect(window).toBe("$__rate_interval");
        for (const [, divisor] of expr.matchAll(/ \/ (.*)$/g)) expect(divisor).toMatch(/^\(.* > 0\)$/);
        const opened = expr.split("(").length;
        expect(expr.split(")").length).toBe(opened);
    });
});

describe("panels", () => {
    const overlap = (a: Panel["gridPos"], b: Panel["gridPos"]) =>
        a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

    it("have ids of their own, a unit, a description and the chosen data source", () => {
        const ids = dashboard.panels.map(({ id }) => id);
        expect(new Set(ids).size).toBe(ids.length);
        for (const panel of dashboard.panels.filter(({ type }) => type !== "row")) {
            expect(panel.fieldConfig?.defaults.unit, panel.title).toBeTruthy();
            expect(panel.description, panel.title).toBeTruthy();
            expect(panel.datasource?.uid, panel.title).toBe("${datasource}");
        }
    });

    it("fill 24 columns without overlap", () => {
        const places = dashboard.panels.map(({ gridPos }) => gridPos);
        for (const [index, place] of places.entries()) {
            expect(place.x + place.w).toBeLessThanOrEqual(24);
            expect(places.slice(index + 1).filter((other) => overlap(place, other))).toEqual([]);
        }
    });

    it.each([1, 2, 3, 5, 7, 11, 24])("a row of %i panels is as wide as the page", (count) => {
        const panels = Array.from({ length: count }, () => ({ type: "stat" as const, title: "x" }));
        const placed = layOut([{ title: "row", height: 4, panels }]).slice(1);
        expect(placed.reduce((sum, { gridPos }) => sum + gridPos.w, 0)).toBe(24);
        expect(placed.every(({ gridPos }) => gridPos.w >= 1)).toBe(true);
    });
});
