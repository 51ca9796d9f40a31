import { instance } from "./json-instance";
import { contentText, promptOf, promptOfChat, promptOfIds, type Prompt } from "./prompt";
import { bad, malformed, Refusal, unforeseen } from "./refusal";
import {
    readChatBody,
    readDetokenizeBody,
    readTextBody,
    readTokenizeBody,
    type ChatBody,
    type StructuredOutputs,
    type TextBody,
} from "./request-schema";
import { isObject, python } from "./schema";
import { tokenOfId, tokensOf, vocabularySize } from "./tokenizer";
import { toolCall, type ToolCall, type ToolChoice } from "./tool-call";

/** Reads the body of a completion request as vLLM validates it, and refuses what a simulation cannot stand in for. */

export type Kind = "chat" | "text";

export interface CompletionRequest {
    kind: Kind;
    /** Fields that vLLM does not know either, and ignores. */
    unknown: string[];
    /** What the answer's id ends with; undefined: something random. */
    id?: string;
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
    /** The same for each token of the prompt. */
    promptLogprobs?: number;
    /** Whether an answer tells the ids of its tokens and of its prompt's. */
    tokenIds: boolean;
    /** Of a chat: in whose name the answer is given. */
    role: string;
    /** What every answer begins with before anything is generated: of a chat, a text; of a text completion, its prompt. */
    echo?: string | true;
    /** The prompt is the whole answer; one token is generated all the same. */
    echoOnly: boolean;
    /** The call of a tool that stands for the text of every answer. */
    toolCall?: ToolCall;
    /** `named`: the call was forced by name; it ends with `stop`, the others with `tool_calls`. */
    toolChoice: ToolChoice["mode"];
    /** The text of every answer, where a format decides it. */
    given?: string;
    /** vLLM generates to the end and fails then. */
    failsAtEnd: boolean;
}

export interface ModelFacts {
    names: string[];
    maxModelLen: number;
    blockSize: number;
    autoToolChoice: boolean;
    /** Streams tell their usage unasked. */
    forceIncludeUsage: boolean;
    /** Whether calls of tools have ids as Mistral's models want them. */
    mistralCalls: boolean;
}

/**
 * @param headerId the client's `X-Request-Id`
 * @throws a Refusal, 404 for an unknown model, or a Failure where vLLM's code fails
 */
export function readCompletionRequest(
    kind: Kind,
    text: string,
    model: ModelFacts,
    headerId?: string,
): CompletionRequest {
    const request = kind === "chat" ? readChat(text, model) : readText(text, model);
    return { ...request, id: headerId ?? request.id };
}

function readChat(text: string, model: ModelFacts): CompletionRequest {
    const { body, unknown } = readChatBody(text);
    checkModel(body.model, model);
    const tools = (body.tools ?? []).map(({ function: { name, parameters } }) => ({ name, parameters: parameters ?? {} }));
    const choice = toolChoice(body, model);
    checkTemplate(body);
    const prompt = promptOfChat(body.messages, body.tools, model.blockSize);
    const prompts = [prompt];
    const askedMaxTokens = body.max_completion_tokens || body.max_tokens;
    checkContext(prompt.tokens, askedMaxTokens, model.maxModelLen);
    const n = body.n ?? 1;
    checkSampling(body, n, Math.min(model.maxModelLen - prompt.tokens, askedMaxTokens ?? Infinity));
    if ((body.truncate_prompt_tokens ?? 0) > model.maxModelLen) {
        throw bad(
            `truncate_prompt_tokens value (${body.truncate_prompt_tokens}) is greater than max_model_len ` +
                `(${model.maxModelLen}). Please, select a smaller truncation size.`,
        );
    }
    if (body.truncate_prompt_tokens === 0) {
        throw bad("truncate_prompt_tokens must be an integer >= 1 or -1, got 0");
    }
    const last = body.messages[body.messages.length - 1];
    const role = body.add_generation_prompt ? "assistant" : last.role;
    const logprobs = body.logprobs ? body.top_logprobs : undefined;
    const promptLogprobs = body.prompt_logprobs ?? (body.echo ? body.top_logprobs : undefined);
    const common = readCommon(body, prompts, n, logprobs, promptLogprobs, model);
    return {
        ...common,
        kind: "chat",
        unknown,
        prompts: (body.truncate_prompt_tokens ?? -1) > 0 ? [lastTokens(prompt, body.truncate_prompt_tokens!, model)] : prompts,
        askedMaxTokens,
        role,
        echo: body.echo && last.role === role ? contentText(last) : undefined,
        toolCall: toolCall(choice, tools, last.role, contentText(last), model.mistralCalls),
        toolChoice: choice.mode,
        echoOnly: false,
        failsAtEnd: false,
    };
} // prettier-ignore

function readText(text: string, model: ModelFacts): CompletionRequest {
    const { body, unknown } = readTextBody(text);
    checkModel(body.model, model);
    if (body.suffix !== undefined) throw bad("suffix is not currently supported");
    if (body.prompt_embeds !== undefined) throw bad("You must set `--enable-prompt-embeds` to input `prompt_embeds`.");
    const longest = model.maxModelLen - (body.max_tokens ?? 0);
    const prompts = textPrompts(body.prompt!, model).map((prompt) => truncated(prompt, body, longest, model));
    // vLLM reads a field here that only the chat has, and lets it through as it came.
    const chatOnly = (JSON.parse(text) as { max_completion_tokens?: unknown }).max_completion_tokens;
    if (chatOnly && typeof chatOnly !== "number") {
        throw unforeseen("'<' not supported between instances of 'str' and 'int'");
    }
    const askedMaxTokens = (chatOnly as number | undefined) || body.max_tokens;
    const onlyEcho = body.echo === true && body.max_tokens === 0;
    const kept = body.truncate_prompt_tokens === 0 ? [] : prompts;
    const room = model.maxModelLen - Math.max(0, ...prompts.map(({ tokens }) => tokens));
    if (kept.length > 0) checkSampling(body, body.n, onlyEcho ? 1 : Math.min(room, askedMaxTokens ?? Infinity));
    const promptLogprobs = body.prompt_logprobs ?? (body.echo ? body.logprobs : undefined);
    const common = readCommon(body, kept, body.n, body.logprobs, promptLogprobs, model);
    if (kept.some(({ tokens }) => tokens === 0)) throw bad("The decoder prompt cannot be empty");
    return {
        ...common,
        kind: "text",
        unknown,
        prompts: kept,
        askedMaxTokens: onlyEcho ? 1 : askedMaxTokens,
        role: "assistant",
        echo: body.echo || undefined,
        echoOnly: onlyEcho,
        toolChoice: "none",
        failsAtEnd: body.max_tokens === undefined,
    };
}

type Common = Omit<
    CompletionRequest,
    "kind" | "unknown" | "prompts" | "askedMaxTokens" | "role" | "echoOnly" | "toolChoice" | "failsAtEnd"
>;

/** What both APIs read alike, once the lengths are known to be right. */
function readCommon(
    body: ChatBody | TextBody,
    prompts: Prompt[],
    n: number,
    logprobs: number | undefined,
    promptLogprobs: number | undefined,
    { forceIncludeUsage }: ModelFacts,
): Common {
    checkSequences(n * prompts.length);
    checkLogprobs("sample", logprobs);
    checkLogprobs("prompt", promptLogprobs);
    const given = structuredText(structure(body));
    checkVocabulary(body);
    const { include_usage = true, continuous_usage_stats = false } = body.stream_options ?? { include_usage: false };
    return {
        id: body.request_id,
        n,
        minTokens: body.min_tokens,
        ignoreEos: body.ignore_eos,
        stop: stops(body.stop),
        includeStop: body.include_stop_str_in_output,
        seed: body.seed === -1 ? undefined : body.seed,
        stream: body.stream === true && !(body.use_beam_search && "prompt" in body),
        usage: !include_usage && !forceIncludeUsage ? "none" : continuous_usage_stats ? "each" : "last",
        logprobs,
        promptLogprobs,
        tokenIds: body.return_token_ids === true,
        given,
    };
}

/**
 * Sequences of one request. 0.13.0 has no limit and is killed by a huge `n` (GHSA-3mwp-wvh9-7528); this is the one of
 * the version that mends it, the default of VLLM_MAX_N_SEQUENCES.
 */
const mostSequences = 16_384;

function checkSequences(count: number): void {
    if (count <= mostSequences) return;
    throw bad(`n must be at most ${mostSequences} over all prompts, got ${count}: vLLM 0.13.0 itself would not survive it.`);
} // prettier-ignore

/** `--max-logprobs` */
const maxLogprobs = 20;

function checkLogprobs(of: string, count: number | undefined): void {
    const asked = count === -1 ? vocabularySize : (count ?? 0);
    if (asked <= maxLogprobs) return;
    throw bad(`Requested ${of} logprobs of ${asked}, which is greater than max allowed: ${maxLogprobs}`);
}

/** Reads the body of `/tokenize`: a text (`prompt`) or a chat (`messages`). */
export function readTokenizeRequest(text: string, model: ModelFacts): { tokens: string[]; withTexts: boolean } {
    const body = readTokenizeBody(text);
    checkModel(body.model, model);
    const withTexts = body.return_token_strs === true;
    if (body.messages === undefined) return { tokens: tokensOf(body.prompt!), withTexts };
    checkTemplate({ add_generation_prompt: true, continue_final_message: false, ...body });
    return { tokens: promptOfChat(body.messages, body.tools, model.blockSize).texts, withTexts };
}

/** Reads the body of `/detokenize` and answers its text. */
export function readDetokenizeRequest(text: string, model: ModelFacts): string {
    const body = readDetokenizeBody(text);
    checkModel(body.model, model);
    if (body.tokens.some((id) => id < 0 || id >= vocabularySize)) {
        const message = "out of range integral type conversion attempted";
        throw malformed(`1 validation error:\n  ${message} ['${message}']`);
    }
    const texts = body.tokens.map((id) => {
        const token = tokenOfId(id);
        if (token === undefined) throw bad(`token id ${id} is none of the sandbox's tokenizer`);
        return token;
    });
    return texts.join("");
}

function checkModel(name: string | undefined, model: ModelFacts): void {
    if (!name || model.names.includes(name)) return;
    throw new Refusal(404, "NotFoundError", `The model \`${name}\` does not exist.`);
}

function checkTemplate(body: Pick<ChatBody, "chat_template" | "add_generation_prompt" | "continue_final_message">): void {
    if (body.chat_template !== undefined) {
        throw bad(
            "Chat template is passed with request, but --trust-request-chat-template is not set. " +
                "Refused request with untrusted chat template.",
        );
    }
    if (!body.continue_final_message || !body.add_generation_prompt) return;
    const message =
        "continue_final_message and add_generation_prompt are not compatible. Use continue_final_message when you want " +
        "the model to continue the final message, and add_generation_prompt when you want to add a header that will prompt " +
        "it to start a new assistant message instead.";
    throw bad(`${message} ${message}`);
} // prettier-ignore

function toolChoice({ tools, tool_choice: asked }: ChatBody, model: ModelFacts): ToolChoice {
    if (asked === "auto" && !model.autoToolChoice) {
        throw bad('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set');
    }
    if (!tools || tools.length === 0 || asked === undefined || asked === "none") return { mode: "none" };
    return typeof asked === "string" ? { mode: asked } : { mode: "named", name: asked.function.name };
}

/** A chat's prompt and answer must fit into the context. */
function checkContext(tokens: number, asked: number | undefined, most: number): void {
    if (tokens >= most) throw bad(`${tooLong(tokens, most)} None`);
    if (asked === undefined || tokens + asked <= most) return;
    throw bad(
        `'max_tokens' or 'max_completion_tokens' is too large: ${asked}. This model's maximum context length is ` +
            `${most} tokens and your request has ${tokens} input tokens (${asked} > ${most} - ${tokens}). None`,
    );
}

function tooLong(tokens: number, most: number): string {
    return (
        `This model's maximum context length is ${most} tokens. However, your request has ${tokens} input tokens. ` +
        "Please reduce the length of the input messages."
    );
}

/** The prompt of a text completion as far as it is used; it must leave room for the answer. */
function truncated(prompt: Prompt, body: TextBody, longest: number, model: ModelFacts): Prompt {
    const wanted = body.truncate_prompt_tokens === -1 ? model.maxModelLen : body.truncate_prompt_tokens;
    if (wanted !== undefined) {
        if (wanted > longest) {
            throw bad(
                `truncate_prompt_tokens=${wanted} cannot be greater than max_length=${longest}. Please select a smaller truncation size.`,
            );
        }
        return lastTokens(prompt, wanted, model);
    }
    if (prompt.tokens > longest) throw bad(tooLong(prompt.tokens, longest));
    return prompt;
}

function lastTokens(prompt: Prompt, most: number, { blockSize }: ModelFacts): Prompt {
    if (prompt.tokens <= most) return prompt;
    const from = prompt.tokens - most;
    return promptOf(prompt.texts.slice(from), blockSize, () => prompt.ids().slice(from));
}

/** A number as Python prints a float. */
const pyFloat = (value: number): string => (Number.isInteger(value) ? value.toFixed(1) : String(value));

/** The ranges of SamplingParams, in its order. `maxTokens` is what the request and the context leave. */
function checkSampling(body: ChatBody | TextBody, n: number, maxTokens: number): void {
    if ((body.logits_processors ?? []).length > 0) {
        throw bad(
            "The `logits_processors` argument is not supported by this server. See --logits-processor-pattern engine " +
                "argument for more information.",
        );
    }
    const { presence_penalty: presence = 0, frequency_penalty: frequency = 0, repetition_penalty: repetition = 1 } = body;
    const { temperature = 1, top_p: topP = 1, top_k: topK = 0, min_p: minP = 0, min_tokens: minTokens } = body;
    const check = (holds: boolean, rule: string, value: string): void => {
        if (!holds) throw bad(`${rule}, got ${value}.`);
    };
    check(n >= 1, "n must be at least 1", String(n));
    check(Math.abs(presence) <= 2, "presence_penalty must be in [-2, 2]", pyFloat(presence));
    check(Math.abs(frequency) <= 2, "frequency_penalty must be in [-2, 2]", pyFloat(frequency));
    check(repetition > 0, "repetition_penalty must be greater than zero", pyFloat(repetition));
    check(temperature >= 0, "temperature must be non-negative", pyFloat(temperature));
    check(topP > 0 && topP <= 1, "top_p must be in (0, 1]", pyFloat(topP));
    check(topK >= -1, "top_k must be 0 (disable), or at least 1", String(topK));
    check(minP >= 0 && minP <= 1, "min_p must be in [0, 1]", pyFloat(minP));
    check(maxTokens >= 1, "max_tokens must be at least 1", String(maxTokens));
    check(minTokens >= 0, "min_tokens must be greater than or equal to 0", String(minTokens));
    check(minTokens <= maxTokens, `min_tokens must be less than or equal to max_tokens=${maxTokens}`, String(minTokens));
    if (stops(body.stop).includes("")) throw bad("stop cannot contain an empty string.");
    check(temperature >= 1e-5 || n === 1, "n must be 1 when using greedy sampling", String(n));
} // prettier-ignore

function checkVocabulary({ logit_bias: bias = {}, allowed_token_ids: allowed }: ChatBody | TextBody): void {
    const strange = (id: number): boolean => id < 0 || id >= vocabularySize;
    const words = Object.keys(bias).filter((id) => !/^\s*[+-]?\d+\s*$/.test(id));
    if (words.length > 0) throw bad(`invalid literal for int() with base 10: ${python(words[0])}`);
    const ids = Object.keys(bias).map(Number).filter(strange);
    if (ids.length > 0) {
        throw bad(
            `token_id(s) ${python(ids)} in logit_bias contain out-of-vocab token ids. Vocabulary size: ${vocabularySize}`,
        );
    }
    if (allowed?.length === 0) throw bad("allowed_token_ids is not None and empty!");
    if (allowed?.some(strange)) throw bad("allowed_token_ids contains out-of-vocab token id!");
}

/** What a response format and structured outputs ask for together. */
function structure({ response_format: format, structured_outputs: asked }: ChatBody | TextBody): StructuredOutputs {
    if (format?.type === "json_object") return { ...asked, json_object: true };
    if (format?.type === "structural_tag") return { ...asked, structural_tag: "" };
    if (format?.type !== "json_schema") return asked ?? {};
    if (format.json_schema === undefined) throw unforeseen("");
    return { ...asked, json: format.json_schema.schema };
}

/** An answer that is as it was asked to be; undefined when nothing was asked. */
function structuredText(asked: StructuredOutputs): string | undefined {
    const { json, regex, choice, grammar, json_object: object, structural_tag: tag } = asked;
    if (choice?.length === 0) throw bad("Choice '[]' cannot be an empty list");
    if (grammar?.trim() === "") throw bad("structured_outputs.grammar cannot be an empty string");
    if (json !== undefined) return JSON.stringify(instance(schemaOf(json)));
    if (object) return JSON.stringify({ answer: "simulated" });
    if (choice !== undefined) return choice[0];
    if (regex !== undefined) {
        checkRegex(regex);
        throw notSimulated("regex");
    }
    if (grammar !== undefined) throw notSimulated("grammar");
    if (tag !== undefined) throw notSimulated("structural_tag");
    return undefined;
}

const notSimulated = (name: string): Refusal =>
    bad(`structured_outputs.${name}: the sandbox cannot say what it would allow`);

function checkRegex(regex: string): void {
    try {
        new RegExp(regex);
    } catch (error) {
        throw bad(`Grammar error: ${(error as Error).message}`);
    }
}

const schemaTypes = ["string", "number", "integer", "boolean", "null", "object", "array"];

function schemaOf(json: unknown): Record<string, unknown> {
    const schema = typeof json === "string" ? parsed(json) : json;
    checkSchema(schema);
    return schema as Record<string, unknown>;
}

function parsed(json: string): unknown {
    try {
        return JSON.parse(json) as unknown;
    } catch {
        throw bad("Invalid JSON grammar specification.");
    }
}

function checkSchema(schema: unknown): void {
    if (!isObject(schema)) return;
    for (const type of [schema.type ?? []].flat()) {
        if (!schemaTypes.includes(type as string)) throw bad(`Grammar error: Invalid type: ${python(type)}`);
    }
    checkSchema(schema.items);
    if (isObject(schema.properties)) Object.values(schema.properties).forEach(checkSchema);
}

/** A text, texts, token ids or lists of token ids. */
function textPrompts(prompt: NonNullable<TextBody["prompt"]>, { blockSize }: ModelFacts): Prompt[] {
    if (typeof prompt === "string") return [promptOf(tokensOf(prompt), blockSize)];
    if (prompt.length === 0) throw bad("please provide at least one prompt");
    if (typeof prompt[0] === "number") return [promptOfIds(prompt as number[], blockSize)];
    if (prompt.length === 1 && Array.isArray(prompt[0]) && prompt[0].length === 0) {
        throw bad("Please provide at least one prompt");
    }
    return (prompt as (string | number[])[]).map((one) =>
        typeof one === "string" ? promptOf(tokensOf(one), blockSize) : promptOfIds(one, blockSize),
    );
}

function stops(value: string | string[] | undefined): string[] {
    return value === undefined ? [] : [value].flat();
}
