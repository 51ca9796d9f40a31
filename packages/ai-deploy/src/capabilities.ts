import type { OvhClient } from "./client";

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

/** The platform's offer, asked for once per process; a failure is remembered too, so that it costs one time-out. */
export class Capabilities {
    private readonly answers = new Map<string, Promise<unknown>>();

    constructor(private readonly client: OvhClient) {}

    /** Never throws: a preview without network is still a preview. */
    async offer(serviceName: string, region: string): Promise<Offer> {
        const regions = await this.glance<Region[]>(regionsPath(serviceName));
        if (!regions) return {};
        const ids = regions.map(({ id }) => id);
        if (!ids.includes(region)) return { regions: ids };
        return { regions: ids, flavors: await this.glance<Flavor[]>(flavorsPath(serviceName, region)) };
    }

    private glance<T>(path: string): Promise<T | undefined> {
        let answer = this.answers.get(path) as Promise<T | undefined> | undefined;
        if (!answer) {
            answer = this.client.glance<T>(path).catch(() => undefined);
            this.answers.set(path, answer);
        }
        return answer;
    }
}

export function regionsPath(serviceName: string): string {
    return `/cloud/project/${serviceName}/ai/capabilities/region`;
}

export function flavorsPath(serviceName: string, region: string): string {
    return `${regionsPath(serviceName)}/${encodeURIComponent(region)}/flavor`;
}
