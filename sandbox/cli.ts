// `npm run sandbox`: the local OVHcloud. Commands: up (default), status, fault, down, reset.
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { prepareChart, type PreparedChart } from "./chart/chart";
import type { DaemonInfo, DaemonSettings } from "./daemon";
import { readJson, writePrivate } from "./files";
import { faultUsage, runFaultCommand, type FaultOptions } from "./fault-command";
import { checkout, layoutOf } from "./layout";
import { balancings } from "./ovhcloud/gateway";
import type { Balancing, SandboxStatus } from "./ovhcloud/status";
import { installPlugins, type InstalledPlugins } from "./plugins/install";
import { endProcesses, lives, sandboxProcesses, takeLock } from "./processes";
import { grafanaAccess, proveStack, sandboxStatus, type Finding, type StackOutputs } from "./proof";
import { environmentFile, interruptPulumi, pulumi, sandboxEnvironment, type PulumiRun } from "./pulumi-cli";
import { duration, step, styled, table } from "./terminal";
import { readProfiles } from "./vllm/profile-file";
import { ensureToolchain, prometheusOperatorCrds, removeToolchain, type Toolchain } from "./toolchain/toolchain";

const usage = `Usage: npm run sandbox [-- COMMAND] [OPTIONS]

Commands
  up       start the local OVHcloud and run "pulumi up" of this project on it (default)
  status   what runs, and where
  fault    let something go wrong, see below
  down     stop everything, keep all state: "up" continues with the same app
  reset    stop everything and remove .sandbox

Options
  --chart PATH   up: use this kube-prometheus-stack chart (folder or .tgz)
  --speed N      up: platform seconds per real second (default 60: a boot of 5 min takes 5 s)
  --balancing B  up: how an app's gateway chooses a replica: ${balancings.join(", ")} (default random)
  --profiles F   up: figures of models and GPUs in place of the built-in ones, see docs/simulation.md
  --json         status: for machines; exit code 0 only when everything runs
  --toolchain    reset: also remove the built tools
  --verbose      show stack traces

${faultUsage}`;

const stack = "sandbox";
const layout = layoutOf();

/** What `up` found and installed, kept for `status`. */
interface Installed {
    chart: PreparedChart;
    plugins: InstalledPlugins;
    toolchain: Toolchain["source"];
}

/** A fault of the user's making or surroundings: shown as one line. */
class UserError extends Error {}

async function main(): Promise<number> {
    const { values: options, positionals } = arguments_();
    const [command = "up", ...rest] = positionals;
    if (options.help) {
        console.log(usage);
        return 0;
    }
    if (rest.length > 0 && command !== "fault") {
        throw new UserError(`unexpected "${rest.join(" ")}"\n\n${usage}`);
    }
    switch (command) {
        case "up": {
            const wanted = {
                speed: speedOf(options.speed),
                balancing: balancingOf(options.balancing),
                profiles: profilesOf(options.profiles),
            };
            return exclusively(() => up(options.chart, wanted));
        }
        case "fault":
            return fault(rest, options);
        case "status":
            return status(options.json ?? false);
        case "down":
            return exclusively(down);
        case "reset":
            return exclusively(() => reset(options.toolchain ?? false));
        default:
            throw new UserError(`unknown command "${command}"\n\n${usage}`);
    }
}

function arguments_() {
    try {
        return parseArgs({
            allowPositionals: true,
            options: {
                chart: { type: "string" },
                speed: { type: "string" },
                balancing: { type: "string" },
                profiles: { type: "string" },
                app: { type: "string" },
                replica: { type: "string" },
                factor: { type: "string" },
                region: { type: "string" },
                token: { type: "string" },
                after: { type: "string" },
                for: { type: "string" },
                json: { type: "boolean" },
                toolchain: { type: "boolean" },
                verbose: { type: "boolean" },
                help: { type: "boolean", short: "h" },
            },
        });
    } catch (error) {
        throw new UserError(`${(error as Error).message}\n\n${usage}`);
    }
}

function speedOf(text: string | undefined): number | undefined {
    if (text === undefined) return undefined;
    const speed = Number(text);
    if (!(speed >= 1 && speed <= 1000)) {
        throw new UserError(`--speed ${text}: give a number from 1 (real time) to 1000`);
    }
    return speed;
}

function balancingOf(text: string | undefined): Balancing | undefined {
    if (text === undefined || balancings.includes(text as Balancing)) return text as Balancing | undefined;
    throw new UserError(`--balancing ${text}: give one of ${balancings.join(", ")}`);
}

/** The absolute path of a file of profiles that can be read; the daemon reads it again. */
function profilesOf(file: string | undefined): string | undefined {
    if (file === undefined) return undefined;
    try {
        readProfiles(file);
    } catch (error) {
        throw new UserError(`--profiles: ${(error as Error).message}`);
    }
    return resolve(file);
}

async function fault(words: string[], options: FaultOptions): Promise<number> {
    const running = await runningDaemon();
    if (!running) throw new UserError('the sandbox does not run: start it with "npm run sandbox"');
    const api = running.info.api.replace(/\/v1$/, "");
    try {
        console.log(await runFaultCommand(api, running.status, words, options));
    } catch (error) {
        throw new UserError((error as Error).message);
    }
    return 0;
}

let holdsLock = false;

/** Only one command may change the sandbox at a time. */
async function exclusively(work: () => Promise<number>): Promise<number> {
    mkdirSync(layout.dir, { recursive: true });
    chmodSync(layout.dir, 0o700);
    const holder = takeLock(layout.lock);
    if (holder) {
        throw new UserError(`another "npm run sandbox" is at work (process ${holder.pid}): wait for it, or stop it`);
    }
    holdsLock = true; // until this process ends, however it does
    return work();
}

type Wanted = Partial<Pick<DaemonSettings, "speed" | "balancing" | "profiles">>;

async function up(chartPath: string | undefined, wanted: Wanted): Promise<number> {
    const started = Date.now();
    if (layout.dir.includes(":")) {
        throw new UserError(`${layout.dir}: PATH cannot name a folder with a colon; move the checkout to one without`);
    }
    const toolchain = await step("Toolchain", () => ensureToolchain({ log: console.log }));
    const chart = await step("Helm chart", () =>
        prepareChart({
            target: layout.chart,
            crds: prometheusOperatorCrds(),
            chart: chartPath,
            allowDownload: true,
            log: console.log,
        }),
    );
    const plugins = await step("Pulumi plugins", () =>
        installPlugins({
            pulumiHome: layout.pulumiHome,
            binDir: layout.bin,
            toolchain,
            allowDownload: true,
            log: console.log,
        }),
    );
    const daemon = await step("Local OVHcloud", () => ensureDaemon(toolchain, wanted));
    const installed: Installed = { chart, plugins, toolchain: toolchain.source };
    writePrivate(layout.installed, JSON.stringify(installed, null, 4) + "\n");
    const env = sandboxEnvironment(
        layout,
        daemon.api,
        daemon.caFile,
        readJson<DaemonSettings>(layout.daemonSettings)?.speed,
    );
    writePrivate(layout.env, environmentFile(env, layout.bin));

    const run = (args: string[], show: boolean) => pulumi(args, { cwd: checkout, layout, env, show });
    const upCode = await step("pulumi up", async () => {
        mkdirSync(layout.pulumiState, { recursive: true });
        const selected = await run(["stack", "select", stack, "--create"], false);
        if (selected.code !== 0) throw new UserError(`pulumi stack select failed:\n${selected.stderr}`);
        // Left behind when an earlier run was killed; `exclusively` makes sure that nobody holds it now.
        await run(["cancel", "--yes", "--stack", stack], false);
        const refresh = (await addressMoved(run)) ? ["--refresh"] : [];
        return (await run(["up", "--yes", "--skip-preview", ...refresh, "--stack", stack], true)).code;
    });
    if (interrupted) return 130;
    if (upCode !== 0) {
        console.error(
            styled(
                "red",
                `\npulumi up failed (exit code ${upCode}). The sandbox runs on; "npm run sandbox" tries again.`,
            ),
        );
        return 1;
    }

    const findings = await step("Proof", async () => {
        const answer = await run(["stack", "output", "--json", "--show-secrets", "--stack", stack], false);
        if (answer.code !== 0) throw new UserError(`pulumi stack output failed:\n${answer.stderr}`);
        const config = await run(["config", "--json", "--show-secrets", "--stack", stack], false);
        if (config.code !== 0) throw new UserError(`pulumi config failed:\n${config.stderr}`);
        return proveStack({
            outputs: JSON.parse(answer.stdout) as StackOutputs,
            api: daemon.api,
            prometheus: daemon.prometheus,
            prometheusFolder: layout.prometheus,
            caFile: daemon.caFile,
            grafanaAccess: grafanaAccess(config.stdout),
            preview: async () => {
                const preview = await run(["preview", "--expect-no-changes", "--diff", "--stack", stack], false);
                return preview.code === 0 ? undefined : (preview.stdout + preview.stderr).trim();
            },
        });
    });
    console.log("\n" + findingsTable(findings));
    console.log(sources(installed));
    const broken = findings.filter(({ ok }) => !ok).length;
    if (broken > 0) {
        console.error(
            styled("red", `\n${broken} of ${findings.length} promises do not hold. Log: ${layout.daemonLog}`),
        );
        return 1;
    }
    console.log(styled("green", `\nAll ${findings.length} promises hold, after ${duration(Date.now() - started)}.`));
    console.log(nextCommands(daemon));
    return 0;
}

/** Whether an app is at another port than the stack knows, because another program has taken its own meanwhile. */
async function addressMoved(run: (args: string[], show: boolean) => Promise<PulumiRun>): Promise<boolean> {
    const [answer, daemon] = await Promise.all([
        run(["stack", "output", "--json", "--show-secrets", "--stack", stack], false),
        runningDaemon(),
    ]);
    if (answer.code !== 0) return false; // nothing was ever deployed
    const { models = {} } = JSON.parse(answer.stdout) as Partial<StackOutputs>;
    const now = new Map(daemon?.status.apps.map(({ id, url }) => [id, url]));
    return Object.values(models).some(({ appId, appUrl }) => now.has(appId) && now.get(appId) !== appUrl);
}

function findingsTable(findings: Finding[]): string {
    return findings
        .map(
            ({ promise, ok, seen }) =>
                `  ${ok ? styled("green", "✓") : styled("red", "✗")} ${promise}${styled("dim", ` — ${seen}`)}`,
        )
        .join("\n");
}

function sources({ chart, plugins, toolchain }: Installed): string {
    const rows = [
        ["chart", chart.source, chart.version],
        ...Object.entries(plugins).map(([name, { source, version }]) => [`plugin ${name}`, source, version]),
        ...Object.entries(toolchain).map(([name, { from, version }]) => [name, from, version]),
        ["GPUs, vLLM, AI Deploy, OVHcloud API", "simulated", ""],
        ["Grafana, exporters", "objects only, their pods do not run", ""],
    ];
    return "\n" + table(rows.map((row) => ["  " + row[0], ...row.slice(1)]));
}

function nextCommands(daemon: DaemonInfo): string {
    return `
Watch it: ${daemon.console}

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

/** The daemon of this sandbox, if it runs and answers. */
async function runningDaemon(): Promise<{ info: DaemonInfo; status: SandboxStatus } | undefined> {
    const info = readJson<DaemonInfo>(layout.daemonInfo);
    if (!info || !lives(info.process)) return undefined;
    try {
        const status = await sandboxStatus(info.api);
        return status.pid === info.process.pid ? { info, status } : undefined;
    } catch {
        return undefined;
    }
}

async function ensureDaemon(toolchain: Toolchain, wanted: Wanted): Promise<DaemonInfo> {
    const before = readJson<DaemonSettings>(layout.daemonSettings);
    const running = await runningDaemon();
    const settings: DaemonSettings = {
        bin: toolchain.bin,
        speed: wanted.speed ?? before?.speed ?? 60,
        balancing: wanted.balancing ?? before?.balancing,
        profiles: wanted.profiles ?? before?.profiles,
    };
    const dead = running?.status.parts.filter(({ exit }) => exit !== undefined) ?? [];
    for (const { name, exit } of dead) console.log(`  ${name} has ended (${exit}): all of it is started again`);
    if (running && dead.length === 0 && JSON.stringify(settings) === JSON.stringify(before)) {
        console.log(`  runs already (process ${running.info.process.pid})`);
        return running.info;
    }
    await stopEverything(); // what a killed daemon left, or one with other settings
    rmSync(layout.daemonInfo, { force: true });
    writePrivate(layout.daemonSettings, JSON.stringify(settings, null, 4) + "\n");
    const log = openSync(layout.daemonLog, "a", 0o600);
    const child = spawn(process.execPath, ["--import", "tsx", `${checkout}/sandbox/daemon.ts`, layout.dir], {
        cwd: checkout,
        detached: true,
        stdio: ["ignore", log, log],
    });
    child.unref();
    const deadline = Date.now() + 90_000;
    let info: DaemonInfo | undefined;
    while (!(info = readJson<DaemonInfo>(layout.daemonInfo))) {
        if (child.exitCode !== null || Date.now() > deadline) {
            const lastLines = readFileSync(layout.daemonLog, "utf8").trimEnd().split("\n").slice(-5).join("\n");
            throw new UserError(`the local OVHcloud did not start; ${layout.daemonLog} ends with:\n${lastLines}`);
        }
        await sleep(100);
    }
    console.log(`  API ${info.api}, console ${info.console}, process ${info.process.pid}`);
    return info;
}

async function status(json: boolean): Promise<number> {
    const running = await runningDaemon();
    const installed = readJson<Installed>(layout.installed);
    const dead = running?.status.parts.filter(({ exit }) => exit !== undefined) ?? [];
    const healthy = running !== undefined && running.status.violations === 0 && dead.length === 0;
    if (json) {
        const report = {
            running: running !== undefined,
            api: running && { url: running.info.api },
            prometheus: running && { url: running.info.prometheus },
            alertmanager: running && { url: running.info.alertmanager },
            console: running && { url: running.info.console },
            kubeconfig: existsSync(layout.kubeconfig) ? layout.kubeconfig : undefined,
            apps: (running?.status.apps ?? []).map(({ id, name, model, state, availableReplicas, url }) => {
                return { id, name, model, state, replicas: availableReplicas, url };
            }),
            parts: running?.status.parts,
            violations: running?.status.violations,
            ...installed,
        };
        console.log(JSON.stringify(report, null, 4));
        return healthy ? 0 : 1;
    }
    if (!running) {
        const died = existsSync(layout.daemonInfo)
            ? ` It ended by itself or does not answer, see ${layout.daemonLog}.`
            : "";
        console.log(
            `The sandbox does not run.${died} ${installed ? "Its state is kept: " : ""}start it with "npm run sandbox".`,
        );
        return 1;
    }
    console.log(
        `Console       ${running.info.console}\nAPI           ${running.info.api}\nPrometheus    ${running.info.prometheus}\n` +
            `Alertmanager  ${running.info.alertmanager}\nkubeconfig    ${layout.kubeconfig}`,
    );
    const rows = running.status.apps.map(({ id, name, state, availableReplicas, url }) => [
        id,
        name,
        state,
        String(availableReplicas),
        url,
    ]);
    console.log(rows.length > 0 ? "\n" + table([["APP", "NAME", "STATE", "REPLICAS", "URL"], ...rows]) : "\nno apps");
    if (installed) console.log(sources(installed));
    for (const { name, exit, log } of dead) console.log(styled("red", `\n${name} has ended (${exit}), see ${log}`));
    if (dead.length > 0) console.log('"npm run sandbox" starts it again, with the state kept.');
    return healthy ? 0 : 1;
}

/** Ends every process of the sandbox: the daemon first, which stops the others in good order, then what is left. */
async function stopEverything(): Promise<void> {
    const daemon = readJson<DaemonInfo>(layout.daemonInfo)?.process;
    if (daemon && lives(daemon)) await endProcesses([daemon.pid], 45);
    await endProcesses(sandboxProcesses(layout.dir), 15);
}

async function down(): Promise<number> {
    await step("Stopping", stopEverything);
    rmSync(layout.daemonInfo, { force: true });
    console.log('State is kept in .sandbox: "npm run sandbox" continues.');
    return 0;
}

async function reset(toolchain: boolean): Promise<number> {
    await step("Stopping", stopEverything);
    rmSync(layout.dir, { recursive: true, force: true });
    console.log(`removed ${layout.dir}`);
    if (toolchain) console.log(`removed ${removeToolchain()}`);
    return 0;
}

// `status | head` has seen enough. A terminal that is gone takes no more either, while `pulumi` still saves what exists.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE" && error.code !== "EIO") throw error;
    if (!interrupted) interrupt();
});
process.stderr.on("error", () => undefined);

let interrupted = false;

/** Ctrl-C, an end by `kill`, a closed terminal: all the same. `pulumi` is given the time to save what exists. */
function interrupt(): void {
    if (interruptPulumi() === 0) process.exit(130);
    const again = "again to drop what it is at, which the next run then takes up";
    if (!interrupted) console.error(styled("yellow", `\nending: pulumi saves what exists (${again})`));
    interrupted = true;
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, interrupt);
process.on("exit", () => {
    if (holdsLock) rmSync(layout.lock, { force: true });
});
main().then(
    (code) => (process.exitCode = code),
    (error: unknown) => {
        const verbose = process.argv.includes("--verbose");
        console.error(styled("red", `error: ${verbose ? (error as Error).stack : (error as Error).message}`));
        process.exitCode = error instanceof UserError ? 2 : 1;
    },
);
