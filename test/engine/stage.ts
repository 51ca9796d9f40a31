import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { prepareChart } from "../../sandbox/chart/chart";
import { checkout, layoutOf, type Layout } from "../../sandbox/layout";
import { sandboxCredentials, sandboxProjectId } from "../../sandbox/credentials";
import { startLocalCloud, type LocalCloud } from "../../sandbox/local-cloud";
import type { ManagedKubernetes } from "../../sandbox/ovhcloud/mks";
import { startOvhCloud } from "../../sandbox/ovhcloud/server";
import { installPlugins } from "../../sandbox/plugins/install";
import { pulumi, sandboxEnvironment, type PulumiRun } from "../../sandbox/pulumi-cli";
import { ensureToolchain, prometheusOperatorCrds, type Toolchain } from "../../sandbox/toolchain/toolchain";

/** A stack of one program, with the real engine, on a local OVHcloud of its own. */
export interface Stage {
    layout: Layout;
    cloud: LocalCloud;
    toolchain: Toolchain;
    env: Record<string, string>;
    prometheusUrl: string;
    alertmanagerUrl: string;
    /** Sets config values by path (`models.ministral.replicas.max`); `undefined` removes one. */
    configure(values: Record<string, unknown>): void;
    /** Sets a secret config value, encrypted. */
    configureSecret(key: string, value: string): Promise<void>;
    /** `started` is told the process id. */
    up(started?: (pid: number) => void): Promise<PulumiRun>;
    /** `pulumi preview --expect-no-changes`: exit code 0 when a second up would do nothing. */
    previewNothing(): Promise<PulumiRun>;
    preview(...options: string[]): Promise<PulumiRun>;
    /** What a preview announces, or an up does: sorted lines such as `update ConfigMap ministral-relay`. Throws when it fails. */
    steps(command: "preview" | "up"): Promise<{ steps: string[]; said: string }>;
    refresh(): Promise<PulumiRun>;
    /** `pulumi refresh --preview-only --expect-no-changes`: exit code 0 when nothing has drifted. */
    refreshNothing(): Promise<PulumiRun>;
    destroy(started?: (pid: number) => void): Promise<PulumiRun>;
    /** As people run it: nothing is deleted when its preview fails. */
    destroyAfterPreview(): Promise<PulumiRun>;
    /** `pulumi cancel`: takes away the lock that a killed run left. */
    cancel(): Promise<PulumiRun>;
    /** Any command of `pulumi`, for another stack of the program. */
    pulumi(args: string[], started?: (pid: number) => void): Promise<PulumiRun>;
    /**
     * Runs bash in the stage's folder, where `pulumi` goes by this stack, its config and its program, and is not asked. What it
     * changes of the config counts from then on.
     */
    shell(script: string, env?: Record<string, string>): Promise<PulumiRun>;
    /** Makes another stack of the program. */
    initStack(stack: string): Promise<void>;
    /** The stack config that all these use. */
    configFile: string;
    outputs(): Promise<Record<string, any>>;
    /** The checkpoint as it lies on disk. */
    stateText(): string;
    /** The stack is gone from the backend, as when its folder was lost; its config stays. */
    loseState(): Promise<void>;
    /** Takes a resource of this type out of the state, as if it had never been noted there. */
    forget(type: string): Promise<void>;
    /** Calls of the emulated API since the stage began, reads left out; the one of a kubeconfig is a POST. */
    writes(): string[];
    close(): Promise<void>;
}

export interface StageOptions {
    /** Folder of the program's Pulumi.yaml. */
    program: string;
    /** Stack config that the test starts from. */
    config: Record<string, unknown>;
    /** Whether the program deploys to Kubernetes. */
    chart?: boolean;
    /** Stands for the control planes of a program that puts nothing into them; default: real ones. */
    mks?: ManagedKubernetes;
}

/** Builds a stage in a new temporary folder. `close` ends every process and removes the folder. */
export async function openStage(options: StageOptions): Promise<Stage> {
    const layout = layoutOf(mkdtempSync(join(tmpdir(), "engine-test-")));
    const log: string[] = [];
    const toolchain = await ensureToolchain({ log: (line) => log.push(line) });
    const plugins = { pulumiHome: layout.pulumiHome, binDir: layout.bin, toolchain, allowDownload: false };
    await installPlugins({ ...plugins, log: (line) => log.push(line) });
    if (options.chart) {
        await prepareChart({
            target: layout.chart,
            crds: prometheusOperatorCrds(toolchain.bin),
            allowDownload: false,
            log: (line) => log.push(line),
        });
    }
    const local = { layout, speed: 300, log: (line: string) => void log.push(line) };
    const cloud = options.mks
        ? await startApiAlone(layout, options.mks)
        : await startLocalCloud({ ...local, bin: toolchain.bin });
    const env = {
        ...sandboxEnvironment(layout, cloud.api.url, cloud.api.caFile),
        OVH_AI_DEPLOY_POLL_MS: "200",
        // For --event-log.
        PULUMI_DEBUG_COMMANDS: "true",
    };
    const configFile = join(layout.dir, "Pulumi.test.yaml");
    let config: Record<string, unknown> = structuredClone(options.config);
    const salt = parse(readFileSync(join(__dirname, "../../Pulumi.sandbox.yaml"), "utf8")).encryptionsalt as string;
    // Pulumi reads YAML of before 1.2: a date without quotes is none as it was written.
    const writeConfig = (): void =>
        writeFileSync(configFile, stringify({ encryptionsalt: salt, config }, { version: "1.1" }));
    writeConfig();
    mkdirSync(layout.pulumiState, { recursive: true });

    const run = (args: string[], started?: (pid: number) => void): Promise<PulumiRun> =>
        pulumi(args, { cwd: options.program, layout, env, started });
    const onStack = (command: string, args: string[], started?: (pid: number) => void): Promise<PulumiRun> =>
        run([command, "--stack", "test", "--config-file", configFile, ...args], started);
    copyFileSync(join(options.program, "Pulumi.yaml"), join(layout.dir, "Pulumi.yaml"));
    const initStack = async (stack: string): Promise<void> => {
        // In the stage's folder: in the program's it would write a config file.
        const created = await pulumi(["stack", "init", stack, "--no-select"], { cwd: layout.dir, layout, env });
        if (created.code !== 0) throw new Error(`pulumi stack init: ${created.stderr}`);
    };
    await initStack("test");
    const project = parse(readFileSync(join(options.program, "Pulumi.yaml"), "utf8")).name as string;

    return {
        layout,
        cloud,
        toolchain,
        env,
        prometheusUrl: cloud.prometheus,
        alertmanagerUrl: cloud.alertmanager,
        configure(values) {
            for (const [path, value] of Object.entries(values)) {
                const keys = path.split(".");
                keys[0] = `${project}:${keys[0]}`;
                setPath(config, keys, value);
            }
            writeConfig();
        },
        async configureSecret(key, value) {
            const set = await onStack("config", ["set", "--secret", `${project}:${key}`, value]);
            if (set.code !== 0) throw new Error(`pulumi config set: ${set.stderr}`);
            const file = parse(readFileSync(configFile, "utf8")) as { config: Record<string, unknown> };
            config[`${project}:${key}`] = file.config[`${project}:${key}`];
        },
        up: (started) => onStack("up", ["--yes", "--skip-preview"], started),
        previewNothing: () => onStack("preview", ["--expect-no-changes", "--diff"]),
        preview: (...more) => onStack("preview", ["--diff", ...more]),
        async steps(command) {
            const log = join(layout.dir, "events.json");
            rmSync(log, { force: true });
            const options = command === "up" ? ["--yes", "--skip-preview"] : [];
            const { code, stdout, stderr } = await onStack(command, [...options, "--event-log", log]);
            if (code !== 0) throw new Error(stdout + stderr);
            return { steps: loggedSteps(readFileSync(log, "utf8")), said: stdout + stderr };
        },
        refresh: () => onStack("refresh", ["--yes", "--skip-preview"]),
        refreshNothing: () => onStack("refresh", ["--preview-only", "--expect-no-changes", "--diff"]),
        destroy: (started) => onStack("destroy", ["--yes", "--skip-preview"], started),
        destroyAfterPreview: () => onStack("destroy", ["--yes"]),
        cancel: () => run(["cancel", "--yes", "--stack", "test"]),
        pulumi: run,
        async shell(script, more = {}) {
            const bin = withPulumiOf(layout, options.program, configFile);
            const shell = {
                cwd: layout.dir,
                env: { ...process.env, ...env, PATH: `${bin}:${process.env.PATH}`, ...more },
            };
            const ran = await new Promise<PulumiRun>((resolve) => {
                execFile("bash", ["--norc", "-ec", script], shell, (error, stdout, stderr) =>
                    resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
                );
            });
            // Of a stack that was renamed it has another name.
            if (existsSync(configFile)) {
                config = (parse(readFileSync(configFile, "utf8")) as { config: Record<string, unknown> }).config;
            }
            return ran;
        },
        initStack,
        configFile,
        async outputs() {
            const answer = await run(["stack", "output", "--json", "--show-secrets", "--stack", "test"]);
            return JSON.parse(answer.stdout) as Record<string, any>;
        },
        stateText: () => readFileSync(join(layout.pulumiState, ".pulumi/stacks", project, "test.json"), "utf8"),
        async loseState() {
            const lost = await run(["stack", "rm", "test", "--force", "--preserve-config", "--yes"]);
            if (lost.code !== 0) throw new Error(lost.stderr);
        },
        async forget(type) {
            const state = JSON.parse((await run(["stack", "export", "--stack", "test"])).stdout) as {
                deployment: { resources: { type: string; urn: string; dependencies?: string[] }[] };
            };
            const { resources } = state.deployment;
            const urn = resources.find((resource) => resource.type === type)!.urn;
            state.deployment.resources = resources.filter((resource) => resource.urn !== urn);
            for (const resource of state.deployment.resources) {
                resource.dependencies = resource.dependencies?.filter((other) => other !== urn);
            }
            const file = join(layout.dir, "state.json");
            writeFileSync(file, JSON.stringify(state));
            const imported = await run(["stack", "import", "--file", file, "--stack", "test"]);
            if (imported.code !== 0) throw new Error(imported.stderr);
        },
        writes: () =>
            cloud.api
                .requests()
                .filter(({ method, path }) => method !== "GET" && !path.endsWith("/kubeconfig"))
                .map(({ method, path }) => `${method} ${path.replace(/.*\/cloud\/project\/[^/]+/, "")}`),
        async close() {
            await cloud.close();
            rmSync(layout.dir, { recursive: true, force: true });
        },
    };
}

/** A folder with a `pulumi` that adds what a person with a selected stack and a terminal need not say. */
function withPulumiOf(layout: Layout, program: string, configFile: string): string {
    const bin = join(layout.dir, "shell-bin");
    mkdirSync(bin, { recursive: true });
    const script = `#!/bin/bash
own='${join(layout.bin, "pulumi")}'
stack=(--stack test --non-interactive --color never)
config=(--config-file '${configFile}' --cwd '${program}')
[[ " $* " == *" --stack "* ]] && stack=(--non-interactive --color never)
case "$1 $2" in
"stack init") exec "$own" "$@" --non-interactive ;;
"up "* | "refresh "* | "destroy "*) exec "$own" "$@" --yes --skip-preview "\${stack[@]}" "\${config[@]}" ;;
"import "*) exec "$own" "$@" --yes "\${stack[@]}" "\${config[@]}" ;;
"preview "* | "config "*) exec "$own" "$@" "\${stack[@]}" "\${config[@]}" ;;
"cancel "*) exec "$own" "$@" --yes "\${stack[@]}" ;;
*) exec "$own" "$@" "\${stack[@]}" ;;
esac
`;
    writeFileSync(join(bin, "pulumi"), script, { mode: 0o755 });
    return `${bin}:${layout.bin}`;
}

/** The committed sandbox stack, with the chart of the stage's own folder. */
export async function openSandboxStage(): Promise<Stage> {
    const { config } = parse(readFileSync(join(checkout, "Pulumi.sandbox.yaml"), "utf8")) as {
        config: Record<string, unknown>;
    };
    const stage = await openStage({ program: checkout, config, chart: true });
    stage.configure({ "monitoring.chart.path": stage.layout.chart });
    return stage;
}

/** The emulated API without control planes and Prometheus. */
async function startApiAlone(layout: Layout, mks: ManagedKubernetes): Promise<LocalCloud> {
    const api = await startOvhCloud({
        stateDir: layout.ovhcloud,
        speed: 300,
        credentials: sandboxCredentials,
        projectId: sandboxProjectId,
        mks,
    });
    return {
        api,
        prometheus: "",
        alertmanager: "",
        grafanaUrl: "",
        grafana: () => ({ detail: "" }),
        prometheusUrl: () => undefined,
        close: () => api.close(),
    };
}

/** Steps in a log of the engine's events, without those that change nothing. */
function loggedSteps(log: string): string[] {
    const steps = log
        .split("\n")
        .filter((line) => line !== "")
        .map(
            (line) =>
                (JSON.parse(line) as { resourcePreEvent?: { metadata: { op: string; urn: string } } }).resourcePreEvent,
        )
        .filter((event) => event !== undefined)
        .map(({ metadata }) => metadata)
        .filter(({ op }) => op !== "same" && op !== "read")
        .map(({ op, urn }) => `${op} ${urn.split("::")[2].split(":").at(-1)} ${urn.split("::").slice(3).join("::")}`)
        // Pulumi's provider of dynamic resources has the whole stack config as its own.
        .filter((step) => step !== "update pulumi-nodejs default");
    return [...new Set(steps)].sort();
}

function setPath(target: Record<string, any>, [key, ...rest]: string[], value: unknown): void {
    if (rest.length > 0) setPath((target[key] ??= {}) as Record<string, any>, rest, value);
    else if (value === undefined) delete target[key];
    else target[key] = value;
}
