import { rmSync } from "node:fs";
import { step } from "../../machine/terminal";
import type { Layout } from "../layout";
import { removeToolchain } from "../toolchain/toolchain";
import { forgetDaemon, stopEverything } from "./daemon-process";

/** Stops everything; state stays. */
export async function down(layout: Layout): Promise<number> {
    await step("Stopping", () => stopEverything(layout));
    forgetDaemon(layout);
    console.log('State is kept in .sandbox: "npm run sandbox" continues.');
    return 0;
}

/** Stops everything and removes it; with `toolchain` also what was built for every sandbox of this machine. */
export async function reset(layout: Layout, toolchain: boolean): Promise<number> {
    await step("Stopping", () => stopEverything(layout));
    rmSync(layout.dir, { recursive: true, force: true });
    console.log(`removed ${layout.dir}`);
    if (toolchain) console.log(`removed ${removeToolchain()}`);
    return 0;
}
