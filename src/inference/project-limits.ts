import { connect, type Connection, type Quota } from "pulumi-ovh-ai-deploy";
import type { ModelSettings } from "../settings";
import type { ProjectLimits } from "./preflight";

/**
 * Asks OVHcloud what the project may use and holds, one look for each question and only for what the models need. Never
 * throws: a preview without network or credentials is still one.
 */
export async function findProjectLimits(
    projectId: string,
    models: Record<string, ModelSettings>,
): Promise<ProjectLimits> {
    const client = connected();
    const ask = async <T>(path: string): Promise<T | undefined> =>
        client?.glance<T>(`/cloud/project/${projectId}/ai/${path}`).catch(() => undefined);
    const stores = Object.values(models).flatMap(({ region, volumes, weights }) => [
        ...volumes.flatMap(({ dataStore }) => (dataStore ? [{ region, alias: dataStore.alias }] : [])),
        ...(weights ? [{ region, alias: weights.dataStore }] : []),
    ]);
    const [quota, dataStores, containers] = await Promise.all([
        ask<Quota>("capabilities/quota"),
        answers(
            stores,
            ({ region }) => region,
            ({ region }) => ask<{ alias: string }[]>(aliasPath(region)),
        ),
        answers(stores, storeKey, ({ region, alias }) =>
            ask<{ containers: string[] }>(`${aliasPath(region)}/${encodeURIComponent(alias)}/containers`),
        ),
    ]);
    return {
        gpus: gpusOf(quota),
        dataStores: (region) => listOf(dataStores.get(region))?.map(({ alias }) => alias),
        containers: (region, alias) => listOf(containers.get(storeKey({ region, alias }))?.containers),
    };
}

interface Store {
    region: string;
    alias: string;
}

const storeKey = ({ region, alias }: Store): string => `${region}/${alias}`;

function aliasPath(region: string): string {
    return `data/region/${encodeURIComponent(region)}/alias`;
}

function connected(): Connection["client"] | undefined {
    try {
        return connect().client;
    } catch {
        // Without credentials; those that cannot be used have been refused with the settings.
        return undefined;
    }
}

async function answers<T>(
    stores: Store[],
    keyOf: (store: Store) => string,
    ask: (store: Store) => Promise<T | undefined>,
): Promise<Map<string, T | undefined>> {
    const questions = new Map(stores.map((store) => [keyOf(store), store]));
    return new Map(await Promise.all([...questions].map(async ([key, store]) => [key, await ask(store)] as const)));
}

/** The structure of these answers is not published for sure; another one tells nothing. */
function listOf<T>(answer: T[] | undefined): T[] | undefined {
    return Array.isArray(answer) ? answer : undefined;
}

/**
 * OVHcloud publishes that a quota has a number for each "compute-type resource (e.g CPU/GPU)", not under which names. Only
 * a name that is GPU, however written, is taken for it.
 */
export function gpusOf(quota: Pick<Quota, "resources"> | undefined): number | undefined {
    const [, gpus] = Object.entries(quota?.resources ?? {}).find(([name]) => /^gpus?$/i.test(name)) ?? [];
    return typeof gpus === "number" ? gpus : undefined;
}
