import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bucketSeconds, countEach, quantile, Samples, summarize } from "../../../tools/loadtest/statistics";

const values = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 200 });

/** The value that has `rank` values below it, found by counting. */
function byRank(all: number[], rank: number): number {
    return all.find((value) => {
        const below = all.filter((other) => other < value).length;
        const equal = all.filter((other) => other === value).length;
        return below <= rank && rank < below + equal;
    })!;
}

describe("quantile", () => {
    it("is what counting gives at every rank, and lies on the line in between", () => {
        fc.assert(
            fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (all, q) => {
                const sorted = Float64Array.from(all).sort();
                const rank = q * (all.length - 1);
                const low = byRank(all, Math.floor(rank));
                const high = byRank(all, Math.ceil(rank));
                const share = rank - Math.floor(rank);
                expect(quantile(sorted, q)).toBeCloseTo(low * (1 - share) + high * share, 6);
            }),
        );
    });

    it("agrees with numpy.percentile([1, 2, 3, 4, 10], [0, 50, 95, 99, 100])", () => {
        const five = [1, 2, 3, 4, 10];
        expect([0, 0.5, 0.95, 0.99, 1].map((q) => Number(quantile(five, q).toFixed(9)))).toEqual([1, 3, 8.8, 9.76, 10]);
    });
});

describe("summarize", () => {
    it("does not depend on the order, and its figures are in order", () => {
        fc.assert(
            fc.property(values, (all) => {
                const samples = new Samples();
                for (const value of [...all].reverse()) samples.push(value);
                const summary = summarize(all)!;
                const { mean: _, ...exact } = summary;
                expect(summarize(samples)).toMatchObject(exact);
                const { min, p50, p95, p99, max, mean } = summary;
                expect([min, p50, p95, p99, max]).toEqual([min, p50, p95, p99, max].sort((a, b) => a - b));
                expect(min).toBe(Math.min(...all));
                expect(max).toBe(Math.max(...all));
                expect(mean).toBeCloseTo(
                    all.reduce((sum, value) => sum + value / all.length, 0),
                    3,
                );
            }),
        );
    });

    it("is null when there is nothing", () => {
        expect(summarize([])).toBeNull();
        expect(summarize(new Samples())).toBeNull();
    });

    it("keeps every one of many samples", () => {
        const samples = new Samples();
        for (let i = 0; i < 10_000; i++) samples.push(i);
        expect(samples.length).toBe(10_000);
        expect(summarize(samples)).toMatchObject({ min: 0, max: 9999, mean: 4999.5, p50: 4999.5 });
    });
});

it("counts texts, the most frequent first", () => {
    expect(Object.entries(countEach(["b", "a", "a", "c", "a", "b"]))).toEqual([
        ["a", 3],
        ["b", 2],
        ["c", 1],
    ]);
});

it("buckets are of a round width and no more than asked for", () => {
    fc.assert(
        fc.property(fc.double({ min: 0.1, max: 1e6, noNaN: true }), (wall) => {
            expect(Math.ceil(wall / bucketSeconds(wall, 60))).toBeLessThanOrEqual(60);
        }),
    );
    expect(bucketSeconds(250, 60)).toBe(5);
});
