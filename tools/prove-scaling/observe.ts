import { parsePage, replicaName } from "../../src/monitoring/relay/relay";
import type { LiveApp } from "../../packages/ai-deploy/src/app/live";
import { ask } from "../http";
import { readApp, type AiDeploy } from "../verify/app";

/** What the platform said at one moment. Times are seconds from the start of the proof. */
export interface PlatformSample {
    t: number;
    state: string;
    /** Replicas that take requests. */
    ready: number;
    /** Why it is in that state. */
    message: string;
}

/** What one replica said of itself. */
export interface ReplicaSample {
    t: number;
    /** Tells it from the others, and from itself after a restart. */
    replica: string;
    /** Of the metric that scaling follows; undefined: it is not on the page. */
    value?: number;
    /** Tokens that it has generated since it started. */
    tokens: number;
}

/** What was seen during a proof, in the order of time. */
export interface Observations {
    platform: PlatformSample[];
    replicas: ReplicaSample[];
    /** The last failure of a look, for messages. */
    apiFault?: string;
    metricsFault?: string;
}

export interface ObserverOptions {
    api: AiDeploy;
    appId: string;
    appUrl: string;
    token: string;
    /** The metric that scaling follows. */
    metric: string;
    /** Replicas at most: how many connections a look at the metrics takes follows from it. */
    maxReplicas: number;
    /** Between two looks at the platform; OVHcloud allows 60 requests a minute. */
    platformPeriodMs: number;
    ca?: string[];
    /** Seconds from the start of the proof. */
    now: () => number;
}

/** Between two looks at the metrics. */
const metricsPeriodMs = 1000;

/**
 * Looks at the platform and at the replicas' metrics, both through addresses that every user of the stack has, until it is
 * stopped. The address is load-balanced: each look asks over several fresh connections.
 */
export class Observer {
    readonly seen: Observations = { platform: [], replicas: [] };
    private stopped = false;
    private readonly timers = new Set<NodeJS.Timeout>();

    constructor(private readonly options: ObserverOptions) {}

    begin(): void {
        this.repeat(() => this.lookAtPlatform(), this.options.platformPeriodMs);
        this.repeat(() => this.lookAtReplicas(), metricsPeriodMs);
    }

    stop(): void {
        this.stopped = true;
        for (const timer of this.timers) clearTimeout(timer);
    }

    private repeat(look: () => Promise<void>, periodMs: number): void {
        void look().then(() => {
            if (this.stopped) return;
            const timer = setTimeout(() => {
                this.timers.delete(timer);
                this.repeat(look, periodMs);
            }, periodMs);
            this.timers.add(timer);
        });
    }

    private async lookAtPlatform(): Promise<void> {
        const { api, appId, now } = this.options;
        try {
            const { status }: LiveApp = await readApp(api, appId);
            this.seen.apiFault = undefined;
            const { state, availableReplicas = 0, info } = status;
            this.seen.platform.push({ t: now(), state, ready: availableReplicas, message: info?.message ?? "" });
        } catch (error) {
            this.seen.apiFault = (error as Error).message;
        }
    }

    private async lookAtReplicas(): Promise<void> {
        const { maxReplicas } = this.options;
        await Promise.all(Array.from({ length: maxReplicas > 1 ? 2 * maxReplicas : 1 }, () => this.lookAtOne()));
    }

    private async lookAtOne(): Promise<void> {
        const { appUrl, token, metric, ca, now } = this.options;
        try {
            const { status, body } = await ask(`${appUrl}/metrics`, { token, ca, timeoutSeconds: 10 });
            if (status !== 200) throw new Error(`/metrics answers ${status}`);
            const replica = replicaName(body) ?? "unnamed";
            this.seen.metricsFault = undefined;
            const { replicas } = this.seen;
            const t = now();
            // Two connections of one look may come to the same replica.
            if (replicas.some((one) => one.replica === replica && t - one.t < metricsPeriodMs / 2000)) return;
            const page = parsePage(body);
            const sum = (name: string): number | undefined => {
                const series = page.flatMap((family) => family.series).filter((one) => one.name === name);
                return series.length > 0 ? series.reduce((all, { value }) => all + Number(value), 0) : undefined;
            };
            replicas.push({ t, replica, value: sum(metric), tokens: sum("vllm:generation_tokens_total") ?? 0 });
        } catch (error) {
            this.seen.metricsFault = (error as Error).message;
        }
    }
}
