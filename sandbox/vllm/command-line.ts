/** The command line of an app, read as the container would: by a shell when there is one, then by vLLM's argument parser. */

/** The container ends at once: with this exit code, and these lines in its log. */
export class CommandError extends Error {
    constructor(
        readonly code: number,
        message: string,
    ) {
        super(message);
    }
}

export interface ServerArguments {
    model: string;
    servedModelName: string;
    port: number;
    maxNumSeqs: number;
    maxNumBatchedTokens: number;
    maxModelLen: number;
    prefixCaching: boolean;
    autoToolChoice: boolean;
    apiKey?: string;
    logStats: boolean;
}

/** vLLM's flags that take a value, with `-` for `_`. Others of vLLM's many are not known to the simulation and refused. */
const valueFlags = new Set([
    "model", "served-model-name", "port", "host", "tokenizer", "tokenizer-mode", "load-format", "config-format", "dtype",
    "quantization", "max-model-len", "max-num-seqs", "max-num-batched-tokens", "gpu-memory-utilization", "kv-cache-dtype",
    "tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size", "tool-call-parser", "reasoning-parser",
    "chat-template", "api-key", "seed", "revision", "download-dir", "block-size", "swap-space", "limit-mm-per-prompt",
    "uvicorn-log-level", "max-log-len", "api-server-count", "hf-token", "shutdown-timeout", "root-path",
]); // prettier-ignore
const switches = new Set([
    "enable-auto-tool-choice", "enable-prefix-caching", "no-enable-prefix-caching", "enable-chunked-prefill",
    "no-enable-chunked-prefill", "trust-remote-code", "enforce-eager", "disable-log-stats", "disable-log-requests",
    "enable-log-requests", "async-scheduling", "disable-uvicorn-access-log",
]); // prettier-ignore
const toolCallParsers = ["mistral", "hermes", "llama3_json", "llama4_pythonic", "pythonic", "qwen3_coder", "deepseek_v3", "openai"];

/**
 * Words of a shell command: quotes and backslashes as in bash, nothing expanded.
 * Throws a CommandError for what only a real shell could do.
 */
export function shellWords(text: string): string[] {
    const words: string[] = [];
    let word: string | undefined;
    for (let i = 0; i < text.length; i++) {
        const c = text[i];
        if (c === "'" || c === '"') {
            const end = closingQuote(text, i);
            const inside = text.slice(i + 1, end);
            word = (word ?? "") + (c === "'" ? inside : inside.replace(/\\(["\\$`])/g, "$1"));
            i = end;
        } else if (c === "\\") {
            if (text[i + 1] !== "\n") word = (word ?? "") + (text[i + 1] ?? "");
            i++;
        } else if (/\s/.test(c)) {
            if (word !== undefined) words.push(word);
            word = undefined;
        } else if ("|;&<>()$`".includes(c)) {
            throw new CommandError(2, `bash: the sandbox does not simulate "${c}" in a command; give one vLLM command without it`);
        } else {
            word = (word ?? "") + c;
        }
    }
    if (word !== undefined) words.push(word);
    return words;
}

function closingQuote(text: string, start: number): number {
    const quote = text[start];
    for (let i = start + 1; i < text.length; i++) {
        if (quote === '"' && text[i] === "\\") i++;
        else if (text[i] === quote) return i;
    }
    throw new CommandError(2, `bash: -c: line 1: unexpected EOF while looking for matching \`${quote}'`);
}

/** What the server is started with. Throws a CommandError as the shell, Python or vLLM would end. */
export function parseCommand(command: string[]): ServerArguments {
    const viaShell = /^(.*\/)?(ba)?sh$/.test(command[0] ?? "") && command[1] === "-c";
    const words = viaShell ? shellWords(command[2] ?? "") : command;
    if (viaShell && words[0] === "exec") words.shift();
    const [program, ...rest] = words;
    if (program === undefined) return serve([]); // the image's own entrypoint with no argument
    if (/^(.*\/)?python3?$/.test(program)) {
        if (rest[0] !== "-m") throw new CommandError(2, `${program}: can't open file '${rest[0] ?? ""}': [Errno 2] No such file or directory`);
        if (rest[1] !== "vllm.entrypoints.openai.api_server") throw new CommandError(1, `/usr/bin/${program}: No module named ${rest[1] ?? ""}`);
        return serve(rest.slice(2));
    }
    if (program === "vllm") {
        if (rest[0] !== "serve") throw new CommandError(2, `vllm: error: argument subparser: invalid choice: '${rest[0] ?? ""}' (choose from 'chat', 'complete', 'serve', 'bench', 'collect-env', 'run-batch')`);
        const [model, ...flags] = rest.slice(1);
        return model === undefined || model.startsWith("-") ? serve(rest.slice(1)) : serve(["--model", model, ...flags]);
    }
    if (program.startsWith("--")) return serve(words);
    throw new CommandError(127, viaShell ? `bash: line 1: ${program}: command not found` : `exec: "${program}": executable file not found in $PATH`);
}

function serve(words: string[]): ServerArguments {
    const values = new Map<string, string>();
    const given = new Set<string>();
    const unknown: string[] = [];
    for (let i = 0; i < words.length; i++) {
        const [, name, inline] = /^--([^=]+)(?:=(.*))?$/s.exec(words[i]) ?? [];
        const flag = name?.replace(/_/g, "-");
        if (flag === undefined) {
            unknown.push(words[i]);
        } else if (valueFlags.has(flag)) {
            const value = inline ?? words[++i];
            if (value === undefined || value.startsWith("--")) usage(`argument --${flag}: expected one argument`);
            values.set(flag, value);
        } else if (switches.has(flag)) {
            given.add(flag);
        } else {
            unknown.push(words[i]);
            if (inline === undefined && words[i + 1] !== undefined && !words[i + 1].startsWith("-")) unknown.push(words[++i]);
        }
    }
    if (unknown.length > 0) usage(`unrecognized arguments: ${unknown.join(" ")}`);
    const integer = (flag: string, fallback: number): number => {
        const text = values.get(flag);
        if (text === undefined) return fallback;
        if (!/^\d+$/.test(text) || Number(text) < 1) usage(`argument --${flag}: invalid int value: '${text}'`);
        return Number(text);
    };
    const parser = values.get("tool-call-parser");
    if (given.has("enable-auto-tool-choice") && parser === undefined) {
        throw new CommandError(1, "TypeError: Error: --enable-auto-tool-choice requires --tool-call-parser");
    }
    if (parser !== undefined && !toolCallParsers.includes(parser)) {
        throw new CommandError(1, `KeyError: 'invalid tool call parser: ${parser} (chose from { ${toolCallParsers.join(",")} })'`);
    }
    const utilization = Number(values.get("gpu-memory-utilization") ?? 0.9);
    if (!(utilization > 0 && utilization <= 1)) {
        throw new CommandError(1, `ValueError: GPU memory utilization must be less than 1.0. Got ${values.get("gpu-memory-utilization")}.`);
    }
    const gpus = integer("tensor-parallel-size", 1) * integer("pipeline-parallel-size", 1);
    if (gpus > 1) throw new CommandError(1, `ValueError: World size (${gpus}) is larger than the number of available GPUs (1) in this node.`);
    const maxModelLen = integer("max-model-len", 262_144);
    const maxNumBatchedTokens = integer("max-num-batched-tokens", 8192);
    const maxNumSeqs = integer("max-num-seqs", 256);
    if (maxNumBatchedTokens < maxNumSeqs) {
        throw new CommandError(1, `ValueError: max_num_batched_tokens (${maxNumBatchedTokens}) must be greater than or equal to max_num_seqs (${maxNumSeqs}).`);
    }
    const model = values.get("model") ?? "Qwen/Qwen3-0.6B";
    return {
        model,
        servedModelName: values.get("served-model-name") ?? model,
        port: integer("port", 8000),
        maxNumSeqs,
        maxNumBatchedTokens,
        maxModelLen,
        prefixCaching: !given.has("no-enable-prefix-caching"),
        autoToolChoice: given.has("enable-auto-tool-choice"),
        apiKey: values.get("api-key"),
        logStats: !given.has("disable-log-stats"),
    };
}

function usage(message: string): never {
    throw new CommandError(2, `usage: api_server.py [-h] [--headless] [--model MODEL] ...\napi_server.py: error: ${message}`);
}
