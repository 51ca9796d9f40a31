/** Whether an app is as wanted, however OVHcloud writes it. */
import { createHash } from "crypto";
import { madeAsLabelName, wantedLabels, type LiveApp, type LiveVolume, type Nullable } from "./app-spec";
import type { AppInputs, DataStore, Probe, Resources, ScalingStrategy } from "./args";
import { hasUnknown, unknownValue } from "./unknown";
import { deepDropEmpty, dropEmpty, dropUndefined, entry, isMap, same } from "./values";

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
    const form = <T>(value: T, of: (known: T) => unknown): any => (hasUnknown(value) ? unknownValue : of(value));
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
export function isAsWanted(field: Field, is: Comparable, wanted: Comparable): boolean {
    return same(asFarAsAsked(field, is[field], wanted[field]), wanted[field]);
}

function asFarAsAsked(field: Field, is: unknown, wanted: unknown): unknown {
    if (field === "volumes" && Array.isArray(is) && Array.isArray(wanted)) {
        const mounts = is as { mountPath: string }[];
        return (wanted as { mountPath: string }[]).map((volume) =>
            restrict(
                mounts.find(({ mountPath }) => mountPath === volume.mountPath),
                volume,
            ),
        );
    }
    const added = ["livenessProbe", "readinessProbe", "scalingStrategy", "deploymentStrategy"].includes(field);
    return added ? restrict(is, wanted) : is;
}

/** A value with only the keys, at every depth, that another has too. */
function restrict(value: unknown, to: unknown): unknown {
    if (!isMap(value) || !isMap(to)) return value;
    const keys = Object.keys(value).filter((key) => Object.hasOwn(to, key));
    return Object.fromEntries(keys.map((key) => [key, restrict(value[key], to[key])]));
}

/**
 * A mark per field that can change, of how the platform writes it, to see later whether it was changed: comparing its
 * writing with its own is safe where comparing with ours would see differences of form. For that both must come from a GET
 * of the app by itself, since a list may write an app otherwise. The variables' values are left out: marks lie in the
 * state in clear.
 */
export function marksOf({ spec }: LiveApp): Record<string, string> {
    const { flavor, gpu, cpu } = spec.resources;
    const fields: Partial<Record<Field, unknown>> = {
        image: spec.image,
        flavor,
        gpu,
        cpu,
        command: spec.command,
        defaultHttpPort: spec.defaultHttpPort,
        grpcPort: spec.grpcPort,
        labels: ownLabels(spec.labels),
        envVars: (spec.envVars ?? []).map(({ name }) => name).sort(),
        livenessProbe: spec.livenessProbe,
        readinessProbe: spec.probe,
        scalingStrategy: spec.scalingStrategy,
        deploymentStrategy: spec.deploymentStrategy,
    };
    return Object.fromEntries(Object.entries(fields).map(([field, value]) => [field, shortHash(value)]));
}

/** Whether the platform writes a field as it did when the marks were taken: then nobody has changed it. */
export function isMarked(field: Field, live: LiveApp, marks: Record<string, string>, inputs: AppInputs): boolean {
    if (marks[field] !== marksOf(live)[field]) return false;
    // Marks do not hold the variables' values.
    return field !== "envVars" || sameValues(live, inputs.envVars ?? {});
}

/** Whether no variable that we know is shown with another value. */
function sameValues({ spec }: LiveApp, known: Record<string, string>): boolean {
    return Object.entries(liveEnv(spec.envVars, known)).every(
        ([name, value]) => (entry(known, name) ?? value) === value,
    );
}

/**
 * Value of the label that tells what an app was made as: a hash of what no call can change, then a letter for each
 * property that it has been given and that no call can take away. An interrupted creation finds its app by it, whatever
 * form the platform has given to the fields since.
 */
export function madeAs(inputs: AppInputs): string {
    const wanted = comparableInputs(inputs);
    const given = onlySettable.filter((field) => wanted[field] !== undefined);
    return madeAsValue(shortHash(immutable.map((field) => wanted[field] ?? null)), given);
}

/** The same after the app was given more of what cannot be taken away; undefined for an app without the label. */
export function madeAsNow(live: LiveApp, inputs: AppInputs): string | undefined {
    const { hash, given } = readMadeAs(live);
    if (hash === undefined) return undefined;
    const wanted = comparableInputs(inputs);
    return madeAsValue(
        hash,
        onlySettable.filter((field) => given.includes(field) || wanted[field] !== undefined),
    );
}

/** Whether calls of the API can turn an app into what is wanted. */
export function canBecome(live: LiveApp, inputs: AppInputs): boolean {
    const wanted = comparableInputs(inputs);
    const { hash, given } = readMadeAs(live);
    if (hash !== undefined) {
        return madeAs(inputs).startsWith(hash) && given.every((field) => wanted[field] !== undefined);
    }
    return couldBecome(live, inputs);
}

/** The same by the fields alone, for an app that was made elsewhere. */
export function couldBecome(live: LiveApp, inputs: AppInputs): boolean {
    const is = comparableLive(live, inputs);
    const wanted = comparableInputs(inputs);
    return (
        immutable.every((field) => isAsWanted(field, is, wanted)) &&
        !(live.spec.livenessProbe && !inputs.livenessProbe) &&
        !(live.spec.probe && !inputs.readinessProbe) &&
        !(live.spec.grpcPort && !inputs.grpcPort)
    );
}

const letters = Object.fromEntries(onlySettable.map((field) => [field, field[0]]));

function madeAsValue(hash: string, given: Field[]): string {
    return hash + given.map((field) => letters[field]).join("");
}

function readMadeAs({ spec }: LiveApp): { hash?: string; given: Field[] } {
    const [, hash, said = ""] = /^([0-9a-f]{8})([a-z]*)$/.exec(spec.labels?.[madeAsLabelName] ?? "") ?? [];
    return { hash, given: onlySettable.filter((field) => said.includes(letters[field])) };
}

function shortHash(value: unknown): string {
    return createHash("sha256")
        .update(JSON.stringify(canonical(value)) ?? "")
        .digest("hex")
        .slice(0, 8);
}

/** Without empty values, keys in order. */
function canonical(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(canonical);
    if (!isMap(value)) return value ?? null;
    const entries = Object.entries(dropEmpty(value)).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(entries.map(([key, inner]) => [key, canonical(inner)]));
}

/** The labels without the platform's own and the one that is ours alone. */
function ownLabels(labels: Record<string, string> | null | undefined): Record<string, string> {
    const own = Object.entries(labels ?? {}).filter(([name]) => !name.startsWith("ovh/") && name !== madeAsLabelName);
    return Object.fromEntries(own);
}

/** A variable whose value the API does not show (no variable is empty) counts as unchanged. */
function liveEnv(live: LiveApp["spec"]["envVars"], known: Record<string, string>): Record<string, string> {
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

function scalingOf(strategy: ScalingStrategy | LiveApp["spec"]["scalingStrategy"]): object {
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

function deploymentOf(strategy: object | null | undefined): object | undefined {
    return strategy ? { terminationGracePeriodSeconds: 30, ...dropEmpty(strategy) } : undefined;
}

/** By mount path; only what a user can set. Without a source, or with an empty one, a volume is standalone. */
function volumesOf(volumes: LiveVolume[] | null | undefined): object[] {
    return (volumes ?? [])
        .map(({ mountPath, permission, cache, volumeSource, volumeTarget, ...flat }) => {
            const { standalone, dataStore, publicGit, publicSwift, targetDataStore, container, prefix, region } = flat;
            const old = container ? { alias: region ?? "", container, prefix: prefix ?? undefined } : undefined;
            const sources = [volumeSource, { standalone, dataStore: dataStore ?? old, publicGit, publicSwift }];
            const [source = { standalone: {} }] = sources
                .map((one) => sourceOf(one ?? {}))
                .filter((one) => Object.keys(one).length > 0);
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
