import { setTimeout as sleep } from "node:timers/promises";
import { createSecureContext } from "node:tls";
import { createParser } from "eventsource-parser";
import { buildConnector, Client, type Dispatcher } from "undici";
import { mask } from "../../packages/ai-deploy/src/errors/mask";
import { summarize, Samples, type Summary } from "./statistics";

/** Where the model answers. */
export interface Endpoint {
    /** Base URL of the OpenAI-compatible API, with `/v1` and without a slash at the end. */
    baseUrl: string;
    /** Bearer token; undefined for an app that asks for none. */
    token?: string;
    /** Certificate authorities (PEM) to trust instead of Node's own. */
    ca?: string[];
}

/** One chat completion to ask for. */
export interface ChatRequest {
    model: string;
    prompt: string;
    maxTokens: number;
    temperature: number;
}

/** Why there is no answer. */
export interface Failure {
    /** Short and without variable parts, to be counted by. */
    kind: string;
    /** What exactly was seen. */
    detail: string;
    /** HTTP status, when one came. */
    status?: number;
}

/** Times are seconds from the sending of the request. */
export interface Answer {
    seconds: number;
    /** To the first token; undefined when none came. */
    ttft?: number;
    promptTokens: number;
    outputTokens: number;
    /** Undefined: answered in full. */
    failure?: Failure;
}

const connectTimeoutMs = 30_000;
/** Characters of what a server said that are worth showing. */
const longestDetail = 300;

/** A text from outside as one line, without the characters that a terminal obeys or that turn its direction. */
export function oneLine(text: string): string {
    return text.replace(/\s+/g, " ").replace(/[\p{Cc}\p{Cf}]/gu, "");
}

/** What every worker's connection has in common: how to reach the app, and what was seen on the way. */
export class Connector {
    /** Seconds that each new connection took, TLS included. */
    private readonly opening = new Samples();
    readonly url: URL;
    readonly connect: buildConnector.connector;

    constructor(readonly endpoint: Endpoint) {
        this.url = new URL(endpoint.baseUrl);
        // One connector for all, so that TLS sessions are resumed, with one context: parsing the authorities takes 28 ms.
        const secureContext = createSecureContext({ ca: endpoint.ca });
        const open = buildConnector({ secureContext, timeout: connectTimeoutMs, maxCachedSessions: 1 });
        this.connect = (options, callback) => {
            const begin = performance.now();
            open(options, (...[error, socket]) => {
                if (error) return callback(error, null);
                this.opening.push((performance.now() - begin) / 1000);
                return callback(null, socket);
            });
        };
    }

    get opened(): { count: number; seconds: Summary | null } {
        return { count: this.opening.length, seconds: summarize(this.opening) };
    }

    get headers(): Record<string, string> {
        const { token } = this.endpoint;
        return { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) };
    }

    /** What a server said, as it may be printed and kept: without the token, which it may have repeated. */
    shown(text: string): string {
        const { token } = this.endpoint;
        return mask(oneLine(text), token ? [token] : []).slice(0, longestDetail);
    }
}

/**
 * The connection of one worker. It is kept alive between requests, since handshakes are no part of what is measured, but
 * replaced once it is about `ageSeconds` old: AI Deploy's balancer may choose a replica for each connection instead of
 * each request, and then a replica that joins later would get none of the load that it was started for. Half of the age
 * more or less is chance, so that workers that began together do not all connect again together.
 */
export class Connection {
    private client?: Client;
    private until = 0;

    constructor(
        private readonly connector: Connector,
        private readonly ageSeconds: number,
    ) {}

    private current(): Client {
        if (this.client && performance.now() >= this.until) this.close();
        if (!this.client) {
            this.until = performance.now() + this.ageSeconds * 1000 * (0.5 + Math.random());
            // Time-outs are those of the whole request, set by its signal.
            const { connect, url } = this.connector;
            this.client = new Client(url.origin, { connect, headersTimeout: 0, bodyTimeout: 0 });
        }
        return this.client;
    }

    /** Drops the connection; a request on it fails. */
    close(): void {
        void this.client?.destroy();
        this.client = undefined;
    }

    /**
     * Sends one request and reads its stream to the end. Never rejects for what the network or the app does: that is an
     * Answer with a failure. Rejects with the signal's reason when `signal` aborts. `onGap` gets the seconds between
     * two pieces of the answer; pieces that arrive together are 0 apart.
     */
    async ask(
        request: ChatRequest,
        timeoutSeconds: number,
        signal: AbortSignal,
        onGap: (seconds: number) => void,
    ): Promise<Answer> {
        signal.throwIfAborted();
        const abort = new AbortController();
        const cancel = (): void => abort.abort();
        signal.addEventListener("abort", cancel, { once: true });
        let late = false;
        const timer = setTimeout(() => {
            late = true;
            abort.abort();
        }, timeoutSeconds * 1000);
        const begin = performance.now();
        const reading = new Reading(begin, onGap);
        let failure: Failure | undefined;
        try {
            const answer = await this.current().request({
                method: "POST",
                path: `${this.connector.url.pathname}/chat/completions`,
                headers: this.connector.headers,
                body: requestBody(request),
                signal: abort.signal,
            });
            failure = await refusal(answer);
            if (!failure) {
                await reading.read(answer.body);
                failure = reading.failure();
            }
        } catch (error) {
            signal.throwIfAborted();
            failure = late
                ? {
                      kind: reading.ttft === undefined ? "time-out before the first token" : "time-out mid-stream",
                      detail: `not answered in full within ${timeoutSeconds} s`,
                  }
                : connectionFailure(error, reading.begun);
        } finally {
            clearTimeout(timer);
            signal.removeEventListener("abort", cancel);
        }
        if (failure) failure.detail = this.connector.shown(failure.detail);
        const { ttft, promptTokens, outputTokens } = reading;
        return { seconds: (performance.now() - begin) / 1000, ttft, promptTokens, outputTokens, failure };
    }
}

function requestBody({ model, prompt, maxTokens, temperature }: ChatRequest): string {
    return JSON.stringify({
        model,
        messages: [{ role: "user", content: prompt }],
        max_tokens: maxTokens,
        temperature,
        stream: true,
        stream_options: { include_usage: true },
    });
}

/** The stream of one answer, as far as it has come. */
class Reading {
    /** Whether any part of the answer came. */
    begun = false;
    ttft?: number;
    promptTokens = 0;
    private usage?: number;
    private pieces = 0;
    private last = 0;
    private now = 0;
    private done = false;
    private broken?: Failure;
    private readonly parser = createParser({ onEvent: ({ data }) => this.event(data) });

    constructor(
        private readonly begin: number,
        private readonly onGap: (seconds: number) => void,
    ) {}

    /** As the server counts them, else the pieces that came. */
    get outputTokens(): number {
        return this.usage ?? this.pieces;
    }

    async read(body: Dispatcher.ResponseData["body"]): Promise<void> {
        this.begun = true;
        const decoder = new TextDecoder();
        for await (const bytes of body) {
            this.now = performance.now();
            this.parser.feed(decoder.decode(bytes as Buffer, { stream: true }));
        }
    }

    failure(): Failure | undefined {
        if (this.broken) return this.broken;
        if (this.done) return undefined;
        return { kind: "cut off mid-stream", detail: "the stream ended without [DONE]" };
    }

    private event(data: string): void {
        if (data === "[DONE]") {
            this.done = true;
            return;
        }
        let chunk: any;
        try {
            chunk = JSON.parse(data);
        } catch {
            this.broken ??= { kind: "unreadable event", detail: data };
            return;
        }
        if (chunk.error) {
            this.broken ??= { kind: "error in the stream", detail: String(chunk.error.message ?? data) };
            return;
        }
        if (chunk.usage) {
            this.promptTokens = chunk.usage.prompt_tokens;
            this.usage = chunk.usage.completion_tokens;
        }
        const delta = chunk.choices?.[0]?.delta;
        if (delta?.content || delta?.reasoning_content || delta?.tool_calls) this.piece();
    }

    private piece(): void {
        this.pieces++;
        if (this.ttft === undefined) this.ttft = (this.now - this.begin) / 1000;
        else this.onGap((this.now - this.last) / 1000);
        this.last = this.now;
    }
}

/** What an answer other than a stream says. */
async function refusal({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<Failure | undefined> {
    const type = String(headers["content-type"] ?? "");
    if (statusCode === 200 && type.startsWith("text/event-stream")) return undefined;
    const detail = await body.text();
    if (statusCode !== 200) return { kind: `HTTP ${statusCode}`, detail, status: statusCode };
    return { kind: "not an event stream", detail: `content-type ${type || "missing"}: ${detail}` };
}

/** What the network did. Anything that has no code is a fault of ours and is thrown on. */
function connectionFailure(error: unknown, begun: boolean): Failure {
    const { code, message } = error as { code?: string; message: string };
    if (code === undefined) throw error;
    const lost = [
        "UND_ERR_SOCKET",
        "ECONNRESET",
        "EPIPE",
        "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
        "ERR_STREAM_PREMATURE_CLOSE",
    ];
    if (begun) return { kind: "cut off mid-stream", detail: message };
    if (lost.includes(code)) return { kind: "connection lost before the answer", detail: message };
    return { kind: `no connection (${code})`, detail: message };
}

/** The ids under which the app serves its model. Throws an Error for people when it does not answer or refuses. */
export async function servedModels(connector: Connector): Promise<string[]> {
    const { url, headers } = connector;
    const client = new Client(url.origin, { connect: connector.connect });
    const what = `${connector.endpoint.baseUrl}/models`;
    try {
        const answer = await client.request({
            method: "GET",
            path: `${url.pathname}/models`,
            headers,
            signal: AbortSignal.timeout(connectTimeoutMs),
        });
        const text = await answer.body.text();
        if (answer.statusCode !== 200) {
            throw new Error(`${what} answers ${answer.statusCode}${hint(answer.statusCode)}: ${connector.shown(text)}`);
        }
        const ids = modelIds(text);
        // Not the parser's message, which shows a piece of the text.
        if (!ids) throw new Error(`${what} answers what is no list of models: ${connector.shown(text)}`);
        return ids;
    } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        if (message.startsWith(what)) throw error;
        if (/CERT|SELF_SIGNED|UNABLE_TO/.test(code ?? "")) {
            throw new Error(
                `the certificate of ${url.origin} is not trusted (${code}): give its authority with --ca FILE or NODE_EXTRA_CA_CERTS (in the sandbox: source .sandbox/env)`,
            );
        }
        throw new Error(`${what} does not answer: ${connector.shown(message)}`);
    } finally {
        // Time for TLS to say goodbye; what does not end by itself is cut.
        await Promise.race([client.close(), sleep(1000, undefined, { ref: false })]);
    }
}

/** The ids in a list of models as the API writes it; undefined for any other text. */
function modelIds(text: string): string[] | undefined {
    try {
        const ids = (JSON.parse(text) as { data: { id: unknown }[] }).data.map(({ id }) => id);
        return ids.every((id) => typeof id === "string") ? ids : undefined;
    } catch {
        return undefined;
    }
}

function hint(status: number): string {
    if (status === 401) return " (the token is missing, wrong or revoked)";
    if (status === 403) return " (the token does not open this app)";
    if (status === 404) return " (is this the base URL, with /v1?)";
    if (status === 503) return " (no replica is ready)";
    return "";
}
