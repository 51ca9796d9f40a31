import { notFound } from "./api-error";
import type { Handlers } from "./apps";

/**
 * What the simulated platform offers. Regions and the flavor `h100-1-gpu` are named in OVHcloud's documentation;
 * the other flavors and all sizes are plausible, not read from a live account.
 */
interface FlavorSpec {
    description: string;
    type: "cpu" | "gpu";
    max: number;
    cpu: number;
    memoryGiB: number;
    gpu?: { brand: string; model: string; memoryGiB: number };
}

const flavors: Record<string, FlavorSpec> = {
    "ai1-1-cpu": { description: "CPU", type: "cpu", max: 12, cpu: 1, memoryGiB: 4 },
    "l4-1-gpu": {
        description: "NVIDIA L4",
        type: "gpu",
        max: 4,
        cpu: 22,
        memoryGiB: 90,
        gpu: { brand: "NVIDIA", model: "L4", memoryGiB: 24 },
    },
    "l40s-1-gpu": {
        description: "NVIDIA L40S",
        type: "gpu",
        max: 4,
        cpu: 15,
        memoryGiB: 90,
        gpu: { brand: "NVIDIA", model: "L40S", memoryGiB: 48 },
    },
    "h100-1-gpu": {
        description: "NVIDIA H100",
        type: "gpu",
        max: 4,
        cpu: 30,
        memoryGiB: 380,
        gpu: { brand: "NVIDIA", model: "H100", memoryGiB: 80 },
    },
};

const regionFlavors: Record<string, string[]> = {
    GRA: ["ai1-1-cpu", "l4-1-gpu", "l40s-1-gpu", "h100-1-gpu"],
    BHS: ["ai1-1-cpu", "l4-1-gpu", "h100-1-gpu"],
};

/** GPUs that all running apps of the project may use together: as many as OVHcloud's documentation gives a new project. */
export const gpuQuota = 4;

const gib = 1024 ** 3;

/** @param quota GPUs that the project may use now */
export function capabilityHandlers(quota: () => number): Handlers {
    return {
        "GET /ai/capabilities/region": () => Object.keys(regionFlavors).map((id) => region(id)),
        "GET /ai/capabilities/region/{region}": ({ path }) => region(path.region),
        "GET /ai/capabilities/region/{region}/flavor": ({ path }) => flavorsOf(path.region),
        "GET /ai/capabilities/region/{region}/flavor/{flavorId}": ({ path }) => flavor(path.region, path.flavorId),
        "GET /ai/capabilities/quota": () => ({ resources: { gpu: quota() }, storage: 10 * 1024 ** 4 }),
        "GET /ai/capabilities/feature": () => ({ lab: false, registry: true }),
    };
}

export function region(id: string): object {
    if (!Object.hasOwn(regionFlavors, id)) {
        throw notFound(`region ${id} does not exist; there are ${Object.keys(regionFlavors).join(", ")}`);
    }
    const host = `https://${id.toLowerCase()}.example.invalid`;
    return {
        id,
        version: "simulated",
        cliInstallUrl: `${host}/install.sh`,
        documentationUrl: `${host}/doc`,
        registryUrl: `${host}/registry`,
    };
}

function flavorsOf(regionId: string): object[] {
    region(regionId);
    return regionFlavors[regionId].map((id) => flavor(regionId, id));
}

function flavor(regionId: string, id: string): object {
    region(regionId);
    const spec = regionFlavors[regionId].includes(id) ? flavors[id] : undefined;
    if (!spec) {
        throw notFound(`flavor ${id} does not exist in ${regionId}; there are ${regionFlavors[regionId].join(", ")}`);
    }
    return {
        id,
        type: spec.type,
        description: spec.description,
        default: id === "ai1-1-cpu",
        max: spec.max,
        gpuInformation: spec.gpu && {
            gpuBrand: spec.gpu.brand,
            gpuModel: spec.gpu.model,
            gpuMemory: spec.gpu.memoryGiB * gib,
        },
        resourcesPerUnit: {
            cpu: spec.cpu,
            memory: spec.memoryGiB * gib,
            ephemeralStorage: 100 * gib,
            publicNetwork: 1_500_000_000,
            privateNetwork: 0,
        },
    };
}

/** The `resources` that an app of this flavor and number of units shows. Throws what the platform would refuse. */
export function resourcesOf(
    regionId: string,
    input: { flavor?: string | null; gpu?: number | null; cpu?: number | null; flavorCount?: number | null },
): Record<string, any> {
    const id = input.flavor ?? "ai1-1-cpu";
    const { max, type } = flavor(regionId, id) as { max: number; type: string };
    const spec = flavors[id];
    const units = (type === "gpu" ? input.gpu : input.cpu) ?? input.flavorCount ?? 1;
    if (units < 1 || units > max) throw notFound(`${id}: ${units} units asked for, 1 to ${max} are possible`);
    return {
        flavor: id,
        flavorCount: input.flavorCount ?? null,
        gpu: type === "gpu" ? units : 0,
        cpu: spec.cpu * units,
        memory: spec.memoryGiB * gib * units,
        ephemeralStorage: 100 * gib * units,
        publicNetwork: 1_500_000_000,
        privateNetwork: 0,
        gpuBrand: spec.gpu?.brand ?? null,
        gpuModel: spec.gpu?.model ?? null,
        gpuMemory: spec.gpu ? spec.gpu.memoryGiB * gib : null,
    };
}
