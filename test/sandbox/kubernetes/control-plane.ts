import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createKwokMks, type KwokMks } from "../../../sandbox/kubernetes/kwok";
import { ensureToolchain, type Toolchain } from "../../../sandbox/toolchain/toolchain";

/** A folder with real control planes in it, for one test file. */
export interface ControlPlanes {
    dir: string;
    mks: KwokMks;
    bin: Toolchain["bin"];
    log: string[];
    /** Another one on the same folder, as after a restart of the sandbox. */
    again(): KwokMks;
    remove(): void;
}

export async function controlPlanes(): Promise<ControlPlanes> {
    const log: string[] = [];
    const { bin } = await ensureToolchain({ log: (line) => log.push(line) });
    const dir = mkdtempSync(join(tmpdir(), "control planes-"));
    const again = (): KwokMks =>
        createKwokMks({
            dir,
            bin: {
                kwok: bin.kwok,
                etcd: bin.etcd,
                apiserver: bin["kube-apiserver"],
                controllerManager: bin["kube-controller-manager"],
                scheduler: bin["kube-scheduler"],
            },
            log: (line) => log.push(line),
        });
    return { dir, bin, log, mks: again(), again, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/**
 * Looks until something is there; gives up after three minutes. Controllers that were killed need one of them: they wait
 * for the lease of the one before.
 */
export async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
    const end = Date.now() + 180_000;
    for (;;) {
        const found = await look().catch((error: unknown) => {
            if (Date.now() > end) throw error;
            return undefined;
        });
        if (found !== undefined && found !== false) return found;
        if (Date.now() > end) throw new Error("not there within three minutes");
        await sleep(200);
    }
}
