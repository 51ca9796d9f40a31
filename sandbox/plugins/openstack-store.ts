/** What there is of OpenStack in the sandbox: a file for each thing, which the plugin and the clusters' controllers share. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { FloatingIps } from "../kubernetes/cloud-controller";
import type { Properties } from "./provider-server";

/** A thing as it is kept: its kind, and its properties as the plugin shows them. */
export interface Stored {
    kind: string;
    id: string;
    properties: Properties;
}

/** Where the things of the sandbox lie that has its plugins there. */
export function openStackFolder(pulumiHome: string): string {
    return join(dirname(pulumiHome), "openstack");
}

export class OpenStackStore {
    constructor(private readonly folder: string) {}

    save(stored: Stored): void {
        const file = this.fileOf(stored.id);
        mkdirSync(this.folder, { recursive: true });
        writeFileSync(`${file}.new`, JSON.stringify(stored, null, 4));
        renameSync(`${file}.new`, file);
    }

    load(id: string): Stored | undefined {
        try {
            return JSON.parse(readFileSync(this.fileOf(id), "utf8")) as Stored;
        } catch (error) {
            if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
            throw error;
        }
    }

    all(kind: string): Stored[] {
        mkdirSync(this.folder, { recursive: true });
        return readdirSync(this.folder)
            .filter((name) => name.endsWith(".json"))
            .flatMap((name) => this.load(name.replace(/\.json$/, "")) ?? [])
            .filter((stored) => stored.kind === kind);
    }

    remove(id: string): void {
        rmSync(this.fileOf(id), { force: true });
    }

    private fileOf(id: string): string {
        return join(this.folder, `${id}.json`);
    }
}

/** TEST-NET-2 of RFC 5737, for documentation: no machine has such an address. */
const floatingAddress = (n: number): string => `198.51.100.${n}`;
const firstAddress = 10;
const lastAddress = 254;

/** The lowest address outside that neither a floating IP nor a router has. */
export function freeAddress(store: OpenStackStore): string {
    const ofRouters = store.all("router").flatMap(({ properties }) => properties.externalFixedIps as Properties[]);
    const used = new Set([
        ...store.all("floating IP").map(({ properties }) => properties.address as string),
        ...ofRouters.map(({ ipAddress }) => ipAddress as string),
    ]);
    let n = firstAddress;
    while (used.has(floatingAddress(n))) n++;
    if (n > lastAddress) throw new Error("No more IP addresses available on network Ext-Net");
    return floatingAddress(n);
}

/** The floating IPs as the load balancers of clusters use them. In which region one is, is not looked at. */
export function floatingIps(folder: string): FloatingIps {
    const store = new OpenStackStore(folder);
    const attach = (stored: Stored, portId: string): void =>
        store.save({ ...stored, properties: { ...stored.properties, portId } });
    return {
        attach(address, portId) {
            const found = store.all("floating IP").find(({ properties }) => properties.address === address);
            if (!found || (found.properties.portId && found.properties.portId !== portId)) return false;
            attach(found, portId);
            return true;
        },
        release(portId) {
            for (const one of store.all("floating IP")) if (one.properties.portId === portId) attach(one, "");
        },
    };
}
