import { get, type IncomingMessage } from "node:http";
import type { Server } from "node:https";
import { aggregate, recommend, stabilize, valueOnPage, type Aggregation, type Recommendation } from "./autoscaler";
import { openGateway, type Backend } from "./gateway";
import type { Store, StoredApp } from "./store";

/** One simulated container. `ready` tells whether its server answers at all; the platform's probes decide on traffic. */
export interface Replica {
    port: number;
    exited: Promise<{ code: number; reason?: string }>;
    stop(): Promise<void>;
}

export type StartReplica = (options: {
    command: string[];
    env: Record<string, string>;
    port: number;
    speed: number;
    log: (line: string) => void;
}) => Replica;

export interface PlatformOptions {
    store: Store;
    /** Platform seconds per real second. */
    speed: number;
    startReplica: StartReplica;
    log: (line: string) => void;
}

/** Times of the simulated platform, in platform seconds. Guesses: OVHcloud publishes none. */
const seconds = {
    queued: 5,
    imagePull: 60,
    stopping: 10,
    deleting: 5,
    /** How long a deleted app can still be read. */
    deletedReadable: 60,
    /** `--horizontal-pod-autoscaler-sync-period` */
    autoscalerPeriod: 15,
};

/** Defaults of OVHcloud's API documentation. */
const probeDefaults = { path: "/", initialDelaySeconds: 0, periodSeconds: 10, timeoutSeconds: 1, failureThreshold: 3 };

const maxRestarts = 3;
const maxLogLines = 1000;

interface Slot extends Backend {
    index: number;
    generation: number;
    replica: Replica;
    ready: boolean;
    wasReady: boolean;
    stopping: boolean;
}

interface Running {
    gateway?: Server;
    slots: Slot[];
    /** Goes up with each change of what runs; older slots serve until a newer one is ready. */
    generation: number;
    restarts: number;
    nextIndex: number;
    recommendations: Recommendation[];
    timers: Set<NodeJS.Timeout>;
}

/** The simulated AI Deploy: takes apps through their states, runs replicas behind gateways, scales them. */
export class Platform {
    private readonly running = new Map<string, Running>();
    private closed = false;

    constructor(private readonly options: PlatformOptions) {}

    private get store(): Store {
        return this.options.store;
    }

    /** Continues with every app that the state holds, after a restart of the sandbox. */
    async resume(): Promise<void> {
        for (const app of Object.values(this.store.state.apps)) {
            if (app.wanted === "deleted") this.delete(app);
            else if (app.wanted === "stopped") this.stop(app);
            else if (app.state !== "FAILED" && app.state !== "ERROR") await this.start(app);
            if (app.state === "FAILED" || app.state === "ERROR") await this.open(app);
        }
    }

    /** Opens the app's address. It answers 503 until a replica is ready. */
    async open(app: StoredApp): Promise<void> {
        const running = this.runningOf(app);
        if (running.gateway) return;
        running.gateway = await openGateway({
            app,
            certificates: this.store.state.certificates!,
            tokens: () => Object.values(this.store.state.tokens),
            backends: () => running.slots.filter(({ ready, stopping }) => ready && !stopping),
        });
    }

    /** Queues the app and brings its replicas up. */
    async start(app: StoredApp): Promise<void> {
        await this.open(app);
        app.wanted = "running";
        const running = this.runningOf(app);
        running.restarts = 0;
        const generation = ++running.generation;
        this.enter(app, "QUEUED", "APP_QUEUED", "the app waits for resources");
        this.later(app, seconds.queued, () => {
            if (running.generation !== generation) return;
            this.enter(app, "INITIALIZING", "APP_INITIALIZING", `pulling image ${app.spec.image}`);
            this.later(app, seconds.imagePull, () => {
                if (running.generation === generation) this.roll(app);
            });
        });
    }

    /** Replaces what runs by what the spec says now: new replicas first, the old ones serve until one is ready. */
    restart(app: StoredApp): void {
        const running = this.runningOf(app);
        running.restarts = 0;
        running.generation++;
        this.roll(app);
    }

    private roll(app: StoredApp): void {
        if (!/(^|\/)vllm\/vllm-openai:v?\d/.test(String(app.spec.image))) {
            const message = `image ${app.spec.image} cannot be pulled (the sandbox simulates vllm/vllm-openai:* only)`;
            this.fail(app, "JOB_IMAGE_PULL_BACKOFF", message);
            return;
        }
        this.enter(app, "SCALING", "APP_SCALING", "starting replicas");
        this.reconcile(app);
    }

    /** Brings the number of replicas of the current generation to what is wanted. */
    reconcile(app: StoredApp): void {
        if (this.closed || app.wanted !== "running" || ["FAILED", "ERROR"].includes(app.state)) return;
        const running = this.runningOf(app);
        const limits = automatic(app);
        app.replicas = limits
            ? Math.min(limits.replicasMax, Math.max(limits.replicasMin, app.replicas || limits.replicasMin))
            : (app.spec.scalingStrategy?.fixed?.replicas ?? 1);
        const current = running.slots.filter((slot) => slot.generation === running.generation && !slot.stopping);
        for (let n = current.length; n < app.replicas; n++) this.launch(app);
        for (const slot of current.slice(app.replicas)) this.retire(app, slot);
        this.store.save();
    }

    private launch(app: StoredApp): void {
        const running = this.runningOf(app);
        const index = running.nextIndex++;
        const env = Object.fromEntries(
            ((app.spec.envVars ?? []) as { name: string; value: string }[]).map((v) => [v.name, v.value]),
        );
        const replica = this.options.startReplica({
            command: app.spec.command ?? [],
            env,
            port: 0,
            speed: this.options.speed,
            log: (line) => this.appLog(app, index, line),
        });
        const slot: Slot = {
            index,
            generation: running.generation,
            replica,
            ready: false,
            wasReady: false,
            stopping: false,
            get port() {
                return replica.port;
            },
        };
        running.slots.push(slot);
        this.probe(app, slot, "readiness", app.spec.probe ?? {});
        if (app.spec.livenessProbe) this.probe(app, slot, "liveness", app.spec.livenessProbe as ProbeSpec);
        void replica.exited.then(({ code, reason }) => {
            running.slots = running.slots.filter((other) => other !== slot);
            if (slot.stopping || this.closed) return;
            this.appLog(app, index, `replica ended with exit code ${code}`);
            this.replaceLost(app, slot, reason ?? `the command ended with exit code ${code}`);
        });
    }

    /** A replica was lost: one that has worked is started again, a few times; one that never did is the user's error. */
    private replaceLost(app: StoredApp, slot: Slot, reason: string): void {
        const running = this.runningOf(app);
        if (slot.generation !== running.generation) return;
        if (!slot.wasReady || ++running.restarts > maxRestarts) {
            this.fail(app, "APP_FAILED", reason);
            return;
        }
        this.enter(app, this.available(app) > 0 ? "RUNNING" : "SCALING", "APP_SCALING", reason);
        this.reconcile(app);
    }

    private probe(app: StoredApp, slot: Slot, kind: "readiness" | "liveness", given: ProbeSpec): void {
        const spec = { ...probeDefaults, ...withoutNulls(given) };
        let failures = 0;
        const look = async (): Promise<void> => {
            if (slot.stopping || this.closed || !this.runningOf(app).slots.includes(slot)) return;
            const ok = await answers(slot.port, spec.path, spec.timeoutSeconds * 1000);
            failures = ok ? 0 : failures + 1;
            if (kind === "readiness") {
                if (ok && !slot.ready) this.becameReady(app, slot);
                else if (failures >= spec.failureThreshold && slot.ready) slot.ready = false;
            } else if (failures >= spec.failureThreshold) {
                this.appLog(
                    app,
                    slot.index,
                    `liveness probe ${spec.path} failed ${failures} times: the replica is killed`,
                );
                slot.stopping = true;
                slot.ready = false;
                await slot.replica.stop();
                this.replaceLost(
                    app,
                    slot,
                    `liveness probe ${spec.path} failed after ${spec.initialDelaySeconds} s; is initialDelaySeconds long enough for the model to load?`,
                );
                return;
            }
            this.later(app, spec.periodSeconds, () => void look());
        };
        this.later(app, spec.initialDelaySeconds, () => void look());
    }

    private becameReady(app: StoredApp, slot: Slot): void {
        const running = this.runningOf(app);
        slot.ready = true;
        slot.wasReady = true;
        if (slot.generation !== running.generation) return;
        for (const old of running.slots.filter((other) => other.generation !== running.generation)) {
            this.retire(app, old);
        }
        if (app.state !== "RUNNING") this.enter(app, "RUNNING", "APP_RUNNING", "the app runs");
    }

    private retire(app: StoredApp, slot: Slot): void {
        slot.stopping = true;
        slot.ready = false;
        this.appLog(app, slot.index, "replica is stopped");
        void slot.replica.stop();
    }

    stop(app: StoredApp): void {
        app.wanted = "stopped";
        const running = this.runningOf(app);
        running.generation++;
        for (const slot of running.slots) this.retire(app, slot);
        if (app.state === "STOPPED" || app.state === "FAILED" || app.state === "ERROR") return;
        this.enter(app, "STOPPING", "APP_STOPPING", "the app is stopped by its user");
        this.later(app, seconds.stopping, () => {
            if (app.wanted === "stopped") this.enter(app, "STOPPED", "APP_STOPPED", "the app is stopped");
        });
    }

    delete(app: StoredApp): void {
        app.wanted = "deleted";
        const running = this.runningOf(app);
        running.generation++;
        for (const slot of running.slots) this.retire(app, slot);
        running.gateway?.close();
        running.gateway?.closeAllConnections();
        if (app.state !== "DELETED") this.enter(app, "DELETING", "APP_STOPPING", "the app is deleted");
        this.later(app, seconds.deleting, () => {
            this.enter(app, "DELETED", "APP_STOPPED", "the app is deleted");
            this.later(app, seconds.deletedReadable, () => {
                delete this.store.state.apps[app.id];
                this.running.delete(app.id);
                this.store.save();
            });
        });
    }

    private fail(app: StoredApp, code: string, message: string): void {
        const running = this.runningOf(app);
        running.generation++;
        for (const slot of running.slots) this.retire(app, slot);
        this.enter(app, "FAILED", code, message);
    }

    /** Replicas that are ready for traffic. */
    available(app: StoredApp): number {
        return this.runningOf(app).slots.filter(({ ready, stopping }) => ready && !stopping).length;
    }

    /** Begins to look at every app's metric, once per period. */
    beginAutoscaling(): void {
        const round = async (): Promise<void> => {
            for (const app of Object.values(this.store.state.apps)) {
                if (app.state === "RUNNING") await this.autoscale(app);
            }
            if (!this.closed) setTimeout(() => void round(), this.realMs(seconds.autoscalerPeriod)).unref();
        };
        setTimeout(() => void round(), this.realMs(seconds.autoscalerPeriod)).unref();
    }

    private async autoscale(app: StoredApp): Promise<void> {
        const limits = automatic(app);
        const metric = limits?.customMetrics;
        if (!limits || !metric) return;
        const running = this.runningOf(app);
        const ready = running.slots.filter((slot) => slot.ready && slot.generation === running.generation);
        const url = new URL(metric.apiUrl.replace("<SELF>", "127.0.0.1"));
        const values: number[] = [];
        for (const slot of ready) {
            const page = await fetchText(slot.port, url.pathname, 1000).catch(() => undefined);
            const value = page === undefined ? undefined : valueOnPage(page, metric.valueLocation);
            if (value !== undefined) values.push(value);
        }
        if (values.length === 0) {
            this.options.log(
                `autoscaler ${app.spec.name}: no value of ${metric.valueLocation} from ${ready.length} replica(s), nothing changed`,
            );
            return;
        }
        const value = aggregate(values, metric.aggregationType);
        const now = (Date.now() / 1000) * this.options.speed;
        const longest = Math.max(limits.scaleUpStabilizationWindowSeconds, limits.scaleDownStabilizationWindowSeconds);
        running.recommendations = running.recommendations.filter(({ at }) => at >= now - longest);
        running.recommendations.push({ at: now, replicas: recommend(ready.length, value, metric.targetValue) });
        const wanted = stabilize(app.replicas, running.recommendations, now, {
            ...limits,
            targetValue: metric.targetValue,
        });
        if (wanted === app.replicas) return;
        const figures = `${metric.valueLocation} ${metric.aggregationType} ${value.toFixed(1)} of ${ready.length} ready, target ${metric.targetValue}`;
        this.options.log(`autoscaler ${app.spec.name}: ${app.replicas} -> ${wanted} replicas (${figures})`);
        app.replicas = wanted;
        this.reconcile(app);
    }

    /** Ends every replica and gateway; the state stays. */
    async close(): Promise<void> {
        this.closed = true;
        const ends: Promise<unknown>[] = [];
        for (const running of this.running.values()) {
            for (const timer of running.timers) clearTimeout(timer);
            for (const slot of running.slots) {
                slot.stopping = true;
                ends.push(slot.replica.stop());
            }
            const { gateway } = running;
            if (gateway) {
                ends.push(new Promise((resolve) => gateway.close(resolve)));
                gateway.closeAllConnections();
            }
        }
        await Promise.all(ends);
        this.store.save();
    }

    private enter(app: StoredApp, state: string, code: string, message: string): void {
        if (this.closed) return;
        const date = new Date().toISOString();
        if (app.state !== state) {
            app.history.push({ date, state });
            this.options.log(`app ${app.spec.name} ${app.id}: ${state}`);
        }
        app.state = state;
        app.info = { code, message };
        app.updatedAt = date;
        this.store.save();
    }

    private appLog(app: StoredApp, replica: number, content: string): void {
        app.logs.push({ timestamp: new Date().toISOString(), content, replica });
        if (app.logs.length > maxLogLines) app.logs.splice(0, app.logs.length - maxLogLines);
    }

    private runningOf(app: StoredApp): Running {
        let running = this.running.get(app.id);
        if (!running) {
            running = { slots: [], generation: 0, restarts: 0, nextIndex: 0, recommendations: [], timers: new Set() };
            this.running.set(app.id, running);
        }
        return running;
    }

    private realMs(platformSeconds: number): number {
        return (platformSeconds * 1000) / this.options.speed;
    }

    private later(app: StoredApp, platformSeconds: number, work: () => void): void {
        if (this.closed) return;
        const { timers } = this.runningOf(app);
        const timer = setTimeout(() => {
            timers.delete(timer);
            if (!this.closed) work();
        }, this.realMs(platformSeconds));
        timers.add(timer);
    }
}

interface ProbeSpec {
    path?: string | null;
    initialDelaySeconds?: number | null;
    periodSeconds?: number | null;
    timeoutSeconds?: number | null;
    failureThreshold?: number | null;
}

interface AutomaticScaling {
    replicasMin: number;
    replicasMax: number;
    scaleUpStabilizationWindowSeconds: number;
    scaleDownStabilizationWindowSeconds: number;
    customMetrics?: { apiUrl: string; valueLocation: string; targetValue: number; aggregationType: Aggregation } | null;
}

/** The app's automatic scaling with the documented defaults of the windows (0 s up, 300 s down). */
function automatic(app: StoredApp): AutomaticScaling | undefined {
    const given = app.spec.scalingStrategy?.automatic as Partial<AutomaticScaling> | null | undefined;
    if (!given) return undefined;
    const defaults = {
        replicasMin: 1,
        replicasMax: 1,
        scaleUpStabilizationWindowSeconds: 0,
        scaleDownStabilizationWindowSeconds: 300,
    };
    return { ...defaults, ...withoutNulls(given) };
}

function withoutNulls<T extends object>(value: T): { [K in keyof T]-?: NonNullable<T[K]> } {
    return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== null && v !== undefined)) as {
        [K in keyof T]-?: NonNullable<T[K]>;
    };
}

async function answers(port: number, path: string, timeoutMs: number): Promise<boolean> {
    try {
        await fetchText(port, path, timeoutMs);
        return true;
    } catch {
        return false;
    }
}

/** The body of a 2xx answer; anything else rejects. */
function fetchText(port: number, path: string, timeoutMs: number): Promise<string> {
    return new Promise((resolve, reject) => {
        if (port === 0) {
            reject(new Error("not listening yet"));
            return;
        }
        const call = get(
            { host: "127.0.0.1", port, path, timeout: timeoutMs, agent: false },
            (answer: IncomingMessage) => {
                let text = "";
                answer.setEncoding("utf8").on("data", (part: string) => (text += part));
                answer.on("end", () =>
                    (answer.statusCode ?? 500) < 300 ? resolve(text) : reject(new Error(`status ${answer.statusCode}`)),
                );
            },
        );
        call.on("timeout", () => call.destroy(new Error("timeout")));
        call.on("error", reject);
    });
}
