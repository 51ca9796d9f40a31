import { readyAt, type ReplicaSample } from "./replicas";
import type { Load, LoadSettings, Outcome } from "./load";
import type { SelfReport } from "./self-report";
import { bucketSeconds, countEach, summarize, type Summary } from "./statistics";

/** What a run found; written by `--json`. Times in seconds, `t` from the start of the run. Null: nothing to be measured. */
export interface Report {
    startedAt: string;
    target: { baseUrl: string; model: string };
    settings: LoadSettings;
    /** Why the run ended early. */
    stopped?: string;
    /** `total` counts requests that came to an end; `cancelled` ones did not, and are in no other figure. */
    requests: { planned: number; total: number; ok: number; errors: number; cancelled: number };
    errorsByKind: Record<string, number>;
    /** One example of each kind. */
    errorDetails: Record<string, string>;
    wallSeconds: number;
    /** Of requests that were answered in full. */
    latencySeconds: Summary | null;
    ttftSeconds: Summary | null;
    /** Between two pieces of an answer, over all answers. */
    interTokenSeconds: Summary | null;
    requestsPerSecond: number;
    outputTokensPerSecond: number;
    tokens: { prompt: number; output: number };
    replicas: ReplicaSample[];
    /** Why there is no count of replicas, or why it ends early. */
    replicasUnknown?: string;
    /**
     * The same work at different numbers of replicas: requests sent at each count while every worker was at work, that is
     * after the ramp and before the first worker had finished.
     */
    byReplicas: { ready: number; requests: number; latencySeconds: Summary; ttftSeconds: Summary }[];
    timeline: TimelineBucket[];
    connections: { count: number; seconds: Summary | null };
    client: SelfReport;
    /** Why the figures may be the client's instead of the model's. */
    clientLimits: string[];
}

/** What ended within `[t, t + width)`. */
export interface TimelineBucket {
    t: number;
    ok: number;
    errors: number;
    /** Ready replicas at the end of the bucket. */
    replicas?: number;
    latencyP50?: number;
    latencyP95?: number;
    ttftP50?: number;
    outputTokensPerSecond: number;
}

/** Most buckets of a timeline: what fits beside an axis in 80 columns. */
const mostBuckets = 60;

export interface ReportInput {
    startedAt: Date;
    target: Report["target"];
    load: Load;
    wallSeconds: number;
    replicas: ReplicaSample[];
    replicasUnknown?: string;
    connections: Report["connections"];
    client: SelfReport;
    clientLimits: string[];
}

export function makeReport(input: ReportInput): Report {
    const { load, wallSeconds, replicas } = input;
    const ok = load.outcomes.filter(({ failure }) => !failure);
    const failed = load.outcomes.flatMap(({ failure }) => (failure ? [failure] : []));
    const outputTokens = total(ok, ({ outputTokens }) => outputTokens);
    const perSecond = (count: number): number => (wallSeconds > 0 ? count / wallSeconds : 0);
    return {
        startedAt: input.startedAt.toISOString(),
        target: input.target,
        settings: load.settings,
        stopped: load.stopped,
        requests: {
            planned: load.planned,
            total: load.outcomes.length,
            ok: ok.length,
            errors: failed.length,
            cancelled: load.cancelled,
        },
        errorsByKind: countEach(failed.map(({ kind }) => kind)),
        errorDetails: Object.fromEntries(failed.map(({ kind, detail }) => [kind, detail])),
        wallSeconds,
        latencySeconds: summarize(latencies(ok)),
        ttftSeconds: summarize(ttfts(ok)),
        interTokenSeconds: summarize(load.gaps),
        requestsPerSecond: perSecond(ok.length),
        outputTokensPerSecond: perSecond(outputTokens),
        tokens: { prompt: total(ok, ({ promptTokens }) => promptTokens), output: outputTokens },
        replicas,
        replicasUnknown: input.replicasUnknown,
        byReplicas: byReplicas(ok, replicas, load.settings.rampSeconds, load.firstWorkerDone ?? wallSeconds),
        timeline: timeline(load.outcomes, replicas, wallSeconds),
        connections: input.connections,
        client: input.client,
        clientLimits: input.clientLimits,
    };
}

/** `from` and `to` bound the time in which every worker was at work. */
export function byReplicas(ok: Outcome[], replicas: ReplicaSample[], from: number, to: number): Report["byReplicas"] {
    const groups = new Map<number, Outcome[]>();
    for (const outcome of ok) {
        const ready = readyAt(replicas, outcome.start);
        if (ready === undefined || outcome.start < from || outcome.start >= to) continue;
        const group = groups.get(ready);
        if (group) group.push(outcome);
        else groups.set(ready, [outcome]);
    }
    return [...groups]
        .sort(([a], [b]) => a - b)
        .flatMap(([ready, outcomes]) => {
            const [latencySeconds, ttftSeconds] = [summarize(latencies(outcomes)), summarize(ttfts(outcomes))];
            if (!latencySeconds || !ttftSeconds) return [];
            return [{ ready, requests: outcomes.length, latencySeconds, ttftSeconds }];
        });
}

/** The run in buckets of a round width; every bucket up to the end is there, also one in which nothing ended. */
export function timeline(outcomes: Outcome[], replicas: ReplicaSample[], wallSeconds: number): TimelineBucket[] {
    if (outcomes.length === 0) return [];
    const width = bucketSeconds(wallSeconds, mostBuckets);
    const buckets: Outcome[][] = Array.from({ length: Math.floor(wallSeconds / width) + 1 }, () => []);
    for (const outcome of outcomes) {
        buckets[Math.min(buckets.length - 1, Math.floor(outcome.end / width))].push(outcome);
    }
    return buckets.map((ended, i) => {
        const ok = ended.filter(({ failure }) => !failure);
        const latency = summarize(latencies(ok));
        return {
            t: i * width,
            ok: ok.length,
            errors: ended.length - ok.length,
            replicas: readyAt(replicas, (i + 1) * width),
            latencyP50: latency?.p50,
            latencyP95: latency?.p95,
            ttftP50: summarize(ttfts(ok))?.p50,
            outputTokensPerSecond: total(ok, ({ outputTokens }) => outputTokens) / width,
        };
    });
}

function latencies(outcomes: Outcome[]): number[] {
    return outcomes.map(({ seconds }) => seconds);
}

function ttfts(outcomes: Outcome[]): number[] {
    return outcomes.flatMap(({ ttft }) => (ttft === undefined ? [] : [ttft]));
}

function total(outcomes: Outcome[], value: (outcome: Outcome) => number): number {
    return outcomes.reduce((sum, outcome) => sum + value(outcome), 0);
}
