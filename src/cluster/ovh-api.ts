/** What OVHcloud itself says of clusters; a state holds only what was so when last looked. */
import { ApiError, connect } from "pulumi-ovh-ai-deploy";

/** A cluster as the API shows it, in part. */
export interface LiveCluster {
    id: string;
    name: string;
    region: string;
    /** `READY`, `INSTALLING`, `DELETING`, `ERROR` and others. */
    status: string;
    /** Such as `1.34.4-0`. */
    version: string;
    updatePolicy: string;
    privateNetworkConfiguration: { privateNetworkRoutingAsDefault: boolean } | null;
    /** ISO 8601. */
    createdAt: string;
}

/** A node pool as the API shows it, in part. */
export interface LivePool {
    id: string;
    name: string;
    status: string;
    desiredNodes: number;
}

/** What a node can be made of, in part. */
export interface NodeFlavor {
    /** Such as `b2-15`. */
    name: string;
    /** `unavailable`: there is none to be had now. */
    state: "available" | "unavailable";
}

/** States that pass by themselves. */
const passing = ["INSTALLING", "REDEPLOYING", "REOPENING", "RESETTING", "RESIZING", "UNKNOWN", "UPDATING"];
passing.push("DOWNSCALING", "UPSCALING");

export function isPassing(status: string): boolean {
    return passing.includes(status);
}

/** Every cluster of the project, those on their way out left out. */
export async function listClusters(projectId: string): Promise<LiveCluster[]> {
    const ids = await get<string[]>(`/cloud/project/${projectId}/kube`, "listing the project's clusters");
    if (!ids) throw new Error(`project ${projectId} is not known to OVHcloud: check projectId and the endpoint`);
    const clusters = await Promise.all(ids.map((id) => findCluster(projectId, id)));
    return clusters.filter((one) => one !== undefined && one.status !== "DELETING") as LiveCluster[];
}

/** The cluster, or `undefined` when OVHcloud says that there is none of this id: an outage is an error. */
export function findCluster(projectId: string, id: string): Promise<LiveCluster | undefined> {
    return get(clusterPath(projectId, id), `reading cluster ${id}`);
}

/** The node pools of a cluster; none when it is gone. */
export async function listNodePools(projectId: string, id: string): Promise<LivePool[]> {
    return (await get<LivePool[]>(`${clusterPath(projectId, id)}/nodepool`, `listing pools of cluster ${id}`)) ?? [];
}

/** What the nodes of a region can be made of. */
export async function listNodeFlavors(projectId: string, region: string): Promise<NodeFlavor[]> {
    const path = `/cloud/project/${projectId}/capabilities/kube/flavors?region=${encodeURIComponent(region)}`;
    const { client, explain } = connect();
    try {
        return await client.glance<NodeFlavor[]>(path);
    } catch (error) {
        throw explain(error, `listing the node flavors of ${region}`);
    }
}

/** The kubeconfig that is valid now: one that was reset opens nothing any more. */
export async function currentKubeconfig(projectId: string, id: string): Promise<string> {
    const { client, explain } = connect();
    try {
        const { content } = await client.post<{ content: string }>(`${clusterPath(projectId, id)}/kubeconfig`);
        return content;
    } catch (error) {
        throw explain(error, `fetching the kubeconfig of cluster ${id}`);
    }
}

function clusterPath(projectId: string, id: string): string {
    return `/cloud/project/${projectId}/kube/${encodeURIComponent(id)}`;
}

async function get<T>(path: string, doing: string): Promise<T | undefined> {
    const { client, explain } = connect();
    try {
        return await client.get<T>(path);
    } catch (error) {
        if (error instanceof ApiError && error.gone) return undefined;
        throw explain(error, doing);
    }
}
