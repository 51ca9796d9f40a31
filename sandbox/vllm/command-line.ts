import { checkArguments, startFault, valueError, type StartFault } from "./argument-checks";
import { parseArguments, printed, size } from "./argument-parser";
import { CommandError, isKnownProgram, startedProgram } from "./shell";

/** The command line of vLLM's OpenAI server (v0.13.0): what of it matters here. */

export interface ServerArguments {
    model: string;
    /** The names clients may use; metrics carry the first. */
    servedModelNames: string[];
    host: string;
    port: number;
    /** Undefined: chosen by the profile. */
    maxNumSeqs?: number;
    maxNumBatchedTokens?: number;
    maxModelLen?: number;
    /** The longest context that `--hf-overrides` says the model has. */
    maxPositions?: number;
    gpuMemoryUtilization: number;
    tensorParallelSize: number;
    blockSize: number;
    prefixCaching: boolean;
    chunkedPrefill: boolean;
    /** 0: none. */
    longPrefillTokenThreshold: number;
    autoToolChoice: boolean;
    /** Streams tell their usage unasked. */
    forceIncludeUsage: boolean;
    apiKeys: string[];
    hfToken?: string;
    logStats: boolean;
    /** `--show-hidden-metrics-for-version` names the release before, the only one for which it shows anything. */
    showHiddenMetrics: boolean;
    serverLoadTracking: boolean;
    seed?: number;
    /** Seconds for which requests under way go on after SIGTERM (from 0.18 on); 0: none. */
    shutdownTimeout: number;
    /** With which the engine will not start. */
    startFault?: StartFault;
    /** Everything given, as vLLM prints it: names with underscores. */
    given: Record<string, string>;
    /** Options that vLLM acts on and the simulation does not. */
    withoutEffect: string[];
}

/** Options that the simulation acts on, or that name a thing it does not have to know (a format, a parser, a place). */
const understood = new Set(
    `model host port served-model-name tokenizer tokenizer-mode load-format config-format dtype revision
    download-dir tool-call-parser chat-template api-key hf-token seed max-num-seqs max-num-batched-tokens max-model-len
    gpu-memory-utilization tensor-parallel-size pipeline-parallel-size data-parallel-size api-server-count block-size
    enable-auto-tool-choice enable-prefix-caching enable-chunked-prefill long-prefill-token-threshold trust-remote-code disable-log-stats
    disable-uvicorn-access-log show-hidden-metrics-for-version enable-server-load-tracking uvicorn-log-level shutdown-timeout
    enable-force-include-usage`.split(/\s+/),
);

/**
 * What the server is started with, and the environment it sees. The release is vLLM 0.`minor`.
 * Throws a CommandError that ends as the shell, Python or vLLM would: 127 for a program that is not there, 2 for a usage
 * error, 1 for what vLLM refuses later.
 */
export function parseCommand(
    command: string[],
    containerEnv: Record<string, string> = {},
    minor = 13,
): { args: ServerArguments; env: Record<string, string> } {
    if (command.length === 0) return { args: readArguments([], true, minor), env: containerEnv };
    const { argv, env } = startedProgram(command, containerEnv);
    const [program, ...rest] = argv;
    if (!isKnownProgram(program)) {
        throw new CommandError(127, `exec: "${program}": executable file not found in $PATH`);
    }
    if (/(^|\/)vllm$/.test(program)) {
        const [subcommand, ...flags] = rest;
        if (subcommand === undefined) {
            throw new CommandError(0, "usage: vllm [-h] [-v] {chat,complete,serve,bench,collect-env,run-batch} ...");
        }
        if (subcommand !== "serve") {
            const choices = "(choose from 'chat', 'complete', 'serve', 'bench', 'collect-env', 'run-batch')";
            throw new CommandError(2, `vllm: error: argument subparser: invalid choice: '${subcommand}' ${choices}`);
        }
        return { args: readArguments(flags, true, minor), env };
    }
    while (/^-[uOBEsI]+$/.test(rest[0] ?? "")) rest.shift();
    const [first, module, ...flags] = rest;
    if (first === undefined) throw new CommandError(0, `${program}: end of input: no module was given`);
    if (first !== "-m") {
        throw new CommandError(
            2,
            `${program}: can't open file '/vllm-workspace/${first}': [Errno 2] No such file or directory`,
        );
    }
    if (module === undefined) throw new CommandError(2, `Argument expected for the -m option`);
    if (module !== "vllm.entrypoints.openai.api_server") {
        const where = program.startsWith("/") ? program : `/usr/bin/${program}`;
        const [top] = module.split(".");
        throw new CommandError(
            1,
            top === "vllm"
                ? `${where}: Error while finding module specification for '${module}' (ModuleNotFoundError: No module named '${module}')`
                : `${where}: No module named ${module}`,
        );
    }
    return { args: readArguments(flags, false, minor), env };
}

/** The arguments after `vllm serve` (`served`) or after the module. Throws a CommandError where vLLM would give up. */
function readArguments(words: string[], served: boolean, minor: number): ServerArguments {
    const { model: positional, values } = parseArguments(words, served, minor);
    const text = (flag: string): string | undefined => values.get(flag)?.[0];
    const integer = (flag: string): number | undefined => (values.has(flag) ? size(text(flag)!) : undefined);
    const isOn = (flag: string): boolean | undefined => (values.has(flag) ? text(flag) === "True" : undefined);
    // The module takes a positional argument as well, and ignores it.
    const model = (served ? positional : undefined) ?? text("model") ?? "Qwen/Qwen3-0.6B";
    const args: ServerArguments = {
        model,
        servedModelNames: values.get("served-model-name") ?? [model],
        host: text("host") ?? "0.0.0.0",
        port: integer("port") ?? 8000,
        maxNumSeqs: integer("max-num-seqs"),
        maxNumBatchedTokens: integer("max-num-batched-tokens"),
        maxModelLen: integer("max-model-len"),
        maxPositions: maxPositions(text("hf-overrides")),
        gpuMemoryUtilization: Number(text("gpu-memory-utilization") ?? 0.9),
        tensorParallelSize: integer("tensor-parallel-size") ?? 1,
        blockSize: integer("block-size") ?? 16,
        prefixCaching: isOn("enable-prefix-caching") ?? true,
        chunkedPrefill: isOn("enable-chunked-prefill") ?? true,
        longPrefillTokenThreshold: integer("long-prefill-token-threshold") ?? 0,
        autoToolChoice: isOn("enable-auto-tool-choice") ?? false,
        forceIncludeUsage: isOn("enable-force-include-usage") ?? false,
        apiKeys: values.get("api-key") ?? [],
        hfToken: text("hf-token"),
        logStats: !isOn("disable-log-stats"),
        showHiddenMetrics: /^0\.12(\.|$)/.test(text("show-hidden-metrics-for-version") ?? ""),
        serverLoadTracking: isOn("enable-server-load-tracking") ?? false,
        seed: integer("seed"),
        shutdownTimeout: integer("shutdown-timeout") ?? 0,
        startFault: startFault(values),
        given: {},
        withoutEffect: [...values.keys()].filter((flag) => !understood.has(flag)).map((flag) => `--${flag}`),
    };
    if (served && positional !== undefined) args.given.model_tag = `'${positional}'`;
    for (const [flag, list] of values) {
        // vLLM prints keys and tokens, too; this log is read by more people than should see them.
        const secret = flag === "api-key" || flag === "hf-token";
        args.given[flag.replace(/-/g, "_")] = secret ? "'***'" : printed(flag, list);
    }
    checkArguments(values);
    for (const flag of ["tensor-parallel-size", "pipeline-parallel-size"]) {
        if ((integer(flag) ?? 1) < 1) throw valueError(`--${flag} ${integer(flag)}: must be at least 1`);
    }
    for (const flag of ["pipeline-parallel-size", "data-parallel-size", "api-server-count", "nnodes"]) {
        const given = integer(flag) ?? 1;
        if (given !== 1) throw valueError(`--${flag} ${given}: the sandbox simulates one engine behind one API server`);
    }
    if (isOn("headless")) throw valueError("--headless: the sandbox simulates servers, and this starts none");
    // A repository (`owner/name`, or a name alone), or a folder, of which the replica knows whether it is there.
    if (!/^[\w.-]+(\/[\w.-]+)?$|^\//.test(args.model)) {
        throw valueError(`Invalid repository ID or local directory specified: '${args.model}'.`);
    }
    return args;
}

/** The longest context that `--hf-overrides` gives the model. */
function maxPositions(overrides: string | undefined): number | undefined {
    if (!/^\s*\{/.test(overrides ?? "")) return undefined;
    const given = (JSON.parse(overrides!) as { max_position_embeddings?: unknown }).max_position_embeddings;
    return typeof given === "number" ? given : undefined;
}
