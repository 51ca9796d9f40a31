import { randomBytes, randomUUID } from "node:crypto";
import { entry } from "../../packages/ai-deploy/src/values/json";
import { zonesOf } from "../../src/settings/checks/kube-regions";
import { badRequest, conflict, notFound } from "./api-error";
import type { Call, Handlers } from "./apps";
import { nodeFlavors } from "./kube-flavors";
import { find, ready, work, type Fields, type KubeOptions } from "./kube-work";
import type { ManagedKubernetes } from "./mks";
import type { StoredCluster } from "./store";

/** Orders, reads, changes and ends the node pools of clusters. */
export function poolHandlers({ store, mks, projectId, log }: KubeOptions): Handlers {
    const findPool = (call: Call): Fields => {
        const pool = entry(find(store, call).pools, call.path.nodePoolId);
        if (!pool) throw notFound(`node pool ${call.path.nodePoolId} does not exist`);
        return pool;
    };
    return {
        "GET /kube/{kubeId}/nodepool": (call) => Object.values(find(store, call).pools),
        "POST /kube/{kubeId}/nodepool": (call) => {
            const stored = ready(store, call);
            const pool = newPool(call.body as Fields, stored.cluster.region as string, projectId);
            if (Object.values(stored.pools).some(({ name }) => name === pool.name)) {
                throw conflict(`node pool ${pool.name} exists already`);
            }
            stored.pools[pool.id as string] = pool;
            store.save();
            work({ store, log }, pool, `node pool ${pool.name}`, () => scalePool(mks, stored, pool));
            return pool;
        },
        "GET /kube/{kubeId}/nodepool/{nodePoolId}": (call) => findPool(call),
        "PUT /kube/{kubeId}/nodepool/{nodePoolId}": (call) => {
            const pool = findPool(call);
            if (pool.status === "DELETING") throw conflict(`node pool ${pool.name} is DELETING`);
            const { nodesToRemove: _, autoscaling, ...changes } = call.body as Fields;
            checkSizes({ ...pool, ...changes });
            Object.assign(pool, changes, { autoscaling: { ...pool.autoscaling, ...autoscaling } });
            pool.status = "UPDATING";
            store.save();
            work({ store, log }, pool, `node pool ${pool.name}`, () => scalePool(mks, find(store, call), pool));
        },
        "DELETE /kube/{kubeId}/nodepool/{nodePoolId}": (call) => {
            const stored = find(store, call);
            const pool = findPool(call);
            if (pool.status === "DELETING") return;
            pool.status = "DELETING";
            pool.desiredNodes = 0;
            store.save();
            work({ store, log }, pool, `node pool ${pool.name}`, () => endPool(mks, stored, pool));
        },
        "GET /kube/{kubeId}/nodepool/{nodePoolId}/nodes": (call) => nodesOf(find(store, call), findPool(call)),
        "GET /kube/{kubeId}/node": (call) => {
            const stored = find(store, call);
            return Object.values(stored.pools).flatMap((pool) => nodesOf(stored, pool));
        },
    };
}

/** Gives the pool as many nodes as are wanted. */
export async function scalePool(mks: ManagedKubernetes, { id }: StoredCluster, pool: Fields): Promise<void> {
    await mks.scale(id, inMks(pool));
    pool.currentNodes = pool.availableNodes = pool.upToDateNodes = pool.desiredNodes;
}

/** Takes the nodes away, of which none is wanted, and then the pool. */
export async function endPool(mks: ManagedKubernetes, stored: StoredCluster, pool: Fields): Promise<void> {
    await scalePool(mks, stored, pool);
    delete stored.pools[pool.id as string];
}

/** Throws what the API says to an order that it does not take. */
function newPool(body: Fields, region: string, projectId: string): Fields {
    const name = (body.name ?? `nodepool-${randomBytes(3).toString("hex")}`) as string;
    if (name.includes("_")) throw badRequest(`node pool name ${name}: _ is not allowed`);
    const flavor = nodeFlavors(region).find((one) => one.name === body.flavorName);
    if (!flavor) throw badRequest(`400: flavor ${body.flavorName} does not exist`);
    if (flavor.state !== "available") throw badRequest(`400: flavor ${flavor.name} is not available in ${region}`);
    const zones = (body.availabilityZones ?? []) as string[];
    checkZones(zones, region);
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
        availabilityZones: zones.length > 0 ? zones : null,
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

/**
 * Where there are several zones, a pool is in one of them (terraform-provider-ovh, 2026-08: "only one zone is supported"). What
 * is said to a zone elsewhere is not documented: it is taken.
 */
function checkZones(given: string[], region: string): void {
    const zones = zonesOf(region);
    if (zones.length === 0 || (given.length === 1 && zones.includes(given[0]))) return;
    throw badRequest(`400: a node pool of ${region} is in one availability zone: ${zones.join(", ")}`);
}

function checkSizes({ desiredNodes, minNodes, maxNodes }: Fields): void {
    if (minNodes > maxNodes) throw badRequest(`400: minNodes ${minNodes} is above maxNodes ${maxNodes}`);
    if (desiredNodes < minNodes || desiredNodes > maxNodes) {
        throw badRequest(`400: desiredNodes ${desiredNodes} is not between ${minNodes} and ${maxNodes}`);
    }
}

/** The pool as `mks` makes it. */
const inMks = (pool: Fields): Parameters<ManagedKubernetes["scale"]>[1] => ({
    id: pool.id as string,
    name: pool.name as string,
    flavor: pool.flavor as string,
    zone: (pool.availabilityZones as string[] | null)?.[0],
    nodes: pool.desiredNodes as number,
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
