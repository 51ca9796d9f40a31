import { describe, expect, it } from "vitest";
import { deploy, type Options } from "../program/deploy";

/** The dev stack with another cluster. */
function withCluster(cluster: Record<string, unknown>, found: Partial<Options> = {}) {
    return deploy({
        ...found,
        stack: "dev",
        config: {
            projectId: "0123456789abcdef0123456789abcdef",
            huggingFaceToken: "hf_test",
            monitoring: { grafana: { access: "internal" } },
            cluster,
        },
    });
}

describe("node pool", () => {
    it("keeps its number of nodes: a change from outside is drift", async () => {
        const pool = (await withCluster({ nodePool: { nodes: 2 } })).find("KubeNodePool");
        expect(pool.inputs).toMatchObject({ desiredNodes: 2, autoscale: false });
        expect(pool.inputs).not.toHaveProperty("maxNodes");
        expect(pool.ignoreChanges).toEqual([]);
    });

    it("leaves the number of nodes to the autoscaler where there is one", async () => {
        const pool = (await withCluster({ nodePool: { autoscale: { min: 2, max: 5 } } })).find("KubeNodePool");
        expect(pool.inputs).toMatchObject({ autoscale: true, minNodes: 2, maxNodes: 5, desiredNodes: 3 });
        expect(pool.ignoreChanges).toEqual(["desiredNodes"]);
    });

    it("goes into the zones named", async () => {
        const nodePool = { availabilityZones: ["eu-west-par-a"] };
        const network = { network: "private", private: { vlanId: 100 } };
        const stack = await withCluster({ plan: "standard", region: "EU-WEST-PAR", nodePool, ...network });
        expect(stack.find("Kube").inputs).toMatchObject({ plan: "standard", region: "EU-WEST-PAR" });
        expect(stack.find("KubeNodePool").inputs.availabilityZones).toEqual(["eu-west-par-a"]);
    });
});

describe("cluster", () => {
    it("takes a version and an update policy", async () => {
        const kube = (await withCluster({ version: "1.34", updatePolicy: "MINIMAL_DOWNTIME" })).find("Kube");
        expect(kube.inputs).toMatchObject({ version: "1.34", updatePolicy: "MINIMAL_DOWNTIME" });
    });

    it("is protected with all that it needs, when asked", async () => {
        const stack = await withCluster({ protect: true });
        expect([stack.find("Kube").protect, stack.find("KubeNodePool").protect]).toEqual([true, true]);
        expect([stack.find("Namespace").protect, stack.find("Release").protect]).toEqual([true, true]);
        expect(stack.find("App").protect).toBe(false);
    });
});

describe("what is at OVHcloud already", () => {
    const name = "prometheus-vllm-metrics-ai-deploy";
    const kube = { id: "kube-1", name, region: "GRA11" };
    const live = { ...kube, status: "READY", version: "1.34.4-0", updatePolicy: "ALWAYS_UPDATE" };
    const cluster = { ...live, privateNetworkConfiguration: null, createdAt: "2026-05-04T10:00:07Z" };
    const pool = { id: "pool-1", name: "monitoring", status: "READY", desiredNodes: 3 };
    const order = {
        type: "pulumi:index:Stash",
        name: "cluster-order",
        outputs: { input: { name, region: "GRA11", at: "2026-05-04T10:00:00Z" } },
    };

    it("is taken over, cluster and pool, when an interrupted run left it", async () => {
        const stack = await withCluster({}, { known: [order], clusters: [cluster], pools: [pool] });
        const projectId = "0123456789abcdef0123456789abcdef";
        expect(stack.find("Kube").importId).toBe(`${projectId}/kube-1`);
        expect(stack.find("KubeNodePool").importId).toBe(`${projectId}/kube-1/pool-1`);
    });
});

describe("private network", () => {
    it("is made in order: network, subnet and router, their connection, then the cluster", async () => {
        const stack = await withCluster({
            network: "private",
            private: { vlanId: 0, cidr: "192.168.8.0/22", externalNetwork: "Ext-Net-2", routeThroughGateway: false },
        });
        const made = stack.resources.map(({ type }) => type.split(":").pop());
        const order = ["Network", "Subnet", "RouterInterface", "Kube", "KubeNodePool", "Namespace", "Release"];
        expect(made.filter((type) => order.includes(type!))).toEqual(order);
        expect(stack.find("Network").inputs.valueSpecs["provider:segmentation_id"]).toBe("0");
        expect(stack.find("Subnet").inputs.cidr).toBe("192.168.8.0/22");
        expect(stack.find("RouterInterface").inputs).toMatchObject({
            routerId: "cluster-network-id",
            subnetId: "cluster-network-id",
        });
        expect(stack.find("Kube").inputs.privateNetworkConfiguration.privateNetworkRoutingAsDefault).toBe(false);
    });
});
