import { drained } from "./drain";
import { hasShutdownTimeout } from "./versions";

/** The port that vLLM listens on unless told otherwise. */
const vllmDefaultPort = 8000;

/** What of a model's settings makes its server. */
export interface ServerSettings {
    model: string;
    image: string;
    port: number;
    gpus: number;
    /** Commit, tag or branch of the repository. */
    revision?: string;
    /** Whether the model's files lie in a volume at `weightsPath`. */
    weights?: object;
    /** Whether a replica that goes answers what it has, within its grace period. */
    drain: boolean;
    deploymentStrategy?: { terminationGracePeriodSeconds?: number };
    /** vLLM's own options; what is absent stays with vLLM's default. */
    vllm: {
        tokenizerMode?: string;
        loadFormat?: string;
        configFormat?: string;
        enableAutoToolChoice?: boolean;
        toolCallParser?: string;
        enablePrefixCaching?: boolean;
        servedModelName?: string;
        maxModelLen?: number;
        maxNumSeqs?: number;
        gpuMemoryUtilization?: number;
        /** Any further arguments, one word each. */
        extraArgs: string[];
    };
}

/** Where the volume with a model's files is mounted. */
export const weightsPath = "/weights";

/**
 * The container's command: vLLM's OpenAI-compatible server, started by a shell, so that every word of it is quoted.
 * Options that are not set are left out, so that vLLM's own defaults hold. With `drain`, what keeps it alive after
 * SIGTERM stands before that.
 */
export function containerCommand(settings: ServerSettings): string[] {
    const { drain, image, port } = settings;
    const words = vllmArguments(settings);
    if (!drain) return ["bash", "-c", commandLine(words)];
    const seconds = drainSeconds(settings);
    if (!hasShutdownTimeout(image)) return drained({ seconds, port, command: ["bash", "-c", commandLine(words)] });
    // It counts its requests itself, but closes its port at once: what is still sent to it is waited for.
    const own = Math.max(0, seconds - secondsToLeave);
    const command = ["bash", "-c", commandLine([...words, "--shutdown-timeout", String(own)])];
    return drained({ seconds: Math.min(seconds, secondsToLeave), port, command });
}

/** What a server without requests has to end. On a GPU it takes a few seconds; guess. */
const secondsToEnd = 10;
/** For so long the platform may go on sending requests to a replica that goes. Guess: nothing is published. */
const secondsToLeave = 5;

/** The time that the platform is to give a replica from SIGTERM to SIGKILL, in seconds. */
export function graceSeconds({ drain, deploymentStrategy }: Pick<ServerSettings, "drain" | "deploymentStrategy">) {
    return deploymentStrategy?.terminationGracePeriodSeconds ?? (drain ? drainGraceSeconds : platformGraceSeconds);
}

/** What a replica that goes has to answer what it has, in seconds: 0 without `drain`. */
export function drainSeconds(settings: Pick<ServerSettings, "drain" | "deploymentStrategy">): number {
    return settings.drain ? Math.max(0, graceSeconds(settings) - secondsToEnd) : 0;
}

/** Two minutes for the longest answers that are common: 768 tokens at 20 a second take 40 s. */
const drainGraceSeconds = 120;
/** The API's own default. */
const platformGraceSeconds = 30;

function commandLine(words: string[]): string {
    return words.map(shellWord).join(" ");
}

function vllmArguments({ model, revision, port, gpus, vllm, weights }: ServerSettings): string[] {
    const option = (name: string, value: string | number | undefined) =>
        value === undefined ? [] : [name, String(value)];
    const prefixCaching = vllm.enablePrefixCaching ? "--enable-prefix-caching" : "--no-enable-prefix-caching";
    return [
        ...["python3", "-m", "vllm.entrypoints.openai.api_server"],
        ...["--model", weights ? weightsPath : model],
        ...option("--revision", revision),
        ...option("--tokenizer_mode", vllm.tokenizerMode),
        ...option("--load_format", vllm.loadFormat),
        ...option("--config_format", vllm.configFormat),
        ...(vllm.enableAutoToolChoice ? ["--enable-auto-tool-choice"] : []),
        ...option("--tool-call-parser", vllm.toolCallParser),
        // vLLM caches prefixes by default, so leaving it out would not switch it off.
        ...(vllm.enablePrefixCaching === undefined ? [] : [prefixCaching]),
        // Requests name the model and not its folder.
        ...option("--served-model-name", vllm.servedModelName ?? (weights && model)),
        ...option("--max-model-len", vllm.maxModelLen),
        ...option("--max-num-seqs", vllm.maxNumSeqs),
        ...option("--gpu-memory-utilization", vllm.gpuMemoryUtilization),
        ...(port === vllmDefaultPort ? [] : ["--port", String(port)]),
        ...(gpus > 1 && !splitsOverGpus(vllm.extraArgs) ? ["--tensor-parallel-size", String(gpus)] : []),
        ...vllm.extraArgs,
    ];
}

/** Whether the arguments already say how several GPUs are used; without that vLLM uses one and leaves the rest idle. */
function splitsOverGpus(extraArgs: string[]): boolean {
    return extraArgs.some((word) => /^(--(tensor|pipeline|data)[-_]parallel[-_]size|-tp|-pp|-dp)(=|$)/.test(word));
}

/** A word that the shell takes literally, quoted only where it must be. */
export function shellWord(word: string): string {
    return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
