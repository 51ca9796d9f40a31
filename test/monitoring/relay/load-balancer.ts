import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import * as http from "node:http";
import * as https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { replicaMetrics, type ReplicaMetrics } from "../../../sandbox/vllm/metrics";

/** What a replica does with a request. */
export type Behaviour =
    | "answer"
    /** Takes the request and says nothing. */
    | "hang"
    /** Answers after so many milliseconds. */
    | { slow: number }
    /** A 500. */
    | "fail"
    /** Ends the connection without a word, as a port on which nobody listens does. */
    | "refuse"
    /** A 401. */
    | "unauthorized"
    /** Half a page, then the connection breaks: with the length of the whole, in chunks, or without either. */
    | "half: length"
    | "half: chunked"
    | "half: neither"
    /** Half a page that the HTTP around it calls whole, cut within a line. */
    | "half: proxied";

export interface ReplicaOptions {
    /** Unix time in seconds. */
    startTime: number;
    created?: boolean;
    modelName?: string;
}

/** A replica with the metrics of the simulated vLLM. */
export class SimulatedReplica {
    behaviour: Behaviour = "answer";
    /** Requests that reached it. */
    requests = 0;
    /** Connections of its other clients. */
    busy = 0;
    readonly metrics: ReplicaMetrics;
    private text?: string;

    constructor({ startTime, created = true, modelName = "mistralai/Ministral-3-14B-Instruct-2512" }: ReplicaOptions) {
        // Each series is made a little after the one before, and no two replicas do it at the same moment.
        let time = startTime + 10 + Math.random();
        const now = () => (time += 1e-5);
        this.metrics = replicaMetrics({
            startTime,
            created,
            modelName,
            now,
            maxModelLen: 32768,
            cacheConfig: {},
            engine: true,
            hidden: false,
        });
    }

    /** Its page, which is as it was until the next work. */
    page = (): string => (this.text ??= this.metrics.page());

    /** Generates tokens and holds requests. */
    work(tokens: number, running: number): void {
        this.text = undefined;
        this.metrics.engine!.generationTokens.add(tokens);
        this.metrics.engine!.running.set(running);
        this.metrics.engine!.success.stop.add(1);
        this.metrics.engine!.timeToFirstToken.observe(0.05);
    }

    answer(response: ServerResponse): void {
        this.requests++;
        const { behaviour } = this;
        const type = { "content-type": "text/plain; version=1.0.0; charset=utf-8" };
        const page = this.page();
        // In the midst of a line, and past the process' own series, which come first.
        const half = page.slice(0, Math.floor(page.length / 2)).replace(/\n$/, "");
        const length = Buffer.byteLength(page);
        const breakOff = (): void => void response.write(half, () => response.socket?.destroy());
        if (behaviour === "hang") return;
        if (behaviour === "fail") {
            response.writeHead(500).end("Internal Server Error");
        } else if (behaviour === "refuse") {
            response.socket?.destroy();
        } else if (behaviour === "unauthorized") {
            response.writeHead(401).end("unauthorized");
        } else if (behaviour === "half: length") {
            response.writeHead(200, { ...type, "content-length": length });
            breakOff();
        } else if (behaviour === "half: chunked") {
            response.writeHead(200, { ...type, "transfer-encoding": "chunked" });
            breakOff();
        } else if (behaviour === "half: neither") {
            // As HTTP/1.0 does: the end of the connection is the end of the answer.
            const lines = half.slice(0, half.lastIndexOf("\n") + 1);
            response.socket?.end(`HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n${lines}`);
        } else if (behaviour === "half: proxied") {
            response.writeHead(200, type).end(half);
        } else {
            const whole = () => response.writeHead(200, { ...type, "content-length": length }).end(page);
            if (behaviour === "answer") whole();
            else setTimeout(whole, behaviour.slow);
        }
    }
}

/** How a balancer chooses a replica. */
export const strategies = [
    "random",
    "round robin",
    /** By a cookie that it sets: a client that keeps cookies stays where it is. */
    "sticky cookie",
    /** By connection: drawn once for each. */
    "sticky connection",
    /** By the client's address. */
    "sticky source",
    /** The replica with the fewest connections, the first of several. */
    "least connections",
    /** The replica with the fewest unanswered requests, the first of several. */
    "least requests",
] as const;
export type Strategy = (typeof strategies)[number];

export interface LoadBalancer {
    /** Whom it spreads over; may be changed at any time. */
    replicas: SimulatedReplica[];
    strategy: Strategy;
    /** The bearer token that it lets pass. */
    token: string;
    url: string;
    requests: number;
    /** Connections that are open and have asked for something. */
    connections(): number;
    close(): Promise<void>;
}

export interface LoadBalancerOptions {
    strategy: Strategy;
    replicas: SimulatedReplica[];
    token?: string;
    /** With it, HTTPS. */
    tls?: { key: string; certificate: string };
    /** Between 0 and 1. */
    random?: () => number;
}

/** A server on 127.0.0.1 that hands each request to one of the replicas. */
export async function loadBalancer(options: LoadBalancerOptions): Promise<LoadBalancer> {
    const { random = Math.random, tls } = options;
    let turn = 0;
    const connections = new Map<Socket, SimulatedReplica>();
    const unanswered = new Map<SimulatedReplica, number>();
    const anyOf = (replicas: SimulatedReplica[]): SimulatedReplica => replicas[Math.floor(random() * replicas.length)];
    const least = (load: (replica: SimulatedReplica) => number): SimulatedReplica =>
        balancer.replicas.reduce((best, one) => (load(one) < load(best) ? one : best));
    const choose = (request: IncomingMessage, response: ServerResponse): SimulatedReplica => {
        const { replicas } = balancer;
        switch (balancer.strategy) {
            case "random":
                return anyOf(replicas);
            case "round robin":
                return replicas[turn++ % replicas.length];
            case "sticky cookie": {
                const index =
                    /route=(\d+)/.exec(request.headers.cookie ?? "")?.[1] ?? Math.floor(random() * replicas.length);
                response.setHeader("set-cookie", `route=${index}`);
                return replicas[Number(index) % replicas.length];
            }
            case "sticky connection": {
                const bound = connections.get(request.socket);
                return bound && replicas.includes(bound) ? bound : anyOf(replicas);
            }
            case "sticky source":
                return replicas[request.socket.remoteAddress!.length % replicas.length];
            case "least connections": {
                const open = [...connections.values()];
                return least((one) => one.busy + open.filter((other) => other === one).length);
            }
            case "least requests":
                return least((one) => one.busy + (unanswered.get(one) ?? 0));
        }
    };
    const handle: RequestListener = (request, response) => {
        balancer.requests++;
        if (request.headers.authorization !== `Bearer ${balancer.token}`) {
            response.writeHead(401).end("unauthorized");
            return;
        }
        if (balancer.replicas.length === 0) {
            response.writeHead(503).end("no replica");
            return;
        }
        const replica = choose(request, response);
        connections.set(request.socket, replica);
        unanswered.set(replica, (unanswered.get(replica) ?? 0) + 1);
        response.on("close", () => unanswered.set(replica, unanswered.get(replica)! - 1));
        replica.answer(response);
    };
    const server: Server = tls
        ? https.createServer({ key: tls.key, cert: tls.certificate }, handle)
        : http.createServer(handle);
    const onConnection = (socket: Socket): void => {
        socket.on("close", () => connections.delete(socket));
        socket.on("error", () => undefined); // a client that is gone
    };
    server.on(tls ? "secureConnection" : "connection", onConnection);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const balancer: LoadBalancer = {
        replicas: options.replicas,
        strategy: options.strategy,
        token: options.token ?? "a-token",
        url: `${tls ? "https" : "http"}://127.0.0.1:${port}`,
        requests: 0,
        connections: () => connections.size,
        async close() {
            server.closeAllConnections();
            await new Promise((resolve) => server.close(resolve));
        },
    };
    return balancer;
}

/** Random numbers between 0 and 1 that are the same in each run (mulberry32). */
export function seeded(seed: number): () => number {
    return () => {
        seed = (seed + 0x6d2b79f5) | 0;
        let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
}
