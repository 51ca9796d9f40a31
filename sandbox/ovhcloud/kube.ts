import type { Handlers } from "./apps";
import { clusterHandlers, endCluster, settingHandlers } from "./kube-clusters";
import { flavorHandlers } from "./kube-flavors";
import { endPool, poolHandlers, scalePool } from "./kube-pools";
import { work, type KubeOptions } from "./kube-work";
import type { StoredCluster } from "./store";

/** Managed Kubernetes: the states and answers of the API; `mks` makes the real clusters. */
export function kubeHandlers(options: KubeOptions): Handlers {
    return {
        ...clusterHandlers(options),
        ...settingHandlers(options),
        ...poolHandlers(options),
        ...flavorHandlers(),
    };
}

/** Brings back every cluster of the state, and finishes what a restart interrupted. */
export function resumeClusters(options: KubeOptions): void {
    for (const stored of Object.values(options.store.state.clusters)) {
        const { cluster } = stored;
        if (cluster.status === "DELETING") endCluster(options, stored);
        else work(options, cluster, `cluster ${cluster.name}`, () => resumeCluster(options, stored));
    }
}

async function resumeCluster({ mks }: KubeOptions, stored: StoredCluster): Promise<void> {
    const { id, cluster, pools } = stored;
    // One that was not READY yet has nothing in it.
    if (cluster.status === "INSTALLING") {
        await mks.create(id, { name: cluster.name as string, version: cluster.version as string });
    } else {
        await mks.resume(id);
    }
    for (const pool of Object.values(pools)) {
        if (pool.status === "DELETING") {
            await endPool(mks, stored, pool);
        } else {
            await scalePool(mks, stored, pool);
            pool.status = "READY";
        }
    }
}
