import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Serving } from "../../../sandbox/vllm/serving";

const engine = {
    maxNumSeqs: 2,
    maxNumBatchedTokens: 2048,
    prefixCaching: true,
    blockSize: 16,
    numBlocks: 10_000,
    step: { base: 0.1, prefillToken: 0, decodeSequence: 0, contextToken: 0, spread: 0 },
};

describe("lines of statistics", () => {
    beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
    afterEach(() => void vi.useRealTimers());

    it("come every ten seconds, and once more when all that ran was aborted; then it is silent", async () => {
        const lines: string[] = [];
        const serving = new Serving({ engine, log: (line) => lines.push(line) });
        const aborts = [1, 2, 3].map(() => {
            const answer = { naturalTokens: [Infinity], maxTokens: 100_000 };
            const prompt = { promptTokens: 160, promptBlocks: [] };
            return serving.submit(
                { ...prompt, ...answer, arrival: serving.now() },
                { tokens: () => undefined, died: () => undefined },
            );
        });
        await vi.advanceTimersByTimeAsync(10_050);
        expect(lines).toHaveLength(1);
        expect(lines[0]).toMatch(/Running: 2 reqs, Waiting: 1 reqs, GPU KV cache usage: 0.[1-9]%/);
        expect(lines[0]).toContain("Avg prompt throughput: 32.0 tokens/s");
        for (const abort of aborts) abort();
        await vi.advanceTimersByTimeAsync(10_000);
        expect(lines).toHaveLength(2);
        expect(lines[1]).toContain("Running: 0 reqs, Waiting: 0 reqs, GPU KV cache usage: 0.0%");
        await vi.advanceTimersByTimeAsync(60_000);
        expect(lines.slice(2).every((line) => line.includes("generation throughput: 0.0"))).toBe(true);
        expect(lines.length).toBeLessThanOrEqual(3);
        serving.close();
    });
});
