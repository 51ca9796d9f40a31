import { existsSync, statfsSync } from "node:fs";
import { dirname } from "node:path";

/** Megabytes (10^6 bytes) that are left for this user where a folder is, or will be. */
export function freeMegabytes(folder: string): number {
    if (!existsSync(folder)) return freeMegabytes(dirname(folder));
    const { bavail, bsize } = statfsSync(folder);
    return Math.floor((bavail * bsize) / 1e6);
}

/** Throws an Error that says how much is missing where, unless there is enough. `what` needs it, in words. */
export function requireSpace(folder: string, megabytes: number, what: string): void {
    const free = freeMegabytes(folder);
    if (free >= megabytes) return;
    throw new Error(`${what} needs ${megabytes} MB in ${folder}, and ${free} MB are free: make room and repeat`);
}
