import { describe, expect, it } from "vitest";
import { simulateFleet } from "../../plan/fleet";
import { Histogram } from "../../plan/histogram";
import type { Request, Traffic } from "../../plan/traffic";
import type { World } from "../../plan/world";
import { ministral14bOnH100 as profile } from "../../sandbox/vllm/profiles";

const targets = { timeToFirstToken: 1, interTokenLatency: 0.05 };
const hour = 3600;

const world = (more: Partial<World> = {}): World => ({
    engine: { ...profile.defaults, blockSize: 16, numBlocks: 10_000, step: { ...profile.step, spread: 0 } },
    prefixCaching: true,
    requestOverhead: 0,
    boot: { median: 300, spread: 0 },
    noGpu: { chance: 0, retry: 60 },
    drainSeconds: 0,
    asleep: "refused",
    scaling: {
        metric: "vllm:num_requests_running",
        target: 10,
        aggregation: "AVERAGE",
        replicasMin: 1,
        replicasMax: 4,
        scaleUpStabilizationWindowSeconds: 0,
        scaleDownStabilizationWindowSeconds: 300,
        cooldownPeriodSeconds: 300,
    },
    ...more,
});

/** So many requests a second from one moment to another, evenly. */
function steady(perSecond: number, from: number, to: number, seconds: number, more: Partial<Request> = {}): Traffic {
    return {
        name: "steady",
        seconds,
        begins: 0,
        blockTokens: 16,
        *requests() {
            for (let i = 0; i < (to - from) * perSecond; i++) {
                yield { at: from + i / perSecond, promptTokens: 200, answerTokens: 200, commonTokens: 0, ...more };
            }
        },
    };
}

describe("the replicas of an app in virtual time", () => {
    it("refuse what is longer than their context or their KV cache, and count it apart", () => {
        const load = steady(1, 0, 60, 60, { promptTokens: 7000, answerTokens: 1000 });
        const came = (more: Partial<World>): number[] => {
            const { requests, tooLong } = simulateFleet(world(more), load, targets, 1);
            return [requests, tooLong];
        };
        expect(came({})).toEqual([60, 0]);
        expect(came({ maxModelLen: 8000 })).toEqual([60, 0]);
        expect(came({ maxModelLen: 7999 })).toEqual([0, 60]);
        const engine = { ...world().engine, numBlocks: 500 };
        expect(came({ engine, maxModelLen: 100_000 })).toEqual([0, 60]);
    });

    it("scales up when the metric asks, serves from there after the boot, and goes down after the window", () => {
        const load = steady(10, 1000, 2500, 2 * hour);
        const { intervals, requests, refused, lost, replicaSeconds } = simulateFleet(world(), load, targets, 1);
        expect({ requests, refused, lost }).toEqual({ requests: 15_000, refused: 0, lost: 0 });
        const serving = intervals.map((interval) => interval.serving);
        const wanted = intervals.map((interval) => interval.wanted);
        // Interval 3 ends at 1200 s: asked for, not there yet; interval 5 at 1800 s: there.
        expect([wanted[2], serving[2]]).toEqual([1, 1]);
        expect(wanted[3]).toBeGreaterThan(1);
        expect(serving[3]).toBe(1);
        expect(serving[5]).toBe(wanted[3]);
        expect(serving.at(-1)).toBe(1);
        // Billed from the decision on, not from the first request.
        expect(replicaSeconds).toBeGreaterThan(2 * hour + 1500);
        expect(replicaSeconds).toBeLessThan(2 * hour + 3 * 2200);
    });

    it("a scale-down cuts what is under way, or lets it end", () => {
        // Long answers on few requests: the second replica is idle by the metric, but not done.
        const bursts: Traffic = {
            ...steady(10, 0, 600, hour),
            *requests() {
                yield* steady(20, 0, 600, hour).requests(1);
                for (let at = 600; at < hour - 200; at += 5) {
                    yield { at, promptTokens: 200, answerTokens: 3000, commonTokens: 0 };
                }
            },
        };
        const cut = simulateFleet(world(), bursts, targets, 1);
        const drained = simulateFleet(world({ drainSeconds: Infinity }), bursts, targets, 1);
        const halfway = simulateFleet(world({ drainSeconds: 10 }), bursts, targets, 1);
        expect(cut.lost).toBeGreaterThan(0);
        expect(drained.lost).toBe(0);
        expect(halfway.lost).toBeGreaterThan(0);
        expect(halfway.lost).toBeLessThan(cut.lost);
        expect(drained.firstToken.count).toBe(drained.requests);
        // What is answered to the end is paid to the end.
        expect(drained.replicaSeconds).toBeGreaterThan(cut.replicaSeconds);
    });

    it("without a free GPU it waits for one, and is not billed meanwhile", () => {
        const load = steady(25, 1000, 2500, hour);
        const atOnce = simulateFleet(world(), load, targets, 1);
        const later = simulateFleet(world({ noGpu: { chance: 0.9, retry: 300 } }), load, targets, 1);
        const served = ({ intervals }: typeof later): number => intervals.reduce((sum, one) => sum + one.serving, 0);
        expect(served(later)).toBeLessThan(served(atOnce));
        expect(later.replicaSeconds).toBeLessThan(atOnce.replicaSeconds);
    });

    const sleepy = { ...world().scaling, replicasMin: 0 } as World["scaling"];
    /** A request at the beginning, and a few from one hour on. */
    const rare: Traffic = {
        ...steady(1, 0, 1, 3 * hour),
        *requests() {
            for (const at of [0, hour, hour + 100, hour + 500]) {
                yield { at, promptTokens: 200, answerTokens: 200, commonTokens: 0 };
            }
        },
    };

    it("sleeps after window and cooldown, and a request wakes it; those meanwhile are refused", () => {
        const { refused, wakeUps, within, replicaSeconds } = simulateFleet(
            world({ scaling: sleepy }),
            rare,
            targets,
            1,
        );
        // Two in the 300 s of the boot; the one after it is answered.
        expect({ refused, wakeUps, within }).toEqual({ refused: 2, wakeUps: 1, within: 2 });
        // Idle for 600 s; then the boot, and 600 s more: an answer between two looks of the autoscaler is none to it.
        expect(replicaSeconds).toBeGreaterThanOrEqual(600 + 300 + 600 - 15);
        expect(replicaSeconds).toBeLessThanOrEqual(600 + 300 + 600 + 15);
    });

    it("or they are held, and answered late", () => {
        const held = simulateFleet(world({ scaling: sleepy, asleep: "held" }), rare, targets, 1);
        expect(held).toMatchObject({ refused: 0, wakeUps: 1, requests: 4, within: 2 });
        expect(held.firstToken.count).toBe(4);
        // The first waits for the boot, the second for what is left of it.
        expect(held.firstToken.quantile(1) / 300).toBeCloseTo(1, 1);
        expect(held.firstToken.quantile(0.7) / 200).toBeCloseTo(1, 1);
        // One that never comes up again has them wait in vain.
        const never = world({ scaling: sleepy, asleep: "held", boot: { median: 9 * hour, spread: 0 } });
        expect(simulateFleet(never, rare, targets, 1)).toMatchObject({ refused: 3, within: 1 });
    });

    it("has the replicas of its schedule, and sleeps outside of it", () => {
        const entry = { days: "mon", from: "01:00", to: "02:00", timeZone: "UTC", min: 2, max: 3 } as const;
        const scaling = { ...sleepy, schedule: [entry] } as World["scaling"];
        const { intervals } = simulateFleet(world({ scaling }), steady(0, 0, 0, 4 * hour), targets, 1);
        const wanted = intervals.map((one) => one.wanted);
        expect(wanted.slice(3, 11)).toEqual(Array(8).fill(0));
        expect(wanted.slice(11, 23)).toEqual(Array(12).fill(2));
        expect(wanted.at(-1)).toBe(0);
        expect(intervals[12].serving).toBe(2);
        // The next day has none.
        const tuesday = { ...steady(0, 0, 0, 4 * hour), begins: 24 * hour };
        expect(
            Math.max(...simulateFleet(world({ scaling }), tuesday, targets, 1).intervals.map((one) => one.wanted)),
        ).toBe(1);
    });

    it("what a replica has seen before it does not compute again", () => {
        const alike = steady(2, 0, 600, 600, {
            promptTokens: 2000,
            answerTokens: 20,
            blocks: undefined,
            commonTokens: 1600,
        });
        const found = simulateFleet(world(), alike, targets, 1);
        const computed = simulateFleet(world({ prefixCaching: false }), alike, targets, 1);
        expect(found.firstToken.quantile(0.5)).toBeLessThan(0.5 * computed.firstToken.quantile(0.5));
        const blocks = Array.from({ length: 100 }, (_, i) => i);
        const shared = steady(2, 0, 600, 600, { promptTokens: 2000, answerTokens: 20, blocks });
        const byBlocks = simulateFleet(world(), shared, targets, 1);
        expect(byBlocks.firstToken.quantile(0.5)).toBeCloseTo(found.firstToken.quantile(0.5), 3);
    });

    it("is the same for the same seed, and gives up at its limits", () => {
        const load = steady(30, 0, hour, hour);
        const spread = world({ boot: { median: 300, spread: 0.5 } });
        const [one, two, other] = [7, 7, 8].map((seed) => simulateFleet(spread, load, targets, seed));
        expect(one.replicaSeconds).toBe(two.replicaSeconds);
        expect(one.within).toBe(two.within);
        expect(other.firstToken.quantile(0.99)).not.toBe(one.firstToken.quantile(0.99));
        const limits = { late: Infinity, replicaSeconds: 0.5 * one.replicaSeconds };
        expect(simulateFleet(spread, load, targets, 7, limits).givenUp).toBe(true);
        expect(one.givenUp).toBe(false);
    });
});

it("a number for the whole app drives the scaling as a metric of each replica does, whatever is told of those that boot", () => {
    const seen: [serving: number, wanted: number][] = [];
    const load = steady(1, 0, 1800, 1800);
    const { scaling } = world();
    const three = (serving: readonly object[], wanted: number): number => {
        seen.push([serving.length, wanted]);
        // So that the number times the replicas that serve, over the target of 10, is three.
        return 30 / serving.length;
    };
    const { intervals } = simulateFleet(
        world({ scaling: { ...scaling, metric: three } as World["scaling"] }),
        load,
        targets,
        1,
    );
    expect(new Set(intervals.map(({ wanted }) => wanted))).toEqual(new Set([3]));
    expect(seen).toContainEqual([1, 3]);
    expect(seen.at(-1)).toEqual([3, 3]);
});

it("a histogram tells the share above a value, which is that of its quantiles", () => {
    const histogram = new Histogram();
    for (let i = 1; i <= 1000; i++) histogram.add(i / 100);
    for (const share of [0.5, 0.1, 0.01]) {
        expect(histogram.shareAbove(histogram.quantile(1 - share))).toBeCloseTo(share, 1);
    }
    expect(histogram.shareAbove(0)).toBe(1);
    expect(histogram.shareAbove(100)).toBe(0);
});
