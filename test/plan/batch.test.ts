import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Batch, type BatchConfig } from "../../plan/batch";
import { simulate } from "../../sandbox/vllm/virtual-time";

const step = { base: 0.01, prefillToken: 0.0001, decodeSequence: 0.0001, contextToken: 0.0000001, spread: 0 };

interface Request {
    prompt: number;
    answer: number;
    arrival: number;
}

interface Served {
    firstToken: number;
    last: number;
}

function byEngine(config: BatchConfig, requests: Request[]) {
    const { finished, preemptions } = simulate(
        config,
        requests.map(({ prompt, answer, arrival }, id) => ({
            id: String(id),
            promptTokens: prompt,
            promptBlocks: [],
            naturalTokens: answer,
            maxTokens: answer,
            arrival,
        })),
    );
    const served: Served[] = [];
    for (const { id, firstToken, last } of finished) served[Number(id)] = { firstToken, last };
    return { served, preemptions };
}

function byBatch(config: BatchConfig, requests: Request[]) {
    const served: Served[] = [];
    const batch = new Batch(config, (request, _arrival, firstToken, last) => (served[request] = { firstToken, last }));
    requests.forEach(({ prompt, answer, arrival }, id) => batch.add(arrival, id, prompt, answer));
    batch.advance(Infinity);
    expect(batch).toMatchObject({ running: 0, waiting: 0, inside: 0, kvCacheUsage: 0 });
    return { served, preemptions: batch.preemptions };
}

describe("the planner's engine is the simulation's, request by request", () => {
    it("whatever the limits and the requests", () => {
        const anyConfig = fc.record({
            maxNumSeqs: fc.integer({ min: 1, max: 8 }),
            // Then one that was preempted finds what is left of its blocks.
            prefixCaching: fc.boolean(),
            maxNumBatchedTokens: fc.integer({ min: 8, max: 64 }),
            blockSize: fc.constantFrom(1, 4, 16),
            blocks: fc.integer({ min: 0, max: 60 }),
        });
        const anyRequests = fc.array(
            fc.record({
                prompt: fc.integer({ min: 1, max: 60 }),
                answer: fc.integer({ min: 1, max: 60 }),
                gap: fc.double({ min: 0, max: 0.3, noNaN: true }),
            }),
            { minLength: 1, maxLength: 40 },
        );
        let preemptions = 0;
        fc.assert(
            fc.property(anyConfig, anyRequests, ({ blocks, ...limits }, gaps) => {
                const most = Math.max(...gaps.map(({ prompt, answer }) => prompt + answer));
                const numBlocks = 1 + Math.ceil(most / limits.blockSize) + Math.floor(blocks / limits.blockSize);
                const config = { ...limits, numBlocks, step };
                let arrival = 0;
                const requests = gaps.map(({ gap, ...rest }) => ({ ...rest, arrival: (arrival += gap) }));
                const real = byEngine(config, requests);
                const ours = byBatch(config, requests);
                preemptions += real.preemptions;
                expect(ours.preemptions).toBe(real.preemptions);
                real.served.forEach(({ firstToken, last }, id) => {
                    expect(ours.served[id].firstToken).toBeCloseTo(firstToken, 8);
                    expect(ours.served[id].last).toBeCloseTo(last, 8);
                });
            }),
            { numRuns: 2000 },
        );
        expect(preemptions).toBeGreaterThan(1000);
    });

    it("answers longer than the buckets were made for", () => {
        const limits = { maxNumSeqs: 8, maxNumBatchedTokens: 512, blockSize: 16, numBlocks: 2000 };
        const config = { ...limits, prefixCaching: false, step };
        const answers = [3000, 10, 5000, 900, 1, 9000];
        const requests = answers.map((answer, i) => ({ prompt: 10, answer, arrival: i * 5 }));
        const real = byEngine(config, requests);
        byBatch(config, requests).served.forEach(({ last }, id) => expect(last).toBeCloseTo(real.served[id].last, 6));
    });
});
