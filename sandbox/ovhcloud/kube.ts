import { randomBytes, randomUUID } from "node:crypto";
import type { Call, Handlers } from "./apps";
import { badRequest, conflict, notFound } from "./api-error";
import type { ManagedKubernetes } from "./mks";
import type { Store, StoredCluster } from "./store";

/** Regions of the Free plan (OVHcloud documentation of 2026-02). */
const regions = ["GRA5", "GRA7", "GRA9", "GRA11", "SBG5", "DE1", "UK1", "WAW1", "BHS5", "SGP1", "SYD1"];
const newestVersion = "1.34";

export interface KubeOptions {
    store: Store;
    mks: ManagedKubernetes;
    projectId: string;
    log: (line: string) => void;
}

/** Managed Kubernetes: the states and answers of the API; `mks` makes the real clusters. */
export function kubeHandlers({ store, mks, projectId, log }: KubeOptions): Handlers {
    const find = ({ path }: Call): StoredCluster => {
        const found = store.state.clusters[path.kubeId];
        if (!found) throw notFound(`cluster ${path.kubeId} does not exist`);
        return found;
    };
    const findPool = (call: Call): Record<string, any> => {
        const pool = find(call).pools[call.path.nodePoolId];
        if (!pool) throw notFound(`node pool ${call.path.nodePoolId} does not exist`);
        return pool;
    };
    const ready = (call: Call): StoredCluster => {
        const stored = find(call);
        if (stored.cluster.status !== "READY") throw conflict(`cluster ${stored.id} is ${stored.cluster.status}`);
        return stored;
    };
    /** Does the real work in the background and shows in `status` how it ended. */
    const work = (what: Record<string, any>, title: string, doing: () => Promise<void>): void => {
        doing().then(
            () => {
                if (what.status !== "DELETING") what.status = "READY";
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
    };
    const scale = (stored: StoredCluster, pool: Record<string, any>): Promise<void> =>
        mks
            .scale(stored.id, {
                id: pool.id as string,
                name: pool.name as string,
                flavor: pool.flavor as string,
                nodes: pool.desiredNodes as number,
            })
            .then(() => {
                pool.currentNodes = pool.availableNodes = pool.upToDateNodes = pool.desiredNodes;
            });

    return {
        "GET /kube": () => Object.keys(store.state.clusters),
        "POST /kube": ({ body }) => {
            if (!regions.includes(body.region as string)) {
                throw badRequest(`region ${body.region} does not exist; there are ${regions.join(", ")}`);
            }
            const now = new Date().toISOString();
            const id = randomUUID();
            const cluster: Record<string, any> = {
                id,
                name: body.name ?? `cluster-${randomBytes(3).toString("hex")}`,
                region: body.region,
                version: `${body.version ?? newestVersion}.4-0`,
                plan: body.plan ?? "free",
                updatePolicy: body.updatePolicy ?? "ALWAYS_UPDATE",
                kubeProxyMode: body.kubeProxyMode ?? "iptables",
                privateNetworkId: body.privateNetworkId ?? null,
                nodesSubnetId: body.nodesSubnetId ?? null,
                loadBalancersSubnetId: body.loadBalancersSubnetId ?? null,
                privateNetworkConfiguration: body.privateNetworkConfiguration ?? null,
                ipAllocationPolicy: body.ipAllocationPolicy ?? null,
                customization: body.customization ?? null,
                nextUpgradeVersions: [],
                auditLogsSubscribed: false,
                controlPlaneIsUpToDate: true,
                isUpToDate: true,
                nodesUrl: `${id.slice(0, 8)}.nodes.example.invalid`,
                url: `${id.slice(0, 8)}.example.invalid`,
                status: "INSTALLING",
                createdAt: now,
                updatedAt: now,
            };
            store.state.clusters[id] = { id, cluster, pools: {} };
            store.save();
            work(cluster, `cluster ${cluster.name}`, () =>
                mks.create(id, { name: cluster.name as string, version: cluster.version as string }),
            );
            return cluster;
        },
        "GET /kube/{kubeId}": (call) => find(call).cluster,
        "PUT /kube/{kubeId}": (call) => {
            const { cluster } = ready(call);
            Object.assign(cluster, call.body);
            store.save();
        },
        "DELETE /kube/{kubeId}": (call) => {
            const { id, cluster } = find(call);
            if (cluster.status === "DELETING") return;
            cluster.status = "DELETING";
            store.save();
            work(cluster, `cluster ${cluster.name}`, async () => {
                await mks.delete(id);
                delete store.state.clusters[id];
            });
        },
        "POST /kube/{kubeId}/kubeconfig": async (call) => ({ content: await mks.kubeconfig(ready(call).id) }),
        "GET /kube/{kubeId}/nodepool": (call) => Object.values(find(call).pools),
        "POST /kube/{kubeId}/nodepool": (call) => {
            const stored = ready(call);
            const { body } = call;
            const name = (body.name ?? `nodepool-${randomBytes(3).toString("hex")}`) as string;
            if (name.includes("_")) throw badRequest(`node pool name ${name}: _ is not allowed`);
            if (Object.values(stored.pools).some((pool) => pool.name === name)) {
                throw conflict(`node pool ${name} exists already`);
            }
            const now = new Date().toISOString();
            const pool: Record<string, any> = {
                id: randomUUID(),
                projectId,
                name,
                flavor: body.flavorName,
                desiredNodes: body.desiredNodes ?? 1,
                minNodes: body.minNodes ?? 0,
                maxNodes: body.maxNodes ?? 100,
                autoscale: body.autoscale ?? false,
                antiAffinity: body.antiAffinity ?? false,
                monthlyBilled: body.monthlyBilled ?? false,
                attachFloatingIps: body.attachFloatingIps ?? null,
                availabilityZones: body.availabilityZones ?? null,
                autoscaling: body.autoscaling ?? {
                    scaleDownUnneededTimeSeconds: 600,
                    scaleDownUnreadyTimeSeconds: 1200,
                    scaleDownUtilizationThreshold: 0.5,
                },
                template: body.template ?? {
                    metadata: { annotations: {}, finalizers: [], labels: {} },
                    spec: { taints: [], unschedulable: false },
                },
                currentNodes: 0,
                availableNodes: 0,
                upToDateNodes: 0,
                sizeStatus: "CAPACITY_OK",
                status: "INSTALLING",
                createdAt: now,
                updatedAt: now,
            };
            stored.pools[pool.id as string] = pool;
            store.save();
            work(pool, `node pool ${name}`, () => scale(stored, pool));
            return pool;
        },
        "GET /kube/{kubeId}/nodepool/{nodePoolId}": (call) => findPool(call),
        "PUT /kube/{kubeId}/nodepool/{nodePoolId}": (call) => {
            const pool = findPool(call);
            const { nodesToRemove: _, ...changes } = call.body as Record<string, any>;
            Object.assign(pool, changes);
            pool.status = "UPDATING";
            store.save();
            work(pool, `node pool ${pool.name}`, () => scale(find(call), pool));
        },
        "DELETE /kube/{kubeId}/nodepool/{nodePoolId}": (call) => {
            const stored = find(call);
            const pool = findPool(call);
            pool.status = "DELETING";
            pool.desiredNodes = 0;
            store.save();
            work(pool, `node pool ${pool.name}`, async () => {
                await scale(stored, pool);
                delete stored.pools[pool.id as string];
            });
        },
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
                    await mks.scale(id, {
                        id: pool.id as string,
                        name: pool.name as string,
                        flavor: pool.flavor as string,
                        nodes: pool.desiredNodes as number,
                    });
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
