import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { close, createHttpServer, listenNear, type HttpError, type HttpRequest } from "../http-server";
import type { OwnProfile } from "../vllm/profile-file";
import { startReplica as startVllm } from "../vllm/replica";
import { ApiError, badRequest, notFound } from "./api-error";
import { appHandlers, appReads, type Handlers } from "./apps";
import { authenticate, type Credentials } from "./auth";
import * as capabilities from "./capabilities";
import { makeCertificates } from "./certificates";
import { answerFaults, requestFaults, route } from "./contract";
import { EventStream } from "./event-stream";
import { Faults, readFaultRule } from "./faults";
import { balancings, refuseToken } from "./gateway";
import { readAppFault, readPlatformFault } from "./incidents";
import { kubeHandlers, resumeClusters } from "./kube";
import type { ManagedKubernetes } from "./mks";
import { Platform, type StartReplica } from "./platform";
import type { AppStatus, Balancing, PartStatus, SandboxStatus } from "./status";
import { Store, type StoredApp } from "./store";
import { tokenHandlers } from "./tokens";

export interface OvhCloudOptions {
    /** Holds `state.json` and `ca.pem`; survives restarts. */
    stateDir: string;
    /** Port of the API on 127.0.0.1, kept over restarts; a free one when it is absent or taken. */
    port?: number;
    /** Platform seconds per real second; default 60. */
    speed?: number;
    credentials: Credentials;
    /** The only Public Cloud project there is. */
    projectId: string;
    mks: ManagedKubernetes;
    /** What stands for a container; default: the simulated vLLM. */
    startReplica?: StartReplica;
    /** GPUs that the project may use; default: `capabilities.gpuQuota`. */
    gpuQuota?: number;
    /** How the gateways choose a replica; default `random`. */
    balancing?: Balancing;
    /** Profiles of the simulated GPUs beside the built-in ones. */
    profiles?: OwnProfile[];
    /** Programs that `status` is to show. */
    parts?: () => PartStatus[];
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
    /** What `GET /sandbox/status` answers. */
    status(): SandboxStatus;
    /** The value of a token that may query the app; undefined when there is none. */
    tokenFor(appId: string): string | undefined;
    /** Deletes an app as a colleague would in the control panel; resolves when it is gone. */
    deleteApp(id: string): Promise<void>;
    /** Deletes every token behind Pulumi's back. */
    revokeTokens(): void;
    close(): Promise<void>;
}

const maxLoggedRequests = 10_000;
/** Guess: OVHcloud publishes no limit. */
const bodyBytes = 1024 ** 2;

/** Starts the emulated OVHcloud API with the simulated AI Deploy behind it. */
export async function startOvhCloud(options: OvhCloudOptions): Promise<OvhCloud> {
    const log = options.log ?? (() => undefined);
    const store = new Store(options.stateDir);
    store.state.certificates ??= await makeCertificates();
    const caFile = join(options.stateDir, "ca.pem");
    writeFileSync(caFile, store.state.certificates.ca);

    let changed = (): void => undefined;
    const platform = new Platform({
        store,
        speed: options.speed ?? 60,
        startReplica: options.startReplica ?? startVllm,
        gpuQuota: options.gpuQuota,
        balancing: options.balancing,
        profiles: options.profiles,
        log,
        changed: () => changed(),
    });
    const kube = { store, mks: options.mks, projectId: options.projectId, speed: () => platform.speed, log };
    const handlers: Handlers = {
        ...appHandlers(store, platform, options.projectId),
        ...tokenHandlers(store),
        ...kubeHandlers(kube),
        "GET /ai/capabilities/region": () => capabilities.regions(),
        "GET /ai/capabilities/region/{region}": ({ path }) => capabilities.region(path.region),
        "GET /ai/capabilities/region/{region}/flavor": ({ path }) => capabilities.flavorsOf(path.region),
        "GET /ai/capabilities/region/{region}/flavor/{flavorId}": ({ path }) =>
            capabilities.flavor(path.region, path.flavorId),
        "GET /ai/capabilities/quota": () => ({ resources: { gpu: platform.gpuQuota }, storage: 10 * 1024 ** 4 }),
        "GET /ai/capabilities/feature": () => ({ lab: false, registry: true }),
    };
    const faults = new Faults();
    const violations: string[] = [];
    const requests: LoggedRequest[] = [];

    const existing = (): StoredApp[] => Object.values(store.state.apps).filter(({ state }) => state !== "DELETED");
    const identity = (app: StoredApp): Pick<AppStatus, "id" | "name" | "model" | "url"> => ({
        id: app.id,
        name: app.spec.name as string,
        model: /(?:--model[= ]|vllm serve )(\S+)/.exec((app.spec.command ?? []).join(" "))?.[1] ?? "",
        url: `https://127.0.0.1:${app.port}`,
    });
    const summaries = (): AppSummary[] =>
        existing().map((app) => ({ ...identity(app), state: app.state, replicas: platform.available(app) }));
    const status = (): SandboxStatus => ({
        at: new Date().toISOString(),
        pid: process.pid,
        speed: platform.speed,
        violations: violations.length,
        apps: existing().map((app) => ({ ...identity(app), ...platform.status(app) })),
        clusters: Object.keys(store.state.clusters),
        faults: platform.incidents.list(),
        parts: options.parts?.() ?? [],
    });
    const events = new EventStream(status);
    changed = () => events.changed();

    const readsAsOf = (ageMs: number): Handlers => {
        const apps = store.appsAsOf(ageMs);
        return appReads(
            () => apps,
            ({ id, replicas }) => (store.state.apps[id] ? platform.available(store.state.apps[id]) : replicas),
        );
    };

    const replicasOf = (id: string): number[] =>
        platform.status(store.state.apps[id]).replicas.map(({ index }) => index);

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
        { method, url, incoming }: HttpRequest,
        body: string,
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
        // Ids are looked up in plain objects, which know some names from birth.
        const inborn = Object.values(matched.path).find((value) => value in Object.prototype);
        if (inborn !== undefined) throw notFound(`${inborn} does not exist`);
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

    async function serve(request: HttpRequest, answer: ServerResponse): Promise<void> {
        const { method, url, incoming } = request;
        const body = await request.text();
        const logged: LoggedRequest = { at: Date.now(), method, path: url.pathname, status: 0, effect: false };
        requests.push(logged);
        if (requests.length > maxLoggedRequests) requests.shift();
        const send = (status: number, value: unknown, headers: Record<string, string> = {}): void => {
            logged.status = status;
            answer.writeHead(status, { "content-type": "application/json", ...headers });
            answer.end(value === undefined ? "null" : JSON.stringify(value));
        };
        if (method === "GET" && url.pathname === "/sandbox/events") return events.open(answer);
        if (url.pathname.startsWith("/sandbox/")) return send(200, control(method, url.pathname, body));
        if (platform.incidents.active("api-outage")) {
            const message = "the API is out of order (a fault was asked for)";
            return send(503, { class: "Server::ServiceUnavailable", message });
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
            const value = await call(request, body, fault?.kind === "stale" ? fault.staleMs : undefined);
            logged.effect = method !== "GET" && fingerprint() !== before;
            if (fault?.kind === "commit-then-drop") return void incoming.socket.destroy();
            if (fault?.kind === "commit-then-timeout") return;
            if (fault?.kind === "commit-then-status") {
                return send(fault.status ?? 500, { class: "Server::Fault", message: "a fault was asked for" });
            }
            send(200, value);
        } catch (error) {
            logged.status = error instanceof ApiError ? error.status : 500;
            throw error;
        }
        return undefined;
    }

    /** The sandbox's own controls: no part of OVHcloud. Answers the value to send; throws an ApiError. */
    function control(method: string, path: string, body: string): unknown {
        const name = `${method} ${path}`;
        const app = /^\/sandbox\/apps\/([\w-]+)\/faults$/.exec(path)?.[1];
        if (app !== undefined && !existing().some(({ id }) => id === app)) throw notFound(`app ${app} does not exist`);
        const scope = app ?? (path === "/sandbox/platform/faults" ? "platform" : undefined);
        if (scope !== undefined && ["GET", "POST", "DELETE"].includes(method)) {
            if (method === "POST") {
                if (app === undefined) platform.incidents.add(readPlatformFault(json(body)));
                else platform.incidents.add(readAppFault(json(body), replicasOf(app)), app);
            }
            if (method === "DELETE") platform.incidents.clear(app);
            return platform.incidents.list().filter((fault) => fault.app === app);
        }
        switch (name) {
            case "GET /sandbox/status":
                return status();
            case "POST /sandbox/speed": {
                const { speed } = json(body) as { speed?: unknown };
                if (typeof speed !== "number" || !(speed >= 1 && speed <= 1000)) {
                    throw badRequest(`speed is ${JSON.stringify(speed)}: give a number from 1 (real time) to 1000`);
                }
                platform.speed = speed;
                return { speed };
            }
            case "POST /sandbox/balancing": {
                const { balancing } = json(body) as { balancing?: Balancing };
                if (!balancings.includes(balancing!)) {
                    throw badRequest(`balancing is ${JSON.stringify(balancing)}: give one of ${balancings.join(", ")}`);
                }
                platform.balancing = balancing!;
                return { balancing };
            }
            case "GET /sandbox/requests":
                return requests;
            case "GET /sandbox/violations":
                return violations;
            case "GET /sandbox/faults":
                return faults.list();
            case "POST /sandbox/faults":
                faults.add(readFaultRule(json(body)));
                return faults.list();
            case "DELETE /sandbox/faults":
                faults.clear();
                return [];
            default:
                throw notFound(`${name} is not a control of the sandbox`);
        }
    }

    const refusal = (error: HttpError): object => ({
        class: error instanceof ApiError ? error.errorClass : httpErrorClass(error.status),
        message: error.message,
    });
    const server = createHttpServer({ bodyBytes, refusal, log }, (request, answer) => {
        answer.setHeader("x-ovh-queryid", `sandbox.${randomUUID()}`);
        return serve(request, answer);
    });
    const port = await listenNear(server, store.state.apiPort ?? options.port ?? 0);
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
        status,
        tokenFor(appId) {
            const app = store.state.apps[appId];
            const tokens = Object.values(store.state.tokens);
            return tokens.find(({ value }) => !refuseToken(app, tokens, `Bearer ${value}`))?.value;
        },
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
            events.close();
            await close(server);
            await platform.close();
        },
    };
}

/** The body of a control as an object. */
function json(body: string): object {
    let value: unknown;
    try {
        value = JSON.parse(body);
    } catch {
        throw badRequest("the body is not JSON");
    }
    if (typeof value !== "object" || value === null) throw badRequest("the body is not an object");
    return value;
}

/** Of a refusal that no operation of the API made. */
function httpErrorClass(status: number): string {
    return status < 500 ? "Client::BadRequest" : "Server::InternalServerError";
}
