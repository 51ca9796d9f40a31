import { expect, it } from "vitest";
import { dashboardJson } from "../../../src/monitoring/dashboards/all";

// The page draws what the dashboards use of Grafana's JSON, and no more. A panel that begins to use something else must be drawn by it too.

/** What the page takes into account. */
const drawn = [
    "type",
    "title",
    "description",
    "gridPos",
    "targets.expr",
    "targets.refId",
    "targets.legendFormat",
    "targets.instant",
    "options.colorMode",
    "options.legend.calcs",
    "fieldConfig.defaults.unit",
    "fieldConfig.defaults.min",
    "fieldConfig.defaults.max",
    "fieldConfig.defaults.noValue",
    "fieldConfig.defaults.mappings",
    "fieldConfig.defaults.thresholds",
    "fieldConfig.defaults.custom.lineWidth",
    "fieldConfig.defaults.custom.fillOpacity",
    "fieldConfig.defaults.custom.scaleDistribution",
    "fieldConfig.defaults.custom.stacking",
    "fieldConfig.overrides",
];

/** What the page does for all panels, or has no use for; each with the one value that this is right for. */
const fixed: Record<string, unknown> = {
    transparent: false,
    collapsed: false,
    repeatDirection: "h",
    "datasource.type": "prometheus",
    "datasource.uid": "${datasource}",
    "targets.datasource.type": "prometheus",
    "targets.datasource.uid": "${datasource}",
    "fieldConfig.defaults.custom.showPoints": "never",
    "options.graphMode": "none",
    "options.justifyMode": "auto",
    "options.textMode": "auto",
    "options.wideLayout": true,
    "options.orientation": "auto",
    "options.showPercentChange": false,
    "options.percentChangeColorMode": "standard",
    "options.reduceOptions.calcs": ["lastNotNull"],
    "options.reduceOptions.values": false,
    "options.legend.displayMode": "table",
    "options.legend.placement": "bottom",
    "options.legend.showLegend": true,
    "options.tooltip.mode": "multi",
    "options.tooltip.sort": "desc",
};

/** Every option of a panel as a path and its value, down to those that the page takes as a whole. */
function optionsOf(value: unknown, path: string[] = []): [string, unknown][] {
    const name = path.join(".");
    if (drawn.includes(name) || name in fixed || typeof value !== "object" || value === null) return [[name, value]];
    if (Array.isArray(value)) return value.flatMap((one) => optionsOf(one, path));
    return Object.entries(value).flatMap(([key, one]) => optionsOf(one, [...path, key]));
}

interface Panel {
    id: number;
    title: string;
    type: string;
    fieldConfig?: {
        defaults: {
            mappings?: { type: string }[];
            thresholds?: { mode: string; steps: { color: string }[] };
            custom?: { scaleDistribution?: object; stacking?: object };
        };
        overrides?: { matcher: { id: string }; properties: { id: string; value: unknown }[] }[];
    };
    options?: { legend?: { calcs: string[] } };
}

const panels = Object.values(dashboardJson()).flatMap((text) => (JSON.parse(text) as { panels: Panel[] }).panels);

it.each(panels.map((panel) => [panel.title, panel] as const))(
    "%s uses nothing that the page would leave out",
    (_, panel) => {
        const { id: _id, ...shown } = panel;
        const unknown = optionsOf(shown).filter(([path, value]) => {
            if (drawn.includes(path) || path === "targets.range") return false;
            return JSON.stringify(fixed[path]) !== JSON.stringify(value);
        });
        expect(unknown).toEqual([]);
        expect(["row", "stat", "timeseries"]).toContain(panel.type);
        const { defaults, overrides = [] } = panel.fieldConfig ?? { defaults: {} };
        expect((defaults.mappings ?? []).filter(({ type }) => type !== "value")).toEqual([]);
        expect(defaults.thresholds?.mode ?? "absolute").toBe("absolute");
        expect(
            (defaults.thresholds?.steps ?? []).filter(({ color }) => !["green", "orange", "red"].includes(color)),
        ).toEqual([]);
        expect(defaults.custom?.scaleDistribution ?? { type: "log", log: 10 }).toEqual({ type: "log", log: 10 });
        expect(defaults.custom?.stacking ?? { mode: "normal" }).toEqual({ mode: "normal" });
        expect((panel.options?.legend?.calcs ?? []).filter((calc) => !["lastNotNull", "max"].includes(calc))).toEqual(
            [],
        );
        for (const { matcher, properties } of overrides) {
            expect(matcher.id).toBe("byFrameRefID");
            for (const { id, value } of properties) {
                expect(["custom.lineStyle", "custom.fillOpacity", "color"]).toContain(id);
                if (id === "color") expect(value).toEqual({ mode: "fixed", fixedColor: "red" });
            }
        }
    },
);
