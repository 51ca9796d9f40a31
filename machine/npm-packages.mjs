// Installs the npm packages and builds those of `packages`, where what is there is not what the checkout says.
// Plain JavaScript on Node alone, since it runs before anything is installed.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The root of the checkout. */
export const root = fileURLToPath(new URL("..", import.meta.url));

const oldestNode = [20, 18, 1];

/** Ends the process with one line of what is wrong and what to do. */
export function fail(message) {
    console.error(`error: ${message}`);
    process.exit(1);
}

/** Makes `node_modules` and the `dist` of our own packages match the checkout. Does nothing when they already do. */
export function ensureNpmPackages() {
    if (process.platform === "win32") {
        fail("this does not run on Windows itself: run it in WSL (wsl --install), from a folder of its Linux.");
    }
    const node = process.versions.node.split(".").map(Number);
    const [major, minor, patch] = node.map((part, i) => part - oldestNode[i]);
    if ((major || minor || patch) < 0) {
        fail(`Node ${process.versions.node} is too old: install Node ${oldestNode.join(".")} or newer (nodejs.org).`);
    }
    if (!isInstalled(root)) npm("npm ci", ["ci", "--ignore-scripts"]);
    // In the order of their names, which is that of what they need of each other.
    for (const name of readdirSync(join(root, "packages")).sort()) {
        if (!isBuilt(join(root, "packages", name))) {
            npm(`build of packages/${name}`, ["run", "build", "-w", `packages/${name}`]);
        }
    }
}

/** Whether npm has installed all that a checkout's lock file names, by npm's own record of what it has installed. */
export function isInstalled(checkout) {
    const record = join(checkout, "node_modules/.package-lock.json");
    if (!existsSync(record)) return false;
    const installed = JSON.parse(readFileSync(record, "utf8")).packages;
    const wanted = JSON.parse(readFileSync(join(checkout, "package-lock.json"), "utf8")).packages;
    return Object.entries(wanted).every(([path, { version, integrity, optional }]) => {
        if (path === "") return true; // the checkout itself
        const there = installed[path];
        // Optional is what another platform needs.
        return there ? there.version === version && there.integrity === integrity : optional;
    });
}

/** Whether a package's `dist` is younger than its sources: by the rule after which the package itself refuses to run. */
function isBuilt(folder) {
    const sources = readdirSync(join(folder, "src"), { recursive: true }).filter((file) => file.endsWith(".ts"));
    const settings = statSync(join(folder, "tsconfig.json")).mtimeMs;
    return sources.every((file) => {
        const built = join(folder, "dist", file.replace(/\.ts$/, ".js"));
        if (!existsSync(built)) return false;
        const { mtimeMs } = statSync(built);
        return mtimeMs >= statSync(join(folder, "src", file)).mtimeMs && mtimeMs >= settings;
    });
}

function npm(what, args) {
    const started = performance.now();
    console.error(`${what} ...`);
    const run = spawnSync("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], {
        cwd: root,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
    });
    if (run.status !== 0) {
        fail(`npm ${args.join(" ")} failed:\n${run.stdout ?? ""}${run.stderr ?? run.error?.message ?? ""}`);
    }
    console.error(`${what}: ${Math.round((performance.now() - started) / 1000)} s`);
}
