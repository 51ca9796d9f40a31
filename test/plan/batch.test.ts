import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Batch, type BatchConfig } from "../../plan/batch";
import { Prefixes } from "../../plan/prefixes";
import { simulate } from "../../sandbox/vllm/virtual-time";
import { seededRandom } from "../../tools/random";

const step = { base: 0.01, prefillToken: 0.0001, decodeSequence: 0.0001, contextToken: 0.0000001, spread: 0 };

interface Request {
    prompt: number;
    answer: number;
    arrival: number;
    /** A number for each block. */
    prefix?: number[];
}

interface Served {
    firstToken: number;
    last: number;
}

function byEngine(config: BatchConfig, requests: Request[]) {
    const { finished, preemptions } = simulate(
        config,
        requests.map(({ prompt, answer, arrival, prefix = [] }, id) => ({
            id: String(id),
            promptTokens: prompt,
            promptBlocks: prefix.map(String),
            naturalTokens: answer,
            maxTokens: answer,
            arrival,
        })),
    );
    const served: Served[] = [];
    for (const { id, firstToken, last } of finished) served[Number(id)] = { firstToken, last };
    return { served, preemptions };
}

type More = Parameters<Batch["add"]>[4];

function byBatch(config: BatchConfig, requests: Request[], more: (request: Request) => More = () => undefined) {
    const served: Served[] = [];
    const batch = new Batch(config, (request, _arrival, firstToken, last) => (served[request] = { firstToken, last }));
    requests.forEach((one, id) => batch.add(one.arrival, id, one.prompt, one.answer, more(one)));
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

    /** A full cache, and a third of the prompts with one of four beginnings of 8 blocks. */
    function sharing(seed: number): (Request & { prefix: number[] })[] {
        const random = seededRandom(seed);
        const upTo = (most: number): number => Math.floor(most * random());
        let [arrival, next] = [0, 100];
        return Array.from({ length: 200 }, () => {
            arrival += 0.1 * random();
            const [prompt, kind] = [24 + upTo(376), upTo(12)];
            const common = kind < 4 ? Array.from({ length: 8 }, (_, i) => 8 * kind + i) : [];
            const whole = Math.floor(prompt / 16);
            const own = Array.from({ length: Math.max(0, whole - common.length) }, () => next++);
            return { prompt, answer: 16 + upTo(96), arrival, prefix: [...common.slice(0, whole), ...own] };
        });
    }

    it("prompts that begin alike, whose blocks are there once: nearly", () => {
        const limits = { maxNumSeqs: 16, maxNumBatchedTokens: 512, prefixCaching: true, blockSize: 16, numBlocks: 192 };
        const config = { ...limits, step };
        const total = { real: 0, ours: 0, preemptions: 0 };
        for (let seed = 1; seed <= 10; seed++) {
            const requests = sharing(seed);
            const real = byEngine(config, requests);
            const prefixes = new Prefixes(config.numBlocks - 1);
            const ours = byBatch({ ...config, prefixTokens: 16 }, requests, ({ prompt, prefix }) => {
                return { cached: 16 * Math.min(prefixes.look(prefix!), Math.floor((prompt - 1) / 16)), prefix };
            });
            const mean = (served: Served[]): number =>
                served.reduce((sum, { last }, id) => sum + last - requests[id].arrival, 0) / served.length;
            // The order in which unused blocks are forgotten is not the same.
            expect(Math.abs(mean(ours.served) / mean(real.served) - 1)).toBeLessThan(0.05);
            total.real += mean(real.served);
            total.ours += mean(ours.served);
            total.preemptions += real.preemptions;
        }
        expect(total.preemptions).toBeGreaterThan(100);
        expect(Math.abs(total.ours / total.real - 1)).toBeLessThan(0.01);
    });

    it("a prefix that two hold is there once, until both have gone", () => {
        const config = { maxNumSeqs: 8, maxNumBatchedTokens: 512, prefixCaching: true, blockSize: 16, numBlocks: 101 };
        const batch = new Batch({ ...config, prefixTokens: 160, step }, () => undefined);
        batch.add(0, 1, 165, 20, { prefix: [7] });
        batch.advance(0.05);
        expect(batch.kvCacheUsage).toBeCloseTo(0.11, 5);
        batch.add(0.05, 2, 165, 40, { prefix: [7], cached: 160 });
        batch.advance(0.1);
        expect(batch.kvCacheUsage).toBeCloseTo(0.12, 5);
        batch.advance(0.3);
        expect(batch).toMatchObject({ running: 1 });
        expect(batch.kvCacheUsage).toBeCloseTo(0.12, 5);
        batch.advance(Infinity);
        expect(batch.kvCacheUsage).toBe(0);
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
