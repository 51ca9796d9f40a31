/** One form for what is wanted of an app and for what there is, however OVHcloud writes it. */
import { madeAsLabelName, wantedLabels, type LiveApp, type LiveVolume, type Nullable } from "./live";
import type { AppInputs, DataStore, Probe, Resources, ScalingStrategy } from "./args";
import { shortHash } from "../values/hash";
import { hasUnknown, unknownValue } from "../values/unknown";
import { deepDropEmpty, dropEmpty, dropUndefined, entry, isMap, same } from "../values/json";

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

export type Field = keyof Comparable;

/** What no call of the API can change in an app that exists. */
export const immutable: Field[] = ["name", "region", "volumes", "unsecureHttp", "partnerId", "flavorCount"];

/** What the API can set, but not take away again. */
export const onlySettable: Field[] = ["livenessProbe", "readinessProbe", "grpcPort", "deploymentStrategy"];

/** A property that holds a value unknown in preview compares as unknown, and so as different from every other. */
export function comparableInputs(inputs: AppInputs): Comparable {
    const form = <T>(value: T, normalize: (known: T) => unknown): any =>
        hasUnknown(value) ? unknownValue : normalize(value);
    const port = inputs.defaultHttpPort ?? 8080;
    // Unknown as a whole, it may still turn out to be a change in place: only a known flavorCount can force more.
    const resources =
        (inputs.resources as unknown) === unknownValue ? ({ flavor: unknownValue } as Resources) : inputs.resources;
    return dropUndefined({
        name: inputs.name,
        region: form(inputs.region, regionOf),
        image: form(inputs.image, imageOf),
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
        scalingStrategy: form([inputs.scalingStrategy, inputs.otherScalings], () => scalingsOf(inputs)),
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
    const { gpu, flavorCount } = inputs.resources;
    const units = (...forms: (number | null | undefined)[]): number | undefined => forms.find(Boolean) ?? undefined;
    const ours = <T>(name: keyof AppInputs, value: T): T | undefined =>
        inputs[name] === undefined ? undefined : value;
    return dropUndefined({
        name: spec.name,
        region: regionOf(spec.region),
        image: imageOf(spec.image),
        flavor: spec.resources.flavor,
        gpu: gpu === undefined ? undefined : units(spec.resources.gpu, spec.resources.flavorCount),
        // For a CPU flavor the platform gives the CPUs of all units; it is ours to change, so ours is compared.
        cpu: inputs.resources.cpu,
        flavorCount: flavorCount === undefined ? undefined : units(spec.resources.flavorCount, spec.resources.gpu),
        command: spec.command ?? [],
        defaultHttpPort: port,
        grpcPort: ours("grpcPort", spec.grpcPort || undefined),
        labels: ownLabels(spec.labels),
        unsecureHttp: spec.unsecureHttp ?? false,
        envVars: liveEnv(spec.envVars, inputs.envVars ?? {}),
        volumes: volumesOf(spec.volumes),
        livenessProbe: ours("livenessProbe", probeOf(spec.livenessProbe, port)),
        readinessProbe: ours("readinessProbe", probeOf(spec.probe, port)),
        scalingStrategy: scalingOf(spec.scalingStrategy),
        deploymentStrategy: ours("deploymentStrategy", deploymentOf(spec.deploymentStrategy)),
        partnerId: ours("partnerId", spec.partnerId || undefined),
    });
}

/** Whether a field is as wanted, as far as the user asks: what the platform adds to it is no difference. */
export function isAsWanted(field: Field, actual: Comparable, wanted: Comparable): boolean {
    if (field === "scalingStrategy" && isOneOf(wanted.scalingStrategy)) {
        return wanted.scalingStrategy.oneOf.some((one) => same(restrict(actual.scalingStrategy, one), one));
    }
    return same(asFarAsAsked(field, actual[field], wanted[field]), wanted[field]);
}

function asFarAsAsked(field: Field, actual: unknown, wanted: unknown): unknown {
    if (field === "volumes" && Array.isArray(actual) && Array.isArray(wanted)) {
        const mounts = actual as { mountPath: string }[];
        return (wanted as { mountPath: string }[]).map((volume) =>
            restrict(
                mounts.find(({ mountPath }) => mountPath === volume.mountPath),
                volume,
            ),
        );
    }
    const added = ["livenessProbe", "readinessProbe", "scalingStrategy", "deploymentStrategy"].includes(field);
    return added ? restrict(actual, wanted) : actual;
}

/** A value with only the keys, at every depth, that another has too. */
function restrict(value: unknown, to: unknown): unknown {
    if (!isMap(value) || !isMap(to)) return value;
    const keys = Object.keys(value).filter((key) => Object.hasOwn(to, key));
    return Object.fromEntries(keys.map((key) => [key, restrict(value[key], to[key])]));
}

/** The labels without the platform's own and the one that is ours alone. */
export function ownLabels(labels: Record<string, string> | null | undefined): Record<string, string> {
    const own = Object.entries(labels ?? {}).filter(([name]) => !name.startsWith("ovh/") && name !== madeAsLabelName);
    return Object.fromEntries(own);
}

/** A variable whose value the API does not show (no variable is empty) counts as unchanged. */
export function liveEnv(live: LiveApp["spec"]["envVars"], known: Record<string, string>): Record<string, string> {
    const shown = (value: string | null | undefined): boolean => Boolean(value) && !/^\*+$/.test(value!);
    const entries = (live ?? []).map(({ name, value }) => [name, shown(value) ? value! : (entry(known, name) ?? "")]);
    return Object.fromEntries(entries) as Record<string, string>;
}

function regionOf(region: string): string {
    return region.toUpperCase();
}

/** An image without the registry and owner that a short name means. */
function imageOf(image: string): string {
    return image.replace(/^(index\.)?docker\.io\//, "").replace(/^library\//, "");
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

export function scalingOf(strategy: ScalingStrategy | LiveApp["spec"]["scalingStrategy"]): object {
    if (!strategy?.automatic) return { fixed: strategy?.fixed ? dropEmpty(strategy.fixed) : { replicas: 1 } };
    const { customMetrics, resourceType, averageUsageTarget, ...rest } = deepDropEmpty(strategy.automatic);
    return {
        automatic: {
            scaleUpStabilizationWindowSeconds: 0,
            scaleDownStabilizationWindowSeconds: 300,
            ...rest,
            // The two ways exclude each other; the platform may fill in the default of the other.
            ...(customMetrics ? { customMetrics } : dropUndefined({ resourceType, averageUsageTarget })),
        },
    };
}

/** Several strategies of which any will do: in one order, since none comes first. */
interface OneOf {
    oneOf: object[];
}

function isOneOf(strategy: unknown): strategy is OneOf {
    return isMap(strategy) && Array.isArray(strategy.oneOf);
}

function scalingsOf({ scalingStrategy, otherScalings = [] }: AppInputs): object {
    const all = new Map([scalingStrategy, ...otherScalings].map(scalingOf).map((one) => [shortHash(one), one]));
    if (all.size === 1) return [...all.values()][0];
    return { oneOf: [...all.keys()].sort().map((key) => all.get(key)!) } satisfies OneOf;
}

/**
 * The strategy to give an app: of those that will do the one with the limits that it has, and so the one that was last
 * chosen elsewhere.
 */
export function scalingFor({ spec }: LiveApp, inputs: AppInputs): ScalingStrategy {
    const wanted = inputs.scalingStrategy ?? { fixed: { replicas: 1 } };
    const limits = (strategy: ScalingStrategy | LiveApp["spec"]["scalingStrategy"]): unknown => {
        const { replicasMin, replicasMax } = strategy?.automatic ?? {};
        return [strategy?.fixed?.replicas ?? null, replicasMin ?? null, replicasMax ?? null];
    };
    const kept = (inputs.otherScalings ?? []).find((one) => same(limits(one), limits(spec.scalingStrategy)));
    return kept ?? wanted;
}

function deploymentOf(strategy: object | null | undefined): object | undefined {
    return strategy ? { terminationGracePeriodSeconds: 30, ...dropEmpty(strategy) } : undefined;
}

/** By mount path; only what a user can set. Without a source, or with an empty one, a volume is standalone. */
export function volumesOf(volumes: LiveVolume[] | null | undefined): object[] {
    return (volumes ?? [])
        .map(({ mountPath, permission, cache, volumeSource, volumeTarget, ...flat }) => {
            const { standalone, dataStore, publicGit, publicSwift, targetDataStore, container, prefix, region } = flat;
            const old = container ? { alias: region ?? "", container, prefix: prefix ?? undefined } : undefined;
            const sources = [volumeSource, { standalone, dataStore: dataStore ?? old, publicGit, publicSwift }];
            const [source = { standalone: {} }] = sources
                .map((given) => sourceOf(given ?? {}))
                .filter((normal) => Object.keys(normal).length > 0);
            const target = volumeTarget?.targetDataStore ?? targetDataStore;
            return dropUndefined({
                mountPath: withoutSlashes(mountPath),
                permission,
                cache: cache ? true : undefined,
                volumeSource: source,
                volumeTarget: target ? { targetDataStore: dataStoreOf(target) } : undefined,
            });
        })
        .sort((a, b) => (a.mountPath < b.mountPath ? -1 : 1));
}

function sourceOf({ standalone, dataStore, publicGit, publicSwift }: LiveVolumeSource): object {
    return dropUndefined({
        standalone: standalone ? dropEmpty({ name: standalone.name || undefined }) : undefined,
        dataStore: dataStore ? dataStoreOf(dataStore) : undefined,
        publicGit: publicGit ? { url: withoutSlashes(publicGit.url) } : undefined,
        publicSwift: publicSwift ? { url: withoutSlashes(publicSwift.url) } : undefined,
    });
}

type LiveVolumeSource = Pick<LiveVolume, "standalone" | "dataStore" | "publicGit" | "publicSwift">;

function dataStoreOf({ alias, container, prefix, archive, internal }: Nullable<DataStore>): object {
    return dropUndefined({
        alias,
        container,
        prefix: prefix || undefined,
        archive: archive || undefined,
        internal: internal ? true : undefined,
    });
}

function withoutSlashes(path: string): string {
    return path.replace(/(.)\/+$/, "$1");
}
