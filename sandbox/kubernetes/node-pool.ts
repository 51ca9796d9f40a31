import { CoreV1Api, type KubeConfig, type V1Node } from "@kubernetes/client-node";

export interface NodePool {
    id: string;
    name: string;
    flavor: string;
    /** Where the region has several. */
    zone?: string;
    nodes: number;
}

/** By this label of a node Cinder's driver tells which volumes it can have. */
export const zoneLabel = "topology.cinder.csi.openstack.org/zone";

/** vCPUs and memory in GiB of the flavors that the documentation names (2026-02); others count as the last. */
const sizes: Record<string, { cpu: number; memory: number }> = {
    "b2-7": { cpu: 2, memory: 7 },
    "b2-15": { cpu: 4, memory: 15 },
    "b2-30": { cpu: 8, memory: 30 },
    "b3-8": { cpu: 2, memory: 8 },
    "b3-16": { cpu: 4, memory: 16 },
    "b3-32": { cpu: 8, memory: 32 },
    "d2-4": { cpu: 2, memory: 4 },
    "d2-8": { cpu: 4, memory: 8 },
};

/** What the kubelet of a node reports: kwok says the same for all of ours. */
const kubeletVersion = "v1.34.4";

/** Makes the pool have this many nodes, the lowest numbers first. Nodes that go are drained. */
export async function scaleNodePool(config: KubeConfig, pool: NodePool): Promise<void> {
    const core = config.makeApiClient(CoreV1Api);
    const { items } = await core.listNode({ labelSelector: `nodepool=${pool.name}` });
    const present = new Set(items.map(({ metadata }) => metadata!.name!));
    const wanted = Array.from({ length: pool.nodes }, (_, i) => `${pool.name}-node-${i + 1}`);
    for (const name of wanted.filter((one) => !present.has(one))) await core.createNode({ body: node(name, pool) });
    for (const name of [...present].filter((one) => !wanted.includes(one))) {
        await core.patchNode({ name, body: [{ op: "add", path: "/spec/unschedulable", value: true }] });
        const { items: pods } = await core.listPodForAllNamespaces({ fieldSelector: `spec.nodeName=${name}` });
        for (const { metadata } of pods) {
            const pod = { name: metadata!.name!, namespace: metadata!.namespace! };
            await core.deleteNamespacedPod({ ...pod, gracePeriodSeconds: 0 });
        }
        await core.deleteNode({ name });
    }
}

function node(name: string, { name: pool, id, flavor, zone }: NodePool): V1Node {
    const { cpu, memory } = sizes[flavor] ?? Object.values(sizes).at(-1)!;
    const capacity = { cpu: String(cpu), memory: `${memory}Gi`, pods: "110", "ephemeral-storage": "100Gi" };
    return {
        metadata: {
            name,
            annotations: { "kwok.x-k8s.io/node": "fake" },
            labels: {
                nodepool: pool,
                "nodepool.ovhcloud.com/id": id,
                "node.kubernetes.io/instance-type": flavor,
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                ...(zone && { "topology.kubernetes.io/zone": zone, [zoneLabel]: zone }),
            },
        },
        status: {
            capacity,
            allocatable: capacity,
            nodeInfo: {
                architecture: "amd64",
                operatingSystem: "linux",
                kubeletVersion,
                kubeProxyVersion: kubeletVersion,
                osImage: "simulated",
                containerRuntimeVersion: "kwok",
                kernelVersion: "simulated",
                bootID: "",
                machineID: "",
                systemUUID: "",
            },
        },
    };
}
