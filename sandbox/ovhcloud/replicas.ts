import type { OwnProfile } from "../vllm/profile-file";
import type { Replica, ReplicaOptions } from "../vllm/replica";
import { readSetMetric } from "../vllm/set-metrics";
import type { Clock, Timers } from "./clock";
import type { Incidents } from "./incidents";
import { completeProbe, probe } from "./probe";
import { Slot } from "./slot";
import type { FaultStatus } from "./status";
import { appendLog, type StoredApp } from "./store";

/** How long the process of a replica may take to end, in real seconds, as requests take their real time (API documentation). */
const defaultGraceSeconds = 30;

/** Platform seconds. Guesses where no source is named: OVHcloud publishes none. */
const seconds = {
    imagePull: 60,
    /** Between two tries to find a GPU for a replica. */
    retry: 10,
    /** After the first crash of a container, twice that after each further one, up to the longest (Kubernetes). */
    backOff: 10,
    longestBackOff: 300,
    /** A container that has run for so long is forgiven its crashes (Kubernetes). */
    forgiven: 600,
    /** Until the gateway knows that a replica goes: Kubernetes tells its proxies and the replica at the same time. */
    routing: 2,
};

/** Starts what stands for a container. */
export type StartReplica = (options: ReplicaOptions) => Replica;

/** What the replicas of all apps share. */
export interface Machines {
    clock: Clock;
    incidents: Incidents;
    startReplica: StartReplica;
    profiles?: OwnProfile[];
    /** GPUs that the project may use, and those that its replicas hold. */
    gpus: () => { quota: number; inUse: number };
    /** Replicas of all apps. */
    count: () => number;
    /** Something that `status` shows has changed. */
    changed: () => void;
}

/** What the app is told of its replicas. */
export interface ReplicaHooks {
    /** One has to wait, for want of a GPU or of its region. */
    waits(reason: string): void;
    /** An image could not be pulled; whether it is to be tried again. */
    pullFailed(reason: string): boolean;
    /** One has begun to serve. */
    ready(slot: Slot): void;
    /** One is gone. */
    ended(): void;
    /** One has ended that was not to; `reason` is for the user. */
    lost(slot: Slot, reason: string): void;
}

/** Replicas above and below the wanted number during a roll-out: shares of it are rounded up and down, and not both are 0 (Kubernetes). */
function rolling({ spec }: StoredApp, count: number): { surge: number; unavailable: number } {
    const { maxSurge, maxUnavailable } = (spec.deploymentStrategy ?? {}) as Record<string, string | number | null>;
    const of = (value: string | number | null | undefined, round: (share: number) => number): number => {
        const text = String(value ?? "25%");
        return text.endsWith("%") ? round((Number.parseFloat(text) / 100) * count) : Number(text);
    };
    const [surge, unavailable] = [of(maxSurge, Math.ceil), of(maxUnavailable, Math.floor)];
    return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

/** The replicas of one app: begins, probes and ends them. */
export class Replicas {
    /** In the order of their start; those that are being stopped, too. */
    slots: Slot[] = [];
    /** Goes up with each change of what runs; older ones serve until a newer one is ready. */
    generation = 0;
    nextIndex = 0;

    constructor(
        private readonly app: StoredApp,
        private readonly machines: Machines,
        private readonly timers: Timers,
        private readonly hooks: ReplicaHooks,
    ) {}

    /** Those of the current generation that are to stay. */
    get current(): Slot[] {
        return this.slots.filter(({ generation, stopping }) => generation === this.generation && !stopping);
    }

    /** Whether there are so many, all of which have served, and no others. */
    isComplete(count: number): boolean {
        const { current, slots } = this;
        return current.length === count && slots.length === count && current.every(({ wasReady }) => wasReady);
    }

    /** Those that are ready, and to stay. */
    get serving(): Slot[] {
        return this.slots.filter(({ serves }) => serves);
    }

    /** Those that the gateway sends requests to. */
    get routed(): Slot[] {
        return this.slots.filter(({ isRouted }) => isRouted);
    }

    /** GPUs that they hold, those that are being stopped included. */
    get gpusInUse(): number {
        return gpusOf(this.app) * this.slots.filter(({ waitsFor }) => waitsFor !== "pending").length;
    }

    /** Whether the app's region is out of order. */
    get regionIsOut(): boolean {
        const { region: own } = this.app.spec;
        return this.machines.incidents.active("region-outage", ({ region }) => (region ?? own) === own) !== undefined;
    }

    /** Why the app's image cannot be pulled. */
    get imageRefused(): string | undefined {
        const { image } = this.app.spec;
        if (!/(^|\/)vllm\/vllm-openai:v?\d/.test(String(image))) {
            return `image ${image} cannot be pulled (the sandbox simulates vllm/vllm-openai:* only)`;
        }
        return this.fault("image-pull")
            ? `image ${image} cannot be pulled: the registry does not answer (a fault was asked for)`
            : undefined;
    }

    /** Those of older generations that are to stay for now. */
    private get old(): Slot[] {
        return this.slots.filter(({ generation, stopping }) => generation !== this.generation && !stopping);
    }

    /**
     * Brings the number of the current generation to this. `pulled`: the image is there already. Older ones are replaced as
     * Kubernetes' Deployment does it: at most `maxSurge` more than the number, those that end left out, and all but
     * `maxUnavailable` of it serve.
     */
    scaleTo(count: number, pulled: boolean): void {
        const { surge, unavailable } = rolling(this.app, count);
        this.retireOld(count - unavailable);
        const { current } = this;
        const room = Math.min(count, count + surge - this.old.length);
        for (let n = current.length; n < room; n++) this.launch(pulled);
        // Those that have got the least far go first, among equals the youngest (Kubernetes' ReplicaSet).
        const spare = [...current].sort((a, b) => Number(b.ready) - Number(a.ready) || a.index - b.index);
        for (const slot of spare.slice(count)) this.retire(slot);
    }

    /** Ends older ones, those first that do not serve, while at least so many serve. */
    private retireOld(least: number): void {
        const { current, old } = this;
        const spare = old.length + current.filter(({ ready }) => ready).length - least;
        const inOrder = [...old].sort((a, b) => Number(a.ready) - Number(b.ready) || a.index - b.index);
        for (const slot of inOrder.slice(0, Math.max(0, spare))) this.retire(slot);
    }

    launch(pulled: boolean, crashes = 0): void {
        const { app } = this;
        const slot = new Slot(this.nextIndex++, this.generation, crashes, () => app.spec.defaultHttpPort as number);
        this.slots.push(slot);
        this.machines.changed();
        const backOff = crashes === 0 ? 0 : Math.min(seconds.longestBackOff, seconds.backOff * 2 ** (crashes - 1));
        if (backOff === 0) this.admit(slot, pulled);
        else this.timers.after(backOff, () => this.admit(slot, pulled));
    }

    /** Lets a replica begin once there is a GPU for it. */
    private admit(slot: Slot, pulled: boolean): void {
        if (slot.stopping) return;
        const reason = this.noRoom();
        if (reason !== undefined) {
            if (this.app.info.message !== reason) {
                this.log(slot.index, `replica waits: ${reason}`);
                this.hooks.waits(reason);
            }
            this.timers.after(seconds.retry, () => this.admit(slot, pulled));
            return;
        }
        slot.waitsFor = "pulling";
        if (pulled) this.boot(slot);
        else this.pull(slot);
    }

    /** Why no replica can begin now. */
    private noRoom(): string | undefined {
        if (this.regionIsOut) return `region ${this.app.spec.region} is out of order`;
        const gpus = gpusOf(this.app);
        const { quota, inUse } = this.machines.gpus();
        if (inUse + gpus <= quota) return undefined;
        return `no GPU is left: ${inUse} of ${quota} in use, ${gpus} more needed`;
    }

    private pull(slot: Slot): void {
        const { app } = this;
        this.log(slot.index, `Pulling image ${app.spec.image}`);
        this.timers.after(seconds.imagePull, () => {
            if (slot.stopping) return;
            const refused = this.imageRefused;
            if (refused === undefined) return this.boot(slot);
            this.log(slot.index, `Failed to pull image: ${refused}`);
            if (this.hooks.pullFailed(refused)) this.pull(slot);
        });
    }

    /** Pulls the image for the app as a whole, before it has any replica. */
    pullFirst(then: () => void): void {
        this.log(this.nextIndex, `Pulling image ${this.app.spec.image}`);
        this.timers.after(seconds.imagePull, then);
    }

    private boot(slot: Slot): void {
        const { app, machines, timers } = this;
        const { clock } = machines;
        const { probe: readiness, livenessProbe: liveness, envVars, resources, command } = app.spec;
        const httpPort = app.spec.defaultHttpPort as number;
        const replica = machines.startReplica({
            command: command ?? [],
            env: Object.fromEntries(
                ((envVars ?? []) as { name: string; value: string }[]).map(({ name, value }) => [name, value]),
            ),
            port: 0,
            get speed() {
                return clock.speed;
            },
            log: (line) => this.log(slot.index, line),
            gpus: gpusOf(app) || 1,
            gpuModel: resources?.gpuModel ?? undefined,
            profiles: machines.profiles,
            minor: releaseOf(app),
            hubRefuses: this.fault("hf-401") !== undefined,
            folders: this.folders(),
        });
        slot.replica = replica;
        this.log(slot.index, `Image ${app.spec.image} is there: the container starts`);
        this.impair(slot);
        const probing = { clock, timers, probes: () => 2 * machines.count() };
        if (readiness) {
            const spec = completeProbe(readiness as object, httpPort);
            const looked = (failures: number, successes: number): void => {
                if (successes >= spec.successThreshold && !slot.ready) this.becameReady(slot);
                else if (failures >= spec.failureThreshold && slot.ready) this.becameUnready(slot, spec.path);
            };
            probe(slot, spec, { ...probing, looked });
        } else {
            this.readyWhenItListens(slot);
        }
        if (liveness) {
            const spec = completeProbe(liveness as object, httpPort);
            const looked = (failures: number): void => {
                if (failures < spec.failureThreshold) return;
                void this.kill(slot, `liveness probe ${spec.path} failed ${failures} times`, spec.initialDelaySeconds);
            };
            probe(slot, spec, { ...probing, looked });
        }
        void replica.exited.then(({ code, reason }) => {
            this.remove(slot);
            this.log(slot.index, `replica ended with exit code ${code}`);
            if (slot.stopping) return;
            this.hooks.lost(slot, reason ?? `the command ended with exit code ${code}`);
        });
    }

    /** The app's folders of object storage. Once a replica has served, the platform has those that it is to cache. */
    private folders(): { path: string; isCached: boolean }[] {
        const volumes = (this.app.spec.volumes ?? []) as Record<string, any>[];
        return volumes
            .filter(({ volumeSource, dataStore }) => volumeSource?.dataStore ?? dataStore)
            .map(({ mountPath, cache }) => ({
                path: String(mountPath),
                isCached: cache === true && this.slots.some(({ wasReady }) => wasReady),
            }));
    }

    /** A fault of the app that acts now. */
    private fault(kind: FaultStatus["kind"]): FaultStatus | undefined {
        return this.machines.incidents.active(kind, (fault) => fault.app === this.app.id);
    }

    private async kill(slot: Slot, what: string, delaySeconds: number): Promise<void> {
        this.log(slot.index, `${what}: the replica is killed`);
        slot.stopping = true;
        slot.ready = false;
        await slot.replica!.stop();
        const hint = slot.wasReady
            ? ""
            : `; is initialDelaySeconds (${delaySeconds} s) long enough for the model to load?`;
        this.hooks.lost(slot, what + hint);
    }

    /** Without a readiness probe a replica gets traffic as soon as it listens. */
    private readyWhenItListens(slot: Slot): void {
        if (slot.stopping || slot.ended) return;
        if (slot.replica!.port > 0) this.becameReady(slot);
        else this.timers.afterReal(50, () => this.readyWhenItListens(slot));
    }

    private becameReady(slot: Slot): void {
        slot.ready = true;
        slot.wasReady = true;
        this.machines.changed();
        this.timers.after(seconds.forgiven, () => {
            if (slot.ready) slot.crashes = 0;
        });
        if (slot.generation !== this.generation) return;
        this.hooks.ready(slot);
    }

    private becameUnready(slot: Slot, path: string): void {
        slot.ready = false;
        this.log(slot.index, `readiness probe ${path} fails: the replica gets no more requests`);
        this.machines.changed();
    }

    /**
     * Ends a replica: no new requests, as soon as the gateway knows. What becomes of those that it has is its command's; the
     * app's grace period bounds it.
     */
    private retire(slot: Slot): void {
        if (slot.stopping) return;
        slot.stopping = true;
        slot.isStillRouted = slot.ready;
        this.timers.after(seconds.routing, () => (slot.isStillRouted = false));
        slot.ready = false;
        this.log(slot.index, "replica is stopped");
        const given = this.app.spec.deploymentStrategy?.terminationGracePeriodSeconds as number | null | undefined;
        if (slot.replica) void slot.replica.stop(given ?? defaultGraceSeconds);
        else this.remove(slot);
        this.machines.changed();
    }

    private remove(slot: Slot): void {
        this.slots = this.slots.filter((other) => other !== slot);
        slot.ready = false;
        slot.ended = true;
        this.machines.changed();
        this.hooks.ended();
    }

    /** Ends all of them; nothing that is under way begins another. */
    retireAll(): void {
        this.generation++;
        for (const slot of this.slots) this.retire(slot);
    }

    /** All that run are gone at once. Answers whether there were any. */
    loseAll(): boolean {
        const lost = this.slots.filter(({ replica, stopping }) => replica && !stopping);
        for (const slot of lost) {
            slot.stopping = true;
            slot.ready = false;
            void slot.replica!.stop();
        }
        return lost.length > 0;
    }

    /** A fault of the app begins, or ends. */
    faultChanged(fault: FaultStatus): void {
        for (const slot of this.slots.filter((one) => one.concerns(fault))) {
            if (fault.kind === "crash") slot.replica?.crash();
            else if (fault.kind === "oom") slot.replica?.outOfMemory();
            else this.impair(slot);
        }
    }

    /** Tells a replica of all the faults that act on it now. */
    private impair(slot: Slot): void {
        const faults = this.machines.incidents
            .list()
            .filter((fault) => fault.state === "active" && fault.app === this.app.id && slot.concerns(fault));
        const of = (kind: FaultStatus["kind"]): FaultStatus[] => faults.filter((fault) => fault.kind === kind);
        slot.replica?.impair({
            slowness: Math.max(1, ...of("slow").map(({ factor }) => factor!)),
            hanging: of("hang").length > 0,
            stalled: of("stall").length > 0,
            errors: of("errors").map(({ rate, status }) => ({ rate: rate!, status: status! })),
            metrics: of("metrics").flatMap(({ metrics }) => metrics!.map(readSetMetric)),
        });
    }

    /** Ends them at once, for good. */
    async close(): Promise<void> {
        for (const slot of this.slots) slot.stopping = true;
        await Promise.all(this.slots.flatMap(({ replica }) => (replica ? [replica.stop()] : [])));
    }

    private log(replica: number, line: string): void {
        appendLog(this.app, replica, line);
    }
}

/** GPUs of one replica. */
export function gpusOf(app: StoredApp): number {
    return (app.spec.resources?.gpu as number | undefined) ?? 0;
}

/** The release of the app's image: the 13 of 0.13.0. Undefined for a tag that names none. */
function releaseOf({ spec }: StoredApp): number | undefined {
    const minor = /:v?0\.(\d+)/.exec(String(spec.image))?.[1];
    return minor === undefined ? undefined : Number(minor);
}
