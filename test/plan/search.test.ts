import { describe, expect, it } from "vitest";
import type { Capacity } from "../../plan/capacity";
import type { Result } from "../../plan/evaluate";
import type { Problem, Setting } from "../../plan/problem";
import { bestOf, frontier, neighbours, search } from "../../plan/search";
import { ministral14bOnH100 as profile } from "../../sandbox/vllm/profiles";

const problem = {
    profile,
    targets: { timeToFirstToken: 1, interTokenLatency: 0.05, withinTargets: 0.95, errorBudget: 0.01 },
    boot: { median: 420, spread: 0.2 },
    maxReplicas: 10,
} as Problem;

const setting: Setting = {
    ...{ metric: "vllm:num_requests_running", target: 20, min: 1, max: 3 },
    ...{ scaleUpSeconds: 0, scaleDownSeconds: 300, maxNumSeqs: 256, cooldownSeconds: 300 },
};

const result = (replicaHours: number, within: number, more: Partial<Result> = {}): Result =>
    ({ setting, replicaHours, within, hours: 1, refused: 0, lost: 0, ...more }) as Result;

/** So many requests a second in each five minutes; one replica takes two. */
const capacityOf = (demand: number[]): Capacity => ({
    ...{ traffic: "made up", requests: 1, seconds: 300 * demand.length, tooLong: 0, rate: 2, running: 20 },
    ...{ demand, demandEvery: 300, begins: 0 },
});

describe("what is recommended", () => {
    it("costs hardly more than the cheapest that keeps the targets, and is the furthest from missing them", () => {
        const edge = result(100, 0.951);
        const [safer, dearer, late] = [result(101.5, 0.98), result(103, 0.999), result(50, 0.9)];
        expect(bestOf(problem, [dearer, late, edge, safer])).toBe(safer);
        expect(bestOf(problem, [dearer, late, edge])).toBe(edge);
        expect(bestOf(problem, [late])).toBeUndefined();
        expect(bestOf(problem, [result(10, 0.97, { refused: 0.006, lost: 0.006 }), dearer])).toBe(dearer);
    });

    it("lies on a curve on which nothing is beaten in both", () => {
        const [a, b, c, d] = [result(1, 0.5), result(2, 0.9), result(3, 0.8), result(4, 0.95)];
        expect(frontier([d, c, b, a])).toEqual([a, b, d]);
    });
});

describe("the settings that are tried", () => {
    it("sleep only where the traffic pauses", () => {
        const least = (demand: number[]): number =>
            Math.min(...neighbours(problem, capacityOf(demand), setting).map(({ min }) => min));
        expect(least(Array<number>(100).fill(1))).toBe(1);
        expect(least([...Array<number>(50).fill(1), ...Array<number>(10).fill(0)])).toBe(0);
    });

    it("have hours where a day has them, once each, and none that want no more than the rest of the week", () => {
        const day = Array.from({ length: 288 }, (_, i) => (i >= 96 && i < 204 ? 8 : 0.5));
        const found = neighbours(problem, capacityOf(day), setting).filter(({ schedule }) => schedule);
        expect(found.length).toBeGreaterThan(0);
        for (const { schedule, min, max } of found) {
            expect(schedule!.some((entry) => entry.min > min)).toBe(true);
            expect(schedule!.every((entry) => entry.max === max && entry.min <= max)).toBe(true);
        }
        expect(new Set(found.map((one) => JSON.stringify(one))).size).toBe(found.length);
        const given = { ...problem, schedule: found[0].schedule };
        const others = neighbours(given, capacityOf(day), { ...setting, schedule: given.schedule });
        expect(others.every(({ schedule }) => schedule === given.schedule)).toBe(true);
    });

    it("have other windows, in which the load must be up or down, where there is something to scale", () => {
        const windows = (one: Setting): number[][] =>
            neighbours(problem, capacityOf([2, 2]), one).map(({ scaleUpSeconds, scaleDownSeconds }) => [
                scaleUpSeconds,
                scaleDownSeconds,
            ]);
        expect(windows(setting)).toEqual(
            expect.arrayContaining([
                [60, 300],
                [180, 300],
                [0, 60],
                [0, 1800],
            ]),
        );
        expect(new Set(windows({ ...setting, min: 3 }).map(String))).toEqual(new Set(["0,300"]));
    });

    it("have more replicas as long as none will do, up to the most allowed", async () => {
        const tried: number[] = [];
        const found = await search(problem, capacityOf([2, 2]), (settings) => {
            tried.push(...settings.map(({ max }) => max));
            return Promise.resolve(settings.map((one) => result(one.max, one.min >= 4 ? 0.99 : 0.6, { setting: one })));
        });
        expect(found.best?.setting.min).toBeGreaterThanOrEqual(4);
        const none = await search(problem, capacityOf([2, 2]), () => Promise.resolve([]));
        expect(none.best).toBeUndefined();
        expect(Math.max(...tried)).toBeLessThanOrEqual(10);
    });
});
