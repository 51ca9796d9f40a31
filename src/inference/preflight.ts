import { replicaRange } from "../hours/schedule";
import type { Fault, ModelSettings } from "../settings";
import { nearest, shellPath } from "../settings/formats";

type Models = Record<string, ModelSettings>;

/** What OVHcloud says of the project; what could not be learnt is `undefined`, and passes. */
export interface ProjectLimits {
    /** GPUs that all apps of the project may use at once. */
    gpus?: number;
    /** Aliases of the data stores of a region. */
    dataStores(region: string): string[] | undefined;
    /** Containers, or buckets, of a data store. */
    containers(region: string, alias: string): string[] | undefined;
}

/** What the platform would refuse or never do, though each setting is right by itself. */
export function preflightFaults(models: Models, limits: ProjectLimits): Fault[] {
    return Object.entries(models).flatMap(([name, model]) => [
        ...(limits.gpus === undefined ? [] : quotaFaults(name, model, models, limits.gpus)),
        ...volumeFaults(name, model, limits),
    ]);
}

/** What works most of the time, and then does not. */
export function preflightWarnings(models: Models, { gpus }: ProjectLimits): string[] {
    const most = total(models, (model) => replicaRange(model).max);
    if (gpus === undefined || most <= gpus) return [];
    return [
        `models: with as many replicas as they may have they use ${most} GPUs together, and the project may use ${gpus}: ` +
            `some would wait for a GPU then. Lower a replicas.max, or ${askForMore}`,
    ];
}

const askForMore = "ask OVHcloud's support for a higher quota";

/** Of models that run, the GPUs of so many replicas each. */
function total(models: Models, replicas: (model: ModelSettings) => number): number {
    const running = Object.values(models).filter(({ desiredState }) => desiredState === "RUNNING");
    return running.reduce((sum, model) => sum + model.gpus * replicas(model), 0);
}

function quotaFaults(name: string, model: ModelSettings, models: Models, quota: number): Fault[] {
    const { gpus, replicas, schedule, desiredState } = model;
    if (desiredState === "STOPPED") return [];
    const fault = (setting: string, value: number, right: number): Fault[] => {
        const key = `models.${name}.${setting}`;
        const way =
            right > 0
                ? `give at most ${right}: pulumi config set --path ${shellPath(key)} ${right}, or ${askForMore}`
                : askForMore;
        return [{ key, found: String(value), fix: `${way}: the project may use ${quota} GPUs at once` }];
    };
    const most = Math.floor(quota / gpus);
    if (most === 0) return fault("gpus", gpus, quota);
    if (replicas.min > most) return fault("replicas.min", replicas.min, most);
    if (replicas.max > most) return fault("replicas.max", replicas.max, most);
    const entry = schedule.findIndex(({ max }) => max > most);
    if (entry >= 0) return fault(`schedule[${entry}].max`, schedule[entry].max, most);
    // The models before it have had theirs.
    const names = Object.keys(models);
    const before = names.slice(0, names.indexOf(name)).map((other) => [other, models[other]] as const);
    const used = total(Object.fromEntries(before), (other) => other.replicas.min);
    if (used + gpus * replicas.min <= quota) return [];
    const left = Math.max(0, Math.floor((quota - used) / gpus));
    if (left > 0) return fault("replicas.min", replicas.min, left);
    const key = `models.${name}.desiredState`;
    const fix =
        `the models before it always use ${used} of the ${quota} GPUs that the project may use: pulumi config set --path ${key} ` +
        `STOPPED, or ${askForMore}`;
    return [{ key, found: JSON.stringify(desiredState), fix }];
}

function volumeFaults(name: string, { region, volumes, weights }: ModelSettings, limits: ProjectLimits): Fault[] {
    const at = `models.${name}`;
    return [
        ...volumes.flatMap(({ dataStore }, index) => {
            if (!dataStore) return [];
            const { alias, container } = dataStore;
            const key = `${at}.volumes[${index}].dataStore`;
            return storeFaults(region, { alias, container }, [`${key}.alias`, `${key}.container`], limits);
        }),
        ...(weights
            ? storeFaults(
                  region,
                  { alias: weights.dataStore, container: weights.container },
                  [`${at}.weights.dataStore`, `${at}.weights.container`],
                  limits,
              )
            : []),
    ];
}

/** Whether a data store is in the region, and has the container; by the keys that name them. */
function storeFaults(
    region: string,
    { alias, container }: { alias: string; container: string },
    [aliasKey, containerKey]: [string, string],
    limits: ProjectLimits,
): Fault[] {
    const aliases = limits.dataStores(region);
    if (aliases && !aliases.includes(alias)) {
        return [missing(aliasKey, alias, aliases, `the project has no data store in ${region}: make one first`)];
    }
    const containers = aliases && limits.containers(region, alias);
    if (!containers || containers.includes(container)) return [];
    return [missing(containerKey, container, containers, `the data store "${alias}" is empty: make it first`)];
}

/** Names that a message lists at most. */
const mostNamed = 10;

function missing(key: string, found: string, there: string[], none: string): Fault {
    const set = (value: string) => `pulumi config set --path '${key}' ${value}`;
    const guess = nearest(found, there);
    const others = there.slice(0, mostNamed).join(", ") + (there.length > mostNamed ? ", ..." : "");
    const fix = guess
        ? `did you mean ${set(guess)}`
        : there.length > 0
          ? `there are ${others}: ${set(there[0])}`
          : none;
    return { key, found: JSON.stringify(found), fix };
}
