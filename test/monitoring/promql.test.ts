import { describe, expect, it } from "vitest";
import { dashboards } from "../../src/monitoring/dashboards/all";
import { choices, marks } from "../../src/monitoring/dashboards/panels";
import { metricGroups, targetLabels } from "../../src/monitoring/metrics";
import { metricsOf, seriesNames, type Metric } from "../../src/vllm/metrics";
import { vllmVersions } from "../../src/vllm/versions";
import { parsePromql } from "./promql";
import { allRules, direct, doored, relayed, single } from "./watched-models";

/** Every expression of the project, and where it stands. */
const expressions: [where: string, expr: string][] = [
    ...allRules([relayed, direct, single, doored]).flatMap(({ name, rules }) =>
        rules.map((rule): [string, string] => [`${name}: ${"alert" in rule ? rule.alert : rule.record}`, rule.expr]),
    ),
    ...dashboards.flatMap(({ uid, rows }) =>
        rows.flatMap(({ panels }) =>
            panels.flatMap(({ title, queries }) =>
                queries.map(({ expr }): [string, string] => [`${uid}: ${title}`, expr]),
            ),
        ),
    ),
    ...marks.map(({ name, expr }): [string, string] => [`mark ${name}`, expr]),
    ...choices.map(({ name, series }): [string, string] => [`choice ${name}`, series]),
];

const always = metricGroups.flatMap((group) => Object.values<Metric>(group));

describe.each(vllmVersions)("against the metrics of vLLM %s", (version) => {
    const series = new Map<string, Metric>();
    for (const metric of [...always, ...metricsOf(version)]) {
        for (const name of seriesNames([metric])) series.set(name, metric);
    }

    it.each(expressions)("%s: %s", (_, expr) => {
        const { selectors, grouping } = parsePromql(expr);
        const carried = new Set<string>(targetLabels);
        for (const { series: name, labels, around } of selectors) {
            const metric = series.get(name);
            expect(metric, `${name} does not exist`).toBeDefined();
            const own = [...metric!.labels, ...(name.endsWith("_bucket") ? ["le"] : [])];
            for (const label of own) carried.add(label);
            const known = [...own, ...targetLabels];
            expect(
                labels.filter((label) => !known.includes(label)),
                `labels of ${name}`,
            ).toEqual([]);
            // Only what grows has a rate, and what grows is of no use without one.
            const rated = /^(rate|increase)$/.test(around[0] ?? "");
            expect(rated, `${name} within ${around.join(", ")}`).toBe(metric!.type !== "gauge");
            if (name.endsWith("_bucket") && !labels.includes("le")) expect(around).toContain("histogram_quantile");
        }
        expect(
            grouping.filter((label) => !carried.has(label)),
            "labels to group by",
        ).toEqual([]);
    });
});

it("names the models or the monitoring in every selector of a panel", () => {
    for (const [where, expr] of expressions.filter(([where]) => where.startsWith("vllm-ministral-monitoring"))) {
        for (const { series, labels } of parsePromql(expr).selectors) {
            expect(labels.includes("job") || labels.includes("model"), `${where}: ${series}`).toBe(true);
        }
    }
});

it.each([
    ["sum(rate(vllm:x_total[5m])", /no PromQL/],
    ["sum by le (x)", /no PromQL/],
    ["1 + 1", /nothing is selected/],
])("the parser refuses %s", (expr, message) => {
    expect(() => parsePromql(expr)).toThrow(message);
});
