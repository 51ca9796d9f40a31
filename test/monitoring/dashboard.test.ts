import { describe, expect, it } from "vitest";
import { dashboardJson, dashboards } from "../../src/monitoring/dashboards/all";
import { dashboardFiles, dashboardPath, guideDashboard, modelsDashboard } from "../../src/monitoring/dashboards/files";
import { grafanaDashboard, type PanelSpec } from "../../src/monitoring/dashboards/panels";
import { dashboardMetrics } from "../../src/vllm/metrics";

interface Placed {
    id: number;
    type: string;
    title: string;
    description?: string;
    gridPos: { x: number; y: number; w: number; h: number };
    datasource?: { uid: string };
    targets?: { expr: string; datasource: { uid: string }; instant?: boolean; range?: boolean }[];
    fieldConfig?: { defaults: { unit?: string } };
}
interface Loaded {
    uid: string;
    title: string;
    panels: Placed[];
    links: { title: string; url: string }[];
    templating: { list: { name: string; type: string; multi?: boolean }[] };
}

describe("the committed dashboards", () => {
    it("are what the builders make (else: npm run dashboards)", () => {
        expect(dashboardFiles(["ministral"])).toEqual(dashboardJson());
    });

    it.each([[["ministral", "qwen"]], [["qwen"]]])(
        "can be loaded from files by Grafana, side by side: %s",
        (models) => {
            const files = Object.entries(dashboardFiles(models));
            expect(files.length).toBe(3);
            const loaded = files.map(([file, text]) => {
                const { uid, title, ...rest } = JSON.parse(text) as Loaded;
                expect(uid, file).toMatch(/^[\w-]{1,40}$/);
                expect(`${uid}.json`).toBe(file);
                // Exported dashboards are wrapped or hold inputs to be asked for: neither works from a file.
                expect(rest).not.toHaveProperty("dashboard");
                expect(rest).not.toHaveProperty("__inputs");
                expect(rest).not.toHaveProperty("id");
                expect(Buffer.byteLength(text)).toBeLessThan(256 * 1024);
                return { uid, title };
            });
            for (const key of ["uid", "title"] as const) expect(new Set(loaded.map((one) => one[key])).size).toBe(3);
        },
    );
});

it("have the promised address", () => {
    expect(dashboardPath(guideDashboard)).toBe("/d/vllm-ministral-monitoring/ministral-14b-vllm-metrics-monitoring");
    // Nothing that Grafana would turn into more than one hyphen.
    for (const { title } of dashboards) expect(title).toMatch(/^[A-Za-z0-9]+( [A-Za-z0-9]+)*$/);
});

describe("a stack without Ministral", () => {
    it("has a dashboard that is called by its own models, and is found under that name by the others", () => {
        const { uid, title } = modelsDashboard(["qwen3-8b", "llama"]);
        expect(title).toBe("llama qwen3-8b vLLM metrics monitoring");
        expect(dashboardPath({ uid, title })).toBe(`/d/${uid}/llama-qwen3-8b-vllm-metrics-monitoring`);
        const files = dashboardFiles(["qwen3-8b", "llama"]);
        expect(JSON.stringify(files)).not.toMatch(/ministral/i);
        const loaded = Object.values(files).map((text) => JSON.parse(text) as Loaded);
        expect(loaded.filter((one) => one.uid === uid).map((one) => one.title)).toEqual([title]);
        const links = loaded.flatMap((one) => one.links.filter(({ url }) => url === `/d/${uid}`));
        expect(links.map((link) => link.title)).toEqual([title, title]);
    });

    it("keeps its address when a model comes or goes, and a title that can be read with many", () => {
        const many = ["a", "b", "c", "d"].map((letter) => letter.repeat(40));
        expect(modelsDashboard(many).uid).toBe(modelsDashboard(["a"]).uid);
        expect(modelsDashboard(many).title).toBe("4 models vLLM metrics monitoring");
        expect(modelsDashboard([...many, "ministral"])).toEqual(guideDashboard);
    });
});

it("the first one shows the ten metrics of the reference architecture", () => {
    const text = dashboardJson()["vllm-ministral-monitoring.json"];
    expect(dashboardMetrics.filter((name) => !text.includes(name))).toEqual([]);
});

describe.each(
    dashboards.map((spec): [string, Loaded, PanelSpec[]] => {
        const json = JSON.parse(dashboardJson()[`${spec.uid}.json`]) as Loaded;
        return [spec.uid, json, spec.rows.flatMap(({ panels }) => panels)];
    }),
)("%s", (_, json, specs) => {
    const panels = json.panels.filter(({ type }) => type !== "row");

    it("has every panel, each with an id, a unit and a description for someone new", () => {
        expect(panels.map(({ title }) => title)).toEqual(specs.map(({ title }) => title));
        expect(new Set(json.panels.map(({ id }) => id)).size).toBe(json.panels.length);
        for (const { title, description, fieldConfig } of panels) {
            expect(fieldConfig?.defaults.unit, title).toBeTruthy();
            expect(description, title).toMatch(/^[A-Z0-9].{30,}[.)]$/s);
        }
    });

    it("asks the chosen data source", () => {
        for (const { title, datasource, targets } of panels) {
            expect(datasource?.uid, title).toBe("${datasource}");
            expect(targets!.length, title).toBeGreaterThan(0);
            for (const target of targets!) expect(target.datasource.uid).toBe("${datasource}");
        }
    });

    it("shows as a number what is, not what was last: that would be Up for an hour after the end", () => {
        for (const { title, type, targets } of panels) {
            for (const { instant, range } of targets!) {
                expect({ title, instant: instant ?? false, range: range ?? false }).toEqual({
                    title,
                    instant: type === "stat",
                    range: type !== "stat",
                });
            }
        }
    });

    it("lets data source, models and replicas be chosen, and links to the platform, the runbooks and the others", () => {
        const { list } = json.templating;
        expect(list.map(({ name }) => name).slice(0, 3)).toEqual(["datasource", "model", "replica"]);
        expect(list.slice(1, 3).every(({ multi }) => multi)).toBe(true);
        const urls = json.links.map(({ url }) => url);
        expect(urls[0]).toBe(
            "https://monitoring.${region}.ai.cloud.ovh.net/d/app/app-monitoring?var-app=${app}&orgId=1",
        );
        expect(urls[1]).toBe("${runbooks}/README.md");
        const others = dashboards.filter(({ uid }) => uid !== json.uid);
        expect(urls.slice(2)).toEqual(others.map(({ uid }) => `/d/${uid}`));
    });

    it("divides by nothing that may be 0, and rates over an interval that suits zoom and scrapes", () => {
        for (const { title, targets } of panels) {
            for (const { expr } of targets!) {
                for (const [divisor] of expr.matchAll(/\/ .*/g)) {
                    expect(divisor, title).toMatch(/^\/ (on \(\w+\) group_left \(\) )?\(.* > 0\)/);
                }
                for (const [, window] of expr.matchAll(/rate\([^[]*\[([^\]]*)\]/g)) {
                    expect(window, title).toBe("$__rate_interval");
                }
            }
        }
    });

    it("fills 24 columns without overlap", () => {
        const places = json.panels.map(({ gridPos }) => gridPos);
        for (const [index, a] of places.entries()) {
            expect(a.x + a.w).toBeLessThanOrEqual(24);
            const over = places
                .slice(index + 1)
                .filter((b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h);
            expect(over).toEqual([]);
        }
    });
});

it.each([1, 2, 3, 5, 7, 11, 24])("a row of %i panels is as wide as the page", (count) => {
    const panel: PanelSpec = { kind: "stat", title: "x", description: "x", unit: "short", queries: [] };
    const row = { title: "row", height: 4, panels: Array.from({ length: count }, () => panel) };
    const spec = { uid: "x", title: "x", description: "x", rows: [row] };
    const { panels } = grafanaDashboard(spec, []) as unknown as Loaded;
    expect(panels.slice(1).reduce((sum, { gridPos }) => sum + gridPos.w, 0)).toBe(24);
    expect(panels.every(({ gridPos }) => gridPos.w >= 1)).toBe(true);
});
