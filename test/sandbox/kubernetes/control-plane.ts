import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { endProcesses, sandboxProcesses } from "../../../sandbox/processes";
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
    /** Calls this again and again, as the sandbox's daemon does. Gives what ends it. */
    keepLooking(look: () => Promise<void>): () => void;
    /** Ends whatever runs in the folder, and removes it. */
    close(): Promise<void>;
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
    const mks = again();
    return {
        ...{ dir, bin, log, mks, again },
        keepLooking(look): () => void {
            let looking = true;
            void (async () => {
                for (; looking; await sleep(200)) await look().catch((error: Error) => log.push(error.message));
            })();
            return () => void (looking = false);
        },
        async close(): Promise<void> {
            await mks.close();
            await endProcesses(sandboxProcesses(dir), 10);
            rmSync(dir, { recursive: true, force: true });
        },
    };
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
