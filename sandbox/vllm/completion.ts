import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { CompletionRequest, ModelFacts } from "./completion-request";
import { Refusal } from "./completion-request";
import type { FinishReason } from "./engine";
import { chatLogprobs, simulatedLogprob, textLogprobs, type TokenLogprob } from "./logprobs";
import type { Serving } from "./serving";
import { answerLength, givenText, seededRandom, simulatedText, type SimulatedText } from "./simulated-text";
import { tokensOf } from "./tokenizer";

/** One request on its way: through the engine, and back as one answer or as a stream, in the words of OpenAI's API. */

export interface CompletionSettings extends ModelFacts {
    meanAnswerTokens: number;
    random: () => number;
}

interface Choice {
    index: number;
    text: SimulatedText;
    tokens: number;
    said: string;
    logprobs: TokenLogprob[];
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
        .flatMap(({ texts }) => texts)
        .map((text, index): Choice => ({ index, text, tokens: 0, said: "", logprobs: [], reason: null }));
    const promptTokens = prompts.reduce((sum, { tokens }) => sum + tokens, 0);
    const usageNow = (): object => {
        const completionTokens = choices.reduce((sum, { tokens }) => sum + tokens, 0);
        return {
            prompt_tokens: promptTokens,
            total_tokens: promptTokens + completionTokens,
            completion_tokens: completionTokens,
        };
    };
    const form = request.kind === "chat" ? chatForm(request) : textForm;
    const head = {
        id: `${form.idPrefix}-${randomUUID().replace(/-/g, "")}`,
        object: stream ? form.chunkObject : form.object,
        created: Math.floor(Date.now() / 1000),
        model: settings.names[0],
    };
    const sendChunk = (chunkChoices: object[], withUsage: boolean): void => {
        const chunk = { ...head, choices: chunkChoices, ...(withUsage ? { usage: usageNow() } : {}) };
        answer.write(`data: ${JSON.stringify(chunk)}\n\n`);
    };

    return new Promise((resolve) => {
        let left = choices.length;
        const end = (): void => {
            if (stream) {
                if (usage !== "none") sendChunk([], true);
                answer.end("data: [DONE]\n\n");
            } else {
                sendJson(answer, 200, {
                    ...head,
                    choices: choices.map((choice) => form.whole(choice)),
                    ...form.tail,
                    usage: { ...usageNow(), prompt_tokens_details: null },
                });
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
            };
            choice.reason = finished ?? null;
            choice.said += delta.text;
            if (stream) for (const part of form.chunks(choice, delta)) sendChunk([part], usage === "each");
            else choice.logprobs.push(...delta.logprobs);
            if (finished && --left === 0) end();
        };
        const aborts = plans.map(({ prompt, maxTokens, texts }, p) =>
            serving.submit(
                {
                    promptTokens: prompt.tokens,
                    promptBlocks: prompt.blocks,
                    naturalTokens: texts.map((text) => text.naturalTokens),
                    maxTokens,
                    askedMaxTokens: request.askedMaxTokens,
                    arrival,
                },
                {
                    tokens: (i, count, finished) => tokens(choices[p * n + i], count, finished),
                    died() {
                        if (answer.writableEnded) return;
                        if (stream) answer.end(`data: ${JSON.stringify(engineDead.body)}\n\ndata: [DONE]\n\n`);
                        else sendJson(answer, engineDead.status, engineDead.body);
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
    });
}

const engineDead = new Refusal(
    500,
    "InternalServerError",
    "EngineCore encountered an issue. See stack trace (above) for the root cause.",
);

/** What one answer is going to say. */
function planText(
    settings: CompletionSettings,
    request: CompletionRequest,
    maxTokens: number,
    random: () => number,
): SimulatedText {
    if (request.toolCall) return givenText([request.toolCall.name, ...tokensOf(request.toolCall.arguments)]);
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
}

/** How the chat API and the completions API put the same things. */
interface Form {
    idPrefix: string;
    object: string;
    chunkObject: string;
    /** Fields of a whole answer beside its choices. */
    tail: object;
    /** One choice of a whole answer. */
    whole(choice: Choice): object;
    /** What a stream says of new tokens, as a choice of each chunk. */
    chunks(choice: Choice, delta: Delta): object[];
}

const textForm: Form = {
    idPrefix: "cmpl",
    object: "text_completion",
    chunkObject: "text_completion",
    tail: { service_tier: null, system_fingerprint: null, kv_transfer_params: null },
    whole: (choice) => ({
        index: choice.index,
        text: choice.said,
        logprobs: choice.logprobs.length > 0 ? textLogprobs(choice.logprobs, 0) : null,
        ...ending(choice, choice.reason),
        prompt_logprobs: null,
    }),
    chunks: (choice, { text, logprobs, offset }) => [
        {
            index: choice.index,
            text,
            logprobs: logprobs.length > 0 ? textLogprobs(logprobs, offset) : null,
            ...ending(choice, choice.reason),
        },
    ],
};

function chatForm({ toolCall, endsWithToolCalls }: CompletionRequest): Form {
    const reason = (choice: Choice): string | null =>
        toolCall && endsWithToolCalls && choice.reason === "stop" ? "tool_calls" : choice.reason;
    // Every answer is of the same call, under an id of its own.
    const id = (choice: Choice): string =>
        choice.index === 0 ? toolCall!.id : `${toolCall!.id.slice(0, 8)}${choice.index}`;
    const callOf = (choice: Choice, given: string): object => ({
        id: id(choice),
        type: "function",
        function: { name: toolCall!.name, arguments: given },
    });
    return {
        idPrefix: "chatcmpl",
        object: "chat.completion",
        chunkObject: "chat.completion.chunk",
        tail: { service_tier: null, system_fingerprint: null, prompt_logprobs: null, kv_transfer_params: null },
        whole: (choice) => ({
            index: choice.index,
            message: {
                role: "assistant",
                content: toolCall ? null : choice.said,
                refusal: null,
                tool_calls: toolCall ? [callOf(choice, choice.said.slice(toolCall.name.length))] : [],
                reasoning_content: null,
            },
            logprobs: choice.logprobs.length > 0 ? chatLogprobs(choice.logprobs) : null,
            ...ending(choice, reason(choice)),
        }),
        chunks: (choice, { first, text, logprobs }) => {
            const { index } = choice;
            const last = {
                logprobs: logprobs.length > 0 ? chatLogprobs(logprobs) : null,
                ...ending(choice, reason(choice)),
            };
            const role = { index, delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null };
            const opening = first ? [role] : [];
            if (!toolCall) return [...opening, { index, delta: { content: text }, ...last }];
            const call = first
                ? { index: 0, ...callOf(choice, text.slice(toolCall.name.length)) }
                : { index: 0, function: { arguments: text } };
            return [...opening, { index, delta: { tool_calls: [call] }, ...last }];
        },
    };
}

function ending(choice: Choice, reason: string | null): object {
    return { finish_reason: reason, stop_reason: choice.reason === "stop" ? choice.text.stopReason : null };
}

export function sendJson(answer: ServerResponse, status: number, value: object): void {
    const text = JSON.stringify(value);
    answer.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
    answer.end(text);
}
