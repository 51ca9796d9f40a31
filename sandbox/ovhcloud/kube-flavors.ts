import type { Handlers } from "./apps";

/** What nodes can be made of, as the API lists it. */
export interface NodeFlavor {
    category: string;
    gpus: number;
    /** Such as `b2-15`. */
    name: string;
    /** GB. */
    ram: number;
    state: "available" | "unavailable";
    vCPUs: number;
}

/** Memory in GB by family: MKS takes no others (`d2-2` is too small for a node). GPU flavors are left out. */
const memory: Record<string, number[]> = {
    b2: [7, 15, 30, 60, 120],
    b3: [8, 16, 32, 64, 128, 256, 512, 640],
    c2: [7, 15, 30, 60, 120],
    c3: [4, 8, 16, 32, 64, 128, 256, 320],
    d2: [4, 8],
    r2: [15, 30, 60, 120, 240],
    r3: [16, 32, 64, 128, 256, 512, 1024],
};
/** GB for each vCPU, about. */
const memoryPerCpu: Record<string, number> = { b2: 3.75, b3: 4, c2: 3.75, c3: 2, d2: 2, r2: 15, r3: 8 };

/** Where the third generation is: by OVHcloud's table of 2026-02, and where the examples of the ovh provider have nodes of it. */
const thirdGeneration = ["DE1", "GRA11", "UK1", "WAW1", "RBX-A", "EU-WEST-RBX", "EU-WEST-PAR", "EU-SOUTH-MIL"];
/** Made up, so that one that is sold out can be met. */
const soldOut = ["b2-120"];

export function flavorHandlers(): Handlers {
    return {
        "GET /capabilities/kube/flavors": ({ query }) => nodeFlavors(query.get("region") ?? "GRA11"),
    };
}

/** The flavors of a region, those that are sold out included. */
export function nodeFlavors(region: string): NodeFlavor[] {
    return Object.entries(memory)
        .filter(([family]) => family[1] === "2" || thirdGeneration.includes(region))
        .flatMap(([family, sizes]) =>
            sizes.map((ram): NodeFlavor => {
                const name = `${family}-${ram}`;
                const vCPUs = Math.max(1, Math.round(ram / memoryPerCpu[family]));
                const state = soldOut.includes(name) ? "unavailable" : "available";
                return { category: family[0], gpus: 0, name, ram, state, vCPUs };
            }),
        );
}
