import { describe, expect, it } from "vitest";
import { dashboards } from "../../src/monitoring/dashboards/all";
import { metricsOf, seriesNames } from "../../src/vllm/metrics";
import { AlertWorld } from "./alert-world";
import { evaluated, type Expectation, type InputSeries } from "./promtool";
import { allRules, direct, relayed, single } from "./watched-models";

// Every query of every panel, evaluated by Prometheus' own engine over the rules of a stack.
const page = new Set(seriesNames(metricsOf("0.13.0")));
const world = (model: typeof relayed, replicas: number) => new AlertWorld(model, replicas, page);

interface Stack {
    models: (typeof relayed)[];
    series: InputSeries;
}
const stack = (...worlds: AlertWorld[]): Stack => ({
    models: worlds.map(({ model }) => model),
    series: Object.assign({}, ...worlds.map(({ series }) => series)) as InputSeries,
});

/** One query of a panel with every choice at "All", as Grafana puts it in. */
interface Asked {
    title: string;
    expr: string;
    panel: (typeof dashboards)[number]["rows"][number]["panels"][number];
}
function asked({ models }: Stack): Asked[] {
    const names = models.map(({ name }) => name);
    const values: Record<string, string> = {
        model: names.length > 1 ? `(${names.join("|")})` : names[0],
        replica: ".*",
        __rate_interval: "5m",
    };
    return dashboards.flatMap(({ uid, rows }) =>
        rows.flatMap(({ panels }) =>
            panels.flatMap((panel) =>
                panel.queries.map(({ expr }) => ({
                    title: `${uid}: ${panel.title}`,
                    expr: expr.replaceAll(/\$(\w+)/g, (all, name: string) => values[name] ?? all),
                    panel,
                })),
            ),
        ),
    );
}

/** Asks promtool, which names the expressions that are not as expected. */
const ask = ({ models, series }: Stack, expected: Expectation[]) =>
    evaluated(allRules(models), series, "90m", expected);

/** Nothing that is no number: it would be drawn as NaN, and judged by no threshold. */
const isSound = ({ expr }: Asked): Expectation => ({
    expr: `(${expr}) != (${expr}) or abs(${expr}) == Inf`,
    samples: [],
});
const hasValue = ({ expr }: Asked): Expectation => ({
    expr: `count(${expr}) > bool 0`,
    samples: [{ labels: "{}", value: 1 }],
});

/** Has its metric here: the relay's other series, Prometheus' and Alertmanager's own are not part of these worlds. */
const isHere = ({ panel: { needs } }: Asked) => needs === undefined || needs.name.startsWith("model:");
const priced = (models: (typeof relayed)[]) => models.some(({ replicaPrice }) => replicaPrice !== undefined);

const stacks: [string, () => AlertWorld[]][] = [
    ["one replica, seen by the relay", () => [world(relayed, 1)]],
    ["three replicas, seen by the relay", () => [world(relayed, 3)]],
    ["several behind one address", () => [world(direct, 1)]],
    ["one, without the relay", () => [world(single, 1)]],
    ["three models", () => [world(relayed, 2), world(direct, 1), world(single, 1)]],
];

describe.each(stacks)("the panels of %s", (_, worlds) => {
    it("without traffic are sound, and each number has a value or a word for having none", async () => {
        const idle = stack(...worlds());
        const all = asked(idle);
        const numbers = all.filter(
            (one) =>
                one.panel.kind === "stat" &&
                one.panel.idle === undefined &&
                isHere(one) &&
                (one.panel.needs === undefined || priced(idle.models)),
        );
        expect(numbers.length).toBeGreaterThan(8);
        expect(await ask(idle, [...all.map(isSound), ...numbers.map(hasValue)])).toBeUndefined();
    });

    it("under load are sound, and all have a value", async () => {
        const busy = stack(...worlds().map((one) => one.busy()));
        const all = asked(busy);
        const here = all.filter((one) => isHere(one) && (one.panel.needs === undefined || priced(busy.models)));
        expect(here.length).toBeGreaterThan(60);
        expect(await ask(busy, [...all.map(isSound), ...here.map(hasValue)])).toBeUndefined();
    });
});
