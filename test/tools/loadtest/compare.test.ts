import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeBlocks } from "../../../tools/loadtest/blocks";
import { compareBlocks, compareFiles } from "../../../tools/loadtest/compare";
import { exponential, randomOf } from "../../../tools/random";
import type { Outcome } from "../../../tools/loadtest/outcome";

/** A run of 60 s whose latencies are a queue's: what one request waits, the next waits too. `slower` stretches its times. */
function blocksOf(seed: number, slower = 1) {
    const random = randomOf("run", seed);
    const outcomes: Outcome[] = [];
    let queue = 0;
    for (let t = 0; t < 60;) {
        const gap = exponential(random) / 40;
        t += gap;
        queue = Math.max(0, queue - gap) + (exponential(random) / 40) * 0.6;
        const seconds = (0.2 + queue + 0.05 * random()) * slower;
        outcomes.push({
            worker: 0,
            phase: 0,
            lengthClass: "short",
            start: t - seconds,
            end: t,
            seconds,
            ttft: seconds / 4,
            tpot: seconds / 100,
            scheduleDelay: 0,
            connectSeconds: 0,
            promptTokens: 10,
            outputTokens: 100,
        });
    }
    return makeBlocks(outcomes, [{ from: 0, to: 60 }]);
}

describe("comparing two runs", () => {
    it("finds a change of a tenth, on the right side", () => {
        const changes = compareBlocks(blocksOf(1), blocksOf(2, 1.2));
        const latency = changes.find(({ name }) => name === "latency p50")!;
        expect(latency.significant).toBe(true);
        expect(latency.ratio).toBeGreaterThan(1.1);
        expect(latency.interval.from).toBeGreaterThan(1);
        expect(latency.interval.to).toBeGreaterThan(latency.ratio * 0.99);
    });

    it("takes noise for noise, nearly always", () => {
        const pairs = Array.from({ length: 10 }, (_, i) => compareBlocks(blocksOf(2 * i), blocksOf(2 * i + 1)));
        const found = pairs.flat();
        const wrong = found.filter(({ significant }) => significant);
        // 5 % are to be wrong; measures of one pair go together.
        expect(wrong.length / found.length).toBeLessThan(0.25);
    });

    it("gives the same answer again", () => {
        const [one, other] = [blocksOf(1), blocksOf(2)];
        expect(compareBlocks(one, other)).toEqual(compareBlocks(one, other));
    });

    it("of other models, or of a run that was ended early, says so", () => {
        const folder = mkdtempSync(join(tmpdir(), "compare-"));
        const [a, b] = ["a.json", "b.json"].map((name) => join(folder, name));
        const report = (seed: number, model: string, stopped?: string) =>
            JSON.stringify({
                ...{ blocks: blocksOf(seed), settings: {}, requests: { total: 9, errors: 0 }, valid: true },
                ...{ target: { model }, stopped },
            });
        writeFileSync(a, report(1, "one"));
        writeFileSync(b, report(2, "other", "interrupted by Ctrl-C"));
        const said = compareFiles([a, b]);
        expect(said).toContain("Not the same model: it was one, is other.");
        expect(said).toContain(`Ended early: ${b} (interrupted by Ctrl-C).`);
        expect(compareFiles([a, a])).not.toMatch(/Not the same|Ended early/);
    });

    it("refuses what is too short", () => {
        expect(() => compareBlocks(blocksOf(1).slice(0, 3), blocksOf(2))).toThrow(/let it go on longer/);
    });
});
