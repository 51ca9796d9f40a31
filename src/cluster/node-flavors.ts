import { nearest } from "../settings/formats";
import type { NodeFlavor } from "./ovh-api";

/** Why no pool of this flavor can be made in the region now, and what would be right; undefined when it can. */
export function flavorFault(wanted: string, region: string, flavors: NodeFlavor[]): string | undefined {
    const found = flavors.find(({ name }) => name === wanted);
    if (found && found.state !== "unavailable") return undefined;
    const names = flavors.filter(({ state }) => state !== "unavailable").map(({ name }) => name);
    const others = `give another: pulumi config set --path cluster.nodePool.flavor <one of ${names.join(", ")}>`;
    if (found) return `cluster.nodePool.flavor: there is no ${wanted} to be had in ${region} now; ${others}`;
    const guess = nearest(wanted, names);
    const fix = guess ? `did you mean pulumi config set --path cluster.nodePool.flavor ${guess}` : others;
    return `cluster.nodePool.flavor: ${region} has no ${wanted}; ${fix}`;
}
