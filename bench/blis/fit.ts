import {
    fitTimes,
    measure,
    overheadUnderLoad,
    type Measurement,
    type StreamedAnswer,
} from "../../tools/find-target/calibrate";

/** The shape of a model, by the names of its `config.json`. */
export interface ModelShape {
    num_hidden_layers: number;
    hidden_size: number;
    intermediate_size: number;
    num_attention_heads: number;
    num_key_value_heads: number;
}

/** Figures of a made-up device. Any will do: the coefficients that are fitted make up for them. */
export const device = { name: "CPU", tflops: 0.1, terabytesPerSecond: 0.02 };

/** Microseconds; dimensionless where BLIS multiplies a time of its own. */
export interface BlisCoefficients {
    alpha: number[];
    beta: number[];
}

/** What its formula reads of some steps. */
interface Work extends Measurement {
    /** Prompts computed, and the sum of the squares of their lengths. */
    prompts: number;
    squares: number;
}

/**
 * BLIS' coefficients for a device that it has none for, from the same streams, by the same least squares, and by its own
 * formula (`sim/latency/trained_physics_model.go`): of its ten, those stay 0 that one dense model on one device cannot tell
 * from another, or does not have. Its time for each token sent is in the step already, as a client sees both.
 */
export function fitBlis(answers: StreamedAnswer[][], maxNumBatchedTokens: number, shape: ModelShape): BlisCoefficients {
    const work = answers.flatMap((some) => workOf(some, maxNumBatchedTokens));
    const [prefillCompute, prefillKv, decodeCompute, decodeKv, perRequest, perStep, alone] = fitTimes(work, (one) =>
        parts(one, shape),
    ).values;
    const underLoad = overheadUnderLoad(answers.flatMap((some) => measure(some, maxNumBatchedTokens)));
    const queueing = Math.min(underLoad ?? Infinity, alone);
    return {
        alpha: [queueing * 1e6, 0, 0],
        beta: [
            ...[prefillCompute, decodeCompute, 0, 0, 0],
            ...[perRequest * 1e6, perStep * 1e6, 0],
            ...[prefillKv, decodeKv],
        ],
    };
}

/** Seconds of each term of the formula at a coefficient of 1; of those in microseconds, one second. */
function parts(work: Work, shape: ModelShape): number[] {
    const { num_hidden_layers: layers, hidden_size: hidden, intermediate_size: inner } = shape;
    const { num_attention_heads: heads, num_key_value_heads: kvHeads } = shape;
    const headSize = hidden / heads;
    const kv = kvHeads * headSize;
    const [flops, bytes] = [device.tflops * 1e12, device.terabytesPerSecond * 1e12];
    const perToken = (layers * (2 * hidden * (2 * hidden + 2 * kv) + 6 * hidden * inner)) / flops;
    const perPair = (layers * 4 * heads * headSize) / flops;
    const kvPerToken = (layers * 2 * kv * 2) / bytes;
    const { prefillTokens, decodeSequences, contextTokens, prompts, squares, requests, steps } = work;
    return [
        perToken * prefillTokens + perPair * 1.5 * squares,
        kvPerToken * prefillTokens,
        perToken * decodeSequences + perPair * contextTokens,
        kvPerToken * (contextTokens + decodeSequences),
        decodeSequences + prompts,
        steps,
        requests,
    ];
}

/** The measurements of the streams' steps, and what else they tell when a prompt counts as something else than its tokens. */
function workOf(answers: StreamedAnswer[], maxNumBatchedTokens: number): Work[] {
    // Of the share of the API server, which is no step, there may be more or less with other lengths.
    const countedAs = (count: (tokens: number) => number): Measurement[] =>
        measure(
            answers.map((answer) => ({ ...answer, promptTokens: count(answer.promptTokens) })),
            maxNumBatchedTokens,
        ).filter(({ steps }) => steps > 0);
    const prompts = countedAs(() => 1);
    const squares = countedAs((tokens) => tokens ** 2);
    return countedAs((tokens) => tokens).map((one, i) => ({
        ...one,
        prompts: prompts[i].prefillTokens,
        squares: squares[i].prefillTokens,
    }));
}
