import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { barChart, timeAxis } from "../../../tools/loadtest/chart";
import type { Outcome } from "../../../tools/loadtest/outcome";
import { timeline } from "../../../tools/loadtest/report";

function outcome(start: number, seconds: number, more: Partial<Outcome> = {}): Outcome {
    return {
        worker: 0,
        phase: 0,
        lengthClass: "short",
        connectSeconds: 0,
        start,
        seconds,
        end: start + seconds,
        ttft: seconds / 10,
        promptTokens: 10,
        outputTokens: 100,
        scheduleDelay: 0,
        ...more,
    };
}

describe("timeline", () => {
    it("loses no outcome and no token", () => {
        const one = fc.record({ start: fc.double({ min: 0, max: 500, noNaN: true }), failed: fc.boolean() });
        fc.assert(
            fc.property(fc.array(one, { minLength: 1, maxLength: 100 }), (all) => {
                const failure = { kind: "HTTP 503", detail: "" };
                const outcomes = all.map(({ start, failed }) => outcome(start, 2, failed ? { failure } : {}));
                const wall = Math.max(...outcomes.map(({ end }) => end));
                const buckets = timeline(outcomes, [], wall);
                const width = buckets.length > 1 ? buckets[1].t : 1;
                const sum = (value: (bucket: (typeof buckets)[number]) => number): number =>
                    buckets.reduce((total, bucket) => total + value(bucket), 0);
                const failed = all.filter((one) => one.failed).length;
                expect(sum(({ errors }) => errors)).toBe(failed);
                expect(sum(({ ok }) => ok)).toBe(all.length - failed);
                expect(sum((b) => b.outputTokensPerSecond) * width).toBeCloseTo(100 * (all.length - failed), 3);
            }),
        );
    });

    it("has a bucket for times in which nothing ended, and the replicas of each", () => {
        const buckets = timeline(
            [outcome(0, 1), outcome(0, 5)],
            [
                { t: 0, ready: 1 },
                { t: 3.5, ready: 2 },
            ],
            5,
        );
        expect(buckets.map(({ ok }) => ok)).toEqual([0, 1, 0, 0, 0, 1]);
        expect(buckets.map(({ replicas }) => replicas)).toEqual([1, 1, 1, 2, 2, 2]);
        expect(buckets[3].latencyP50).toBeUndefined();
        expect(buckets[5].latencyP50).toBe(5);
    });
});

describe("chart", () => {
    it("is drawn from zero, with gaps where nothing is known", () => {
        const chart = barChart({ title: "x", values: [1, undefined, 4], height: 2, format: String });
        expect(chart).toBe(["          x", "        4 │  █", "        0 │▄ █"].join("\n"));
        expect(timeAxis(21, 5).split("\n")[1]).toBe("           0 s       50 s      100 s");
    });

    it("is empty without a value, and shows the smallest", () => {
        expect(barChart({ title: "x", values: [undefined], height: 2, format: String })).toBe("");
        expect(barChart({ title: "x", values: [0.001, 100], height: 3, format: String })).toContain("▁");
    });
});
