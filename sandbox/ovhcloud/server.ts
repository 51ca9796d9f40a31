import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startReplica as startVllm } from "../vllm/replica";
import { ApiError, badRequest, notFound } from "./api-error";
import { appHandlers, appReads, type Handlers } from "./apps";
import { authenticate, type Credentials } from "./auth";
import * as capabilities from "./capabilities";
import { makeCertificates } from "./certificates";
import { answerFaults, requestFaults, route } from "./contract";
import { Faults, type FaultRule } from "./faults";
import { kubeHandlers, resumeClusters } from "./kube";
import type { ManagedKubernetes } from "./mks";
import { Platform, type StartReplica } from "./platform";
import { Store, type StoredApp } from "./store";
import { tokenHandlers } from "./tokens";

export interface OvhCloudOptions {
    /** Holds `state.json` and `ca.pem`; survives restarts. */
    stateDir: string;
    /** Port of the API on 127.0.0.1; absent: a free one, kept over restarts. */
    port?: number;
    /** Platform seconds per real second; default 60. */
    speed?: number;
    credentials: Credentials;
    /** The only Public Cloud project there is. */
    projectId: string;
    mks: ManagedKubernetes;
    /** What stands for a container; default: the simulated vLLM. */
    startReplica?: StartReplica;
    log?: (line: string) => void;
}

export interface AppSummary {
    id: string;
    name: string;
    /** The `--model` of the command, or an empty text. */
    model: string;
    state: string;
    replicas: number;
    url: string;
}

export interface LoggedRequest {
    /** Arrival, in milliseconds of `Date.now()`. */
    at: number;
    method: string;
    path: string;
    /** 0: never answered. */
    status: number;
    /** Whether it changed anything. */
    effect: boolean;
}

export interface OvhCloud {
    /** `http://127.0.0.1:PORT/v1` */
    url: string;
    /** The authority of the app gateways, PEM. */
    caFile: string;
    faults: Faults;
    /** Every request and answer that broke the published structure. */
    violations(): string[];
    /** Apps that exist, DELETED ones left out. */
    apps(): AppSummary[];
    /** Ids of tokens. */
    tokens(): string[];
    /** Ids of clusters. */
    clusters(): string[];
    /** The apps as the platform keeps them, those on their way out included. */
    stored(): StoredApp[];
    requests(): LoggedRequest[];
    /** Deletes an app as a colleague would in the control panel; resolves when it is gone. */
    deleteApp(id: string): Promise<void>;
    /** Deletes every token behind Pulumi's back. */
    revokeTokens(): void;
    close(): Promise<void>;
}

const maxLoggedRequests = 10_000;

/** Starts the emulated OVHcloud API with the simulated AI Deploy behind it. */
export async function startOvhCloud(options: OvhCloudOptions): Promise<OvhCloud> {
    const log = options.log ?? (() => undefined);
    const speed = options.speed ?? 60;
    const store = new Store(options.stateDir);
    store.state.certificates ??= await makeCertificates();
    const caFile = join(options.stateDir, "ca.pem");
    writeFileSync(caFile, store.state.certificates.ca);

    const platform = new Platform({ store, speed, startReplica: options.startReplica ?? startVllm, log });
    const kube = { store, mks: options.mks, projectId: options.projectId, log };
    const handlers: Handlers = {
        ...appHandlers(store, platform, options.projectId, speed),
        ...tokenHandlers(store),
        ...kubeHandlers(kube),
        "GET /ai/capabilities/region": () => capabilities.regions(),
        "GET /ai/capabilities/region/{region}": ({ path }) => capabilities.region(path.region),
        "GET /ai/capabilities/region/{region}/flavor": ({ path }) => capabilities.flavorsOf(path.region),
        "GET /ai/capabilities/region/{region}/flavor/{flavorId}": ({ path }) =>
            capabilities.flavor(path.region, path.flavorId),
        "GET /ai/capabilities/quota": () => ({ resources: { gpu: capabilities.gpuQuota }, storage: 10 * 1024 ** 4 }),
        "GET /ai/capabilities/feature": () => ({ lab: false, registry: true }),
    };
    const faults = new Faults();
    const violations: string[] = [];
    const requests: LoggedRequest[] = [];

    const summaries = (): AppSummary[] =>
        Object.values(store.state.apps)
            .filter(({ state }) => state !== "DELETED")
            .map((app) => ({
                id: app.id,
                name: app.spec.name as string,
                model: /(?:--model[= ]|vllm serve )(\S+)/.exec((app.spec.command ?? []).join(" "))?.[1] ?? "",
                state: app.state,
                replicas: platform.available(app),
                url: `https://127.0.0.1:${app.port}`,
            }));

    const readsAsOf = (ageMs: number): Handlers => {
        const apps = store.appsAsOf(ageMs);
        return appReads(
            () => apps,
            ({ id, replicas }) => (store.state.apps[id] ? platform.available(store.state.apps[id]) : replicas),
        );
    };

    /** What writes change, in a form that can be compared. */
    const fingerprint = (): string => {
        const { apps, tokens, clusters, authorized } = store.state;
        const ofApps = Object.values(apps).map(({ id, spec, wanted, state, dataSync }) => [
            id,
            spec,
            wanted,
            state,
            dataSync.length,
        ]);
        return JSON.stringify([ofApps, tokens, clusters, authorized]);
    };

    /** One call of the API, from authentication to the answer's value. */
    async function call(
        method: string,
        url: URL,
        body: string,
        incoming: IncomingMessage,
        staleMs: number | undefined,
    ): Promise<unknown> {
        const path = url.pathname.replace(/^\/(v1|1\.0)(?=\/)/, "");
        if (method === "GET" && path === "/auth/time") return Math.floor(Date.now() / 1000);
        const way = authenticate(options.credentials, incoming.headers, method, url.href, body);
        if (method === "GET" && path === "/auth/details") {
            return {
                account: "sandbox",
                description: "simulated",
                method: way === "token" ? "oauth2" : "account",
                roles: [],
                allowedRoutes: [{ method: "GET", path: "/*" }],
            };
        }
        const matched = route(method, path);
        if (!matched) throw notFound(`${method} ${path} is not an operation of this API`);
        const name = `${method} ${matched.template}`;
        if (matched.path.serviceName !== options.projectId) throw notFound("This service does not exist");
        const key = name.replace("/cloud/project/{serviceName}", "");
        const handler = (staleMs === undefined ? undefined : readsAsOf(staleMs)[key]) ?? handlers[key];
        if (!handler) throw new ApiError(501, "Server::NotImplemented", `${name} is not emulated in the sandbox`);

        let parsed: unknown;
        try {
            parsed = body === "" ? undefined : JSON.parse(body);
        } catch {
            throw badRequest("the body is not JSON");
        }
        const wrong = requestFaults(matched, url.searchParams, parsed);
        if (wrong.length > 0) {
            violations.push(`request ${name}: ${wrong.join("; ")}`);
            throw badRequest(wrong.join("; "));
        }
        const answer = await handler({ path: matched.path, query: url.searchParams, body: parsed });
        // As it will travel: without undefined.
        const sent = answer === undefined ? undefined : (JSON.parse(JSON.stringify(answer)) as unknown);
        for (const fault of answerFaults(matched, sent)) violations.push(`answer ${name}: ${fault}`);
        return sent;
    }

    async function serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
        const method = incoming.method ?? "GET";
        const url = new URL(incoming.url ?? "/", `http://${incoming.headers.host}`);
        const body = await text(incoming);
        const queryId = `sandbox.${randomUUID()}`;
        const logged: LoggedRequest = { at: Date.now(), method, path: url.pathname, status: 0, effect: false };
        requests.push(logged);
        if (requests.length > maxLoggedRequests) requests.shift();
        const send = (status: number, value: unknown, headers: Record<string, string> = {}): void => {
            logged.status = status;
            answer.writeHead(status, { "content-type": "application/json", "x-ovh-queryid": queryId, ...headers });
            answer.end(value === undefined ? "null" : JSON.stringify(value));
        };
        if (url.pathname.startsWith("/sandbox/")) {
            control(method, url.pathname, body, send);
            return;
        }
        const fault = faults.strike(method, url.pathname);
        if (fault?.kind === "delay") await sleep(fault.delayMs ?? 1000);
        if (fault?.kind === "drop") return void incoming.socket.destroy();
        if (fault?.kind === "status") {
            const headers: Record<string, string> =
                fault.retryAfter === undefined ? {} : { "retry-after": String(fault.retryAfter) };
            return send(fault.status ?? 500, { class: "Server::Fault", message: "a fault was asked for" }, headers);
        }
        try {
            const before = method === "GET" ? "" : fingerprint();
            const value = await call(method, url, body, incoming, fault?.kind === "stale" ? fault.staleMs : undefined);
            logged.effect = method !== "GET" && fingerprint() !== before;
            if (fault?.kind === "commit-then-drop") return void incoming.socket.destroy();
            if (fault?.kind === "commit-then-timeout") return;
            if (fault?.kind === "commit-then-status") {
                return send(fault.status ?? 500, { class: "Server::Fault", message: "a fault was asked for" });
            }
            send(200, value);
        } catch (error) {
            if (error instanceof ApiError) {
                send(error.status, { class: error.errorClass, message: error.message }, error.headers);
            } else {
                log(`${method} ${url.pathname}: ${(error as Error).stack}`);
                send(500, { class: "Server::InternalServerError", message: "the emulator failed; see its log" });
            }
        }
        return undefined;
    }

    /** The sandbox's own controls: no part of OVHcloud. */
    function control(method: string, path: string, body: string, send: (status: number, value: unknown) => void): void {
        switch (`${method} ${path}`) {
            case "GET /sandbox/status":
                return send(200, {
                    apps: summaries(),
                    clusters: Object.keys(store.state.clusters),
                    violations: violations.length,
                    speed,
                });
            case "GET /sandbox/requests":
                return send(200, requests);
            case "GET /sandbox/violations":
                return send(200, violations);
            case "GET /sandbox/faults":
                return send(200, faults.list());
            case "POST /sandbox/faults":
                faults.add(JSON.parse(body) as FaultRule);
                return send(200, faults.list());
            case "DELETE /sandbox/faults":
                faults.clear();
                return send(200, []);
            default:
                return send(404, { message: `${method} ${path} is not a control of the sandbox` });
        }
    }

    const server = createServer((incoming, answer) => void serve(incoming, answer));
    await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(options.port ?? store.state.apiPort ?? 0, "127.0.0.1", resolve);
    });
    const { port } = server.address() as { port: number };
    store.state.apiPort = port;
    store.save();
    await platform.resume();
    platform.beginAutoscaling();
    resumeClusters(kube);

    return {
        url: `http://127.0.0.1:${port}/v1`,
        caFile,
        faults,
        violations: () => violations,
        apps: summaries,
        tokens: () => Object.keys(store.state.tokens),
        clusters: () => Object.keys(store.state.clusters),
        stored: () => Object.values(store.state.apps),
        requests: () => requests,
        async deleteApp(id) {
            const app = store.state.apps[id];
            if (!app) throw new Error(`app ${id} does not exist`);
            platform.delete(app);
            while (summaries().some((summary) => summary.id === id)) await sleep(20);
        },
        revokeTokens() {
            store.state.tokens = {};
            store.save();
        },
        async close() {
            const closed = new Promise((resolve) => server.close(resolve));
            server.closeAllConnections();
            await closed;
            await platform.close();
        },
    };
}

function text(incoming: IncomingMessage): Promise<string> {
    return new Promise((resolve, reject) => {
        const parts: Buffer[] = [];
        incoming.on("data", (part: Buffer) => parts.push(part));
        incoming.on("end", () => resolve(Buffer.concat(parts).toString("utf8")));
        incoming.on("error", reject);
    });
}
