import { describe, expect, it } from "vitest";
import { calibrate, measure, type Measurement, type StreamedAnswer } from "../../../tools/find-target/calibrate";
import { Engine, type EngineConfig } from "../../../sandbox/vllm/engine";
import { seededRandom } from "../../../tools/random";

const truth = { base: 0.008, prefillToken: 0.00012, decodeSequence: 0.0003, contextToken: 0.0000004, spread: 0 };
const requestOverhead = 0.005;

/** Any mixture of work, and the time that it takes. */
function measured(
    count: number,
    noise: (random: () => number) => number,
    more: Partial<Measurement> = {},
): Measurement[] {
    const random = seededRandom(5);
    return Array.from({ length: count }, () => {
        const steps = 1 + Math.floor(8 * random());
        const decodeSequences = Math.floor(steps * 16 * random());
        const work = {
            steps,
            prefillTokens: random() < 0.4 ? Math.floor(500 * random()) : 0,
            decodeSequences,
            contextTokens: Math.floor(decodeSequences * 800 * random()),
            requests: random() < 0.2 ? 1 : 0,
            ...more,
        };
        const seconds =
            truth.base * work.steps +
            truth.prefillToken * work.prefillTokens +
            truth.decodeSequence * work.decodeSequences +
            truth.contextToken * work.contextTokens +
            requestOverhead * work.requests;
        return { ...work, seconds: seconds * noise(random) };
    });
}

/** What clients see of an engine that takes as long as `truth` says, requests coming at random after some that come alone,
 * for which it has to wake up first. */
function streamed(spread: number, wakeUp = 0): StreamedAnswer[] {
    const random = seededRandom(11);
    const config: EngineConfig = {
        maxNumSeqs: 16,
        maxNumBatchedTokens: 512,
        prefixCaching: false,
        blockSize: 16,
        numBlocks: 2000,
        step: { ...truth, spread },
        random: seededRandom(12),
    };
    const engine = new Engine(config);
    const answers = Array.from({ length: 150 }, (_, i): StreamedAnswer => {
        const sent = i < 20 ? 10 * i : 200 + 0.15 * i + 0.1 * random();
        return { sent, promptTokens: 10 + Math.floor(390 * random()), pieces: [] };
    });
    const arrival = (i: number): number => answers[i].sent + requestOverhead + (i < 20 ? wakeUp : 0);
    let next = 0;
    for (let now = 0; ;) {
        for (; next < answers.length && arrival(next) <= now; next++) {
            const { promptTokens, sent } = answers[next];
            const naturalTokens = 5 + Math.floor(100 * random());
            const request = { promptTokens, promptBlocks: [], naturalTokens, maxTokens: 1000, arrival: sent };
            engine.add({ ...request, id: String(next) });
        }
        const seconds = engine.beginStep(now);
        if (seconds !== undefined) now += seconds;
        else if (next < answers.length) now = arrival(next);
        else return answers;
        // They are sent one after the other.
        engine.endStep(now).outputs.forEach(({ sequence }, i) => {
            answers[Number(sequence.id)].pieces.push({ at: now + i * 0.00002, tokens: 1 });
        });
    }
}

describe("a fit to measurements", () => {
    it("finds the truth exactly when there is no noise", () => {
        const { step, requestOverhead: overhead, residual, dropped } = calibrate(measured(200, () => 1));
        expect(step.base).toBeCloseTo(truth.base, 9);
        expect(step.prefillToken).toBeCloseTo(truth.prefillToken, 9);
        expect(step.decodeSequence).toBeCloseTo(truth.decodeSequence, 9);
        expect(step.contextToken).toBeCloseTo(truth.contextToken, 12);
        expect(overhead).toBeCloseTo(requestOverhead, 9);
        expect(step.spread).toBeLessThan(1e-6);
        expect(residual).toBeLessThan(1e-6);
        expect(dropped).toBe(0);
    });

    it("finds it within its own error through noise, and says how much noise there was", () => {
        const {
            step,
            requestOverhead: overhead,
            errors,
            residual,
        } = calibrate(measured(3000, (random) => 1 + 0.1 * (random() + random() + random() + random() - 2)));
        const found = { ...step, requestOverhead: overhead };
        const true_ = { ...truth, requestOverhead };
        for (const figure of ["base", "prefillToken", "decodeSequence", "contextToken", "requestOverhead"] as const) {
            expect(Math.abs(found[figure] - true_[figure])).toBeLessThan(4 * errors[figure]);
            expect(errors[figure]).toBeLessThan(0.1 * true_[figure]);
        }
        expect(residual).toBeCloseTo(0.1 * Math.sqrt(4 / 12), 2);
    });

    it("leaves out what is far off", () => {
        const all = measured(500, (random) => (random() < 0.04 ? 8 : 1 + 0.02 * (random() - 0.5)));
        const { step, dropped } = calibrate(all);
        expect(step.base / truth.base).toBeCloseTo(1, 1);
        expect(step.spread).toBeLessThan(0.1);
        expect(dropped).toBeGreaterThan(10);
        expect(dropped).toBeLessThan(60);
    });

    it("never gives a time below zero", () => {
        // A longer context makes these faster.
        const all = measured(200, () => 1).map((one) => ({ ...one, seconds: one.seconds - 5e-7 * one.contextTokens }));
        expect(calibrate(all).step.contextToken).toBe(0);
    });

    it("says which figure the measurements cannot tell", () => {
        const { step, errors } = calibrate(measured(100, () => 1, { prefillTokens: 0, requests: 0 }));
        expect(step.prefillToken).toBe(0);
        expect(errors.prefillToken).toBe(Infinity);
        expect(errors.requestOverhead).toBe(Infinity);
        expect(step.base).toBeCloseTo(truth.base, 9);
    });

    it("refuses too few measurements", () => {
        expect(() => calibrate(measured(9, () => 1))).toThrow(/ten measurements of steps at least, not 9/);
        expect(() => calibrate(measured(50, () => 0))).toThrow(RangeError);
    });
});

describe("a fit to what clients see", () => {
    it.each([0, 0.1])("finds the times of the engine behind it, steps spread by %d", (spread) => {
        const { step, requestOverhead: overhead } = calibrate(measure(streamed(spread), 512));
        const within = (found: number, wanted: number, share: number): void =>
            expect(Math.abs(found / wanted - 1)).toBeLessThan(share);
        within(step.base, truth.base, 0.1);
        within(step.prefillToken, truth.prefillToken, 0.1);
        within(step.decodeSequence, truth.decodeSequence, 0.2);
        within(overhead, requestOverhead, 0.3);
        expect(step.spread).toBeGreaterThan(0.8 * spread);
        expect(step.spread).toBeLessThan(spread + 0.15);
    });

    it("takes of the API server's share that under load, without what an idle server needs to wake up", () => {
        const { requestOverhead: overhead } = calibrate(measure(streamed(0.1, 0.01), 512));
        expect(Math.abs(overhead / requestOverhead - 1)).toBeLessThan(0.2);
    });

    it("takes pieces of several tokens, and answers that never came", () => {
        const answers = streamed(0).map((answer) => ({
            ...answer,
            pieces: answer.pieces.flatMap((piece, i, all) =>
                i % 7 === 3 && i + 1 < all.length ? [] : [{ at: piece.at, tokens: i % 7 === 4 ? 2 : 1 }],
            ),
        }));
        const { step } = calibrate(measure([...answers, { sent: 0, promptTokens: 5, pieces: [] }], 512));
        expect(Math.abs(step.base / truth.base - 1)).toBeLessThan(0.15);
    });
});
