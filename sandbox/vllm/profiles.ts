/** What a model on a GPU can do, as far as a simulation needs it. Times in seconds at real speed. */
export interface Profile {
    /** Time of an engine step without any token: scheduling, kernel launches, reading the weights once. */
    stepSeconds: number;
    /** Added per prompt token computed in the step. */
    prefillSecondsPerToken: number;
    /** Added per sequence that decodes in the step. */
    decodeSecondsPerSequence: number;
    /** Tokens per KV block; vLLM's default on CUDA. */
    blockSize: number;
    /** KV blocks that fit beside the weights. */
    numBlocks: number;
    boot: {
        /** From the hub to the volume; later starts of the same app find it there. */
        downloadSeconds: number;
        loadSeconds: number;
        compileSeconds: number;
        profileSeconds: number;
    };
    /** Tokens of an answer, when nothing stops it earlier: mean of an exponential distribution. */
    meanAnswerTokens: number;
}

/**
 * Ministral 3 14B (FP8 weights, about 14 GB) on one H100 with 80 GB.
 *
 * stepSeconds: 14 GB of weights over 3.35 TB/s (NVIDIA's figure for H100 SXM memory) is 4.2 ms; with overhead 8 ms. Guess.
 * prefill: 2 x 14e9 operations a token at 40 % of 990 dense FP16 TFLOPS is 0.07 ms. Guess from NVIDIA's figure.
 * decode per sequence: reading about 100 MB of KV cache a sequence is 0.03 ms. Guess.
 * numBlocks: 80 GB x 0.9 - 14 GB - 4 GB of activations leaves 54 GB; 40 layers x 8 heads x 128 x 2 x 2 bytes is
 * 160 kB a token, so 337,000 tokens, 21,000 blocks of 16. Guess.
 * boot: vllm-project/vllm issue #44881 measured 18 s weights, 43 s compile, 210 s profiling on another model; this model
 * with less profiling. Guess.
 */
export const ministral14bOnH100: Profile = {
    stepSeconds: 0.008,
    prefillSecondsPerToken: 0.00007,
    decodeSecondsPerSequence: 0.00003,
    blockSize: 16,
    numBlocks: 21_000,
    boot: { downloadSeconds: 90, loadSeconds: 20, compileSeconds: 45, profileSeconds: 25 },
    meanAnswerTokens: 250,
};
