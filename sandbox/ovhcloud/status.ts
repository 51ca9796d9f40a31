import type { Phase } from "../vllm/phase";
/**
 * What the sandbox tells of itself under `/sandbox/`, outside of OVHcloud's API:
 *
 * - `GET /sandbox/status`: one `SandboxStatus`
 * - `GET /sandbox/events`: server-sent events; `data:` of each is a `SandboxStatus`, one per second and one on each change
 * - `POST /sandbox/speed`: `{speed}`, 1 to 1000; answers `{speed}`
 * - `POST /sandbox/balancing`: `{balancing}`, for every app; answers `{balancing}`
 * - `POST /sandbox/sleep`: a part of a `SleepBehaviour`, for every app; answers the whole
 * - `POST /sandbox/form`: `{form}`, how the API writes apps back (forms.ts); answers `{form}`
 * - `POST /sandbox/apps/{id}/faults`: an `AppFaultInput`; `DELETE`: ends all of the app. Both answer `FaultStatus[]`
 * - `POST /sandbox/platform/faults`: a `PlatformFaultInput`; `DELETE`: ends all of the platform. Both answer `FaultStatus[]`
 *
 * An input that cannot be used is answered 400 with `{message}`. Times of day are ISO 8601 texts.
 */
export interface SandboxStatus {
    /** Time of day. */
    at: string;
    /** Process that answers: with it one sandbox is told from another at the same port. */
    pid: number;
    /** Platform seconds per real second. */
    speed: number;
    /** Path of the real vLLM that the replicas are processes of; absent when they are simulated. */
    realEngine?: string;
    /** Requests and answers that broke the published structure of the API. */
    violations: number;
    apps: AppStatus[];
    clusters: string[];
    /** Faults that act now or are still to come. */
    faults: FaultStatus[];
    /** The programs that run beside the daemon. */
    parts: PartStatus[];
}

/** A program that the sandbox has started. */
export interface PartStatus {
    name: string;
    /** How it ended, such as `exit code 1` or `SIGKILL`; absent while it runs. */
    exit?: string;
    /** Path of its log. */
    log: string;
    /** Where people reach it, of a front door. */
    url?: string;
}

export interface AppStatus {
    id: string;
    name: string;
    /** The `--model` of the command, or an empty text. */
    model: string;
    region: string;
    /** `AppStateEnum` of OVHcloud's API. */
    state: string;
    /** Why the app is in this state. */
    message: string;
    /** The app's own address, `https://127.0.0.1:PORT`. */
    url: string;
    /** Replicas that are ready for traffic. */
    availableReplicas: number;
    /** Every replica that is there, in the order of their start; those that are being stopped, too. */
    replicas: ReplicaStatus[];
    scaling: ScalingStatus;
    /** The last 100 decisions of the autoscaler, oldest first. */
    decisions: Decision[];
    gateway: GatewayStatus;
}

/** How far a replica is: it waits for a GPU or its image, then goes its way as vLLM does. */
export type ReplicaPhase = "pending" | "pulling" | Phase;

export interface ReplicaStatus {
    /** Goes up with every replica that the app has ever had. */
    index: number;
    phase: ReplicaPhase;
    /** Whether its readiness probe holds, so that it gets traffic. */
    ready: boolean;
    startedAt: string;
    /** Port on 127.0.0.1; 0 while it does not listen. */
    port: number;
    /** Requests in the batch. */
    running: number;
    /** Requests in the queue. */
    waiting: number;
    /** Share of the KV cache in use, 0 to 1. */
    kvUsage: number;
    /** Requests of the gateway that it is answering. */
    requests: number;
}

export interface ScalingStatus {
    /** A fixed number, a custom metric, or the CPU or RAM of the replicas. */
    mode: "fixed" | "metric" | "resource";
    min: number;
    max: number;
    /** Replicas that are wanted now. */
    wanted: number;
    /** The `valueLocation` of a custom metric, or `CPU` or `RAM`; absent when fixed. */
    metric?: string;
    aggregation?: Aggregation;
    /** In the unit of the metric; percent for CPU and RAM. */
    target?: number;
    /** The aggregated value that was read last; absent while there is none. */
    current?: number;
}

export type Aggregation = "AVERAGE" | "MAX" | "MIN" | "SUM";

/**
 * One look of the autoscaler at one app, with everything that it was based on. Looks that go on finding the same are one
 * decision, with the time and the figures of the last.
 */
export interface Decision {
    at: string;
    /** How many looks in a row. */
    times: number;
    metric: string;
    aggregation?: Aggregation;
    target: number;
    /** What was read from each replica. */
    inputs: { replica: number; ready: boolean; value?: number; /** Why there is no value. */ missing?: string }[];
    /** The aggregated value; absent when no replica gave one. */
    value?: number;
    /** `value / target`, after unready and missing replicas were allowed for. */
    ratio?: number;
    /** Replicas that were wanted before. */
    from: number;
    /** What the ratio asks for, before windows and limits; absent when no replica gave a value. */
    recommended?: number;
    /** Replicas that are wanted from now on. */
    to: number;
    /** Why, in one sentence. */
    reason: string;
}

/** What OVHcloud does not document of apps that scale to zero. */
export interface SleepBehaviour {
    /** What becomes of a request that finds no replica since the app slept: 503, or held until one serves. */
    wakingRequest: "refused" | "held";
    /** What counts as use, so that the last replica stays: its custom metric above 0, or any request at its address, too. */
    keptAwakeBy: "metric" | "calls";
}

export type Balancing = "random" | "round-robin" | "least-connections" | "sticky";

export interface GatewayStatus {
    balancing: Balancing;
    /** Requests under way. */
    open: number;
    /** Answers since the start, by their status; `499`: the client went away before the answer. */
    answers: Record<string, number>;
    /** POSTs answered in full and below 400: how many, and all their seconds to the body's first byte and to its end. */
    served: { requests: number; firstSeconds: number; seconds: number };
}

/** Faults of the replicas of one app. */
export type AppFaultKind =
    | "crash" // the process ends with exit code 139
    | "hang" // it listens and answers nothing, until its liveness probe kills it or the fault ends
    | "stall" // its engine makes no step while the server goes on answering, until the fault ends
    | "slow" // each step of the engine takes `factor` times as long
    | "errors" // the share `rate` of the POSTs under /v1 is answered with `status`
    | "metrics" // `metrics` show what they are told to
    | "oom" // the engine dies for want of GPU memory: requests under way get an error, then the process ends with exit code 0
    | "image-pull" // replicas that start while it lasts cannot pull their image
    | "hf-401"; // replicas that start while it lasts are refused by the Hugging Face hub

/** Faults of the platform around the apps. */
export type PlatformFaultKind =
    | "quota" // no GPU is left for new replicas and new apps
    | "region-outage" // the replicas of the region are lost and none starts, its gateways cut every connection
    | "api-outage" // OVHcloud's API answers 503
    | "token-revoked"; // AI tokens are deleted; does not end

export interface FaultTiming {
    /** Real seconds until it begins; default 0. */
    afterSeconds?: number;
    /** Real seconds that it lasts; default: until it is ended. Not for `crash`, `oom` and `token-revoked`: they happen once. */
    forSeconds?: number;
}

export interface AppFaultInput extends FaultTiming {
    kind: AppFaultKind;
    /** Index of the only replica concerned; default: all that are there when it begins, and except for `crash`, `oom`, `hang` and `stall` later ones, too. */
    replica?: number;
    /** Of `slow`; default 10. */
    factor?: number;
    /** Of `errors`: above 0, at most 1; default 1. */
    rate?: number;
    /** Of `errors`: 400 to 599; default 500. */
    status?: number;
    /** Of `metrics`: each `NAME=VALUE` or `NAME{LABEL="VALUE",...}=VALUE`, see `SetMetric`. */
    metrics?: string[];
}

export interface PlatformFaultInput extends FaultTiming {
    kind: PlatformFaultKind;
    /** Of `region-outage`; default: every region. */
    region?: string;
    /** Of `token-revoked`: the id of the only token; default: all. */
    token?: string;
}

export interface FaultStatus {
    id: string;
    kind: AppFaultKind | PlatformFaultKind;
    /** Of a fault of one app. */
    app?: string;
    replica?: number;
    region?: string;
    token?: string;
    factor?: number;
    rate?: number;
    status?: number;
    metrics?: string[];
    state: "scheduled" | "active";
    beginsAt: string;
    /** Absent: until it is ended. */
    endsAt?: string;
}
