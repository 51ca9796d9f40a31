/** Apps of the project that are billed and that no stack has made: what no scrape and no other alert tells of. */
import { listApps } from "../../packages/ai-deploy/src/app/list";
import { adoptionLabelName, type LiveApp } from "../../packages/ai-deploy/src/app/live";

/** What one GPU of a flavor costs; of a flavor without GPUs one CPU. */
export interface UnitPrice {
    flavor: string;
    region: string;
    eurosPerHour: number;
}

export interface UnownedApp {
    id: string;
    name: string;
    region: string;
    flavor: string;
    replicas: number;
    /** Of all its replicas; undefined: no price is known. */
    eurosPerHour?: number;
}

/** Billed are available replicas, in these states (OVHcloud's documentation of AI Deploy). */
const billedStates = ["RUNNING", "SCALING"];

/** Replicas that are billed now. */
export function billedReplicas({ status }: Pick<LiveApp, "status">): number {
    return billedStates.includes(status.state) ? (status.availableReplicas ?? 1) : 0;
}

/** GPUs of a replica, or CPUs of one without: what its flavor's price is for. */
export function unitsOf({ spec }: Pick<LiveApp, "spec">): number {
    return spec.resources.gpu || spec.resources.cpu || 1;
}

/**
 * By the label that the provider puts on every app that it makes or takes over, before the app runs: those of other stacks of the
 * project bear it too, and so do canaries.
 * @param get asks OVHcloud's API for a path
 */
export async function findUnowned(
    get: (path: string) => Promise<LiveApp[]>,
    projectId: string,
    prices: UnitPrice[],
): Promise<UnownedApp[]> {
    const apps = await listApps(get, projectId);
    return apps.flatMap((app) => {
        const replicas = billedReplicas(app);
        if (replicas === 0 || app.spec.labels?.[adoptionLabelName]) return [];
        const { name, region, resources } = app.spec;
        const price = prices.find((one) => one.flavor === resources.flavor && one.region === region);
        const eurosPerHour = price && price.eurosPerHour * unitsOf(app) * replicas;
        return [{ id: app.id, name, region, flavor: resources.flavor, replicas, eurosPerHour }];
    });
}
