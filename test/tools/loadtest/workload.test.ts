import { describe, expect, it } from "vitest";
import { drawPrompt, prompts } from "../../../tools/loadtest/workload";

describe("prompts", () => {
    it("are three short of weight 2, two medium of weight 4, one long of weight 6", () => {
        const lengths = prompts.map(({ length, weight }) => `${length} ${weight}`);
        expect(lengths).toEqual(["short 2", "short 2", "short 2", "medium 4", "medium 4", "long 6"]);
        expect(new Set(prompts.map(({ text }) => text)).size).toBe(6);
        const longest = (length: string): number[] =>
            prompts.filter((prompt) => prompt.length === length).map(({ text }) => text.length);
        expect(Math.max(...longest("short"))).toBeLessThan(Math.min(...longest("medium")));
        expect(Math.max(...longest("medium"))).toBeLessThan(Math.min(...longest("long")));
    });

    it("are drawn as often as their weights say", () => {
        const draws = 20_000;
        const counts = new Map<string, number>();
        for (let i = 0; i < draws; i++) {
            const { text } = drawPrompt(7, i % 500, Math.floor(i / 500));
            counts.set(text, (counts.get(text) ?? 0) + 1);
        }
        for (const { text, weight } of prompts) {
            const share = weight / 20;
            // Five standard deviations of a binomial.
            const slack = 5 * Math.sqrt((share * (1 - share)) / draws);
            expect(Math.abs((counts.get(text) ?? 0) / draws - share)).toBeLessThan(slack);
        }
    });

    it("are the same for the same seed, and others for another", () => {
        const draw = (seed: number): string[] =>
            Array.from({ length: 50 }, (_, request) => drawPrompt(seed, 3, request).text);
        expect(draw(1)).toEqual(draw(1));
        expect(draw(1)).not.toEqual(draw(2));
    });
});
