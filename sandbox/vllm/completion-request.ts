import { createHash } from "node:crypto";
import { HttpError } from "../http-server";
import { tokenOfId, tokensOf } from "./tokenizer";
import { toolCall, type Tool, type ToolCall, type ToolChoice } from "./tool-call";

/** Reads the body of a completion request as vLLM validates it, and refuses what a simulation cannot stand in for. */

/** A refusal in vLLM's shape. */
export class Refusal extends HttpError {
    constructor(
        status: number,
        readonly type: string,
        message: string,
        readonly param: string | null = null,
    ) {
        super(status, message);
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
    /** How many of the most probable tokens to tell with each one; undefined: no log probabilities. */
    logprobs?: number;
    /** The call of a tool that stands for the text of every answer. */
    toolCall?: ToolCall;
    /** Whether a call ends with `tool_calls`; one that was forced by name ends with `stop`. */
    endsWithToolCalls: boolean;
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
    "frequency_penalty", "tools", "tool_choice", "response_format", "logit_bias", "logprobs", "top_logprobs",
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
    checkModel(body, model);
    for (const [name, value] of Object.entries(body)) {
        if (value === null || read.has(name) || withoutEffect.has(name) || onlyValues[name]?.includes(value)) continue;
        throw notSimulated(name);
    }
    checkSampling(body);
    const tools = kind === "chat" ? readTools(body.tools) : [];
    const choice = readToolChoice(body, tools, model);
    if (body.response_format != null && (body.response_format as Body).type !== "text") {
        throw notSimulated("response_format");
    }
    if (body.logit_bias != null && Object.keys(body.logit_bias).length > 0) throw notSimulated("logit_bias");

    const prompts =
        kind === "chat"
            ? [chatPrompt(body.messages, body.tools, model.blockSize)]
            : textPrompts(body.prompt, model.blockSize);
    const n = integer(body, "n", 1) ?? 1;
    if (n * prompts.length > mostSequences) {
        throw bad(
            `n must be at most ${mostSequences} over all prompts, got ${n}: vLLM 0.13.0 itself would not survive it.`,
            "n",
        );
    }
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
        n,
        askedMaxTokens,
        minTokens,
        ignoreEos: boolean(body, "ignore_eos"),
        stop: stops(body.stop),
        includeStop: boolean(body, "include_stop_str_in_output"),
        seed: integer(body, "seed", -(2 ** 63)),
        stream,
        usage: !includeUsage ? "none" : boolean(options, "continuous_usage_stats") ? "each" : "last",
        logprobs: kind === "chat" ? chatLogprobs(body) : textLogprobs(body),
        toolCall: kind === "chat" ? answerByTool(choice, tools, body.messages as Body[]) : undefined,
        endsWithToolCalls: choice.mode !== "named",
    };
}

/**
 * Sequences of one request. 0.13.0 has no limit and is killed by a huge `n` (GHSA-3mwp-wvh9-7528); this is the one of
 * the version that mends it, the default of VLLM_MAX_N_SEQUENCES.
 */
const mostSequences = 16_384;

/** `--max-logprobs` */
const maxLogprobs = 20;

function chatLogprobs(body: Body): number | undefined {
    const wanted = boolean(body, "logprobs");
    const top = integer(body, "top_logprobs", 0);
    if (top !== undefined && top > 0 && !wanted) {
        throw malformed("when using `top_logprobs`, `logprobs` must be set to true.", "top_logprobs");
    }
    return wanted ? withinMost(top ?? 0) : undefined;
}

function textLogprobs(body: Body): number | undefined {
    const wanted = integer(body, "logprobs", 0);
    return wanted === undefined ? undefined : withinMost(wanted);
}

function withinMost(count: number): number {
    if (count <= maxLogprobs) return count;
    throw bad(`Requested sample logprobs of ${count}, which is greater than max allowed: ${maxLogprobs}`, "logprobs");
}

/** Reads the body of `/tokenize`: a text (`prompt`) or a chat (`messages`). */
export function readTokenizeRequest(text: string, model: ModelFacts): { tokens: string[]; withTexts: boolean } {
    const body = parse(text);
    checkModel(body, model);
    const chat = body.messages !== undefined;
    if (!chat && body.prompt === undefined) throw malformed("body.prompt: Field required", "prompt");
    if (!chat && typeof body.prompt !== "string") {
        throw malformed("body.prompt: Input should be a valid string", "prompt");
    }
    const said = chat ? chatText(body.messages, body.tools) : (body.prompt as string);
    return { tokens: tokensOf(said), withTexts: boolean(body, "return_token_strs") };
}

/** Reads the body of `/detokenize` and answers its text. */
export function readDetokenizeRequest(text: string, model: ModelFacts): string {
    const body = parse(text);
    checkModel(body, model);
    if (!Array.isArray(body.tokens)) throw malformed("body.tokens: Field required", "tokens");
    const texts = (body.tokens as unknown[]).map((id) => {
        const token = typeof id === "number" ? tokenOfId(id) : undefined;
        if (token === undefined) throw bad(`token id ${String(id)} is none of the sandbox's tokenizer`, "tokens");
        return token;
    });
    return texts.join("");
}

function checkModel(body: Body, model: ModelFacts): void {
    if (body.model === undefined || body.model === null || model.names.includes(body.model as string)) return;
    const message = `The model \`${body.model as string}\` does not exist.`;
    throw new Refusal(404, "NotFoundError", message, "model");
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

function readTools(value: unknown): Tool[] {
    if (value == null) return [];
    if (!Array.isArray(value)) throw malformed("body.tools: Input should be a valid list", "tools");
    return (value as Body[]).map((tool, i) => {
        const made = tool?.function as Body | undefined;
        if (tool?.type !== "function" || typeof made?.name !== "string") {
            throw malformed(`body.tools.${i}.function.name: Field required`, "tools");
        }
        return { name: made.name, parameters: (made.parameters ?? {}) as Record<string, unknown> };
    });
}

function readToolChoice(body: Body, tools: Tool[], model: ModelFacts): ToolChoice {
    const value = body.tool_choice ?? (tools.length > 0 ? "auto" : "none");
    if (value === "none") return { mode: "none" };
    if (tools.length === 0) throw malformed("When using `tool_choice`, `tools` must be set.", "tool_choice");
    if (value === "required") return { mode: "required" };
    if (value === "auto") {
        if (model.autoToolChoice) return { mode: "auto" };
        throw bad(
            '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
            "tool_choice",
        );
    }
    const name = ((value as Body).function as Body | undefined)?.name;
    if (typeof value !== "object" || typeof name !== "string") {
        throw malformed(
            'Invalid value for `tool_choice`: `tool_choice` must be "none", "auto", "required" or a named tool.',
            "tool_choice",
        );
    }
    if (!tools.some((tool) => tool.name === name)) {
        throw malformed(
            "The tool specified in `tool_choice` does not match any of the specified `tools`",
            "tool_choice",
        );
    }
    return { mode: "named", name };
}

function answerByTool(choice: ToolChoice, tools: Tool[], messages: Body[]): ToolCall | undefined {
    const last = messages[messages.length - 1];
    return toolCall(choice, tools, String(last.role), contentText(last));
}

function chatPrompt(messages: unknown, tools: unknown, blockSize: number): Prompt {
    return promptOfText(chatText(messages, tools), blockSize);
}

/** The conversation as one text, as a chat template makes it. */
function chatText(messages: unknown, tools: unknown): string {
    if (!Array.isArray(messages)) throw malformed("body.messages: Input should be a valid list", "messages");
    if (messages.length === 0) throw bad("list index out of range: at least one message is needed", "messages");
    const parts = (messages as Body[]).map((message, i) => {
        if (typeof message?.role !== "string") throw malformed(`body.messages.${i}.role: Field required`, "messages");
        const calls = message.tool_calls ? JSON.stringify(message.tool_calls) : "";
        return `[${message.role}]${contentText(message)}${calls}`;
    });
    const offered = Array.isArray(tools) && tools.length > 0 ? [`[tools]${JSON.stringify(tools)}`] : [];
    return [...offered, ...parts].join("\n");
}

function contentText({ content }: Body): string {
    if (content == null) return "";
    if (typeof content === "string") return content;
    if (!Array.isArray(content)) throw malformed("body.messages.content: Input should be a valid string", "messages");
    const texts = (content as Body[]).map((part) => {
        if (part?.type === "text") return String(part.text);
        throw bad(`messages: the sandbox does not simulate content of type ${String(part?.type)}`, "messages");
    });
    return texts.join("\n");
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

function promptOfText(text: string, blockSize: number): Prompt {
    const tokens = tokensOf(text);
    return promptOf(Math.max(1, tokens.length), (from, to) => tokens.slice(from, to).join(""), blockSize);
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
