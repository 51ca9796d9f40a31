import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheDir } from "../../../sandbox/toolchain/cache";

/** The release of the official Python client that is tested with, from PyPI. It needs Python 3.10. */
const openaiVersion = "3.57.0";

/**
 * Runs a Python script with the OpenAI client on its path, and returns what it prints. The client is installed once, into
 * the cache of the toolchain. Throws an Error that says what is missing and how to get it: a test needs it, none is skipped.
 */
export async function runPython(script: string, args: string[]): Promise<string> {
    const env = { ...process.env, PYTHONPATH: openaiPackages(), PYTHONDONTWRITEBYTECODE: "1" };
    return (await promisify(execFile)("python3", [script, ...args], { env })).stdout;
}

/** The folder that holds the client. */
function openaiPackages(): string {
    const python = spawnSync("python3", ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"], {
        encoding: "utf8",
    });
    const version = python.stdout?.trim() ?? "";
    const [major, minor] = version.split(".").map(Number);
    if (python.status !== 0 || major < 3 || (major === 3 && minor < 10)) {
        throw new Error(
            `Python 3.10 or newer is needed as python3 (found ${version || "none"}): apt-get install python3`,
        );
    }
    const target = join(cacheDir(), `python${version}-openai-${openaiVersion}`);
    if (existsSync(target)) return target;
    const made = `${target}.${process.pid}`;
    mkdirSync(cacheDir(), { recursive: true });
    // Straight into a folder: no virtual environment, whose package Debian leaves out, and nothing of the system's changes.
    const pip = spawnSync(
        "python3",
        [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--target",
            made,
            `openai==${openaiVersion}`,
        ],
        { encoding: "utf8" },
    );
    if (pip.status !== 0) {
        rmSync(made, { recursive: true, force: true });
        const hint = /No module named pip/.test(pip.stderr)
            ? "install pip: apt-get install python3-pip"
            : pip.stderr.trim();
        throw new Error(`the OpenAI client ${openaiVersion} for Python could not be installed: ${hint}`);
    }
    renameSync(made, target);
    return target;
}
