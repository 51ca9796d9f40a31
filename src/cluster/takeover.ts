/**
 * The ovh plugin notes a cluster in the state only when it is READY: after an interruption it would make a second one.
 * So each creation is announced in the state, and what came of an announced one is taken over.
 */
import type { LiveCluster } from "./ovh-api";

/** Kept in the state from before a cluster is ordered: which one this stack set out to make, and when. */
export interface Order {
    name: string;
    region: string;
    /** ISO 8601. */
    at: string;
}

/** The order goes out seconds after it is announced; the rest is for clocks that differ. */
const toleranceMs = 10 * 60_000;

/** Whether the cluster is evidently what came of the order. */
export function cameOf(order: Order | undefined, cluster: LiveCluster): boolean {
    return (
        order !== undefined &&
        cluster.name === order.name &&
        cluster.region === order.region &&
        Math.abs(Date.parse(cluster.createdAt) - Date.parse(order.at)) <= toleranceMs
    );
}

export interface Wanted {
    projectId: string;
    /** Logical name of the cluster's resource. */
    resource: string;
    name: string;
    region: string;
}

/**
 * The cluster to take over before one is made, if there is one. Throws when a cluster is in the way of which this stack
 * cannot know that it is its own.
 *
 * @param clusters of the project, without the one of the state
 */
export function chooseTakeover(
    wanted: Wanted,
    order: Order | undefined,
    clusters: LiveCluster[],
): LiveCluster | undefined {
    const begun = clusters.filter((one) => cameOf(order, one));
    const named = clusters.filter(({ name, region }) => name === wanted.name && region === wanted.region);
    const elsewhere = begun.find((one) => !named.includes(one));
    if (elsewhere) throw new Error(leftBehind(elsewhere));
    if (begun.length === 1) return begun[0];
    if (named.length > 0) throw new Error(inTheWay(wanted, begun.length > 0 ? begun : named));
    return undefined;
}

/** What to say of a cluster that an interrupted run left, when the settings name another one now. */
export function leftBehind({ id, name, region }: LiveCluster): string {
    return (
        `cluster ${id} ("${name}" in ${region}) was begun by an interrupted run of this stack, which now names another. ` +
        `Delete it in OVHcloud's control panel, or set cluster.name ${name} and cluster.region ${region} again: then ` +
        "pulumi up takes it over"
    );
}

function inTheWay({ projectId, resource, name, region }: Wanted, clusters: LiveCluster[]): string {
    const lines = clusters.map(
        ({ id, status, createdAt }) =>
            `  # ${id}: ${status}, made ${createdAt}\n` +
            `  pulumi import ovh:CloudProject/kube:Kube ${resource} ${projectId}/${id} --protect=false --generate-code=false`,
    );
    const many = clusters.length > 1;
    return (
        `cluster.name: ${many ? `${clusters.length} clusters` : "a cluster"} "${name}" in ${region} ` +
        `${many ? "exist" : "exists"} already, and this stack cannot tell that it made ${many ? "one of them" : "it"}. ` +
        "Another stack may work with it: then give this one a name of its own,\n" +
        `  pulumi config set --path cluster.name ${name}-2\n` +
        `If no other stack does, take ${many ? "the right one" : "it"} over, and run pulumi up again:\n${lines.join("\n")}`
    );
}
