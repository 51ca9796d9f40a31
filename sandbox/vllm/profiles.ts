/**
 * What a model on a GPU can do, as far as a simulation needs it. Times are in seconds at real speed, sizes in bytes.
 * A number marked "guess" has no measurement behind it: right in kind, not to be planned with.
 */
export interface Profile {
    name: string;
    /** The GPU as OVHcloud's flavors name it (`gpuModel`). */
    gpu: string;
    /** Longest context of the model, tokens. */
    maxModelLen: number;
    /** What vLLM takes without the flags. */
    defaults: { maxNumSeqs: number; maxNumBatchedTokens: number };
    memory: {
        gpu: number;
        weights: number;
        /** Activations, CUDA graphs and what is not PyTorch's. */
        activations: number;
        kvPerToken: number;
    };
    step: {
        /** Of any step: reading the weights once, launching kernels, scheduling. */
        base: number;
        /** Added per prompt token computed. */
        prefillToken: number;
        /** Added per sequence that decodes. */
        decodeSequence: number;
        /** Added per token of context of a sequence that decodes: its keys and values are read. */
        contextToken: number;
        /** How far steps that should take equally long differ: standard deviation of the logarithm of their time. 0: not. */
        spread: number;
    };
    /** Added to each request by the API server, before the engine has it: parsing, tokenizing, passing on. */
    requestOverhead: number;
    boot: {
        /** Interpreter, imports, configuration. */
        start: number;
        /** From the hub to the volume. */
        download: number;
        /** From the volume to the GPU. */
        load: number;
        compile: number;
        /** Memory profiling, CUDA graphs, warm-up. */
        warmUp: number;
    };
    /** Of the machine around the GPU: cores that the server keeps busy while it is idle and while it answers, and its memory. */
    host: { idleCores: number; busyCores: number; memory: number };
    /** Tokens of an answer when nothing stops it earlier: mean of an exponential distribution. */
    meanAnswerTokens: number;
}

const GiB = 1024 ** 3;

/** vllm/engine/arg_utils.py, UsageContext.OPENAI_API_SERVER. */
const defaultsBelow70GiB: Profile["defaults"] = { maxNumSeqs: 256, maxNumBatchedTokens: 2048 };

/** A kernel takes the same time each time, the Python around it does not. Guess, no GPU was measured. */
const guessedSpread = 0.05;

/** Ministral 3 14B Instruct (FP8 weights) on one H100 SXM with 80 GB. */
export const ministral14bOnH100: Profile = {
    name: "Ministral 3 14B (FP8) on one H100 80 GB",
    gpu: "H100",
    // The model card: 256k context.
    maxModelLen: 262_144,
    // From 70 GiB up, the A100 excepted (vllm/engine/arg_utils.py, UsageContext.OPENAI_API_SERVER).
    defaults: { maxNumSeqs: 1024, maxNumBatchedTokens: 8192 },
    memory: {
        // What vLLM logs as total memory of an H100: 79.19 GiB (kubernetes-sigs/gateway-api-inference-extension #550).
        gpu: 79.19 * GiB,
        // 13.5e9 parameters of one byte, embeddings and the image encoder of two. Guess.
        weights: 14.4 * GiB,
        // 2.4 GiB of activations in that log, and as much as 1 GiB of CUDA graphs. Guess for this model.
        activations: 3.4 * GiB,
        // 40 layers x 8 key-value heads x 128 x 2 (key and value) x 2 bytes, from the model's configuration.
        kvPerToken: 40 * 8 * 128 * 2 * 2,
    },
    step: {
        // 15.5 GB over 3.35 TB/s (NVIDIA's figure for H100 SXM) are 4.6 ms; with what is lost around it 7.5 ms. Guess.
        base: 0.0075,
        // 2 x 13.5e9 operations at 30 % of 1,979 dense FP8 TFLOPS (NVIDIA's figure). Guess.
        prefillToken: 0.000045,
        // Sampling and bookkeeping. Guess.
        decodeSequence: 0.00001,
        // 164 kB over 70 % of 3.35 TB/s. Guess.
        contextToken: 0.00000007,
        spread: guessedSpread,
    },
    // HTTP, validation and two hops between processes take a few milliseconds of Python. Guess.
    requestOverhead: 0.004,
    // vllm-project/vllm #44881 measured 18 s weights, 43 s compile and 210 s profiling on another model. Guess for this one.
    boot: { start: 15, download: 90, load: 20, compile: 45, warmUp: 25 },
    // The engine's loop polls on one core, the API server takes up to another. Guess.
    host: { idleCores: 0.05, busyCores: 1.6, memory: 12 * GiB },
    // Guess.
    meanAnswerTokens: 250,
};

/** The same model on one L40S with 48 GB. Its context must be cut (`--max-model-len`) for the KV cache to hold it. */
export const ministral14bOnL40s: Profile = {
    ...ministral14bOnH100,
    name: "Ministral 3 14B (FP8) on one L40S 48 GB",
    gpu: "L40S",
    // What the driver shows of 48 GB with ECC on. Guess.
    memory: { ...ministral14bOnH100.memory, gpu: 44.4 * GiB },
    defaults: defaultsBelow70GiB,
    step: {
        // 15.5 GB over 864 GB/s (NVIDIA's figure for L40S) are 18 ms; with what is lost around it 22 ms. Guess.
        base: 0.022,
        // 2 x 13.5e9 operations at 30 % of 733 dense FP8 TFLOPS (NVIDIA's figure). Guess.
        prefillToken: 0.000123,
        decodeSequence: 0.00001,
        // 164 kB over 70 % of 864 GB/s. Guess.
        contextToken: 0.00000027,
        spread: guessedSpread,
    },
    // Slower links to and kernels on a smaller GPU. Guess.
    boot: { start: 15, download: 90, load: 30, compile: 60, warmUp: 35 },
};

/** The same model on one L4 with 24 GB: it fits, with room for some 24,000 tokens. */
export const ministral14bOnL4: Profile = {
    ...ministral14bOnH100,
    name: "Ministral 3 14B (FP8) on one L4 24 GB",
    gpu: "L4",
    // What the driver shows of 24 GB with ECC on; smaller batches are profiled, so activations take less. Guess.
    memory: { ...ministral14bOnH100.memory, gpu: 22.2 * GiB, activations: 1.9 * GiB },
    defaults: defaultsBelow70GiB,
    step: {
        // 15.5 GB over 300 GB/s (NVIDIA's figure for L4) are 52 ms; with what is lost around it 60 ms. Guess.
        base: 0.06,
        // 2 x 13.5e9 operations at 30 % of 242 dense FP8 TFLOPS (NVIDIA's figure). Guess.
        prefillToken: 0.00037,
        decodeSequence: 0.00001,
        // 164 kB over 70 % of 300 GB/s. Guess.
        contextToken: 0.00000078,
        spread: guessedSpread,
    },
    boot: { start: 15, download: 90, load: 45, compile: 90, warmUp: 50 },
};

/** One profile for each kind of GPU that the platform has. */
export const builtInProfiles: Profile[] = [ministral14bOnH100, ministral14bOnL40s, ministral14bOnL4];

/** KV blocks that fit beside the weights on so many GPUs; zero or less when the weights alone are too large. */
export function kvBlocks(profile: Profile, gpus: number, gpuMemoryUtilization: number, blockSize: number): number {
    const { gpu, weights, activations, kvPerToken } = profile.memory;
    const free = gpus * gpu * gpuMemoryUtilization - weights - gpus * activations;
    return Math.floor(free / (kvPerToken * blockSize));
}

/** How much faster so many GPUs make a step than one does: 80 % of each further one is gained. Guess. */
export function speedup(gpus: number): number {
    return 1 + 0.8 * (gpus - 1);
}
