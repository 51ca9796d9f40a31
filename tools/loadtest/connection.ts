import * as net from "node:net";
import * as tls from "node:tls";
import { mask } from "../../packages/ai-deploy/src/errors/mask";
import { AnswerReader, ProtocolError, type AnswerHandler } from "./http1";
import { LoopClock, type Stamp } from "./loop-clock";
import { Samples, summarize, type Summary } from "./statistics";

/** Where the model answers. */
export interface Endpoint {
    /** Base URL of the OpenAI-compatible API, with `/v1` and without a slash at the end. */
    baseUrl: string;
    /** Bearer token; undefined for an app that asks for none. */
    token?: string;
    /** Certificate authorities (PEM) to trust instead of Node's own. */
    ca?: string[];
}

/** Takes one answer. Pieces are worked on some time after they came, but in their order. */
export interface ExchangeHandler extends AnswerHandler {
    /** What follows, up to the next call, came then. */
    came(stamp: Stamp): void;
    /** No answer, or no whole one. The last call, as `end` else is. */
    failed(error: Error & { code?: string }): void;
}

export const connectTimeoutMs = 30_000;
/** Characters of what a server said that are worth showing. */
const longestDetail = 300;

/** A text from outside as one line, without the characters that a terminal obeys or that turn its direction. */
export function oneLine(text: string): string {
    return text.replace(/\s+/g, " ").replace(/[\p{Cc}\p{Cf}]/gu, "");
}

/** What all connections have in common: how to reach the app, and what was seen on the way. */
export class Connector {
    readonly url: URL;
    readonly clock = new LoopClock();
    /** Seconds that each new connection took, TLS included. */
    private readonly opening = new Samples();
    /** Connections open now, and the most there were. */
    open = 0;
    mostOpen = 0;
    // One context for all: parsing the authorities takes 28 ms. The last session is resumed, which spares a handshake.
    private readonly secureContext: tls.SecureContext;
    private session?: Buffer;
    /** Where every connection reads into: what is read is copied before the next one reads. */
    private readonly buffer = Buffer.allocUnsafe(64 * 1024);

    constructor(readonly endpoint: Endpoint) {
        this.url = new URL(endpoint.baseUrl);
        this.secureContext = tls.createSecureContext({ ca: endpoint.ca });
    }

    get opened(): { count: number; seconds: Summary | null } {
        return { count: this.opening.length, seconds: summarize(this.opening) };
    }

    /** Seconds of every opening. */
    get openingSeconds(): Samples {
        return this.opening;
    }

    /**
     * Begins to open a connection, whose bytes go to `read`. `opened` rejects with Node's error, one of code
     * CONNECT_TIMEOUT, or the one that the socket is destroyed with.
     */
    connect(read: (bytes: Buffer) => void): { socket: net.Socket; opened: Promise<void> } {
        const { hostname, port, protocol } = this.url;
        const begin = performance.now();
        const secure = protocol === "https:";
        const host = hostname.replace(/^\[(.*)\]$/, "$1");
        const options = {
            host,
            port: Number(port) || (secure ? 443 : 80),
            noDelay: true,
            onread: {
                buffer: this.buffer,
                callback: (length: number, buffer: Uint8Array) => {
                    read(buffer.subarray(0, length) as Buffer);
                    return true;
                },
            },
        };
        const { secureContext, session } = this;
        const servername = net.isIP(host) ? "" : host;
        const socket = secure
            ? tls.connect({ ...options, secureContext, session, servername } as tls.ConnectionOptions)
            : net.connect(options);
        if (secure) socket.on("session", (resumable: Buffer) => (this.session = resumable));
        const opened = new Promise<void>((resolve, reject) => {
            const late = `not connected after ${connectTimeoutMs / 1000} s`;
            const timer = setTimeout(() => socket.destroy(codedError("CONNECT_TIMEOUT", late)), connectTimeoutMs);
            const failed = (error?: Error): void => {
                clearTimeout(timer);
                reject(error ?? codedError("ECONNRESET", "closed while it was opened"));
            };
            const closed = (): void => failed();
            socket.once("error", failed).once("close", closed);
            socket.once(secure ? "secureConnect" : "connect", () => {
                clearTimeout(timer);
                socket.off("error", failed).off("close", closed);
                this.opening.push((performance.now() - begin) / 1000);
                this.mostOpen = Math.max(this.mostOpen, ++this.open);
                socket.once("close", () => this.open--);
                resolve();
            });
        });
        return { socket, opened };
    }

    /** A request as it goes over the wire. `path` follows the base URL's. */
    request(method: "GET" | "POST", path: string, body = ""): string {
        const { host, pathname } = this.url;
        const { token } = this.endpoint;
        return (
            `${method} ${pathname.replace(/\/$/, "")}${path} HTTP/1.1\r\nhost: ${host}\r\nuser-agent: ovhcloud-llm-serving-loadtest\r\n` +
            (token ? `authorization: Bearer ${headerValue(token)}\r\n` : "") +
            (method === "POST"
                ? `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`
                : "") +
            `\r\n${body}`
        );
    }

    /** What a server said, as it may be printed and kept: without the token, which it may have repeated. */
    shown(text: string): string {
        const { token } = this.endpoint;
        return mask(oneLine(text), token ? [token] : []).slice(0, longestDetail);
    }
}

export function codedError(code: string, message: string): Error & { code: string } {
    return Object.assign(new Error(message), { code });
}

/** A token with a line break would be a header of its own. */
function headerValue(token: string): string {
    if (/[^\x20-\x7e]/.test(token)) throw new Error("the token has characters that no HTTP header can carry");
    return token;
}

/**
 * A connection for one request at a time. It is kept alive between requests, since handshakes are no part of what is
 * measured, but replaced once it is about `ageSeconds` old: AI Deploy's balancer may choose a replica for each connection
 * instead of each request, and then a replica that joins later would get none of the load that it was started for. Half
 * of the age more or less is chance, so that workers that began together do not all connect again together.
 */
export class Connection {
    private socket?: net.Socket;
    private opening?: net.Socket;
    private until = 0;
    private used = false;
    private exchange?: Exchange;

    constructor(
        private readonly connector: Connector,
        private readonly ageSeconds: number,
    ) {}

    /** Whether a request can be sent. */
    get connected(): boolean {
        return this.socket !== undefined;
    }

    /** Whether it is being opened. */
    get pending(): boolean {
        return this.opening !== undefined;
    }

    /** Whether one should be: the connection is open and not yet to be replaced. */
    get ready(): boolean {
        return this.connected && (performance.now() < this.until || !this.used);
    }

    /** Opens a connection where none is ready. Rejects as `Connector.connect` does, and when it is closed meanwhile. */
    async open(): Promise<void> {
        if (this.ready) return;
        this.close();
        const { socket, opened } = this.connector.connect((bytes) => this.exchange?.received(bytes));
        this.opening = socket;
        await opened.finally(() => (this.opening = undefined));
        this.until = performance.now() + this.ageSeconds * 1000 * (0.5 + Math.random());
        this.used = false;
        this.socket = socket;
        const gone = (error?: Error): void => {
            // One that was replaced says so late, when its successor is at work.
            if (this.socket !== socket) return;
            this.socket = undefined;
            this.exchange?.lost(error);
        };
        socket.on("error", gone);
        socket.on("end", () => gone());
        socket.on("close", () => gone());
    }

    /** Sends a request, as `Connector.request` makes it, over the open connection; the answer goes to the handler. */
    send(request: string, handler: ExchangeHandler): void {
        const { socket } = this;
        if (!socket || this.exchange) throw new Error("a connection takes one request at a time, once it is open");
        this.used = true;
        this.exchange = new Exchange(this.connector.clock, handler, (reusable) => {
            this.exchange = undefined;
            if (!reusable) this.close();
        });
        socket.write(request);
    }

    /** Drops the connection. A request on it fails with this error. */
    close(error?: Error): void {
        const { socket } = this;
        this.opening?.destroy(error);
        this.socket = undefined;
        this.exchange?.lost(error);
        if (!socket) return;
        socket.removeAllListeners("error").on("error", () => undefined);
        socket.destroy();
    }
}

/** One request's answer on its way. */
class Exchange {
    private readonly reader: AnswerReader;
    private ended = false;

    constructor(
        private readonly clock: LoopClock,
        private readonly handler: ExchangeHandler,
        private readonly end: (reusable: boolean) => void,
    ) {
        this.reader = new AnswerReader(handler);
    }

    received(bytes: Buffer): void {
        const stamp = this.clock.stamp();
        const copy = Buffer.from(bytes);
        this.clock.later(() => this.read(stamp, copy));
    }

    private read(stamp: Stamp, bytes: Buffer): void {
        if (this.ended) return;
        this.handler.came(stamp);
        try {
            this.reader.read(bytes);
            if (this.reader.done) this.finish(this.reader.reusable);
        } catch (error) {
            if (!(error instanceof ProtocolError)) throw error;
            this.finish(false);
            this.handler.failed(codedError("HTTP_PROTOCOL", error.message));
        }
    }

    /** The connection has gone; what had come before it went is read first. */
    lost(error?: Error): void {
        const stamp = this.clock.stamp();
        this.clock.later(() => {
            if (this.ended) return;
            this.handler.came(stamp);
            if (!error && this.reader.close()) return this.finish(false);
            this.finish(false);
            this.handler.failed(error ?? codedError("ECONNRESET", "the server closed the connection"));
        });
    }

    private finish(reusable: boolean): void {
        this.ended = true;
        this.end(reusable);
    }
}
