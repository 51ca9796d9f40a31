import { randomBytes, randomUUID } from "node:crypto";
import type { Call, Handlers } from "./apps";
import { badRequest, conflict, forbidden, notFound } from "./api-error";
import type { ManagedKubernetes } from "./mks";
import type { Store, StoredCluster } from "./store";

/** Regions of the Free plan (OVHcloud documentation of 2026-02). */
const regions = ["GRA5", "GRA7", "GRA9", "GRA11", "SBG5", "DE1", "UK1", "WAW1", "BHS5", "SGP1", "SYD1"];
/** Minor versions that can be ordered, oldest first. */
const versions = ["1.31", "1.32", "1.33", "1.34"];
/** Clusters that a project may have (documented for the Free plan). */
const clusterQuota = 20;

/** Memory in GB of the flavors by family: MKS takes no others (`d2-2` is too small for a node). */
const flavors: Record<string, number[]> = {
    b2: [7, 15, 30, 60, 120],
    b3: [8, 16, 32, 64, 128, 256, 512, 640],
    c2: [7, 15, 30, 60, 120],
    c3: [4, 8, 16, 32, 64, 128, 256, 320],
    d2: [4, 8],
    r2: [15, 30, 60, 120, 240],
    r3: [16, 32, 64, 128, 256, 512, 1024],
};

/** Minutes of the platform that changes of a whole cluster take; not published, of the size that users report. */
const minutes = { upgrade: 10, redeploy: 3 };

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export interface KubeOptions {
    store: Store;
    mks: ManagedKubernetes;
    projectId: string;
    /** Platform seconds per real second. */
    speed: () => number;
    log: (line: string) => void;
}

type Fields = Record<string, any>;

/** Managed Kubernetes: the states and answers of the API; `mks` makes the real clusters. */
export function kubeHandlers(options: KubeOptions): Handlers {
    return { ...clusterHandlers(options), ...settingHandlers(options), ...poolHandlers(options) };
}

/** Orders, reads and ends clusters. */
function clusterHandlers({ store, mks, log }: KubeOptions): Handlers {
    return {
        "GET /kube": () => Object.keys(store.state.clusters),
        "POST /kube": ({ body }) => {
            const cluster = newCluster(body as Fields);
            if (Object.keys(store.state.clusters).length >= clusterQuota) {
                throw forbidden(`the project has ${clusterQuota} clusters, which is its quota`);
            }
            const id = cluster.id as string;
            store.state.clusters[id] = { id, cluster, pools: {} };
            store.save();
            work({ store, log }, cluster, `cluster ${cluster.name}`, () =>
                mks.create(id, { name: cluster.name as string, version: cluster.version as string }),
            );
            return cluster;
        },
        "GET /kube/{kubeId}": (call) => find(store, call).cluster,
        "PUT /kube/{kubeId}": (call) => {
            Object.assign(ready(store, call).cluster, call.body);
            store.save();
        },
        "DELETE /kube/{kubeId}": (call) => {
            const { id, cluster } = find(store, call);
            if (cluster.status === "DELETING") return;
            cluster.status = "DELETING";
            store.save();
            work({ store, log }, cluster, `cluster ${cluster.name}`, async () => {
                await mks.delete(id);
                delete store.state.clusters[id];
            });
        },
        "POST /kube/{kubeId}/kubeconfig": async (call) => ({ content: await mks.kubeconfig(ready(store, call).id) }),
        "POST /kube/{kubeId}/kubeconfig/reset": (call) => {
            const { id, cluster } = ready(store, call);
            cluster.status = "REDEPLOYING";
            store.save();
            work({ store, log }, cluster, `kubeconfig of ${cluster.name}`, () => mks.resetKubeconfig(id));
        },
    };
}

/** What can be changed on a cluster, each with a call of its own. */
function settingHandlers({ store, speed, log }: KubeOptions): Handlers {
    const busy = (cluster: Fields, status: string, lasting: number): void => {
        cluster.status = status;
        store.save();
        work({ store, log }, cluster, `cluster ${cluster.name}`, () => pause((lasting * 60_000) / speed()));
    };
    return {
        "PUT /kube/{kubeId}/updatePolicy": (call) => {
            ready(store, call).cluster.updatePolicy = call.body.updatePolicy as unknown;
            store.save();
        },
        "POST /kube/{kubeId}/update": (call) => {
            const { id, cluster } = ready(store, call);
            if (cluster.updatePolicy === "NEVER_UPDATE") {
                throw conflict(`409: Update aborted for service ${id} because of policy NEVER_UPDATE`);
            }
            if (call.body.strategy === "NEXT_MINOR") {
                const [next] = newerVersions(minorOf(cluster));
                if (!next) throw conflict(`409: no version follows ${minorOf(cluster)}`);
                cluster.version = patchOf(next);
                cluster.nextUpgradeVersions = newerVersions(next);
            }
            busy(cluster, "UPDATING", minutes.upgrade);
        },
        "GET /kube/{kubeId}/privateNetworkConfiguration": (call) => {
            const { privateNetworkConfiguration: found } = find(store, call).cluster;
            if (!found) throw notFound("404: this cluster has no private network");
            return found as unknown;
        },
        "PUT /kube/{kubeId}/privateNetworkConfiguration": (call) => {
            const { cluster } = ready(store, call);
            if (!cluster.privateNetworkId) throw badRequest("400: this cluster has no private network");
            cluster.privateNetworkConfiguration = { ...cluster.privateNetworkConfiguration, ...call.body };
            busy(cluster, "REDEPLOYING", minutes.redeploy);
            return { message: "the private network configuration is being updated" };
        },
        "PUT /kube/{kubeId}/updateLoadBalancersSubnetId": (call) => {
            const { cluster } = ready(store, call);
            const subnet = call.body.loadBalancersSubnetId as string;
            if (!uuid.test(subnet)) throw badRequest(`[InvalidDataError] 400: Subnet ${subnet} is not a correct uuid`);
            cluster.loadBalancersSubnetId = subnet;
            busy(cluster, "REDEPLOYING", minutes.redeploy);
        },
    };
}

function poolHandlers({ store, mks, projectId, log }: KubeOptions): Handlers {
    const findPool = (call: Call): Fields => {
        const pool = find(store, call).pools[call.path.nodePoolId];
        if (!pool) throw notFound(`node pool ${call.path.nodePoolId} does not exist`);
        return pool;
    };
    const scale = async (stored: StoredCluster, pool: Fields): Promise<void> => {
        await mks.scale(stored.id, inMks(pool));
        pool.currentNodes = pool.availableNodes = pool.upToDateNodes = pool.desiredNodes;
    };
    return {
        "GET /kube/{kubeId}/nodepool": (call) => Object.values(find(store, call).pools),
        "POST /kube/{kubeId}/nodepool": (call) => {
            const stored = ready(store, call);
            const pool = newPool(call.body as Fields, projectId);
            if (Object.values(stored.pools).some(({ name }) => name === pool.name)) {
                throw conflict(`node pool ${pool.name} exists already`);
            }
            stored.pools[pool.id as string] = pool;
            store.save();
            work({ store, log }, pool, `node pool ${pool.name}`, () => scale(stored, pool));
            return pool;
        },
        "GET /kube/{kubeId}/nodepool/{nodePoolId}": (call) => findPool(call),
        "PUT /kube/{kubeId}/nodepool/{nodePoolId}": (call) => {
            const pool = findPool(call);
            const { nodesToRemove: _, autoscaling, ...changes } = call.body as Fields;
            checkSizes({ ...pool, ...changes });
            Object.assign(pool, changes, { autoscaling: { ...pool.autoscaling, ...autoscaling } });
            pool.status = "UPDATING";
            store.save();
            work({ store, log }, pool, `node pool ${pool.name}`, () => scale(find(store, call), pool));
        },
        "DELETE /kube/{kubeId}/nodepool/{nodePoolId}": (call) => {
            const stored = find(store, call);
            const pool = findPool(call);
            pool.status = "DELETING";
            pool.desiredNodes = 0;
            store.save();
            work({ store, log }, pool, `node pool ${pool.name}`, async () => {
                await scale(stored, pool);
                delete stored.pools[pool.id as string];
            });
        },
        "GET /kube/{kubeId}/nodepool/{nodePoolId}/nodes": (call) => nodesOf(find(store, call), findPool(call)),
        "GET /kube/{kubeId}/node": (call) => {
            const stored = find(store, call);
            return Object.values(stored.pools).flatMap((pool) => nodesOf(stored, pool));
        },
    };
}

function find(store: Store, { path }: Call): StoredCluster {
    const found = store.state.clusters[path.kubeId];
    if (!found) throw notFound(`cluster ${path.kubeId} does not exist`);
    return found;
}

function ready(store: Store, call: Call): StoredCluster {
    const stored = find(store, call);
    if (stored.cluster.status !== "READY") throw conflict(`cluster ${stored.id} is ${stored.cluster.status}`);
    return stored;
}

/** Does the real work in the background and shows in `status` how it ended. */
function work(
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

/** Not waited for when the sandbox ends. */
function pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => void setTimeout(resolve, milliseconds).unref());
}

const newerVersions = (minor: string): string[] => versions.slice(versions.indexOf(minor) + 1);
const patchOf = (minor: string): string => `${minor}.4-0`;
const minorOf = (cluster: Fields): string => (cluster.version as string).split(".").slice(0, 2).join(".");

/** Throws what the API says to an order that it does not take. */
function newCluster(body: Fields): Fields {
    if (!regions.includes(body.region as string)) {
        throw badRequest(`region ${body.region} does not exist; there are ${regions.join(", ")}`);
    }
    if (body.plan && !["free", "standard"].includes(body.plan as string)) {
        throw badRequest(`400: plan ${body.plan} does not exist; there are free, standard`);
    }
    for (const [what, value] of Object.entries({
        "Private network": body.privateNetworkId,
        Subnet: body.nodesSubnetId,
    })) {
        if (value && !uuid.test(value as string)) {
            throw badRequest(`[InvalidDataError] 400: ${what} ${value} is not a correct uuid`);
        }
    }
    const now = new Date().toISOString();
    const id = randomUUID();
    const minor = (body.version ?? versions.at(-1)) as string;
    return {
        id,
        name: body.name ?? `cluster-${randomBytes(3).toString("hex")}`,
        region: body.region,
        version: patchOf(minor),
        plan: body.plan ?? "free",
        updatePolicy: body.updatePolicy ?? "ALWAYS_UPDATE",
        kubeProxyMode: body.kubeProxyMode ?? "iptables",
        privateNetworkId: body.privateNetworkId ?? null,
        nodesSubnetId: body.nodesSubnetId ?? null,
        loadBalancersSubnetId: body.loadBalancersSubnetId ?? null,
        // The plugin sends it always; it means something in a private network only.
        privateNetworkConfiguration: body.privateNetworkId ? (body.privateNetworkConfiguration ?? null) : null,
        ipAllocationPolicy: {
            podsIpv4Cidr: "10.2.0.0/16",
            servicesIpv4Cidr: "10.3.0.0/16",
            ...body.ipAllocationPolicy,
        },
        customization: customization(body.customization as Fields | undefined),
        nextUpgradeVersions: newerVersions(minor),
        auditLogsSubscribed: false,
        controlPlaneIsUpToDate: true,
        isUpToDate: true,
        nodesUrl: `${id.slice(0, 8)}.nodes.example.invalid`,
        url: `${id.slice(0, 8)}.example.invalid`,
        status: "INSTALLING",
        createdAt: now,
        updatedAt: now,
    };
}

/** What was ordered, laid over what every cluster has. */
function customization(ordered: Fields | undefined): Fields {
    const plugins = { enabled: ["AlwaysPullImages", "NodeRestriction"], disabled: [] };
    return {
        apiServer: { admissionPlugins: { ...plugins, ...ordered?.apiServer?.admissionPlugins } },
        kubeProxy: ordered?.kubeProxy ?? null,
    };
}

/** Throws what the API says to an order that it does not take. */
function newPool(body: Fields, projectId: string): Fields {
    const name = (body.name ?? `nodepool-${randomBytes(3).toString("hex")}`) as string;
    if (name.includes("_")) throw badRequest(`node pool name ${name}: _ is not allowed`);
    const [family, memory] = (body.flavorName as string).split("-");
    if (!flavors[family]?.includes(Number(memory))) throw badRequest(`400: flavor ${body.flavorName} does not exist`);
    const now = new Date().toISOString();
    const pool: Fields = {
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
        autoscaling: {
            scaleDownUnneededTimeSeconds: 600,
            scaleDownUnreadyTimeSeconds: 1200,
            scaleDownUtilizationThreshold: 0.5,
            ...body.autoscaling,
        },
        template: {
            metadata: { annotations: {}, finalizers: [], labels: {}, ...body.template?.metadata },
            spec: { taints: [], unschedulable: false, ...body.template?.spec },
        },
        currentNodes: 0,
        availableNodes: 0,
        upToDateNodes: 0,
        sizeStatus: "CAPACITY_OK",
        status: "INSTALLING",
        createdAt: now,
        updatedAt: now,
    };
    checkSizes(pool);
    return pool;
}

function checkSizes({ desiredNodes, minNodes, maxNodes }: Fields): void {
    if (minNodes > maxNodes) throw badRequest(`400: minNodes ${minNodes} is above maxNodes ${maxNodes}`);
    if (desiredNodes < minNodes || desiredNodes > maxNodes) {
        throw badRequest(`400: desiredNodes ${desiredNodes} is not between ${minNodes} and ${maxNodes}`);
    }
}

const inMks = ({ id, name, flavor, desiredNodes }: Fields): Parameters<ManagedKubernetes["scale"]>[1] => ({
    id: id as string,
    name: name as string,
    flavor: flavor as string,
    nodes: desiredNodes as number,
});

function nodesOf({ cluster }: StoredCluster, pool: Fields): Fields[] {
    return Array.from({ length: pool.currentNodes as number }, (_, i) => ({
        id: `${pool.id}-${i + 1}`,
        name: `${pool.name}-node-${i + 1}`,
        nodePoolId: pool.id,
        projectId: pool.projectId,
        instanceId: `${pool.id}-${i + 1}`,
        flavor: pool.flavor,
        version: cluster.version,
        status: "READY",
        isUpToDate: true,
        createdAt: pool.createdAt,
        deployedAt: pool.createdAt,
        updatedAt: pool.updatedAt,
    }));
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
