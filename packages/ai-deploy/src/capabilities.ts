import { listApps } from "./app-list";
import type { LiveApp } from "./app-spec";
import type { OvhClient } from "./client";
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

    /** The apps that a label selector fits; `undefined` if that cannot be learnt now. */
    appsWith(serviceName: string, labelSelector: string): Promise<LiveApp[] | undefined> {
        const look = () => listApps((path) => this.client.glance(path), serviceName, labelSelector);
        return this.once(`apps of ${serviceName} with ${labelSelector}`, look);
    }

    private glance<T>(path: string): Promise<T | undefined> {
        return this.once(path, () => this.client.glance<T>(path));
    }

    private once<T>(question: string, ask: () => Promise<T>): Promise<T | undefined> {
        let answer = this.answers.get(question) as Promise<T | undefined> | undefined;
        if (!answer) {
            answer = ask().catch(() => undefined);
            this.answers.set(question, answer);
        }
        return answer;
    }
}

export function regionsPath(serviceName: string): string {
    return aiPath(serviceName, "capabilities", "region");
}

export function flavorsPath(serviceName: string, region: string): string {
    return aiPath(serviceName, "capabilities", "region", region, "flavor");
}
