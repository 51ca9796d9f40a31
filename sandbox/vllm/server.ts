import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { createHttpServer, HttpError, type HttpHandler, type HttpRequest } from "../http-server";
import { complete, sendJson, type CompletionSettings } from "./completion";
import {
    readCompletionRequest,
    readDetokenizeRequest,
    readTokenizeRequest,
    Refusal,
    type Kind,
} from "./completion-request";
import type { ReplicaMetrics } from "./metrics";
import type { Serving } from "./serving";
import { tokenId } from "./tokenizer";

/** The release of vLLM that is imitated. */
export const vllmVersion = "0.13.0";

export interface ServerSettings extends CompletionSettings {
    /** The repository of the model. */
    root: string;
    apiKeys: string[];
    /** Whether `/load` counts; without the flag vLLM's answers 0. */
    loadTracking: boolean;
    /** While the server hangs: what to wait for before anything is answered. */
    hung: () => Promise<void> | undefined;
    /** The status that a POST under `/v1` is answered with instead, by a fault; asked once for each. */
    failure: () => number | undefined;
    engineIsDead: () => boolean;
    /** Is told of faults of the simulation itself. */
    log: (line: string) => void;
}

/** vLLM's has no limit: this one is that of the gateway before it. */
const bodyBytes = 100 * 1024 ** 2;

/** What vLLM serves as well and the sandbox does not, by the beginning of the path. */
const notSimulated =
    /^\/(v1\/(responses|embeddings|audio|messages|score|rerank)|v2\/rerank|score|rerank|pooling|classify|invocations|inference|tokenizer_info|server_info|sleep|wake_up|reset_prefix_cache|v1\/load_lora_adapter|v1\/unload_lora_adapter)\b/;

/** The HTTP face of one replica, as vLLM's OpenAI server. Not started: its caller listens. */
export function createVllmServer(settings: ServerSettings, serving: Serving, metrics: ReplicaMetrics): Server {
    let load = 0;
    const created = Math.floor(Date.now() / 1000);
    const completions =
        (kind: Kind): HttpHandler =>
        async ({ text }, answer) => {
            load++;
            try {
                const arrival = serving.now();
                const request = readCompletionRequest(kind, await text(), settings);
                await complete(settings, serving, request, arrival, answer);
            } finally {
                load--;
            }
        };
    const health: HttpHandler = (_, answer) =>
        answer.writeHead(settings.engineIsDead() ? 503 : 200, { "content-length": 0 }).end();
    const routes: Record<string, Record<string, HttpHandler>> = {
        "/health": { GET: health },
        "/ping": { GET: health, POST: health },
        "/version": { GET: (_, answer) => sendJson(answer, 200, { version: vllmVersion }) },
        "/load": { GET: (_, answer) => sendJson(answer, 200, { server_load: settings.loadTracking ? load : 0 }) },
        "/metrics": {
            GET: (_, answer) => {
                const page = metrics.page();
                const type = "text/plain; version=1.0.0; charset=utf-8";
                answer.writeHead(200, { "content-type": type, "content-length": Buffer.byteLength(page) }).end(page);
            },
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
        "/tokenize": {
            POST: async ({ text }, answer) => {
                const { tokens, withTexts } = readTokenizeRequest(await text(), settings);
                sendJson(answer, 200, {
                    count: tokens.length,
                    max_model_len: settings.maxModelLen,
                    tokens: tokens.map(tokenId),
                    token_strs: withTexts ? tokens : null,
                });
            },
        },
        "/detokenize": {
            POST: async ({ text }, answer) => {
                sendJson(answer, 200, { prompt: readDetokenizeRequest(await text(), settings) });
            },
        },
        "/v1/chat/completions": { POST: completions("chat") },
        "/v1/completions": { POST: completions("text") },
    };

    return createHttpServer({ bodyBytes, allowsOrigin, refusal, log: settings.log }, (request, answer) => {
        const begin = performance.now();
        const { pathname } = request.url;
        const route = Object.hasOwn(routes, pathname) ? routes[pathname] : undefined;
        answer.on("close", () =>
            observe(metrics, request.incoming, answer, route ? pathname : "none", (performance.now() - begin) / 1000),
        );
        return serve(request, answer, route);
    });

    async function serve(
        request: HttpRequest,
        answer: ServerResponse,
        route: Record<string, HttpHandler> | undefined,
    ): Promise<unknown> {
        const { method, incoming } = request;
        const { pathname } = request.url;
        const hung = settings.hung();
        if (hung) await hung;
        if (answer.closed) return undefined;
        if (!mayPass(settings.apiKeys, pathname, incoming.headers.authorization)) {
            return sendJson(answer, 401, { error: "Unauthorized" });
        }
        const failure = method === "POST" && pathname.startsWith("/v1/") ? settings.failure() : undefined;
        if (failure !== undefined) {
            const type = failure < 500 ? "BadRequestError" : "InternalServerError";
            throw new Refusal(failure, type, "a fault of the sandbox answers this request with an error");
        }
        if (!route && notSimulated.test(pathname)) {
            throw new Refusal(501, "NotImplementedError", `the sandbox does not simulate ${pathname} of vLLM`);
        }
        if (!route) return sendJson(answer, 404, { detail: "Not Found" });
        const handler = Object.hasOwn(route, method) ? route[method] : undefined;
        if (!handler) {
            answer.setHeader("allow", Object.keys(route).join(", "));
            return sendJson(answer, 405, { detail: "Method Not Allowed" });
        }
        return handler(request, answer);
    }
}

/** vLLM allows every page. A replica's own port is not reachable on the platform, though, and asks for no token. */
function allowsOrigin(_: string, { socket }: IncomingMessage): boolean {
    return !(socket instanceof Socket);
}

function refusal(error: HttpError): object {
    if (error instanceof Refusal) return error.body;
    const type = error.status < 500 ? "BadRequestError" : "InternalServerError";
    return new Refusal(error.status, type, error.message).body;
}

/** An API key guards the paths under /v1 alone. */
function mayPass(keys: string[], path: string, authorization: string | undefined): boolean {
    return keys.length === 0 || !path.startsWith("/v1") || keys.some((key) => authorization === `Bearer ${key}`);
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
