import * as pulumi from "@pulumi/pulumi";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { LiveCluster, LivePool, NodeFlavor } from "../../src/cluster/ovh-api";
import type { KnownResource } from "../../src/own-state";
import { survey, versionFault } from "../../src/cluster/survey";
import { defaultCluster } from "../../src/settings/defaults";
import { clusterSchema, type ClusterSettings } from "../../src/settings/schema";

const world = vi.hoisted(() => ({
    known: [] as KnownResource[],
    clusters: [] as LiveCluster[],
    pools: [] as LivePool[],
    flavors: [] as NodeFlavor[] | Error,
    outage: false,
}));

vi.mock("../../src/own-state", () => ({ knownResources: () => Promise.resolve(world.known) }));
vi.mock("../../src/cluster/ovh-api", async (original) => {
    const answer = <T>(value: T): Promise<T> =>
        world.outage ? Promise.reject(new Error("OVHcloud answered 503")) : Promise.resolve(value);
    return {
        ...(await original<object>()),
        listClusters: () => answer(world.clusters),
        findCluster: (_project: string, id: string) => answer(world.clusters.find((one) => one.id === id)),
        listNodePools: () => answer(world.pools),
        listNodeFlavors: () =>
            world.flavors instanceof Error ? Promise.reject(world.flavors) : Promise.resolve(world.flavors),
    };
});

const { name, region } = defaultCluster;
const at = "2026-05-04T10:00:00.000Z";

function cluster(id: string, over: Partial<LiveCluster> = {}): LiveCluster {
    const rest = { version: "1.34.4-0", updatePolicy: "ALWAYS_UPDATE", privateNetworkConfiguration: null };
    return { id, name, region, status: "READY", createdAt: "2026-05-04T10:00:07.000Z", ...rest, ...over };
}

function kube(id: string, over: object = {}): KnownResource {
    const outputs = {
        id,
        name,
        region,
        privateNetworkId: "",
        updatePolicy: "ALWAYS_UPDATE",
        kubeconfig: "made up",
        ...over,
    };
    return { type: "ovh:CloudProject/kube:Kube", name: "cluster", outputs };
}

function pool(kubeId: string, over: object = {}): KnownResource {
    const nodes = { autoscale: false, desiredNodes: 3, minNodes: 0, maxNodes: 100 };
    const outputs = { kubeId, name: "monitoring", flavorName: "b2-15", ...nodes, ...over };
    return { type: "ovh:CloudProject/kubeNodePool:KubeNodePool", name: "cluster-monitoring", outputs };
}

const order = (over: object = {}): KnownResource => ({
    type: "pulumi:index:Stash",
    name: "cluster-order",
    outputs: { input: { name, region, at, ...over } },
});

let warned: string[];

function look(over: object = {}): ReturnType<typeof survey> {
    const settings: ClusterSettings = clusterSchema.parse({ ...defaultCluster, ...over });
    const told = { say: () => undefined, warn: (line: string) => void warned.push(line) };
    return survey({ projectId: "project", name: "cluster", settings, ...told });
}

const all: NodeFlavor[] = ["b2-7", "b2-15", "b3-16"].map((flavor) => ({ name: flavor, state: "available" }));

beforeEach(() => {
    Object.assign(world, { known: [], clusters: [], pools: [], flavors: all, outage: false });
    warned = [];
});

describe("before a cluster is made", () => {
    it("the order is announced anew each time nothing came of it", async () => {
        world.known = [order()];
        const { order: announced, takeOver } = await look();
        expect(announced).toMatchObject({ name, region });
        expect(announced.at).not.toBe(at);
        expect(takeOver).toBeUndefined();
    });

    it("what came of the announced order is taken over", async () => {
        world.known = [order()];
        world.clusters = [cluster("begun"), cluster("elsewhere", { region: "SBG5" }), cluster("other", { name: "x" })];
        expect(await look()).toMatchObject({ takeOver: "project/begun", clusterId: "begun", order: { at } });
    });

    it.each([
        ["without an order", [], [cluster("one")]],
        ["with one of another day", [order()], [cluster("one", { createdAt: "2026-05-05T10:00:00Z" })]],
        ["with one of another region", [order({ region: "SBG5" })], [cluster("one")]],
        ["with two that came at that time", [order()], [cluster("one"), cluster("two")]],
    ])("a cluster of that name is refused %s", async (_, known, clusters) => {
        Object.assign(world, { known, clusters });
        await expect(look()).rejects.toThrow(
            /pulumi import ovh:CloudProject\/kube:Kube cluster project\/one --protect=false/,
        );
    });

    it("an outage of the API ends it there", async () => {
        world.outage = true;
        await expect(look()).rejects.toThrow("503");
    });

    it("one that was begun under another name is not forgotten", async () => {
        world.known = [order()];
        world.clusters = [cluster("begun")];
        await expect(look({ region: "SBG5" })).rejects.toThrow(
            /cluster begun .* set cluster.name .* and cluster.region GRA11/,
        );
    });

    it("one in ERROR is told", async () => {
        world.known = [order()];
        world.clusters = [cluster("begun", { status: "ERROR" })];
        await expect(look()).rejects.toThrow(/cluster begun is ERROR/);
    });

    it("one that is being installed is waited for by up alone", async () => {
        vi.spyOn(pulumi.runtime, "isDryRun").mockReturnValue(true);
        world.known = [order()];
        world.clusters = [cluster("begun", { status: "INSTALLING" })];
        const found = await look();
        expect([found.takeOver, found.order.at]).toEqual([undefined, at]);
        vi.restoreAllMocks();
    });
});

describe("a cluster of the state", () => {
    it("is not taken over, however many of its name there are", async () => {
        world.known = [order(), kube("ours"), pool("ours")];
        world.clusters = [cluster("ours"), cluster("other")];
        expect(await look()).toMatchObject({ clusterId: "ours", order: { at } });
        expect(warned).toEqual([]);
    });

    it("an outage of the API is a warning", async () => {
        world.known = [order(), kube("ours"), pool("ours")];
        world.outage = true;
        expect((await look()).clusterId).toBe("ours");
        expect(warned.join()).toContain("503");
    });

    it("one whose state lacks the kubeconfig is told, with what completes it", async () => {
        world.known = [order(), kube("ours", { kubeconfig: null }), pool("ours")];
        world.clusters = [cluster("ours")];
        await look();
        expect(warned.join()).toMatch(/run pulumi refresh once/);
    });

    it("that is gone is told, with what helps", async () => {
        world.known = [order(), kube("ours"), pool("ours")];
        await look();
        expect(warned.join()).toMatch(
            /ours does not exist any more .*PULUMI_K8S_DELETE_UNREACHABLE=true pulumi refresh/s,
        );
    });

    it("that exists is never told to be dropped", async () => {
        world.known = [order(), kube("ours"), pool("ours")];
        for (const status of ["READY", "ERROR", "SUSPENDED", "UPDATING"]) {
            world.clusters = [cluster("ours", { status })];
            await look();
        }
        expect(warned.join()).not.toContain("PULUMI_K8S_DELETE_UNREACHABLE");
    });

    it("that is to be replaced: what is lost is told, and what the replacement had begun is taken over", async () => {
        world.known = [order({ region: "SBG5" }), kube("ours"), pool("ours")];
        world.clusters = [cluster("ours"), cluster("begun", { region: "SBG5" })];
        expect(await look({ region: "SBG5" })).toMatchObject({ takeOver: "project/begun" });
        expect(warned.join()).toMatch(/volumes/);
    });

    it("that moves to another region leaves its kept addresses behind, and says so; within the region it does not", async () => {
        const type = "openstack:networking/floatingIp:FloatingIp";
        const kept = { type, name: "grafana-address", outputs: { address: "198.51.100.20" } };
        world.known = [order(), kube("ours"), pool("ours"), kept];
        world.clusters = [cluster("ours")];
        await look({ network: "private", private: { ...defaultCluster.private, vlanId: 100 } });
        expect(warned.join()).toMatch(/volumes/);
        expect(warned.join()).not.toContain("198.51.100.20");
        await look({ region: "SBG5" });
        expect(warned.join()).toMatch(/no address leaves GRA11, so 198\.51\.100\.20 is given back, and DNS/);
    });

    it("after a replacement that was given up, what it had begun is told", async () => {
        world.known = [order({ region: "SBG5" }), kube("ours"), pool("ours")];
        world.clusters = [cluster("ours"), cluster("begun", { region: "SBG5" })];
        expect((await look()).takeOver).toBeUndefined();
        expect(warned.join()).toContain("cluster begun");
    });

    it("with a policy that OVHcloud does not have, though the state does", async () => {
        world.known = [order(), kube("ours", { updatePolicy: "MINIMAL_DOWNTIME" }), pool("ours")];
        world.clusters = [cluster("ours")];
        await look({ updatePolicy: "MINIMAL_DOWNTIME" });
        expect(warned.join()).toMatch(/OVHcloud has ALWAYS_UPDATE.*pulumi refresh/);
    });
});

describe("a change that failed though the state takes it for done", () => {
    const privately = {
        network: "private",
        private: { ...defaultCluster.private, vlanId: 7, routeThroughGateway: true },
    };
    it.each([
        ["version", { version: "1.35" }, { version: "1.35" }, /cluster.version is 1.35, .* has 1.34: .*pulumi refresh/],
        [
            "gateway",
            privately,
            { privateNetworkId: "net", privateNetworkConfiguration: { privateNetworkRoutingAsDefault: true } },
            /routeThroughGateway is true, .* has false: .*Set it to false/,
        ],
    ])("%s", async (_, settings, known, told) => {
        world.known = [order(), kube("ours", known), pool("ours")];
        world.clusters = [cluster("ours", { privateNetworkConfiguration: { privateNetworkRoutingAsDefault: false } })];
        await look(settings);
        expect(warned.join()).toMatch(told);
    });

    it("not one that has yet to be made", async () => {
        world.known = [order(), kube("ours", { version: "1.34" }), pool("ours")];
        world.clusters = [cluster("ours")];
        await look({ version: "1.35", updatePolicy: "MINIMAL_DOWNTIME" });
        expect(warned).toEqual([]);
    });

    it("not one that the policy forbids: that is refused, whatever the policy is to become with it", async () => {
        const updatePolicy = "NEVER_UPDATE";
        world.known = [order(), kube("ours", { version: "1.34", updatePolicy }), pool("ours")];
        world.clusters = [cluster("ours", { updatePolicy })];
        const policies = ["NEVER_UPDATE", "MINIMAL_DOWNTIME"];
        for (const policy of policies) {
            await expect(look({ version: "1.35", updatePolicy: policy })).rejects.toThrow(
                /policy is NEVER_UPDATE.*pulumi config set --path cluster\.updatePolicy MINIMAL_DOWNTIME/,
            );
        }
        await look({ version: "1.34", updatePolicy });
        await look({ updatePolicy });
        expect(warned).toEqual([]);
    });
});

describe("node pool", () => {
    beforeEach(() => {
        world.known = [order(), kube("ours")];
        world.clusters = [cluster("ours")];
        world.pools = [{ id: "pool", name: "monitoring", status: "READY", desiredNodes: 6 }];
    });

    it("that an interrupted run left is taken over", async () => {
        expect((await look()).pool.takeOver).toBe("project/ours/pool");
        world.pools[0].name = "another";
        expect((await look()).pool.takeOver).toBeUndefined();
    });

    it("whose autoscaler's bounds change keeps the nodes that it has", async () => {
        const autoscaled = { autoscale: true, minNodes: 2, maxNodes: 8, desiredNodes: 3 };
        world.known.push(pool("ours", autoscaled));
        const planned = async (autoscale: object): Promise<object> =>
            (await look({ nodePool: { ...defaultCluster.nodePool, autoscale } })).pool;
        expect(await planned({ min: 2, max: 8 })).toMatchObject({ leaveNumber: true });
        expect(await planned({ min: 2, max: 10 })).toMatchObject({ leaveNumber: false, nodes: { desiredNodes: 6 } });
        expect(await planned({ min: 2, max: 5 })).toMatchObject({ nodes: { desiredNodes: 5 } });
        expect(await planned({ min: 7, max: 9 })).toMatchObject({ nodes: { desiredNodes: 7 } });
    });

    it("whose autoscaler goes loses its bounds", async () => {
        world.known.push(pool("ours", { autoscale: true, minNodes: 2, maxNodes: 8 }));
        const nodes = { autoscale: false, desiredNodes: 3, minNodes: 0, maxNodes: 100 };
        expect((await look()).pool).toEqual({ name: "monitoring", nodes, leaveNumber: false });
    });

    describe("of another flavor, or in another zone", () => {
        const wanted = (over: object) => look({ nodePool: { ...defaultCluster.nodePool, ...over } });
        beforeEach(() => (world.pools = []));

        it("gets a successor of another name, and what that means is told", async () => {
            world.known.push(pool("ours", { flavorName: "b2-7" }));
            expect((await wanted({})).pool.name).toBe("monitoring-b2-15");
            expect(warned.join()).toMatch(
                /pool "monitoring-b2-15" with 3 nodes of b2-15 is made first, then "monitoring" goes .* quota.* with their volumes/,
            );
        });

        it("in another zone is told to leave the volumes behind", async () => {
            world.known.push(pool("ours", { availabilityZones: ["eu-west-par-a"] }));
            await wanted({ availabilityZones: ["eu-west-par-b"] });
            expect(warned.join()).toMatch(
                /volumes stay in eu-west-par-a, .* do not start in eu-west-par-b\. .*upgrading/,
            );
            expect(warned.join()).not.toContain("with their volumes");
        });

        it("keeps the successor's name from then on, and the next one has the plain one again", async () => {
            world.known.push(pool("ours", { name: "monitoring-b2-15" }));
            expect((await wanted({})).pool.name).toBe("monitoring-b2-15");
            expect(warned).toEqual([]);
            expect((await wanted({ flavor: "b3-16" })).pool.name).toBe("monitoring");
        });

        it("never has the name of one that is there", async () => {
            world.known.push(pool("ours", { availabilityZones: ["zone-a"] }));
            expect((await wanted({ availabilityZones: ["zone-a"] })).pool.name).toBe("monitoring");
            expect((await wanted({ availabilityZones: ["zone-b"] })).pool.name).toBe("monitoring-b2-15");
            world.known.push({ ...pool("ours", { name: "monitoring-b2-15" }), name: "cluster-other" });
            expect((await wanted({ availabilityZones: ["zone-b"] })).pool.name).toBe("monitoring-2");
        });

        it("is taken over where an interrupted run left it", async () => {
            world.known.push(pool("ours", { flavorName: "b2-7" }));
            world.pools = ["monitoring", "monitoring-b2-15"].map((one) => ({
                id: `id-of-${one}`,
                name: one,
                status: "READY",
                desiredNodes: 3,
            }));
            expect((await wanted({})).pool.takeOver).toBe("project/ours/id-of-monitoring-b2-15");
        });

        it("in a cluster that is made anew there is nothing to keep apart", async () => {
            world.known = [order(), kube("ours"), pool("ours", { flavorName: "b2-7" })];
            expect((await look({ region: "SBG5" })).pool.name).toBe("monitoring");
        });
    });

    describe("of a flavor", () => {
        const flavors: NodeFlavor[] = [
            { name: "b2-7", state: "available" },
            { name: "b2-15", state: "unavailable" },
            { name: "b3-16", state: "available" },
        ];
        const ofFlavor = (flavor: string) => look({ nodePool: { ...defaultCluster.nodePool, flavor } });
        beforeEach(() => (world.flavors = flavors));

        it.each([
            ["that there is none of now", "b2-15", /no b2-15 to be had in GRA11 now; .* <one of b2-7, b3-16>/],
            ["that is misspelt", "b3-15", /GRA11 has no b3-15; did you mean .*flavor b3-16/],
            ["that does not exist", "zz-1000", /GRA11 has no zz-1000; give another/],
        ])("%s is refused before anything is changed, with and without a pool", async (_, flavor, told) => {
            await expect(ofFlavor(flavor)).rejects.toThrow(told);
            world.known.push(pool("ours", { flavorName: "b2-7" }));
            await expect(ofFlavor(flavor)).rejects.toThrow(told);
            Object.assign(world, { known: [], clusters: [] });
            await expect(ofFlavor(flavor)).rejects.toThrow(told);
        });

        it("that the pool has already is not asked about", async () => {
            world.known.push(pool("ours"));
            await ofFlavor("b2-15");
        });

        it("of which OVHcloud does not tell passes, and that is said", async () => {
            world.flavors = new Error("listing the node flavors of GRA11: OVHcloud answered 403");
            await ofFlavor("b3-15");
            expect(warned.join()).toMatch(/answered 403\n.*nobody has looked whether GRA11 has nodes of b3-15/);
        });
    });
});

it.each([
    [undefined, undefined],
    ["1.34", undefined],
    ["1.35", undefined],
    ["1.33", 'cannot go back; give "1.34"'],
    ["1.36", 'one minor version at a time; give "1.35"'],
])("version %s of a cluster that runs 1.34", (wanted, fault) => {
    const found = versionFault(wanted, "1.34.4-0");
    if (fault) expect(found).toContain(fault);
    else expect(found).toBeUndefined();
});
