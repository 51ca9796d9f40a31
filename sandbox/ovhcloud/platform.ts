import { get, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Phase } from "../vllm/replica";
import type { OwnProfile } from "../vllm/profile-file";
import { decide, type Reading, type Recommendation, type ScalingRule } from "./autoscaler";
import { gpuQuota } from "./capabilities";
import { openGateway, type Backend, type Gateway } from "./gateway";
import { Incidents } from "./incidents";
import { valueAt, type MetricFormat } from "./metric-value";
import type { Aggregation, AppStatus, Balancing, Decision, FaultStatus, ReplicaStatus, ScalingStatus } from "./status";
import type { Store, StoredApp } from "./store";

/** One simulated container. */
export interface Replica {
    /** 0 while it does not listen. */
    readonly port: number;
    /** The port that it listens on inside of its container; undefined as long as that is not known. */
    readonly containerPort: number | undefined;
    readonly phase: Phase;
    readonly load: { running: number; waiting: number; kvUsage: number };
    readonly usage: { cores: number; memory: number };
    readonly exited: Promise<{ code: number; reason?: string }>;
    connect(): Duplex;
    stop(graceSeconds?: number): Promise<void>;
    slow(factor: number): void;
    hang(hanging: boolean): void;
    crash(): void;
    outOfMemory(): void;
}

export type StartReplica = (options: {
    command: string[];
    env: Record<string, string>;
    port: number;
    readonly speed: number;
    log: (line: string) => void;
    gpus: number;
    gpuModel?: string;
    profiles?: OwnProfile[];
    hubRefuses: boolean;
}) => Replica;

export interface PlatformOptions {
    store: Store;
    /** Platform seconds per real second. */
    speed: number;
    startReplica: StartReplica;
    /** GPUs that the project may use; default: `gpuQuota`. */
    gpuQuota?: number;
    /** Default `random`. */
    balancing?: Balancing;
    profiles?: OwnProfile[];
    log: (line: string) => void;
    /** Something that `status` shows has changed. */
    changed: () => void;
}

/** Times of the simulated platform, in platform seconds. Guesses where no source is named: OVHcloud publishes none. */
const seconds = {
    queued: 5,
    imagePull: 60,
    stopping: 10,
    deleting: 5,
    /** How long a deleted app can still be read. */
    deletedReadable: 60,
    /** `--horizontal-pod-autoscaler-sync-period` */
    autoscalerPeriod: 15,
    /** Between two tries to find a GPU for a replica. */
    retry: 10,
    /** After the first crash of a container, twice that after each further one, up to the longest (Kubernetes). */
    backOff: 10,
    longestBackOff: 300,
    /** A container that has run for so long is forgiven its crashes (Kubernetes). */
    forgiven: 600,
    /** KEDA's default of `cooldownPeriod`. */
    cooldown: 300,
};

/** For requests under way when a replica is stopped, in real seconds, as they take their real time (API documentation). */
const defaultGraceSeconds = 30;

/** Defaults of OVHcloud's API documentation. */
const probeDefaults = {
    path: "/",
    initialDelaySeconds: 0,
    periodSeconds: 10,
    timeoutSeconds: 1,
    failureThreshold: 3,
    successThreshold: 1,
};

/** Of a gateway that is not open. */
const noTraffic = { open: 0, answers: {}, served: { requests: 0, firstSeconds: 0, seconds: 0 } };

/** At a high speed or with many replicas, probes and metrics come later rather than take all of this machine. */
const mostPerRealSecond = { probes: 200, metricReads: 100 };

const maxRestarts = 3;
const maxLogLines = 1000;
const maxDecisions = 100;

interface Slot extends Backend {
    generation: number;
    startedAt: string;
    /** Undefined as long as it waits for a GPU, for its image, or for a crashed one before it. */
    replica?: Replica;
    waitsFor: "pending" | "pulling";
    ready: boolean;
    wasReady: boolean;
    stopping: boolean;
    /** How often a container in its place has crashed. */
    crashes: number;
}

interface Running {
    gateway?: Gateway;
    slots: Slot[];
    /** Goes up with each change of what runs; older slots serve until a newer one is ready. */
    generation: number;
    /** The newest generation of which a replica has been ready. */
    provenGeneration: number;
    nextIndex: number;
    recommendations: Recommendation[];
    decisions: Decision[];
    /** Platform time at which the metric was above 0 last, and at which a request came in last. */
    lastActive: number;
    lastCall: number;
    timers: Set<NodeJS.Timeout>;
}

/** The simulated AI Deploy: takes apps through their states, runs replicas behind gateways, scales them. */
export class Platform {
    readonly incidents: Incidents;
    balancing: Balancing;
    private readonly running = new Map<string, Running>();
    private readonly clock: { real: number; platform: number; speed: number };
    private closed = false;

    constructor(private readonly options: PlatformOptions) {
        this.clock = { real: performance.now(), platform: Date.now() / 1000, speed: options.speed };
        this.balancing = options.balancing ?? "random";
        this.incidents = new Incidents({
            begin: (fault) => this.faultBegins(fault),
            end: (fault) => this.faultEnds(fault),
        });
    }

    private get store(): Store {
        return this.options.store;
    }

    /** Platform seconds per real second. What is under way when it changes ends as it was begun. */
    get speed(): number {
        return this.clock.speed;
    }

    set speed(speed: number) {
        this.clock.platform = this.now();
        this.clock.real = performance.now();
        this.clock.speed = speed;
        this.options.changed();
    }

    /** GPUs that the project may use. */
    get gpuQuota(): number {
        return this.incidents.active("quota") ? 0 : (this.options.gpuQuota ?? gpuQuota);
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
            balancing: () => this.balancing,
            outage: () => this.isOut(app),
            called: () => this.called(app),
            log: this.options.log,
        });
    }

    /** Queues the app and brings its replicas up. */
    async start(app: StoredApp): Promise<void> {
        await this.open(app);
        app.wanted = "running";
        const running = this.runningOf(app);
        const generation = ++running.generation;
        this.enter(app, "QUEUED", "APP_QUEUED", "the app waits for resources");
        this.later(app, seconds.queued, () => {
            if (running.generation !== generation) return;
            this.enter(app, "INITIALIZING", "APP_INITIALIZING", `pulling image ${app.spec.image}`);
            this.appLog(app, running.nextIndex, `Pulling image ${app.spec.image}`);
            this.later(app, seconds.imagePull, () => {
                if (running.generation === generation) this.roll(app);
            });
        });
    }

    /** Replaces what runs by what the spec says now: new replicas first, the old ones serve until one is ready. */
    restart(app: StoredApp): void {
        this.runningOf(app).generation++;
        this.roll(app);
    }

    private roll(app: StoredApp): void {
        const refused = this.imageRefused(app);
        if (refused) return this.fail(app, "JOB_IMAGE_PULL_BACKOFF", refused);
        this.enter(app, "SCALING", "APP_SCALING", "starting replicas");
        this.reconcile(app, true);
        return undefined;
    }

    /** Why the image cannot be pulled. */
    private imageRefused(app: StoredApp): string | undefined {
        const { image } = app.spec;
        if (!/(^|\/)vllm\/vllm-openai:v?\d/.test(String(image))) {
            return `image ${image} cannot be pulled (the sandbox simulates vllm/vllm-openai:* only)`;
        }
        return this.incidents.active("image-pull", (fault) => fault.app === app.id)
            ? `image ${image} cannot be pulled: the registry does not answer (a fault was asked for)`
            : undefined;
    }

    /** Brings the number of replicas of the current generation to what is wanted. `pulled`: the image is there already. */
    reconcile(app: StoredApp, pulled = false): void {
        if (this.closed || app.wanted !== "running" || ["FAILED", "ERROR"].includes(app.state)) return;
        const running = this.runningOf(app);
        const limits = automatic(app);
        if (limits && !(app.state === "STANDBY" && limits.replicasMin === 0)) {
            const least = Math.max(1, limits.replicasMin);
            app.replicas = Math.min(limits.replicasMax, Math.max(least, app.replicas));
        } else if (!limits) {
            app.replicas = app.spec.scalingStrategy?.fixed?.replicas ?? 1;
        }
        if (app.state === "STANDBY" && app.replicas > 0) {
            this.enter(app, "SCALING", "APP_SCALING", "starting replicas");
        }
        const current = this.current(running);
        for (let n = current.length; n < app.replicas; n++) this.launch(app, pulled);
        // Those that have got the least far go first, among equals the youngest (Kubernetes' ReplicaSet).
        const spare = [...current].sort((a, b) => Number(b.ready) - Number(a.ready) || a.index - b.index);
        for (const slot of spare.slice(app.replicas)) this.retire(app, slot);
        this.store.save();
    }

    /** Replicas of the current generation that are to stay. */
    private current(running: Running): Slot[] {
        return running.slots.filter((slot) => slot.generation === running.generation && !slot.stopping);
    }

    private launch(app: StoredApp, pulled: boolean, crashes = 0): void {
        const running = this.runningOf(app);
        const slot: Slot = {
            index: running.nextIndex++,
            generation: running.generation,
            startedAt: new Date().toISOString(),
            waitsFor: "pending",
            ready: false,
            wasReady: false,
            stopping: false,
            crashes,
            requests: 0,
            get listens() {
                const { port = 0, containerPort } = slot.replica ?? {};
                return port > 0 && containerPort === app.spec.defaultHttpPort;
            },
            connect: () => slot.replica!.connect(),
        };
        running.slots.push(slot);
        this.options.changed();
        const backOff = crashes === 0 ? 0 : Math.min(seconds.longestBackOff, seconds.backOff * 2 ** (crashes - 1));
        if (backOff === 0) this.admit(app, slot, pulled);
        else this.later(app, backOff, () => this.admit(app, slot, pulled));
    }

    /** Lets a replica begin once there is a GPU for it. */
    private admit(app: StoredApp, slot: Slot, pulled: boolean): void {
        if (slot.stopping) return;
        const gpus = gpusOf(app);
        const inUse = this.gpusInUse();
        const reason = this.isOut(app)
            ? `region ${app.spec.region} is out of order`
            : inUse + gpus > this.gpuQuota
              ? `no GPU is left: ${inUse} of ${this.gpuQuota} in use, ${gpus} more needed`
              : undefined;
        if (reason !== undefined) {
            if (app.info.message !== reason) {
                this.appLog(app, slot.index, `replica waits: ${reason}`);
                this.enter(app, app.state, app.info.code, reason);
            }
            this.later(app, seconds.retry, () => this.admit(app, slot, pulled));
            return;
        }
        slot.waitsFor = "pulling";
        if (pulled) this.boot(app, slot);
        else this.pull(app, slot);
    }

    private pull(app: StoredApp, slot: Slot): void {
        this.appLog(app, slot.index, `Pulling image ${app.spec.image}`);
        this.later(app, seconds.imagePull, () => {
            if (slot.stopping) return;
            const refused = this.imageRefused(app);
            if (refused === undefined) return this.boot(app, slot);
            this.appLog(app, slot.index, `Failed to pull image: ${refused}`);
            if (this.available(app) === 0) return this.fail(app, "JOB_IMAGE_PULL_BACKOFF", refused);
            if (app.info.message !== refused) this.enter(app, app.state, "JOB_IMAGE_PULL_BACKOFF", refused);
            return this.pull(app, slot);
        });
    }

    private boot(app: StoredApp, slot: Slot): void {
        const running = this.runningOf(app);
        const env = Object.fromEntries(
            ((app.spec.envVars ?? []) as { name: string; value: string }[]).map((v) => [v.name, v.value]),
        );
        const speed = (): number => this.speed;
        const replica = this.options.startReplica({
            command: app.spec.command ?? [],
            env,
            port: 0,
            get speed() {
                return speed();
            },
            log: (line) => this.appLog(app, slot.index, line),
            gpus: gpusOf(app) || 1,
            gpuModel: app.spec.resources?.gpuModel ?? undefined,
            profiles: this.options.profiles,
            hubRefuses: this.incidents.active("hf-401", (fault) => fault.app === app.id) !== undefined,
        });
        slot.replica = replica;
        this.appLog(app, slot.index, `Image ${app.spec.image} is there: the container starts`);
        const slow = this.incidents.active("slow", (fault) => strikes(fault, app, slot));
        if (slow) replica.slow(slow.factor!);
        if (app.spec.probe) this.probe(app, slot, "readiness", app.spec.probe as ProbeSpec);
        else this.readyWhenItListens(app, slot);
        if (app.spec.livenessProbe) this.probe(app, slot, "liveness", app.spec.livenessProbe as ProbeSpec);
        void replica.exited.then(({ code, reason }) => {
            running.slots = running.slots.filter((other) => other !== slot);
            slot.ready = false;
            this.options.changed();
            if (slot.stopping || this.closed) return;
            this.appLog(app, slot.index, `replica ended with exit code ${code}`);
            this.replaceLost(app, slot, reason ?? `the command ended with exit code ${code}`);
        });
    }

    /**
     * A replica was lost. One of a generation that has worked is started again, later each time; a generation that never
     * did is the user's error, and so is a container that goes on crashing while nothing else serves.
     */
    private replaceLost(app: StoredApp, slot: Slot, reason: string): void {
        const running = this.runningOf(app);
        if (slot.generation !== running.generation) return;
        const crashes = slot.crashes + 1;
        const available = this.available(app);
        if (running.provenGeneration !== running.generation || (crashes > maxRestarts && available === 0)) {
            this.fail(app, "APP_FAILED", reason);
            return;
        }
        this.enter(app, available > 0 ? "RUNNING" : "SCALING", "APP_SCALING", reason);
        if (this.current(running).length < app.replicas) this.launch(app, true, crashes);
    }

    private probe(app: StoredApp, slot: Slot, kind: "readiness" | "liveness", given: ProbeSpec): void {
        const spec: Required<typeof probeDefaults & { port: number }> = {
            ...probeDefaults,
            ...{ port: app.spec.defaultHttpPort as number },
            ...withoutNulls(given),
        };
        let failures = 0;
        let successes = 0;
        const look = async (): Promise<void> => {
            if (slot.stopping || this.closed || !this.runningOf(app).slots.includes(slot)) return;
            const { port, containerPort } = slot.replica!;
            const reached = containerPort === spec.port ? port : 0;
            const ok = await answers(reached, spec.path, spec.timeoutSeconds * 1000);
            failures = ok ? 0 : failures + 1;
            successes = ok ? successes + 1 : 0;
            if (slot.stopping) return;
            if (kind === "readiness") {
                if (successes >= spec.successThreshold && !slot.ready) this.becameReady(app, slot);
                else if (failures >= spec.failureThreshold && slot.ready) this.becameUnready(app, slot, spec.path);
            } else if (failures >= spec.failureThreshold) {
                await this.kill(app, slot, spec.path, failures, spec.initialDelaySeconds);
                return;
            }
            const probes = 2 * [...this.running.values()].reduce((sum, { slots }) => sum + slots.length, 0);
            this.laterReal(
                app,
                Math.max(this.realMs(spec.periodSeconds), (1000 * probes) / mostPerRealSecond.probes),
                () => void look(),
            );
        };
        this.later(app, spec.initialDelaySeconds, () => void look());
    }

    private async kill(app: StoredApp, slot: Slot, path: string, failures: number, delay: number): Promise<void> {
        this.appLog(app, slot.index, `liveness probe ${path} failed ${failures} times: the replica is killed`);
        slot.stopping = true;
        slot.ready = false;
        await slot.replica!.stop();
        const hint = slot.wasReady ? "" : `; is initialDelaySeconds (${delay} s) long enough for the model to load?`;
        this.replaceLost(app, slot, `liveness probe ${path} failed ${failures} times${hint}`);
    }

    /** Without a readiness probe a replica gets traffic as soon as it listens. */
    private readyWhenItListens(app: StoredApp, slot: Slot): void {
        if (slot.stopping || this.closed) return;
        if (slot.replica!.port > 0) this.becameReady(app, slot);
        else this.laterReal(app, 50, () => this.readyWhenItListens(app, slot));
    }

    private becameReady(app: StoredApp, slot: Slot): void {
        const running = this.runningOf(app);
        slot.ready = true;
        slot.wasReady = true;
        this.options.changed();
        this.later(app, seconds.forgiven, () => {
            if (slot.ready) slot.crashes = 0;
        });
        if (slot.generation !== running.generation) return;
        running.provenGeneration = running.generation;
        running.lastActive = this.now();
        for (const old of running.slots.filter((other) => other.generation !== running.generation)) {
            this.retire(app, old);
        }
        if (app.state !== "RUNNING") this.enter(app, "RUNNING", "APP_RUNNING", "the app runs");
    }

    private becameUnready(app: StoredApp, slot: Slot, path: string): void {
        slot.ready = false;
        this.appLog(app, slot.index, `readiness probe ${path} fails: the replica gets no more requests`);
        this.options.changed();
    }

    /** Ends a replica: no new requests from now on, those under way have the app's grace period. */
    private retire(app: StoredApp, slot: Slot): void {
        if (slot.stopping) return;
        slot.stopping = true;
        slot.ready = false;
        this.appLog(app, slot.index, "replica is stopped");
        const given = app.spec.deploymentStrategy?.terminationGracePeriodSeconds as number | null | undefined;
        if (slot.replica) {
            void slot.replica.stop(given ?? defaultGraceSeconds);
        } else {
            const running = this.runningOf(app);
            running.slots = running.slots.filter((other) => other !== slot);
        }
        this.options.changed();
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
        this.incidents.clear(app.id);
        if (app.state !== "DELETED") this.enter(app, "DELETING", "APP_STOPPING", "the app is deleted");
        this.later(app, seconds.deleting, () => {
            this.enter(app, "DELETED", "APP_STOPPED", "the app is deleted");
            this.later(app, seconds.deletedReadable, () => {
                void running.gateway?.close();
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

    /** GPUs that replicas hold, those that are being stopped included. */
    private gpusInUse(): number {
        let sum = 0;
        for (const [id, { slots }] of this.running) {
            const app = this.store.state.apps[id];
            if (app) sum += gpusOf(app) * slots.filter(({ waitsFor }) => waitsFor !== "pending").length;
        }
        return sum;
    }

    /** Begins to look at every app's metric, once per period. */
    beginAutoscaling(): void {
        const round = async (): Promise<void> => {
            const apps = Object.values(this.store.state.apps).filter(
                (app) => app.state === "RUNNING" && automatic(app),
            );
            await Promise.all(apps.map((app) => this.autoscale(app)));
            const reads = apps.reduce((sum, app) => sum + this.runningOf(app).slots.length, 0);
            next(Math.max(this.realMs(seconds.autoscalerPeriod), (1000 * reads) / mostPerRealSecond.metricReads));
        };
        const next = (ms: number): void => {
            if (!this.closed) setTimeout(() => void round(), ms).unref();
        };
        next(this.realMs(seconds.autoscalerPeriod));
    }

    private async autoscale(app: StoredApp): Promise<void> {
        const limits = automatic(app)!;
        const { rule, metric } = ruleOf(limits);
        const running = this.runningOf(app);
        const slots = this.current(running);
        const inputs = await Promise.all(slots.map((slot) => this.measure(app, slot, limits)));
        if (this.closed || app.state !== "RUNNING" || app.replicas === 0) return;
        // A container that does not run has nothing to measure; for CPU and RAM neither has one that is not ready.
        const readings = inputs.map(({ ready, value }, i): Reading => ({
            started: limits.customMetrics ? slots[i].replica !== undefined : ready,
            ready,
            value,
        }));
        const now = this.now();
        const active = limits.customMetrics
            ? inputs.some(({ value }) => value !== undefined && value > 0)
            : running.lastCall > running.lastActive;
        if (active) running.lastActive = limits.customMetrics ? now : running.lastCall;
        const outcome = decide(rule, app.replicas, readings, running.recommendations, now, now - running.lastActive);
        const shown = rule.aggregation === "AVERAGE" && !limits.customMetrics ? undefined : rule.aggregation;
        this.record(app, {
            at: new Date().toISOString(),
            times: 1,
            metric,
            aggregation: shown,
            target: rule.targetValue,
            inputs,
            from: app.replicas,
            ...outcome,
        });
        if (outcome.to === app.replicas) return;
        app.replicas = outcome.to;
        if (outcome.to === 0) this.enter(app, "STANDBY", "APP_SCALING", outcome.reason);
        this.reconcile(app);
    }

    /** What the autoscaler reads of one replica. */
    private async measure(app: StoredApp, slot: Slot, limits: AutomaticScaling): Promise<Decision["inputs"][number]> {
        const read = { replica: slot.index, ready: slot.ready };
        const custom = limits.customMetrics;
        if (!custom) {
            if (!slot.ready) return { ...read, missing: "not ready" };
            const { cores, memory } = slot.replica!.usage;
            const { cpu, memory: all } = app.spec.resources as { cpu: number; memory: number };
            return { ...read, value: 100 * (limits.resourceType === "RAM" ? memory / all : cores / cpu) };
        }
        try {
            const url = new URL(custom.apiUrl.replace("<SELF>", "127.0.0.1"));
            const ofReplica = custom.apiUrl.includes("<SELF>");
            if (!ofReplica && url.hostname !== "127.0.0.1") {
                return { ...read, missing: `the sandbox calls nothing but 127.0.0.1, not ${url.hostname}` };
            }
            const { port, containerPort } = slot.replica ?? { port: 0, containerPort: undefined };
            const listens = containerPort === Number(url.port || 80) ? port : 0;
            const text = await fetchText(ofReplica ? listens : Number(url.port || 80), url.pathname + url.search, 1000);
            return { ...read, value: valueAt(text, custom.format ?? "JSON", custom.valueLocation) };
        } catch (error) {
            return { ...read, missing: (error as Error).message };
        }
    }

    /** Keeps a decision, and logs it unless it is the same as the one before. */
    private record(app: StoredApp, decision: Decision): void {
        const { decisions } = this.runningOf(app);
        const last = decisions.at(-1);
        const same = (["from", "to", "recommended", "reason", "metric", "target"] as const).every(
            (field) => last?.[field] === decision[field],
        );
        if (last && same && last.inputs.length === decision.inputs.length) {
            decisions[decisions.length - 1] = { ...decision, times: last.times + 1 };
        } else {
            decisions.push(decision);
            if (decisions.length > maxDecisions) decisions.shift();
            this.options.log(`autoscaler ${app.spec.name}: ${sentence(decision)}`);
        }
        this.options.changed();
    }

    /** A request has reached the gateway. It wakes an app that was scaled to zero. */
    private called(app: StoredApp): void {
        const running = this.runningOf(app);
        running.lastCall = this.now();
        if (app.state !== "STANDBY" || app.wanted !== "running") return;
        this.options.log(`autoscaler ${app.spec.name}: 0 -> 1 replicas (a request came in)`);
        app.replicas = 1;
        this.reconcile(app);
    }

    private isOut(app: StoredApp): boolean {
        return (
            this.incidents.active("region-outage", ({ region }) => (region ?? app.spec.region) === app.spec.region) !==
            undefined
        );
    }

    private faultBegins(fault: FaultStatus): void {
        this.options.log(`fault ${fault.kind} begins${fault.app ? ` in app ${fault.app}` : ""}`);
        for (const app of Object.values(this.store.state.apps)) {
            for (const slot of this.runningOf(app).slots.filter((one) => strikes(fault, app, one))) {
                const { replica } = slot;
                if (fault.kind === "crash") replica?.crash();
                else if (fault.kind === "oom") replica?.outOfMemory();
                else if (fault.kind === "hang") replica?.hang(true);
                else if (fault.kind === "slow") replica?.slow(fault.factor!);
            }
            if (fault.kind === "region-outage" && this.isOut(app)) this.loseAll(app);
        }
        if (fault.kind === "token-revoked") {
            if (fault.token === undefined) this.store.state.tokens = {};
            else delete this.store.state.tokens[fault.token];
            this.store.save();
        }
        this.options.changed();
    }

    private faultEnds(fault: FaultStatus): void {
        this.options.log(`fault ${fault.kind} ends${fault.app ? ` in app ${fault.app}` : ""}`);
        for (const app of Object.values(this.store.state.apps)) {
            for (const slot of this.runningOf(app).slots.filter((one) => strikes(fault, app, one))) {
                if (fault.kind === "hang") slot.replica?.hang(false);
                else if (fault.kind === "slow") slot.replica?.slow(1);
            }
        }
        this.options.changed();
    }

    /** The region is gone: its replicas are lost, and others wait until it is back. */
    private loseAll(app: StoredApp): void {
        const running = this.runningOf(app);
        running.gateway?.drop();
        const lost = running.slots.filter(({ replica, stopping }) => replica && !stopping);
        for (const slot of lost) {
            slot.stopping = true;
            slot.ready = false;
            void slot.replica!.stop();
        }
        if (lost.length === 0 || app.wanted !== "running") return;
        this.enter(app, "SCALING", "APP_SCALING", `region ${app.spec.region} is out of order`);
        this.reconcile(app, true);
    }

    /** What the console and the CLI show of an app. */
    status(app: StoredApp): Omit<AppStatus, "id" | "name" | "model" | "url"> {
        const { slots, decisions, gateway } = this.runningOf(app);
        return {
            region: String(app.spec.region),
            state: app.state,
            message: app.info.message,
            availableReplicas: this.available(app),
            replicas: slots.map(replicaStatus),
            scaling: scalingStatus(app, decisions.at(-1)),
            decisions,
            gateway: gateway?.status() ?? { balancing: this.balancing, ...noTraffic },
        };
    }

    /** Ends every replica and gateway; the state stays. */
    async close(): Promise<void> {
        this.closed = true;
        this.incidents.close();
        const ends: Promise<unknown>[] = [];
        for (const running of this.running.values()) {
            for (const timer of running.timers) clearTimeout(timer);
            for (const slot of running.slots) {
                slot.stopping = true;
                ends.push(slot.replica?.stop() ?? Promise.resolve());
            }
            if (running.gateway) ends.push(running.gateway.close());
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
        this.options.changed();
    }

    private appLog(app: StoredApp, replica: number, content: string): void {
        app.logs.push({ timestamp: new Date().toISOString(), content, replica });
        if (app.logs.length > maxLogLines) app.logs.splice(0, app.logs.length - maxLogLines);
    }

    private runningOf(app: StoredApp): Running {
        let running = this.running.get(app.id);
        if (!running) {
            running = {
                slots: [],
                generation: 0,
                provenGeneration: -1,
                nextIndex: 0,
                recommendations: [],
                decisions: [],
                lastActive: this.now(),
                lastCall: this.now(),
                timers: new Set(),
            };
            this.running.set(app.id, running);
        }
        return running;
    }

    /** Platform time in seconds. */
    private now(): number {
        const { real, platform, speed } = this.clock;
        return platform + ((performance.now() - real) / 1000) * speed;
    }

    private realMs(platformSeconds: number): number {
        return (platformSeconds * 1000) / this.speed;
    }

    private later(app: StoredApp, platformSeconds: number, work: () => void): void {
        this.laterReal(app, this.realMs(platformSeconds), work);
    }

    private laterReal(app: StoredApp, ms: number, work: () => void): void {
        if (this.closed) return;
        const { timers } = this.runningOf(app);
        const timer = setTimeout(() => {
            timers.delete(timer);
            if (!this.closed) work();
        }, ms);
        timers.add(timer);
    }
}

interface ProbeSpec {
    path?: string | null;
    port?: number | null;
    initialDelaySeconds?: number | null;
    periodSeconds?: number | null;
    timeoutSeconds?: number | null;
    failureThreshold?: number | null;
    successThreshold?: number | null;
}

interface AutomaticScaling {
    replicasMin: number;
    replicasMax: number;
    scaleUpStabilizationWindowSeconds: number;
    scaleDownStabilizationWindowSeconds: number;
    cooldownPeriodSeconds: number;
    resourceType: "CPU" | "RAM";
    /** Percent. */
    averageUsageTarget: number;
    customMetrics?: {
        apiUrl: string;
        format?: MetricFormat | null;
        valueLocation: string;
        targetValue: number;
        aggregationType?: Aggregation | null;
    } | null;
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
        cooldownPeriodSeconds: seconds.cooldown,
        // The control panel's defaults of a strategy without a custom metric.
        resourceType: "CPU" as const,
        averageUsageTarget: 75,
    };
    return { ...defaults, ...withoutNulls(given) };
}

function ruleOf(limits: AutomaticScaling): { rule: ScalingRule; metric: string } {
    const custom = limits.customMetrics;
    const rule: ScalingRule = {
        ...limits,
        targetValue: custom?.targetValue ?? limits.averageUsageTarget,
        aggregation: custom ? (custom.aggregationType ?? "AVERAGE") : "AVERAGE",
    };
    return { rule, metric: custom?.valueLocation ?? limits.resourceType };
}

function scalingStatus(app: StoredApp, last: Decision | undefined): ScalingStatus {
    const limits = automatic(app);
    if (!limits) return { mode: "fixed", min: app.replicas, max: app.replicas, wanted: app.replicas };
    const { rule, metric } = ruleOf(limits);
    return {
        mode: limits.customMetrics ? "metric" : "resource",
        min: limits.replicasMin,
        max: limits.replicasMax,
        wanted: app.replicas,
        metric,
        aggregation: limits.customMetrics ? rule.aggregation : undefined,
        target: rule.targetValue,
        current: last?.value,
    };
}

function replicaStatus(slot: Slot): ReplicaStatus {
    const { index, ready, startedAt, replica, requests } = slot;
    const load = replica?.load ?? { running: 0, waiting: 0, kvUsage: 0 };
    const phase = replica?.phase ?? slot.waitsFor;
    return {
        index,
        phase: slot.stopping && phase !== "ended" ? "draining" : phase,
        ready,
        startedAt,
        port: replica?.port ?? 0,
        ...load,
        requests,
    };
}

/** A decision with its inputs, as one line of the log. */
function sentence({ from, to, metric, aggregation, target, value, recommended, inputs, reason }: Decision): string {
    const round = (number: number): string => String(Number(number.toFixed(2)));
    const read = inputs.map(({ replica, value: one, missing }) =>
        one === undefined ? `#${replica}: ${missing}` : `#${replica}: ${round(one)}`,
    );
    const figures = `${metric}${aggregation ? ` ${aggregation}` : ""} ${value === undefined ? "unknown" : round(value)}`;
    const asked = recommended === undefined ? "" : `, asks for ${recommended}`;
    return `${from} -> ${to} replicas: ${reason} (${figures} of [${read.join(", ")}], target ${round(target)}${asked})`;
}

/** Whether a fault of an app is one of this replica. */
function strikes(fault: FaultStatus, app: StoredApp, slot: Slot): boolean {
    return fault.app === app.id && (fault.replica === undefined || fault.replica === slot.index) && !slot.stopping;
}

function gpusOf(app: StoredApp): number {
    return (app.spec.resources?.gpu as number | undefined) ?? 0;
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

/**
 * The body of a 2xx or 3xx answer; anything else rejects. The replica shares this thread: when a burst of requests has kept
 * it busy for longer than the time-out, it gets some turns more, or a liveness probe would kill it for our own slowness.
 */
function fetchText(port: number, path: string, timeoutMs: number): Promise<string> {
    return new Promise((resolve, reject) => {
        if (port === 0) {
            reject(new Error("does not listen"));
            return;
        }
        const call = get({ host: "127.0.0.1", port, path, agent: false }, (answer: IncomingMessage) => {
            let text = "";
            answer.setEncoding("utf8").on("data", (part: string) => (text += part));
            answer.on("end", () =>
                (answer.statusCode ?? 500) < 400 ? resolve(text) : reject(new Error(`status ${answer.statusCode}`)),
            );
        });
        const wait = (turns: number): void => {
            if (turns > 0) setImmediate(() => wait(turns - 1));
            else call.destroy(new Error(`no answer within ${timeoutMs / 1000} s`));
        };
        const timer = setTimeout(() => wait(20), timeoutMs);
        call.on("close", () => clearTimeout(timer));
        call.on("error", reject);
    });
}
