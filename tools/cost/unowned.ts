import { listApps } from "../../packages/ai-deploy/src/app/list";
import { adoptionLabelName, type LiveApp } from "../../packages/ai-deploy/src/app/live";
import { billedReplicas, unitsOf } from "../../src/controller/unowned";
import { appPlanCode } from "../../src/prices/cost-items";
import { markOf, type CanaryMark } from "../canary/marks";
import type { PriceList } from "../../src/prices/price-list";

/** An app that is billed, and that is in the state of no stack. */
export interface UnownedApp {
    id: string;
    name: string;
    region: string;
    state: string;
    replicas: number;
    /** Undefined: no price. */
    perHour?: number;
    /** Whether a stack made it: one of another backend, or one that was removed without it. */
    marked: boolean;
    /** Of which model it is a canary, and until when. */
    canary?: Pick<CanaryMark, "of" | "until">;
}

/**
 * The apps of a project that are billed and that no stack owns.
 * @param get asks OVHcloud's API for a path
 * @param owned ids in the states of all stacks; asked for only where an app is billed
 */
export async function unownedApps(
    get: (path: string) => Promise<LiveApp[]>,
    projectId: string,
    owned: () => Promise<ReadonlySet<string>>,
    prices: PriceList,
): Promise<UnownedApp[]> {
    const billed = (await listApps(get, projectId)).filter((app) => billedReplicas(app) > 0 || isComing(app));
    if (billed.length === 0) return [];
    const known = await owned();
    return billed.filter(({ id }) => !known.has(id)).map((app) => unowned(app, prices));
}

/** A canary that will be billed as soon as there is a GPU. */
function isComing(app: LiveApp): boolean {
    return markOf(app) !== undefined && ["QUEUED", "INITIALIZING", "RUNNING", "SCALING"].includes(app.status.state);
}

function unowned(app: LiveApp, prices: PriceList): UnownedApp {
    const { id, spec, status } = app;
    const canary = markOf(app);
    const replicas = status.availableReplicas ?? 1;
    const price = prices.find(appPlanCode(spec.resources.flavor), spec.region);
    return {
        ...{ id, name: spec.name, region: spec.region, state: status.state, replicas },
        ...(price !== undefined && { perHour: price * 60 * unitsOf(app) * replicas }),
        ...(canary && { canary: { of: canary.of, until: canary.until } }),
        marked: Object.hasOwn(spec.labels ?? {}, adoptionLabelName),
    };
}

/** Ids of the apps in a stack's state, as `pulumi stack export` prints it; those that are still to be deleted included. */
export function appIdsIn(exported: string): string[] {
    const { deployment } = JSON.parse(exported) as {
        deployment?: { resources?: { outputs?: { appId?: unknown } }[] };
    };
    return (deployment?.resources ?? []).flatMap(({ outputs }) =>
        typeof outputs?.appId === "string" ? [outputs.appId] : [],
    );
}
