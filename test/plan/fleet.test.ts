import { describe, expect, it } from "vitest";
import { simulateFleet, type World } from "../../plan/fleet";
import type { Request, Traffic } from "../../plan/traffic";
import { ministral14bOnH100 as profile } from "../../sandbox/vllm/profiles";

const targets = { timeToFirstToken: 1, interTokenLatency: 0.05 };
const hour = 3600;

const world = (more: Partial<World> = {}): World => ({
    engine: { ...profile.defaults, blockSize: 16, numBlocks: 10_000, step: { ...profile.step, spread: 0 } },
    prefixCaching: true,
    requestOverhead: 0,
    boot: { median: 300, spread: 0 },
    noGpu: { chance: 0, retry: 60 },
    scaleDown: "lost",
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
        blockTokens: 16,
        *requests() {
            for (let i = 0; i < (to - from) * perSecond; i++) {
                yield { at: from + i / perSecond, promptTokens: 200, answerTokens: 200, commonTokens: 0, ...more };
            }
        },
    };
}

describe("the replicas of an app in virtual time", () => {
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
        const drained = simulateFleet(world({ scaleDown: "drained" }), bursts, targets, 1);
        expect(cut.lost).toBeGreaterThan(0);
        expect(drained.lost).toBe(0);
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
