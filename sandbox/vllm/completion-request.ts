import { createHash } from "node:crypto";

/** Reads the body of a completion request as vLLM validates it, and refuses what a simulation cannot stand in for. */

/** A refusal in vLLM's shape. */
export class Refusal extends Error {
    constructor(
        readonly status: number,
        readonly type: string,
        message: string,
        readonly param: string | null = null,
    ) {
        super(message);
    }

    get body(): object {
        return { error: { message: this.message, type: this.type, param: this.param, code: this.status } };
    }
}

export type Kind = "chat" | "text";

export interface Prompt {
    tokens: number;
    /** One hash for each whole block; a hash stands for everything before it, too. */
    blocks: string[];
}

export interface CompletionRequest {
    kind: Kind;
    /** One for a chat; as many as were given for a text completion. */
    prompts: Prompt[];
    /** Answers to each prompt. */
    n: number;
    askedMaxTokens?: number;
    minTokens: number;
    ignoreEos: boolean;
    stop: string[];
    includeStop: boolean;
    seed?: number;
    stream: boolean;
    usage: "none" | "last" | "each";
}

export interface ModelFacts {
    names: string[];
    maxModelLen: number;
    blockSize: number;
    autoToolChoice: boolean;
}

type Body = Record<string, unknown>;

/** Parameters that choose among words or name the client: of no consequence for tokens and times. */
const withoutEffect = new Set([
    "user", "metadata", "store", "service_tier", "parallel_tool_calls", "top_k", "min_p", "repetition_penalty",
    "length_penalty", "skip_special_tokens", "spaces_between_special_tokens", "include_reasoning", "bad_words",
    "safety_identifier", "prompt_cache_key", "verbosity",
]); // prettier-ignore

/** Parameters whose effect is not simulated: only these values pass, which ask for nothing. */
const onlyValues: Record<string, unknown[]> = {
    logprobs: [false],
    top_logprobs: [0],
    prompt_logprobs: [],
    echo: [false],
    best_of: [1],
    suffix: [""],
    priority: [0],
    use_beam_search: [false],
    add_generation_prompt: [true],
    continue_final_message: [false],
    add_special_tokens: [true, false],
    return_token_ids: [false],
    return_tokens_as_token_ids: [false],
};

/** Parameters that are read below. */
const read = new Set([
    "model", "messages", "prompt", "n", "max_tokens", "max_completion_tokens", "min_tokens", "ignore_eos", "stop",
    "include_stop_str_in_output", "seed", "stream", "stream_options", "temperature", "top_p", "presence_penalty",
    "frequency_penalty", "tools", "tool_choice", "response_format", "logit_bias",
]); // prettier-ignore

const bad = (message: string, param: string | null = null): Refusal =>
    new Refusal(400, "BadRequestError", message, param);
/** What vLLM's schema refuses before a handler sees it. */
const malformed = (message: string, param: string | null = null): Refusal =>
    new Refusal(400, "Bad Request", message, param);

/** Throws a Refusal: 404 for an unknown model, 400 for everything else. */
export function readCompletionRequest(kind: Kind, text: string, model: ModelFacts): CompletionRequest {
    const body = parse(text);
    const required = kind === "chat" ? "messages" : "prompt";
    if (body[required] === undefined) throw malformed(`body.${required}: Field required`, required);
    if (body.model !== undefined && body.model !== null && !model.names.includes(body.model as string)) {
        const message = `The model \`${body.model as string}\` does not exist.`;
        throw new Refusal(404, "NotFoundError", message, "model");
    }
    for (const [name, value] of Object.entries(body)) {
        if (value === null || read.has(name) || withoutEffect.has(name) || onlyValues[name]?.includes(value)) continue;
        throw notSimulated(name);
    }
    checkSampling(body);
    checkTools(body, model);
    if (body.response_format != null && (body.response_format as Body).type !== "text") {
        throw notSimulated("response_format");
    }
    if (body.logit_bias != null && Object.keys(body.logit_bias).length > 0) throw notSimulated("logit_bias");

    const prompts =
        kind === "chat" ? [chatPrompt(body.messages, model.blockSize)] : textPrompts(body.prompt, model.blockSize);
    const asked = kind === "chat" ? integer(body, "max_completion_tokens", 1) : undefined;
    const askedMaxTokens = asked ?? integer(body, "max_tokens", 1);
    const longest = Math.max(...prompts.map(({ tokens }) => tokens));
    if (longest >= model.maxModelLen) {
        throw bad(
            `This model's maximum context length is ${model.maxModelLen} tokens. However, your request has ${longest} input tokens. ` +
                "Please reduce the length of the input messages.",
            "input_tokens",
        );
    }
    if (askedMaxTokens !== undefined && askedMaxTokens > model.maxModelLen - longest) {
        throw bad(
            `'max_tokens' or 'max_completion_tokens' is too large: ${askedMaxTokens}. This model's maximum context length is ` +
                `${model.maxModelLen} tokens and your request has ${longest} input tokens (${askedMaxTokens} > ${model.maxModelLen} - ${longest}).`,
            "max_tokens",
        );
    }
    const minTokens = integer(body, "min_tokens", 0) ?? 0;
    if (askedMaxTokens !== undefined && minTokens > askedMaxTokens) {
        throw bad(
            `min_tokens must be less than or equal to max_tokens=${askedMaxTokens}, got ${minTokens}.`,
            "min_tokens",
        );
    }
    const stream = boolean(body, "stream");
    const options = (body.stream_options ?? {}) as Body;
    if (body.stream_options != null && !stream) {
        throw malformed("Stream options can only be defined when `stream=True`.", "stream_options");
    }
    const includeUsage = boolean(options, "include_usage");
    return {
        kind,
        prompts,
        n: integer(body, "n", 1) ?? 1,
        askedMaxTokens,
        minTokens,
        ignoreEos: boolean(body, "ignore_eos"),
        stop: stops(body.stop),
        includeStop: boolean(body, "include_stop_str_in_output"),
        seed: integer(body, "seed", -(2 ** 63)),
        stream,
        usage: !includeUsage ? "none" : boolean(options, "continuous_usage_stats") ? "each" : "last",
    };
}

function parse(text: string): Body {
    let body: unknown;
    try {
        body = JSON.parse(text);
    } catch (error) {
        throw malformed(`body: JSON decode error: ${(error as Error).message}`);
    }
    if (typeof body !== "object" || body === null || Array.isArray(body)) {
        throw malformed("body: Input should be a valid dictionary");
    }
    return body as Body;
}

function notSimulated(name: string): Refusal {
    return bad(`${name}: the sandbox does not simulate this parameter with this value`, name);
}

function checkSampling(body: Body): void {
    const within = (name: string, ok: (value: number) => boolean, rule: string): void => {
        const value = number(body, name);
        if (value !== undefined && !ok(value)) throw bad(`${name} must be ${rule}, got ${value}.`, name);
    };
    within("temperature", (value) => value >= 0, "non-negative");
    within("top_p", (value) => value > 0 && value <= 1, "in (0, 1]");
    within("presence_penalty", (value) => Math.abs(value) <= 2, "in [-2, 2]");
    within("frequency_penalty", (value) => Math.abs(value) <= 2, "in [-2, 2]");
    if (body.temperature === 0 && Number(body.n ?? 1) > 1) {
        throw bad(`n must be 1 when using greedy sampling, got ${Number(body.n)}.`, "n");
    }
}

/** Tools may be offered; the simulated model never calls one, so nothing may insist that it does. */
function checkTools(body: Body, model: ModelFacts): void {
    const tools = body.tools as unknown[] | null | undefined;
    const choice = body.tool_choice ?? (tools?.length ? "auto" : "none");
    if (choice === "none") return;
    if (!tools?.length) throw malformed("When using `tool_choice`, `tools` must be set.", "tool_choice");
    if (choice !== "auto") throw notSimulated("tool_choice");
    if (!model.autoToolChoice) {
        throw bad(
            '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
            "tool_choice",
        );
    }
}

function chatPrompt(messages: unknown, blockSize: number): Prompt {
    if (!Array.isArray(messages)) throw malformed("body.messages: Input should be a valid list", "messages");
    if (messages.length === 0) throw bad("list index out of range: at least one message is needed", "messages");
    const parts = (messages as Body[]).map((message, i) => {
        if (typeof message?.role !== "string") throw malformed(`body.messages.${i}.role: Field required`, "messages");
        const content = message.content ?? "";
        if (typeof content === "string") return `[${message.role}]${content}`;
        const texts = (content as Body[]).map((part) => {
            if (part.type !== "text") {
                throw bad(`messages: the sandbox does not simulate content of type ${String(part.type)}`, "messages");
            }
            return String(part.text);
        });
        return `[${message.role}]${texts.join("\n")}`;
    });
    return promptOfText(parts.join("\n"), blockSize);
}

/** A text, texts, token ids or lists of token ids. */
function textPrompts(prompt: unknown, blockSize: number): Prompt[] {
    const ids = (list: number[]): Prompt =>
        promptOf(list.length, (from, to) => list.slice(from, to).join(","), blockSize);
    const isIds = (value: unknown): value is number[] =>
        Array.isArray(value) && value.length > 0 && value.every(Number.isInteger);
    if (isIds(prompt)) return [ids(prompt)];
    const list = (Array.isArray(prompt) ? prompt : [prompt]) as unknown[];
    if (list.length === 0 || list.includes("")) {
        throw bad("Either prompt or prompt_embeds must be provided and non-empty.", "prompt");
    }
    return list.map((one) => {
        if (typeof one === "string") return promptOfText(one, blockSize);
        if (isIds(one)) return ids(one);
        throw malformed("body.prompt: Input should be a valid string or a list", "prompt");
    });
}

/** A simulated token is four characters: the rule of thumb for English; there is no tokenizer here. */
const charactersPerToken = 4;

function promptOfText(text: string, blockSize: number): Prompt {
    const tokens = Math.max(1, Math.ceil(text.length / charactersPerToken));
    return promptOf(tokens, (from, to) => text.slice(from * charactersPerToken, to * charactersPerToken), blockSize);
}

function promptOf(tokens: number, slice: (from: number, to: number) => string, blockSize: number): Prompt {
    const blocks: string[] = [];
    let hash = "";
    for (let from = 0; from + blockSize <= tokens; from += blockSize) {
        hash = createHash("sha1")
            .update(hash)
            .update("\0")
            .update(slice(from, from + blockSize))
            .digest("base64");
        blocks.push(hash);
    }
    return { tokens, blocks };
}

function stops(value: unknown): string[] {
    if (value == null) return [];
    const list = (Array.isArray(value) ? value : [value]) as unknown[];
    if (!list.every((one): one is string => typeof one === "string")) {
        throw malformed("body.stop: Input should be a valid string", "stop");
    }
    if (list.includes("")) throw bad("stop cannot contain an empty string.", "stop");
    return list;
}

function number(body: Body, name: string): number | undefined {
    const value = body[name];
    if (value == null) return undefined;
    if (typeof value !== "number") throw malformed(`body.${name}: Input should be a valid number`, name);
    return value;
}

function integer(body: Body, name: string, least: number): number | undefined {
    const value = number(body, name);
    if (value === undefined) return undefined;
    if (!Number.isInteger(value)) throw malformed(`body.${name}: Input should be a valid integer`, name);
    if (value < least) throw bad(`${name} must be at least ${least}, got ${value}.`, name);
    return value;
}

function boolean(body: Body, name: string): boolean {
    const value = body[name] ?? false;
    if (typeof value !== "boolean") throw malformed(`body.${name}: Input should be a valid boolean`, name);
    return value;
}
