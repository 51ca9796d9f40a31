import { Agent, request, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { TLSSocket } from "node:tls";
import type { State, StoredApp, StoredToken } from "./store";

/** A replica that the gateway may send requests to. */
export interface Backend {
    port: number;
}

export interface GatewayOptions {
    app: StoredApp;
    certificates: NonNullable<State["certificates"]>;
    tokens: () => StoredToken[];
    /** The replicas that are ready now. */
    backends: () => Backend[];
}

/** Roles whose tokens may query apps. */
const queryRoles = new Set(["ai_training_read", "ai_training_operator"]);

/**
 * The public face of one app: TLS on a port of its own, token check, and a replica for each new connection, drawn at
 * random and kept for as long as the connection lives, as the platform's load balancer does.
 */
export async function openGateway(options: GatewayOptions): Promise<Server> {
    const agent = new Agent({ keepAlive: true });
    const chosen = new WeakMap<TLSSocket, Backend>();
    const server = createServer(
        { key: options.certificates.key, cert: options.certificates.certificate },
        (incoming, answer) => {
            const refusal = refuse(options, incoming.headers.authorization);
            if (refusal) return say(answer, refusal.status, refusal.message);
            const socket = incoming.socket as TLSSocket;
            const ready = options.backends();
            let backend = chosen.get(socket);
            if (!backend || !ready.includes(backend)) {
                if (ready.length === 0) return say(answer, 503, `app ${options.app.id} has no replica that is ready`);
                backend = ready[Math.floor(Math.random() * ready.length)];
                chosen.set(socket, backend);
            }
            forward(agent, backend, incoming, answer);
            return undefined;
        },
    );
    server.on("close", () => agent.destroy());
    await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(options.app.port, "127.0.0.1", resolve);
    });
    options.app.port = (server.address() as { port: number }).port;
    return server;
}

/** Why a request may not pass. */
function refuse(
    { app, tokens }: GatewayOptions,
    authorization: string | undefined,
): { status: number; message: string } | undefined {
    if (app.spec.unsecureHttp === true) return undefined;
    const value = /^Bearer (.+)$/.exec(authorization ?? "")?.[1];
    const token = value === undefined ? undefined : tokens().find((candidate) => candidate.value === value);
    if (!token) return { status: 401, message: "a valid AI token is needed: Authorization: Bearer TOKEN" };
    if (!queryRoles.has(token.spec.role)) return { status: 403, message: "the role of this token may not query apps" };
    const selector = token.spec.labelSelector;
    if (selector) {
        const [label, wanted] = selector.split("=");
        if (app.spec.labels?.[label] !== wanted) {
            return { status: 403, message: "the label selector of this token does not match this app" };
        }
    }
    return undefined;
}

function forward(agent: Agent, backend: Backend, incoming: IncomingMessage, answer: ServerResponse): void {
    const headers = { ...incoming.headers };
    const upstream = request(
        { agent, host: "127.0.0.1", port: backend.port, method: incoming.method, path: incoming.url, headers },
        (reply) => {
            const { connection: _, "keep-alive": __, ...rest } = reply.headers;
            answer.writeHead(reply.statusCode ?? 502, rest);
            reply.pipe(answer);
            reply.on("error", () => answer.destroy());
        },
    );
    upstream.on("error", (error) => {
        if (answer.headersSent) answer.destroy();
        else say(answer, 502, `the replica does not answer (${error.message})`);
    });
    // A client that goes away ends its request at the replica, too.
    answer.on("close", () => {
        if (!answer.writableFinished) upstream.destroy();
    });
    incoming.pipe(upstream);
}

function say(answer: ServerResponse, status: number, message: string): void {
    answer.writeHead(status, { "content-type": "application/json" });
    answer.end(JSON.stringify({ message }));
}
