import type { AppInputs, DataStore, Probe, Volume } from "./args";

/** An app as OVHcloud writes it, and the labels that this package puts on it. */

/** The app as the API shows it, as far as this package reads it. */
export interface LiveApp {
    id: string;
    createdAt?: string;
    spec: {
        name: string;
        region: string;
        image: string;
        command?: string[] | null;
        defaultHttpPort?: number | null;
        grpcPort?: number | null;
        labels?: Record<string, string> | null;
        unsecureHttp?: boolean | null;
        envVars?: { name: string; value?: string | null }[] | null;
        volumes?: LiveVolume[] | null;
        livenessProbe?: Nullable<Probe> | null;
        probe?: Nullable<Probe> | null;
        resources: { flavor: string; flavorCount?: number | null; gpu?: number | null; cpu?: number | null };
        scalingStrategy?: { fixed?: Record<string, unknown> | null; automatic?: Record<string, unknown> | null } | null;
        deploymentStrategy?: Record<string, unknown> | null;
        partnerId?: string | null;
    };
    status: {
        state: AppState;
        availableReplicas?: number;
        url?: string | null;
        monitoringUrl?: string | null;
        lastTransitionDate?: string | null;
        history?: { date: string; state: AppState }[];
        dataSync?: unknown;
        info?: { code: string; message: string };
    };
}

export type AppState =
    | "QUEUED"
    | "INITIALIZING"
    | "SCALING"
    | "RUNNING"
    | "STANDBY"
    | "STOPPING"
    | "STOPPED"
    | "FAILED"
    | "ERROR"
    | "DELETING"
    | "DELETED";

/** On its way out, or gone. */
export const goingStates: AppState[] = ["DELETING", "DELETED"];
export const failedStates: AppState[] = ["FAILED", "ERROR"];
/** States in which nothing of an app runs, and nothing will by itself. */
export const downStates: AppState[] = ["STOPPED", "STOPPING", "FAILED", "ERROR"];
export const stoppableStates: AppState[] = ["RUNNING", "SCALING", "INITIALIZING", "QUEUED", "STANDBY"];

export type Nullable<T> = { [K in keyof T]?: T[K] | null };
type VolumeSource = NonNullable<Volume["volumeSource"]>;
/** As the API shows it; it may still use the deprecated flat form, where source and target lie beside the mount path. */
export type LiveVolume = Nullable<Omit<Volume, "mountPath" | "permission">> &
    Pick<Volume, "mountPath" | "permission"> &
    Nullable<VolumeSource> & {
        targetDataStore?: DataStore | null;
        container?: string | null;
        prefix?: string | null;
        region?: string | null;
    };

/** The label by which an app is found again. */
export const adoptionLabelName = "pulumi-adoption-id";
/** The label that tells what an app was made as, in what no call can change or take away: see `madeAs`. */
export const madeAsLabelName = "pulumi-made-as";

export function wantedLabels(inputs: Pick<AppInputs, "labels" | "adoptionLabel">): Record<string, string> {
    return { ...inputs.labels, [adoptionLabelName]: inputs.adoptionLabel };
}
