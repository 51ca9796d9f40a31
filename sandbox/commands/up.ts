import { existsSync } from "node:fs";
import { duration, styled } from "../../machine/terminal";
import type { Finding } from "../../tools/verify/check";
import { prepareChart } from "../chart/chart";
import type { DaemonInfo, DaemonSettings } from "../daemon";
import { requireSpace } from "../disk-space";
import { readJson, writePrivate } from "../files";
import { findGrafana, type GrafanaProgram } from "../grafana/program";
import type { Layout } from "../layout";
import { installPlugins } from "../plugins/install";
import { proveStack } from "../proof/proof";
import { environmentFile, sandboxEnvironment } from "../pulumi-cli";
import { sandboxTools } from "../toolchain/recipes";
import { ensureToolchain, prometheusOperatorCrds, type Toolchain } from "../toolchain/toolchain";
import { openCommandLog } from "./command-log";
import { ensureDaemon, withDaemon } from "./daemon-process";
import type { Installed } from "./installed";
import { isInterrupted } from "./interruption";
import type { WantedSettings } from "./options";
import { Phases, type Outcome } from "./phases";
import { Stack } from "./stack";
import { UserError } from "./user-error";

export interface UpOptions {
    /** Path of a chart in place of the one that is downloaded or stood in for. */
    chart?: string;
    settings: WantedSettings;
}

/** A new one grows to some 270 MB at once, most of it etcd's; both have room for what is then written, such as metrics. */
const spaceMegabytes = { new: 500, kept: 200 };

/** Starts what is missing, brings up the stack, and checks what it promises. Gives the exit code. */
export async function up(layout: Layout, options: UpOptions): Promise<number> {
    const started = performance.now();
    if (layout.dir.includes(":")) {
        throw new UserError(`${layout.dir}: PATH cannot name a folder with a colon; move the checkout to one without`);
    }
    const isNew = !existsSync(layout.pulumiState);
    requireSpace(layout.dir, isNew ? spaceMegabytes.new : spaceMegabytes.kept, "the sandbox");
    const log = openCommandLog(layout.upLog);
    try {
        const daemon = await bringUp(layout, options, new Phases({ log }));
        const took = duration(performance.now() - started);
        log(`up after ${took}`);
        console.log(nextSteps(layout, daemon, took));
        return 0;
    } catch (error) {
        if (isInterrupted()) return 130;
        log((error as Error).stack ?? String(error));
        (error as Error).message += `\nLog: ${layout.upLog}`;
        throw error;
    }
}

async function bringUp(layout: Layout, { chart, settings }: UpOptions, phases: Phases): Promise<DaemonInfo> {
    const toolchain = await phases.run("Tools", async ({ say }) => {
        const value = await ensureToolchain({ log: say, wanted: sandboxTools });
        return { value, seen: counted(Object.values(value.source).map(({ from }) => from)) };
    });
    const installed = await install(layout, toolchain, chart, phases);
    const daemon = await phases.run("Local OVHcloud", async ({ say }) => {
        const value = await ensureDaemon(layout, toolchain, { ...settings, grafana: installed.grafana }, say);
        return { value, seen: `API ${value.api}` };
    });
    writePrivate(layout.installed, JSON.stringify(installed, null, 4) + "\n");
    const { speed } = readJson<DaemonSettings>(layout.daemonSettings) ?? {};
    const env = sandboxEnvironment(layout, daemon.api, daemon.caFile, speed);
    const { prometheus, alertmanager } = daemon;
    const ofTools = {
        OVH_SANDBOX_PROMETHEUS: prometheus,
        OVH_SANDBOX_ALERTMANAGER: alertmanager,
        OVH_SANDBOX_POD_LOGS: layout.loadtest,
        OVH_SANDBOX_FRONT_DOORS: layout.frontDoorPorts,
        OVH_SANDBOX_SPEED: String(speed ?? 60),
    };
    writePrivate(layout.env, environmentFile({ ...env, ...ofTools }, layout.bin));

    const stack = new Stack(layout, daemon, env);
    await deploy(layout, daemon, stack, phases);
    await prove(layout, daemon, stack, installed, phases);
    return daemon;
}

async function install(
    layout: Layout,
    toolchain: Toolchain,
    given: string | undefined,
    phases: Phases,
): Promise<Installed> {
    const chart = await phases.run("Helm chart", async ({ say }) => {
        const crds = prometheusOperatorCrds(toolchain.bin);
        const value = await prepareChart({ target: layout.chart, crds, chart: given, allowDownload: true, log: say });
        return { value, seen: `${value.version}, ${value.source}` };
    });
    const plugins = await phases.run("Pulumi plugins", async ({ say }) => {
        const where = { pulumiHome: layout.pulumiHome, binDir: layout.bin };
        const value = await installPlugins({ ...where, toolchain, allowDownload: true, log: say });
        return { value, seen: counted(Object.values(value).map(({ source }) => source)) };
    });
    const grafana = await phases.run("Grafana", async () => grafanaHere());
    return { chart, plugins, toolchain: toolchain.source, grafana };
}

/** What is wrong with it is said, and keeps nothing else from starting. */
function grafanaHere(): Outcome<GrafanaProgram | null> {
    try {
        const found = findGrafana() ?? null;
        return { value: found, seen: found ? found.version : "none on PATH: the console shows the dashboards" };
    } catch (error) {
        return { value: null, seen: `not run: ${(error as Error).message}`, ok: false };
    }
}

/** `12 built, 1 from PATH`. */
function counted(words: string[]): string {
    const number = (word: string): number => words.filter((other) => other === word).length;
    return [...new Set(words)].map((word) => `${number(word)} ${word === "path" ? "from PATH" : word}`).join(", ");
}

async function deploy(layout: Layout, daemon: DaemonInfo, stack: Stack, phases: Phases): Promise<void> {
    const { code, failure } = await phases.run("pulumi up", async (phase) => {
        const value = await withDaemon(layout, daemon, () => stack.up(phase));
        return { value, seen: value.summary, ok: value.code === 0 };
    });
    if (code === 0) return;
    const next = `The sandbox runs on: "npm run sandbox" tries again. What OVHcloud did: ${layout.daemonLog}`;
    throw new Error(`pulumi up failed (exit code ${code})\n${failure.join("\n")}\n${next}`);
}

async function prove(
    layout: Layout,
    daemon: DaemonInfo,
    stack: Stack,
    { grafana }: Installed,
    phases: Phases,
): Promise<void> {
    if (isInterrupted()) throw new Error("interrupted");
    const findings = await phases.run("Proof", async ({ log, show }) => {
        const onFinding = (finding: Finding): void => {
            log(findingText(finding));
            show(finding.promise);
        };
        const value = await withDaemon(layout, daemon, () => findingsOf(layout, daemon, stack, grafana, onFinding));
        const kept = value.filter(({ ok }) => ok).length;
        const ok = kept === value.length;
        return { value, ok, seen: ok ? `all ${kept} promises hold` : `${kept} of ${value.length} promises hold` };
    });
    const broken = findings.filter(({ ok }) => !ok);
    if (broken.length === 0) return;
    throw new Error(
        `${broken.length} of ${findings.length} promises do not hold\n${broken.map(findingText).join("\n")}\n` +
            `What OVHcloud did: ${layout.daemonLog}`,
    );
}

async function findingsOf(
    layout: Layout,
    daemon: DaemonInfo,
    stack: Stack,
    grafana: GrafanaProgram | null,
    onFinding: (finding: Finding) => void,
): Promise<Finding[]> {
    return proveStack({
        outputs: await stack.outputs(),
        settings: await stack.settings(),
        api: daemon.api,
        prometheus: daemon.prometheus,
        prometheusFolder: layout.prometheus,
        caFile: daemon.caFile,
        grafanaUrl: grafana ? daemon.grafana : undefined,
        preview: () => stack.changes(),
        onFinding,
    });
}

function findingText({ promise, ok, seen }: Finding): string {
    return `  ${ok ? "✓" : "✗"} ${promise}: ${seen}`;
}

function nextSteps(layout: Layout, daemon: DaemonInfo, took: string): string {
    const command = (text: string): string => styled("bold", text);
    return `
Up after ${took}.
GPUs, vLLM, AI Deploy and OVHcloud's API are simulated; "status" says of each
part whether it is the real one. Every promise, and what else was said:
${layout.upLog}

Three things to do next, in this folder:
  1  ${command("npm run sandbox -- tour")}    ten steps: ask the model, load it, break it
  2  ${command(daemon.console)}      watch, load and break it in the browser
  3  ${command("source .sandbox/env && pulumi preview --stack sandbox")}    (bash)
     from here on as on OVHcloud, for free

Later: npm run sandbox -- status | down (keeps all) | reset (removes all)`;
}
