import { createServer as createPlainServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";

/**
 * The front of everything that the sandbox serves over HTTP. Its ports are open to every program of this machine, and so to
 * every web page in its browsers: whatever comes in is answered or cut off, and never ends the process.
 */
export interface HttpServerOptions {
    /** Serves TLS with these, PEM. */
    tls?: { key: string; cert: string };
    /** Most bytes that a body may have. */
    bodyBytes: number;
    /** Most bytes that its headers may have; default: Node's 16 KiB. */
    headerBytes?: number;
    /** Whether a page of this origin may ask; default: none may. Only browsers send an origin. */
    allowsOrigin?: (origin: string, incoming: IncomingMessage) => boolean;
    /** What a refusal says, as JSON; default `{message}`. */
    refusal?: (error: HttpError) => object;
    /** Is told when a request meets a fault of ours, which is answered 500. */
    log: (line: string) => void;
}

/** One request whose target, Host and Origin have been looked at. */
export interface HttpRequest {
    method: string;
    /** Target and Host as one. */
    url: URL;
    incoming: IncomingMessage;
    /** Reads the body as UTF-8. Rejects with an HttpError, 413 when it is too large. */
    text: () => Promise<string>;
}

/** Answers a request, at once or later. What it throws is answered too: an HttpError as it says, anything else 500. */
export type HttpHandler = (request: HttpRequest, answer: ServerResponse) => unknown;

/** An answer that is not a success. */
export class HttpError extends Error {
    constructor(
        readonly status: number,
        message: string,
        readonly headers: Record<string, string> = {},
    ) {
        super(message);
    }
}

/** A server that does not listen yet. What is no HTTP at all Node answers itself, with 400, 408 or 431. */
export function createHttpServer(options: HttpServerOptions, handle: HttpHandler): Server {
    const listener = (incoming: IncomingMessage, answer: ServerResponse): void => {
        // Of a client that went away in mid-body or mid-answer. Both are told by "close" as well.
        incoming.on("error", () => undefined);
        answer.on("error", () => undefined);
        serve(options, handle, incoming, answer).catch((error: unknown) => {
            if (!(error instanceof HttpError)) {
                options.log(`${incoming.method} ${incoming.url?.slice(0, 200)}: ${(error as Error).stack}`);
            }
            if (answer.writableEnded) return;
            // A part of an answer is no answer.
            if (answer.headersSent) return void answer.destroy();
            refuse(answer, error instanceof HttpError ? error : failed, options.refusal);
            // To its end: a client that is still sending would not see the answer.
            incoming.unpipe();
            incoming.resume();
        });
    };
    const limits = { maxHeaderSize: options.headerBytes };
    return options.tls ? createTlsServer({ ...options.tls, ...limits }, listener) : createPlainServer(limits, listener);
}

const failed = new HttpError(500, "the sandbox failed; see its log");

async function serve(
    options: HttpServerOptions,
    handle: HttpHandler,
    incoming: IncomingMessage,
    answer: ServerResponse,
): Promise<void> {
    const url = target(incoming);
    const { origin } = incoming.headers;
    if (origin !== undefined && !options.allowsOrigin?.(origin, incoming)) {
        throw new HttpError(403, "not for web pages of another origin");
    }
    if (Number(incoming.headers["content-length"] ?? 0) > options.bodyBytes) throw tooLarge(options.bodyBytes);
    const text = (): Promise<string> => readBody(incoming, options.bodyBytes);
    await handle({ method: incoming.method ?? "GET", url, incoming, text }, answer);
}

function refuse(answer: ServerResponse, error: HttpError, refusal: HttpServerOptions["refusal"]): void {
    const body = JSON.stringify(refusal?.(error) ?? { message: error.message });
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    answer.writeHead(error.status, { ...headers, ...error.headers });
    answer.end(body);
}

export function tooLarge(bodyBytes: number): HttpError {
    return new HttpError(413, `the body is larger than ${bodyBytes} bytes`);
}

/** What is asked for: a path, or a whole URL as a proxy is asked. Throws an HttpError. */
function target({ url = "", headers: { host } }: IncomingMessage): URL {
    requireOwnHost(host);
    try {
        // Not `new URL(url, base)`, which takes "//" for the beginning of a host.
        if (url.startsWith("/")) return new URL(`http://${host}${url}`);
        const whole = new URL(url);
        if (whole.protocol === "http:" || whole.protocol === "https:") {
            requireOwnHost(whole.host);
            return whole;
        }
    } catch (error) {
        if (error instanceof HttpError) throw error;
    }
    throw new HttpError(400, "the target of the request is not a path");
}

/** A name that somebody has pointed at 127.0.0.1 would make pages of that name ours: it shows in Host. */
function requireOwnHost(host: string | undefined): void {
    if (host === undefined || !/^[\w.:[\]-]+$/.test(host)) throw new HttpError(400, "Host is missing or not a host");
    if (/^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/i.test(host)) return;
    throw new HttpError(403, `Host is ${host}: ask at 127.0.0.1`);
}

function readBody(incoming: IncomingMessage, mostBytes: number): Promise<string> {
    return new Promise((resolve, reject) => {
        const parts: Buffer[] = [];
        let bytes = 0;
        incoming.on("data", (part: Buffer) => {
            bytes += part.length;
            if (bytes <= mostBytes) return void parts.push(part);
            parts.length = 0;
            return reject(tooLarge(mostBytes));
        });
        incoming.on("end", () => resolve(Buffer.concat(parts).toString()));
        incoming.on("close", () => reject(new HttpError(400, "the body ended too early")));
    });
}

/**
 * Listens on 127.0.0.1 and returns the port. Rejects when it is taken.
 * @param port 0: a free one
 */
export function listen(server: Server, port: number, backlog?: number): Promise<number> {
    return new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen({ port, host: "127.0.0.1", backlog }, () => {
            server.off("error", reject);
            resolve((server.address() as { port: number }).port);
        });
    });
}

/** The same, at a free port when the one wanted is taken. */
export async function listenNear(server: Server, port: number, backlog?: number): Promise<number> {
    try {
        return await listen(server, port, backlog);
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
        return listen(server, 0, backlog);
    }
}

/**
 * A port of 127.0.0.1 for another program, the wanted one if it is free. Somebody else may take it first: the program finds out,
 * and needs another one.
 */
export async function freePort(wanted = 0): Promise<number> {
    const probe = createPlainServer();
    const port = await listenNear(probe, wanted);
    await close(probe);
    return port;
}

/** Ends every connection and the server. */
export async function close(server: Server): Promise<void> {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
}
