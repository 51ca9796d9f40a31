import type { OwnProfile } from "../vllm/profile-file";
import { AppRun } from "./app-run";
import { gpuQuota } from "./capabilities";
import { Clock } from "./clock";
import { appFaultKinds, Incidents, realFaultKinds, type Targets } from "./incidents";
import type { StartReplica } from "./replicas";
import { autoscalerPeriod } from "./scaling";
import type { Balancing, FaultStatus, SleepBehaviour } from "./status";
import type { Store, StoredApp } from "./store";

export interface PlatformOptions {
    store: Store;
    /** Platform seconds per real second. */
    speed: number;
    startReplica: StartReplica;
    /** Path of the vLLM that replicas are processes of; default: they are simulated. */
    realEngine?: string;
    /** GPUs that the project may use; default: `gpuQuota`. */
    gpuQuota?: number;
    /** Default `random`. */
    balancing?: Balancing;
    profiles?: OwnProfile[];
    log: (line: string) => void;
    /** Something that `status` shows has changed. */
    changed: () => void;
}

/** With many replicas, metrics are read later rather than at the cost of all of this machine. */
const mostMetricReads = 100; // per real second

/** The simulated AI Deploy: runs the apps, shares the GPUs among them, has their metrics looked at, and goes wrong on demand. */
export class Platform {
    readonly incidents: Incidents;
    balancing: Balancing;
    /** What the platform is taken to do with apps that scale to zero. */
    readonly sleep: SleepBehaviour = { wakingRequest: "refused", keptAwakeBy: "metric" };
    private readonly clock: Clock;
    private readonly runs = new Map<string, AppRun>();
    private closed = false;

    constructor(private readonly options: PlatformOptions) {
        this.clock = new Clock(options.speed);
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
        this.clock.speed = speed;
        this.options.changed();
    }

    /** GPUs that the project may use. */
    get gpuQuota(): number {
        return this.incidents.active("quota") ? 0 : (this.options.gpuQuota ?? gpuQuota);
    }

    /** The app as it runs. */
    run(app: StoredApp): AppRun {
        const known = this.runs.get(app.id);
        if (known) return known;
        const { store, startReplica, profiles, log, changed } = this.options;
        const run = new AppRun(app, {
            store,
            clock: this.clock,
            incidents: this.incidents,
            startReplica,
            profiles,
            gpus: () => ({ quota: this.gpuQuota, inUse: this.sum(({ replicas }) => replicas.gpusInUse) }),
            count: () => this.sum(({ replicas }) => replicas.slots.length),
            balancing: () => this.balancing,
            sleep: this.sleep,
            log,
            changed,
        });
        this.runs.set(app.id, run);
        return run;
    }

    /** What a fault of the app can strike. */
    targets(app: StoredApp): Targets {
        const there = this.run(app).replicas.slots.filter(({ stopping }) => !stopping);
        return {
            replicas: there.map(({ index }) => index),
            running: there.filter(({ replica }) => replica).map(({ index }) => index),
            ...(this.realEngine ? { kinds: realFaultKinds, engine: "a real vLLM" } : { kinds: appFaultKinds }),
        };
    }

    get realEngine(): string | undefined {
        return this.options.realEngine;
    }

    private sum(of: (run: AppRun) => number): number {
        return [...this.runs.values()].reduce((sum, run) => sum + of(run), 0);
    }

    /** Continues with every app that the state holds, after a restart of the sandbox. */
    async resume(): Promise<void> {
        for (const app of Object.values(this.store.state.apps)) {
            if (app.wanted === "deleted") this.delete(app);
            else await this.run(app).resume();
        }
    }

    delete(app: StoredApp): void {
        this.incidents.clear(app.id);
        this.run(app).delete(() => {
            delete this.store.state.apps[app.id];
            this.runs.delete(app.id);
            this.store.save();
        });
    }

    /** Begins to look at every app's metric, once per period. Apps do not wait for each other. */
    beginAutoscaling(): void {
        const round = (): void => {
            const scaled = [...this.runs.values()].filter(({ isScaled }) => isScaled);
            for (const run of scaled) void run.autoscale();
            const reads = scaled.reduce((sum, { replicas }) => sum + replicas.slots.length, 0);
            next(Math.max(this.clock.realMs(autoscalerPeriod), (1000 * reads) / mostMetricReads));
        };
        const next = (ms: number): void => {
            if (!this.closed) setTimeout(round, ms).unref();
        };
        next(this.clock.realMs(autoscalerPeriod));
    }

    private faultBegins(fault: FaultStatus): void {
        this.options.log(`fault ${fault.kind} begins${fault.app ? ` in app ${fault.app}` : ""}`);
        for (const run of this.runs.values()) run.faultBegins(fault);
        if (fault.kind === "token-revoked") {
            if (fault.token === undefined) this.store.state.tokens = {};
            else delete this.store.state.tokens[fault.token];
            this.store.save();
        }
        this.options.changed();
    }

    private faultEnds(fault: FaultStatus): void {
        this.options.log(`fault ${fault.kind} ends${fault.app ? ` in app ${fault.app}` : ""}`);
        for (const run of this.runs.values()) run.faultEnds(fault);
        this.options.changed();
    }

    /** Ends every replica and gateway; the state stays. */
    async close(): Promise<void> {
        this.closed = true;
        this.incidents.close();
        await Promise.all([...this.runs.values()].map((run) => run.close()));
        this.store.save();
    }
}
