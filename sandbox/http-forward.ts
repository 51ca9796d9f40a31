import { request as plainRequest, type IncomingMessage, type RequestOptions, type ServerResponse } from "node:http";
import { request as tlsRequest, type RequestOptions as TlsRequestOptions } from "node:https";
import { HttpError, tooLarge } from "./http-server";

export interface Forwarding {
    /** How to reach who answers, and its name for errors; over TLS when it has a `ca`. */
    to: (RequestOptions | TlsRequestOptions) & { name: string };
    incoming: IncomingMessage;
    answer: ServerResponse;
    /** Most bytes that the body may have. */
    bodyBytes: number;
    /** Longest time until the answer begins, and between two parts of it. */
    silenceMs: number;
    /** Called when the answer's body begins. */
    begun?: () => void;
}

/**
 * Passes a request on and its answer back. Resolves when the answer is over, or its client has gone; rejects with what to
 * answer when nobody does: an HttpError 413, 502 or 504.
 */
export function forward({ to, incoming, answer, bodyBytes, silenceMs, begun }: Forwarding): Promise<void> {
    const { name, ...way } = to;
    const { connection: _, ...headers } = incoming.headers;
    const what = { ...way, method: incoming.method, path: incoming.url, headers };
    const upstream = "ca" in way ? tlsRequest(what) : plainRequest(what);
    return new Promise((resolve, reject) => {
        const silence = setTimeout(() => {
            reject(new HttpError(504, `${name} was silent for ${silenceMs / 1000} s`));
            upstream.destroy();
        }, silenceMs);
        const broken = ({ message }: Error): void => reject(new HttpError(502, `${name} does not answer (${message})`));
        upstream.on("error", broken);
        upstream.on("response", (reply) => {
            const { connection: __, "keep-alive": ___, ...rest } = reply.headers;
            try {
                answer.writeHead(reply.statusCode ?? 502, rest);
            } catch (error) {
                upstream.destroy();
                return broken(error as Error);
            }
            reply.once("data", () => begun?.());
            reply.on("data", () => silence.refresh());
            reply.on("error", broken);
            return reply.pipe(answer);
        });
        answer.on("close", () => {
            clearTimeout(silence);
            // A client that goes away ends its request there, too.
            if (!answer.writableFinished) upstream.destroy();
            resolve();
        });
        let received = 0;
        incoming.on("data", (part: Buffer) => {
            received += part.length;
            if (received <= bodyBytes) return;
            reject(tooLarge(bodyBytes));
            upstream.destroy();
        });
        incoming.pipe(upstream);
    });
}
