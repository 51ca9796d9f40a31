// The background process of the sandbox: `npm run sandbox` starts it, `-- down` stops it.
import { readFileSync } from "node:fs";
import { resolveCredentials } from "../packages/ai-deploy/src/credentials";
import { startConsole } from "./console/console";
import { writePrivate } from "./files";
import { layoutOf } from "./layout";
import { sandboxProjectId, startLocalCloud } from "./local-cloud";
import type { Balancing } from "./ovhcloud/status";
import { sandboxEnvironment } from "./pulumi-cli";
import type { Tool } from "./toolchain/recipes";

/** What the CLI tells the daemon, in `Layout.daemonSettings`. */
export interface DaemonSettings {
    bin: Record<Tool, string>;
    speed: number;
    apiPort: number;
    prometheusPort: number;
    alertmanagerPort: number;
    consolePort: number;
    balancing?: Balancing;
    /** Absolute path of a file of profiles. */
    profiles?: string;
}

/** What the daemon tells once the API answers, in `Layout.daemonInfo`. */
export interface DaemonInfo {
    pid: number;
    api: string;
    prometheus: string;
    alertmanager: string;
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
    const cloud = await startLocalCloud({ layout, ...settings, log });
    const env = sandboxEnvironment(layout, cloud.api.url, cloud.api.caFile);
    const page = await startConsole({
        cloud: cloud.api,
        credentials: resolveCredentials({ config: () => undefined, env, files: [] }),
        projectId: sandboxProjectId,
        prometheusUrl: () => cloud.prometheusUrl(),
        alertmanagerUrl: `http://127.0.0.1:${settings.alertmanagerPort}`,
        env,
        dir: layout.console,
        kubeconfig: layout.kubeconfig,
        port: settings.consolePort,
        log,
    });
    const info: DaemonInfo = {
        pid: process.pid,
        api: cloud.api.url,
        prometheus: `http://127.0.0.1:${settings.prometheusPort}`,
        alertmanager: `http://127.0.0.1:${settings.alertmanagerPort}`,
        console: page.url,
        caFile: cloud.api.caFile,
    };
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
