import { createHash } from "crypto";
import type { AppInputs, DataStore, Probe, Resources, ScalingStrategy, Volume } from "./args";
import { hasUnknown, unknownValue } from "./unknown";

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

type Nullable<T> = { [K in keyof T]?: T[K] | null };
type VolumeSource = NonNullable<Volume["volumeSource"]>;
/** As the API shows it; it may still use the deprecated flat form, where source and target lie beside the mount path. */
type LiveVolume = Nullable<Omit<Volume, "mountPath" | "permission">> &
    Pick<Volume, "mountPath" | "permission"> &
    Nullable<VolumeSource> & { targetDataStore?: DataStore | null };

/** The label by which an app is found again. */
export const adoptionLabelName = "pulumi-adoption-id";

/** Body of `POST /ai/app`. */
export function createBody(inputs: AppInputs): object {
    return dropUndefined({
        name: inputs.name,
        region: inputs.region,
        image: inputs.image,
        resources: inputs.resources,
        command: inputs.command,
        defaultHttpPort: inputs.defaultHttpPort,
        grpcPort: inputs.grpcPort,
        labels: wantedLabels(inputs),
        unsecureHttp: inputs.unsecureHttp ?? false,
        envVars: Object.entries(inputs.envVars ?? {}).map(([name, value]) => ({ name, value })),
        volumes: inputs.volumes,
        livenessProbe: inputs.livenessProbe,
        probe: inputs.readinessProbe,
        scalingStrategy: inputs.scalingStrategy,
        deploymentStrategy: inputs.deploymentStrategy,
        partnerId: inputs.partnerId,
    });
}

export function wantedLabels(inputs: Pick<AppInputs, "labels" | "adoptionLabel">): Record<string, string> {
    return { ...inputs.labels, [adoptionLabelName]: inputs.adoptionLabel };
}

/**
 * Every field of an app in one comparable form: the API's defaults filled in, order without meaning removed, the
 * platform's own additions (computed resources, `ovh/...` labels, volume ids) left out.
 */
export interface Comparable {
    name: string;
    region: string;
    image: string;
    flavor: string;
    /** GPUs or CPUs per replica, whichever the inputs name; read back, the API gives both. */
    gpu?: number;
    cpu?: number;
    flavorCount?: number;
    command: string[];
    defaultHttpPort: number;
    grpcPort?: number;
    labels: Record<string, string>;
    unsecureHttp: boolean;
    envVars: Record<string, string>;
    volumes: object[];
    livenessProbe?: object;
    readinessProbe?: object;
    scalingStrategy: object;
    deploymentStrategy?: object;
    partnerId?: string;
}

/** A property that holds a value unknown in preview compares as unknown, and so as different from every other. */
export function comparableInputs(inputs: AppInputs): Comparable {
    const form = <T>(value: T, of: (known: T) => unknown): any => (hasUnknown(value) ? unknownValue : of(value));
    const port = inputs.defaultHttpPort ?? 8080;
    // Unknown as a whole, it may still turn out to be a change in place: only a known flavorCount can force more.
    const resources =
        (inputs.resources as unknown) === unknownValue ? ({ flavor: unknownValue } as Resources) : inputs.resources;
    return dropUndefined({
        name: inputs.name,
        region: inputs.region,
        image: inputs.image,
        flavor: resources.flavor,
        gpu: resources.gpu,
        cpu: resources.cpu,
        flavorCount: resources.flavorCount,
        command: form(inputs.command, (command) => command ?? []),
        defaultHttpPort: port,
        grpcPort: inputs.grpcPort,
        labels: form(inputs.labels, () => wantedLabels(inputs)),
        unsecureHttp: inputs.unsecureHttp ?? false,
        envVars: form(inputs.envVars, (variables) => variables ?? {}),
        volumes: form(inputs.volumes, volumesOf),
        livenessProbe: form(inputs.livenessProbe, (probe) => probeOf(probe, port)),
        readinessProbe: form(inputs.readinessProbe, (probe) => probeOf(probe, port)),
        scalingStrategy: form(inputs.scalingStrategy, scalingOf),
        deploymentStrategy: form(inputs.deploymentStrategy, deploymentOf),
        partnerId: inputs.partnerId,
    });
}

/**
 * The same of an app as it is. `inputs` tells which of several equal forms the user chose, and what the user leaves to
 * the platform, whose choice there is no difference.
 */
export function comparableLive({ spec }: LiveApp, inputs: AppInputs): Comparable {
    const port = spec.defaultHttpPort ?? 8080;
    const ours = <T>(name: keyof AppInputs, value: T): T | undefined =>
        inputs[name] === undefined ? undefined : value;
    return dropUndefined({
        name: spec.name,
        region: spec.region,
        image: spec.image,
        flavor: spec.resources.flavor,
        gpu: inputs.resources.gpu === undefined ? undefined : (spec.resources.gpu ?? undefined),
        // For a CPU flavor the platform gives the CPUs of all units; it is ours to change, so ours is compared.
        cpu: inputs.resources.cpu,
        flavorCount:
            inputs.resources.flavorCount === undefined
                ? undefined
                : (spec.resources.flavorCount ?? spec.resources.gpu ?? undefined),
        command: spec.command ?? [],
        defaultHttpPort: port,
        grpcPort: ours("grpcPort", spec.grpcPort ?? undefined),
        labels: ownLabels(spec.labels),
        unsecureHttp: spec.unsecureHttp ?? false,
        envVars: liveEnv(spec.envVars, inputs.envVars ?? {}),
        volumes: volumesOf(spec.volumes),
        livenessProbe: ours("livenessProbe", probeOf(spec.livenessProbe, port)),
        readinessProbe: ours("readinessProbe", probeOf(spec.probe, port)),
        scalingStrategy: scalingOf(spec.scalingStrategy),
        deploymentStrategy: ours("deploymentStrategy", deploymentOf(spec.deploymentStrategy)),
        partnerId: ours("partnerId", spec.partnerId ?? undefined),
    });
}

/**
 * A mark of an app's fields as the platform writes them, to see later whether they were changed. Comparing its writing
 * with its own is safe where comparing with ours would see differences of form. The variables' values are left out, since
 * the mark lies in the state in clear.
 */
export function fingerprint({ spec }: LiveApp): string {
    const { flavor, flavorCount, gpu, cpu } = spec.resources;
    const fields = {
        ...spec,
        labels: ownLabels(spec.labels),
        envVars: (spec.envVars ?? []).map(({ name }) => name).sort(),
        volumes: volumesOf(spec.volumes),
        resources: { flavor, flavorCount, gpu, cpu },
    };
    return createHash("sha256")
        .update(JSON.stringify(canonical(fields)))
        .digest("hex")
        .slice(0, 16);
}

/** Without empty values, keys in order. */
function canonical(value: unknown): unknown {
    if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
    const entries = Object.entries(dropEmpty(value)).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(entries.map(([key, inner]) => [key, canonical(inner)]));
}

/** Whether the platform shows other variables than these. One whose value it does not show counts as unchanged. */
export function sameEnv({ spec }: LiveApp, known: Record<string, string> = {}): boolean {
    return same(liveEnv(spec.envVars, known), known);
}

function ownLabels(labels: Record<string, string> | null | undefined): Record<string, string> {
    return Object.fromEntries(Object.entries(labels ?? {}).filter(([name]) => !name.startsWith("ovh/")));
}

/** A variable whose value the API does not show counts as unchanged. */
function liveEnv(live: LiveApp["spec"]["envVars"], known: Record<string, string>): Record<string, string> {
    return Object.fromEntries((live ?? []).map(({ name, value }) => [name, value ?? known[name] ?? ""]));
}

function probeOf(probe: Nullable<Probe> | null | undefined, port: number): object | undefined {
    if (!probe) return undefined;
    const defaults = {
        path: "/",
        port,
        initialDelaySeconds: 0,
        periodSeconds: 10,
        timeoutSeconds: 1,
        failureThreshold: 3,
        successThreshold: 1,
    };
    return { ...defaults, ...dropEmpty(probe) };
}

function scalingOf(strategy: ScalingStrategy | LiveApp["spec"]["scalingStrategy"]): object {
    if (!strategy?.automatic) return { fixed: strategy?.fixed ? dropEmpty(strategy.fixed) : { replicas: 1 } };
    const { customMetrics, ...rest } = dropEmpty(strategy.automatic) as Record<string, unknown>;
    return {
        automatic: {
            scaleUpStabilizationWindowSeconds: 0,
            scaleDownStabilizationWindowSeconds: 300,
            ...rest,
            ...(customMetrics ? { customMetrics: dropEmpty(customMetrics) } : {}),
        },
    };
}

function deploymentOf(strategy: object | null | undefined): object | undefined {
    return strategy ? { terminationGracePeriodSeconds: 30, ...dropEmpty(strategy) } : undefined;
}

/** By mount path; only what a user can set. */
function volumesOf(volumes: LiveVolume[] | null | undefined): object[] {
    return (volumes ?? [])
        .map(({ mountPath, permission, cache, volumeSource, volumeTarget, ...flat }) => {
            const { standalone, dataStore, publicGit, publicSwift, targetDataStore } = flat;
            const source = deepDropEmpty(volumeSource ?? { standalone, dataStore, publicGit, publicSwift });
            const target = deepDropEmpty(volumeTarget ?? { targetDataStore });
            return dropEmpty({
                mountPath,
                permission,
                cache: cache ? true : undefined,
                volumeSource: Object.keys(source).length > 0 ? source : undefined,
                volumeTarget: Object.keys(target).length > 0 ? target : undefined,
            });
        })
        .sort((a, b) => (a as Volume).mountPath.localeCompare((b as Volume).mountPath));
}

/** Without null and undefined: the API takes and gives them as absent. */
export function dropEmpty<T extends object>(value: T): T {
    return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== null && v !== undefined)) as T;
}

function deepDropEmpty(value: object): object {
    const clean = (v: unknown): unknown =>
        v !== null && typeof v === "object" && !Array.isArray(v) ? deepDropEmpty(v) : v;
    return Object.fromEntries(Object.entries(dropEmpty(value)).map(([k, v]) => [k, clean(v)]));
}

function dropUndefined<T extends object>(value: T): T {
    return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T;
}

/** Equality of JSON values, whatever the order of keys. */
export function same(a: unknown, b: unknown): boolean {
    if (a === b) return true;
    if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
    if (Array.isArray(a) !== Array.isArray(b)) return false;
    const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
    return [...keys].every((key) => same((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}
