import type { Args } from "../values/inputs";

/**
 * What `App`, `AppReady` and `AppLeftovers` take, by the names of OVHcloud's API (`/cloud/project/{serviceName}/ai/...`), with two exceptions:
 * `envVars` is a map, and the API's `probe` is called `readinessProbe`.
 *
 * Where a default or limit comes from: [S] the published API schema, [D] OVHcloud's documentation, [P] its control panel,
 * [K] Kubernetes or KEDA, on which the platform runs. Unmarked ones are this package's own. The schema itself carries no
 * limits, so none of them is certain until the platform has answered.
 */

/** A health check over HTTP on a replica: a GET that has to answer with 200 to 399 [K]. Defaults: [S], in its prose. */
export interface Probe {
    /** Path of the request, beginning with `/`. Default `/` [D]. */
    path?: string;
    /** Port of the request, 1 to 65535. Default: `defaultHttpPort` [D]. */
    port?: number;
    /** Seconds from the replica's start to the first check, from 0. Default 0. A model's load time belongs here. */
    initialDelaySeconds?: number;
    /** Seconds between checks, from 1. Default 10. */
    periodSeconds?: number;
    /** Seconds to wait for the answer, from 1. Default 1. */
    timeoutSeconds?: number;
    /** Failures in a row that count, from 1. Default 3. */
    failureThreshold?: number;
    /** Successes in a row that count, from 1. Default 1, and for liveness no other. */
    successThreshold?: number;
}

/** What each replica is made of: a flavor and its number of units. Billed per minute and replica [D]. */
export interface Resources {
    /** Such as `h100-1-gpu`; `getFlavors` lists those of a region. */
    flavor: string;
    /** GPUs per replica, for a GPU flavor: 1 to the flavor's `max`. Excludes `cpu` and `flavorCount`. */
    gpu?: number;
    /** CPUs per replica, for a CPU flavor: 1 to the flavor's `max`. Excludes `gpu` and `flavorCount`. */
    cpu?: number;
    /** Units of the flavor, in place of `gpu` or `cpu`: 1 to the flavor's `max`. A change replaces the app [S]. */
    flavorCount?: number;
}

/** A container of object storage, by an alias that the project knows (`ovhai datastore`). */
export interface DataStore {
    /** Name of the data store. */
    alias: string;
    /** Container, or bucket. */
    container: string;
    /** Only objects whose names begin with this. Default: all. */
    prefix?: string;
    /** An archive in the container, to be unpacked. */
    archive?: string;
    /** Whether OVHcloud manages the store itself. */
    internal?: boolean;
}

/** One mount. No call changes the volumes of an app: another list replaces it [S]. */
export interface Volume {
    /** Where, in the container; begins with `/`. No path twice. */
    mountPath: string;
    /** `RO` read only, `RW` read and write, `RWD` read, write and delete. */
    permission: "RO" | "RW" | "RWD";
    /** Share one copy of the data with other apps and jobs. Not for standalone and git volumes [D]. Default false. */
    cache?: boolean;
    /** Where the data comes from: exactly one of these. */
    volumeSource?: {
        /** Storage of the app's own, without a source; lost with the app. What `name` does is not documented. */
        standalone?: { name?: string };
        /** Object storage of the project. */
        dataStore?: DataStore;
        /** A public git repository. */
        publicGit?: { url: string };
        /** A public Swift container. */
        publicSwift?: { url: string };
    };
    /** Where changed data goes, with `RW` and `RWD`. */
    volumeTarget?: {
        targetDataStore?: DataStore;
    };
}

/** Scaling on a metric that each replica exports, as KEDA's metrics-api scaler reads it [K]. All five are needed [P]. */
export interface CustomMetrics {
    /** `http://<SELF>:PORT/PATH`; the platform puts each replica's address in the place of `<SELF>`. */
    apiUrl: string;
    /** Of the answer. */
    format: "JSON" | "PROMETHEUS" | "XML" | "YAML";
    /** Name of the metric for PROMETHEUS, else the path to the value. */
    valueLocation: string;
    /** The value per replica to scale for, in the metric's unit; above 0. */
    targetValue: number;
    /** How the replicas' values become one. */
    aggregationType: "AVERAGE" | "MAX" | "MIN" | "SUM";
}

/** Exactly one of the two [S]. Changed at any time without a restart. */
export interface ScalingStrategy {
    fixed?: {
        /** 1 to 10 [D]. */
        replicas: number;
    };
    automatic?: {
        /** From 0; 0 is scaling to zero. At most `replicasMax`. */
        replicasMin: number;
        /** From 1. */
        replicasMax: number;
        /** Scaling on a metric. Excludes `resourceType`. */
        customMetrics?: CustomMetrics;
        /** Plain scaling on the use of CPU or memory, with `averageUsageTarget`. */
        resourceType?: "CPU" | "RAM";
        /** Percent of the resource, 1 to 100; with `resourceType`. */
        averageUsageTarget?: number;
        /** Seconds, 0 to 3600 [S]: the lowest wish of this time counts before replicas are added. Default 0 [D]. */
        scaleUpStabilizationWindowSeconds?: number;
        /** Seconds, 0 to 3600 [S]: the highest wish of this time counts before replicas go. Default 300 [D]. */
        scaleDownStabilizationWindowSeconds?: number;
        /** Seconds to wait before going to zero, besides the scale-down window; only with `replicasMin: 0` [D]. */
        cooldownPeriodSeconds?: number;
    };
}

/** How a change rolls over the replicas, as in a Kubernetes Deployment [K]. Defaults: the platform's. */
export interface DeploymentStrategy {
    /** Replicas above the wanted number while rolling: a number or a share as text, `1` or `25%`. */
    maxSurge?: string;
    /** Replicas below the wanted number while rolling, likewise. Not 0 together with `maxSurge`. */
    maxUnavailable?: string;
    /** Seconds after which a roll-out without progress has failed. */
    progressDeadlineSeconds?: number;
    /** Seconds that a replica has to end its requests. Default 30 [S]. */
    terminationGracePeriodSeconds?: number;
}

/** An app, with every value known. */
export interface AppInputs {
    /** Public Cloud project id. Default: stack config `ovh:serviceName`, else `OVH_CLOUD_PROJECT_SERVICE`. Replaces. */
    serviceName?: string;
    /** Letters, digits, `.`, `_` and `-`. Need not be unique. Replaces. */
    name: string;
    /** AI Deploy region, such as `GRA`; `getRegions` lists them. Replaces. */
    region: string;
    /** Container image with its tag, such as `vllm/vllm-openai:v0.13.0`. A change restarts the replicas. */
    image: string;
    /** A change restarts the replicas. */
    resources: Resources;
    /** What the container runs: the program and its arguments. Default: the image's own. A change restarts the replicas. */
    command?: string[];
    /** Port that the app's address leads to, 1 to 65535. Default 8080 [D]. */
    defaultHttpPort?: number;
    /** Port for gRPC, 1 to 65535, other than `defaultHttpPort`. Default: none. Taking it away replaces. */
    grpcPort?: number;
    /** Labels, also what token selectors match. `ovh/...` belongs to the platform, `pulumi-adoption-id` to this package. */
    labels?: Record<string, string>;
    /** true: anyone may call the app, without a token. Default false. Replaces. */
    unsecureHttp?: boolean;
    /** Environment variables; none empty. Secret values stay secret in the state. A change restarts the replicas. */
    envVars?: Record<string, string>;
    /** Replaces. */
    volumes?: Volume[];
    /** Kills and restarts a replica that fails it. Default: none. Taking it away replaces. */
    livenessProbe?: Probe;
    /** Keeps traffic from a replica that fails it. Default: none. Taking it away replaces. */
    readinessProbe?: Probe;
    /** Default: one replica [D]. */
    scalingStrategy?: ScalingStrategy;
    /**
     * What something else may set in place of `scalingStrategy`, such as a schedule that runs elsewhere. An app that has one
     * of them is as wanted, and a change of the strategy gives it the one with the limits that it has. Default: none.
     */
    otherScalings?: ScalingStrategy[];
    /** Taking it away replaces. */
    deploymentStrategy?: DeploymentStrategy;
    /** Partner whose image is used, as in the platform's catalogue. Replaces. */
    partnerId?: string;
    /** `STOPPED` keeps the app, but runs nothing and is not billed. Default `RUNNING`. */
    desiredState?: "RUNNING" | "STOPPED";
    /**
     * Who else may stop the app and start it again, for messages. One that is found STOPPED then stays so, and is no change.
     * Default: nobody, so that `desiredState` is seen to.
     */
    mayBeStoppedBy?: string;
    /**
     * Beginning of the app's label `pulumi-adoption-id`, by which a later run finds an app whose creation was
     * interrupted. Unique per app: a `RandomId` of `@pulumi/random`. Letters, digits, `.`, `_` and `-`, at most 54.
     */
    adoptionLabel: string;
    /** Id of an app that exists, to take over in place of creating one. Without effect once that is done. */
    adopt?: string;
    /**
     * For messages: whether a replacement brings the new app up before it deletes the old one. The class sets it from the
     * resource option `deleteBeforeReplace: false`, which is what does it.
     */
    replaceFirst?: boolean;
    /**
     * Whether a creation or change ends when the app serves, or else when the platform has taken it and given it an
     * address: `AppReady` can wait then. Default true. Changing it changes nothing else.
     */
    waitUntilRunning?: boolean;
    /**
     * For messages: how the program's user sets a property, by the property, where that is not its own name, such as
     * `{ livenessProbe: "models.chat.probes.liveness" }`. Changing them changes nothing else.
     */
    settingNames?: Record<string, string>;
    /** Changing them changes nothing else. */
    timeouts?: {
        /** Seconds for the creation, until the app runs. Default 1800. */
        createSeconds?: number;
        /** Seconds for a change, until the app runs again. Default 1800. */
        updateSeconds?: number;
        /** Seconds for the deletion, until the platform says that it is gone. Default 600. */
        deleteSeconds?: number;
    };
}

/** A wait for an app, with every value known. */
export interface AppReadyInputs {
    /** As for an app. Replaces. */
    serviceName?: string;
    /** Id of the app: `app.appId`. Replaces. */
    appId: string;
    /** The app's `revision`: another one waits again. From 2 on, replicas of before that still serve are not enough. */
    revision?: number;
    /** As for an app: one that is found STOPPED is not waited for. */
    mayBeStoppedBy?: string;
    /** As for an app. */
    settingNames?: Record<string, string>;
    /** Changing them changes nothing else. */
    timeouts?: {
        /** Seconds for the first wait. Default 1800. */
        createSeconds?: number;
        /** Seconds for each further wait. Default 1800. */
        updateSeconds?: number;
    };
}

/** What an interrupted creation of an app may leave, with every value known. */
export interface AppLeftoversInputs {
    /** As for the app. Replaces. */
    serviceName?: string;
    /** Name of the app, for messages. */
    name: string;
    /** As given to the app. */
    adoptionLabel: string;
    /** As for an app. */
    settingNames?: Record<string, string>;
    timeouts?: {
        /** Seconds for the deletion of an app that was left, until the platform says that it is gone. Default 600. */
        deleteSeconds?: number;
    };
}

/** Bounds where `timeouts` names none. */
export const defaultTimeouts = { createSeconds: 1800, updateSeconds: 1800, deleteSeconds: 600 };

export type AppArgs = Args<Omit<AppInputs, "replaceFirst">>;
export type AppReadyArgs = Args<AppReadyInputs>;
export type AppLeftoversArgs = Args<AppLeftoversInputs>;
