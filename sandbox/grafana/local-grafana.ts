import type { KubeConfig } from "@kubernetes/client-node";
import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse, stringify } from "yaml";
import { releaseName } from "../../src/monitoring/chart-values";
import { writePrivate } from "../files";
import type { PartStatus } from "../ovhcloud/status";
import { startChild, type Child } from "../prometheus/child";
import { provisioningFolder, readGrafanaFiles, type GrafanaFiles } from "./pod-files";
import { oldestGrafana, type GrafanaProgram } from "./program";

export interface LocalGrafanaOptions {
    /** Holds configuration, database and log. */
    dir: string;
    /** On 127.0.0.1. */
    port: number;
    /** Where its data sources are for a process on this machine: URLs without a path. */
    prometheus: string;
    alertmanager: string;
    /** None is run without. */
    program?: GrafanaProgram;
    log: (line: string) => void;
}

/** What there is to say of it. */
export interface GrafanaState {
    /** `http://127.0.0.1:PORT`; absent when it does not run. */
    url?: string;
    /** Version, or why it does not run. */
    detail: string;
}

/** Pause between two looks at the cluster. */
const lookMs = 5000;
/** One that ends by itself is started again after this. */
const restartMs = 10_000;
const reloadTimeoutMs = 20_000;

/**
 * A real Grafana on this machine, when one is installed, run from what the cluster holds, for the pod that does not run there.
 * It has its own log-in, and refuses a name that somebody has pointed at 127.0.0.1.
 */
export class LocalGrafana {
    readonly url: string;
    private running: Child | undefined;
    /** The one that was started last, unless it was to end. */
    private last: Child | undefined;
    private applied: GrafanaFiles | undefined;
    private notBefore = 0;
    private why = "starts with the chart's objects";

    constructor(
        private readonly cluster: KubeConfig,
        private readonly options: LocalGrafanaOptions,
    ) {
        this.url = `http://127.0.0.1:${options.port}`;
    }

    get state(): GrafanaState {
        const { program } = this.options;
        if (!program) return { detail: `no grafana (${oldestGrafana} or newer) on PATH` };
        return this.running ? { url: this.url, detail: program.version } : { detail: this.why };
    }

    /** One look at the cluster: starts it, passes a change on as the sidecars would, or ends it. Rejects when it refuses one. */
    async look(): Promise<void> {
        const { program } = this.options;
        if (!program || performance.now() < this.notBefore) return;
        this.notBefore = performance.now() + lookMs;
        const files = await readGrafanaFiles(this.cluster);
        if (!files) return this.stop();
        const before = this.applied;
        if (this.running && before && JSON.stringify(before) === JSON.stringify(files)) return;
        this.write(files);
        // The sidecars tell it of dashboards and data sources; for anything else Helm would replace the pod.
        const samePod = before && before.ini === files.ini && before.password === files.password;
        if (this.running && samePod) await this.reload(files);
        else {
            await this.stop();
            await this.start(program);
        }
        this.applied = files;
    }

    parts(): PartStatus[] {
        return this.last ? [{ name: "grafana", exit: this.last.exit, log: this.logFile }] : [];
    }

    async stop(): Promise<void> {
        const { running } = this;
        this.running = this.last = this.applied = undefined;
        await running?.stop();
    }

    private get logFile(): string {
        return join(this.options.dir, "grafana.log");
    }

    private async start({ path, home, version }: GrafanaProgram): Promise<void> {
        const { dir, log } = this.options;
        const config = ["--homepath", home, "--config", join(dir, "grafana.ini")];
        // What its user has set for another Grafana would win over the file.
        const others = Object.keys(process.env).filter((name) => name.startsWith("GF_"));
        const env = Object.fromEntries(others.map((name) => [name, undefined]));
        const started = await startChild({ program: path, args: ["server", ...config], env, logFile: this.logFile });
        this.running = this.last = started;
        void started.ended.then(() => {
            if (this.running !== started) return;
            this.running = undefined;
            this.why = `has ended (${started.exit}), see ${this.logFile}`;
            this.notBefore = performance.now() + restartMs;
            log(`Grafana ${this.why}`);
        });
        log(`Grafana ${version} runs at ${this.url}`);
    }

    /** Asks as the sidecars do. */
    private async reload({ user, password }: GrafanaFiles): Promise<void> {
        const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
        for (const what of ["datasources", "dashboards"]) {
            const answer = await fetch(`${this.url}/api/admin/provisioning/${what}/reload`, {
                method: "POST",
                headers: { authorization },
                signal: AbortSignal.timeout(reloadTimeoutMs),
            });
            if (!answer.ok) throw new Error(`Grafana refuses the cluster's ${what}: ${answer.status}`);
        }
        this.options.log("Grafana took over a change of the cluster's dashboards or data sources");
    }

    /** Lays out what the pod would have below `dir`, with the configuration that makes a process of this machine of it. */
    private write({ ini, user, password, files }: GrafanaFiles): void {
        const { dir, port, prometheus, alertmanager } = this.options;
        const pod = join(dir, "pod");
        rmSync(pod, { recursive: true, force: true });
        for (const part of ["data", "plugins", join("pod", provisioningFolder)]) {
            mkdirSync(join(dir, part), { recursive: true });
        }
        const folders = [...new Set(Object.keys(files).map((path) => dirname(path)))];
        for (const [path, text] of Object.entries(files)) {
            const isProvisioning = path.startsWith(`${provisioningFolder}/`);
            const local = isProvisioning ? localProvisioning(text, pod, folders, { prometheus, alertmanager }) : text;
            mkdirSync(dirname(join(pod, path)), { recursive: true });
            writePrivate(join(pod, path), local);
        }
        writePrivate(join(dir, "admin-user"), user);
        writePrivate(join(dir, "admin-password"), password);
        // What comes later in the file wins.
        writePrivate(join(dir, "grafana.ini"), `${ini}\n${localIni(dir, pod, port)}`);
    }
}

/** A program on this machine alone, that asks nobody outside for anything. */
function localIni(dir: string, pod: string, port: number): string {
    const sections: Record<string, Record<string, string | number | boolean>> = {
        paths: {
            data: join(dir, "data"),
            logs: join(dir, "data/log"),
            plugins: join(dir, "plugins"),
            provisioning: join(pod, provisioningFolder),
        },
        server: {
            protocol: "http",
            http_addr: "127.0.0.1",
            http_port: port,
            domain: "127.0.0.1",
            // A page under another name that leads here would be taken for its own.
            enforce_domain: true,
            root_url: `http://127.0.0.1:${port}/`,
            serve_from_sub_path: false,
        },
        security: {
            admin_user: `$__file{${join(dir, "admin-user")}}`,
            admin_password: `$__file{${join(dir, "admin-password")}}`,
        },
        log: { mode: "console" },
        analytics: { reporting_enabled: false, check_for_updates: false, check_for_plugin_updates: false },
        news: { news_feed_enabled: false },
        plugins: { preinstall_disabled: true, preinstall_auto_update: false },
    };
    return Object.entries(sections)
        .map(([name, values]) => {
            const lines = Object.entries(values).map(([key, value]) => `${key} = ${value}`);
            return `[${name}]\n${lines.join("\n")}\n`;
        })
        .join("\n");
}

/**
 * A file of provisioning for a process on this machine: folders of the pod are below `pod`, and Services of the cluster are at
 * the addresses given.
 */
function localProvisioning(
    text: string,
    pod: string,
    folders: string[],
    { prometheus, alertmanager }: { prometheus: string; alertmanager: string },
): string {
    const config = parse(text) as {
        datasources?: { url?: string }[];
        providers?: { options?: { path?: string } }[];
    };
    const services: Record<string, string> = {
        [`${releaseName}-prometheus`]: prometheus,
        "prometheus-operated": prometheus,
        [`${releaseName}-alertmanager`]: alertmanager,
        "alertmanager-operated": alertmanager,
    };
    for (const datasource of config.datasources ?? []) {
        const [service] = URL.canParse(datasource.url ?? "") ? new URL(datasource.url!).hostname.split(".") : [];
        if (service !== undefined && services[service]) datasource.url = services[service];
    }
    for (const { options } of config.providers ?? []) {
        const path = options?.path;
        if (path !== undefined && folders.some((folder) => folder === path || folder.startsWith(`${path}/`))) {
            options!.path = join(pod, path);
        }
    }
    return stringify(config);
}
