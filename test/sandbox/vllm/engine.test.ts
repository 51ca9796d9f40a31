import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Engine, type EngineConfig, type NewRequest, type Sequence } from "../../../sandbox/vllm/engine";
import { Serving } from "../../../sandbox/vllm/serving";
import { simulate, poissonTraffic, type Finished } from "../../../sandbox/vllm/virtual-time";
import { seededRandom } from "../../../tools/random";
import { kvBlocks, ministral14bOnH100, ministral14bOnL4 } from "../../../sandbox/vllm/profiles";

const step = { base: 0.01, prefillToken: 0.0001, decodeSequence: 0.0001, contextToken: 0.0000001, spread: 0 };
const config: EngineConfig = {
    maxNumSeqs: 4,
    maxNumBatchedTokens: 64,
    prefixCaching: true,
    blockSize: 4,
    numBlocks: 1 + 64,
    step,
};

let serial = 0;
function request(more: Partial<NewRequest> = {}): NewRequest {
    return {
        id: String(++serial),
        promptTokens: 8,
        promptBlocks: [],
        naturalTokens: 5,
        maxTokens: 100,
        arrival: 0,
        ...more,
    };
}

/** Blocks of a prompt that begins as every prompt of this family, and is its own after so many blocks. */
const blocksOf = (family: number, id: number, whole: number, common: number): string[] =>
    Array.from({ length: whole }, (_, i) => (i < common ? `${family}/${i}` : `${family}/${id}/${i}`));

const anyConfig = fc.record({
    maxNumSeqs: fc.integer({ min: 1, max: 8 }),
    maxNumBatchedTokens: fc.integer({ min: 8, max: 64 }),
    prefixCaching: fc.boolean(),
    blockSize: fc.constantFrom(1, 4, 16),
    numBlocks: fc.integer({ min: 20, max: 80 }),
    step: fc.constant(step),
});
const anyRequests = fc.array(
    fc.record({
        promptTokens: fc.integer({ min: 1, max: 60 }),
        family: fc.integer({ min: 0, max: 2 }),
        common: fc.integer({ min: 0, max: 8 }),
        naturalTokens: fc.integer({ min: 1, max: 60 }),
        maxTokens: fc.integer({ min: 1, max: 60 }),
        /** Steps after the request before. */
        gap: fc.integer({ min: 0, max: 3 }),
        /** Aborted at this step after it came, if that comes. */
        abortAfter: fc.option(fc.integer({ min: 0, max: 40 }), { nil: undefined, freq: 4 }),
    }),
    { minLength: 1, maxLength: 25 },
);

describe("laws, whatever the requests", () => {
    it("tokens are conserved, limits hold, nothing is lost, every block comes back", () => {
        fc.assert(
            fc.property(anyConfig, anyRequests, (anyOf, specs) => {
                const engine = new Engine(anyOf);
                const usable = anyOf.numBlocks - 1;
                const wanted = specs
                    .map((spec, i) => ({
                        ...request({
                            id: String(i),
                            ...spec,
                            promptBlocks: blocksOf(
                                spec.family,
                                i,
                                Math.floor(spec.promptTokens / anyOf.blockSize),
                                spec.common,
                            ),
                        }),
                        abortAfter: spec.abortAfter,
                        gap: spec.gap,
                    }))
                    .filter((one) => {
                        const most = one.promptTokens + Math.min(one.naturalTokens, one.maxTokens);
                        return most <= engine.capacityTokens;
                    });
                const ended = new Map<string, { tokens: number; reason: string; sequence: Sequence }>();
                const aborted = new Set<string>();
                const steps = new Map<string, number>();
                const said = new Map<string, number>();
                let now = 0;
                let next = 0;
                let prefill = 0;
                let round = 0;
                let arrivedIn = 0;
                while (next < wanted.length || !engine.idle) {
                    expect(++round).toBeLessThan(100_000); // it makes progress
                    for (; next < wanted.length && arrivedIn + wanted[next].gap <= round; next++) {
                        arrivedIn = round;
                        engine.add({ ...wanted[next], arrival: now });
                        steps.set(wanted[next].id, 0);
                    }
                    for (const [id, count] of steps) {
                        if (wanted.find((one) => one.id === id)!.abortAfter === count && !ended.has(id)) {
                            engine.abort(id);
                            aborted.add(id);
                            steps.delete(id);
                        } else steps.set(id, count + 1);
                    }
                    const seconds = engine.beginStep(now);
                    if (seconds === undefined) continue;
                    expect(engine.running.length).toBeLessThanOrEqual(anyOf.maxNumSeqs);
                    expect(engine.kvCacheUsage).toBeLessThanOrEqual(1);
                    const held = new Set(engine.running.flatMap(({ blocks }) => blocks)).size;
                    expect(held).toBe(Math.round(engine.kvCacheUsage * usable)); // blocks are conserved
                    for (const sequence of engine.running) {
                        const room = sequence.blocks.length * anyOf.blockSize;
                        expect(room).toBeGreaterThanOrEqual(sequence.computed);
                    }
                    expect(seconds).toBeGreaterThanOrEqual(step.base);
                    now += seconds;
                    const result = engine.endStep(now);
                    expect(result.prefillTokens + result.decoded).toBeLessThanOrEqual(anyOf.maxNumBatchedTokens);
                    prefill += result.prefillTokens;
                    for (const { sequence, finished, sinceLast } of result.outputs) {
                        const tokens = (said.get(sequence.id) ?? 0) + 1;
                        said.set(sequence.id, tokens);
                        expect(sequence.generated).toBe(tokens);
                        expect(sinceLast === undefined).toBe(tokens === 1);
                        expect(aborted.has(sequence.id)).toBe(false);
                        expect(ended.has(sequence.id)).toBe(false);
                        if (finished) ended.set(sequence.id, { tokens, reason: finished, sequence });
                    }
                }
                let needed = 0;
                for (const one of wanted) {
                    const end = ended.get(one.id);
                    if (aborted.has(one.id)) {
                        expect(end === undefined || one.abortAfter !== undefined).toBe(true);
                        continue;
                    }
                    expect(end).toBeDefined();
                    expect(end!.tokens).toBe(Math.min(one.naturalTokens, one.maxTokens));
                    expect(end!.reason).toBe(one.naturalTokens <= one.maxTokens ? "stop" : "length");
                    const { scheduledAt, firstTokenAt, lastTokenAt, arrival, cachedTokens } = end!.sequence;
                    expect(scheduledAt).toBeGreaterThanOrEqual(arrival);
                    expect(firstTokenAt).toBeGreaterThan(scheduledAt!);
                    expect(lastTokenAt).toBeGreaterThanOrEqual(firstTokenAt!);
                    expect(cachedTokens).toBeLessThan(one.promptTokens);
                    needed += one.promptTokens - cachedTokens;
                }
                // What is computed is what was asked for; only a preemption throws work away.
                if (aborted.size === 0 && engine.totals.preemptions === 0) expect(prefill).toBe(needed);
                if (!anyOf.prefixCaching) expect(engine.totals.prefixHits).toBe(0);
                expect(engine.totals.prefixHits).toBeLessThanOrEqual(engine.totals.prefixQueries);
                expect(engine.kvCacheUsage).toBe(0);
            }),
            { numRuns: 300 },
        );
    });
});

describe("what it does", () => {
    const run = (engine: Engine, from = 0): { steps: number; now: number } => {
        let now = from;
        let steps = 0;
        for (let seconds; (seconds = engine.beginStep(now)) !== undefined; steps++) {
            now += seconds;
            engine.endStep(now);
        }
        return { steps, now };
    };

    it("prefills in chunks of the token budget, then decodes a token a step", () => {
        const engine = new Engine({ ...config, numBlocks: 200 });
        engine.add(request({ promptTokens: 200, naturalTokens: 3 }));
        expect(run(engine).steps).toBe(4 + 2); // 64 + 64 + 64 + 8, and the first token comes with the last chunk
    });

    it("mixes decoding and prefill in one step, decoding first", () => {
        const engine = new Engine(config);
        engine.add(request({ naturalTokens: 10 }));
        engine.beginStep(0);
        engine.endStep(1);
        engine.add(request({ promptTokens: 100 }));
        engine.beginStep(1);
        expect(engine.endStep(2)).toMatchObject({ decoded: 1, prefillTokens: 63 });
    });

    it("computes a prefix that another request has computed only once", () => {
        const engine = new Engine({ ...config, numBlocks: 200 });
        const first = engine.add(request({ promptTokens: 42, promptBlocks: blocksOf(0, 1, 10, 8) }));
        run(engine);
        const second = engine.add(request({ promptTokens: 42, promptBlocks: blocksOf(0, 2, 10, 8) }));
        run(engine);
        expect([first.cachedTokens, second.cachedTokens]).toEqual([0, 32]);
        expect(engine.totals).toMatchObject({ prefixQueries: 84, prefixHits: 32 });
    });

    it("always computes the last token of a prompt that it knows whole", () => {
        const engine = new Engine(config);
        const all = { promptTokens: 16, promptBlocks: blocksOf(0, 0, 4, 4) };
        engine.add(request(all));
        run(engine);
        const again = engine.add(request(all));
        run(engine);
        expect(again.cachedTokens).toBe(12);
    });

    it("preempts the youngest when blocks run out, and computes it again", () => {
        const engine = new Engine({ ...config, numBlocks: 1 + 8 });
        const old = engine.add(request({ promptTokens: 12, naturalTokens: 12 }));
        const young = engine.add(request({ promptTokens: 12, naturalTokens: 12 }));
        run(engine);
        expect(engine.totals.preemptions).toBeGreaterThan(0);
        expect([old.preemptions, young.preemptions > 0]).toEqual([0, true]);
        expect(young.generated).toBe(12);
    });

    it("knows of what came during a step when the next one begins, as vLLM's queue length does", () => {
        const engine = new Engine({ ...config, maxNumSeqs: 1 });
        engine.add(request());
        engine.beginStep(0);
        engine.add(request({ id: "late" }));
        engine.add(request({ id: "gone" }));
        engine.abort("gone");
        engine.endStep(1);
        expect([engine.running.length, engine.waiting.length, engine.idle]).toEqual([1, 0, false]);
        engine.beginStep(1);
        expect(engine.waiting.map(({ id }) => id)).toEqual(["late"]);
    });

    it("is empty at once when all it has is aborted in the middle of a step", () => {
        const engine = new Engine(config);
        for (const id of ["a", "b", "c", "d", "e"]) engine.add(request({ id, promptTokens: 30 }));
        engine.beginStep(0);
        expect([engine.running.length, engine.waiting.length, engine.kvCacheUsage > 0]).toEqual([3, 2, true]);
        for (const id of ["a", "b", "c", "d", "e"]) engine.abort(id);
        expect([engine.running.length, engine.waiting.length, engine.kvCacheUsage]).toEqual([0, 0, 0]);
        expect(engine.endStep(1).outputs).toEqual([]);
        expect(engine.idle).toBe(true);
    });

    it("refuses what can never fit", () => {
        const engine = new Engine(config);
        expect(() => engine.add(request({ promptTokens: 250, naturalTokens: 7 }))).toThrow(RangeError);
        expect(() => engine.add(request({ maxTokens: 0 }))).toThrow(RangeError);
    });

    it("takes longer for a step the more it holds", () => {
        const lone = new Engine(config);
        lone.add(request({ promptTokens: 8 }));
        const both = new Engine(config);
        both.add(request({ promptTokens: 8 }));
        both.add(request({ promptTokens: 8 }));
        expect(both.beginStep(0)).toBeGreaterThan(lone.beginStep(0)!);
    });
});

describe("on the wall clock", () => {
    const completion = { promptTokens: 8, promptBlocks: [], naturalTokens: [3], maxTokens: 10, arrival: 0 };
    const fast = { ...step, base: 0.001, prefillToken: 0 };

    it("the engine gets a request after the API server's share of its time, and one aborted before that never", async () => {
        const serving = new Serving({ engine: { ...config, step: fast }, requestOverhead: 0.02, log: () => undefined });
        const heard: string[] = [];
        const submit = (name: string): Promise<() => void> =>
            new Promise((resolve) => {
                const abort = serving.submit(completion, {
                    tokens: (_, count, finished) => {
                        heard.push(`${name} ${count}`);
                        if (finished) resolve(abort);
                    },
                    died: () => undefined,
                });
                if (name === "aborted") resolve(abort);
            });
        (await submit("aborted"))();
        const whole = submit("whole");
        expect(serving.load).toMatchObject({ running: 0, waiting: 0 });
        await whole;
        serving.close();
        expect(heard.filter((one) => one.startsWith("aborted"))).toEqual([]);
        expect(heard.length).toBeGreaterThan(0);
    });
});

describe("traffic in virtual time", () => {
    const engineOf = (profile = ministral14bOnH100): EngineConfig => ({
        ...profile.defaults,
        prefixCaching: true,
        blockSize: 16,
        numBlocks: kvBlocks(profile, 1, 0.9, 16),
        step: profile.step,
    });
    const traffic = (perSecond: number, seconds: number) =>
        poissonTraffic({ perSecond, seconds, promptTokens: 300, meanAnswerTokens: 200, maxTokens: 768, seed: 7 });
    const mean = (finished: Finished[], of: (one: Finished) => number): number =>
        finished.reduce((sum, one) => sum + of(one), 0) / finished.length;
    const latency = ({ arrival, last }: Finished): number => last - arrival;

    it("is the same every time", () => {
        const once = simulate(engineOf(), traffic(10, 30));
        const twice = simulate(engineOf(), traffic(10, 30));
        expect(twice).toEqual(once);
    });

    it("spreads step times around those of the profile when it is given random numbers, the same for the same seed", () => {
        const spread = (value: number): Finished[] => {
            const step = { ...ministral14bOnH100.step, spread: value };
            return simulate({ ...engineOf(), step, random: seededRandom(3) }, traffic(10, 60)).finished;
        };
        const gaps = (finished: Finished[]): number[] =>
            finished
                .filter(({ tokens }) => tokens > 1)
                .map(({ firstToken, last, tokens }) => (last - firstToken) / (tokens - 1));
        const [none, some, again] = [spread(0), spread(0.3), spread(0.3)];
        expect(again).toEqual(some);
        expect(none).toEqual(simulate(engineOf(), traffic(10, 60)).finished);
        // The mean stays, the tail grows.
        expect(mean(some, latency) / mean(none, latency)).toBeCloseTo(1, 1);
        expect(Math.max(...gaps(some))).toBeGreaterThan(1.1 * Math.max(...gaps(none)));
    });

    it("obeys Little's law: requests in the system = arrivals a second x their mean time in it", () => {
        const seconds = 600;
        for (const perSecond of [5, 20]) {
            const { finished, meanInSystem, end } = simulate(engineOf(), traffic(perSecond, seconds));
            const rate = finished.length / end;
            const expected = rate * mean(finished, latency);
            expect(Math.abs(meanInSystem / expected - 1)).toBeLessThan(0.02);
            expect(Math.abs(finished.length / (perSecond * seconds) - 1)).toBeLessThan(0.1); // the sample itself
        }
    });

    it("gets slower with load, and queues once the batch is full", () => {
        const config = { ...engineOf(), maxNumSeqs: 256 };
        const results = [2, 10, 30, 60].map((perSecond) => simulate(config, traffic(perSecond, 120)));
        const latencies = results.map(({ finished }) => mean(finished, latency));
        expect(latencies).toEqual([...latencies].sort((a, b) => a - b));
        const queued = results.map(({ finished }) => mean(finished, ({ arrival, scheduled }) => scheduled - arrival));
        expect(queued[0]).toBeLessThan(0.05);
        expect(queued[3]).toBeGreaterThan(1);
        expect(results[3].mostRunning).toBe(256);
    });

    it("is slower on a smaller GPU, whose cache runs out before its batch is full", () => {
        const large = simulate(engineOf(), traffic(2, 120));
        const small = simulate(engineOf(ministral14bOnL4), traffic(2, 120));
        expect(mean(small.finished, latency)).toBeGreaterThan(4 * mean(large.finished, latency));
        const pressed = simulate(engineOf(ministral14bOnL4), traffic(8, 120));
        expect(pressed.mostRunning).toBeLessThan(256);
        expect(pressed.preemptions).toBeGreaterThan(0);
    });
});
