import type { AppStatus, Decision, SandboxStatus } from "../ovhcloud/status";

/**
 * What the console's page is told, as server-sent events on `/events`: first `history` with an `AppHistory` by app id, then
 * `update` with an `Update` about twice a second. Times `t` are Unix seconds.
 */
export interface Update {
    cloud: Omit<SandboxStatus, "apps"> & { apps: AppView[] };
    api: PartState;
    clusters: ClusterView[];
    prometheus: PrometheusView;
    alertmanager: PartState;
    grafana: PartState;
    load: LoadView;
    links: Link[];
    /** The newest point of each app, by app id. */
    points: Record<string, Point>;
}

/** An app without its long list of decisions. */
export interface AppView extends Omit<AppStatus, "decisions"> {
    /** Newest first: the last ones, and those before that changed the number of replicas. */
    decisions: Decision[];
}

/** A part that answers, does not, or is not there (yet). */
export interface PartState {
    url?: string;
    state: "up" | "down" | "absent";
    /** What was seen, for people. */
    detail: string;
}

/** A Managed Kubernetes cluster as the API tells. */
export interface ClusterView {
    id: string;
    name: string;
    version: string;
    /** `READY`, `INSTALLING` and so on. */
    status: string;
    pools: { name: string; flavor: string; nodes: number; desired: number }[];
}

export interface PrometheusView extends PartState {
    targets: { up: number; total: number };
    alerts: AlertView[];
}

export interface AlertView {
    name: string;
    /** `none` is no alarm: a watchdog that fires as long as alerting works. */
    severity: string;
    state: "pending" | "firing";
    summary: string;
    /** Time of day. */
    since: string;
}

/** The load test that the page started last. */
export interface LoadView {
    state: "idle" | "running" | "ended";
    app?: string;
    workers?: number;
    requests?: number;
    /** Time of day. */
    startedAt?: string;
    /** The last line that it printed. */
    line?: string;
    exitCode?: number;
    /** What it found; absent when it could not start. */
    result?: {
        ok: number;
        errors: number;
        errorsByKind: Record<string, number>;
        wallSeconds: number;
        requestsPerSecond: number;
        outputTokensPerSecond: number;
        latency: { p50: number; p95: number; p99: number } | null;
        ttft: { p50: number; p95: number; p99: number } | null;
        clientLimits: string[];
    };
}

export interface Link {
    title: string;
    /** `http(s)://...`, or a path of this machine. */
    target: string;
    note?: string;
}

/** One second of one app. */
export interface Point {
    t: number;
    ready: number;
    wanted: number;
    /** Requests in the batches and in the queues of all replicas. */
    running: number;
    waiting: number;
    /** The value that the autoscaler compares with the target; null when there is none. */
    value: number | null;
    /** Answers of the gateway per second: those below 400, and the others. */
    ok: number;
    failed: number;
    /** Means over the POSTs answered in that second, seconds to the first byte and to the end; null when there were none. */
    first: number | null;
    latency: number | null;
}

/** A decision that changed the number of replicas. */
export interface ScalingChange {
    t: number;
    from: number;
    to: number;
}

export interface AppHistory {
    /** Oldest first, one per second, of the last quarter of an hour. */
    points: Point[];
    changes: ScalingChange[];
}
