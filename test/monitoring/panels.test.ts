import { describe, expect, it } from "vitest";
import { dashboards } from "../../src/monitoring/dashboards/all";
import { metricsOf, seriesNames } from "../../src/vllm/metrics";
import { AlertWorld } from "./alert-world";
import { evaluated, type Expectation, type InputSeries } from "./promtool";
import { allRules, direct, doored, relayed, single } from "./watched-models";

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
const isHere =
    (models: (typeof relayed)[]) =>
    ({ panel: { needs } }: Asked) =>
        needs === undefined ||
        needs.name.startsWith("model:") ||
        (needs.name.startsWith("envoy_") && models.some(({ frontDoor }) => frontDoor));
const priced = (models: (typeof relayed)[]) => models.some(({ replicaPrice }) => replicaPrice !== undefined);

const stacks: [string, () => AlertWorld[]][] = [
    ["one replica, seen by the relay", () => [world(relayed, 1)]],
    ["three replicas, seen by the relay", () => [world(relayed, 3)]],
    ["several behind one address", () => [world(direct, 1)]],
    ["one, without the relay", () => [world(single, 1)]],
    ["one behind a front door", () => [world(doored, 2)]],
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
                isHere(idle.models)(one) &&
                (one.panel.needs === undefined || priced(idle.models)),
        );
        expect(numbers.length).toBeGreaterThan(8);
        expect(await ask(idle, [...all.map(isSound), ...numbers.map(hasValue)])).toBeUndefined();
    });

    it("under load are sound, and all have a value", async () => {
        const busy = stack(...worlds().map((one) => one.busy()));
        const all = asked(busy);
        const here = all.filter(
            (one) => isHere(busy.models)(one) && (one.panel.needs === undefined || priced(busy.models)),
        );
        expect(here.length).toBeGreaterThan(60);
        expect(await ask(busy, [...all.map(isSound), ...here.map(hasValue)])).toBeUndefined();
    });
});

describe("the consumers of a front door", () => {
    const shared = stack(
        world(doored, 2).alsoUsedBy("chat", { seconds: 1.005, prompt: 10, generated: 50, uncounted: 0.5 }),
    );
    const shown = (title: string) => asked(shared).filter((one) => one.title.endsWith(`: ${title}`));
    const of = (consumer: string, value: number) => ({ labels: `{consumer="${consumer}", model="doored"}`, value });
    const rounded = (title: string, index: number, samples: { labels: string; value: number }[]) => ({
        expr: `round(${shown(title)[index].expr}, 0.001)`,
        samples,
    });

    it("share the cost by the time that the app worked for them, and only who tells all tokens has a price", async () => {
        const found = await ask(shared, [
            // Two replicas of two euros an hour; a request a second each, of 3 s and of 1 s.
            rounded("Cost per hour, by consumer", 0, [of("search", 3), of("chat", 1)]),
            rounded("A million generated tokens, by consumer", 0, [of("search", 8.333)]),
            rounded("Answers without a count of tokens", 0, [of("search", 0), of("chat", 0.5)]),
            rounded("Tokens by consumer", 1, [of("search", 100), of("chat", 50)]),
        ]);
        expect(found).toBeUndefined();
    });
});
