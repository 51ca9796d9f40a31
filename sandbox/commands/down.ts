import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Layout } from "../layout";
import { removeToolchain } from "../toolchain/toolchain";
import { forgetDaemon, stopEverything } from "./daemon-process";
import { Phases } from "./phases";

/** Stops everything; state stays. */
export async function down(layout: Layout): Promise<number> {
    await stop(layout);
    forgetDaemon(layout);
    console.log('State is kept in .sandbox: "npm run sandbox" continues.');
    return 0;
}

/** Stops everything and removes it; with `toolchain` also what was built for every sandbox of this machine. */
export async function reset(layout: Layout, toolchain: boolean): Promise<number> {
    await stop(layout);
    await removeFolder(layout.dir);
    console.log(`removed ${layout.dir}`);
    if (toolchain) console.log(`removed ${removeToolchain()}`);
    return 0;
}

function stop(layout: Layout): Promise<void> {
    return new Phases({ log: () => undefined }).run("Stopping", async () => {
        return { value: await stopEverything(layout), seen: "" };
    });
}

/** Again, should something be written meanwhile, such as the daemon's exit code by the shell that outlives it. */
async function removeFolder(dir: string, tries = 10): Promise<void> {
    try {
        // Not `maxRetries`: Node's tries again to remove the folder, but not what has come into it.
        rmSync(dir, { recursive: true, force: true });
    } catch (error) {
        if (tries === 0 || (error as NodeJS.ErrnoException).code !== "ENOTEMPTY") throw error;
        await sleep(200);
        await removeFolder(dir, tries - 1);
    }
}
