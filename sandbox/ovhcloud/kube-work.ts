import { entry } from "../../packages/ai-deploy/src/values/json";
import type { Call } from "./apps";
import { conflict, notFound } from "./api-error";
import type { ManagedKubernetes } from "./mks";
import type { Store, StoredCluster } from "./store";

export interface KubeOptions {
    store: Store;
    mks: ManagedKubernetes;
    projectId: string;
    /** Platform seconds per real second. */
    speed: () => number;
    log: (line: string) => void;
}

/** An object of the API. */
export type Fields = Record<string, any>;

/** The cluster that the call names. Throws an ApiError 404. */
export function find(store: Store, { path }: Call): StoredCluster {
    const found = entry(store.state.clusters, path.kubeId);
    if (!found) throw notFound(`cluster ${path.kubeId} does not exist`);
    return found;
}

/** The same, ready for changes. Throws an ApiError 409 otherwise. */
export function ready(store: Store, call: Call): StoredCluster {
    const stored = find(store, call);
    if (stored.cluster.status !== "READY") throw conflict(`cluster ${stored.id} is ${stored.cluster.status}`);
    return stored;
}

/** Does the real work in the background and shows in `status` how it ended. */
export function work(
    { store, log }: Pick<KubeOptions, "store" | "log">,
    what: Fields,
    title: string,
    doing: () => Promise<void>,
): void {
    const begun = what.status as unknown;
    doing().then(
        () => {
            // Something that is being deleted meanwhile does not come back to life.
            if (begun === what.status && begun !== "DELETING") what.status = "READY";
            what.updatedAt = new Date().toISOString();
            store.save();
            log(`${title}: ${what.status}`);
        },
        (error: unknown) => {
            what.status = "ERROR";
            store.save();
            log(`${title}: ERROR, ${(error as Error).message}`);
        },
    );
}
