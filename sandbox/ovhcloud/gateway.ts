import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { entry } from "../../packages/ai-deploy/src/values/json";
import { forward } from "../http-forward";
import { close, createHttpServer, HttpError, listenNear } from "../http-server";
import type { Balancing, GatewayStatus } from "./status";
import type { State, StoredApp, StoredToken } from "./store";

/** A replica that the gateway may send requests to. */
export interface Backend {
    index: number;
    /** Whether a server listens where the app's HTTP port says. */
    readonly listens: boolean;
    connect(): Duplex;
    /** Requests that it is answering; the gateway counts. */
    requests: number;
}

export interface GatewayOptions {
    app: StoredApp;
    certificates: NonNullable<State["certificates"]>;
    tokens: () => StoredToken[];
    /** The replicas that are ready now. */
    backends: () => Backend[];
    balancing: () => Balancing;
    /** Whether the region is cut off: every connection is dropped. */
    outage: () => boolean;
    /** A request has come in, whether or not there is a replica for it. */
    called: () => void;
    /** Of a request that has woken the app, or found it waking, where such are held: resolves when it may go on. */
    held: () => Promise<void> | undefined;
    log: (line: string) => void;
}

export interface Gateway {
    status(): GatewayStatus;
    /** Cuts off whoever is connected. */
    drop(): void;
    close(): Promise<void>;
}

export const balancings: Balancing[] = ["random", "round-robin", "least-connections", "sticky"];

/** Limits of the platform. Guesses: OVHcloud publishes none. */
const limits = {
    bodyBytes: 100 * 1024 ** 2,
    connections: 10_000,
    /** Until the replica begins to answer, and between two parts of its answer. */
    silenceMs: 600_000,
    keepAliveMs: 75_000,
};

/** Roles whose tokens may query apps. */
const queryRoles = new Set(["ai_training_read", "ai_training_operator"]);

const cookieName = "ai_deploy_sandbox_replica";

/**
 * The public face of one app: TLS on a port of its own, token check, and a replica that is ready:
 *
 * - `random`: one for each new connection, kept for as long as the connection lives (how the platform is taken to work)
 * - `round-robin`: the next one for each request
 * - `least-connections`: the one that is answering the fewest requests
 * - `sticky`: the one that a cookie names, which the first answer sets
 *
 * Its refusals: 401 without a valid token, 403 with one that does not fit, 404 when the app is deleted, 413 for a body that
 * is too large, 503 without a ready replica (unless requests that wake an app are held), 502 and 504 for one that fails or is silent.
 */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
    const { app } = options;
    const balance = balancer(options.balancing);
    const answers: Record<string, number> = {};
    const served: GatewayStatus["served"] = { requests: 0, firstSeconds: 0, seconds: 0 };
    let open = 0;

    const server = createHttpServer(
        {
            tls: { key: options.certificates.key, cert: options.certificates.certificate },
            bodyBytes: limits.bodyBytes,
            // A page that has been given a token may use it, as vLLM allows any page to. Its preflight carries no token,
            // though, and is refused like everything without one: what the platform does with it is not documented.
            allowsOrigin: () => true,
            log: options.log,
        },
        async ({ incoming }, answer) => {
            if (options.outage()) return void incoming.socket.destroy();
            open++;
            const arrived = performance.now();
            let first: number | undefined;
            answer.on("close", () => {
                open--;
                const status = answer.writableFinished ? String(answer.statusCode) : "499";
                answers[status] = (answers[status] ?? 0) + 1;
                if (incoming.method !== "POST" || first === undefined || Number(status) >= 400) return;
                served.requests++;
                served.firstSeconds += (first - arrived) / 1000;
                served.seconds += (performance.now() - arrived) / 1000;
            });
            const refusal = refuse(options, incoming);
            if (refusal) throw refusal;
            options.called();
            await options.held();
            if (answer.closed) return undefined;
            const ready = options.backends();
            if (ready.length === 0) {
                throw new HttpError(503, `app ${app.id} has no replica that is ready`, { "retry-after": "30" });
            }
            const begun = (): void => void (first = performance.now());
            return toReplica(app, balance(ready, incoming, answer), incoming, answer, begun);
        },
    );
    server.maxConnections = limits.connections;
    server.keepAliveTimeout = limits.keepAliveMs;
    server.on("secureConnection", (socket) => {
        if (options.outage()) socket.destroy();
    });
    const before = app.port;
    app.port = await listenNear(server, before, 4096);
    if (before !== 0 && app.port !== before) {
        options.log(`port ${before} of app ${app.spec.name} is taken by another program: it is at ${app.port} now`);
    }

    return {
        status: () => ({ balancing: options.balancing(), open, answers: { ...answers }, served: { ...served } }),
        drop: () => server.closeAllConnections(),
        close: () => close(server),
    };
}

type Choose = (ready: Backend[], incoming: IncomingMessage, answer: ServerResponse) => Backend;

function balancer(balancing: () => Balancing): Choose {
    const ofConnection = new WeakMap<TLSSocket, Backend>();
    const ofCookie = new Map<string, number>();
    let turn = 0;
    const random = (ready: Backend[]): Backend => ready[Math.floor(Math.random() * ready.length)];
    const strategies: Record<Balancing, Choose> = {
        random(ready, incoming) {
            const socket = incoming.socket as TLSSocket;
            const kept = ofConnection.get(socket);
            const backend = kept && ready.includes(kept) ? kept : random(ready);
            ofConnection.set(socket, backend);
            return backend;
        },
        "round-robin": (ready) => ready[turn++ % ready.length],
        "least-connections": (ready) =>
            ready.reduce((least, one) => (one.requests < least.requests ? one : least), random(ready)),
        sticky(ready, incoming, answer) {
            const name = new RegExp(`${cookieName}=([\\w-]+)`).exec(incoming.headers.cookie ?? "")?.[1];
            const kept = ready.find(({ index }) => name !== undefined && ofCookie.get(name) === index);
            if (kept) return kept;
            const backend = random(ready);
            const value = randomBytes(12).toString("base64url");
            ofCookie.set(value, backend.index);
            if (ofCookie.size > limits.connections) ofCookie.delete(ofCookie.keys().next().value!);
            answer.setHeader("set-cookie", `${cookieName}=${value}; Path=/; Secure; HttpOnly`);
            return backend;
        },
    };
    return (ready, incoming, answer) => strategies[balancing()](ready, incoming, answer);
}

/** Why a request may not pass. */
function refuse({ app, tokens }: GatewayOptions, { headers }: IncomingMessage): HttpError | undefined {
    if (app.wanted === "deleted") return new HttpError(404, `app ${app.id} does not exist`);
    if (app.spec.unsecureHttp === true) return undefined;
    return refuseToken(app, tokens(), headers.authorization);
}

/** Why an `Authorization` header does not open an app; undefined when it does. */
export function refuseToken(
    app: StoredApp,
    tokens: StoredToken[],
    authorization: string | undefined,
): HttpError | undefined {
    const value = /^Bearer (.+)$/.exec(authorization ?? "")?.[1];
    const token = value === undefined ? undefined : tokens.find((candidate) => candidate.value === value);
    if (!token) return new HttpError(401, "a valid AI token is needed: Authorization: Bearer TOKEN");
    if (!queryRoles.has(token.spec.role)) return new HttpError(403, "the role of this token may not query apps");
    const selector = token.spec.labelSelector;
    if (selector) {
        const [label, wanted] = selector.split("=");
        if (entry((app.spec.labels ?? {}) as Record<string, string>, label) !== wanted) {
            return new HttpError(403, "the label selector of this token does not match this app");
        }
    }
    return undefined;
}

/**
 * Passes a request on and its answer back; rejects with what to answer when the replica does not.
 * @param begun called when the answer's body begins
 */
async function toReplica(
    app: StoredApp,
    backend: Backend,
    incoming: IncomingMessage,
    answer: ServerResponse,
    begun: () => void,
): Promise<void> {
    if (!backend.listens) {
        const { defaultHttpPort } = app.spec;
        throw new HttpError(502, `the replica does not listen on port ${defaultHttpPort}, the app's HTTP port`);
    }
    const to = { name: "the replica", createConnection: () => backend.connect() };
    backend.requests++;
    answer.on("close", () => backend.requests--);
    await forward({ to, incoming, answer, bodyBytes: limits.bodyBytes, silenceMs: limits.silenceMs, begun });
}
