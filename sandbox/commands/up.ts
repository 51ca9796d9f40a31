import { existsSync } from "node:fs";
import { duration, step, styled } from "../../machine/terminal";
import type { Finding } from "../../tools/verify/check";
import { prepareChart } from "../chart/chart";
import type { DaemonInfo, DaemonSettings } from "../daemon";
import { requireSpace } from "../disk-space";
import { readJson, writePrivate } from "../files";
import type { Layout } from "../layout";
import { installPlugins } from "../plugins/install";
import { proveStack } from "../proof/proof";
import { environmentFile, sandboxEnvironment } from "../pulumi-cli";
import { sandboxStatus } from "../status";
import { ensureToolchain, prometheusOperatorCrds, type Toolchain } from "../toolchain/toolchain";
import { ensureDaemon, withDaemon } from "./daemon-process";
import { sourcesTable, type Installed } from "./installed";
import { isInterrupted } from "./interruption";
import type { WantedSettings } from "./options";
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
export async function up(layout: Layout, { chart, settings }: UpOptions): Promise<number> {
    const started = performance.now();
    if (layout.dir.includes(":")) {
        throw new UserError(`${layout.dir}: PATH cannot name a folder with a colon; move the checkout to one without`);
    }
    const isNew = !existsSync(layout.pulumiState);
    requireSpace(layout.dir, isNew ? spaceMegabytes.new : spaceMegabytes.kept, "the sandbox");
    const toolchain = await step("Toolchain", () => ensureToolchain({ log: console.log }));
    const installed = await install(layout, toolchain, chart);
    const daemon = await step("Local OVHcloud", () => ensureDaemon(layout, toolchain, settings));
    writePrivate(layout.installed, JSON.stringify(installed, null, 4) + "\n");
    const { speed } = readJson<DaemonSettings>(layout.daemonSettings) ?? {};
    const env = sandboxEnvironment(layout, daemon.api, daemon.caFile, speed);
    const { prometheus, alertmanager } = daemon;
    const ofTools = {
        OVH_SANDBOX_PROMETHEUS: prometheus,
        OVH_SANDBOX_ALERTMANAGER: alertmanager,
        OVH_SANDBOX_SPEED: String(speed ?? 60),
    };
    writePrivate(layout.env, environmentFile({ ...env, ...ofTools }, layout.bin));

    const stack = new Stack(layout, daemon, env);
    const code = await deploy(layout, daemon, stack, installed);
    if (code !== 0) return code;
    console.log(`\nUp after ${duration(performance.now() - started)}. Watch it: ${daemon.console}`);
    console.log(nextCommands(daemon));
    return 0;
}

/** Brings up the stack and checks what it promises. Gives the exit code. */
async function deploy(layout: Layout, daemon: DaemonInfo, stack: Stack, installed: Installed): Promise<number> {
    const code = await step("pulumi up", () => withDaemon(layout, daemon, () => stack.up()));
    if (isInterrupted()) return 130;
    if (code !== 0) {
        const next = `The sandbox runs on; "npm run sandbox" tries again. Log: ${layout.daemonLog}`;
        console.error(styled("red", `\npulumi up failed (exit code ${code}). ${next}`));
        return 1;
    }
    const findings = await step("Proof", () => withDaemon(layout, daemon, () => prove(layout, daemon, stack)));
    if (isInterrupted()) return 130;
    const { realEngine } = await sandboxStatus(daemon.api);
    console.log(`
${findingsTable(findings)}

${sourcesTable(installed, realEngine)}`);
    const broken = findings.filter(({ ok }) => !ok).length;
    if (broken > 0) {
        const where = `Log: ${layout.daemonLog}`;
        console.error(styled("red", `\n${broken} of ${findings.length} promises do not hold. ${where}`));
        return 1;
    }
    console.log(styled("green", `\nAll ${findings.length} promises hold.`));
    return 0;
}

async function install(layout: Layout, toolchain: Toolchain, given: string | undefined): Promise<Installed> {
    const { log } = console;
    const chart = await step("Helm chart", () =>
        prepareChart({
            target: layout.chart,
            crds: prometheusOperatorCrds(),
            chart: given,
            allowDownload: true,
            log,
        }),
    );
    const plugins = await step("Pulumi plugins", () =>
        installPlugins({ pulumiHome: layout.pulumiHome, binDir: layout.bin, toolchain, allowDownload: true, log }),
    );
    return { chart, plugins, toolchain: toolchain.source };
}

async function prove(layout: Layout, daemon: DaemonInfo, stack: Stack): Promise<Finding[]> {
    return proveStack({
        outputs: await stack.outputs(),
        settings: await stack.settings(),
        api: daemon.api,
        prometheus: daemon.prometheus,
        prometheusFolder: layout.prometheus,
        caFile: daemon.caFile,
        preview: () => stack.changes(),
    });
}

function findingsTable(findings: Finding[]): string {
    return findings
        .map(
            ({ promise, ok, seen }) =>
                `  ${ok ? styled("green", "✓") : styled("red", "✗")} ${promise}${styled("dim", ` — ${seen}`)}`,
        )
        .join("\n");
}

function nextCommands(daemon: DaemonInfo): string {
    return `
Try next (bash, in this folder):

  source .sandbox/env
  pulumi preview --stack sandbox
  kubectl get pods -A
  echo "Authorization: Bearer $(pulumi stack output clientToken --show-secrets)" |
      curl --cacert "$OVH_SANDBOX_CA" "$(pulumi stack output openAiBaseUrl)/models" -H @-
  curl '${daemon.prometheus}/api/v1/query?query=up'
  npm run loadtest -- --stack sandbox

  npm run sandbox -- status
  npm run sandbox -- down     # stop, keep state
  npm run sandbox -- reset    # stop, remove everything`;
}
