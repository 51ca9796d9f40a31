import { Timers } from "./clock";
import { endSync, openSyncs, syncSeconds, type DataSync } from "./data-sync";
import { openGateway, type Gateway } from "./gateway";
import { Replicas, type Machines, type ReplicaHooks } from "./replicas";
import { Scaling } from "./scaling";
import type { Slot } from "./slot";
import type { AppStatus, Balancing, FaultStatus, SleepBehaviour } from "./status";
import type { Store, StoredApp } from "./store";

/** Platform seconds. Guesses: OVHcloud publishes none. */
const seconds = {
    queued: 5,
    stopping: 10,
    deleting: 5,
    /** How long a deleted app can still be read. */
    deletedReadable: 60,
};

/** Crashes in a row after which an app fails of which nothing else serves. */
const maxRestarts = 3;

/** States that are remembered. */
const maxHistory = 200;

/** Of a gateway that is not open. */
const noTraffic = { open: 0, answers: {}, served: { requests: 0, firstSeconds: 0, seconds: 0 } };

/** What all apps share. */
export interface Surroundings extends Machines {
    store: Store;
    balancing: () => Balancing;
    sleep: SleepBehaviour;
    log: (line: string) => void;
}

/** One app as it runs: takes it through its states, behind its gateway, with as many replicas as its scaling wants. */
export class AppRun {
    readonly replicas: Replicas;
    readonly scaling: Scaling;
    private readonly timers: Timers;
    private gateway?: Gateway;
    /** The newest generation of which a replica has been ready. */
    private provenGeneration = -1;
    private isLooking = false;
    /** It slept, and no replica has been ready since. */
    private waking = false;
    private closed = false;

    constructor(
        readonly app: StoredApp,
        private readonly surroundings: Surroundings,
    ) {
        this.timers = new Timers(surroundings.clock);
        this.replicas = new Replicas(app, surroundings, this.timers, this.hooks());
        const { clock, sleep, log, changed } = surroundings;
        this.scaling = new Scaling({ app, clock, sleep, log, changed });
    }

    private hooks(): ReplicaHooks {
        return {
            waits: (reason) => this.enter("SCALING", "APP_SCALING", reason),
            pullFailed: (reason) => {
                const goesOn = this.available > 0;
                if (goesOn) this.enter("SCALING", "JOB_IMAGE_PULL_BACKOFF", reason);
                else this.fail("JOB_IMAGE_PULL_BACKOFF", reason);
                return goesOn;
            },
            ready: ({ generation }) => {
                this.provenGeneration = generation;
                this.waking = false;
                this.scaling.served();
                // Of a roll-out this is the next step.
                this.reconcile(true);
            },
            ended: () => this.settle(),
            lost: (slot, reason) => this.replaceLost(slot, reason),
        };
    }

    /** Replicas that are ready for traffic. */
    get available(): number {
        return this.replicas.serving.length;
    }

    private get hasFailed(): boolean {
        return this.app.state === "FAILED" || this.app.state === "ERROR";
    }

    /** Continues as the state says, after a restart of the sandbox. */
    async resume(): Promise<void> {
        for (const sync of openSyncs(this.app)) this.synchronize(sync);
        if (this.app.wanted === "stopped") this.stop();
        else if (this.app.state === "STANDBY") await this.open();
        else if (!this.hasFailed) await this.start();
        if (this.hasFailed) await this.open();
    }

    /** Ends a synchronization that is queued, in its time. */
    synchronize(sync: DataSync): void {
        this.timers.after(syncSeconds, () => {
            endSync(sync, this.app);
            this.app.updatedAt = sync.updatedAt as string;
            this.surroundings.store.save();
        });
    }

    /** Opens the app's address. It answers 503 until a replica is ready. */
    private async open(): Promise<void> {
        if (this.gateway) return;
        const { app, replicas, surroundings } = this;
        const { store, balancing, log } = surroundings;
        this.gateway = await openGateway({
            app,
            certificates: store.state.certificates!,
            tokens: () => Object.values(store.state.tokens),
            backends: () => replicas.routed,
            balancing,
            outage: () => replicas.regionIsOut,
            called: () => this.called(),
            held: () => (this.surroundings.sleep.wakingRequest === "held" && this.isWaking ? this.served() : undefined),
            log,
        });
    }

    /** Queues the app and brings its replicas up. */
    async start(): Promise<void> {
        await this.open();
        this.app.wanted = "running";
        const { replicas } = this;
        const generation = ++replicas.generation;
        this.enter("QUEUED", "APP_QUEUED", "the app waits for resources");
        this.timers.after(seconds.queued, () => {
            if (replicas.generation !== generation) return;
            this.enter("INITIALIZING", "APP_INITIALIZING", `pulling image ${this.app.spec.image}`);
            replicas.pullFirst(() => {
                if (replicas.generation === generation) this.roll();
            });
        });
    }

    /** Replaces what runs by what the spec says now: new replicas first, the old ones serve until one is ready. */
    restart(): void {
        this.replicas.generation++;
        // Nothing runs that could be replaced: what wakes it next is new.
        if (this.app.state !== "STANDBY") this.roll();
    }

    private roll(): void {
        const refused = this.replicas.imageRefused;
        if (refused) return this.fail("JOB_IMAGE_PULL_BACKOFF", refused);
        this.enter("SCALING", "APP_SCALING", "starting replicas");
        this.reconcile(true);
        return undefined;
    }

    /** Brings the number of replicas to what is wanted. `pulled`: the image is there already. */
    reconcile(pulled = false): void {
        const { app } = this;
        if (this.closed || app.wanted !== "running" || this.hasFailed) return;
        app.replicas = this.scaling.limited();
        if (app.state === "STANDBY" && app.replicas > 0) this.enter("SCALING", "APP_SCALING", "starting replicas");
        this.replicas.scaleTo(app.replicas, pulled);
        this.settle();
        this.surroundings.store.save();
    }

    /** RUNNING with as many replicas as are wanted; SCALING while some come or go, whatever those there are go on serving. */
    private settle(): void {
        const { app, replicas } = this;
        if (app.wanted !== "running") return;
        if (replicas.isComplete(app.replicas)) {
            if (app.state === "SCALING") this.enter("RUNNING", "APP_RUNNING", "the app runs");
        } else if (app.state === "RUNNING") {
            this.enter("SCALING", "APP_SCALING", `${app.replicas} replicas are wanted, ${this.available} serve`);
        }
    }

    /**
     * A replica was lost. One of a generation that has worked is started again, later each time; a generation that never
     * did is the user's error, and so is a container that goes on crashing while nothing else serves.
     */
    private replaceLost(slot: Slot, reason: string): void {
        const { app, replicas, available } = this;
        if (this.closed || slot.generation !== replicas.generation) return;
        const crashes = slot.crashes + 1;
        if (this.provenGeneration !== replicas.generation || (crashes > maxRestarts && available === 0)) {
            this.fail("APP_FAILED", reason);
            return;
        }
        this.enter("SCALING", "APP_SCALING", reason);
        if (replicas.current.length < app.replicas) replicas.launch(true, crashes);
    }

    stop(): void {
        const { app } = this;
        app.wanted = "stopped";
        this.replicas.retireAll();
        if (app.state === "STOPPED" || this.hasFailed) return;
        this.enter("STOPPING", "APP_STOPPING", "the app is stopped by its user");
        const stopped = (): void => {
            if (app.wanted !== "stopped") return;
            if (this.replicas.slots.length > 0) this.timers.after(1, stopped);
            else this.enter("STOPPED", "APP_STOPPED", "the app is stopped");
        };
        this.timers.after(seconds.stopping, stopped);
    }

    /** @param gone called when it cannot even be read any more */
    delete(gone: () => void): void {
        const { app } = this;
        app.wanted = "deleted";
        this.replicas.retireAll();
        if (app.state !== "DELETED") this.enter("DELETING", "APP_STOPPING", "the app is deleted");
        this.timers.after(seconds.deleting, () => {
            this.enter("DELETED", "APP_STOPPED", "the app is deleted");
            this.timers.after(seconds.deletedReadable, () => {
                void this.gateway?.close();
                gone();
            });
        });
    }

    private fail(code: string, message: string): void {
        this.enter("FAILED", code, message);
        this.replicas.retireAll();
    }

    /** Whether the autoscaler has something to look at. */
    get isScaled(): boolean {
        const { state, replicas } = this.app;
        if (!["RUNNING", "SCALING"].includes(state) || replicas === 0) return false;
        return this.scaling.isAutomatic && this.replicas.current.some(({ serves }) => serves);
    }

    /** Looks at the app's metric and has as many replicas as it asks for; not while an earlier look still waits. */
    async autoscale(): Promise<void> {
        if (this.isLooking) return;
        const { app } = this;
        const { scalingStrategy } = app.spec;
        this.isLooking = true;
        const inputs = await this.scaling.read(this.replicas.current);
        this.isLooking = false;
        if (this.closed || !this.isScaled || app.spec.scalingStrategy !== scalingStrategy) return;
        const { to, reason } = this.scaling.decide(inputs);
        if (to === app.replicas) return;
        app.replicas = to;
        if (to === 0) this.enter("STANDBY", "APP_SCALING", reason);
        this.reconcile();
    }

    private get isWaking(): boolean {
        return this.waking && this.app.wanted === "running" && !this.hasFailed;
    }

    /** Resolves when a replica serves, or none is on its way any more. */
    private async served(): Promise<void> {
        while (this.isWaking && this.available === 0 && !this.closed) await this.timers.pause(1);
    }

    /** A request has reached the gateway. It wakes an app that was scaled to zero. */
    private called(): void {
        const { app } = this;
        this.scaling.called();
        if (app.state !== "STANDBY" || app.wanted !== "running") return;
        this.surroundings.log(`autoscaler ${app.spec.name}: 0 -> 1 replicas (a request came in)`);
        app.replicas = 1;
        this.waking = true;
        this.reconcile();
    }

    faultBegins(fault: FaultStatus): void {
        if (fault.app === this.app.id) this.replicas.faultChanged(fault);
        if (fault.kind === "region-outage" && this.replicas.regionIsOut) this.loseRegion();
    }

    faultEnds(fault: FaultStatus): void {
        if (fault.app === this.app.id) this.replicas.faultChanged(fault);
    }

    /** The region is gone: its replicas are lost, and others wait until it is back. */
    private loseRegion(): void {
        this.gateway?.drop();
        if (!this.replicas.loseAll() || this.app.wanted !== "running") return;
        this.enter("SCALING", "APP_SCALING", `region ${this.app.spec.region} is out of order`);
        this.reconcile(true);
    }

    /** What the console and the CLI show of an app. */
    status(): Omit<AppStatus, "id" | "name" | "model" | "url"> {
        const { app, replicas, scaling, gateway } = this;
        return {
            region: String(app.spec.region),
            state: app.state,
            message: app.info.message,
            availableReplicas: this.available,
            replicas: replicas.slots.map((slot) => slot.status()),
            scaling: scaling.status(),
            decisions: scaling.decisions,
            gateway: gateway?.status() ?? { balancing: this.surroundings.balancing(), ...noTraffic },
        };
    }

    /** Ends its replicas and its gateway; the state stays. */
    async close(): Promise<void> {
        this.closed = true;
        this.timers.close();
        await Promise.all([this.replicas.close(), this.gateway?.close()]);
    }

    private enter(state: string, code: string, message: string): void {
        const { app, surroundings } = this;
        if (this.closed || (app.state === state && app.info.message === message)) return;
        const date = new Date().toISOString();
        if (app.state !== state) {
            app.history.push({ date, state });
            if (app.history.length > maxHistory) app.history.shift();
            surroundings.log(`app ${app.spec.name} ${app.id}: ${state}`);
        }
        app.state = state;
        app.info = { code, message };
        app.updatedAt = date;
        surroundings.store.save();
        surroundings.changed();
    }
}
