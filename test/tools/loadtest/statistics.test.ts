import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
    bucketSeconds,
    countEach,
    Histogram,
    histogramEntries,
    quantile,
    Samples,
    summarize,
} from "../../../tools/loadtest/statistics";

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

describe("requests that got no answer", () => {
    it("count as longer than any other, and what falls among them is a least", () => {
        const answered = Array.from({ length: 90 }, (_, i) => i + 1);
        const summary = summarize(answered, 10, 200)!;
        expect(summary).toMatchObject({ p50: 50.5, p95: 200, p99: 200, max: 200, unknown: 10, mean: 45.5 });
        expect(summary.atLeast).toEqual(["max", "p95", "p99"]);
    });

    it("push the percentiles up as infinite values would", () => {
        fc.assert(
            fc.property(values, fc.integer({ min: 1, max: 50 }), (all, unknown) => {
                const sorted = [...all].sort((a, b) => a - b);
                const infinite = [...sorted, ...Array<number>(unknown).fill(Infinity)];
                const summary = summarize(all, unknown)!;
                for (const [name, q] of [
                    ["p50", 0.5],
                    ["p95", 0.95],
                ] as const) {
                    const expected = quantile(infinite, q);
                    if (Number.isFinite(expected)) expect(summary[name]).toBeCloseTo(expected, 6);
                    else expect(summary.atLeast).toContain(name);
                }
            }),
        );
    });
});

describe("a histogram", () => {
    const times = fc.array(fc.double({ min: 1e-6, max: 1000, noNaN: true }), { minLength: 1, maxLength: 300 });
    const of = (all: number[]): Histogram => {
        const histogram = new Histogram();
        for (const value of all) histogram.push(value);
        return histogram;
    };

    it("is wrong by a quarter of a percent at most, its mean and bounds not at all", () => {
        fc.assert(
            fc.property(times, (all) => {
                const summary = of(all).summary()!;
                const sorted = [...all].sort((a, b) => a - b);
                expect(summary.min).toBe(sorted[0]);
                expect(summary.max).toBe(sorted.at(-1));
                for (const [name, q] of [
                    ["p50", 0.5],
                    ["p99", 0.99],
                ] as const) {
                    const rank = sorted[Math.floor(q * (all.length - 1))];
                    expect(Math.abs(summary[name] - rank) / rank).toBeLessThan(0.0026);
                }
            }),
        );
    });

    it("of parts adds up to that of the whole, also as text", () => {
        fc.assert(
            fc.property(times, times, (one, other) => {
                const sum = of(one);
                sum.add(of(other).content);
                const { mean: _, ...whole } = of([...one, ...other]).summary()!;
                expect(sum.summary()).toMatchObject(whole);
                expect(sum.text()).toBe(of([...one, ...other]).text());
                const counts = histogramEntries(sum.text()).map(({ count }) => count);
                expect(counts.reduce((total, count) => total + count, 0)).toBe(one.length + other.length);
            }),
        );
    });
});
