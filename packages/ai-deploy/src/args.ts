import type { Input } from "@pulumi/pulumi";

/**
 * What the resources take, by the names of OVHcloud's API (`/cloud/project/{serviceName}/ai/...`), with two exceptions:
 * `envVars` is a map, and the API's `probe` is called `readinessProbe`.
 */

/** A health check over HTTP on a replica. Defaults are those of the API's documentation. */
export interface Probe {
    /** Default `/`. */
    path?: string;
    /** Default: `defaultHttpPort`. */
    port?: number;
    /** Seconds from the replica's start to the first check; default 0. A model's load time belongs here. */
    initialDelaySeconds?: number;
    /** Seconds between checks; default 10. */
    periodSeconds?: number;
    /** Default 1. */
    timeoutSeconds?: number;
    /** Failures in a row that count; default 3. */
    failureThreshold?: number;
    /** Successes in a row that count; default 1, and for liveness no other. */
    successThreshold?: number;
}

/** Units of one flavor; see the region's list of flavors. Billed per minute. */
export interface Resources {
    /** Such as `h100-1-gpu`. */
    flavor: string;
    /** GPUs per replica, for a GPU flavor. */
    gpu?: number;
    /** CPUs per replica, for a CPU flavor. */
    cpu?: number;
    /** Units of the flavor, in place of `gpu` or `cpu`. Changing it replaces the app. */
    flavorCount?: number;
}

/** Object storage mounted into the container. */
export interface DataStore {
    alias: string;
    container: string;
    prefix?: string;
    archive?: string;
    internal?: boolean;
}

/** One mount. Volumes cannot be changed: another list replaces the app. */
export interface Volume {
    mountPath: string;
    /** Read only, read and write, or read, write and delete. */
    permission: "RO" | "RW" | "RWD";
    /** Not for standalone and git volumes. */
    cache?: boolean;
    volumeSource?: {
        /** Storage of the app's own, without a source. */
        standalone?: { name?: string };
        dataStore?: DataStore;
        publicGit?: { url: string };
        publicSwift?: { url: string };
    };
    volumeTarget?: { targetDataStore?: DataStore };
}

/** Scaling on a metric that each replica exports, as KEDA's metrics-api scaler reads it. */
export interface CustomMetrics {
    /** `http://<SELF>:PORT/PATH`; the platform puts each replica's address in the place of `<SELF>`. */
    apiUrl: string;
    format: "JSON" | "PROMETHEUS" | "XML" | "YAML";
    /** Name of the metric, or path to the value. */
    valueLocation: string;
    /** Above 0. */
    targetValue: number;
    /** Over the replicas. */
    aggregationType: "AVERAGE" | "MAX" | "MIN" | "SUM";
}

/** Exactly one of the two. */
export interface ScalingStrategy {
    /** 1 to 10 replicas. */
    fixed?: { replicas: number };
    automatic?: {
        /** 0: scale to zero. */
        replicasMin: number;
        replicasMax: number;
        customMetrics?: CustomMetrics;
        /** Plain scaling, without `customMetrics`. */
        resourceType?: "CPU" | "RAM";
        /** Percent; with `resourceType`. */
        averageUsageTarget?: number;
        /** 0 to 3600; default 0. */
        scaleUpStabilizationWindowSeconds?: number;
        /** 0 to 3600; default 300. */
        scaleDownStabilizationWindowSeconds?: number;
        /** Wait before going to zero, added to the scale-down window; only with `replicasMin: 0`. */
        cooldownPeriodSeconds?: number;
    };
}

/** How a change rolls over the replicas. Numbers as text, with `%` for shares. */
export interface DeploymentStrategy {
    maxSurge?: string;
    maxUnavailable?: string;
    progressDeadlineSeconds?: number;
    /** Default 30. */
    terminationGracePeriodSeconds?: number;
}

/** An app, with every value known. */
export interface AppInputs {
    /** Public Cloud project id. Default: stack config `ovh:serviceName`, else `OVH_CLOUD_PROJECT_SERVICE`. Replaces. */
    serviceName?: string;
    /** Replaces. */
    name: string;
    /** AI Deploy region, such as `GRA`. Replaces. */
    region: string;
    image: string;
    resources: Resources;
    /** What the container runs; default: the image's own. */
    command?: string[];
    /** Port that the app's address leads to; default 8080. */
    defaultHttpPort?: number;
    grpcPort?: number;
    /** Labels, also what token selectors match. `ovh/...` belongs to the platform. */
    labels?: Record<string, string>;
    /** true: callers need no token. Replaces. */
    unsecureHttp?: boolean;
    /** Environment variables. Secret values stay secret in the state. */
    envVars?: Record<string, string>;
    /** Replaces. */
    volumes?: Volume[];
    /** Kills and restarts a replica that fails it. */
    livenessProbe?: Probe;
    /** Keeps traffic from a replica that fails it. */
    readinessProbe?: Probe;
    /** Default: one replica. */
    scalingStrategy?: ScalingStrategy;
    deploymentStrategy?: DeploymentStrategy;
    /** Replaces. */
    partnerId?: string;
    /** Default `RUNNING`. */
    desiredState?: "RUNNING" | "STOPPED";
    /**
     * Value of the label `pulumi-adoption-id`, by which a later run finds an app whose creation was interrupted. Unique
     * per app: a `RandomId` of `@pulumi/random`.
     */
    adoptionLabel: string;
    /** Id of an app to take over in place of creating one. */
    adopt?: string;
    /** Bounds of each wait, in seconds. Defaults 1800, 1800, 600. Changing them changes nothing else. */
    timeouts?: { createSeconds?: number; updateSeconds?: number; deleteSeconds?: number };
}

/** A token, with every value known. */
export interface TokenInputs {
    /** As for an app. Replaces. */
    serviceName?: string;
    /** Replaces. */
    name: string;
    /** Replaces. */
    region: string;
    /** `ai_training_read` may query apps; `ai_training_operator` may also manage them. Replaces. */
    role: "ai_training_read" | "ai_training_operator";
    /** `key=value`: the apps that it opens. Without one it opens every app of the project. Replaces. */
    labelSelector?: string;
    /** Any text. Another text renews the value in place: the old value ends at once, the id stays. */
    rotation?: string;
}

export interface AuthorizationInputs {
    /** As for an app. */
    serviceName?: string;
}

/** The same shape with an Input at every place. */
export type Inputs<T> = T extends (infer U)[]
    ? Input<Inputs<U>[]>
    : T extends object
      ? Input<{ [K in keyof T]: Inputs<T[K]> }>
      : Input<T>;

type Args<T> = { [K in keyof T]: Inputs<T[K]> };

export type AppArgs = Args<AppInputs>;
export type TokenArgs = Args<TokenInputs>;
export type AuthorizationArgs = Args<AuthorizationInputs>;
