// Installs the npm packages and builds those of `packages`, when that has not been done for this lock file yet.
// Plain JavaScript on Node alone, since it runs before anything is installed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
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
    const node = process.versions.node.split(".").map(Number);
    const [major, minor, patch] = node.map((part, i) => part - oldestNode[i]);
    if ((major || minor || patch) < 0) {
        fail(`Node ${process.versions.node} is too old: install Node ${oldestNode.join(".")} or newer (nodejs.org).`);
    }
    step("npm ci", "node_modules/.installed-for", [join(root, "package-lock.json")], ["ci", "--ignore-scripts"]);
    // In the order of their names, which is that of what they need of each other.
    for (const name of readdirSync(join(root, "packages")).sort()) {
        const folder = join(root, "packages", name);
        const sources = readdirSync(join(folder, "src"), { recursive: true })
            .filter((file) => file.endsWith(".ts"))
            .map((file) => join(folder, "src", file));
        const stamp = join(folder, "dist/.built-from");
        // What was built says itself that it is old when its sources are younger, also by a checkout to and fro.
        if (existsSync(stamp) && sources.some((file) => statSync(file).mtimeMs > statSync(stamp).mtimeMs))
            rmSync(stamp);
        step(
            `build of packages/${name}`,
            `packages/${name}/dist/.built-from`,
            [join(folder, "tsconfig.json"), ...sources],
            ["run", "build", "-w", `packages/${name}`],
        );
    }
}

/** Runs npm unless `stampFile` says that it has been done for exactly these input files. */
function step(what, stampFile, inputs, npmArgs) {
    const stamp = join(root, stampFile);
    const hash = createHash("sha256");
    for (const file of inputs.sort()) {
        hash.update(readFileSync(file));
    }
    const wanted = hash.digest("hex");
    if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
    const started = performance.now();
    console.error(`${what} ...`);
    const run = spawnSync("npm", [...npmArgs, "--no-audit", "--no-fund", "--loglevel=error"], {
        cwd: root,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
    });
    if (run.status !== 0) {
        fail(`npm ${npmArgs.join(" ")} failed:\n${run.stdout ?? ""}${run.stderr ?? run.error?.message ?? ""}`);
    }
    writeFileSync(stamp, wanted);
    console.error(`${what}: ${Math.round((performance.now() - started) / 1000)} s`);
}
