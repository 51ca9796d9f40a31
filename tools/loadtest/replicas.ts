import { OvhClient } from "../../packages/ai-deploy/src/api/client";
import type { Credentials } from "../../packages/ai-deploy/src/api/credentials";
import { oneLine } from "./connection";

/** What the platform says at one moment. */
export interface ReplicaSample {
    /** Seconds from the start of the run. */
    t: number;
    /** Replicas that take requests. */
    ready: number;
}

/** An app in the AI Deploy API. */
export interface AppAddress {
    credentials: Credentials;
    projectId: string;
    appId: string;
}

/**
 * Reads the app's `status.availableReplicas` again and again until it is stopped: the platform's own count, the same on
 * an OVHcloud account and in the sandbox.
 */
export class ReplicaWatch {
    readonly samples: ReplicaSample[] = [];
    /** Why the last look failed; undefined when it did not. */
    failure?: string;
    private timer?: NodeJS.Timeout;
    private stopped = false;
    private readonly client: OvhClient;

    constructor(
        private readonly app: AppAddress,
        private readonly now: () => number,
        private readonly periodMs: number,
    ) {
        this.client = new OvhClient(app.credentials, { requestTimeoutMs: 5000 });
    }

    /** Looks at once, then a period after each look. Never rejects: see `failure`. */
    async begin(): Promise<void> {
        await this.look();
        if (this.stopped) return;
        this.timer = setTimeout(() => void this.begin(), this.periodMs);
    }

    stop(): void {
        this.stopped = true;
        clearTimeout(this.timer);
    }

    get ready(): number | undefined {
        return this.samples.at(-1)?.ready;
    }

    private async look(): Promise<void> {
        const { projectId, appId } = this.app;
        try {
            const { status } = await this.client.get<{ status: { availableReplicas?: number } }>(
                `/cloud/project/${encodeURIComponent(projectId)}/ai/app/${encodeURIComponent(appId)}`,
            );
            this.failure = undefined;
            this.samples.push({ t: this.now(), ready: status.availableReplicas ?? 0 });
        } catch (error) {
            this.failure = oneLine((error as Error).message);
        }
    }
}

/** The count at a time of the run; undefined before the first sample. */
export function readyAt(samples: ReplicaSample[], t: number): number | undefined {
    return samples.findLast((sample) => sample.t <= t)?.ready;
}

/** Seconds of ready replicas from the first sample to `until`, each count lasting to the next sample. */
export function replicaSeconds(samples: ReplicaSample[], until: number): number {
    return samples.reduce((sum, { t, ready }, i) => sum + ready * Math.max(0, (samples[i + 1]?.t ?? until) - t), 0);
}

/** The first sample, and each that differs from the one before. */
export function changes(samples: ReplicaSample[]): ReplicaSample[] {
    return samples.filter((sample, i) => i === 0 || sample.ready !== samples[i - 1].ready);
}
