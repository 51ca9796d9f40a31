import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { builtPath, buildTools } from "./build";
import { cacheDir, lockCache, removeFromCache } from "./cache";
import { getReleases, releaseDir } from "./published";
import { recipes, tools, type Tool } from "./recipes";
import { releasesFor, type Release } from "./releases";
import { compareVersions, versionIn } from "./versions";

export interface Toolchain {
    /** Absolute path of each program; of one that is not there, where it would be built. */
    bin: Record<Tool, string>;
    /** Of those that are there. */
    source: Partial<Record<Tool, { from: "path" | "downloaded" | "built"; version: string }>>;
}

export interface ToolchainOptions {
    /** Gets a line per event, and on how far a long one is. */
    log: (line: string) => void;
    /** Those that have to be there; default: all. */
    wanted?: readonly Tool[];
}

interface Found {
    path: string;
    from: "path" | "downloaded" | "built";
    version: string;
}

/**
 * Finds each tool on PATH or in the cache, else downloads what its publisher has built, else builds it from Go.
 * @throws Error that says what is missing and how to get it
 */
export async function ensureToolchain({ log, wanted = tools }: ToolchainOptions): Promise<Toolchain> {
    const releases = releasesFor(process.platform, process.arch);
    const onPath = new Map(tools.map((tool) => [tool, findOnPath(tool)]));
    const find = (tool: Tool): Found | undefined => onPath.get(tool) ?? findInCache(tool, releases);
    const missing = (): Tool[] => wanted.filter((tool) => !find(tool));
    if (missing().length > 0) {
        const unlock = await lockCache(log);
        try {
            // Of one that was killed at it.
            removeFromCache(join(cacheDir(), "work"));
            const published = releases.filter((one) => one.tools.some((tool) => missing().includes(tool)));
            if (published.length > 0) await getReleases(published, { log, arch: process.arch });
            if (missing().length > 0) await buildTools(missing(), log);
        } finally {
            unlock();
        }
    }
    const bin = {} as Toolchain["bin"];
    const source: Toolchain["source"] = {};
    for (const tool of tools) {
        const found = find(tool);
        bin[tool] = found?.path ?? builtPath(tool);
        if (found) source[tool] = { from: found.from, version: found.version };
    }
    return { bin, source };
}

function findInCache(tool: Tool, releases: Release[]): Found | undefined {
    const release = releases.find((one) => one.tools.includes(tool));
    if (release && existsSync(join(releaseDir(release), tool))) {
        return { path: join(releaseDir(release), tool), from: "downloaded", version: release.version };
    }
    const path = builtPath(tool);
    return existsSync(path) ? { path, from: "built", version: recipes[tool].version } : undefined;
}

/** Folder of the CRD files that belong to an operator. */
export function prometheusOperatorCrds(bin: Toolchain["bin"]): string {
    return join(dirname(bin["prometheus-operator"]), "prometheus-operator-crd");
}

/** Removes every tool that was downloaded or built. Returns the folder. */
export function removeToolchain(): string {
    removeFromCache(cacheDir());
    return cacheDir();
}

/** The program of this name on PATH, if its version fits. */
function findOnPath(tool: Tool): Found | undefined {
    const { versionArgs, from, below } = recipes[tool];
    if (!versionArgs) return undefined;
    for (const dir of (process.env.PATH ?? "").split(delimiter)) {
        const path = join(dir, tool);
        // The sandbox's own links are no find.
        if (!existsSync(path) || dir.endsWith("/.sandbox/bin")) continue;
        const answer = spawnSync(path, versionArgs, { encoding: "utf8", timeout: 10_000 });
        const version = versionIn(`${answer.stdout ?? ""}${answer.stderr ?? ""}`);
        if (version && compareVersions(version, from) >= 0 && compareVersions(version, below) < 0) {
            return { path, from: "path", version };
        }
    }
    return undefined;
}
