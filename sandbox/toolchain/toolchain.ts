import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
    chmodSync,
    cpSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readFileSync,
    readdirSync,
    renameSync,
    rmSync,
} from "node:fs";
import { homedir } from "node:os";
import { basename, delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { requireSpace } from "../disk-space";
import { takeLock } from "../processes";
import { oldestGo, recipes, tools, type Recipe, type Tool } from "./recipes";

export interface Toolchain {
    /** Absolute path of each program. */
    bin: Record<Tool, string>;
    source: Record<Tool, { from: "path" | "built"; version: string }>;
}

export interface ToolchainOptions {
    /** Gets a line per event; progress of a long build every 30 s. */
    log: (line: string) => void;
}

/** Go's caches while tools are built, some 15 GB for all of them; 1 GB stays. */
const buildMegabytes = 16_000;

const modules = join(__dirname, "go");

/** Where built tools are kept, outside of any checkout. */
export function cacheDir(): string {
    const base = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
    return process.env.OVH_SANDBOX_CACHE || join(base, "ovhcloud-sandbox");
}

/** Finds each tool on PATH, in the cache, or builds it. Throws an Error that says what is missing and how to get it. */
export async function ensureToolchain({ log }: ToolchainOptions): Promise<Toolchain> {
    const bin = {} as Toolchain["bin"];
    const source = {} as Toolchain["source"];
    const missing: Tool[] = [];
    for (const tool of tools) {
        const onPath = findOnPath(tool);
        const built = builtPath(tool);
        if (onPath) {
            bin[tool] = onPath.path;
            source[tool] = { from: "path", version: onPath.version };
        } else {
            bin[tool] = built;
            source[tool] = { from: "built", version: recipes[tool].version };
            if (!existsSync(built)) missing.push(tool);
        }
    }
    if (missing.length > 0) await buildAll(missing, log);
    return { bin, source };
}

/** Folder of the operator's CRD files; there once the toolchain is. */
export function prometheusOperatorCrds(): string {
    return join(builtPath("prometheus-operator"), "..", "prometheus-operator-crd");
}

/** Removes every tool that was built. Returns the folder. */
export function removeToolchain(): string {
    const dir = cacheDir();
    // Go's module cache is read-only, folders included.
    spawnSync("chmod", ["-R", "u+w", dir]);
    rmSync(dir, { recursive: true, force: true });
    return dir;
}

async function buildAll(missing: Tool[], log: (line: string) => void): Promise<void> {
    requireGo();
    // Elsewhere it is for who has chosen the place to know.
    if (!process.env.GOCACHE) requireSpace(cacheDir(), buildMegabytes, "building the tools of the sandbox");
    const release = await waitForLock(join(cacheDir(), "lock"), log);
    try {
        const total = missing.reduce((sum, tool) => sum + recipes[tool].coldSeconds, 0);
        log(`building ${missing.length} tools from Go modules, once; about ${Math.ceil(total / 60)} min on two cores`);
        for (const [i, tool] of missing.entries()) {
            if (!existsSync(builtPath(tool))) await build(tool, `${i + 1}/${missing.length}`, log);
        }
        rmSync(goCaches().GOCACHE, { recursive: true, force: true });
        spawnSync("chmod", ["-R", "u+w", goCaches().GOMODCACHE]);
        rmSync(goCaches().GOMODCACHE, { recursive: true, force: true });
    } finally {
        release();
    }
}

/**
 * Caches of our own for Go, some 15 GB that go when all is built. A user who has set GOCACHE or GOMODCACHE keeps theirs:
 * then nothing of it is removed.
 */
function goCaches(): { GOCACHE: string; GOMODCACHE: string } {
    return { GOCACHE: join(cacheDir(), "go-build"), GOMODCACHE: join(cacheDir(), "go-mod") };
}

async function build(tool: Tool, position: string, log: (line: string) => void): Promise<void> {
    const recipe = recipes[tool];
    const started = performance.now();
    const seconds = (): number => Math.round((performance.now() - started) / 1000);
    const target = toolDir(tool);
    mkdirSync(join(cacheDir(), "work"), { recursive: true });
    const work = mkdtempSync(join(cacheDir(), "work", `${tool}-`));
    log(`[${position}] ${tool} ${recipe.version} (${recipe.coldSeconds} s elsewhere)`);
    const ticker = setInterval(() => log(`[${position}] ${tool} ... ${seconds()} s`), 30_000);
    try {
        // In a copy: a build writes nothing into the checkout.
        const source = join(work, "source");
        cpSync(join(modules, recipe.module), source, { recursive: true });
        for (const file of recipe.copy?.files ?? []) {
            const copied = join(source, basename(file));
            cpSync(join(await moduleDir(recipe.copy!.module, source), file), copied);
            chmodSync(copied, 0o644);
        }
        const made = join(work, "made");
        mkdirSync(made);
        await go([...buildArgs(recipe), "-o", join(made, tool), recipe.package], source);
        if (recipe.keep) {
            cpSync(
                join(await moduleDir(recipe.keep.module, source), recipe.keep.folder),
                join(made, basename(recipe.keep.folder)),
                { recursive: true },
            );
            spawnSync("chmod", ["-R", "u+w", made]);
        }
        mkdirSync(join(target, ".."), { recursive: true });
        renameSync(made, target);
        log(`[${position}] ${tool}: ${seconds()} s`);
    } finally {
        clearInterval(ticker);
        rmSync(work, { recursive: true, force: true });
    }
}

function buildArgs({ tags, set }: Recipe): string[] {
    const linker = ["-s", "-w", ...Object.entries(set ?? {}).map(([name, value]) => `-X ${name}=${value}`)].join(" ");
    return ["build", "-trimpath", "-mod=readonly", ...(tags ? ["-tags", tags] : []), "-ldflags", linker];
}

async function moduleDir(module: string, cwd: string): Promise<string> {
    await go(["mod", "download", module], cwd);
    return (await go(["list", "-m", "-f", "{{.Dir}}", module], cwd)).trim();
}

/** Runs `go`. Rejects with the command and the end of what it said. */
function go(args: string[], cwd: string): Promise<string> {
    const env = { ...goCaches(), ...process.env, CGO_ENABLED: "0", GOFLAGS: "", GOWORK: "off", GOTOOLCHAIN: "local" };
    return new Promise((resolve, reject) => {
        const child = spawn("go", args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
        let stdout = "";
        let stderr = "";
        child.stdout.on("data", (part) => (stdout += String(part)));
        child.stderr.on("data", (part) => (stderr = (stderr + String(part)).slice(-4000)));
        child.on("error", reject);
        child.on("close", (code) => {
            if (code === 0) return resolve(stdout);
            const tail = stderr.trim().split("\n").slice(-12).join("\n");
            reject(new Error(`go ${args.join(" ")} failed (exit code ${code}):\n${tail}`));
        });
    });
}

function requireGo(): void {
    const answer = spawnSync("go", ["env", "GOVERSION"], {
        encoding: "utf8",
        env: { ...process.env, GOTOOLCHAIN: "local" },
    });
    const version = versionIn(answer.stdout ?? "");
    if (version === undefined) {
        throw new Error(
            `Go is not on PATH: install Go ${oldestGo} or newer (go.dev/dl, or your distribution) and repeat`,
        );
    }
    if (compareVersions(version, oldestGo) < 0) {
        throw new Error(
            `Go ${version} is too old: install Go ${oldestGo} or newer (go.dev/dl, or your distribution) and repeat`,
        );
    }
}

/** The program of this name on PATH, if its version fits. */
function findOnPath(tool: Tool): { path: string; version: string } | undefined {
    const { versionArgs, from, below } = recipes[tool];
    if (!versionArgs) return undefined;
    for (const dir of (process.env.PATH ?? "").split(delimiter)) {
        const path = join(dir, tool);
        // The sandbox's own links are no find.
        if (!existsSync(path) || dir.endsWith("/.sandbox/bin")) continue;
        const answer = spawnSync(path, versionArgs, { encoding: "utf8", timeout: 10_000 });
        const version = versionIn(`${answer.stdout ?? ""}${answer.stderr ?? ""}`);
        if (version && compareVersions(version, from) >= 0 && compareVersions(version, below) < 0) {
            return { path, version };
        }
    }
    return undefined;
}

/** The first `1.2.3` in a text. */
export function versionIn(text: string): string | undefined {
    return /(\d+\.\d+\.\d+)/.exec(text)?.[1] ?? /\bgo(\d+\.\d+)\b/.exec(text)?.[1].concat(".0");
}

/** Below 0, 0 or above 0, as `a` is older than, the same as or newer than `b`. */
export function compareVersions(a: string, b: string): number {
    const [left, right] = [a, b].map((version) => version.split(".").map(Number));
    return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

/** A tool's folder, named by all that its build depends on. */
function toolDir(tool: Tool): string {
    return join(cacheDir(), "tools", `${tool}-${buildKey(tool)}`);
}

function builtPath(tool: Tool): string {
    return join(toolDir(tool), tool);
}

function buildKey(tool: Tool): string {
    const recipe = recipes[tool];
    const hash = createHash("sha256").update(
        JSON.stringify([buildArgs(recipe), recipe.package, recipe.copy, recipe.keep, process.platform, process.arch]),
    );
    for (const file of readdirSync(join(modules, recipe.module)).sort()) {
        hash.update(readFileSync(join(modules, recipe.module, file)));
    }
    return hash.digest("hex").slice(0, 12);
}

/** One builder at a time; a lock whose process is gone counts for nothing. */
async function waitForLock(file: string, log: (line: string) => void): Promise<() => void> {
    for (let waited = false; ; waited = true) {
        const holder = takeLock(file);
        if (!holder) return () => rmSync(file, { force: true });
        if (!waited) log(`process ${holder.pid} is building the tools; waiting for it`);
        await sleep(1000);
    }
}
