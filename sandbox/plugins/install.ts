import { version as kubernetesVersion } from "@pulumi/kubernetes/package.json";
import { version as openstackVersion } from "@pulumi/openstack/package.json";
import { version as randomVersion } from "@pulumi/random/package.json";
import { version as ovhVersion } from "@ovhcloud/pulumi-ovh/package.json";
import { buildSync } from "esbuild";
import { spawn } from "node:child_process";
import {
    chmodSync,
    constants,
    copyFileSync,
    existsSync,
    linkSync,
    lstatSync,
    mkdirSync,
    readFileSync,
    readlinkSync,
    realpathSync,
    renameSync,
    rmSync,
    statSync,
    symlinkSync,
    utimesSync,
    writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Tool } from "../toolchain/recipes";
import type { Toolchain } from "../toolchain/toolchain";
import { openStackFolder } from "./openstack-store";

const names = ["ovh", "random", "openstack", "kubernetes"] as const;
type Name = (typeof names)[number];

/** `downloaded`: the real one. `built`: the real one, from its Go module. `stand-in`: a simulation of this folder. */
type Source = "downloaded" | "built" | "stand-in";

export type InstalledPlugins = Record<Name, { source: Source; version: string }>;

export interface InstallOptions {
    pulumiHome: string;
    /** Becomes the first folder of PATH. */
    binDir: string;
    toolchain: Toolchain;
    /** Whether to try for the real plugins. */
    allowDownload: boolean;
    log: (line: string) => void;
}

/** The versions that the SDKs ask for: others would be passed over, or warned of. */
const versions: Record<Name, string> = {
    ovh: ovhVersion,
    random: randomVersion,
    openstack: openstackVersion.replace(/^v/, ""),
    kubernetes: kubernetesVersion,
};

/** What people type when they have sourced `.sandbox/env`. Not the Kubernetes plugin: on PATH it would be warned of. */
const linkedTools: Tool[] = ["kubectl", "prometheus", "promtool"];

/** Of a download. The largest plugin has some 60 MB. */
const downloadSeconds = 90;

/**
 * Puts what `pulumi` needs to run this project where it looks: itself and other tools in `binDir`, the plugins in
 * `pulumiHome`. What is there already, and complete, is left alone.
 */
export async function installPlugins(options: InstallOptions): Promise<InstalledPlugins> {
    const { binDir, toolchain } = options;
    mkdirSync(binDir, { recursive: true });
    mkdirSync(join(options.pulumiHome, "plugins"), { recursive: true });
    for (const tool of linkedTools) link(toolchain.bin[tool], join(binDir, tool));
    bundlePrograms(options.pulumiHome);
    installPulumi(options);

    const missing = names.filter((name) => installedSource(name, options) === undefined);
    if (options.allowDownload) await download(missing, options);
    for (const name of missing) {
        if (installedSource(name, options) === undefined) installOwn(name, options);
    }
    const installed = names.map((name) => {
        const source = installedSource(name, options);
        if (!source) throw new Error(`plugin ${name} could not be installed into ${pluginDir(name, options)}`);
        const version = source === "built" ? toolchain.source["pulumi-resource-kubernetes"]!.version : versions[name];
        return [name, { source, version }];
    });
    return Object.fromEntries(installed) as InstalledPlugins;
}

/**
 * `pulumi` and, where it does not bring them along, the host of Node.js programs and that of dynamic resources. They
 * must lie in the folder of `pulumi` itself: those found elsewhere are warned of with each command.
 */
function installPulumi({ binDir, pulumiHome, toolchain: { bin } }: InstallOptions): void {
    const pulumi = join(binDir, "pulumi");
    const hosts = {
        "pulumi-language-nodejs": program("language-host", pulumiHome),
        "pulumi-resource-pulumi-nodejs": dynamicProvider,
    };
    if (bringsHost(bin.pulumi)) {
        for (const name of Object.keys(hosts)) rmSync(join(binDir, name), { force: true });
        link(bin.pulumi, pulumi);
        return;
    }
    for (const [name, text] of Object.entries(hosts)) writeExecutable(join(binDir, name), text);
    const before = existsSync(pulumi) && !lstatSync(pulumi).isSymbolicLink() ? statSync(pulumi) : undefined;
    const wanted = statSync(bin.pulumi);
    if (before?.size === wanted.size && Math.abs(before.mtimeMs - wanted.mtimeMs) < 2000) return;
    rmSync(`${pulumi}.new`, { force: true });
    try {
        linkSync(bin.pulumi, `${pulumi}.new`);
    } catch {
        // On another file system, or not permitted.
        copyFileSync(bin.pulumi, `${pulumi}.new`, constants.COPYFILE_FICLONE);
        utimesSync(`${pulumi}.new`, wanted.atime, wanted.mtime);
    }
    renameSync(`${pulumi}.new`, pulumi);
}

/** Whether a CLI comes with its own host of Node.js programs, as the released ones do: beside it, behind any link. */
function bringsHost(pulumi: string): boolean {
    return existsSync(join(dirname(realpathSync(pulumi)), "pulumi-language-nodejs"));
}

function pluginDir(name: Name, { pulumiHome }: InstallOptions): string {
    return join(pulumiHome, "plugins", `resource-${name}-v${versions[name]}`);
}

/** What lies in a plugin's folder; `undefined` when nothing, something incomplete, or what has to be made anew. */
function installedSource(name: Name, options: InstallOptions): Source | undefined {
    const dir = pluginDir(name, options);
    const file = join(dir, `pulumi-resource-${name}`);
    // Pulumi marks a download that is not complete by a file beside the folder.
    if (!existsSync(file) || existsSync(`${dir}.partial`)) return undefined;
    if (lstatSync(file).isSymbolicLink()) {
        const { bin, source } = options.toolchain;
        if (readlinkSync(file) !== bin["pulumi-resource-kubernetes"]) return undefined;
        return source["pulumi-resource-kubernetes"]?.from === "downloaded" ? "downloaded" : "built";
    }
    // Every real plugin is larger than any script.
    if (statSync(file).size > 100_000) return "downloaded";
    return readFileSync(file, "utf8") === standIn(name, options) ? "stand-in" : undefined;
}

/** Where the real plugins come from: what can be asked quickly, and how `pulumi` is told. */
const servers: Partial<Record<Name, { probe: string; args: string[] }>> = {
    ovh: {
        probe: `https://api.github.com/repos/ovh/pulumi-ovh/releases/tags/v${versions.ovh}`,
        args: ["--server", "github://api.github.com/ovh/pulumi-ovh"],
    },
    random: { probe: releaseOf("random"), args: [] },
    // Not kubernetes, which is of the toolchain. Not openstack: there is none in the sandbox for the real one to speak to.
};

function releaseOf(name: Name): string {
    const arch = process.arch === "x64" ? "amd64" : process.arch;
    return `https://get.pulumi.com/releases/plugins/pulumi-resource-${name}-v${versions[name]}-${process.platform}-${arch}.tar.gz`;
}

async function download(missing: Name[], options: InstallOptions): Promise<void> {
    const failures = await Promise.all(
        missing.map(async (name) => {
            const server = servers[name];
            if (!server) return undefined;
            const failure =
                (await unreachable(server.probe)) ?? (await pulumiPluginInstall(name, server.args, options));
            return failure === undefined ? undefined : { name, failure };
        }),
    );
    const failed = failures.filter((failure) => failure !== undefined);
    if (failed.length === 0) return;
    const which = failed.map(({ name }) => name).join(", ");
    const why = [...new Set(failed.map(({ failure }) => failure))].join("; ");
    options.log(`  cannot download the plugins ${which} (${why}): stand-ins serve instead`);
}

/** Why a URL cannot be had, or `undefined`. A machine without the Internet shall lose seconds only. */
async function unreachable(url: string): Promise<string | undefined> {
    // A proxy that fetch does not use, but pulumi does.
    if (process.env.HTTPS_PROXY || process.env.https_proxy) return undefined;
    const { host } = new URL(url);
    try {
        const answer = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(3000) });
        return answer.ok ? undefined : `${host} answers ${answer.status}`;
    } catch (error) {
        const { cause, name } = error as Error & { cause?: { code?: string } };
        return `${host}: ${name === "TimeoutError" ? "no answer in 3 s" : (cause?.code ?? (error as Error).message)}`;
    }
}

/** Why `pulumi plugin install` did not work, or `undefined`. */
function pulumiPluginInstall(name: Name, args: string[], options: InstallOptions): Promise<string | undefined> {
    return new Promise((resolve) => {
        const child = spawn(
            join(options.binDir, "pulumi"),
            ["plugin", "install", "resource", name, versions[name], ...args, "--non-interactive", "--color", "never"],
            {
                env: { ...process.env, PULUMI_HOME: options.pulumiHome, PULUMI_SKIP_UPDATE_CHECK: "true" },
                stdio: ["ignore", "ignore", "pipe"],
                timeout: downloadSeconds * 1000,
                killSignal: "SIGKILL",
            },
        );
        let stderr = "";
        child.stderr.on("data", (part) => (stderr += String(part)));
        child.on("error", (error) => resolve(error.message));
        child.on("close", (code, signal) => {
            if (code === 0) resolve(undefined);
            else if (signal) resolve(`not complete after ${downloadSeconds} s`);
            else resolve(stderr.trim().split("\n").pop() || `exit code ${code}`);
        });
    });
}

/** Installs what this project has itself: the Kubernetes plugin of the toolchain, else a stand-in. */
function installOwn(name: Name, options: InstallOptions): void {
    const dir = pluginDir(name, options);
    const made = join(options.pulumiHome, `${name}.new`);
    rmSync(made, { recursive: true, force: true });
    mkdirSync(made);
    const file = join(made, `pulumi-resource-${name}`);
    if (name === "kubernetes") symlinkSync(options.toolchain.bin["pulumi-resource-kubernetes"], file);
    else writeExecutable(file, standIn(name, options));
    for (const old of [dir, `${dir}.partial`, `${dir}.lock`]) rmSync(old, { recursive: true, force: true });
    renameSync(made, dir);
}

function standIn(name: Name, { pulumiHome }: InstallOptions): string {
    return program(name, pulumiHome, ...(name === "openstack" ? [openStackFolder(pulumiHome)] : []));
}

/**
 * Makes one file of each program of this folder and all that it imports. Each command of `pulumi` starts several of them,
 * and so each takes a quarter of the CPU time.
 */
function bundlePrograms(pulumiHome: string): void {
    const { outputFiles } = buildSync({
        entryPoints: ["language-host", "ovh", "random", "openstack"].map((name) => join(__dirname, `${name}.ts`)),
        outdir: bundlesIn(pulumiHome),
        bundle: true,
        platform: "node",
        format: "cjs",
        target: "node20",
        write: false,
    });
    mkdirSync(bundlesIn(pulumiHome), { recursive: true });
    for (const { path, text } of outputFiles) writeWhole(join(bundlesIn(pulumiHome), basename(path)), text, 0o644);
}

function bundlesIn(pulumiHome: string): string {
    return join(pulumiHome, "sandbox-programs");
}

/** A script that runs a program of this folder with the engine's arguments after its own. */
function program(name: string, pulumiHome: string, ...args: string[]): string {
    const words = [process.execPath, join(bundlesIn(pulumiHome), `${name}.js`), ...args];
    return `#!/bin/sh\nexec ${words.map(quoted).join(" ")} "$@"\n`;
}

/** Dynamic resources run with the SDK of the program, which is in the working directory; and no longer than the engine. */
const dynamicProvider = `#!/bin/sh
exec ${quoted(process.execPath)} -e '
    process.stdin.on("end", () => process.exit(0)).resume();
    require("@pulumi/pulumi/cmd/dynamic-provider");
' pulumi-resource-pulumi-nodejs "$@"
`;

/** For a shell: as it is. */
function quoted(word: string): string {
    return `'${word.replace(/'/g, `'\\''`)}'`;
}

function link(target: string, path: string): void {
    const before = lstatSync(path, { throwIfNoEntry: false });
    if (before?.isSymbolicLink() && readlinkSync(path) === target) return;
    rmSync(`${path}.new`, { force: true });
    symlinkSync(target, `${path}.new`);
    renameSync(`${path}.new`, path);
}

function writeExecutable(path: string, text: string): void {
    writeWhole(path, text, 0o755);
}

/** Writes a file that has another content, whole or not at all. */
function writeWhole(path: string, text: string, mode: number): void {
    if (existsSync(path) && readFileSync(path, "utf8") === text) return;
    writeFileSync(`${path}.new`, text);
    chmodSync(`${path}.new`, mode);
    renameSync(`${path}.new`, path);
}
