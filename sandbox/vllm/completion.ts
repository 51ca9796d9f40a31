import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import { seededRandom } from "../../tools/random";
import type { CompletionRequest, ModelFacts } from "./completion-request";
import type { FinishReason } from "./engine";
import { chatLogprobs, promptLogprobs, simulatedLogprob, textLogprobs, type TokenLogprob } from "./logprobs";
import type { Prompt } from "./prompt";
import { bad, unforeseen, type Refusal } from "./refusal";
import type { Serving } from "./serving";
import { answerLength, givenText, simulatedText, type SimulatedText } from "./simulated-text";
import { tokenId, tokensOf } from "./tokenizer";

/** One request on its way: through the engine, and back as one answer or as a stream, in the words of OpenAI's API. */

export interface CompletionSettings extends ModelFacts {
    meanAnswerTokens: number;
    random: () => number;
}

interface Choice {
    index: number;
    prompt: Prompt;
    text: SimulatedText;
    /** Generated so far. */
    tokens: number;
    said: string;
    logprobs: TokenLogprob[];
    ids: number[];
    reason: FinishReason | null;
}

/** Runs a request through the engine. Resolves when it is answered or its client has gone. */
export function complete(
    settings: CompletionSettings,
    serving: Serving,
    request: CompletionRequest,
    arrival: number,
    answer: ServerResponse,
): Promise<void> {
    const { prompts, n, stream, usage } = request;
    const random = request.seed === undefined ? settings.random : seededRandom(request.seed);
    const room = Math.min(settings.maxModelLen, serving.capacityTokens);
    const plans = prompts.map((prompt) => {
        const maxTokens = Math.min(request.askedMaxTokens ?? Infinity, room - prompt.tokens);
        return {
            prompt,
            maxTokens,
            texts: Array.from({ length: n }, () => planText(settings, request, maxTokens, random)),
        };
    });
    const choices = plans
        .flatMap(({ prompt, texts }) => texts.map((text) => ({ prompt, text })))
        .map((planned, index): Choice => ({
            ...planned,
            index,
            tokens: 0,
            said: "",
            logprobs: [],
            ids: [],
            reason: null,
        }));
    const promptTokens = prompts.reduce((sum, { tokens }) => sum + tokens, 0);
    const form = request.kind === "chat" ? chatForm(request, random) : textForm(request, random);
    const head = {
        id: `${form.idPrefix}-${request.id ?? randomUUID().replace(/-/g, "").slice(0, 16)}`,
        object: stream ? form.chunkObject : form.object,
        created: Math.floor(Date.now() / 1000),
        model: settings.names[0],
    };
    const usageNow = (): Usage =>
        usageOf(
            promptTokens,
            choices.reduce((sum, { tokens }) => sum + tokens, 0),
        );
    const send = (chunk: object): void => void answer.write(`data: ${JSON.stringify({ ...head, ...chunk })}\n\n`);

    return new Promise((resolve) => {
        let left = choices.length;
        let opened = false;
        const end = (): void => {
            if (stream) {
                if (usage !== "none") send({ choices: [], usage: usageNow() });
                answer.end("data: [DONE]\n\n");
            } else {
                const refusal = refusalAtEnd(request, choices);
                if (refusal) sendJson(answer, refusal.status, refusal.body);
                else {
                    sendJson(answer, 200, {
                        ...head,
                        choices: choices.map((choice) => form.whole(choice)),
                        ...form.tail(prompts),
                        usage: { ...usageNow(), prompt_tokens_details: null },
                    });
                }
            }
            resolve();
        };
        const tokens = (choice: Choice, count: number, finished: FinishReason | undefined): void => {
            const first = choice.tokens === 0;
            const pieces = Array.from({ length: count }, () => choice.text.piece(choice.tokens++));
            const logprobs = pieces.map((piece) =>
                request.logprobs === undefined ? undefined : simulatedLogprob(piece, request.logprobs, random),
            );
            const delta: Delta = {
                first,
                text: pieces.join(""),
                offset: choice.said.length,
                logprobs: logprobs.filter((one) => one !== undefined),
                ids: request.tokenIds ? pieces.map(tokenId) : [],
            };
            choice.reason = finished ?? null;
            choice.said += delta.text;
            if (!stream) {
                choice.logprobs.push(...delta.logprobs);
                choice.ids.push(...delta.ids);
            } else if (request.failsAtEnd) {
                if (!answer.writableEnded) answer.end(errorEvents(bad("")));
                return;
            } else {
                const each = usage === "each" ? usageOf(choice.prompt.tokens, choice.tokens) : undefined;
                if (!opened) for (const chunk of form.openings(choices, usage === "each")) send(chunk);
                opened = true;
                send(form.chunk(choice, delta, each));
            }
            if (finished && --left === 0) end();
        };
        const aborts = plans.map(({ prompt, maxTokens, texts }, p) =>
            serving.submit(
                {
                    promptTokens: prompt.tokens,
                    promptBlocks: prompt.blocks,
                    naturalTokens: texts.map((text) => text.naturalTokens),
                    maxTokens,
                    arrival,
                },
                {
                    tokens: (i, count, finished) => tokens(choices[p * n + i], count, finished),
                    died() {
                        if (answer.writableEnded) return;
                        if (stream) answer.end(errorEvents(bad(engineDead)));
                        else sendJson(answer, 500, unforeseen(engineDead).body);
                    },
                },
            ),
        );
        // The head of a stream goes out at once, long before the first token.
        if (stream) answer.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" }).flushHeaders();
        // A client that goes away, or a server that cuts it off, frees its place.
        answer.on("close", () => {
            if (left > 0) for (const abort of aborts) abort();
            resolve();
        });
        if (left === 0) end();
    });
}

const engineDead = "EngineCore encountered an issue. See stack trace (above) for the root cause.";

/** How a stream ends that cannot go on: its status is sent already. */
function errorEvents(refusal: Refusal): string {
    return `data: ${JSON.stringify(refusal.body)}\n\ndata: [DONE]\n\n`;
}

/** What vLLM answers after all was generated, instead of it. */
function refusalAtEnd(request: CompletionRequest, choices: Choice[]): Refusal | undefined {
    if (request.failsAtEnd) return unforeseen("");
    const cutOff = choices.find(({ reason }) => reason === "length");
    if (request.toolChoice !== "required" || !cutOff) return undefined;
    return bad(
        "1 validation error for list[function-wrap[__log_extra_fields__()]]\n  Invalid JSON: EOF while parsing a list at " +
            `line 1 column ${cutOff.said.length} [type=json_invalid, input_value=${JSON.stringify(cutOff.said)}, input_type=str]`,
    );
}

interface Usage {
    prompt_tokens: number;
    total_tokens: number;
    completion_tokens: number;
}

function usageOf(promptTokens: number, completionTokens: number): Usage {
    return {
        prompt_tokens: promptTokens,
        total_tokens: promptTokens + completionTokens,
        completion_tokens: completionTokens,
    };
}

/** What one answer is going to say. */
function planText(
    settings: CompletionSettings,
    request: CompletionRequest,
    maxTokens: number,
    random: () => number,
): SimulatedText {
    if (request.toolCall) return givenText([request.toolCall.name, ...tokensOf(request.toolCall.arguments)]);
    if (request.given !== undefined) return givenText(tokensOf(request.given));
    const length = request.ignoreEos
        ? Infinity
        : Math.max(request.minTokens, answerLength(random, settings.meanAnswerTokens));
    return simulatedText(length, maxTokens, request.stop, request.includeStop);
}

interface Delta {
    /** Whether nothing was said before. */
    first: boolean;
    text: string;
    /** Characters said before. */
    offset: number;
    logprobs: TokenLogprob[];
    ids: number[];
}

/** How the chat API and the completions API put the same things. */
interface Form {
    idPrefix: string;
    object: string;
    chunkObject: string;
    /** One choice of a whole answer. */
    whole(choice: Choice): object;
    /** Fields of a whole answer beside its choices. */
    tail(prompts: Prompt[]): object;
    /** With what a stream begins, when its first token comes. */
    openings(choices: Choice[], withUsage: boolean): object[];
    /** What a stream says of new tokens. */
    chunk(choice: Choice, delta: Delta, usage: Usage | undefined): object;
}

function textForm(request: CompletionRequest, random: () => number): Form {
    const { tokenIds, echo, echoOnly } = request;
    const prefix = ({ prompt }: Choice): string => (echo === undefined ? "" : prompt.texts.join(""));
    const echoed = ({ prompt }: Choice): TokenLogprob[] =>
        echo === undefined || request.logprobs === undefined
            ? []
            : prompt.texts.map((text) => simulatedLogprob(text, request.logprobs!, random));
    return {
        idPrefix: "cmpl",
        object: "text_completion",
        chunkObject: "text_completion",
        whole: (choice) => ({
            index: choice.index,
            text: prefix(choice) + (echoOnly ? "" : choice.said),
            logprobs:
                choice.logprobs.length > 0
                    ? textLogprobs(echoed(choice), echoOnly ? [] : choice.logprobs, 0)
                    : null,
            ...ending(choice, choice.reason),
            token_ids: tokenIds ? choice.ids : null,
            prompt_logprobs: promptLogprobs(choice.prompt, request.promptLogprobs, random),
            prompt_token_ids: tokenIds ? choice.prompt.ids() : null,
        }),
        tail: () => ({ service_tier: null, system_fingerprint: null, kv_transfer_params: null }),
        openings: () => [],
        chunk: (choice, { first, text, logprobs, offset, ids }, usage) => ({
            choices: [
                {
                    index: choice.index,
                    text: (first ? prefix(choice) : "") + text,
                    logprobs: logprobs.length > 0 ? textLogprobs(first ? echoed(choice) : [], logprobs, offset) : null,
                    ...ending(choice, choice.reason),
                    prompt_token_ids: first && (tokenIds || echo !== undefined) ? choice.prompt.ids() : null,
                    token_ids: tokenIds ? ids : null,
                },
            ],
            usage: usage ? { ...usage, prompt_tokens_details: null } : null,
        }),
    };
} // prettier-ignore

function chatForm(request: CompletionRequest, random: () => number): Form {
    const { toolCall, toolChoice, tokenIds, role, echo } = request;
    const reason = (choice: Choice): string | null =>
        toolCall && toolChoice !== "named" && choice.reason === "stop" ? "tool_calls" : choice.reason;
    // Every answer is of the same call, under an id of its own.
    const callOf = (given: string): object => ({
        id: toolCall!.id(),
        type: "function",
        function: { name: toolCall!.name, arguments: given },
    });
    const promptIds = (prompts: Prompt[]): number[] | null => (tokenIds ? prompts[0].ids() : null);
    const opening = (choice: Choice, delta: object, usage: object): object => ({
        choices: [{ index: choice.index, delta: { ...delta, reasoning_content: null }, logprobs: null, finish_reason: null }],
        ...usage,
    });
    return {
        idPrefix: "chatcmpl",
        object: "chat.completion",
        chunkObject: "chat.completion.chunk",
        whole: (choice) => ({
            index: choice.index,
            message: {
                role,
                content: !toolCall ? (echo ?? "") + choice.said : toolChoice === "auto" ? null : "",
                refusal: null,
                annotations: null,
                audio: null,
                function_call: null,
                tool_calls: toolCall ? [callOf(choice.said.slice(toolCall.name.length))] : [],
                reasoning: null,
                reasoning_content: null,
            },
            logprobs: choice.logprobs.length > 0 ? chatLogprobs(choice.logprobs) : null,
            ...ending(choice, reason(choice)),
            token_ids: tokenIds ? choice.ids : null,
        }),
        tail: (prompts) => ({
            service_tier: null,
            system_fingerprint: null,
            prompt_logprobs: promptLogprobs(prompts[0], request.promptLogprobs, random),
            prompt_token_ids: promptIds(prompts),
            kv_transfer_params: null,
        }),
        openings: (choices, withUsage) => {
            const usage = withUsage ? { usage: usageOf(choices[0].prompt.tokens, 0) } : {};
            return [
                ...choices.map((choice) => ({
                    ...opening(choice, { role, content: "" }, usage),
                    prompt_token_ids: promptIds([choice.prompt]),
                })),
                ...(echo ? choices.map((choice) => opening(choice, { content: echo }, usage)) : []),
            ];
        },
        chunk: (choice, { first, text, logprobs, ids }, usage) => {
            const call = first
                ? { ...(toolCall && callOf(text.slice(toolCall.name.length))), index: 0 }
                : { index: 0, function: { arguments: text } };
            const said = toolCall
                ? { reasoning_content: null, tool_calls: [call] }
                : { content: text, reasoning_content: null };
            const { finish_reason, stop_reason } = ending(choice, reason(choice));
            const last = finish_reason === null ? {} : { stop_reason };
            return {
                choices: [
                    {
                        index: choice.index,
                        delta: said,
                        logprobs: logprobs.length > 0 ? chatLogprobs(logprobs) : null,
                        finish_reason,
                        ...last,
                        token_ids: tokenIds ? ids : null,
                    },
                ],
                ...(usage ? { usage } : {}),
            };
        },
    };
} // prettier-ignore

function ending(choice: Choice, reason: string | null): { finish_reason: string | null; stop_reason: string | null } {
    return { finish_reason: reason, stop_reason: choice.reason === "stop" ? choice.text.stopReason : null };
}

export function sendJson(answer: ServerResponse, status: number, value: object): void {
    const text = JSON.stringify(value);
    answer.statusCode = status;
    answer.setHeader("content-type", "application/json");
    answer.setHeader("content-length", Buffer.byteLength(text));
    answer.end(text);
}
