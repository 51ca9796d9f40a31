import { once } from "node:events";
import type { Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { drainedServer } from "../../src/vllm/drain";
import { seededRandom } from "../../tools/random";
import { validationError, valueError } from "./argument-checks";
import { parseCommand, type ServerArguments } from "./command-line";
import { localConnection } from "./local-connection";
import { cacheConfigLabels, processStartTime, replicaMetrics } from "./metrics";
import { profileFor, type OwnProfile } from "./profile-file";
import type { Phase } from "./phase";
import { kvBlocks, speedup, type Profile } from "./profiles";
import { createVllmServer, vllmVersion } from "./server";
import { Serving } from "./serving";
import { CommandError } from "./shell";
import { SetMetrics, type SetMetric } from "./set-metrics";

export interface ReplicaOptions {
    /** The app's command, as the API has it; empty: what the image starts by itself. */
    command: string[];
    env: Record<string, string>;
    /** Port on 127.0.0.1; 0: a free one. */
    port: number;
    /** Simulated seconds of boot per real second, looked at in each phase. Tokens take their real time. */
    speed: number;
    /** One call for each line of the container's log. */
    log: (line: string) => void;
    /** Makes the lengths of answers repeatable. */
    seed?: number;
    /** GPUs of the replica; default 1. */
    gpus?: number;
    /** Their model, such as `H100`; see `profileFor`. */
    gpuModel?: string;
    /** Profiles of the user's own. */
    profiles?: OwnProfile[];
    /** The release of the image, the 13 of 0.13.0 (default). It decides what becomes of requests when the server is ended. */
    minor?: number;
    /** The Hugging Face hub refuses the token, whatever it is. */
    hubRefuses?: boolean;
    /** Folders of object storage; whether the platform has their files in its cache already. */
    folders?: { path: string; isCached: boolean }[];
}

/** What is wrong with a replica by faults that last. */
export interface Impairments {
    /** Every step of the engine takes so many times as long; 1: as it should. */
    slowness: number;
    /** It keeps its port and answers nothing; what has piled up is answered once it ends. */
    hanging: boolean;
    /** The engine makes no step. The server goes on answering whatever needs no engine. */
    stalled: boolean;
    /** Shares (0 to 1) of the POSTs under `/v1` that are answered with a status instead. */
    errors: { rate: number; status: number }[];
    /** Metrics that show what they are told to. */
    metrics: SetMetric[];
}

export interface Replica {
    /** 0 while it does not listen. */
    readonly port: number;
    /** The port that the command line asks for, which the app's HTTP port must match; undefined when it could not be read. */
    readonly containerPort: number | undefined;
    /** Whether the model is loaded and the server listens. */
    readonly ready: boolean;
    readonly phase: Phase;
    /** Requests in the batch and in the queue, and the share of the KV cache in use. */
    readonly load: { running: number; waiting: number; kvUsage: number };
    /** CPU cores and bytes of memory that it takes. */
    readonly usage: { cores: number; memory: number };
    /** How it ended, by itself or by `stop`. `reason` is the last line of the error, when there was one. */
    readonly exited: Promise<{ code: number; reason?: string }>;
    /** A connection to its server from inside of this process. Throws when it does not listen. */
    connect(): Duplex;
    /** Ends it by SIGTERM, and by SIGKILL after so many real seconds (default 0). */
    stop(graceSeconds?: number): Promise<void>;
    /** What is wrong with it from now on, in place of what was before; before it serves, it is once it does. */
    impair(impairments: Impairments): void;
    /** It ends at once, as by a segmentation fault. */
    crash(): void;
    /** The engine runs out of GPU memory and dies, and the server with it. */
    outOfMemory(): void;
}

interface Running {
    server: Server;
    serving: Serving;
    port: number;
    profile: Profile;
    shutdownTimeout: number;
    /** On the clock of `performance.now`. */
    since: number;
}

/** How often the server looks whether its engine lives, in milliseconds. */
const watchdogMs = 5000;

/** Of a process that was ended by SIGKILL. */
const killedCode = 137;

/** Of `src/vllm/drain.py`: after so many looks without a request the server is at rest. */
const looksAtRest = 5;
/** ... and three looks that have had no answer for 10 s take so long. */
const silentMs = 33_000;
/** However fast the platform's time goes, a request that has just come in is seen. */
const shortestLookMs = 50;

/**
 * Boots a simulated vLLM server inside this process. Its log says what vLLM's says, a wrong command line or token ends
 * it as vLLM ends, and it listens once the model is "loaded", as vLLM does: before that, connections are refused.
 */
export function startReplica(options: ReplicaOptions): Replica {
    const startTime = processStartTime();
    const stopped = new AbortController();
    const fatal = new AbortController();
    const drained = drainedServer(options.command);
    /** When it is killed, on the clock of `performance.now`. */
    let killedAt = 0;
    let containerPort: number | undefined;
    let phase: Phase = "starting";
    let impairments: Impairments = { slowness: 1, hanging: false, stalled: false, errors: [], metrics: [] };
    const setMetrics = new SetMetrics();
    const random = seededRandom(options.seed ?? Math.floor(Math.random() * 2 ** 32));
    const answering = new Set<ServerResponse>();
    const died = new AbortController();
    let engineIsDead = false;
    let release: (() => void) | undefined;
    let hung: Promise<void> | undefined;
    let running: Running | undefined;

    async function run(): Promise<void> {
        // Not before the caller has its Replica.
        await sleep(0);
        const { args, env } = parseCommand(drained?.command ?? options.command, options.env, options.minor);
        containerPort = args.port;
        const ended = AbortSignal.any([stopped.signal, fatal.signal, died.signal]);
        const plan = await boot(options, args, env, ended, (entered) => (phase = entered));
        const { profile, engine, maxModelLen } = plan;
        const metrics = replicaMetrics({
            modelName: args.servedModelNames[0],
            maxModelLen,
            startTime,
            created: env.PROMETHEUS_DISABLE_CREATED_SERIES?.toLowerCase() !== "true",
            now: () => Date.now() / 1000,
            engine: args.logStats,
            hidden: args.showHiddenMetrics,
            cacheConfig: cacheConfig(args, engine.numBlocks),
        });
        const log = (line: string): void => options.log(apiServerLine("INFO", `[loggers.py] ${line}`));
        const serving = new Serving({
            engine,
            requestOverhead: profile.requestOverhead,
            metrics: metrics.engine,
            log: args.logStats ? log : () => undefined,
        });
        const server = createVllmServer(
            {
                names: args.servedModelNames,
                root: args.model,
                maxModelLen,
                blockSize: args.blockSize,
                autoToolChoice: args.autoToolChoice,
                forceIncludeUsage: args.forceIncludeUsage,
                mistralCalls: /mistral/.test(args.given.tool_call_parser ?? ""),
                apiKeys: args.apiKeys.length > 0 ? args.apiKeys : env.VLLM_API_KEY ? [env.VLLM_API_KEY] : [],
                loadTracking: args.serverLoadTracking,
                meanAnswerTokens: profile.meanAnswerTokens,
                random,
                hung: () => hung,
                failure: () => impairments.errors.find(({ rate }) => random() < rate)?.status,
                engineIsDead: () => engineIsDead,
                log: (level, line) => options.log(apiServerLine(level, line)),
            },
            serving,
            { ...metrics, page: () => setMetrics.page(metrics.page()) },
        );
        server.on("request", (_, answer) => {
            answering.add(answer);
            answer.on("close", () => answering.delete(answer));
        });
        server.listen({ port: options.port, host: "127.0.0.1", backlog: 2048 }); // uvicorn's
        await once(server, "listening");
        const { port } = server.address() as { port: number };
        const { shutdownTimeout } = args;
        running = { server, serving, port, profile, shutdownTimeout, since: performance.now() };
        phase = "serving";
        applyImpairments();
        options.log("INFO:     Application startup complete.");
        await untilAborted(ended);
        fatal.signal.throwIfAborted();
        options.log(apiServerLine("INFO", "[launcher.py] Shutting down FastAPI HTTP server."));
    }

    function applyImpairments(): void {
        const { slowness, hanging, stalled, metrics } = impairments;
        running?.serving.slowDown(slowness);
        running?.serving.stall(hanging || stalled);
        setMetrics.set(metrics);
        if (hanging) {
            hung ??= new Promise((resolve) => (release = resolve));
        } else {
            release?.();
            hung = undefined;
        }
    }

    /** Ends what serves. Answers whether it had to be killed. */
    async function end(): Promise<boolean> {
        if (!running) return false;
        const { server, serving, shutdownTimeout } = running;
        running = undefined;
        phase = "draining";
        const closed = once(server, "close");
        server.close();
        const untilAnswered = async (end: number): Promise<void> => {
            while (answering.size > 0 && performance.now() < Math.min(end, killedAt)) await sleep(10);
        };
        if (stopped.signal.aborted && (options.minor ?? 13) >= 18) {
            await untilAnswered(performance.now() + shutdownTimeout * 1000);
            if (performance.now() < killedAt) serving.die();
        }
        // 0.13 ends the engine first: no token comes any more, and the process waits for its clients to leave.
        serving.close();
        await untilAnswered(killedAt);
        const isKilled = answering.size > 0;
        server.closeAllConnections();
        await closed;
        return isKilled;
    }

    /**
     * What `src/vllm/drain.py` does after SIGTERM, by the server's figures in place of its metrics. Its looks are a platform's
     * second apart, since what they wait for is the platform; its time to wait is real, since requests are.
     */
    async function drain(seconds: number): Promise<void> {
        phase = "draining";
        const lookEveryMs = Math.max(shortestLookMs, 1000 / options.speed);
        const end = Math.min(killedAt, performance.now() + seconds * 1000);
        const over = AbortSignal.any([fatal.signal, died.signal]);
        let atRest = 0;
        options.log(`[drain] SIGTERM: the server has up to ${seconds} s to answer what it has`);
        while (running && atRest < looksAtRest && performance.now() < end && !over.aborted) {
            if (hung && (await silent())) {
                fatal.abort(new CommandError(killedCode, "the server does not answer"));
                return;
            }
            const { running: batch, waiting } = running.serving.load;
            atRest = batch + waiting + answering.size === 0 ? atRest + 1 : 0;
            await sleep(lookEveryMs);
        }
    }

    /** Whether a server that hangs goes on hanging until three looks have had no answer. */
    async function silent(): Promise<boolean> {
        const end = performance.now() + silentMs;
        while (hung && performance.now() < Math.min(end, killedAt)) await sleep(10);
        return hung !== undefined;
    }

    const exited = run()
        .then(
            () => ({ code: 0 }),
            (failure: Error) => {
                const error = fatal.signal.aborted ? (fatal.signal.reason as Error) : failure;
                if (stopped.signal.aborted) return { code: 0 };
                const lines = error.message.split("\n");
                const ofVllm = error instanceof CommandError && error.code === 1;
                for (const line of lines) options.log(ofVllm ? apiServerLine("ERROR", line) : line);
                return { code: error instanceof CommandError ? error.code : 1, reason: lastError(lines) };
            },
        )
        .then(async (result) => {
            const killed = await end();
            phase = "ended";
            return killed && result.code === 0 ? { code: killedCode } : result;
        });

    return {
        get port() {
            return running?.port ?? 0;
        },
        get containerPort() {
            return containerPort;
        },
        get ready() {
            return running !== undefined;
        },
        get phase() {
            if (phase !== "serving") return phase;
            return hung ? "hanging" : impairments.stalled ? "stalled" : phase;
        },
        get load() {
            return running?.serving.load ?? { running: 0, waiting: 0, kvUsage: 0 };
        },
        get usage() {
            const host = running?.profile.host;
            if (!running || !host) return { cores: 1, memory: 2 * 1024 ** 3 }; // of a boot; guess
            const busy = running.serving.load.running > 0;
            return { cores: busy ? host.busyCores : host.idleCores, memory: host.memory };
        },
        exited,
        connect() {
            if (!running) throw new Error("connect ECONNREFUSED");
            const [ours, its] = localConnection();
            running.server.emit("connection", its);
            return ours;
        },
        async stop(seconds = 0) {
            killedAt = performance.now() + seconds * 1000;
            if (drained && seconds > 0) await drain(drained.seconds);
            stopped.abort();
            await exited;
        },
        impair(now) {
            impairments = now;
            applyImpairments();
        },
        crash() {
            fatal.abort(new CommandError(139, "Segmentation fault (core dumped)"));
        },
        outOfMemory() {
            const total = (running?.profile ?? profileFor("", options.gpuModel, options.profiles)).memory.gpu;
            const error =
                `torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of ` +
                `${(total / 1024 ** 3).toFixed(2)} GiB of which 1.02 GiB is free.`;
            options.log(logLine("EngineCore_DP0", "ERROR", "[core.py] EngineCore encountered a fatal error."));
            options.log(logLine("EngineCore_DP0", "ERROR", `[core.py] ${error}`));
            const dies = new CommandError(
                1,
                `${error}\nRuntimeError: Engine core initialization failed. See root cause above.`,
            );
            if (!running) return fatal.abort(dies);
            engineIsDead = true;
            running.serving.die();
            const untilLooked = watchdogMs - ((performance.now() - running.since) % watchdogMs);
            setTimeout(() => died.abort(), untilLooked).unref();
            return undefined;
        },
    };
}

/** The last error of a log, in one line: those of a configuration take several. */
function lastError(lines: string[]): string {
    const first = lines.findLastIndex((line) => /^[\w.]+Error: \d+ validation error/.test(line));
    return first < 0
        ? lines.at(-1)!
        : lines
              .slice(first)
              .map((line) => line.trim())
              .join(" ");
}

interface BootPlan {
    profile: Profile;
    engine: ConstructorParameters<typeof Serving>[0]["engine"];
    maxModelLen: number;
}

/** Takes a replica through the phases of its start. Throws a CommandError where vLLM would give up. */
async function boot(
    options: ReplicaOptions,
    args: ServerArguments,
    env: Record<string, string>,
    signal: AbortSignal,
    enter: (phase: Phase) => void,
): Promise<BootPlan> {
    const folder = options.folders?.find(({ path }) => args.model === path || args.model.startsWith(`${path}/`));
    const isFolder = args.model.startsWith("/");
    const profile = profileFor(isFolder ? args.servedModelNames[0] : args.model, options.gpuModel, options.profiles);
    const gpus = options.gpus ?? 1;
    const { boot: seconds, memory } = profile;
    const pass = (simulated: number): Promise<unknown> =>
        sleep((simulated * 1000) / options.speed, undefined, { signal });
    const say = (line: string): void => options.log(apiServerLine("INFO", line));
    const sayEngine = (line: string): void => options.log(logLine("EngineCore_DP0", "INFO", line));
    const gib = (bytes: number): string => (bytes / 1024 ** 3).toFixed(2);
    const grouped = (count: number): string => count.toLocaleString("en");

    say(`[api_server.py] vLLM API server version ${vllmVersion}`);
    const given = Object.entries(args.given).map(([name, value]) => `'${name}': ${value}`);
    say(`[utils.py] non-default args: {${given.join(", ")}}`);
    say(`[sandbox] simulated, with the timing of ${profile.name}: no model is loaded and no GPU is used`);
    if (options.minor !== undefined && options.minor !== 13) {
        say(`[sandbox] release 0.${options.minor} is simulated as ${vllmVersion}, except for how it ends`);
    }
    if (args.withoutEffect.length > 0) {
        say(`[sandbox] without effect in the simulation: ${args.withoutEffect.join(", ")}`);
    }
    const download = folder?.isCached ? 0 : seconds.download;
    if (folder) {
        // The platform does it before the container starts; in the same time as the hub would take, unless it has it.
        const from = folder.isCached ? "the platform's cache" : "object storage";
        say(`[sandbox] the files in ${folder.path} come from ${from}`);
        enter("downloading");
        await pass(download);
        enter("starting");
    }
    await pass(seconds.start);

    if (!isFolder) {
        if (options.hubRefuses) throw gated(args.model);
        checkAccess(args.model, args.hfToken ?? env.HF_TOKEN ?? env.HUGGING_FACE_HUB_TOKEN ?? "");
    } else if (!folder) throw valueError(`Invalid repository ID or local directory specified: '${args.model}'.`);
    const longest = args.maxPositions ?? profile.maxModelLen;
    const maxModelLen = args.maxModelLen ?? longest;
    if (maxModelLen > longest && env.VLLM_ALLOW_LONG_MAX_MODEL_LEN !== "1") throw tooLong(maxModelLen, longest);
    if (args.tensorParallelSize > gpus) {
        throw valueError(
            `World size (${args.tensorParallelSize}) is larger than the number of available GPUs (${gpus}) in this node.`,
        );
    }
    const { maxNumSeqs, maxNumBatchedTokens } = batchLimits(args, profile, maxModelLen);
    say(`[model.py] Using max model len ${maxModelLen}`);
    say(`[scheduler.py] Chunked prefill is enabled with max_num_batched_tokens=${maxNumBatchedTokens}.`);
    sayEngine(`[core.py] Initializing a V1 LLM engine (v${vllmVersion}) with config: model='${args.model}'`);
    sayEngine(`[gpu_model_runner.py] Starting to load model ${args.model}...`);

    if (!folder) {
        enter("downloading");
        await pass(download);
        sayEngine(`[weight_utils.py] Time spent downloading weights for ${args.model}: ${download.toFixed(6)} seconds`);
    }
    if (args.startFault) {
        const { engine, server } = args.startFault;
        if (engine) options.log(logLine("EngineCore_DP0", "ERROR", `[core.py] ${engine}`));
        throw new CommandError(1, server);
    }
    enter("loading");
    await pass(seconds.load);
    sayEngine(`[default_loader.py] Loading weights took ${seconds.load.toFixed(2)} seconds`);
    sayEngine(
        `[gpu_model_runner.py] Model loading took ${(memory.weights / 1024 ** 3 / args.tensorParallelSize).toFixed(4)} GiB memory`,
    );
    enter("compiling");
    await pass(seconds.compile);
    sayEngine(`[monitor.py] torch.compile takes ${seconds.compile.toFixed(2)} s in total`);

    const numBlocks = kvBlocks(profile, args.tensorParallelSize, args.gpuMemoryUtilization, args.blockSize);
    const tokens = numBlocks * args.blockSize;
    if (numBlocks < 2) {
        throw valueError(
            "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine.",
        );
    }
    if (tokens < maxModelLen) {
        throw valueError(
            `To serve at least one request with the models's max seq len (${maxModelLen}), (${gib(maxModelLen * memory.kvPerToken)} GiB KV cache is needed, ` +
                `which is larger than the available KV cache memory (${gib(tokens * memory.kvPerToken)} GiB). Based on the available memory, ` +
                `the estimated maximum model length is ${tokens}. Try increasing \`gpu_memory_utilization\` or decreasing \`max_model_len\` when initializing the engine.`,
        );
    }
    sayEngine(
        `[gpu_worker.py] Available KV cache memory: ${gib((tokens * memory.kvPerToken) / args.tensorParallelSize)} GiB`,
    );
    sayEngine(`[kv_cache_utils.py] GPU KV cache size: ${grouped(tokens)} tokens`);
    sayEngine(
        `[kv_cache_utils.py] Maximum concurrency for ${grouped(maxModelLen)} tokens per request: ${(tokens / maxModelLen).toFixed(2)}x`,
    );
    enter("warming-up");
    await pass(seconds.warmUp);
    sayEngine(
        `[core.py] init engine (profile, create kv cache, warmup model) took ${(seconds.compile + seconds.warmUp).toFixed(2)} seconds`,
    );
    if (args.logStats) {
        say(
            `[loggers.py] Engine 000: vllm cache_config_info with initialization after num_gpu_blocks is: ${numBlocks}`,
        );
    }
    say(`[api_server.py] Starting vLLM API server 0 on http://${args.host}:${args.port}`);

    const faster = speedup(args.tensorParallelSize);
    const { base, prefillToken, decodeSequence, contextToken, spread } = profile.step;
    return {
        profile,
        maxModelLen,
        engine: {
            maxNumSeqs,
            maxNumBatchedTokens,
            chunkedPrefill: args.chunkedPrefill,
            longPrefillTokenThreshold: args.longPrefillTokenThreshold,
            prefixCaching: args.prefixCaching,
            blockSize: args.blockSize,
            numBlocks,
            step: {
                base: base / faster,
                prefillToken: prefillToken / faster,
                decodeSequence: decodeSequence / faster,
                contextToken: contextToken / faster,
                spread,
            },
            random: options.seed === undefined ? Math.random : seededRandom(options.seed),
        },
    };
}

/** The size of a batch: of the two limits, the one that was not given follows the other. */
function batchLimits(
    args: ServerArguments,
    { defaults }: Profile,
    maxModelLen: number,
): { maxNumSeqs: number; maxNumBatchedTokens: number } {
    const sequences = args.maxNumSeqs ?? defaults.maxNumSeqs;
    const wanted = args.chunkedPrefill
        ? defaults.maxNumBatchedTokens
        : Math.max(maxModelLen, defaults.maxNumBatchedTokens);
    const maxNumBatchedTokens = args.maxNumBatchedTokens ?? Math.min(sequences * maxModelLen, wanted);
    const maxNumSeqs = args.maxNumSeqs ?? Math.min(sequences, maxNumBatchedTokens);
    const refuse = (message: string): CommandError =>
        validationError("SchedulerConfig", [
            `  Value error, max_num_batched_tokens (${maxNumBatchedTokens}) ${message}`,
        ]);
    if (maxNumBatchedTokens < maxModelLen && !args.chunkedPrefill) {
        throw refuse(
            `is smaller than max_model_len (${maxModelLen}). This effectively limits the maximum sequence length to ` +
                "max_num_batched_tokens and makes vLLM reject longer sequences. Please increase max_num_batched_tokens " +
                "or decrease max_model_len.",
        );
    }
    if (maxNumBatchedTokens < maxNumSeqs) {
        throw refuse(`must be greater than or equal to max_num_seqs (${maxNumSeqs}).`);
    }
    return { maxNumSeqs, maxNumBatchedTokens };
}

function tooLong(maxModelLen: number, longest: number): CommandError {
    const variable = "VLLM_ALLOW_LONG_MAX_MODEL_LEN";
    return validationError("ModelConfig", [
        `  Value error, User-specified max_model_len (${maxModelLen}) is greater than the derived max_model_len ` +
            `(max_position_embeddings=${longest}.0 or model_max_length=None in model's config.json). To allow overriding ` +
            `this maximum, set the env var ${variable}=1. ${variable} must be used with extreme caution. If the model ` +
            "uses relative position encoding (RoPE), positions exceeding derived_max_model_len lead to nan. If the model " +
            "uses absolute position encoding, positions exceeding derived_max_model_len will cause a CUDA array " +
            "out-of-bounds error.",
    ]);
}

/** Owners whose models need no token. The hub is never asked: everything else is treated as gated. */
const openOwners = /^(Qwen|HuggingFaceTB|facebook|ibm-granite|openai)\//;

/** Refuses as huggingface_hub does. A token that looks like one is taken, unless it says that it is invalid. */
function checkAccess(model: string, token: string): void {
    if (openOwners.test(model) || (token.startsWith("hf_") && !token.includes("invalid"))) return;
    throw gated(model);
}

function gated(model: string): CommandError {
    return new CommandError(
        1,
        "huggingface_hub.errors.GatedRepoError: 401 Client Error.\n" +
            `Cannot access gated repo for url https://huggingface.co/${model}/resolve/main/config.json.\n` +
            `Access to model ${model} is restricted. You must have access to it and be authenticated to access it. Please log in.\n` +
            `OSError: You are trying to access a gated repo: ${model} (401 Client Error: Cannot access gated repo). ` +
            "Make sure to have access to it and pass a token with that access in HF_TOKEN.",
    );
}

/** What the command line says of vLLM's cache configuration. */
function cacheConfig(args: ServerArguments, numBlocks: number): Record<string, string> {
    return cacheConfigLabels({
        block_size: String(args.blockSize),
        cache_dtype: args.given.kv_cache_dtype?.replace(/'/g, ""),
        cpu_offload_gb: args.given.cpu_offload_gb,
        enable_prefix_caching: args.prefixCaching ? "True" : "False",
        gpu_memory_utilization: String(args.gpuMemoryUtilization),
        num_gpu_blocks: String(numBlocks),
        swap_space: args.given.swap_space,
    });
}

function apiServerLine(level: "INFO" | "WARNING" | "ERROR", text: string): string {
    return logLine("APIServer", level, text);
}

/** A line of vLLM's log: process, level, time of day, text. */
function logLine(process: string, level: string, text: string): string {
    const [date, time] = new Date().toISOString().split("T");
    return `(${process} pid=${process === "APIServer" ? 1 : 140}) ${level} ${date.slice(5)} ${time.slice(0, 8)} ${text}`;
}

function untilAborted(signal: AbortSignal): Promise<unknown> {
    return signal.aborted ? Promise.resolve() : once(signal, "abort");
}
