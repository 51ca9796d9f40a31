import { expect, it } from "vitest";
import { Prometheus } from "../../../tools/prometheus";
import { spentSince } from "../../../tools/cost/spent";
import { costBy, emulated } from "../../prices/world";

const now = new Date("2026-11-26T12:00:00Z");
const nowSeconds = now.getTime() / 1000;
const cost = costBy({});

/** Values by model over the last hours, one for each step that Prometheus is asked for; undefined: no sample. */
type World = Record<string, (hoursAgo: number) => number | undefined>;

function prometheus(info: World, replicas: World, asked: URLSearchParams[] = []): Prometheus {
    return new Prometheus({
        where: "here",
        get: async (path) => {
            const query = new URLSearchParams(path.replace(/^.*\?/, ""));
            asked.push(query);
            const world = query.get("query")!.includes("model:info") ? info : replicas;
            const [start, end, step] = ["start", "end", "step"].map((name) => Number(query.get(name)));
            const result = Object.entries(world).map(([model, at]) => {
                const values: [number, string][] = [];
                for (let t = start; t < end; t += step) {
                    const value = at((nowSeconds - t) / 3600);
                    if (value !== undefined) values.push([t, String(value)]);
                }
                return { metric: { model }, values };
            });
            return { data: { result: result.filter(({ values }) => values.length > 0) } };
        },
    });
}

const always = () => 1;
const ago = (hours: number) => new Date(now.getTime() - hours * 3600_000);

it("is replica-hours at the price of a replica, and the rest for all the time", async () => {
    const replicas = { ministral: (hours: number) => (hours > 4 ? 1 : hours > 2 ? 3 : 2) };
    const spent = await spentSince(ago(10), now, cost, prometheus({ ministral: always }, replicas));
    expect(spent).toMatchObject({ from: ago(10).toISOString(), to: now.toISOString(), hours: 10 });
    expect(spent.models[0].replicaHours).toBeCloseTo(6 + 6 + 4, 1);
    expect(spent.models[0].hoursUnseen).toBe(0);
    expect(spent.fixed).toBeCloseTo(10 * 0.419136, 6);
    expect(spent.total).toBeCloseTo(spent.models[0].replicaHours * 1.998 + spent.fixed, 6);
});

it("begins where Prometheus does, and says how long no replica was seen", async () => {
    const info = { ministral: (hours: number) => (hours <= 5 ? 1 : undefined) };
    const replicas = { ministral: (hours: number) => (hours > 4 ? undefined : hours > 3 ? 0 : 1) };
    const spent = await spentSince(ago(20), now, cost, prometheus(info, replicas));
    expect(spent.hours).toBeCloseTo(5, 1);
    expect(spent.models[0].replicaHours).toBeCloseTo(3, 1);
    expect(spent.models[0].hoursUnseen).toBeCloseTo(2, 1);
});

it("asks for no more points than Prometheus gives, over a year too", async () => {
    const asked: URLSearchParams[] = [];
    const spent = await spentSince(
        ago(365 * 24),
        now,
        cost,
        prometheus({ ministral: always }, { ministral: always }, asked),
    );
    expect(spent.models[0].replicaHours).toBeCloseTo(365 * 24, -1);
    for (const query of asked) {
        expect((Number(query.get("end")) - Number(query.get("start"))) / Number(query.get("step"))).toBeLessThan(
            11_000,
        );
    }
});

it("of a model without a price there is no sum, and none of it is taken for nothing", async () => {
    const both = { ministral: always, gone: always };
    const spent = await spentSince(ago(1), now, cost, prometheus(both, both));
    expect(spent.models.map((one) => [one.model, one.cost !== undefined])).toEqual([
        ["ministral", true],
        ["gone", false],
    ]);
    expect(spent).not.toHaveProperty("total");
    const without = costBy({}, emulated({ without: /h100/ }));
    expect(await spentSince(ago(1), now, without, prometheus({ ministral: always }, both))).not.toHaveProperty("total");
});

it("is refused where there is nothing to count", async () => {
    await expect(spentSince(ago(1), now, cost, prometheus({}, {}))).rejects.toThrow(/knows of no model since then/);
    await expect(spentSince(ago(-1), now, cost, prometheus({}, {}))).rejects.toThrow(/is not past/);
});
