import * as http from "node:http";
import * as https from "node:https";
import { createSecureContext, type PeerCertificate, type SecureContext, type TLSSocket } from "node:tls";

export interface Answer {
    status: number;
    body: string;
    /** Of https: what the server showed, and how it speaks. */
    tls?: { certificate: PeerCertificate; protocol: string };
}

type Authorities = Buffer | string | string[];

export interface AskOptions {
    method?: "GET" | "POST";
    /** Sent as `Authorization: Bearer`. */
    token?: string;
    /** Sent as JSON. */
    body?: object;
    /** Certificate authorities (PEM) to trust in place of Node's own. */
    ca?: Authorities;
    /** TLS and headers of the caller's own, such as a kubeconfig's; without `ca` where it has a client's certificate. */
    more?: https.RequestOptions;
    /** Default 30. */
    timeoutSeconds?: number;
}

/**
 * One request over a connection of its own, its answer read to the end. Certificates are verified. Rejects when there is no
 * whole answer; any status is one.
 */
export function ask(url: string, options: AskOptions = {}): Promise<Answer> {
    const { token, body, ca, more = {}, timeoutSeconds = 30 } = options;
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
        ...more.headers,
        ...(text !== undefined && { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
    };
    const method = options.method ?? (text === undefined ? "GET" : "POST");
    const { request } = url.startsWith("https:") ? https : http;
    const trust = ca === undefined ? {} : { secureContext: trusting(ca) };
    return new Promise((resolve, reject) => {
        const call = request(url, { ...more, ...trust, headers, method, agent: false }, (answer) => {
            const socket = answer.socket as TLSSocket;
            const tls = socket.getPeerCertificate && {
                certificate: socket.getPeerCertificate(),
                protocol: socket.getProtocol() ?? "unknown",
            };
            let read = "";
            answer.setEncoding("utf8").on("data", (part: string) => (read += part));
            answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: read, tls }));
            answer.on("error", reject);
        });
        // Of the whole answer: a server that drips is as good as none.
        const late = new Error(`no answer within ${timeoutSeconds} s from ${new URL(url).origin}`);
        const timer = setTimeout(() => call.destroy(late), timeoutSeconds * 1000);
        call.on("close", () => clearTimeout(timer));
        call.on("error", reject);
        call.end(text);
    });
}

/** By the authorities: to read those of Node takes 10 ms, in which nothing else is done. */
const contexts = new Map<string, SecureContext>();

function trusting(ca: Authorities): SecureContext {
    const key = String(ca);
    const context = contexts.get(key) ?? createSecureContext({ ca });
    contexts.set(key, context);
    return context;
}
