import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, statSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { basename, join } from "node:path";
import { requireSpace } from "../disk-space";
import { cacheDir, removeFromCache } from "./cache";
import { oldestGo, recipes, type Recipe, type Tool } from "./recipes";
import { compareVersions, versionIn } from "./versions";

type Log = (line: string) => void;

/** Go's caches while tools are built, some 15 GB for all of them; 1 GB stays. */
const buildMegabytes = 16_000;

const modules = join(__dirname, "go");

/** Path of a tool as it is built: in a folder named by all that decides what the program does. */
export function builtPath(tool: Tool): string {
    return join(toolDir(tool), tool);
}

function toolDir(tool: Tool): string {
    return join(cacheDir(), "tools", `${tool}-${buildKey(tool)}`);
}

function buildKey(tool: Tool): string {
    const recipe = recipes[tool];
    const hash = createHash("sha256").update(
        JSON.stringify([buildArgs(recipe), recipe.package, recipe.copy, recipe.keep, process.platform, process.arch]),
    );
    const module = join(modules, recipe.module);
    for (const file of readdirSync(module, { recursive: true, encoding: "utf8" }).sort()) {
        if (statSync(join(module, file)).isFile()) hash.update(file).update(readFileSync(join(module, file)));
    }
    return hash.digest("hex").slice(0, 12);
}

/** Builds tools from their Go modules, those of one module at once. Throws an Error that says what is missing for it. */
export async function buildTools(tools: Tool[], log: Log): Promise<void> {
    requireGo(tools);
    // Elsewhere it is for who has chosen the place to know.
    if (!process.env.GOCACHE) requireSpace(cacheDir(), buildMegabytes, "building the tools of the sandbox");
    const total = tools.reduce((sum, tool) => sum + recipes[tool].cpuSeconds, 0);
    const minutes = Math.ceil(total / availableParallelism() / 60);
    log(`building ${tools.join(", ")} from Go modules, once; about ${minutes} min on this machine when it is idle`);
    // One after the other: Go uses all processors for each, and what two modules share would be compiled by both at once.
    for (const module of new Set(tools.map((tool) => recipes[tool].module))) {
        await buildModule(
            tools.filter((tool) => recipes[tool].module === module),
            log,
        );
    }
    for (const dir of Object.values(goCaches())) removeFromCache(dir);
}

/** Builds tools of one module. Go compiles what they share once, and links one while it compiles another. */
async function buildModule(tools: Tool[], log: Log): Promise<void> {
    const { module } = recipes[tools[0]];
    const started = performance.now();
    const seconds = (): number => Math.round((performance.now() - started) / 1000);
    mkdirSync(join(cacheDir(), "work"), { recursive: true });
    const work = mkdtempSync(join(cacheDir(), "work", `${module}-`));
    let compiled = 0;
    const ticker = setInterval(() => log(`${tools.join(", ")}: ${compiled} packages, ${seconds()} s`), 30_000);
    try {
        // In a copy: a build writes nothing into the checkout.
        const source = join(work, "source");
        cpSync(join(modules, module), source, { recursive: true });
        for (const tool of tools) await copyInto(source, recipes[tool]);
        const made = join(work, "made");
        mkdirSync(made);
        const args = [...sharedArgs(recipes[tools[0]]), ...tools.flatMap((tool) => linkerArgs(recipes[tool]))];
        const packages = tools.map((tool) => recipes[tool].package);
        await go([...args, "-v", "-o", `${made}/`, ...packages], source, () => compiled++);
        for (const tool of tools) await keep(tool, { source, made, work });
        log(`${tools.join(", ")}: built in ${seconds()} s`);
    } finally {
        clearInterval(ticker);
        removeFromCache(work);
    }
}

/** Moves a tool that was made, and what lies beside it, to where it is looked for. */
async function keep(tool: Tool, { source, made, work }: { source: string; made: string; work: string }): Promise<void> {
    const recipe = recipes[tool];
    const folder = join(work, `${tool}.kept`);
    mkdirSync(folder);
    renameSync(join(made, basename(recipe.package)), join(folder, tool));
    if (recipe.keep) {
        const kept = join(folder, basename(recipe.keep.folder));
        cpSync(join(await moduleDir(recipe.keep.module, source), recipe.keep.folder), kept, { recursive: true });
        spawnSync("chmod", ["-R", "u+w", kept]);
    }
    mkdirSync(join(cacheDir(), "tools"), { recursive: true });
    removeFromCache(toolDir(tool));
    renameSync(folder, toolDir(tool));
}

/** Copies what a package embeds and its module does not have from another module. */
async function copyInto(source: string, { copy, package: path }: Recipe): Promise<void> {
    for (const file of copy?.files ?? []) {
        const copied = join(source, path, basename(file));
        cpSync(join(await moduleDir(copy!.module, source), file), copied);
        chmodSync(copied, 0o644);
    }
}

/** What decides what a program does, and so names its folder in the cache. */
function buildArgs(recipe: Recipe): string[] {
    return [...sharedArgs(recipe), "-ldflags", linkerFlags(recipe)];
}

function sharedArgs({ tags }: Recipe): string[] {
    return ["build", "-trimpath", "-mod=readonly", "-tags", tags];
}

/** Of this program alone, where several are built at once. */
function linkerArgs(recipe: Recipe): string[] {
    return [`-ldflags=${recipe.package}=${linkerFlags(recipe)}`];
}

function linkerFlags({ set }: Recipe): string {
    return ["-s", "-w", ...Object.entries(set ?? {}).map(([name, value]) => `-X ${name}=${value}`)].join(" ");
}

/**
 * Caches of our own for Go, some 15 GB that go when all is built. A user who has set GOCACHE or GOMODCACHE keeps theirs:
 * then nothing of it is removed.
 */
function goCaches(): { GOCACHE: string; GOMODCACHE: string } {
    return { GOCACHE: join(cacheDir(), "go-build"), GOMODCACHE: join(cacheDir(), "go-mod") };
}

/**
 * The compiler ends after each package, so it need not collect its garbage as long as there is memory (in bytes): up to two
 * of it for each processor run at a time, in half of the memory. With little of it, Go's own way is the better one.
 */
export function collectorSettings(memory: number, cpus: number): Record<string, string> {
    const each = Math.floor(memory / 2 / (2 * cpus) / 2 ** 20);
    return each < 1024 ? {} : { GOGC: "off", GOMEMLIMIT: `${each}MiB` };
}

async function moduleDir(module: string, cwd: string): Promise<string> {
    await go(["mod", "download", module], cwd);
    return (await go(["list", "-m", "-f", "{{.Dir}}", module], cwd)).trim();
}

/** Runs `go`. Rejects with the command and the end of what it said. `onLine` is told of each line of it. */
function go(args: string[], cwd: string, onLine?: () => void): Promise<string> {
    const memory = Math.min(totalmem(), process.constrainedMemory() || Infinity);
    const env = {
        ...goCaches(),
        ...collectorSettings(memory, availableParallelism()),
        ...process.env,
        // Debug information would be dropped by the linker.
        GOFLAGS: "-gcflags=all=-dwarf=false",
        CGO_ENABLED: "0",
        GOWORK: "off",
        GOTOOLCHAIN: "local",
    };
    return new Promise((resolve, reject) => {
        const child = spawn("go", args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
        let stdout = "";
        let stderr = "";
        child.stdout.on("data", (part) => (stdout += String(part)));
        child.stderr.on("data", (part) => {
            for (const _ of String(part).matchAll(/\n/g)) onLine?.();
            stderr = (stderr + String(part)).slice(-4000);
        });
        child.on("error", reject);
        child.on("close", (code) => {
            if (code === 0) return resolve(stdout);
            const tail = stderr.trim().split("\n").slice(-12).join("\n");
            reject(new Error(`go ${args.join(" ")} failed (exit code ${code}):\n${tail}`));
        });
    });
}

function requireGo(tools: Tool[]): void {
    const answer = spawnSync("go", ["env", "GOVERSION"], {
        encoding: "utf8",
        env: { ...process.env, GOTOOLCHAIN: "local" },
    });
    const version = versionIn(answer.stdout ?? "");
    if (version !== undefined && compareVersions(version, oldestGo) >= 0) return;
    const found = version === undefined ? "Go is not on PATH" : `Go ${version} is too old`;
    throw new Error(
        `${tools.join(", ")}: neither on PATH nor to be downloaded, so they have to be built, and ${found}: ` +
            `install Go ${oldestGo} or newer (go.dev/dl, or your distribution) and repeat`,
    );
}
