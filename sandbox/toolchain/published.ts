import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { cacheDir } from "./cache";
import { download, type Limits, type Progress } from "./download";
import { lastLayer } from "./image";
import { envoyVersions, recipes, type Tool } from "./recipes";
import type { Release, ReleaseFile } from "./releases";
import pinned from "./sha256.json";
import { versionIn } from "./versions";
import { getText, mirrored, unreachable } from "./web";

export interface GetOptions {
    log: (line: string) => void;
    /** As Node calls it. */
    arch: string;
    limits?: Partial<Limits>;
}

type AnyRelease = Release<Tool | "envoy">;

const mega = 1e6;

/** Between two lines on how far downloads are. */
const progressMilliseconds = 5000;

/** The folder of a release's tools; there once it has been downloaded. */
export function releaseDir(release: AnyRelease): string {
    const key = createHash("sha256")
        .update(JSON.stringify([release.files, process.arch]))
        .digest("hex")
        .slice(0, 12);
    return join(cacheDir(), "tools", `${release.name}-${release.version}-${key}`);
}

/**
 * Downloads releases into the cache, all at a time. What cannot be had is left out, and a line says why. Hosts that do not
 * answer one short question are not asked again.
 */
export async function getReleases(releases: AnyRelease[], options: GetOptions): Promise<void> {
    const silent = await silentHosts(releases);
    const wanted = releases.filter((release) => !release.files.some((file) => silent.has(hostOf(file))));
    if (silent.size > 0) {
        options.log(`no downloads: ${[...new Set(silent.values())].join("; ")}`);
    }
    if (wanted.length === 0) return;
    const names = wanted.map(({ name, version }) => `${name} ${version}`).join(", ");
    options.log(`downloading ${names}`);
    const progress = new Map<string, Progress>();
    let said = "";
    const ticker = setInterval(() => {
        const line = progressLine(progress);
        if (line !== said) options.log((said = line));
    }, progressMilliseconds);
    try {
        await Promise.all(
            wanted.map(async (release) => {
                try {
                    await getRelease(release, options, progress);
                } catch (error) {
                    options.log(`${release.name} ${release.version} cannot be downloaded: ${(error as Error).message}`);
                }
            }),
        );
    } finally {
        clearInterval(ticker);
    }
}

/** Hosts that do not answer, with the reason. */
async function silentHosts(releases: AnyRelease[]): Promise<Map<string, string>> {
    const files = new Map(releases.flatMap((release) => release.files).map((file) => [hostOf(file), file.url]));
    const answers = await Promise.all(
        [...files].map(async ([host, url]) => {
            const reason = await unreachable(url.replace(/^docker:\/\/([^/]+)\/.*/, "https://$1/v2/"));
            return reason === undefined ? [] : [[host, reason] as const];
        }),
    );
    return new Map(answers.flat());
}

function hostOf({ url }: ReleaseFile): string {
    return url.split("/")[2];
}

async function getRelease(release: AnyRelease, options: GetOptions, progress: Map<string, Progress>): Promise<void> {
    mkdirSync(join(cacheDir(), "work"), { recursive: true });
    const work = mkdtempSync(join(cacheDir(), "work", `${release.name}-`));
    try {
        const made = join(work, "made");
        mkdirSync(made);
        for (const file of release.files) await getFile(file, { made, work, options, progress });
        for (const tool of release.tools) {
            chmodSync(join(made, tool), 0o755);
            const { versionArgs } = tool === "envoy" ? envoyVersions : recipes[tool];
            requireRuns(join(made, tool), versionArgs, release.version);
        }
        rmSync(releaseDir(release), { recursive: true, force: true });
        mkdirSync(dirname(releaseDir(release)), { recursive: true });
        renameSync(made, releaseDir(release));
    } finally {
        rmSync(work, { recursive: true, force: true });
    }
}

interface Place {
    made: string;
    work: string;
    options: GetOptions;
    progress: Map<string, Progress>;
}

/** Downloads a file, verified, and takes from it what is wanted into the folder that is made. */
async function getFile(file: ReleaseFile, { made, work, options, progress }: Place): Promise<void> {
    const { url, headers, sha256, saidBy } = await locate(file, options.arch);
    // Apart from what is made of it, and kept when it breaks off: the next run goes on with it.
    const archive = join(cacheDir(), "downloads", `${sha256.slice(0, 12)}-${basename(url)}`);
    const onProgress = (far: Progress): unknown => progress.set(file.url, far);
    await download(url, archive, { sha256, headers, limits: options.limits, onProgress });
    if (saidBy) options.log(`${basename(file.url)}: sha256 ${sha256}, as ${saidBy} says`);
    for (const [name, member] of Object.entries(file.take)) {
        mkdirSync(dirname(join(made, name)), { recursive: true });
        if (member === "") copyFileSync(archive, join(made, name));
        else renameSync(unpack(archive, member, work), join(made, name));
    }
    rmSync(archive);
}

interface Located {
    url: string;
    sha256: string;
    headers?: Record<string, string>;
    /** Where the sha256 has been taken from, unless it was known here. */
    saidBy?: string;
}

async function locate(file: ReleaseFile, arch: string): Promise<Located> {
    const known = (pinned as Record<string, string>)[file.url];
    if (known) return { url: file.url, sha256: known };
    if (!file.checksums) {
        return { ...(await lastLayer(file.url, arch === "x64" ? "amd64" : arch)), saidBy: file.url };
    }
    const sha256 = sha256In(await getText(file.checksums), basename(file.url));
    if (sha256) return { url: file.url, sha256, saidBy: mirrored(file.checksums) };
    throw new Error(`${mirrored(file.checksums)} names no sha256 of ${basename(file.url)}`);
}

/** The sha256 of a file in what a publisher says: lines `SHA256  NAME`, the hash alone, or a release of GitHub's API. */
export function sha256In(text: string, file: string): string | undefined {
    if (text.trimStart().startsWith("{")) {
        const { assets = [] } = JSON.parse(text) as { assets?: { name: string; digest?: string | null }[] };
        return /^sha256:([0-9a-f]{64})$/.exec(assets.find(({ name }) => name === file)?.digest ?? "")?.[1];
    }
    const alone = /^([0-9a-f]{64})\s*$/i.exec(text)?.[1];
    const lines = text.split("\n").map((line) => /^([0-9a-f]{64})\s+\*?(?:.*\/)?(\S+)\s*$/i.exec(line));
    return (alone ?? lines.find((line) => line?.[2] === file)?.[1])?.toLowerCase();
}

/** One member of an archive. Of zip files, which macOS alone gets, its tar can do those too. */
function unpack(archive: string, member: string, work: string): string {
    const { status, stderr, error } = spawnSync("tar", ["-xf", archive, "-C", work, member], { encoding: "utf8" });
    if (error) throw new Error(`tar does not run (${error.message}): install it`);
    if (status !== 0 || !existsSync(join(work, member))) {
        throw new Error(`no ${member} could be unpacked: ${stderr.trim().split("\n")[0]}`);
    }
    return join(work, member);
}

/** What has been published for another system, or needs a library that is not here, is found out now. */
function requireRuns(program: string, versionArgs: string[] | undefined, version: string): void {
    if (!versionArgs) return;
    const { stdout, stderr, error } = spawnSync(program, versionArgs, { encoding: "utf8", timeout: 30_000 });
    const found = versionIn(`${stdout ?? ""}${stderr ?? ""}`);
    if (found === version) return;
    const said = error?.message ?? `${stdout}${stderr}`.trim().split("\n")[0];
    throw new Error(`it does not run here as version ${version}: ${basename(program)} says "${said}"`);
}

/** How far downloads are, by file, in one line. */
function progressLine(files: Map<string, Progress>): string {
    const sum = (of: (file: Progress) => number): string =>
        ([...files.values()].reduce((total, file) => total + of(file), 0) / mega).toFixed(0);
    return `downloaded ${sum(({ have }) => have)} of ${sum(({ total = 0 }) => total)} MB`;
}
