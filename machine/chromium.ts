import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { isProgram, placesOnPath } from "./programs";

/** Names under which systems have a Chromium that playwright-core can drive. */
const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const elsewhere = ["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"];

/** Path of a Chromium on this machine: that of CHROMIUM_PATH, else one on PATH; undefined when there is none. Throws when CHROMIUM_PATH names none. */
export function findChromium(): string | undefined {
    const given = process.env.CHROMIUM_PATH;
    if (given && !isProgram(given)) throw new Error(`CHROMIUM_PATH is ${given}, which cannot be executed`);
    if (given) return given;
    return [...placesOnPath(names), ...elsewhere].find(isProgram);
}

/**
 * Path of a Chromium. Where there is none, root on Debian or Ubuntu has it installed from the distribution's packages.
 * @throws Error that says how to get one
 */
export function ensureChromium(log: (line: string) => void): string {
    const found = findChromium();
    if (found) return found;
    if (process.getuid?.() === 0 && existsSync("/etc/debian_version")) {
        log("installing chromium from Debian's packages, once");
        const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
        for (const args of [
            ["update"],
            ["install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
        ]) {
            const { status, stderr } = spawnSync("apt-get", args, { env, encoding: "utf8" });
            if (status !== 0) throw new Error(`apt-get ${args.join(" ")} failed: ${stderr.trim().split("\n").at(-1)}`);
        }
        const installed = findChromium();
        if (installed) return installed;
    }
    throw new Error(
        "no Chromium on PATH: install it (Debian, Ubuntu: apt-get install chromium), or name one in CHROMIUM_PATH",
    );
}

/** Arguments that Chromium needs here: as root it does not start with its own sandbox. */
export function chromiumArgs(): string[] {
    return process.getuid?.() === 0 || inContainer() ? ["--no-sandbox"] : [];
}

function inContainer(): boolean {
    return (
        existsSync("/.dockerenv") ||
        (existsSync("/proc/1/cgroup") && /docker|kubepods/.test(readFileSync("/proc/1/cgroup", "utf8")))
    );
}
