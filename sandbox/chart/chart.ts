import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
    cpSync,
    existsSync,
    mkdirSync,
    readdirSync,
    readFileSync,
    renameSync,
    rmSync,
    statSync,
    writeFileSync,
} from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { parse } from "yaml";
import { defaultMonitoring } from "../../src/settings/defaults";
import { checkout } from "../layout";
import { downloadChart } from "./repository";

/** The chart that the program deploys, and the version that its values are written for. */
const chartName = "kube-prometheus-stack";
const pinnedVersion = defaultMonitoring.chart.version;

/** The stand-in for where the real chart is out of reach. */
const standIn = join(__dirname, chartName);

/** What the sandbox deploys. */
export interface PreparedChart {
    /** `given by --chart PATH`, `downloaded` or `stand-in`. */
    source: string;
    /** As in Chart.yaml. */
    version: string;
}

export interface ChartOptions {
    /** Folder that is to hold the chart. Where it came from is noted beside it, in `<target>.source`. */
    target: string;
    /** Folder of the operator's CRD files, for the stand-in. */
    crds: string;
    /** A chart of the user's choice: folder or .tgz. */
    chart?: string;
    /** Whether the repository may be asked. */
    allowDownload: boolean;
    /** Chart repository; by default the one that the program deploys from. */
    repository?: string;
    log: (line: string) => void;
}

/**
 * Makes `target` hold the chart to deploy: the one given; else the real one, downloaded; else the stand-in.
 *
 * The chart in use changes only for a reason, and is not touched otherwise: another chart is an upgrade of the release.
 * So one given once goes on being used, and a stand-in is not exchanged for the real chart unasked.
 * @throws Error when the chart given is not kube-prometheus-stack or lacks sub-charts; `target` is then as it was.
 */
export async function prepareChart(options: ChartOptions): Promise<PreparedChart> {
    const { target, chart, log } = options;
    const before = preparedBefore(target);
    if (chart === undefined && before && staysAsItIs(before)) {
        log(`${describe(before)}, kept; to have it chosen anew, remove ${target}`);
        return before;
    }
    const work = `${target}.new`;
    rmSync(work, { recursive: true, force: true });
    mkdirSync(work, { recursive: true });
    try {
        const { folder, source } = await chooseChart(options, work, before);
        const prepared = { source, version: checkChart(folder, `the chart ${source}`) };
        if (source !== "stand-in" && prepared.version !== pinnedVersion) {
            log(`warning: the values of this project are written for version ${pinnedVersion} of the chart`);
        }
        if (!existsSync(target) || digest(folder) !== digest(target)) {
            // A run that ends in between leaves no chart, and the next one begins anew.
            rmSync(sourceNote(target), { force: true });
            rmSync(target, { recursive: true, force: true });
            renameSync(folder, target);
            if (before?.version === prepared.version) {
                log("the chart has changed, its version has not: Pulumi deploys it with the next change of the values");
            }
        }
        writeFileSync(sourceNote(target), source + "\n");
        log(describe(prepared));
        return prepared;
    } finally {
        rmSync(work, { recursive: true, force: true });
    }
}

function sourceNote(target: string): string {
    return `${target}.source`;
}

function preparedBefore(target: string): PreparedChart | undefined {
    if (!existsSync(sourceNote(target)) || !existsSync(join(target, "Chart.yaml"))) return undefined;
    return { source: readFileSync(sourceNote(target), "utf8").trim(), version: readChart(target).version };
}

/** The user's own choice, or the real chart as wanted. A stand-in is made again, since it changes with the checkout. */
function staysAsItIs({ source, version }: PreparedChart): boolean {
    return source.startsWith("given") || (source === "downloaded" && version === pinnedVersion);
}

function describe({ source, version }: PreparedChart): string {
    return `${chartName} ${version}, ${source}`;
}

async function chooseChart(
    { target, crds, chart, allowDownload, repository = defaultMonitoring.chart.repository, log }: ChartOptions,
    work: string,
    before: PreparedChart | undefined,
): Promise<{ folder: string; source: string }> {
    if (chart !== undefined) return { folder: givenChart(chart, work), source: `given by --chart ${chart}` };
    if (allowDownload && before?.source !== "stand-in") {
        try {
            const archive = join(work, "archive.tgz");
            await downloadChart({ repository, chart: chartName, version: pinnedVersion, archive });
            return { folder: unpack(archive, work, repository), source: "downloaded" };
        } catch (error) {
            log(`no chart from ${repository}: ${(error as Error).message}`);
        }
    }
    log(
        `the sandbox's own stand-in is used, see ${relative(checkout, standIn)}/README.md; ` +
            `for the real chart use --chart PATH, or remove ${target} to try the download again`,
    );
    return { folder: standInChart(crds, work), source: "stand-in" };
}

function givenChart(path: string, work: string): string {
    if (!existsSync(path)) throw new Error(`--chart ${path}: there is no such file or folder`);
    const folder = join(work, chartName);
    if (statSync(path).isDirectory()) {
        checkChart(path, `--chart ${path}`); // before something large that is no chart is copied
        cpSync(resolve(path), folder, {
            recursive: true,
            dereference: true,
            filter: (file) => basename(file) !== ".git",
        });
        return folder;
    }
    return unpack(path, work, `--chart ${path}`);
}

function standInChart(crds: string, work: string): string {
    const files = existsSync(crds) ? readdirSync(crds).filter((file) => file.endsWith(".yaml")) : [];
    if (files.length === 0) {
        throw new Error(
            `${crds} holds no CRDs of prometheus-operator: run "npm run sandbox -- reset --toolchain", then again`,
        );
    }
    const folder = join(work, chartName);
    cpSync(standIn, folder, { recursive: true });
    for (const file of files) cpSync(join(crds, file), join(folder, "charts/crds/crds", file));
    return folder;
}

/** Unpacks a chart archive; returns the folder of its Chart.yaml. */
function unpack(archive: string, work: string, shownAs: string): string {
    const dir = join(work, "unpacked");
    mkdirSync(dir);
    const { status, stderr, error } = spawnSync("tar", ["-xzf", resolve(archive), "--no-same-owner", "-C", dir], {
        encoding: "utf8",
    });
    if (error) throw new Error(`${shownAs}: tar does not run (${error.message}): install it, or give a folder`);
    if (status !== 0) throw new Error(`${shownAs}: not a chart archive (.tgz): ${stderr.trim().split("\n")[0]}`);
    const [folder = dir] = readdirSync(dir)
        .map((name) => join(dir, name))
        .filter((path) => existsSync(join(path, "Chart.yaml")));
    return folder;
}

interface ChartFile {
    name?: string;
    version: string;
    dependencies?: { name: string }[];
}

function readChart(folder: string): ChartFile {
    const file = join(folder, "Chart.yaml");
    try {
        return parse(readFileSync(file, "utf8")) as ChartFile;
    } catch (error) {
        throw new Error(`${file} is not YAML: ${(error as Error).message.split("\n")[0]}`, { cause: error });
    }
}

/** Returns the version of the chart in `folder`. Throws an Error that says what to do when Helm could not deploy it. */
function checkChart(folder: string, shownAs: string): string {
    if (!existsSync(join(folder, "Chart.yaml"))) {
        throw new Error(`${shownAs} is no Helm chart, it has no Chart.yaml: give the folder or .tgz of ${chartName}`);
    }
    const { name, version, dependencies = [] } = readChart(folder);
    if (name !== chartName) throw new Error(`${shownAs} is the chart ${name}: give the folder or .tgz of ${chartName}`);
    // Helm asks for each of them, those that the values switch off included.
    const there = existsSync(join(folder, "charts")) ? readdirSync(join(folder, "charts")) : [];
    const missing = dependencies
        .map((dependency) => dependency.name)
        .filter((wanted) => !there.some((entry) => entry === wanted || isArchiveOf(wanted, entry)));
    if (missing.length > 0) {
        throw new Error(
            `${shownAs} lacks the sub-charts ${missing.join(", ")} in charts/: run "helm dependency build" in the ` +
                `chart's folder, or give the .tgz that "helm pull" gets, which holds them`,
        );
    }
    return version;
}

/** Whether the file is `NAME-1.2.3.tgz`. */
function isArchiveOf(chart: string, file: string): boolean {
    return file.startsWith(`${chart}-`) && /^\d.*\.tgz$/.test(file.slice(chart.length + 1));
}

/** Digest of all paths and contents below `folder`. */
function digest(folder: string): string {
    const sha256 = (data: string | Buffer): string => createHash("sha256").update(data).digest("hex");
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
        .filter((file) => statSync(join(folder, file)).isFile())
        .sort();
    return sha256(files.map((file) => `${sha256(readFileSync(join(folder, file)))} ${file}\n`).join(""));
}
