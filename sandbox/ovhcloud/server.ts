import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { entry } from "../../packages/ai-deploy/src/values/json";
import { close, createHttpServer, listenNear, type HttpError, type HttpRequest } from "../http-server";
import type { OwnProfile } from "../vllm/profile-file";
import { startReplica as startVllm } from "../vllm/replica";
import { startVllmProcess, type RealEngine } from "../vllm/vllm-process";
import { callApi, type ApiOptions, type CallMade } from "./api";
import { ApiError } from "./api-error";
import { appHandlers, appReads, type Handlers, type Writing } from "./apps";
import type { Credentials } from "./auth";
import { capabilityHandlers } from "./capabilities";
import { makeCertificates } from "./certificates";
import { control, type Controls } from "./control";
import { EventStream } from "./event-stream";
import { Faults, type FaultRule } from "./faults";
import type { Form } from "./forms";
import { refuseToken } from "./gateway";
import { kubeHandlers, resumeClusters } from "./kube";
import type { ManagedKubernetes } from "./mks";
import { Overview, type AppSummary } from "./overview";
import { Platform } from "./platform";
import { callsPerMinute, RateLimit } from "./rate-limit";
import type { StartReplica } from "./replicas";
import type { Balancing, PartStatus, SandboxStatus } from "./status";
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
    /**
     * Calls that each credential may make in a minute, as long as that is at the speed of the start, whatever the speed
     * becomes: by that the clients pace themselves. Default 60; `Infinity` lifts the limit.
     */
    callsPerMinute?: number;
    /** The only Public Cloud project there is. */
    projectId: string;
    mks: ManagedKubernetes;
    /** What stands for a container; default: the simulated vLLM. */
    startReplica?: StartReplica;
    /** Replicas are processes of this vLLM in place of simulated ones. */
    realEngine?: RealEngine;
    /** GPUs that the project may use; default: `capabilities.gpuQuota`. */
    gpuQuota?: number;
    /** How the gateways choose a replica; default `random`. */
    balancing?: Balancing;
    /** How the API writes apps back, see forms.ts; default `full`. */
    form?: Form;
    /** Profiles of the simulated GPUs beside the built-in ones. */
    profiles?: OwnProfile[];
    /** Programs that `status` is to show. */
    parts?: () => PartStatus[];
    log?: (line: string) => void;
}

export interface LoggedRequest extends CallMade {
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
    const { realEngine, log = () => undefined } = options;
    const store = new Store(options.stateDir);
    store.state.certificates ??= await makeCertificates();
    const caFile = join(options.stateDir, "ca.pem");
    writeFileSync(caFile, store.state.certificates.ca);

    let changed = (): void => undefined;
    const platform = new Platform({
        store,
        speed: options.speed ?? 60,
        startReplica:
            options.startReplica ?? (realEngine ? (replica) => startVllmProcess(replica, realEngine) : startVllm),
        realEngine: realEngine?.command,
        gpuQuota: options.gpuQuota,
        balancing: options.balancing,
        profiles: options.profiles,
        log,
        changed: () => changed(),
    });
    const violations: string[] = [];
    const requests: LoggedRequest[] = [];
    const faults = new Faults();
    const writing: Writing = { form: options.form ?? "full" };
    const overview = new Overview(store, platform, violations, options.parts ?? (() => []));
    const events = new EventStream(() => overview.status());
    changed = () => events.changed();
    const kube = { store, mks: options.mks, projectId: options.projectId, speed: () => platform.speed, log };
    const api: ApiOptions = {
        credentials: options.credentials,
        projectId: options.projectId,
        handlers: {
            ...appHandlers(store, platform, options.projectId, writing),
            ...tokenHandlers(store),
            ...kubeHandlers(kube),
            ...capabilityHandlers(() => platform.gpuQuota),
        },
        readsAsOf: (ageMs) => readsAsOf(store, platform, writing, ageMs),
        violation: (line) => violations.push(line),
        limit: new RateLimit(options.callsPerMinute ?? callsPerMinute, 60_000 / platform.speed),
    };
    const front: Front = { api, store, events, platform, overview, faults, writing, requests, violations };
    const server = createHttpServer({ bodyBytes, refusal, log }, (request, answer) => {
        answer.setHeader("x-ovh-queryid", `sandbox.${randomUUID()}`);
        return serve(front, request, answer);
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
        apps: () => overview.summaries(),
        tokens: () => Object.keys(store.state.tokens),
        clusters: () => Object.keys(store.state.clusters),
        stored: () => Object.values(store.state.apps),
        requests: () => requests,
        status: () => overview.status(),
        tokenFor(appId) {
            const app = entry(store.state.apps, appId);
            if (!app) return undefined;
            const tokens = Object.values(store.state.tokens);
            return tokens.find(({ value }) => !refuseToken(app, tokens, `Bearer ${value}`))?.value;
        },
        async deleteApp(id) {
            const app = entry(store.state.apps, id);
            if (!app) throw new Error(`app ${id} does not exist`);
            platform.delete(app);
            while (overview.existing().some((one) => one.id === id)) await sleep(20);
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

function readsAsOf(store: Store, platform: Platform, writing: Writing, ageMs: number): Handlers {
    const apps = store.appsAsOf(ageMs);
    return appReads(
        () => apps,
        ({ id, replicas }) => {
            const now = entry(store.state.apps, id);
            return now ? platform.run(now).available : replicas;
        },
        writing,
    );
}

/** What a request to the API's port meets. */
interface Front extends Controls {
    api: ApiOptions;
    store: Store;
    events: EventStream;
    requests: LoggedRequest[];
}

async function serve(front: Front, request: HttpRequest, answer: ServerResponse): Promise<void> {
    const { method, url } = request;
    const path = url.pathname;
    const body = await request.text();
    const logged: LoggedRequest = { at: Date.now(), method, path, status: 0, effect: false, actions: [] };
    front.requests.push(logged);
    if (front.requests.length > maxLoggedRequests) front.requests.shift();
    const send: Send = (status, value, headers = {}) => {
        logged.status = status;
        answer.writeHead(status, { "content-type": "application/json", ...headers });
        answer.end(value === undefined ? "null" : JSON.stringify(value));
    };
    try {
        if (method === "GET" && path === "/sandbox/events") return front.events.open(answer);
        if (path.startsWith("/sandbox/")) return send(200, control(front, method, path, body));
        if (front.platform.incidents.active("api-outage")) {
            const message = "the API is out of order (a fault was asked for)";
            return send(503, { class: "Server::ServiceUnavailable", message });
        }
        const fault = front.faults.strike(method, path);
        if (fault?.kind === "delay") await sleep(fault.delayMs ?? 1000);
        if (fault && refuseOnPurpose(fault, request, send)) return;
        const before = method === "GET" ? "" : fingerprint(front.store);
        const staleMs = fault?.kind === "stale" ? fault.staleMs : undefined;
        const value = await callApi(front.api, request, body, staleMs, logged);
        logged.effect = method !== "GET" && fingerprint(front.store) !== before;
        if (fault && failAfterwards(fault, request, send)) return;
        send(200, value);
    } catch (error) {
        logged.status = error instanceof ApiError ? error.status : 500;
        throw error;
    }
}

type Send = (status: number, value: unknown, headers?: Record<string, string>) => void;

const askedFor = { class: "Server::Fault", message: "a fault was asked for" };

/** Whether the fault takes the place of the call. */
function refuseOnPurpose({ kind, status, retryAfter }: FaultRule, { incoming }: HttpRequest, send: Send): boolean {
    if (kind === "drop") incoming.socket.destroy();
    else if (kind === "status") {
        send(status ?? 500, askedFor, retryAfter === undefined ? {} : { "retry-after": String(retryAfter) });
    } else return false;
    return true;
}

/** Whether the fault takes the place of the answer to a call that has been done. */
function failAfterwards({ kind, status }: FaultRule, { incoming }: HttpRequest, send: Send): boolean {
    if (kind === "commit-then-drop") incoming.socket.destroy();
    else if (kind === "commit-then-status") send(status ?? 500, askedFor);
    else return kind === "commit-then-timeout";
    return true;
}

/** What writes change, in a form that can be compared. */
function fingerprint({ state }: Store): string {
    const { apps, tokens, clusters, authorized } = state;
    const ofApps = Object.values(apps).map(({ id, spec, wanted, state: now, dataSync }) => [
        id,
        spec,
        wanted,
        now,
        dataSync.length,
    ]);
    return JSON.stringify([ofApps, tokens, clusters, authorized]);
}

function refusal(error: HttpError): object {
    // Of a refusal that no operation of the API made.
    const errorClass = error.status < 500 ? "Client::BadRequest" : "Server::InternalServerError";
    if (!(error instanceof ApiError)) return { class: errorClass, message: error.message };
    return { class: error.errorClass, message: error.message, details: error.details };
}
