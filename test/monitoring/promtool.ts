import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { ensureToolchain } from "../../sandbox/toolchain/toolchain";
import type { AlertRule, RuleGroup } from "../../src/monitoring/rules";

/** Samples by series, in promtool's notation: `0+60x30` is 31 samples, each 60 more than the one before. */
export type InputSeries = Record<string, string>;

/** An alert that fires, by its labels without `model`, which all have. */
export type Firing = Record<string, string>;

/** Minutes between two samples, and between two evaluations. */
export const everyMinute = "1m";

/** Runs promtool over files of a folder of their own. Returns what it said when it refused, else undefined. */
export async function promtool(files: Record<string, unknown>, ...args: string[]): Promise<string | undefined> {
    const { bin } = await ensureToolchain({ log: () => undefined, wanted: ["promtool"] });
    const folder = mkdtempSync(join(tmpdir(), "promtool-"));
    try {
        for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), stringify(content));
        // Tests run beside each other: more threads of each take CPU time, and end none sooner.
        const env = { ...process.env, GOMAXPROCS: "1" };
        const { status, stdout, stderr } = spawnSync(bin.promtool, args, { cwd: folder, env, encoding: "utf8" });
        return status === 0 ? undefined : `${stdout}${stderr}`;
    } finally {
        rmSync(folder, { recursive: true, force: true });
    }
}

/** An expression, and exactly what it is to give: labels as text (`{model="x"}`) and value. */
export interface Expectation {
    expr: string;
    samples: { labels: string; value: number }[];
}

/**
 * Checks what expressions give at a time (`90m`), or at each of several, with the rules evaluated. Returns what promtool said
 * when it is not so.
 */
export function evaluated(
    groups: RuleGroup[],
    series: InputSeries,
    at: string | string[],
    expected: Expectation[],
): Promise<string | undefined> {
    const test = {
        interval: everyMinute,
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        promql_expr_test: [at]
            .flat()
            .flatMap((time) => expected.map(({ expr, samples }) => ({ expr, eval_time: time, exp_samples: samples }))),
    };
    const files = {
        "rules.yaml": { groups },
        "test.yaml": { rule_files: ["rules.yaml"], evaluation_interval: everyMinute, tests: [test] },
    };
    return promtool(files, "test", "rules", "test.yaml");
}

/** Checks that an alert fires at a time with these labels of its series and this description. Returns what promtool said when it does not. */
export function described(
    groups: RuleGroup[],
    series: InputSeries,
    at: string,
    alertname: string,
    labels: Record<string, string>,
    description: string,
): Promise<string | undefined> {
    const rules = groups.flatMap((group) => group.rules).filter((rule) => "alert" in rule && rule.alert === alertname);
    const own = rules[0] as AlertRule;
    const test = {
        interval: everyMinute,
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        alert_rule_test: [
            {
                ...{ eval_time: at, alertname },
                exp_alerts: [
                    {
                        exp_labels: { ...own.labels, ...labels },
                        exp_annotations: { ...own.annotations, description },
                    },
                ],
            },
        ],
    };
    const files = {
        "rules.yaml": { groups: [{ name: "one", rules }] },
        "test.yaml": { rule_files: ["rules.yaml"], evaluation_interval: everyMinute, tests: [test] },
    };
    return promtool(files, "test", "rules", "test.yaml");
}

/** Checks which alerts fire at a time (`90m`), or at each of several: exactly these. Returns what promtool said when it is not so. */
export function firingAlerts(
    groups: RuleGroup[],
    series: InputSeries,
    at: string | string[],
    expected: Firing[],
): Promise<string | undefined> {
    const expr = 'count by (alertname, severity, window, replica) (ALERTS{alertstate="firing"})';
    const samples = expected.map((labels) => {
        const text = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
        return { labels: `{${text.join(",")}}`, value: 1 };
    });
    return evaluated(groups, series, at, [{ expr, samples }]);
}
