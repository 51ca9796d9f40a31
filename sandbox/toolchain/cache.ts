/** Where tools are kept that were downloaded or built: outside of any checkout, for all of this user. */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { takeLock } from "../processes";

/** The folder, `~/.cache/ovhcloud-sandbox` unless OVH_SANDBOX_CACHE or XDG_CACHE_HOME say otherwise. */
export function cacheDir(): string {
    const base = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
    return process.env.OVH_SANDBOX_CACHE || join(base, "ovhcloud-sandbox");
}

/** Removes a folder of the cache, also one with Go's modules, which are read-only, folders included. */
export function removeFromCache(dir: string): void {
    spawnSync("chmod", ["-R", "u+w", dir]);
    rmSync(dir, { recursive: true, force: true });
}

/** One process at a time fills the cache. A lock whose process is gone counts for nothing. Resolves with what gives it back. */
export async function lockCache(log: (line: string) => void): Promise<() => void> {
    const file = join(cacheDir(), "lock");
    for (let waited = false; ; waited = true) {
        const holder = takeLock(file);
        if (!holder) return () => rmSync(file, { force: true });
        if (!waited) log(`process ${holder.pid} is getting the tools; waiting for it`);
        await sleep(1000);
    }
}
