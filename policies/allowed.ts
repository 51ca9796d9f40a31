/** What the policies allow: yours to change, reviewed like code. */

export interface Allowed {
    /** Regions of apps and clusters. */
    regions: readonly string[];
    /** Labels that every app has. */
    appLabels: readonly string[];
    /** GPUs that all apps of a stack may use together, at their most replicas. */
    mostGpus: number;
    /** What a stack may cost per hour at its most replicas and nodes, in the currency of its prices. */
    mostPerHour: number;
    /** Whether Grafana may be open to the whole internet. */
    publicGrafana: boolean;
    /** Whether images carry a digest beside the version: a tag can be moved. */
    digests: boolean;
    /** Whether apps and clusters are protected from deletion. */
    protect: boolean;
    /** What a known security advisory of an image does. */
    advisories: "refuse" | "warn";
}

const everywhere: Allowed = {
    // European ones: https://www.ovhcloud.com/en/public-cloud/ai-deploy/, and those of Managed Kubernetes.
    regions: ["GRA", "GRA5", "GRA7", "GRA9", "GRA11", "SBG5", "DE1", "WAW1", "UK1"],
    appLabels: ["ai_deploy_token"],
    mostGpus: 8,
    mostPerHour: 30,
    publicGrafana: false,
    digests: false,
    protect: false,
    advisories: "warn",
};

/** By name of the stack; any other is as `everywhere` says. */
const stacks: Record<string, Partial<Allowed>> = {
    prod: { digests: true, protect: true, advisories: "refuse" },
};

export function allowedIn(stack: string): Allowed {
    return { ...everywhere, ...(Object.hasOwn(stacks, stack) ? stacks[stack] : {}) };
}

/** An advisory that is accepted for some time. */
export interface Exception {
    /** `GHSA-...` */
    id: string;
    /** Last day, as `2027-01-31`. */
    until: string;
    why: string;
}

/** Without an end an exception would be the rule. */
export const exceptions: readonly Exception[] = [];
