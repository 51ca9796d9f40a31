import type { Glances } from "./glances";
import { aiPath } from "./paths";

/** An AI Deploy region. */
export interface Region {
    /** Such as `GRA`. */
    id: string;
    /** Version of the platform there. */
    version: string;
    cliInstallUrl: string;
    documentationUrl: string;
    registryUrl: string;
}

/** What one replica can be made of, in one region. */
export interface Flavor {
    /** Such as `h100-1-gpu`. */
    id: string;
    description: string;
    type: "cpu" | "gpu";
    /** Most units per replica: GPUs for a GPU flavor, CPUs for a CPU flavor. */
    max: number;
    /** Whether the platform takes it when no flavor is named. */
    default: boolean;
    gpuInformation?: {
        gpuBrand: string;
        gpuModel: string;
        /** Bytes. */
        gpuMemory: number;
    } | null;
    /** What one unit brings: CPUs, bytes of memory and storage, bits a second of network. */
    resourcesPerUnit: {
        cpu: number;
        gpu?: number;
        memory: number;
        ephemeralStorage: number;
        publicNetwork: number;
        privateNetwork: number;
    };
}

/** What the project may use at once. */
export interface Quota {
    /** By resource, such as `gpu`; OVHcloud does not publish the names. */
    resources: Record<string, number>;
    /** Bytes. */
    storage: number;
}

/** What a `check` can know of the platform. Either is absent when it could not be learnt. */
export interface Offer {
    regions?: string[];
    /** Of the app's region. */
    flavors?: Flavor[];
}

/** Never throws: a preview without network is still a preview. */
export async function findOffer(glances: Glances, serviceName: string, region: string): Promise<Offer> {
    const regions = await glances.get<Region[]>(regionsPath(serviceName));
    if (!regions) return {};
    const ids = regions.map(({ id }) => id);
    if (!ids.includes(region)) return { regions: ids };
    return { regions: ids, flavors: await glances.get<Flavor[]>(flavorsPath(serviceName, region)) };
}

export function regionsPath(serviceName: string): string {
    return aiPath(serviceName, "capabilities", "region");
}

export function flavorsPath(serviceName: string, region: string): string {
    return aiPath(serviceName, "capabilities", "region", region, "flavor");
}

export function quotaPath(serviceName: string): string {
    return aiPath(serviceName, "capabilities", "quota");
}
