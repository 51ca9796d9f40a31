import { chmodSync, mkdirSync, rmSync } from "node:fs";
import type { Layout } from "../layout";
import { takeLock } from "../processes";
import { UserError } from "./user-error";

/** Only one command may change the sandbox at a time: this one, until its process ends, however it does. */
export async function exclusively<T>(layout: Layout, work: () => Promise<T>): Promise<T> {
    mkdirSync(layout.dir, { recursive: true });
    chmodSync(layout.dir, 0o700);
    const holder = takeLock(layout.lock);
    if (holder) {
        throw new UserError(`another "npm run sandbox" is at work (process ${holder.pid}): wait for it, or stop it`);
    }
    process.on("exit", () => rmSync(layout.lock, { force: true }));
    return work();
}
