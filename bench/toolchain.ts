// What getting the sandbox's programs takes, from empty caches: `npm run bench -- toolchain` builds them, as where nothing can be
// downloaded; with --download they come from a server of this machine that serves those that are here, packed as their publishers do.
// Each module is built after the one before, as `npm run sandbox` does it: what they share is counted for the first.
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { table } from "../machine/terminal";
import { removeFromCache } from "../sandbox/toolchain/cache";
import { recipes, sandboxTools, type Tool } from "../sandbox/toolchain/recipes";
import { releasesFor } from "../sandbox/toolchain/releases";
import { ensureToolchain, type Toolchain } from "../sandbox/toolchain/toolchain";
import pinned from "../sandbox/toolchain/sha256.json";
import { Publisher } from "../test/sandbox/toolchain/publisher";

/** CPU seconds, user's and system's, of all processes below this one that have ended. Linux alone tells it. */
function cpuOfChildren(): number {
    const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1].split(" ");
    return (Number(fields[13]) + Number(fields[14])) / 100;
}

async function measureBuild(dir: string): Promise<void> {
    // Between two modules the sandbox would keep it; `ensureToolchain` removes its own at the end of each call.
    process.env.GOCACHE = join(dir, "go-build");
    process.env.GOMODCACHE = join(dir, "go-mod");
    // Where nothing listens.
    process.env.OVH_SANDBOX_MIRROR = "http://127.0.0.1:9";
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
}

/** Of the releases for this machine whose programs are here in the version that is published. */
async function measureDownload({ bin, source }: Toolchain): Promise<void> {
    const publisher = await Publisher.start();
    process.env.OVH_SANDBOX_MIRROR = publisher.url;
    try {
        const served = releasesFor(process.platform, process.arch).filter(
            ({ tools, version }) =>
                sandboxTools.some((tool) => tools.includes(tool)) &&
                tools.every((tool) => source[tool]?.version === version),
        );
        for (const release of served) {
            const first = bin[release.tools[0]];
            const fileOf = (name: string): string => (name in bin ? bin[name as Tool] : join(dirname(first), name));
            // Pulumi's language hosts are published with it and are not built: as many bytes of Pulumi stand for each.
            publisher.publish(release, (name) => readFileSync(existsSync(fileOf(name)) ? fileOf(name) : first));
            // The sum that is pinned is of what the publisher has built.
            for (const { url } of release.files) delete (pinned as Record<string, string>)[url];
        }
        const [started, before, own] = [performance.now(), cpuOfChildren(), process.cpuUsage()];
        const wanted = served.flatMap(({ tools }) => tools);
        const { source: got } = await ensureToolchain({ wanted, log: (line) => console.error(line) });
        const built = wanted.filter((tool) => got[tool]?.from !== "downloaded");
        if (built.length > 0) throw new Error(`not downloaded: ${built.join(", ")}`);
        const seconds = (performance.now() - started) / 1000;
        const { user, system } = process.cpuUsage(own);
        const cpu = cpuOfChildren() - before + (user + system) / 1e6;
        const megabytes = Object.values(publisher.files).reduce((sum, { body }) => sum + body.length, 0) / 1e6;
        console.log(
            `${wanted.length} programs, ${megabytes.toFixed(0)} MB: ${cpu.toFixed(0)} CPU s, those of the server among them, ` +
                `in ${seconds.toFixed(0)} s; a line of 100 Mbit/s takes ${(megabytes / 12.5).toFixed(0)} s for the bytes`,
        );
    } finally {
        await publisher.stop();
    }
}

async function main(): Promise<void> {
    const { values: given } = parseArgs({ options: { download: { type: "boolean" } } });
    const present = given.download ? await ensureToolchain({ log: (line) => console.error(line) }) : undefined;
    const dir = mkdtempSync(join(tmpdir(), "toolchain-"));
    process.env.OVH_SANDBOX_CACHE = join(dir, "cache");
    try {
        await (present ? measureDownload(present) : measureBuild(dir));
    } finally {
        removeFromCache(dir);
    }
}

main().catch((error: Error) => {
    console.error(`error: ${error.message}`);
    process.exitCode = 1;
});
