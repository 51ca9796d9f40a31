import type { Handlers } from "./apps";
import { clusterHandlers, settingHandlers } from "./kube-clusters";
import { flavorHandlers } from "./kube-flavors";
import { inMks, poolHandlers } from "./kube-pools";
import type { KubeOptions } from "./kube-work";

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
export function resumeClusters({ store, mks, log }: KubeOptions): void {
    for (const { id, cluster, pools } of Object.values(store.state.clusters)) {
        if (cluster.status === "DELETING") {
            void mks.delete(id).then(() => {
                delete store.state.clusters[id];
                store.save();
            });
            continue;
        }
        const resumed =
            cluster.status === "INSTALLING"
                ? mks.create(id, { name: cluster.name as string, version: cluster.version as string })
                : mks.resume(id);
        resumed
            .then(async () => {
                for (const pool of Object.values(pools)) {
                    await mks.scale(id, inMks(pool));
                    pool.status = "READY";
                }
                cluster.status = "READY";
                store.save();
            })
            .catch((error: unknown) => {
                cluster.status = "ERROR";
                store.save();
                log(`cluster ${cluster.name} does not come back: ${(error as Error).message}`);
            });
    }
}
