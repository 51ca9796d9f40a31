import { Failure, malformed, Unreadable } from "./refusal";
import {
    any,
    atLeast,
    bool,
    dictOf,
    faultsText,
    float,
    int,
    isObject,
    listOf,
    literal,
    nullable,
    object,
    oneOf,
    optional,
    orNull,
    required,
    str,
    type Fields,
    type Place,
    type Reader,
} from "./schema";

/** The bodies of vLLM's requests: their fields, types and defaults, and what is refused for itself, as in its protocol.py. */

/** How pydantic names a model of vLLM's among the members of a union. */
const model = "function-wrap[__log_extra_fields__()]";

export interface Message {
    role: string;
    content?: string | unknown[];
    tool_calls?: unknown[];
    [field: string]: unknown;
}

/** Of OpenAI's message types, and of vLLM's own, which takes any role. */
const message: Reader<Message> = (value, place, faults) => {
    const fault = (type: string, at: Place, words: string, input: unknown): void =>
        void faults.push({ type, place: [...place, ...at], message: words, input });
    if (!isObject(value)) fault("dict_type", [], "Input should be a valid dictionary", value);
    else if (!("role" in value)) fault("missing", ["role"], "Field required", value);
    else if (typeof value.role !== "string") {
        fault("string_type", ["role"], "Input should be a valid string", value.role);
    } else if ("content" in value && !isContent(value)) {
        fault("string_type", ["content"], "Input should be a valid string", value.content);
    }
    return value as Message;
};

function isContent({ role, content }: Record<string, unknown>): boolean {
    if (content === null) return role === "assistant" || role === "function";
    return typeof content === "string" || typeof content === "object";
}

export interface StructuredOutputs {
    json?: unknown;
    regex?: string;
    choice?: string[];
    grammar?: string;
    json_object?: boolean;
    structural_tag?: string;
}

const structuredOutputs = object<StructuredOutputs>({
    json: nullable(any),
    regex: nullable(str),
    choice: nullable(listOf(str)),
    grammar: nullable(str),
    json_object: nullable(bool),
    structural_tag: nullable(str),
});

export interface ResponseFormat {
    type: "text" | "json_object" | "json_schema" | "structural_tag";
    json_schema?: { schema?: Record<string, unknown> };
}

const tag = literal("structural_tag");
const responseFormat = oneOf<ResponseFormat>([
    [
        model,
        object<ResponseFormat>({
            type: required(literal<ResponseFormat["type"]>("text", "json_object", "json_schema")),
            json_schema: nullable(
                object({
                    name: required(str),
                    description: nullable(str),
                    schema: nullable(dictOf(any)),
                    strict: nullable(bool),
                }),
            ),
        }),
    ],
    [model, object({ type: required(tag), format: required(any) })],
    [
        model,
        object({
            type: required(tag),
            structures: required(listOf(object({ begin: required(str), schema: nullable(dictOf(any)), end: required(str) }))),
            triggers: required(listOf(str)),
        }),
    ],
]); // prettier-ignore

export interface ToolParam {
    type: string;
    function: { name: string; parameters?: Record<string, unknown> };
}

const tool = object<ToolParam>({
    type: optional(literal("function"), "function"),
    function: required(
        object({ name: required(str), description: nullable(str), parameters: nullable(dictOf(any)) }),
    ),
}); // prettier-ignore

export type ToolChoiceParam = "none" | "auto" | "required" | { type: string; function: { name: string } };

const toolChoice = oneOf<ToolChoiceParam>([
    ["literal['none']", literal("none")],
    ["literal['auto']", literal("auto")],
    ["literal['required']", literal("required")],
    [
        model,
        object({
            function: required(object({ name: required(str) })),
            type: optional(literal("function"), "function"),
        }),
    ],
]);

/** What both completion APIs have. */
interface Sampling {
    model?: string;
    frequency_penalty?: number;
    logit_bias?: Record<string, number>;
    max_tokens?: number;
    presence_penalty?: number;
    response_format?: ResponseFormat;
    seed?: number;
    stop?: string | string[];
    stream?: boolean;
    stream_options?: { include_usage?: boolean; continuous_usage_stats?: boolean };
    temperature?: number;
    top_p?: number;
    user?: string;
    use_beam_search: boolean;
    top_k?: number;
    min_p?: number;
    repetition_penalty?: number;
    length_penalty: number;
    stop_token_ids?: number[];
    include_stop_str_in_output: boolean;
    ignore_eos: boolean;
    min_tokens: number;
    skip_special_tokens: boolean;
    spaces_between_special_tokens: boolean;
    truncate_prompt_tokens?: number;
    prompt_logprobs?: number;
    allowed_token_ids?: number[];
    structured_outputs?: StructuredOutputs;
    priority: number;
    request_id?: string;
    logits_processors?: unknown[];
    return_tokens_as_token_ids?: boolean;
    return_token_ids?: boolean;
    cache_salt?: string;
    kv_transfer_params?: Record<string, unknown>;
}

const sampling: Fields<Sampling> = {
    model: nullable(str),
    frequency_penalty: nullable(float),
    logit_bias: nullable(dictOf(float)),
    max_tokens: nullable(int),
    presence_penalty: nullable(float),
    response_format: nullable(responseFormat),
    seed: nullable(int),
    stop: nullable(oneOf<string | string[]>([["str", str], ["list[str]", listOf(str)]])),
    stream: nullable(bool),
    stream_options: nullable(
        object({ include_usage: optional(orNull(bool), true), continuous_usage_stats: nullable(bool) }),
    ),
    temperature: nullable(float),
    top_p: nullable(float),
    user: nullable(str),
    use_beam_search: optional(bool, false),
    top_k: nullable(int),
    min_p: nullable(float),
    repetition_penalty: nullable(float),
    length_penalty: optional(float, 1),
    stop_token_ids: nullable(listOf(int)),
    include_stop_str_in_output: optional(bool, false),
    ignore_eos: optional(bool, false),
    min_tokens: optional(int, 0),
    skip_special_tokens: optional(bool, true),
    spaces_between_special_tokens: optional(bool, true),
    truncate_prompt_tokens: nullable(atLeast(-1, int)),
    prompt_logprobs: nullable(int),
    allowed_token_ids: nullable(listOf(int)),
    structured_outputs: nullable(structuredOutputs),
    priority: optional(int, 0),
    request_id: { read: str, otherwise: () => undefined },
    logits_processors: nullable(listOf(any)),
    return_tokens_as_token_ids: nullable(bool),
    return_token_ids: nullable(bool),
    cache_salt: nullable(str),
    kv_transfer_params: nullable(dictOf(any)),
}; // prettier-ignore

const extraValue: [string, Reader<unknown>][] = [["str", str], ["int", int], ["float", float]]; // prettier-ignore
const extraList = listOf(oneOf(extraValue));

export interface ChatBody extends Sampling {
    messages: Message[];
    logprobs?: boolean;
    top_logprobs?: number;
    max_completion_tokens?: number;
    n?: number;
    tools?: ToolParam[];
    tool_choice?: ToolChoiceParam;
    reasoning_effort?: string;
    include_reasoning: boolean;
    parallel_tool_calls?: boolean;
    bad_words: string[];
    echo: boolean;
    add_generation_prompt: boolean;
    continue_final_message: boolean;
    add_special_tokens: boolean;
    documents?: Record<string, string>[];
    chat_template?: string;
    chat_template_kwargs?: Record<string, unknown>;
    mm_processor_kwargs?: Record<string, unknown>;
    vllm_xargs?: Record<string, unknown>;
}

const chatBody = object<ChatBody>({
    messages: required(listOf(message)),
    ...sampling,
    logprobs: nullable(bool),
    top_logprobs: optional<number | undefined>(orNull(int), 0),
    max_completion_tokens: nullable(int),
    n: nullable(int),
    tools: nullable(listOf(tool)),
    tool_choice: nullable(toolChoice),
    reasoning_effort: nullable(literal("low", "medium", "high")),
    include_reasoning: optional(bool, true),
    parallel_tool_calls: nullable(bool),
    bad_words: optional(listOf(str), []),
    echo: optional(bool, false),
    add_generation_prompt: optional(bool, true),
    continue_final_message: optional(bool, false),
    add_special_tokens: optional(bool, false),
    documents: nullable(listOf(dictOf(str))),
    chat_template: nullable(str),
    chat_template_kwargs: nullable(dictOf(any)),
    mm_processor_kwargs: nullable(dictOf(any)),
    vllm_xargs: nullable(dictOf(oneOf([...extraValue, ["list[union[str,int,float]]", extraList]]))),
});

export interface TextBody extends Sampling {
    prompt?: number[] | number[][] | string | string[];
    echo?: boolean;
    logprobs?: number;
    n: number;
    suffix?: string;
    prompt_embeds?: unknown;
    add_special_tokens: boolean;
    vllm_xargs?: Record<string, unknown>;
}

const textBody = object<TextBody>({
    ...sampling,
    max_tokens: optional<number | undefined>(orNull(int), 16),
    prompt: nullable(
        oneOf<NonNullable<TextBody["prompt"]>>([
            ["list[int]", listOf(int)],
            ["list[list[int]]", listOf(listOf(int))],
            ["str", str],
            ["list[str]", listOf(str)],
        ]),
    ),
    echo: nullable(bool),
    logprobs: nullable(int),
    n: optional(int, 1),
    suffix: nullable(str),
    prompt_embeds: nullable(any),
    add_special_tokens: optional(bool, true),
    vllm_xargs: nullable(dictOf(oneOf(extraValue))),
});

export interface TokenizeBody {
    model?: string;
    prompt?: string;
    messages?: Message[];
    tools?: ToolParam[];
    add_generation_prompt?: boolean;
    continue_final_message?: boolean;
    chat_template?: string;
    return_token_strs?: boolean;
}

const tokenizeBody = oneOf<TokenizeBody>([
    [
        model,
        object<TokenizeBody>({
            model: nullable(str),
            prompt: required(str),
            add_special_tokens: optional(bool, true),
            return_token_strs: nullable(bool),
        } as Fields<TokenizeBody>),
    ],
    [
        model,
        object<TokenizeBody>({
            model: nullable(str),
            messages: required(listOf(message)),
            tools: nullable(listOf(tool)),
            add_generation_prompt: optional(bool, true),
            continue_final_message: optional(bool, false),
            chat_template: nullable(str),
            return_token_strs: nullable(bool),
        } as Fields<TokenizeBody>),
    ],
]);

export interface DetokenizeBody {
    model?: string;
    tokens: number[];
}

const detokenizeBody = object<DetokenizeBody>({ model: nullable(str), tokens: required(listOf(int)) });

type Raw = Record<string, any>;

/** Throw a Refusal or a Failure for a text that is none of these. */
export const readChatBody = (text: string): ChatBody => read(text, chatBody, checkChat);
export const readTextBody = (text: string): TextBody => read(text, textBody, checkText);
export const readTokenizeBody = (text: string): TokenizeBody => read(text, tokenizeBody, checkContinuation);
export const readDetokenizeBody = (text: string): DetokenizeBody => read(text, detokenizeBody, () => undefined);

function read<T>(text: string, body: Reader<T>, check: (raw: Raw) => void): T {
    const raw = parse(text);
    if (raw === null || raw === undefined) {
        throw malformed(faultsText([{ type: "missing", place: ["body"], message: "Field required", input: null }]));
    }
    // vLLM's checks take an object for granted, and those of single fields their types.
    if (!isObject(raw)) throw new Failure();
    check(raw);
    const faults: Parameters<Reader<T>>[2] = [];
    const got = body(raw, ["body"], faults);
    if (faults.length > 0) throw malformed(faultsText(faults));
    return got;
}

function parse(text: string): unknown {
    const json = text.replace(/^\ufeff/, "");
    if (json === "") return undefined;
    if (depth(json) > deepest) throw new Unreadable();
    // A number of Python's.
    if (/^\s*(NaN|-?Infinity)\s*$/.test(json)) return NaN;
    try {
        return JSON.parse(json) as unknown;
    } catch (error) {
        const { message } = error as Error;
        const token = /^Unexpected token '(.)',/su.exec(message)?.[1];
        const at = Number(/at position (\d+)/.exec(message)?.[1] ?? (token ? json.indexOf(token) : json.length));
        const fault = { type: "json_invalid", place: ["body", at], message: "JSON decode error", input: {} };
        throw malformed(faultsText([fault]));
    }
}

/** Python's parser of JSON gives up a little below its limit of 1,000 calls within each other. */
const deepest = 900;

function depth(json: string): number {
    let [now, most] = [0, 0];
    for (const bracket of json.replace(/"(?:[^"\\]|\\.)*"/g, "").match(/[[\]{}]/g) ?? []) {
        now += bracket === "[" || bracket === "{" ? 1 : -1;
        most = Math.max(most, now);
    }
    return most;
}

/** What vLLM refuses before it looks at types. */
function valueError(raw: Raw, message: string): never {
    const fault = { type: "value_error", place: ["body"], message: `Value error, ${message}`, input: raw };
    throw malformed(faultsText([fault]));
}

function checkChat(raw: Raw): void {
    checkCacheSalt(raw);
    checkContinuation(raw);
    checkToolChoice(raw);
    checkStructuredOutputs(raw);
    checkPromptLogprobs(raw);
    const top = raw.top_logprobs as unknown;
    if (top !== undefined && top !== null) {
        if (typeof top !== "number") throw new Failure();
        if (top < 0 && top !== -1) valueError(raw, "`top_logprobs` must be a positive value or -1.");
        if (top !== 0 && !raw.logprobs) valueError(raw, "when using `top_logprobs`, `logprobs` must be set to true.");
    }
    checkStreamOptions(raw);
}

function checkText(raw: Raw): void {
    checkCacheSalt(raw);
    const { prompt, prompt_embeds: embeds } = raw;
    const noEmbeds = embeds === undefined || embeds === null || (Array.isArray(embeds) && embeds.length === 0);
    if ((prompt === undefined || prompt === null || prompt === "") && noEmbeds) {
        valueError(raw, "Either prompt or prompt_embeds must be provided and non-empty.");
    }
    checkStreamOptions(raw);
    checkPromptLogprobs(raw);
    if (raw.logprobs !== undefined && raw.logprobs !== null) {
        if (typeof raw.logprobs !== "number" && typeof raw.logprobs !== "boolean") throw new Failure();
        if (Number(raw.logprobs) < 0) valueError(raw, "`logprobs` must be a positive value.");
    }
    checkStructuredOutputs(raw);
}

function checkCacheSalt(raw: Raw): void {
    const salt = raw.cache_salt as unknown;
    if (salt === undefined || salt === null || (typeof salt === "string" && salt !== "")) return;
    valueError(raw, "Parameter 'cache_salt' must be a non-empty string if provided.");
}

function checkContinuation(raw: Raw): void {
    if (raw.continue_final_message && raw.add_generation_prompt) {
        valueError(raw, "Cannot set both `continue_final_message` and `add_generation_prompt` to True.");
    }
}

function checkStreamOptions(raw: Raw): void {
    const options = raw.stream_options as unknown;
    const given = isObject(options) ? Object.keys(options).length > 0 : Array.isArray(options) ? options.length > 0 : options;
    if (given && !raw.stream) valueError(raw, "Stream options can only be defined when `stream=True`.");
} // prettier-ignore

function checkPromptLogprobs(raw: Raw): void {
    const wanted = raw.prompt_logprobs as unknown;
    if (wanted === undefined || wanted === null) return;
    if (typeof wanted !== "number") throw new Failure();
    if (raw.stream && (wanted > 0 || wanted === -1)) {
        valueError(raw, "`prompt_logprobs` are not available when `stream=True`.");
    }
    if (wanted < 0 && wanted !== -1) valueError(raw, "`prompt_logprobs` must be a positive value or -1.");
}

function checkStructuredOutputs(raw: Raw): void {
    const wanted = raw.structured_outputs as unknown;
    if (wanted === undefined || wanted === null) return;
    if (!isObject(wanted)) throw new Failure();
    const kinds = ["json", "regex", "choice"].filter((kind) => wanted[kind] !== undefined && wanted[kind] !== null);
    if (kinds.length > 1) {
        valueError(
            raw,
            "You can only use one kind of constraints for structured outputs ('json', 'regex' or 'choice').",
        );
    }
}

const usage = 'Correct usage: `{"type": "function", "function": {"name": "my_function"}}`';

/** Also fills in the choice that follows from whether there are tools. */
function checkToolChoice(raw: Raw): void {
    const { tools } = raw;
    const some = Array.isArray(tools) ? tools.length > 0 : Boolean(tools);
    if (!("tool_choice" in raw) && some) raw.tool_choice = "auto";
    const choice = raw.tool_choice as unknown;
    if (choice === "none" || choice === undefined || choice === null) return;
    if (tools === undefined || tools === null) valueError(raw, "When using `tool_choice`, `tools` must be set.");
    if (!isObject(choice)) {
        if (choice !== "auto" && choice !== "required") {
            const told = typeof choice === "string" ? choice : JSON.stringify(choice);
            valueError(
                raw,
                `Invalid value for \`tool_choice\`: ${told}! Only named tools, "none", "auto" or "required" are supported.`,
            );
        }
        if (choice === "required" && Array.isArray(tools) && tools.length === 0) {
            raw.tool_choice = "none";
            delete raw.tools;
        }
        return;
    }
    const named = choice.function;
    if (!isObject(named)) {
        const told = named === undefined || named === null ? "None" : JSON.stringify(named);
        valueError(raw, `Invalid value for \`function\`: \`${told}\` in \`tool_choice\`! ${usage}`);
    }
    const { name } = named;
    if (!("name" in named)) valueError(raw, `Expected field \`name\` in \`function\` in \`tool_choice\`! ${usage}`);
    if (typeof name !== "string" || name === "") {
        valueError(raw, `Invalid \`name\` in \`function\`: \`${String(name)}\` in \`tool_choice\`! ${usage}`);
    }
    const names = (tools as Raw[]).map((one) => (one?.function as Raw)?.name as unknown);
    if (!names.includes(name)) {
        valueError(raw, "The tool specified in `tool_choice` does not match any of the specified `tools`");
    }
}
