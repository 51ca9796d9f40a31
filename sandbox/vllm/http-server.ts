import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { ServerArguments } from "./command-line";
import type { Serving } from "./serving";

/** vLLM's release that the face imitates. */
const version = "0.13.0";

/** A refusal in vLLM's shape. */
class Refusal extends Error {
    constructor(
        readonly status: number,
        readonly type: string,
        message: string,
        readonly param: string | null = null,
    ) {
        super(message);
    }
}

/** Parameters that change nothing which a simulation of time and tokens would show. */
const harmless = new Set([
    "model", "messages", "prompt", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p",
    "top_k", "min_p", "seed", "user", "presence_penalty", "frequency_penalty", "repetition_penalty", "n", "tools", "tool_choice",
    "ignore_eos", "metadata", "store", "service_tier", "parallel_tool_calls",
]); // prettier-ignore

const words = "this text is simulated by the sandbox and says nothing about the model that a real replica would run".split(" ");

/** The OpenAI-compatible face of one simulated replica. Not started: call `listen`. */
export function vllmServer(args: ServerArguments, serving: Serving): Server {
    const server = createServer((incoming, answer) => {
        const started = performance.now();
        const path = new URL(incoming.url ?? "/", "http://replica").pathname;
        const route = routes[`${incoming.method} ${path}`] as Handler | undefined;
        answer.on("close", () => observe(serving, incoming, answer, route ? path : "none", (performance.now() - started) / 1000));
        Promise.resolve()
            .then(() => {
                if (args.apiKey && path.startsWith("/v1") && incoming.headers.authorization !== `Bearer ${args.apiKey}`) {
                    return json(answer, 401, { error: "Unauthorized" });
                }
                return route ? route(incoming, answer) : json(answer, 404, { detail: "Not Found" });
            })
            .catch((error: unknown) => {
                if (answer.headersSent) return void answer.destroy();
                const { status, type, param } = error instanceof Refusal ? error : new Refusal(500, "InternalServerError", "");
                return json(answer, status, { error: { message: (error as Error).message, type, param, code: status } });
            });
    });

    const routes: Record<string, Handler> = {
        "GET /health": (_, answer) => answer.writeHead(200).end(),
        "GET /ping": (_, answer) => answer.writeHead(200).end(),
        "GET /version": (_, answer) => json(answer, 200, { version }),
        "GET /load": (_, answer) => json(answer, 200, { server_load: serving.load }),
        "GET /metrics": (_, answer) => {
            answer.writeHead(200, { "content-type": "text/plain; version=1.0.0; charset=utf-8" });
            answer.end(serving.metrics.page());
        },
        "GET /v1/models": (_, answer) =>
            json(answer, 200, {
                object: "list",
                data: [
                    {
                        id: args.servedModelName,
                        object: "model",
                        created: Math.floor(Date.now() / 1000),
                        owned_by: "vllm",
                        root: args.model,
                        parent: null,
                        max_model_len: args.maxModelLen,
                    },
                ],
            }),
        "POST /v1/chat/completions": async (incoming, answer) => complete(args, serving, "chat", await body(incoming), incoming, answer),
        "POST /v1/completions": async (incoming, answer) => complete(args, serving, "text", await body(incoming), incoming, answer),
    };
    return server;
}

type Kind = "chat" | "text";
type Handler = (incoming: IncomingMessage, answer: ServerResponse) => unknown;

function complete(args: ServerArguments, serving: Serving, kind: Kind, request: Record<string, any>, incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { prompt, maxTokens } = readRequest(args, kind, request);
    const id = `${kind === "chat" ? "chatcmpl" : "cmpl"}-${randomUUID().replace(/-/g, "")}`;
    const head = {
        id,
        object: kind === "chat" ? "chat.completion" : "text_completion",
        created: Math.floor(Date.now() / 1000),
        model: args.servedModelName,
    };
    const stream = request.stream === true;
    const withUsage = request.stream_options?.include_usage === true;
    const send = (value: unknown): void => void answer.write(`data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`);
    const chunk = (choices: unknown[], usage?: object | null): void =>
        send({ ...head, object: kind === "chat" ? "chat.completion.chunk" : head.object, choices, ...(withUsage ? { usage: usage ?? null } : {}) });
    let text = "";
    let tokens = 0;

    return new Promise((resolve) => {
        let done = false;
        const { id: engineId, promptTokens } = serving.submit(prompt, maxTokens, {
            token({ first }) {
                const piece = (tokens === 0 ? "" : " ") + words[tokens % words.length];
                tokens++;
                text += piece;
                if (!stream) return;
                if (first) {
                    answer.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
                    if (kind === "chat") chunk([{ index: 0, delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null }]);
                }
                chunk([{ index: 0, ...(kind === "chat" ? { delta: { content: piece } } : { text: piece }), logprobs: null, finish_reason: null }]);
            },
            end(reason) {
                done = true;
                const usage = { prompt_tokens: promptTokens, completion_tokens: tokens, total_tokens: promptTokens + tokens };
                if (stream) {
                    chunk([{ index: 0, ...(kind === "chat" ? { delta: {} } : { text: "" }), logprobs: null, finish_reason: reason, stop_reason: null }]);
                    if (withUsage) chunk([], usage);
                    send("[DONE]");
                    answer.end();
                } else {
                    const content = kind === "chat" ? { message: { role: "assistant", content: text, refusal: null, tool_calls: [] } } : { text };
                    json(answer, 200, { ...head, choices: [{ index: 0, ...content, logprobs: null, finish_reason: reason, stop_reason: null }], usage });
                }
                resolve();
            },
        });
        // A client that goes away frees its place, as in vLLM.
        incoming.socket.once("close", () => {
            if (!done) serving.abort(engineId);
            resolve();
        });
    });
}

/** Reads and checks a request body. Throws a Refusal for what is wrong, and for what the simulation cannot do. */
function readRequest(args: ServerArguments, kind: Kind, request: Record<string, any>): { prompt: string; maxTokens?: number } {
    const bad = (message: string, param: string): Refusal => new Refusal(400, "BadRequestError", message, param);
    if (request.model !== undefined && request.model !== args.servedModelName) {
        throw new Refusal(404, "NotFoundError", `The model \`${String(request.model)}\` does not exist.`, "model");
    }
    for (const [name, value] of Object.entries(request)) {
        if (!harmless.has(name) && value !== null) throw bad(`${name}: the sandbox does not simulate this parameter`, name);
    }
    if ((request.n ?? 1) !== 1) throw bad("n: the sandbox simulates one answer per request", "n");
    if (request.tool_choice !== undefined && !["none", "auto"].includes(request.tool_choice as string)) {
        throw bad("tool_choice: the sandbox does not simulate tool calls", "tool_choice");
    }
    if (request.tool_choice === "auto" && !args.autoToolChoice) {
        throw bad('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', "tool_choice");
    }
    const maxTokens = (request.max_completion_tokens ?? request.max_tokens) as number | undefined;
    if (maxTokens !== undefined && !(Number.isInteger(maxTokens) && maxTokens >= 1)) throw bad(`max_tokens must be at least 1, got ${maxTokens}.`, "max_tokens");
    let prompt: string;
    if (kind === "chat") {
        if (!Array.isArray(request.messages) || request.messages.length === 0) throw bad("messages: a list with at least one message is required", "messages");
        prompt = (request.messages as { role: string; content: unknown }[])
            .map(({ role, content }) => `<${role}>${typeof content === "string" ? content : JSON.stringify(content)}`)
            .join("\n");
    } else {
        if (typeof request.prompt !== "string") throw bad("prompt: the sandbox takes one text", "prompt");
        prompt = request.prompt;
    }
    const promptTokens = Math.ceil(prompt.length / 4);
    if (promptTokens + (maxTokens ?? 1) > args.maxModelLen) {
        throw bad(
            `This model's maximum context length is ${args.maxModelLen} tokens. However, your request has ${promptTokens} input tokens` +
                (maxTokens === undefined ? "." : ` and asks for ${maxTokens}.`),
            "input_tokens",
        );
    }
    return { prompt, maxTokens };
}

const unobserved = /\/metrics|\/health|\/load|\/ping|\/version|\/server_info/;

/** What prometheus-fastapi-instrumentator records of a request. */
function observe({ metrics }: Serving, incoming: IncomingMessage, answer: ServerResponse, handler: string, seconds: number): void {
    if (unobserved.test(handler)) return;
    const method = incoming.method ?? "GET";
    metrics.http.add({ handler, method, status: `${String(answer.statusCode)[0]}xx` });
    metrics.httpHigh.observe({}, seconds);
    metrics.httpLow.observe({ handler, method }, seconds);
    metrics.requestSize.observe({ handler }, Number(incoming.headers["content-length"] ?? 0));
    metrics.responseSize.observe({ handler }, Number(answer.getHeader("content-length") ?? 0));
}

function json(answer: ServerResponse, status: number, value: unknown): void {
    const text = JSON.stringify(value);
    answer.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
    answer.end(text);
}

async function body(incoming: IncomingMessage): Promise<Record<string, any>> {
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part as Buffer);
    try {
        return JSON.parse(Buffer.concat(parts).toString()) as Record<string, any>;
    } catch {
        throw new Refusal(400, "BadRequestError", "the body is not JSON");
    }
}
