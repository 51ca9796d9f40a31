import { dotted, ipv4Range } from "../formats";
import { clusterSchema } from "../schema";
import type { CrossFault } from "./config";
import { regionFaults } from "./kube-regions";

/** Addresses of private networks (RFC 1918, RFC 6598): any other range would hide a part of the internet. */
const privateRanges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"];

/**
 * What a network takes besides its nodes: its first and last address, the gateway, DHCP in three zones, one node more while
 * one is replaced, and a load balancer with its pair of instances.
 */
const otherAddresses = 10;

/** Ranges that Managed Kubernetes uses inside: pods and services of each plan, and its container network. */
const reserved = {
    free: ["10.2.0.0/16", "10.3.0.0/16", "172.17.0.0/16"],
    standard: ["10.240.0.0/13", "10.3.0.0/16", "172.17.0.0/16"],
};

/** Faults of the region, the node pool and the private network. */
export function clusterFaults(config: unknown): CrossFault[] {
    const raw = (config ?? {}) as Record<string, unknown>;
    const faults = regionFaults(raw);
    const { nodePool: poolShape, network: networkShape, private: privateShape, plan: planShape } = clusterSchema.shape;

    const pool = poolShape.safeParse(raw.nodePool).data;
    if (pool?.autoscale) {
        const { min, max } = pool.autoscale;
        if (min > max) {
            const fix = `give at most autoscale.max, which is ${max}`;
            faults.push({ path: ["cluster", "nodePool", "autoscale", "min"], fix });
        } else if (pool.nodes < min || pool.nodes > max) {
            faults.push({
                path: ["cluster", "nodePool", "nodes"],
                fix: `give ${min} to ${max}, the range of autoscale`,
            });
        }
    }
    if (networkShape.safeParse(raw.network).data !== "private") return faults;
    const network = privateShape.safeParse(raw.private).data;
    if (!network) return faults;
    if (network.vlanId === undefined) {
        const fix =
            "choose a free VLAN of the vRack, 1 to 4000 (0 for none), which is fixed when the cluster is made: " +
            "pulumi config set --path cluster.private.vlanId 100";
        faults.push({ path: ["cluster", "private", "vlanId"], fix });
    }
    const plan = planShape.safeParse(raw.plan).data ?? "free";
    if (plan === "standard" && !network.routeThroughGateway) {
        const fix =
            "nodes of the plan standard have no other way out: pulumi config set --path cluster.private.routeThroughGateway true";
        faults.push({ path: ["cluster", "private", "routeThroughGateway"], fix });
    }
    const nodes = pool && Math.max(pool.nodes, pool.autoscale?.max ?? 0);
    const fix = networkFault(network.cidr, plan, nodes ?? 1);
    if (fix) faults.push({ path: ["cluster", "private", "cidr"], fix });
    return faults;
}

/** What would be right in place of this range for a private network; undefined when it is fine. */
function networkFault(cidr: string, plan: keyof typeof reserved, nodes: number): string | undefined {
    const range = ipv4Range(cidr);
    if (!range) return 'give an IPv4 range such as "10.100.0.0/20"';
    const within = (other: { first: number; last: number }) => other.first <= range.first && range.last <= other.last;
    if (!privateRanges.some((other) => within(ipv4Range(other)!))) {
        return `give a range within ${privateRanges.join(", ")}, such as "10.100.0.0/20"`;
    }
    const clash = reserved[plan].find((other) => overlap(range, ipv4Range(other)!));
    if (clash) return `give a range apart from ${clash}, which the cluster uses inside`;
    const needed = nodes + otherAddresses;
    if (range.last - range.first + 1 >= needed) return undefined;
    const bits = 32 - Math.ceil(Math.log2(needed));
    const enough = `${dotted(ipv4Range(`${dotted(range.first)}/${bits}`)!.first)}/${bits}`;
    return `give a /${bits} or larger, such as "${enough}": ${nodes} nodes, gateway and load balancer take ${needed} addresses`;
}

function overlap(a: { first: number; last: number }, b: { first: number; last: number }): boolean {
    return a.first <= b.last && b.first <= a.last;
}
