import { clusterSchema } from "../schema";
import type { CrossFault } from "./config";

/**
 * Regions of Managed Kubernetes (OVHcloud's table of 2026-02), each with its plan: none has both. Those of three zones have
 * them called `eu-west-par-a` and so on. `RBX-A` is how the API writes EU-WEST-RBX.
 */
export const kubeRegions: Record<string, { plan: "free" | "standard"; zones: 1 | 3 }> = {
    ...all(["GRA5", "GRA7", "GRA9", "GRA11", "SBG5", "DE1", "UK1", "WAW1", "BHS5", "SGP1", "SYD1"], "free", 1),
    ...all(["US-WEST-OR-1", "US-EAST-VA-1"], "free", 1),
    ...all(["EU-WEST-RBX", "RBX-A", "AP-SOUTH-MUM"], "standard", 1),
    ...all(["EU-WEST-PAR", "EU-SOUTH-MIL"], "standard", 3),
};

function all<Plan, Zones>(names: string[], plan: Plan, zones: Zones): Record<string, { plan: Plan; zones: Zones }> {
    return Object.fromEntries(names.map((name) => [name, { plan, zones }]));
}

/** Zones of a region that has three, in the names that OVHcloud and OpenStack give them; none of any other. */
export function zonesOf(region: string): string[] {
    if (!Object.hasOwn(kubeRegions, region) || kubeRegions[region].zones === 1) return [];
    return ["a", "b", "c"].map((letter) => `${region.toLowerCase()}-${letter}`);
}

/**
 * What a region does not have: the plan, nodes without a network of their own, another number of zones. Of a region that is not
 * in the table, nothing is said.
 * @param raw the cluster's settings, of which nothing needs to fit the schema
 */
export function regionFaults(raw: Record<string, unknown>): CrossFault[] {
    const { shape } = clusterSchema;
    const region = shape.region.safeParse(raw.region).data;
    if (region === undefined || !Object.hasOwn(kubeRegions, region)) return [];
    return [
        ...planFaults(region, shape.plan.safeParse(raw.plan).data),
        ...networkFaults(region, shape.network.safeParse(raw.network).data),
        ...zoneFaults(region, shape.nodePool.safeParse(raw.nodePool).data?.availabilityZones ?? []),
    ];
}

function planFaults(region: string, plan: string | undefined): CrossFault[] {
    const { plan: right } = kubeRegions[region];
    if (plan === undefined || plan === right) return [];
    const others = Object.keys(kubeRegions).filter((name) => kubeRegions[name].plan === plan);
    const fix =
        `${region} has the plan ${right} only: pulumi config set --path cluster.plan ${right}, ` +
        `or move to a region of the other plan, which are ${others.join(", ")}`;
    return [{ path: ["cluster", "plan"], fix }];
}

/** MKS makes no gateway by itself there, and without one no node has a way out. */
function networkFaults(region: string, network: string | undefined): CrossFault[] {
    if (network !== "public" || zonesOf(region).length === 0) return [];
    const fix =
        `clusters of ${region} are in a private network with a gateway: pulumi config set --path cluster.network private ` +
        "and pulumi config set --path cluster.private.vlanId 100";
    return [{ path: ["cluster", "network"], fix }];
}

function zoneFaults(region: string, given: string[]): CrossFault[] {
    const path = ["cluster", "nodePool", "availabilityZones"];
    const key = path.join(".");
    const zones = zonesOf(region);
    if (zones.length === 0) {
        const fix = `${region} has one zone only: pulumi config rm --path ${key}`;
        return given.length === 0 ? [] : [{ path, found: given.join(", "), fix }];
    }
    const set = `pulumi config set --path '${key}[0]' ${zones[0]}`;
    if (given.length === 0) return [{ path, fix: `name the zone of the nodes, one of ${zones.join(", ")}: ${set}` }];
    if (given.length > 1) {
        const fix = `a pool is in one zone, as its volumes are: pulumi config rm --path '${key}[1]'`;
        return [{ path, found: given.join(", "), fix }];
    }
    if (zones.includes(given[0])) return [];
    return [{ path: [...path, 0], fix: `give one of ${zones.join(", ")}: ${set}` }];
}
