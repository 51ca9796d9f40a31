import { ApiException, BatchV1Api, CoreV1Api, type KubeConfig, type V1Job, type V1Pod } from "@kubernetes/client-node";
import { randomBytes } from "node:crypto";
import { wordsOf } from "../../kubernetes-error";
import { handOn, type Task, type TaskEnd, type TaskEvents, type TaskRunner } from "../processes";
import { FrameReader } from "./frames";
import { leaseSeconds, loadtestApp, loadtestJob, loadtestParts } from "./manifests";
import { toldToEnd, type FromPod } from "./messages";
import type { PodOutput } from "./pod-output";

export interface ClusterPlace {
    kubernetes: KubeConfig;
    namespace: string;
    pods: number;
    /** `ended` tells whether a pod has. */
    output: (ended: (pod: string) => boolean) => PodOutput;
    /** Seconds until all pods run: an image of 50 MB has to be pulled. Default 180. */
    startSeconds?: number;
    /** A line for the person who waits. */
    log: (line: string) => void;
}

const lookMs = 1000;
/** A third of the lease: two renewals may fail. */
const renewMs = (leaseSeconds * 1000) / 3;
/** For pods that are told to end, beyond their grace. */
const endSeconds = 40;

interface PodState {
    reader: FrameReader<FromPod>;
    phase?: string;
    running: number;
    began: boolean;
    end?: TaskEnd;
    /** When its output was last read, by `performance.now()`. */
    readAt: number;
    reading: boolean;
}

/**
 * An indexed Job whose pods do a task, each a share of it. The Job has a short deadline that this process extends for as long
 * as it lives: when it is killed, the load ends by itself, and the cluster removes all that belongs to the Job.
 */
export class JobRunner implements TaskRunner {
    private readonly name = `${loadtestApp}-${randomBytes(3).toString("hex")}`;
    private readonly batch: BatchV1Api;
    private readonly core: CoreV1Api;
    private readonly readOutput: PodOutput;
    private readonly pods = new Map<string, PodState>();
    private readonly createdAt = performance.now();
    private renewedAt = this.createdAt;
    private beganAt?: number;
    /** Of the requests that are known of, seconds from the start. */
    private lastEnd = 0;
    private stopped?: string;
    private stoppedAt?: number;
    private wake = (): void => undefined;
    /** Of the latest look at the pods: why one of them does not run. */
    private waiting = "";

    constructor(
        private readonly task: Omit<Task, "share">,
        private readonly events: TaskEvents,
        private readonly place: ClusterPlace,
    ) {
        this.batch = place.kubernetes.makeApiClient(BatchV1Api);
        this.core = place.kubernetes.makeApiClient(CoreV1Api);
        this.readOutput = place.output((pod) => /Succeeded|Failed/.test(this.pods.get(pod)?.phase ?? ""));
    }

    get running(): number {
        return this.states.reduce((sum, { running }) => sum + running, 0);
    }

    /** Resolves when the pods are about to begin. Rejects, with nothing left in the cluster, when they do not. */
    async prepare(): Promise<number | undefined> {
        const { pods, startSeconds = 180 } = this.place;
        await this.refuseOthers();
        try {
            await this.create();
            const end = performance.now() + startSeconds * 1000;
            while (!this.allBegan && this.stopped === undefined) {
                await this.look();
                const failed = this.failure();
                if (failed !== undefined) throw new Error(failed);
                if (performance.now() > end) throw new Error(this.notStarted(startSeconds));
                if (!this.allBegan) await this.pause(this.pods.size < pods ? 100 : lookMs);
            }
        } catch (error) {
            await this.remove();
            throw new Error(wordsOf(error as Error), { cause: error });
        }
        return this.beganAt;
    }

    /** Resolves when all pods have ended, or one has failed and the others were stopped, with nothing left in the cluster. */
    async run(): Promise<TaskEnd> {
        try {
            while (!this.allEnded && !this.overdue) {
                await this.look();
                const failed = this.failure();
                if (failed !== undefined) this.stop(failed);
                if (!this.allEnded) await this.pause(lookMs);
            }
        } finally {
            await this.remove();
        }
        return this.sum();
    }

    /** Ends the pods' load; what they have measured is still read. */
    stop(reason: string): void {
        if (this.stopped !== undefined) return;
        this.stopped = reason;
        this.stoppedAt = performance.now();
        this.wake();
        // Its pods go first.
        void this.batch
            .deleteNamespacedJob({ name: this.name, namespace: this.place.namespace, propagationPolicy: "Foreground" })
            .catch(() => undefined); // `remove` says what could not be removed
    }

    private get states(): PodState[] {
        return [...this.pods.values()];
    }

    private get allBegan(): boolean {
        return this.states.filter(({ began }) => began).length === this.place.pods;
    }

    private get allEnded(): boolean {
        const { states } = this;
        if (this.stopped === undefined) return states.filter(({ end }) => end).length >= this.place.pods;
        // Nothing comes from one that had not begun, and nothing more from one that is gone.
        return states.every(({ began, end, phase, reading }) => !began || end || (phase === "Failed" && !reading));
    }

    private get overdue(): boolean {
        return this.stoppedAt !== undefined && performance.now() > this.stoppedAt + endSeconds * 1000;
    }

    /** Two load tests at once would measure each other. */
    private async refuseOthers(): Promise<void> {
        const { namespace } = this.place;
        const { items } = await this.batch.listNamespacedJob({ namespace, labelSelector: `app=${loadtestApp}` });
        const other = items.find(({ status }) => !status?.conditions?.some(isFinal))?.metadata?.name;
        if (other === undefined) return;
        throw new Error(
            `a load test runs in the cluster already, Job ${other}: wait for it (one whose client was killed ends within ` +
                `${leaseSeconds / 60} minutes), or end it with: kubectl -n ${namespace} delete job ${other}`,
        );
    }

    /** The Job first: whatever comes to be after it belongs to it, and goes with it. */
    private async create(): Promise<void> {
        const { namespace, pods } = this.place;
        const job = await this.batch.createNamespacedJob({ namespace, body: loadtestJob(this.name, pods) });
        const { secret, configMap, service } = loadtestParts(job, { ...this.task, pods });
        await this.core.createNamespacedSecret({ namespace, body: secret });
        await this.core.createNamespacedConfigMap({ namespace, body: configMap });
        await this.core.createNamespacedService({ namespace, body: service });
    }

    /** Lets the Job go on for another lease. A failure is made up for by the next; without any the Job ends, and that is seen. */
    private async renew(): Promise<void> {
        this.renewedAt = performance.now();
        const value = Math.ceil((performance.now() - this.createdAt) / 1000) + leaseSeconds;
        const body = [{ op: "replace", path: "/spec/activeDeadlineSeconds", value }];
        const { namespace } = this.place;
        await this.batch.patchNamespacedJob({ name: this.name, namespace, body }).catch(() => undefined);
    }

    /** Until something is heard, or so long. */
    private async pause(milliseconds: number): Promise<void> {
        await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, milliseconds);
            this.wake = () => {
                clearTimeout(timer);
                resolve();
            };
        });
    }

    private async look(): Promise<void> {
        if (performance.now() > this.renewedAt + renewMs) await this.renew();
        const { namespace } = this.place;
        let items: V1Pod[];
        try {
            ({ items } = await this.core.listNamespacedPod({ namespace, labelSelector: `job-name=${this.name}` }));
        } catch (error) {
            this.waiting = wordsOf(error as Error);
            return; // the API server may be away for a while; the outputs are read on
        }
        this.waiting = items.map(reasonOf).find((reason) => reason !== "") ?? "";
        const there = new Set(items.map(({ metadata }) => metadata!.name!));
        for (const [name, state] of this.pods) if (!there.has(name)) state.phase = "Failed";
        for (const pod of items) {
            const name = pod.metadata!.name!;
            const state = this.pods.get(name) ?? {
                reader: new FrameReader<FromPod>(),
                running: 0,
                began: false,
                readAt: performance.now(),
                reading: false,
            };
            this.pods.set(name, state);
            state.phase = pod.status?.phase;
            if (!state.reading && !state.end && state.phase !== "Pending") void this.read(name, state);
        }
    }

    /** Reads a pod's output until that, or the connection, ends; the next look begins again where it is needed. */
    private async read(name: string, state: PodState): Promise<void> {
        state.reading = true;
        // Some more than has passed: numbers tell what was read before.
        const since = state.began ? (performance.now() - state.readAt) / 1000 + 30 : undefined;
        try {
            await this.readOutput(name, (line) => this.heed(state, line), since);
        } catch {
            // Tried again at the next look; a pod that has ended without its end is a failure.
        }
        state.reading = false;
        this.wake();
    }

    private heed(state: PodState, line: string): void {
        state.readAt = performance.now();
        let message: FromPod | undefined;
        try {
            message = state.reader.read(line);
        } catch (error) {
            return this.stop(`a pod cannot be followed: ${(error as Error).message}`);
        }
        if (message === undefined) return;
        if (message.kind === "began") {
            state.began = true;
            this.beganAt ??= performance.now() + message.inMs;
            return this.wake();
        }
        handOn(message, this.events);
        state.running = message.kind === "outcomes" ? message.running : 0;
        if (message.kind === "outcomes") {
            for (const { end } of message.outcomes) this.lastEnd = Math.max(this.lastEnd, end);
            return;
        }
        state.end = message.end;
        // One that gives up, gives up for all. One that was told to end by the cluster did so for a reason that is still to be found.
        const { stopped } = message.end;
        if (stopped !== undefined && stopped !== toldToEnd) this.stop(stopped);
        this.wake();
    }

    /** Why the run cannot be finished; undefined while it can. */
    private failure(): string | undefined {
        for (const [name, { phase, end, reading, reader }] of this.pods) {
            // Its output is read to the end first.
            if (phase !== "Failed" || end || reading || this.stopped !== undefined) continue;
            return `pod ${name} ended before its load did${this.waiting && `, ${this.waiting}`}: ${reader.said.at(-1) ?? "it said nothing"}`;
        }
        return undefined;
    }

    private notStarted(seconds: number): string {
        const { pods } = this.place;
        const begun = this.states.filter(({ phase }) => phase === "Running").length;
        return (
            `${begun} of ${pods} pods run after ${seconds} s${this.waiting && ` (${this.waiting})`}: ` +
            "each asks for one core of the node pool: a smaller --in-cluster, or pulumi config set --path cluster.nodePool.nodes N"
        );
    }

    private sum(): TaskEnd {
        const ends = this.states.flatMap(({ end }) => end ?? []);
        return {
            stopped: this.stopped ?? ends.find(({ stopped }) => stopped !== undefined)?.stopped,
            steadyUntil: ends.length === 0 ? this.lastEnd : Math.min(...ends.map(({ steadyUntil }) => steadyUntil)),
            seconds: Math.max(this.lastEnd, ...ends.map(({ seconds }) => seconds)),
            openings: ends.flatMap(({ openings }) => openings),
            processes: ends.flatMap(({ processes }) => processes),
            machineCpu: Math.max(0, ...ends.map(({ machineCpu = 0 }) => machineCpu)),
        };
    }

    /** Removes all of it, the token first. Says what could not be removed, and that it goes by itself. */
    private async remove(): Promise<void> {
        const { namespace, log } = this.place;
        const at = { name: this.name, namespace };
        const removals = [
            () => this.core.deleteNamespacedSecret(at),
            () => this.batch.deleteNamespacedJob({ ...at, propagationPolicy: "Background" }),
            () => this.core.deleteNamespacedConfigMap(at),
            () => this.core.deleteNamespacedService(at),
        ];
        for (const removal of removals) {
            try {
                await removal();
            } catch (error) {
                if (error instanceof ApiException && error.code === 404) continue;
                log(
                    `not all of the load test could be removed (${wordsOf(error as Error)}): it goes by itself within ${Math.ceil((leaseSeconds + 60) / 60)} ` +
                        `minutes, or by: kubectl -n ${namespace} delete job,secret,configmap,service ${this.name}`,
                );
                return;
            }
        }
    }
}

function isFinal({ type, status }: NonNullable<NonNullable<V1Job["status"]>["conditions"]>[number]): boolean {
    return status === "True" && (type === "Complete" || type === "Failed");
}

/** Why a pod does not run, or has ended. */
function reasonOf({ status }: V1Pod): string {
    const unscheduled = status?.conditions?.find(({ type, status }) => type === "PodScheduled" && status === "False");
    if (unscheduled) return unscheduled.message ?? "no node takes it";
    const { waiting, terminated } = status?.containerStatuses?.[0]?.state ?? {};
    if (waiting) return [waiting.reason, waiting.message].filter(Boolean).join(": ");
    if (terminated?.exitCode) return `${terminated.reason ?? "Error"}, exit code ${terminated.exitCode}`;
    return status?.phase === "Failed" ? (status.message ?? status.reason ?? "") : "";
}
