import type { ClusterSettings } from "../settings";
import type { PoolNodes } from "./pool-nodes";

type PoolSettings = ClusterSettings["nodePool"];

/** What the state holds of a node pool, in part. */
export interface KnownPool extends PoolNodes {
    /** Logical name. */
    resource: string;
    kubeId: string;
    /** At OVHcloud. */
    name: string;
    flavorName: string;
    availabilityZones?: string[];
}

/** Whether the pool can become what is wanted: what its nodes are made of, and where, is fixed. */
export function isKept(pool: KnownPool, wanted: PoolSettings): boolean {
    return pool.flavorName === wanted.flavor && isInZone(pool, wanted);
}

/** Left out, the zone is OVHcloud's choice. */
function isInZone(pool: KnownPool, { availabilityZones }: PoolSettings): boolean {
    return availabilityZones === undefined || availabilityZones.join() === pool.availabilityZones?.join();
}

/** What a pool's replacement by another one, of this name, means for what runs there. */
export function poolWarning(before: KnownPool, name: string, wanted: PoolSettings): string {
    const { nodes, flavor, availabilityZones } = wanted;
    const change =
        `cluster.nodePool: pool "${name}" with ${nodes} nodes of ${flavor} is made first, then "${before.name}" goes with its ` +
        `${before.desiredNodes} of ${before.flavorName}. Until then both are billed, and count against the project's quota of ` +
        "instances, cores and memory in the region. ";
    if (isInZone(before, wanted)) {
        return (
            change +
            "What runs moves over: Prometheus, Grafana and Alertmanager start once more, with their volumes, and miss some minutes"
        );
    }
    const there = before.availabilityZones?.join(", ") || "their zone";
    return (
        `${change}The volumes stay in ${there}, where no node is left then: Prometheus, Grafana and Alertmanager do not start in ` +
        `${availabilityZones?.join(", ")}. Set the zone back, or begin with empty volumes: docs/upgrading.md#volumes`
    );
}
