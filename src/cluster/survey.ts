import * as pulumi from "@pulumi/pulumi";
import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterSettings } from "../settings";
import { flavorFault } from "./node-flavors";
import {
    findCluster,
    isPassing,
    listClusters,
    listNodeFlavors,
    listNodePools,
    type LiveCluster,
    type LivePool,
    type NodeFlavor,
} from "./ovh-api";
import { knownResources } from "../own-state";
import { isKept, poolWarning, type KnownPool } from "./pool-change";
import { isAutoscalersChange, poolName, poolNodes, type PoolNodes } from "./pool-nodes";
import { cameOf, chooseTakeover, leftBehind, type Order } from "./takeover";

/** What is to be known before a cluster is asked for. */
export interface Survey {
    /** Kept in the state, so that a later run knows what this one set out to make. */
    order: Order;
    /** Id of the cluster that is there and stays. */
    clusterId?: string;
    /** Import id, where an interrupted run left the cluster. */
    takeOver?: string;
    pool: PoolPlan;
}

export interface PoolPlan {
    /** At OVHcloud. */
    name: string;
    /** Import id, where an interrupted run left the pool. */
    takeOver?: string;
    nodes: PoolNodes;
    /** Whether a difference in the number of nodes alone is left to the autoscaler. */
    leaveNumber: boolean;
}

export interface SurveyArgs {
    projectId: string;
    settings: ClusterSettings;
    /** Logical name of the cluster's resources. */
    name: string;
    /** A line for the person who waits. */
    say: (line: string) => void;
    warn: (line: string) => void;
}

const types = {
    kube: "ovh:CloudProject/kube:Kube",
    nodePool: "ovh:CloudProject/kubeNodePool:KubeNodePool",
    floatingIp: "openstack:networking/floatingIp:FloatingIp",
    order: "pulumi:index:Stash",
};

/** A cluster stands after some minutes, a pool's nodes after some more. */
const waitSeconds = 40 * 60;

/**
 * Compares the state of the stack with what is at OVHcloud. Throws an Error that says what to do when a cluster is in the
 * way, or when that cannot be found out before a creation.
 */
export async function survey(args: SurveyArgs): Promise<Survey> {
    const { projectId, settings, name } = args;
    const known = await knownResources();
    const find = (type: string, logicalName: string) =>
        known.find((one) => one.type === type && one.name === logicalName)?.outputs;
    const kube = find(types.kube, name) as KnownKube | undefined;
    const order = find(types.order, `${name}-order`)?.input as Order | undefined;
    const pools = known
        .filter(({ type }) => type === types.nodePool)
        .map(({ name: resource, outputs }) => ({ resource, ...(outputs as Omit<KnownPool, "resource">) }));
    const { name: clusterName, region } = settings;
    const announced: Order = { name: clusterName, region, at: new Date().toISOString() };

    if (kube && !isReplaced(kube, settings)) {
        const left = await compare(args, kube, order);
        const kept = left && order ? order : { ...announced, at: order?.at ?? announced.at };
        return { order: kept, clusterId: kube.id, pool: await planPool(args, kube.id, pools) };
    }
    if (kube) {
        args.warn(replacementWarning(kube, settings));
        const kept = known
            .filter(({ type }) => type === types.floatingIp)
            .map(({ outputs }) => outputs.address as string);
        if (kept.length > 0 && kube.region !== region) args.warn(addressWarning(kept, kube.region, region));
    }
    const others = (await listClusters(projectId)).filter(({ id }) => id !== kube?.id);
    const left = chooseTakeover({ projectId, resource: name, name: clusterName, region }, order, others);
    if (!left) return { order: announced, pool: await planPool(args, undefined, pools) };

    const { id } = left;
    args.say(`cluster ${id} was begun by an interrupted run of this stack: pulumi up takes it over`);
    const settled = await settle(args, `cluster ${id}`, left, () => findCluster(projectId, id));
    if (settled && settled.status !== "READY") throw new Error(brokenCluster(settled));
    const clusterId = settled?.id;
    return {
        order: order!,
        clusterId,
        takeOver: clusterId && `${projectId}/${clusterId}`,
        pool: await planPool(args, clusterId, pools),
    };
}

/** What the state holds of a cluster, in part. */
interface KnownKube {
    id: string;
    name: string;
    region: string;
    privateNetworkId?: string;
    privateNetworkConfiguration?: { privateNetworkRoutingAsDefault?: boolean };
    version?: string;
    updatePolicy?: string;
    /** A secret as the engine hands it over; without a value when it could not be fetched once the cluster stood. */
    kubeconfig?: string | { value?: string };
}

function isReplaced(kube: KnownKube, { region, network }: ClusterSettings): boolean {
    return kube.region !== region || Boolean(kube.privateNetworkId) !== (network === "private");
}

/**
 * Says what is not as the state has it. An outage of OVHcloud's API hinders nothing here: no cluster is to be made. True
 * when a cluster has to be remembered that the order has left.
 */
async function compare({ projectId, settings, warn }: SurveyArgs, kube: KnownKube, order?: Order): Promise<boolean> {
    let live: LiveCluster | undefined;
    let left: LiveCluster[] = [];
    try {
        live = await findCluster(projectId, kube.id);
        if (order && (order.name !== kube.name || order.region !== kube.region)) {
            left = (await listClusters(projectId)).filter((one) => one.id !== kube.id && cameOf(order, one));
        }
    } catch (error) {
        warn((error as Error).message);
        return true;
    }
    for (const one of left) warn(leftBehind(one));
    if (!live) warn(goneCluster(kube.id));
    else {
        if (live.status !== "READY" && !isPassing(live.status)) warn(brokenCluster(live));
        const fault = versionFault(settings.version, live.version) ?? policyFault(settings.version, live);
        if (fault) throw new Error(fault);
        for (const setting of unapplied(settings, kube, live)) warn(setting);
        if (!hasText(kube.kubeconfig)) warn(unfinishedCluster(kube.id));
    }
    return left.length > 0;
}

/** The ovh plugin notes a change before it has been made: one that failed is never tried again by itself. */
function unapplied(settings: ClusterSettings, kube: KnownKube, live: LiveCluster): string[] {
    const told: string[] = [];
    type Value = string | boolean | undefined;
    const tell = (setting: string, wanted: Value, known: Value, found: Value, help: string): void => {
        if (wanted === undefined || wanted !== known || found === undefined || found === wanted) return;
        told.push(
            `${setting} is ${wanted}, and OVHcloud has ${found}: a change has failed that the state takes for done. ${help}`,
        );
    };
    const refresh = "Run pulumi refresh, then pulumi up";
    tell("cluster.version", settings.version, kube.version, /^\d+\.\d+/.exec(live.version)?.[0], refresh);
    tell("cluster.updatePolicy", settings.updatePolicy, kube.updatePolicy, live.updatePolicy, refresh);
    if (settings.network === "private") {
        const { routeThroughGateway: wanted } = settings.private;
        const known = kube.privateNetworkConfiguration?.privateNetworkRoutingAsDefault;
        const found = live.privateNetworkConfiguration?.privateNetworkRoutingAsDefault;
        // The plugin never reads it, so that a refresh does not help.
        const help = `Set it to ${found}, run pulumi up, set it to ${wanted} and run pulumi up again`;
        tell("cluster.private.routeThroughGateway", wanted, known, found, help);
    }
    return told;
}

/** MKS goes up one minor version at a time, and never back. */
export function versionFault(wanted: string | undefined, live: string): string | undefined {
    const minor = (version: string): number => Number(version.split(".")[1]);
    if (wanted === undefined) return undefined;
    const [to, from] = [minor(wanted), minor(live)];
    if (to === from || to === from + 1) return undefined;
    const next = to < from ? "a cluster cannot go back" : "a cluster goes up one minor version at a time";
    return `cluster.version is "${wanted}" and the cluster runs ${live}: ${next}; give "1.${to < from ? from : from + 1}"`;
}

/** The plugin changes the version first and the policy after it, so that what OVHcloud has now decides. */
export function policyFault(wanted: string | undefined, live: LiveCluster): string | undefined {
    if (wanted === undefined || live.updatePolicy !== "NEVER_UPDATE" || live.version.startsWith(`${wanted}.`)) {
        return undefined;
    }
    const minor = /^\d+\.\d+/.exec(live.version)?.[0];
    return (
        `cluster.version is "${wanted}", and OVHcloud updates no cluster whose policy is NEVER_UPDATE, as that of this one, ` +
        `which runs ${live.version}. Change the policy by a pulumi up of its own: pulumi config set --path cluster.version ${minor} ` +
        "and pulumi config set --path cluster.updatePolicy MINIMAL_DOWNTIME; then raise the version"
    );
}

async function planPool(args: SurveyArgs, clusterId: string | undefined, pools: KnownPool[]): Promise<PoolPlan> {
    const { projectId, settings, name: cluster } = args;
    const { nodePool } = settings;
    const there = pools.filter(({ kubeId }) => kubeId === clusterId);
    const before = there.find(({ resource }) => resource === `${cluster}-${nodePool.name}`);
    const known = before && isKept(before, nodePool) ? before : undefined;
    const taken = there.map((pool) => pool.name);
    const name = known?.name ?? poolName(nodePool, taken);
    if (!known) await checkFlavor(args);
    if (before && !known) args.warn(poolWarning(before, name, nodePool));
    const unchanged = known && isAutoscalersChange(poolNodes(nodePool, known), known);
    if (clusterId === undefined || unchanged || (known && !nodePool.autoscale)) {
        return { name, nodes: poolNodes(nodePool, known), leaveNumber: nodePool.autoscale !== undefined };
    }
    const ofName = async (): Promise<LivePool | undefined> =>
        (await listNodePools(projectId, clusterId)).find((one) => one.name === name);
    const live = await ofName();
    const nodes = poolNodes(nodePool, known, live?.desiredNodes);
    if (known || !live) return { name, nodes, leaveNumber: false };
    args.say(`node pool "${name}" was begun by an interrupted run: pulumi up takes it over`);
    const settled = await settle(args, `node pool "${name}"`, live, ofName);
    return { name, nodes, leaveNumber: false, takeOver: settled && `${projectId}/${clusterId}/${settled.id}` };
}

/** Refuses a pool whose nodes could not be made. Where OVHcloud does not tell, that is said: it may still be the right one. */
async function checkFlavor({ projectId, settings: { nodePool, region }, warn }: SurveyArgs): Promise<void> {
    let flavors: NodeFlavor[];
    try {
        flavors = await listNodeFlavors(projectId, region);
    } catch (error) {
        warn(
            `${(error as Error).message}\n  So nobody has looked whether ${region} has nodes of ${nodePool.flavor} now.`,
        );
        return;
    }
    const fault = flavorFault(nodePool.flavor, region, flavors);
    if (fault) throw new Error(fault);
}

/** Waits until nothing is under way any more. In a preview it does not, and is `undefined` then. */
async function settle<T extends { status: string }>(
    { say }: SurveyArgs,
    what: string,
    first: T,
    look: () => Promise<T | undefined>,
): Promise<T | undefined> {
    const deadline = performance.now() + waitSeconds * 1000;
    const pollMs = Number(process.env.OVH_AI_DEPLOY_POLL_MS) || 5000;
    let said = "";
    for (let seen: T | undefined = first; ; seen = await look()) {
        if (!seen) throw new Error(`${what} has gone while it was waited for: run pulumi up again`);
        if (!isPassing(seen.status)) return seen;
        if (seen.status !== said) say(`${what} is ${seen.status}`);
        said = seen.status;
        if (pulumi.runtime.isDryRun()) return undefined;
        if (performance.now() > deadline) {
            throw new Error(
                `${what} is still ${seen.status} after ${waitSeconds / 60} minutes: run pulumi up again later`,
            );
        }
        await sleep(pollMs);
    }
}

function replacementWarning(kube: KnownKube, { region, network }: ClusterSettings): string {
    const change =
        kube.region === region
            ? `cluster.network ${network}: a cluster cannot change its network`
            : `cluster.region ${region}: a cluster cannot move from ${kube.region}`;
    return (
        `${change}. A new one is made and everything set up in it, then the old one is deleted with its volumes: ` +
        "metrics, Grafana's database and silences are lost. For some minutes both are there and count against the quota"
    );
}

function addressWarning(kept: string[], from: string, to: string): string {
    return (
        `cluster.region ${to}: no address leaves ${from}, so ${kept.join(" and ")} ${kept.length === 1 ? "is" : "are"} given back, and ` +
        "DNS has to be pointed to what the output addresses says afterwards"
    );
}

/** Nothing of a cluster that is gone can be reached or lost any more, so that here, and only here, the variable is right. */
function goneCluster(id: string): string {
    return (
        `cluster ${id} does not exist any more at OVHcloud, and all that was in it went with it. Take it out of the state ` +
        "and make a new one: PULUMI_K8S_DELETE_UNREACHABLE=true pulumi refresh, then pulumi up"
    );
}

function hasText(secret: KnownKube["kubeconfig"]): boolean {
    return Boolean(typeof secret === "object" ? secret?.value : secret);
}

/** The plugin goes on to show a change of it, and never makes one. */
function unfinishedCluster(id: string): string {
    return (
        `cluster ${id} stands, and the run that made it was cut short before it had the kubeconfig. Everything works; ` +
        "for the state to be complete, and previews without this change, run pulumi refresh once"
    );
}

function brokenCluster({ id, status }: LiveCluster): string {
    return (
        `cluster ${id} is ${status} at OVHcloud: see the control panel for why. If it does not come back, delete it there, ` +
        "then run pulumi up again"
    );
}
