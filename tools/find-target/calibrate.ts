/**
 * Fits the times of a profile to a real server. All that it needs is what a client sees: when each request was sent and
 * when the pieces of its streamed answer came, for all requests that the server had meanwhile (`measure`); or step times
 * that were taken in another way (`Measurement`).
 */

/** A streamed answer, seen by its client. Times are in seconds, on one clock for all answers. */
export interface StreamedAnswer {
    sent: number;
    promptTokens: number;
    /** Prompt tokens that the server found in its prefix cache; default 0. */
    cachedTokens?: number;
    /** When each piece came and how many tokens it brought, in order. */
    pieces: { at: number; tokens: number }[];
}

/** What one or several engine steps in a row computed together, and how long they took. */
export interface Measurement {
    seconds: number;
    steps: number;
    /** Prompt tokens computed, those found in the cache not among them. */
    prefillTokens: number;
    /** Sequences that decoded, summed over the steps: one token came out of each. */
    decodeSequences: number;
    /** Tokens of context of these sequences, summed over the steps. */
    contextTokens: number;
    /**
     * 1 when the time is from sending a request to its first token, so that the API server's share is in it; else 0. With no
     * `steps` it is that share alone, on average.
     */
    requests: number;
}

/** The figures that are fitted: seconds for each step, token, sequence and request. */
export type Figure = "base" | "prefillToken" | "decodeSequence" | "contextToken" | "requestOverhead";

export interface Calibration {
    /** Seconds: of any step, for each prompt token computed, each sequence that decodes, each token of its context. */
    step: { base: number; prefillToken: number; decodeSequence: number; contextToken: number; spread: number };
    /** Seconds added to each request by the API server. */
    requestOverhead: number;
    /** Standard error of each figure, in its unit. Infinity: these measurements cannot tell it, and it is given as 0. */
    errors: Record<Figure, number>;
    /** Root mean square of (measured - fitted) / fitted over the measurements used. */
    residual: number;
    used: number;
    /** Measurements left out because they were further off than noise explains. */
    dropped: number;
}

/** Engine steps between two tokens of a request that make one measurement: enough for the noise of the way to even out. */
const stepsTogether = 4;

/**
 * Turns streamed answers into measurements. Decoding: from one token of an answer to a later one the engine made as many
 * steps as tokens came, and what else it did meanwhile can be told from the other answers; all that the server had must be
 * among them. First tokens: of the requests that found the server idle; of the others the share of the API server, see
 * `Events.beforeStep`. `maxNumBatchedTokens` is the server's `--max-num-batched-tokens`, from which follows how many steps a
 * long prompt took. Answers that were preempted come out too slow and are left to `calibrate` to drop.
 */
export function measure(answers: StreamedAnswer[], maxNumBatchedTokens: number): Measurement[] {
    const seen = answers.filter(({ pieces }) => pieces.length > 0);
    const events = new Events(seen);
    const measurements: Measurement[] = [];
    for (const answer of seen) {
        const alone = seen.every(
            (other) => other === answer || other.sent > answer.pieces[0].at || lastOf(other) < answer.sent,
        );
        if (alone) measurements.push(firstToken(answer, maxNumBatchedTokens));
        else if (answer.promptTokens <= maxNumBatchedTokens) measurements.push(...overheadOf(answer, seen, events));
        let from = answer.pieces[0].at;
        let steps = 0;
        answer.pieces.forEach(({ at, tokens }, i) => {
            if (i === 0) return;
            steps += tokens;
            if (steps < stepsTogether && i < answer.pieces.length - 1) return;
            if (at > from) measurements.push({ seconds: at - from, steps, ...events.between(from, at), requests: 0 });
            [from, steps] = [at, 0];
        });
    }
    return measurements;
}

function lastOf({ pieces }: StreamedAnswer): number {
    return pieces[pieces.length - 1].at;
}

function firstToken(answer: StreamedAnswer, maxNumBatchedTokens: number): Measurement {
    const prefillTokens = answer.promptTokens - (answer.cachedTokens ?? 0);
    return {
        seconds: answer.pieces[0].at - answer.sent,
        steps: Math.ceil(prefillTokens / maxNumBatchedTokens),
        prefillTokens,
        decodeSequences: 0,
        contextTokens: 0,
        requests: 1,
    };
}

/** What the API server took of a request; none unless somebody decoded all the time, so that one step followed the other. */
function overheadOf(answer: StreamedAnswer, all: StreamedAnswer[], events: Events): Measurement[] {
    const first = answer.pieces[0].at;
    const busy = all.some((other) => other.pieces[0].at <= answer.sent && lastOf(other) >= first);
    const seconds = busy ? events.beforeStep(first) - answer.sent : NaN;
    const work = { prefillTokens: 0, decodeSequences: 0, contextTokens: 0 };
    // Some are below zero, as each is off by up to half a step: without them the others were too long on average.
    return Number.isFinite(seconds) ? [{ seconds, steps: 0, ...work, requests: 1 }] : [];
}

type Work = Pick<Measurement, "prefillTokens" | "decodeSequences" | "contextTokens">;

/** All tokens of all answers by the time at which they came, with what the engine computed for them. */
class Events {
    private readonly times: number[] = [];
    /** Sums up to the event before each. */
    private readonly sums: Work[] = [{ prefillTokens: 0, decodeSequences: 0, contextTokens: 0 }];
    /** Tokens of one step come one after the other; this much later they are all there, and none of the next step is. */
    private readonly slack: number;

    constructor(answers: StreamedAnswer[]) {
        const all: (Work & { at: number })[] = [];
        const gaps: number[] = [];
        for (const { promptTokens, cachedTokens = 0, pieces } of answers) {
            let generated = 0;
            pieces.forEach(({ at, tokens }, i) => {
                if (i > 0) gaps.push(at - pieces[i - 1].at);
                for (let one = 0; one < tokens; one++, generated++) {
                    const first = generated === 0;
                    all.push({
                        at,
                        prefillTokens: first ? promptTokens - cachedTokens : 0,
                        decodeSequences: first ? 0 : 1,
                        contextTokens: first ? 0 : promptTokens + generated - 1,
                    });
                }
            });
        }
        this.slack = gaps.length > 0 ? 0.3 * median(gaps) : 0;
        all.sort((a, b) => a.at - b.at);
        for (const event of all) {
            const before = this.sums[this.sums.length - 1];
            this.times.push(event.at);
            this.sums.push({
                prefillTokens: before.prefillTokens + event.prefillTokens,
                decodeSequences: before.decodeSequences + event.decodeSequences,
                contextTokens: before.contextTokens + event.contextTokens,
            });
        }
    }

    /**
     * When the engine took in what it began to compute in the step that ended at this moment, on average: after the step
     * before the last had begun, and before the last one did.
     */
    beforeStep(end: number): number {
        const began = this.times[this.count(end - this.slack) - 1];
        const before = this.times[this.count(began - this.slack) - 1];
        return (began + before) / 2;
    }

    /** What was computed after one moment at which tokens came, up to another. */
    between(from: number, to: number): Work {
        const [before, after] = [this.sums[this.count(from + this.slack)], this.sums[this.count(to + this.slack)]];
        return {
            prefillTokens: after.prefillTokens - before.prefillTokens,
            decodeSequences: after.decodeSequences - before.decodeSequences,
            contextTokens: after.contextTokens - before.contextTokens,
        };
    }

    /** How many tokens had come by then. */
    private count(time: number): number {
        let [low, high] = [0, this.times.length];
        while (low < high) {
            const middle = (low + high) >> 1;
            if (this.times[middle] <= time) low = middle + 1;
            else high = middle;
        }
        return low;
    }
}

const figures: Figure[] = ["base", "prefillToken", "decodeSequence", "contextToken", "requestOverhead"];
const regressors = (one: Measurement): number[] => [
    one.steps,
    one.prefillTokens,
    one.decodeSequences,
    one.contextTokens,
    one.requests,
];

/** Standard deviation of a normal distribution whose median absolute deviation is 1. */
const sigma = 1.4826;
/** Beyond so many standard deviations a measurement is not noise any more, but a request that was preempted, say. */
const mostDeviation = 6;

/**
 * The profile times, none below zero, with the least sum of squared relative differences from the measurements; one over
 * n steps counts n times, as its relative noise is that much smaller. Measurements far off are dropped and it is fitted
 * again. `spread` is the noise that is left, per step, by its median: a rare stall is in the mean of the steps and not in
 * it. An idle server has to wake up first, so the overhead of requests that came while others decoded counts when it is
 * less. Throws a RangeError when there are fewer than ten measurements with a time above zero, or no times fit them.
 */
export function calibrate(measurements: Measurement[]): Calibration {
    const { values, errors, kept, dropped } = fitTimes(measurements, regressors);
    const differences = kept.map((one) => one.seconds / predict(values, regressors(one)) - 1);
    const [base, prefillToken, decodeSequence, contextToken, alone] = values;
    const requestOverhead = Math.min(overheadUnderLoad(measurements) ?? Infinity, alone);
    const perStep = kept.map((one, i) => Math.abs(Math.sqrt(one.steps) * differences[i]));
    return {
        step: { base, prefillToken, decodeSequence, contextToken, spread: sigma * median(perStep) },
        requestOverhead,
        errors: Object.fromEntries(figures.map((figure, i) => [figure, errors[i]])) as Record<Figure, number>,
        residual: rootMeanSquare(differences),
        used: kept.length,
        dropped,
    };
}

/** Median of those that were measured by themselves; undefined for fewer than ten, which scatter by half a step each. */
export function overheadUnderLoad(measurements: Measurement[]): number | undefined {
    const overheads = measurements.filter(({ steps }) => steps === 0).map(({ seconds }) => seconds);
    return overheads.length < 10 ? undefined : Math.max(0, median(overheads));
}

/** What is measured of some steps, whatever their time is made of. */
type Timed = Pick<Measurement, "seconds" | "steps">;

/** The fit of `calibrate`, for a time that is made of any parts: `partsOf` says how much of each is in a measurement. */
export function fitTimes<One extends Timed>(
    measurements: One[],
    partsOf: (one: One) => number[],
): Solution & { kept: One[]; dropped: number } {
    const valid = measurements.filter(({ seconds, steps }) => seconds > 0 && steps > 0);
    if (valid.length < 10) {
        throw new RangeError(`a calibration needs ten measurements of steps at least, not ${valid.length}`);
    }
    let kept = valid;
    // Not relative to what was measured: a time that is too short by accident would outweigh all others.
    let fit = leastSquares(kept, partsOf, (one) => one.steps);
    for (let round = 0; round < 5; round++) {
        const { values } = fit;
        const expected = (one: One): number => Math.max(predict(values, partsOf(one)), 1e-9);
        const noise = (one: One): number => Math.sqrt(one.steps) * (one.seconds / expected(one) - 1);
        const deviation = sigma * median(kept.map((one) => Math.abs(noise(one))));
        kept = valid.filter((one) => Math.abs(noise(one)) <= Math.max(mostDeviation * deviation, 1e-6));
        if (kept.length < 10) throw new RangeError("the measurements do not agree with each other");
        fit = leastSquares(kept, partsOf, expected);
    }
    return { ...fit, kept, dropped: valid.length - kept.length };
}

function predict(values: number[], parts: number[]): number {
    return parts.reduce((sum, count, i) => sum + count * values[i], 0);
}

interface Solution {
    /** In the order of the parts. */
    values: number[];
    errors: number[];
}

/** Weighted least squares without negative values: with a few parts all sets of those above zero can be tried. */
function leastSquares<One extends Timed>(
    measurements: One[],
    partsOf: (one: One) => number[],
    expected: (one: One) => number,
): Solution {
    const size = partsOf(measurements[0]).length;
    const parts = Array.from({ length: size }, (_, i) => i);
    const rows = measurements.map((one) => {
        const weight = Math.sqrt(one.steps) / expected(one);
        return { x: partsOf(one).map((count) => count * weight), y: one.seconds * weight };
    });
    // In units in which each regressor has the same size, so that one limit tells what cannot be told apart.
    const scale = parts.map((i) => Math.sqrt(rows.reduce((sum, { x }) => sum + x[i] ** 2, 0)));
    for (const { x } of rows) x.forEach((value, i) => (x[i] = scale[i] > 0 ? value / scale[i] : 0));
    const gram = parts.map((i) => parts.map((j) => rows.reduce((sum, { x }) => sum + x[i] * x[j], 0)));
    const target = parts.map((i) => rows.reduce((sum, { x, y }) => sum + x[i] * y, 0));

    let best: { set: number[]; values: number[]; squares: number } | undefined;
    for (let bits = 1; bits < 1 << size; bits++) {
        const set = parts.filter((i) => bits & (1 << i));
        const inverted = invert(set.map((i) => set.map((j) => gram[i][j])));
        if (!inverted) continue;
        const some = inverted.map((row) => row.reduce((sum, value, j) => sum + value * target[set[j]], 0));
        if (some.some((value) => value < 0)) continue;
        const values = parts.map((i) => (set.includes(i) ? some[set.indexOf(i)] : 0));
        const squares = rows.reduce((sum, { x, y }) => sum + (y - x.reduce((s, v, i) => s + v * values[i], 0)) ** 2, 0);
        if (!best || squares < best.squares * (1 - 1e-12)) best = { set, values, squares };
    }
    if (!best) throw new RangeError("the measurements do not agree with each other");
    const { set, values, squares } = best;
    const variance = squares / Math.max(1, rows.length - set.length);
    const errors = parts.map((i) => {
        // A figure at zero has the error that it would have beside the others.
        const beside = set.includes(i) ? set : [...set, i];
        const inverted = invert(beside.map((j) => beside.map((k) => gram[j][k])));
        const at = beside.indexOf(i);
        return inverted ? Math.sqrt(variance * inverted[at][at]) / scale[i] : Infinity;
    });
    return { values: values.map((value, i) => (scale[i] > 0 ? value / scale[i] : 0)), errors };
}

/** Gauss and Jordan; undefined when the matrix is singular, or near it. Its diagonal must be about 1. */
function invert(matrix: number[][]): number[][] | undefined {
    const size = matrix.length;
    const work = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))]);
    for (let column = 0; column < size; column++) {
        let pivot = column;
        for (let row = column; row < size; row++) {
            if (Math.abs(work[row][column]) > Math.abs(work[pivot][column])) pivot = row;
        }
        if (Math.abs(work[pivot][column]) < 1e-9) return undefined;
        [work[column], work[pivot]] = [work[pivot], work[column]];
        const divisor = work[column][column];
        work[column] = work[column].map((value) => value / divisor);
        for (let row = 0; row < size; row++) {
            if (row === column) continue;
            const factor = work[row][column];
            work[row] = work[row].map((value, j) => value - factor * work[column][j]);
        }
    }
    return work.map((row) => row.slice(size));
}

function median(values: number[]): number {
    return [...values].sort((a, b) => a - b)[values.length >> 1];
}

function rootMeanSquare(values: number[]): number {
    return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
}
