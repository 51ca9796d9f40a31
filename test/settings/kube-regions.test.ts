import { describe, expect, it } from "vitest";
import { faultsOf, parse, toSet } from "./config";
import { configSet } from "./pulumi-config";

type Cluster = Record<string, unknown>;
const faults = (cluster: Cluster) => faultsOf({ cluster }).map(({ key, fix }) => [key, fix]);
const inPrivate = { network: "private", private: { vlanId: 100 } };
const paris = { plan: "standard", region: "EU-WEST-PAR", ...inPrivate };
const zones = (...availabilityZones: string[]) => ({ nodePool: { availabilityZones } });

describe("a region and what it has", () => {
    it.each<[string, Cluster]>([
        ["a region of one zone", { region: "SBG5" }],
        ["the plan standard in one zone", { plan: "standard", region: "EU-WEST-RBX" }],
        ["three zones", { ...paris, ...zones("eu-west-par-c") }],
        ["Milan", { ...paris, region: "EU-SOUTH-MIL", ...zones("eu-south-mil-b") }],
        ["a region that is not known", { region: "MARS1", plan: "standard", ...zones("mars1-a") }],
    ])("is taken: %s", (_, cluster) => {
        expect(faults(cluster)).toEqual([]);
    });

    it.each<[string, Cluster, string, RegExp]>([
        [
            "free where there is standard",
            { ...paris, plan: "free", ...zones("eu-west-par-a") },
            "cluster.plan",
            /plan standard only/,
        ],
        [
            "standard where there is free",
            { plan: "standard" },
            "cluster.plan",
            /GRA11 has the plan free only.*EU-WEST-PAR/,
        ],
        [
            "no network of its own in three zones",
            { plan: "standard", region: "EU-WEST-PAR", ...zones("eu-west-par-a") },
            "cluster.network",
            /private network with a gateway/,
        ],
        ["no zone", paris, "cluster.nodePool.availabilityZones", /one of eu-west-par-a, eu-west-par-b, eu-west-par-c/],
        [
            "a zone of another region",
            { ...paris, ...zones("eu-south-mil-a") },
            "cluster.nodePool.availabilityZones[0]",
            /give one of eu-west-par-a/,
        ],
        [
            "two zones",
            { ...paris, ...zones("eu-west-par-a", "eu-west-par-b") },
            "cluster.nodePool.availabilityZones",
            /a pool is in one zone/,
        ],
        [
            "a zone where there is one",
            zones("gra11-a"),
            "cluster.nodePool.availabilityZones",
            /GRA11 has one zone only/,
        ],
        [
            "no way out",
            { ...paris, ...zones("eu-west-par-a"), private: { vlanId: 100, routeThroughGateway: false } },
            "cluster.private.routeThroughGateway",
            /no other way out/,
        ],
    ])("is refused: %s", (_, cluster, key, fix) => {
        expect(faults(cluster)).toEqual([[key, expect.stringMatching(fix)]]);
    });

    it("that is set by what the messages say, one after another, is right in the end", () => {
        let config: Record<string, unknown> = { ...toSet, cluster: { region: "EU-WEST-PAR" } };
        for (let left = 5; left > 0; left--) {
            const lines = faultsOf(config).flatMap(
                ({ fix }) => fix.match(/pulumi config set --path \S+ \S+?(?=[,\s]|$)/g) ?? [],
            );
            config = lines.reduce((before, line) => configSet(before, line), config);
        }
        expect(parse(config).cluster).toMatchObject({ ...paris, ...zones("eu-west-par-a") });
    });
});

describe("an address that is kept", () => {
    it("is one of a load balancer", () => {
        const internal = { monitoring: { grafana: { access: "internal", keepAddress: true } } };
        expect(faultsOf(internal)).toMatchObject([
            { key: "monitoring.grafana.keepAddress", fix: expect.stringMatching(/only a load balancer/) },
        ]);
        const models = { ministral: { frontDoor: { clients: ["search"], keepAddress: true } } };
        const door = { models, clientKeys: { search: "made-up-key-of-search" } };
        expect(faultsOf(door, ["huggingFaceToken", "clientKeys"])).toMatchObject([
            { key: "models.ministral.frontDoor.keepAddress", fix: expect.stringMatching(/only a load balancer/) },
        ]);
    });
});
