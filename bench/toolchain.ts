// What building the sandbox's programs takes where nothing can be downloaded, from empty caches: `npm run bench -- toolchain`.
// Each module after the one before, as `npm run sandbox` does it: what they share is counted for the first.
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { table } from "../machine/terminal";
import { removeFromCache } from "../sandbox/toolchain/cache";
import { recipes, sandboxTools } from "../sandbox/toolchain/recipes";
import { ensureToolchain } from "../sandbox/toolchain/toolchain";

/** CPU seconds, user's and system's, of all processes below this one that have ended. Linux alone tells it. */
function cpuOfChildren(): number {
    const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1].split(" ");
    return (Number(fields[13]) + Number(fields[14])) / 100;
}

async function main(): Promise<void> {
    const dir = mkdtempSync(join(tmpdir(), "toolchain-"));
    process.env.OVH_SANDBOX_CACHE = join(dir, "cache");
    // Between two modules the sandbox would keep it; `ensureToolchain` removes its own at the end of each call.
    process.env.GOCACHE = join(dir, "go-build");
    process.env.GOMODCACHE = join(dir, "go-mod");
    // Where nothing listens.
    process.env.OVH_SANDBOX_MIRROR = "http://127.0.0.1:9";
    try {
        const rows: [string, number, number][] = [];
        for (const module of new Set(sandboxTools.map((tool) => recipes[tool].module))) {
            const wanted = sandboxTools.filter((tool) => recipes[tool].module === module);
            const [started, before] = [performance.now(), cpuOfChildren()];
            await ensureToolchain({ wanted, log: (line) => console.error(line) });
            rows.push([module, cpuOfChildren() - before, (performance.now() - started) / 1000]);
        }
        const total = rows.reduce((sum, [, cpu]) => sum + cpu, 0);
        const told = rows.map(([module, cpu, seconds]) => [
            module,
            `${cpu.toFixed(0)} CPU s`,
            `${((100 * cpu) / total).toFixed(0)} %`,
            `${(cpu / seconds).toFixed(1)} processors busy`,
        ]);
        console.log(table([...told, ["all", `${total.toFixed(0)} CPU s`, "100 %", ""]]));
    } finally {
        removeFromCache(dir);
    }
}

main().catch((error: Error) => {
    console.error(`error: ${error.message}`);
    process.exitCode = 1;
});
