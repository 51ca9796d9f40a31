import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import {
    readCompletionRequest,
    Refusal,
    type CompletionRequest,
    type Kind,
    type ModelFacts,
} from "./completion-request";
import type { FinishReason } from "./engine";
import type { ReplicaMetrics } from "./metrics";
import type { Serving } from "./serving";
import { answerLength, seededRandom, simulatedText, type SimulatedText } from "./simulated-text";

/** The release of vLLM that is imitated. */
export const vllmVersion = "0.13.0";

export interface ServerSettings extends ModelFacts {
    /** The repository of the model. */
    root: string;
    apiKeys: string[];
    /** Whether `/load` counts; without the flag vLLM's answers 0. */
    loadTracking: boolean;
    meanAnswerTokens: number;
    random: () => number;
}

type Handler = (incoming: IncomingMessage, answer: ServerResponse) => unknown;

/** The HTTP face of one replica, as vLLM's OpenAI server. Not started: its caller listens. */
export function createVllmServer(settings: ServerSettings, serving: Serving, metrics: ReplicaMetrics): Server {
    let load = 0;
    const created = Math.floor(Date.now() / 1000);
    const completions =
        (kind: Kind): Handler =>
        async (incoming, answer) => {
            load++;
            try {
                const arrival = serving.now();
                const request = readCompletionRequest(kind, await textOf(incoming), settings);
                await complete(settings, serving, request, arrival, answer);
            } finally {
                load--;
            }
        };
    const empty: Handler = (_, answer) => answer.writeHead(200, { "content-length": 0 }).end();
    const routes: Record<string, Record<string, Handler>> = {
        "/health": { GET: empty },
        "/ping": { GET: empty, POST: empty },
        "/version": { GET: (_, answer) => sendJson(answer, 200, { version: vllmVersion }) },
        "/load": { GET: (_, answer) => sendJson(answer, 200, { server_load: settings.loadTracking ? load : 0 }) },
        "/metrics": {
            GET: (_, answer) => send(answer, 200, "text/plain; version=1.0.0; charset=utf-8", metrics.page()),
        },
        "/v1/models": {
            GET: (_, answer) =>
                sendJson(answer, 200, {
                    object: "list",
                    data: settings.names.map((id) => ({
                        id,
                        object: "model",
                        created,
                        owned_by: "vllm",
                        root: settings.root,
                        parent: null,
                        max_model_len: settings.maxModelLen,
                    })),
                }),
        },
        "/v1/chat/completions": { POST: completions("chat") },
        "/v1/completions": { POST: completions("text") },
    };

    return createServer((incoming, answer) => {
        const begin = performance.now();
        const { pathname } = new URL(incoming.url ?? "/", "http://replica");
        const route = Object.hasOwn(routes, pathname) ? routes[pathname] : undefined;
        answer.on("close", () =>
            observe(metrics, incoming, answer, route ? pathname : "none", (performance.now() - begin) / 1000),
        );
        if (!mayPass(settings.apiKeys, pathname, incoming.headers.authorization)) {
            return sendJson(answer, 401, { error: "Unauthorized" });
        }
        const handler = route?.[incoming.method ?? "GET"];
        if (!route) return sendJson(answer, 404, { detail: "Not Found" });
        if (!handler) return sendJson(answer, 405, { detail: "Method Not Allowed" });
        Promise.resolve(handler(incoming, answer)).catch((error: unknown) => {
            if (answer.headersSent) return void answer.destroy();
            const refusal =
                error instanceof Refusal ? error : new Refusal(500, "InternalServerError", (error as Error).message);
            return sendJson(answer, refusal.status, refusal.body);
        });
    });
}

/** An API key guards the paths under /v1 alone. */
function mayPass(keys: string[], path: string, authorization: string | undefined): boolean {
    return keys.length === 0 || !path.startsWith("/v1") || keys.some((key) => authorization === `Bearer ${key}`);
}

interface Choice {
    text: SimulatedText;
    tokens: number;
    said: string;
    reason: FinishReason | null;
}

/** Runs one request through the engine. Resolves when it is answered or its client has gone. */
function complete(
    settings: ServerSettings,
    serving: Serving,
    request: CompletionRequest,
    arrival: number,
    answer: ServerResponse,
): Promise<void> {
    const { kind, prompts, n, stream, usage } = request;
    const random = request.seed === undefined ? settings.random : seededRandom(request.seed);
    const room = Math.min(settings.maxModelLen, serving.capacityTokens);
    const plans = prompts.map((prompt) => {
        const maxTokens = Math.min(request.askedMaxTokens ?? Infinity, room - prompt.tokens);
        const texts = Array.from({ length: n }, () => {
            const length = request.ignoreEos
                ? Infinity
                : Math.max(request.minTokens, answerLength(random, settings.meanAnswerTokens));
            return simulatedText(length, maxTokens, request.stop, request.includeStop);
        });
        return { prompt, maxTokens, texts };
    });
    const choices: Choice[] = plans.flatMap(({ texts }) =>
        texts.map((text) => ({ text, tokens: 0, said: "", reason: null })),
    );
    const promptTokens = prompts.reduce((sum, { tokens }) => sum + tokens, 0);
    const usageNow = (): object => {
        const completionTokens = choices.reduce((sum, { tokens }) => sum + tokens, 0);
        return {
            prompt_tokens: promptTokens,
            total_tokens: promptTokens + completionTokens,
            completion_tokens: completionTokens,
        };
    };
    const head = {
        id: `${kind === "chat" ? "chatcmpl" : "cmpl"}-${randomUUID().replace(/-/g, "")}`,
        object: kind === "chat" ? "chat.completion" : "text_completion",
        created: Math.floor(Date.now() / 1000),
        model: settings.names[0],
    };
    const ending = (choice: Choice): object => ({
        logprobs: null,
        finish_reason: choice.reason,
        stop_reason: choice.reason === "stop" ? choice.text.stopReason : null,
    });
    const object = kind === "chat" ? "chat.completion.chunk" : head.object;
    const sendChunk = (chunkChoices: object[], withUsage: boolean): void => {
        const chunk = { ...head, object, choices: chunkChoices, ...(withUsage ? { usage: usageNow() } : {}) };
        answer.write(`data: ${JSON.stringify(chunk)}\n\n`);
    };

    return new Promise((resolve) => {
        let left = choices.length;
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
                    token(i, finished) {
                        const index = p * n + i;
                        const choice = choices[index];
                        const piece = choice.text.piece(choice.tokens++);
                        choice.reason = finished ?? null;
                        if (stream) {
                            if (kind === "chat" && choice.tokens === 1) {
                                const delta = { role: "assistant", content: "" };
                                sendChunk([{ index, delta, logprobs: null, finish_reason: null }], usage === "each");
                            }
                            const said = kind === "chat" ? { delta: { content: piece } } : { text: piece };
                            sendChunk([{ index, ...said, ...ending(choice) }], usage === "each");
                        } else {
                            choice.said += piece;
                        }
                        if (finished && --left === 0) end();
                    },
                },
            ),
        );
        const end = (): void => {
            if (stream) {
                if (usage !== "none") sendChunk([], true);
                answer.end("data: [DONE]\n\n");
            } else {
                sendJson(answer, 200, {
                    ...head,
                    choices: choices.map((choice, index) => ({
                        index,
                        ...(kind === "chat"
                            ? { message: { role: "assistant", content: choice.said, refusal: null, tool_calls: [] } }
                            : { text: choice.said }),
                        ...ending(choice),
                    })),
                    usage: { ...usageNow(), prompt_tokens_details: null },
                });
            }
            resolve();
        };
        // The head of a stream goes out at once, long before the first token.
        if (stream) answer.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" }).flushHeaders();
        // A client that goes away, or a server that cuts it off, frees its place.
        answer.on("close", () => {
            if (left > 0) for (const abort of aborts) abort();
            resolve();
        });
    });
}

const unobserved = /\/(metrics|health|load|ping|version|server_info)/;

/** What prometheus-fastapi-instrumentator records of a request. */
function observe(
    { http }: ReplicaMetrics,
    incoming: IncomingMessage,
    answer: ServerResponse,
    handler: string,
    seconds: number,
): void {
    if (unobserved.test(handler)) return;
    const method = incoming.method ?? "GET";
    http.requests.labels({ handler, method, status: `${String(answer.statusCode)[0]}xx` }).add();
    http.requestSize.labels({ handler }).observe(Number(incoming.headers["content-length"] ?? 0));
    http.responseSize.labels({ handler }).observe(Number(answer.getHeader("content-length") ?? 0));
    http.durationFine.labels({}).observe(seconds);
    http.duration.labels({ handler, method }).observe(seconds);
}

function sendJson(answer: ServerResponse, status: number, value: object): void {
    send(answer, status, "application/json", JSON.stringify(value));
}

function send(answer: ServerResponse, status: number, type: string, text: string): void {
    answer.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) });
    answer.end(text);
}

async function textOf(incoming: IncomingMessage): Promise<string> {
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part as Buffer);
    return Buffer.concat(parts).toString();
}
