import type { TestProject } from "vitest/node";
import { tools, type Tool } from "../sandbox/toolchain/recipes";
import { ensureToolchain } from "../sandbox/toolchain/toolchain";

/** What the tests of a project run, by its name. */
const wanted: Record<string, readonly Tool[]> = {
    tools: ["promtool", "alertmanager", "amtool"],
    real: tools,
};

/** Has the programs there before the first test of a project, which may take minutes once: no test waits for them. */
export default async function setup({ name }: TestProject): Promise<void> {
    await ensureToolchain({ log: (line) => console.log(`toolchain: ${line}`), wanted: wanted[name] });
}
