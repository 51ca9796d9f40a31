import { describe, expect, it } from "vitest";
import { inColumns, replay, shaped, weekOf, type Traffic } from "../../plan/traffic";

const all = (traffic: Traffic, seed = 1) => Array.from(traffic.requests(seed), (request) => ({ ...request }));

describe("a recorded trace", () => {
    it("is handed out as it was recorded", () => {
        const trace = inColumns("folder/one.jsonl", [
            { t: 0, inputTokens: 1024, outputTokens: 5, blocks: [0, 1] },
            { t: 2.5, inputTokens: 1500, outputTokens: 7, blocks: [0, 1, 2] },
        ]);
        expect(trace.name).toBe("one.jsonl");
        expect(all(replay(trace))).toEqual([
            { at: 0, promptTokens: 1024, answerTokens: 5, blocks: [0, 1], commonTokens: 0 },
            { at: 2.5, promptTokens: 1500, answerTokens: 7, blocks: [0, 1, 2], commonTokens: 0 },
        ]);
    });

    it("is repeated, and multiplied on average", () => {
        const requests = Array.from({ length: 1000 }, (_, t) => ({ t, inputTokens: 10, outputTokens: 20 }));
        const trace = inColumns("many.csv", requests);
        expect(all(replay(trace, { seconds: 5000 }))).toHaveLength(5000);
        const more = all(replay(trace, { scale: 2.5, seconds: 10_000 }));
        expect(more.length / 25_000).toBeCloseTo(1, 1);
        expect(more.every(({ at }, i) => i === 0 || at >= more[i - 1].at)).toBe(true);
        expect(all(replay(trace, { scale: 0.1 })).length).toBeGreaterThan(50);
    });
});

describe("a shape", () => {
    it("comes earlier for people further east, by half hours as well", () => {
        const [here, east, india, west] = [0, -1, -5.5, 24].map((shift) => weekOf("office", { shift }));
        expect(here[8]).toBe(0.85);
        expect(east[7]).toBe(0.85);
        expect(india[3]).toBeCloseTo((0.85 + 1) / 2, 9);
        // Monday's first hours are Sunday evening further east.
        expect(east[167]).toBe(here[0]);
        expect(west[24 + 8]).toBe(here[8]);
        expect(west[8]).toBe(here[6 * 24 + 8]);
    });

    it("has its peak in working hours, its lengths on average, and little at night and at weekends", () => {
        const week = 7 * 86_400;
        const traffic = shaped({
            ...{ name: "office", peak: 1, week: weekOf("office"), seconds: week },
            ...{ promptTokens: 900, answerTokens: 250, prefix: 0.3 },
        });
        const office = all(traffic);
        const rate = (from: number): number => office.filter(({ at }) => at >= from && at < from + 3600).length / 3600;
        expect(rate(9.5 * 3600)).toBeCloseTo(1, 0);
        expect(rate(3 * 3600)).toBeLessThan(0.1);
        expect(rate(5 * 86_400 + 9.5 * 3600)).toBeLessThan(0.2);
        const mean = (of: (request: (typeof office)[number]) => number): number =>
            office.reduce((sum, request) => sum + of(request), 0) / office.length;
        expect(mean(({ promptTokens }) => promptTokens) / 900).toBeCloseTo(1, 1);
        expect(mean(({ answerTokens }) => answerTokens) / 250).toBeCloseTo(1, 1);
        // All begin with the same.
        expect(traffic.blockTokens).toBe(270);
        expect(office.every(({ blocks, promptTokens }) => blocks?.length === 1 && promptTokens > 270)).toBe(true);
    });
});
