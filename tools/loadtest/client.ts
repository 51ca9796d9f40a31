import { createParser } from "eventsource-parser";
import { StringDecoder } from "node:string_decoder";
import { codedError, Connection, connectTimeoutMs, type Connector, type ExchangeHandler } from "./connection";
import type { Head } from "./http1";
import type { Stamp } from "./loop-clock";

export interface Message {
    role: "system" | "user" | "assistant";
    /** Text, or OpenAI's content parts where there are images. */
    content: string | object[];
}

/** One chat completion to ask for. */
export interface ChatRequest {
    model: string;
    messages: Message[];
    maxTokens: number;
    temperature: number;
    /** vLLM's own: goes on to `maxTokens`, whatever the model would say. Default: false. */
    ignoreEos?: boolean;
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

/** Times are seconds from the sending of the request over an open connection. */
export interface Answer {
    seconds: number;
    /** To the first token, reasoning included; undefined when none came. */
    ttft?: number;
    /** Between tokens on the average: from the first token to the last, by the tokens after the first. */
    tpot?: number;
    /**
     * Between one token and the next, over all after the first. Tokens that came together are 0 apart. Empty for an answer
     * that is not whole: how many tokens its pieces held is not known.
     */
    gaps: number[];
    /** At most so much of `ttft` may be the client's, which was busy with something else when the first token came. */
    clientDelay?: number;
    /** As the server counts them; 0 when it does not. */
    promptTokens: number;
    /** As the server counts them, else the pieces that came. */
    outputTokens: number;
    /** The answer's text, when it was asked for. */
    text?: string;
    /** Undefined: answered in full. */
    failure?: Failure;
}

export interface AskOptions {
    /** From the sending to the last token. */
    timeoutSeconds: number;
    /** Default: false. */
    keepText?: boolean;
    /** Called with the time to the first token when that has come. */
    onFirstToken?: (seconds: number) => void;
}

/** What `ask` rejects with when the connection is closed by us. */
export class Cancelled extends Error {}

/**
 * Sends one request over an open connection and reads its stream to the end. Never rejects for what the network or the
 * app does: that is an Answer with a failure. Rejects with Cancelled when `connection.close(new Cancelled(...))` is called.
 */
export function ask(
    connector: Connector,
    connection: Connection,
    request: ChatRequest,
    { timeoutSeconds, keepText = false, onFirstToken }: AskOptions,
): Promise<Answer> {
    return new Promise((resolve, reject) => {
        const late = codedError("LATE", `not answered in full within ${timeoutSeconds} s`);
        const timer = setTimeout(() => connection.close(late), timeoutSeconds * 1000);
        const message = connector.request("POST", "/chat/completions", requestBody(request));
        const reading = new Reading(keepText, onFirstToken, (answer) => {
            clearTimeout(timer);
            if (answer instanceof Error) return reject(answer);
            if (answer.failure) answer.failure.detail = connector.shown(answer.failure.detail);
            resolve(answer);
        });
        connection.send(message, reading);
    });
}

function requestBody({ model, messages, maxTokens, temperature, ignoreEos }: ChatRequest): string {
    return JSON.stringify({
        model,
        messages,
        max_tokens: maxTokens,
        temperature,
        ...(ignoreEos ? { ignore_eos: true } : {}),
        stream: true,
        stream_options: { include_usage: true },
    });
}

/** The stream of one answer, as far as it has come. */
class Reading implements ExchangeHandler {
    private readonly begin = performance.now();
    private now: Stamp = { at: this.begin, earliest: this.begin };
    private firstAt?: number;
    private lastAt = 0;
    private clientDelay?: number;
    private promptTokens = 0;
    private usage?: number;
    /** Milliseconds between pieces. */
    private readonly gaps: number[] = [];
    private pieces = 0;
    private text = "";
    private done = false;
    private answerHead?: Head;
    private refusalText?: string;
    private broken?: Failure;
    private readonly decoder = new StringDecoder("utf8");
    private readonly parser = createParser({ onEvent: ({ data }) => this.event(data) });

    constructor(
        private readonly keepText: boolean,
        private readonly onFirstToken: AskOptions["onFirstToken"],
        private readonly ended: (answer: Answer | Error) => void,
    ) {}

    came(stamp: Stamp): void {
        this.now = stamp;
    }

    head(head: Head): void {
        this.answerHead = head;
        const type = head.headers.get("content-type") ?? "";
        if (head.status !== 200 || !type.startsWith("text/event-stream")) this.refusalText = "";
    }

    body(bytes: Buffer): void {
        const text = this.decoder.write(bytes);
        if (this.refusalText === undefined) this.parser.feed(text);
        else if (this.refusalText.length < 10_000) this.refusalText += text;
    }

    end(): void {
        this.finish(this.refusal() ?? this.broken ?? this.incomplete());
    }

    failed(error: Error & { code?: string }): void {
        if (error instanceof Cancelled) return this.ended(error);
        // A server that hangs up after [DONE], without HTTP's own ending, has said all.
        if (this.done && error.code !== "LATE") return this.end();
        this.finish(this.broken ?? connectionFailure(error, this.answerHead !== undefined, this.firstAt !== undefined));
    }

    private finish(failure?: Failure): void {
        const { begin, firstAt, lastAt, pieces, promptTokens } = this;
        const outputTokens = this.usage ?? pieces;
        const whole = failure === undefined && firstAt !== undefined && outputTokens > 1;
        this.ended({
            seconds: (this.now.at - begin) / 1000,
            ttft: firstAt === undefined ? undefined : (firstAt - begin) / 1000,
            tpot: whole ? (lastAt - firstAt) / 1000 / (outputTokens - 1) : undefined,
            gaps: whole ? byToken(this.gaps, outputTokens) : [],
            clientDelay: this.clientDelay,
            promptTokens,
            outputTokens,
            text: this.keepText ? this.text : undefined,
            failure,
        });
    }

    private refusal(): Failure | undefined {
        if (this.refusalText === undefined || !this.answerHead) return undefined;
        const { status, headers } = this.answerHead;
        if (status !== 200) return { kind: `HTTP ${status}`, detail: this.refusalText, status };
        const type = headers.get("content-type") ?? "missing";
        return { kind: "not an event stream", detail: `content-type ${type}: ${this.refusalText}` };
    }

    private incomplete(): Failure | undefined {
        if (!this.done) return cutOff("the stream ended without [DONE]");
        // Not to pass for the fastest answer of all. One token may have no text, such as that which ends an answer.
        const isEmpty = this.pieces === 0 && !this.usage;
        return isEmpty ? { kind: "no token", detail: "the stream ended without any" } : undefined;
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
        if (chunk?.error) {
            this.broken ??= { kind: "error in the stream", detail: String(chunk.error.message ?? data) };
            return;
        }
        if (typeof chunk?.usage?.completion_tokens === "number") {
            this.promptTokens = chunk.usage.prompt_tokens ?? 0;
            this.usage = chunk.usage.completion_tokens;
        }
        const delta = chunk?.choices?.[0]?.delta;
        if (!delta) return;
        if (this.keepText && delta.content) this.text += delta.content;
        // vLLM wrote reasoning as reasoning_content before it wrote it as reasoning.
        if (delta.content || delta.reasoning_content || delta.reasoning || delta.tool_calls?.length) this.piece();
    }

    private piece(): void {
        const { at, earliest } = this.now;
        this.pieces++;
        if (this.firstAt === undefined) {
            this.firstAt = at;
            this.clientDelay = Math.max(0, at - Math.max(earliest, this.begin)) / 1000;
            this.onFirstToken?.((at - this.begin) / 1000);
        } else this.gaps.push(at - this.lastAt);
        this.lastAt = at;
    }
}

/**
 * The gaps between pieces (milliseconds) as gaps between tokens (seconds), given how many tokens the server counted. A
 * piece may hold several tokens, which came together; whichever did, the gaps are the same. Where there are more
 * pieces than tokens, some brought none of their own: those that came soonest after another are taken for them.
 */
export function byToken(gaps: number[], tokens: number): number[] {
    const seconds = gaps.map((gap) => gap / 1000);
    const missing = tokens - 1 - seconds.length;
    if (missing < 0) return seconds.sort((a, b) => b - a).slice(0, tokens - 1);
    for (let i = 0; i < missing; i++) seconds.push(0);
    return seconds;
}

function cutOff(detail: string): Failure {
    return { kind: "cut off mid-stream", detail };
}

/** What a connection that failed while open, or could not be opened, says. */
export function connectionFailure({ code, message }: Error & { code?: string }, begun = false, first = false): Failure {
    if (code === "LATE") {
        return { kind: first ? "time-out mid-stream" : "time-out before the first token", detail: message };
    }
    if (code === "HTTP_PROTOCOL") return { kind: "not HTTP", detail: message };
    if (begun) return cutOff(message);
    return { kind: "connection lost before the answer", detail: message };
}

/** The ids under which the app serves its model. Throws an Error for people when it does not answer or refuses. */
export async function servedModels(connector: Connector): Promise<string[]> {
    const connection = new Connection(connector, Infinity);
    const what = `${connector.endpoint.baseUrl}/models`;
    try {
        const { status, text } = await get(connector, connection, "/models", connectTimeoutMs).catch((error: Error) => {
            throw unreachable(connector, what, error);
        });
        if (status !== 200) throw new Error(`${what} answers ${status}${hint(status)}: ${connector.shown(text)}`);
        const ids = modelIds(text);
        // Not the parser's message, which shows a piece of the text.
        if (!ids) throw new Error(`${what} answers what is no list of models: ${connector.shown(text)}`);
        return ids;
    } finally {
        connection.close();
    }
}

/** Status and body of what lies under the base URL. Rejects with what the network did, or after so many milliseconds. */
export async function get(
    connector: Connector,
    connection: Connection,
    path: string,
    timeoutMs: number,
): Promise<{ status: number; text: string }> {
    const late = codedError("LATE", `nothing within ${timeoutMs / 1000} s`);
    const timer = setTimeout(() => connection.close(late), timeoutMs);
    try {
        await connection.open();
        return await new Promise((resolve, reject) => {
            const parts: Buffer[] = [];
            let status = 0;
            connection.send(connector.request("GET", path), {
                came: () => undefined,
                head: (head) => (status = head.status),
                body: (bytes) => parts.push(Buffer.from(bytes)),
                end: () => resolve({ status, text: Buffer.concat(parts).toString() }),
                failed: reject,
            });
        });
    } finally {
        clearTimeout(timer);
    }
}

function unreachable(connector: Connector, what: string, { code, message }: Error & { code?: string }): Error {
    if (/CERT|SELF_SIGNED|UNABLE_TO/.test(code ?? "")) {
        return new Error(
            `the certificate of ${connector.url.origin} is not trusted (${code}): give its authority with --ca FILE or NODE_EXTRA_CA_CERTS (in the sandbox: source .sandbox/env)`,
        );
    }
    return new Error(`${what} does not answer: ${connector.shown(message)}`);
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
