// The background process of the sandbox: `npm run sandbox` starts it, `-- down` stops it.
import { readFileSync } from "node:fs";
import { resolveCredentials } from "../packages/ai-deploy/src/api/credentials";
import { startConsole } from "./console/console";
import { sandboxCredentials, sandboxProjectId } from "./credentials";
import { readJson, writePrivate } from "./files";
import type { GrafanaProgram } from "./grafana/program";
import { layoutOf } from "./layout";
import { startLocalCloud } from "./local-cloud";
import type { Balancing } from "./ovhcloud/status";
import { identityOf, type ProcessIdentity } from "./processes";
import { sandboxEnvironment } from "./pulumi-cli";
import type { Tool } from "./toolchain/recipes";
import type { RealEngine } from "./vllm/vllm-process";

/** What the CLI tells the daemon, in `Layout.daemonSettings`. */
export interface DaemonSettings {
    bin: Record<Tool, string>;
    speed: number;
    balancing?: Balancing;
    /** Absolute path of a file of profiles. */
    profiles?: string;
    /** The Grafana of this machine; null when there is none. */
    grafana?: GrafanaProgram | null;
    /** Default: the simulated one. */
    engine?: "simulated" | Omit<RealEngine, "dir">;
}

/** Where it listens as long as nobody else does; once chosen, ports stay for as long as the sandbox: they are in the stack's outputs. */
const preferredPorts = { api: 7780, prometheus: 7790, alertmanager: 7791, grafana: 7792, console: 7770 };

/** What the daemon tells once the API answers, in `Layout.daemonInfo`. */
export interface DaemonInfo {
    process: ProcessIdentity;
    api: string;
    prometheus: string;
    alertmanager: string;
    /** Answers only when one is installed. */
    grafana: string;
    /** `http://127.0.0.1:PORT` */
    console: string;
    caFile: string;
}

function log(line: string): void {
    console.log(`${new Date().toISOString()} ${line}`);
}

async function main(dir: string): Promise<void> {
    const layout = layoutOf(dir);
    const settings = JSON.parse(readFileSync(layout.daemonSettings, "utf8")) as DaemonSettings;
    const ports = { ...preferredPorts, ...readJson<typeof preferredPorts>(layout.ports) };
    const cloud = await startLocalCloud({
        layout,
        ...settings,
        apiPort: ports.api,
        prometheusPort: ports.prometheus,
        alertmanagerPort: ports.alertmanager,
        grafanaPort: ports.grafana,
        log,
    });
    const env = sandboxEnvironment(layout, cloud.api.url, cloud.api.caFile, settings.speed);
    const page = await startConsole({
        cloud: cloud.api,
        credentials: resolveCredentials({
            config: () => undefined,
            env: { OVH_ENDPOINT: env.OVH_ENDPOINT, OVH_ACCESS_TOKEN: sandboxCredentials.accessToken },
            files: [],
        }),
        projectId: sandboxProjectId,
        prometheusUrl: () => cloud.prometheusUrl(),
        alertmanagerUrl: cloud.alertmanager,
        grafana: () => cloud.grafana(),
        env,
        dir: layout.console,
        kubeconfig: layout.kubeconfig,
        port: ports.console,
        log,
    });
    const info: DaemonInfo = {
        process: identityOf(process.pid)!,
        api: cloud.api.url,
        prometheus: cloud.prometheus,
        alertmanager: cloud.alertmanager,
        grafana: cloud.grafanaUrl,
        console: page.url,
        caFile: cloud.api.caFile,
    };
    const portOf = (url: string): number => Number(new URL(url).port);
    const taken = {
        api: info.api,
        prometheus: info.prometheus,
        alertmanager: info.alertmanager,
        grafana: info.grafana,
        console: info.console,
    };
    const kept = Object.entries(taken).map(([name, url]) => [name, portOf(url)]);
    writePrivate(layout.ports, JSON.stringify(Object.fromEntries(kept)) + "\n");
    writePrivate(layout.daemonInfo, JSON.stringify(info, null, 4) + "\n");
    log(`ready: API ${info.api}, console ${info.console}`);

    let stopping = false;
    const stop = (): void => {
        if (stopping) return;
        stopping = true;
        log("stopping");
        page.close()
            .then(() => cloud.close())
            .then(
                () => process.exit(0),
                (error: unknown) => {
                    console.error(error);
                    process.exit(1);
                },
            );
    };
    process.on("SIGTERM", stop);
    process.on("SIGINT", stop);
}

main(process.argv[2]).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
});
