import { execFileSync, spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const names = ["chromium", "chromium-browser", "google-chrome"];

/**
 * The path of a Chromium: `CHROMIUM_PATH`, else what is on PATH, else Debian's, installed now when that is allowed. Throws
 * an Error that says how to get one.
 */
export function findChromium(): string {
    const given = process.env.CHROMIUM_PATH;
    if (given) {
        if (isExecutable(given)) return given;
        throw new Error(`CHROMIUM_PATH is ${given}, which cannot be executed`);
    }
    const found = onPath();
    if (found) return found;
    const how = "install Chromium (Debian: apt-get install chromium) or set CHROMIUM_PATH to one";
    if (process.getuid?.() !== 0 || !existsSync("/etc/debian_version")) {
        throw new Error(`the tests of the console need a browser: ${how}`);
    }
    const options = { stdio: "pipe", encoding: "utf8" } as const;
    // A fresh machine knows no packages, and one that was updated long ago asks for versions that are gone.
    spawnSync("apt-get", ["update"], options);
    try {
        execFileSync("apt-get", ["install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"], options);
    } catch (error) {
        throw new Error(`apt-get install chromium failed: ${how}\n${(error as { stderr: string }).stderr}`);
    }
    const installed = onPath();
    if (!installed) throw new Error(`apt-get installed chromium, but it is not on PATH: ${how}`);
    return installed;
}

function onPath(): string | undefined {
    return (process.env.PATH ?? "")
        .split(delimiter)
        .flatMap((folder) => names.map((name) => join(folder, name)))
        .find(isExecutable);
}

function isExecutable(path: string): boolean {
    try {
        accessSync(path, constants.X_OK);
        return true;
    } catch {
        return false;
    }
}
