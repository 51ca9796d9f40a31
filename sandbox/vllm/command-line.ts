import { CommandError, isKnownProgram, startedProgram } from "./shell";

/** The command line of vLLM's OpenAI server, read as its argument parser (v0.13.0) does for the flags that matter. */

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
    gpuMemoryUtilization: number;
    tensorParallelSize: number;
    blockSize: number;
    prefixCaching: boolean;
    autoToolChoice: boolean;
    apiKeys: string[];
    hfToken?: string;
    logStats: boolean;
    /** `--show-hidden-metrics-for-version` names the release before, the only one for which it shows anything. */
    showHiddenMetrics: boolean;
    serverLoadTracking: boolean;
    seed?: number;
    /** Everything given, as vLLM prints it: names with underscores. */
    given: Record<string, string>;
    /** Flags that vLLM knows and that change nothing here. */
    withoutEffect: string[];
}

type Kind = "text" | "int" | "size" | "number" | "json" | "list" | "switch";

/** vLLM's flags by the kind of their value. */
const flagsByKind: Record<Kind, string> = {
    text: `model host tokenizer tokenizer-mode tokenizer-revision load-format config-format dtype quantization revision
        code-revision download-dir kv-cache-dtype tool-call-parser tool-parser-plugin reasoning-parser chat-template
        chat-template-content-format response-role hf-token hf-config-path task runner convert uvicorn-log-level root-path
        generation-config distributed-executor-backend scheduling-policy prefix-caching-hash-algo guided-decoding-backend
        logits-processors kv-transfer-config model-impl ssl-keyfile ssl-certfile ssl-ca-certs attention-backend
        performance-mode log-config-file otlp-traces-endpoint show-hidden-metrics-for-version allowed-local-media-path`,
    int: `port max-num-seqs tensor-parallel-size pipeline-parallel-size data-parallel-size block-size seed max-log-len
        api-server-count max-logprobs max-num-partial-prefills max-long-partial-prefills long-prefill-token-threshold
        num-gpu-blocks-override max-loras max-lora-rank max-cpu-loras mm-processor-cache-gb kv-cache-memory-bytes`,
    size: "max-model-len max-num-batched-tokens",
    number: "gpu-memory-utilization swap-space cpu-offload-gb kv-cache-metrics-sample rope-theta",
    json: `limit-mm-per-prompt mm-processor-kwargs speculative-config compilation-config hf-overrides rope-scaling
        override-generation-config model-loader-extra-config default-chat-template-kwargs structured-outputs-config
        allowed-origins allowed-methods allowed-headers media-io-kwargs`,
    list: "served-model-name api-key lora-modules middleware",
    switch: `enable-auto-tool-choice enable-prefix-caching enable-chunked-prefill trust-remote-code enforce-eager
        disable-log-stats enable-log-requests async-scheduling disable-uvicorn-access-log enable-lora enable-expert-parallel
        enable-server-load-tracking enable-prompt-tokens-details enable-request-id-headers disable-fastapi-docs
        enable-force-include-usage enable-log-outputs return-tokens-as-token-ids disable-custom-all-reduce
        disable-cascade-attn calculate-kv-scales kv-cache-metrics skip-tokenizer-init enable-sleep-mode language-model-only
        enable-mm-embeds exclude-tools-when-tool-choice-none allow-credentials headless`,
};
const kinds = new Map<string, Kind>();
for (const [kind, names] of Object.entries(flagsByKind)) {
    for (const name of names.split(/\s+/)) kinds.set(name, kind as Kind);
}
const shortFlags: Record<string, string> = {
    "-tp": "tensor-parallel-size",
    "-pp": "pipeline-parallel-size",
    "-dp": "data-parallel-size",
    "-q": "quantization",
};
/** Flags that the simulation acts on, or that name a thing it does not have to know (a format, a parser, a place). */
const understood = new Set(
    `model host port served-model-name tokenizer tokenizer-mode load-format config-format dtype quantization revision
    download-dir tool-call-parser chat-template api-key hf-token seed max-num-seqs max-num-batched-tokens max-model-len
    gpu-memory-utilization tensor-parallel-size pipeline-parallel-size data-parallel-size api-server-count block-size
    enable-auto-tool-choice enable-prefix-caching enable-chunked-prefill trust-remote-code disable-log-stats
    disable-uvicorn-access-log show-hidden-metrics-for-version enable-server-load-tracking uvicorn-log-level`.split(
        /\s+/,
    ),
);

const dtypes = ["auto", "half", "float16", "bfloat16", "float", "float32"];
/** Built-in tool call parsers. */
const toolCallParsers = `deepseek_v3 deepseek_v31 deepseek_v32 ernie45 glm45 granite granite-20b-fc hermes hunyuan_a13b
    internlm jamba kimi_k2 llama3_json llama4_json llama4_pythonic longcat minimax minimax_m2 mistral olmo3 openai
    phi4_mini_json pythonic qwen3_coder qwen3_xml seed_oss step3 xlam`.split(/\s+/);

/**
 * What the server is started with, and the environment it sees.
 * Throws a CommandError that ends as the shell, Python or vLLM would: 127 for a program that is not there, 2 for a usage
 * error, 1 for what vLLM refuses later.
 */
export function parseCommand(
    command: string[],
    containerEnv: Record<string, string> = {},
): { args: ServerArguments; env: Record<string, string> } {
    if (command.length === 0) return { args: parseFlags([], "vllm", "vllm serve"), env: containerEnv };
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
        return { args: parseFlags(flags, "vllm", "vllm serve"), env };
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
    return { args: parseFlags(flags, "api_server.py", "api_server.py"), env };
}

/** `top` names the program in errors about the whole line, `sub` in those about one argument. */
function parseFlags(words: string[], top: string, sub: string): ServerArguments {
    const usage = (program: string, message: string): CommandError =>
        new CommandError(
            2,
            `usage: ${sub} [-h] [--headless] [--host HOST] [--port PORT] [--model MODEL] ...\n${program}: error: ${message}`,
        );
    const values = new Map<string, string[]>();
    const switches = new Map<string, boolean>();
    const positional: string[] = [];
    const unknown: string[] = [];

    for (let i = 0; i < words.length; i++) {
        const word = words[i];
        const [, long, inline] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
        const isFlag = (text: string | undefined): boolean => text !== undefined && /^-+[A-Za-z]/.test(text);
        const name = long !== undefined ? long.replace(/_/g, "-") : shortFlags[word];
        if (name === undefined) {
            if (isFlag(word)) unknown.push(word);
            else positional.push(word);
            continue;
        }
        const negated = name.startsWith("no-") && kinds.get(name.slice(3)) === "switch";
        const [flag] = (negated ? name.slice(3) : name).split(".");
        const kind = kinds.get(flag);
        if (kind === undefined) {
            unknown.push(word);
            // argparse cannot know whether the next word is a value; it is reported as well.
            if (inline === undefined && words[i + 1] !== undefined && !isFlag(words[i + 1])) unknown.push(words[++i]);
        } else if (kind === "switch") {
            if (inline !== undefined) {
                throw usage(sub, `argument --${flag}/--no-${flag}: ignored explicit argument '${inline}'`);
            }
            switches.set(flag, !negated);
        } else if (kind === "list") {
            const list = inline !== undefined ? [inline] : [];
            while (inline === undefined && words[i + 1] !== undefined && !isFlag(words[i + 1])) list.push(words[++i]);
            if (list.length === 0) throw usage(sub, `argument --${flag}: expected at least one argument`);
            values.set(flag, list);
        } else {
            const value = inline ?? (isFlag(words[i + 1]) ? undefined : words[++i]);
            if (value === undefined) throw usage(sub, `argument --${flag}: expected one argument`);
            checkValue(flag, kind, value, name.includes("."), (message) => usage(sub, message));
            values.set(flag, [value]);
        }
    }
    // Both parsers take one positional argument, the model; only `vllm serve` looks at it.
    unknown.push(...positional.slice(1));
    if (unknown.length > 0) throw usage(top, `unrecognized arguments: ${unknown.join(" ")}`);

    const text = (flag: string): string | undefined => values.get(flag)?.[0];
    const integer = (flag: string): number | undefined => (values.has(flag) ? size(text(flag)!) : undefined);
    const served = sub === "vllm serve" ? positional[0] : undefined;
    const model = served ?? text("model") ?? "Qwen/Qwen3-0.6B";
    const args: ServerArguments = {
        model,
        servedModelNames: values.get("served-model-name") ?? [model],
        host: text("host") ?? "0.0.0.0",
        port: integer("port") ?? 8000,
        maxNumSeqs: integer("max-num-seqs"),
        maxNumBatchedTokens: integer("max-num-batched-tokens"),
        maxModelLen: integer("max-model-len"),
        gpuMemoryUtilization: Number(text("gpu-memory-utilization") ?? 0.9),
        tensorParallelSize: integer("tensor-parallel-size") ?? 1,
        blockSize: integer("block-size") ?? 16,
        prefixCaching: switches.get("enable-prefix-caching") ?? true,
        autoToolChoice: switches.get("enable-auto-tool-choice") ?? false,
        apiKeys: values.get("api-key") ?? [],
        hfToken: text("hf-token"),
        logStats: !switches.get("disable-log-stats"),
        showHiddenMetrics: /^0\.12(\.|$)/.test(text("show-hidden-metrics-for-version") ?? ""),
        serverLoadTracking: switches.get("enable-server-load-tracking") ?? false,
        seed: integer("seed"),
        given: {},
        withoutEffect: [...values.keys(), ...switches.keys()]
            .filter((flag) => !understood.has(flag))
            .map((flag) => `--${flag}`),
    };
    const print = (flag: string, value: string): void => void (args.given[flag.replace(/-/g, "_")] = value);
    if (served !== undefined) print("model_tag", `'${served}'`);
    for (const [flag, list] of values) {
        // vLLM prints keys and tokens, too; this log is read by more people than should see them.
        if (flag === "api-key" || flag === "hf-token") print(flag, "'***'");
        else {
            print(
                flag,
                kinds.get(flag) === "text"
                    ? `'${list[0]}'`
                    : kinds.get(flag) === "list"
                      ? `['${list.join("', '")}']`
                      : list[0],
            );
        }
    }
    for (const [flag, on] of switches) print(flag, on ? "True" : "False");
    refuse(args, text("tool-call-parser"), integer);
    return args;
}

function checkValue(
    flag: string,
    kind: Kind,
    value: string,
    dotted: boolean,
    fail: (message: string) => CommandError,
): void {
    if (kind === "int" && !/^[+-]?\d+$/.test(value)) throw fail(`argument --${flag}: invalid int value: '${value}'`);
    if (kind === "size" && Number.isNaN(size(value))) {
        throw fail(`argument --${flag}: invalid human_readable_int value: '${value}'`);
    }
    if (kind === "number" && (value.trim() === "" || Number.isNaN(Number(value)))) {
        throw fail(`argument --${flag}: invalid float value: '${value}'`);
    }
    if (kind === "json" && !dotted && !isJson(value)) {
        throw fail(`argument --${flag}: Value ${value} cannot be converted to <function loads>.`);
    }
    if (flag === "dtype" && !dtypes.includes(value)) {
        throw fail(
            `argument --dtype: invalid choice: '${value}' (choose from ${dtypes.map((d) => `'${d}'`).join(", ")})`,
        );
    }
}

/** What vLLM refuses after parsing. */
function refuse(
    args: ServerArguments,
    parser: string | undefined,
    integer: (flag: string) => number | undefined,
): void {
    const value = (message: string): CommandError => new CommandError(1, `ValueError: ${message}`);
    if (args.autoToolChoice && parser === undefined) {
        throw new CommandError(1, "TypeError: Error: --enable-auto-tool-choice requires --tool-call-parser");
    }
    if (args.autoToolChoice && !toolCallParsers.includes(parser!)) {
        throw new CommandError(
            1,
            `KeyError: 'invalid tool call parser: ${parser} (chose from { ${toolCallParsers.join(",")} })'`,
        );
    }
    if (!(args.gpuMemoryUtilization > 0 && args.gpuMemoryUtilization <= 1)) {
        throw value(`GPU memory utilization must be less than 1.0. Got ${args.gpuMemoryUtilization}.`);
    }
    for (const flag of [
        "max-num-seqs",
        "max-num-batched-tokens",
        "max-model-len",
        "tensor-parallel-size",
        "block-size",
    ]) {
        const given = integer(flag);
        if (given !== undefined && given < 1) {
            throw value(`${flag.replace(/-/g, "_")} must be greater than or equal to 1, got ${given}`);
        }
    }
    for (const flag of ["pipeline-parallel-size", "data-parallel-size", "api-server-count"]) {
        const given = integer(flag) ?? 1;
        if (given !== 1) throw value(`--${flag} ${given}: the sandbox simulates one engine behind one API server`);
    }
    // A repository (`owner/name`, or a name alone); no folder of a simulated volume holds a model.
    if (!/^[\w.-]+(\/[\w.-]+)?$/.test(args.model)) {
        throw value(`Invalid repository ID or local directory specified: '${args.model}'.`);
    }
}

/** An integer, possibly with vLLM's suffixes: 32k is 32,000 and 32K is 32,768. NaN for anything else. */
function size(text: string): number {
    const [, digits, suffix] = /^([+-]?\d+(?:\.\d+)?)([kmgKMG]?)$/.exec(text) ?? [];
    if (digits === undefined || (suffix === "" && digits.includes("."))) return NaN;
    const power = "kmg".indexOf(suffix.toLowerCase()) + 1;
    return Math.floor(Number(digits) * (suffix === suffix.toLowerCase() ? 1000 : 1024) ** (suffix === "" ? 0 : power));
}

function isJson(text: string): boolean {
    try {
        JSON.parse(text);
        return true;
    } catch {
        return false;
    }
}
