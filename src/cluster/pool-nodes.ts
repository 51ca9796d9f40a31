import type { ClusterSettings } from "../settings";

/** Numbers of a node pool as the API and the ovh plugin name them. */
export interface PoolNodes {
    autoscale: boolean;
    desiredNodes: number;
    minNodes?: number;
    maxNodes?: number;
}

/**
 * Name of the pool at OVHcloud. A pool cannot change what its nodes are made of, so another one takes its place and both are
 * there for a while: that one has the flavor in its name, and the next the plain one again.
 *
 * @param taken names of pools that are there and stay until the new one stands
 */
export function poolName({ name, flavor }: ClusterSettings["nodePool"], taken: string[]): string {
    return [name, `${name}-${flavor}`, `${name}-2`].find((one) => !taken.includes(one))!;
}

/** Bounds that the API gives a pool without autoscaling. */
const unbounded = { minNodes: 0, maxNodes: 100 };

/**
 * How many nodes the pool is to have.
 *
 * @param known as the state has the pool, if it does
 * @param live nodes that the autoscaler wants at present: every change of the pool also sends a number, and the state's
 * is an old one that would take away what has grown
 */
export function poolNodes(
    { nodes, autoscale }: ClusterSettings["nodePool"],
    known?: Partial<PoolNodes>,
    live?: number,
): PoolNodes {
    if (autoscale) {
        const { min: minNodes, max: maxNodes } = autoscale;
        const desiredNodes = live === undefined ? nodes : Math.min(Math.max(live, minNodes), maxNodes);
        return { autoscale: true, desiredNodes, minNodes, maxNodes };
    }
    // Left out, the bounds of an autoscaler that is no more would stay, and refuse another number of nodes.
    const bounded =
        known &&
        ((known.minNodes ?? unbounded.minNodes) !== unbounded.minNodes ||
            (known.maxNodes ?? unbounded.maxNodes) !== unbounded.maxNodes);
    return { autoscale: false, desiredNodes: nodes, ...(bounded && unbounded) };
}

/** Whether only the number differs, which then is the autoscaler's affair. */
export function isAutoscalersChange(wanted: PoolNodes, known: Partial<PoolNodes>): boolean {
    return (
        wanted.autoscale &&
        known.autoscale === true &&
        known.minNodes === wanted.minNodes &&
        known.maxNodes === wanted.maxNodes
    );
}
