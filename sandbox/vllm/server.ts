import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { createHttpServer, HttpError, type HttpHandler, type HttpRequest } from "../http-server";
import { complete, sendJson, type CompletionSettings } from "./completion";
import { readCompletionRequest, readDetokenizeRequest, readTokenizeRequest, type Kind } from "./completion-request";
import type { ReplicaMetrics } from "./metrics";
import { Failure, malformed, Refusal, Unreadable } from "./refusal";
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
/** The default of `--h11-max-incomplete-event-size`. */
const headerBytes = 4 * 1024 ** 2;

/** What vLLM serves as well and the sandbox does not. */
const notSimulated: Record<string, string> = {
    "/scale_elastic_ep": "POST",
    "/inference/v1/generate": "POST",
    "/pause": "POST",
    "/resume": "POST",
    "/v1/responses": "POST",
    "/v1/responses/{response_id}": "GET",
    "/v1/responses/{response_id}/cancel": "POST",
    "/v1/messages": "POST",
    "/v1/audio/transcriptions": "POST",
    "/v1/audio/translations": "POST",
    "/invocations": "POST",
    "/classify": "POST",
    "/v1/embeddings": "POST",
    "/score": "POST",
    "/v1/score": "POST",
    "/rerank": "POST",
    "/v1/rerank": "POST",
    "/v2/rerank": "POST",
    "/pooling": "POST",
};

type Route = Record<string, HttpHandler>;

/** The HTTP face of one replica, as vLLM's OpenAI server. Not started: its caller listens. */
export function createVllmServer(settings: ServerSettings, serving: Serving, metrics: ReplicaMetrics): Server {
    const routes = routesOf(settings, serving, metrics);
    const options = { bodyBytes, headerBytes, allowsOrigin, refusal, log: settings.log };
    return createHttpServer(options, async (request, answer) => {
        const begin = performance.now();
        const hung = settings.hung();
        if (hung) await hung;
        if (answer.closed) return;
        // What stands before vLLM's own counting, from the outside in.
        if (!mayPass(settings.apiKeys, request)) return sendJson(answer, 401, { error: "Unauthorized" });
        if (allowCrossOrigin(request.incoming, answer)) return;
        const found = find(routes, request);
        answer.on("close", () => {
            observe(metrics, request.incoming, answer, found, (performance.now() - begin) / 1000);
        });
        try {
            const asks = request.method === "POST" && request.url.pathname.startsWith("/v1/");
            const failure = asks ? settings.failure() : undefined;
            if (failure !== undefined) throw injected(failure);
            await found.handle(request, answer);
        } catch (error) {
            if (error instanceof Refusal || error instanceof Unreadable) sendJson(answer, error.status, error.body);
            else if (error instanceof Failure) {
                answer.writeHead(error.status, { "content-type": "text/plain; charset=utf-8" }).end(error.message);
            } else throw error;
        }
    });
}

function injected(status: number): Refusal {
    const type = status < 500 ? "BadRequestError" : "InternalServerError";
    return new Refusal(status, type, "a fault of the sandbox answers this request with an error");
}

function routesOf(settings: ServerSettings, serving: Serving, metrics: ReplicaMetrics): Record<string, Route> {
    let load = 0;
    const created = Math.floor(Date.now() / 1000);
    const completions =
        (kind: Kind): HttpHandler =>
        async ({ text, incoming }, answer) => {
            load++;
            try {
                const arrival = serving.now();
                requireJson(incoming);
                const id = incoming.headers["x-request-id"] as string | undefined;
                const request = readCompletionRequest(kind, await text(), settings, id);
                await complete(settings, serving, request, arrival, answer);
            } finally {
                load--;
            }
        };
    const json =
        (value: () => object): HttpHandler =>
        (_, answer) =>
            sendJson(answer, 200, value());
    const page = (type: string, text: () => string): HttpHandler => {
        return (_, answer) => sendText(answer, type, text());
    };
    const html = page("text/html; charset=utf-8", () => "<title>vLLM, simulated by the sandbox</title>");
    const health: HttpHandler = (_, answer) => {
        answer.writeHead(settings.engineIsDead() ? 503 : 200, { "content-length": 0 }).end();
    };
    const refuse: HttpHandler = ({ url }) => {
        throw new Refusal(501, "NotImplementedError", `the sandbox does not simulate ${url.pathname} of vLLM`);
    };
    const mounted = page("text/plain; version=0.0.4; charset=utf-8", () => metrics.page());
    const routes: Record<string, Route> = {
        "/health": { GET: health },
        "/ping": { GET: health, POST: health },
        "/version": { GET: json(() => ({ version: vllmVersion })) },
        "/load": { GET: json(() => ({ server_load: settings.loadTracking ? load : 0 })) },
        "/is_paused": { GET: json(() => ({ is_paused: false })) },
        "/is_scaling_elastic_ep": { POST: json(() => ({ is_scaling_elastic_ep: false })) },
        "/metrics": { GET: page("text/plain; version=1.0.0; charset=utf-8", () => metrics.page()), "*": mounted },
        "/metrics{path}": { "*": mounted },
        "/v1/models": { GET: json(() => ({ object: "list", data: settings.names.map((name) => card(name)) })) },
        "/tokenize": {
            POST: async ({ text, incoming }, answer) => {
                requireJson(incoming);
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
            POST: async ({ text, incoming }, answer) => {
                requireJson(incoming);
                sendJson(answer, 200, { prompt: readDetokenizeRequest(await text(), settings) });
            },
        },
        "/v1/chat/completions": { POST: completions("chat") },
        "/v1/completions": { POST: completions("text") },
    };
    for (const [path, method] of Object.entries(notSimulated)) routes[path] = { [method]: refuse };
    const described = describe(routes);
    const documents: Record<string, HttpHandler> = {
        "/openapi.json": json(() => described),
        "/docs": html,
        "/docs/oauth2-redirect": html,
        "/redoc": html,
    };
    for (const [path, handler] of Object.entries(documents)) routes[path] = { GET: handler, HEAD: handler };
    return routes;

    function card(id: string): object {
        const permission = {
            id: `modelperm-${tokenId(id).toString(16).padStart(32, "0")}`,
            object: "model_permission",
            created,
            allow_create_engine: false,
            allow_sampling: true,
            allow_logprobs: true,
            allow_search_indices: false,
            allow_view: true,
            allow_fine_tuning: false,
            organization: "*",
            group: null,
            is_blocking: false,
        };
        const { root, maxModelLen } = settings;
        const [object, owned_by, parent] = ["model", "vllm", null];
        return { id, object, created, owned_by, root, parent, max_model_len: maxModelLen, permission: [permission] };
    }
}

/** What `/openapi.json` says of the paths: that they are there. */
function describe(routes: Record<string, Route>): object {
    const paths = Object.entries(routes).map(([path, route]) => {
        const methods = Object.keys(route).filter((method) => method !== "*");
        return [path, Object.fromEntries(methods.map((method) => [method.toLowerCase(), { responses: {} }]))] as const;
    });
    return {
        openapi: "3.1.0",
        info: { title: "vLLM, simulated by the sandbox", version: vllmVersion },
        paths: Object.fromEntries(paths.filter(([, methods]) => Object.keys(methods).length > 0)),
    };
}

interface Found {
    /** As vLLM's metrics name what answers; undefined: this is not counted. */
    handler: string | undefined;
    handle: HttpHandler;
}

/** Not counted, wherever in a path it stands. */
const unobserved = /\/(metrics|health|load|ping|version|server_info)/;

function find(routes: Record<string, Route>, request: HttpRequest): Found {
    const { method } = request;
    const pathname = pathOf(request);
    const matching = (path: string): string | undefined =>
        Object.hasOwn(routes, path) ? path : Object.keys(routes).find((one) => one.includes("{") && matches(one, path));
    const path = matching(pathname);
    const route = path === undefined ? undefined : routes[path];
    const handler = route && (Object.hasOwn(route, method) ? route[method] : route["*"]);
    const counted = (name: string, raw = name): string | undefined => (unobserved.test(raw) ? undefined : name);
    if (handler) return { handler: counted(path!), handle: handler };
    if (route) {
        return {
            handler: counted("none", pathname),
            handle: (_, answer) => {
                // Starlette names the methods of the first route that it finds.
                answer.setHeader("allow", Object.keys(route).filter((one) => one !== "HEAD")[0]);
                sendJson(answer, 405, { detail: "Method Not Allowed" });
            },
        };
    }
    const other = pathname.endsWith("/") ? matching(pathname.slice(0, -1)) : undefined;
    if (other !== undefined) {
        return {
            handler: counted(Object.hasOwn(routes[other], method) ? pathname : "none", pathname),
            handle: ({ url }, answer) => {
                answer.setHeader("location", `${url.origin}${pathname.slice(0, -1)}${url.search}`);
                answer.setHeader("content-length", 0);
                answer.writeHead(307).end();
            },
        };
    }
    return {
        handler: counted("none", pathname),
        handle: (_, answer) => sendJson(answer, 404, { detail: "Not Found" }),
    };
}

/** The path as it came, without what a URL makes of it. */
function pathOf({ url, incoming }: HttpRequest): string {
    const raw = incoming.url?.startsWith("/") ? incoming.url.split("?")[0] : url.pathname;
    try {
        return decodeURIComponent(raw);
    } catch {
        return raw;
    }
}

/** Whether a path is one of a template such as `/v1/responses/{response_id}`. */
function matches(template: string, path: string): boolean {
    const pattern = template.replace(/\{path\}/, ".*").replace(/\{\w+\}/g, "[^/]+");
    return new RegExp(`^${pattern}$`).test(path);
}

/** vLLM allows every page. A replica's own port is not reachable on the platform, though, and asks for no token. */
function allowsOrigin(_: string, { socket }: IncomingMessage): boolean {
    return !(socket instanceof Socket);
}

/** Says that a page of another origin may read the answer. True when that was the question. */
function allowCrossOrigin({ method, headers }: IncomingMessage, answer: ServerResponse): boolean {
    if (headers.origin === undefined) return false;
    const preflight = method === "OPTIONS" && headers["access-control-request-method"] !== undefined;
    const withCookie = headers.cookie !== undefined && !preflight;
    answer.setHeader("access-control-allow-origin", withCookie ? headers.origin : "*");
    if (withCookie) answer.setHeader("vary", "Origin");
    if (!preflight) return false;
    answer.setHeader("access-control-allow-methods", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
    answer.setHeader("access-control-max-age", "600");
    const asked = headers["access-control-request-headers"];
    if (asked !== undefined) answer.setHeader("access-control-allow-headers", asked);
    sendText(answer, "text/plain; charset=utf-8", "OK");
    return true;
}

function sendText(answer: ServerResponse, type: string, text: string): void {
    answer.setHeader("content-type", type);
    answer.setHeader("content-length", Buffer.byteLength(text));
    answer.end(text);
}

function requireJson({ headers }: IncomingMessage): void {
    if (headers["content-type"]?.split(";")[0].trim().toLowerCase() === "application/json") return;
    const message = "Unsupported Media Type: Only 'application/json' is allowed";
    throw malformed(`1 validation error:\n  ${message} ["${message}"]`);
}

function refusal(error: HttpError): object {
    const type = error.status < 500 ? "BadRequestError" : "InternalServerError";
    return new Refusal(error.status, type, error.message).body;
}

/** An API key guards the paths under /v1 alone, and no preflight. */
function mayPass(keys: string[], request: HttpRequest): boolean {
    if (keys.length === 0 || request.method === "OPTIONS" || !pathOf(request).startsWith("/v1")) return true;
    const [, scheme, key] = /^(\S+) (.*)$/s.exec(request.incoming.headers.authorization ?? "") ?? [];
    return scheme?.toLowerCase() === "bearer" && keys.includes(key);
}

/** What prometheus-fastapi-instrumentator records of a request. */
function observe(
    { http }: ReplicaMetrics,
    incoming: IncomingMessage,
    answer: ServerResponse,
    { handler }: Found,
    seconds: number,
): void {
    if (handler === undefined) return;
    const method = incoming.method ?? "GET";
    http.requests.labels({ handler, method, status: `${String(answer.statusCode)[0]}xx` }).add();
    http.requestSize.labels({ handler }).observe(Number(incoming.headers["content-length"] ?? 0));
    http.responseSize.labels({ handler }).observe(Number(answer.getHeader("content-length") ?? 0));
    http.durationFine.labels({}).observe(seconds);
    http.duration.labels({ handler, method }).observe(seconds);
}
