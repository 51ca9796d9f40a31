import { CoreV1Api, CustomObjectsApi, type KubeConfig } from "@kubernetes/client-node";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { PartStatus } from "../ovhcloud/status";
import { startChild, type Child } from "./child";
import { isGone } from "./cluster-files";
import type { ReverseProxy } from "./reverse-proxy";

/** Where an Alertmanager pod of the operator finds its Secrets. */
const podFolder = "/etc/alertmanager/";

/** What a pod of the operator's Alertmanager would mount, as it lies in the cluster now. */
interface AlertmanagerFiles {
    /** Alertmanager's configuration, YAML. */
    config: string;
    /** Text by path below `/etc/alertmanager`. */
    mounted: Record<string, string>;
}

interface AlertmanagerResource {
    metadata: { name: string; namespace: string };
    spec: { configSecret?: string; secrets?: string[] };
}

export interface LocalAlertmanagerOptions {
    /** Holds config, data and log. */
    dir: string;
    program: string;
    /** Its address. */
    proxy: ReverseProxy;
    log: (line: string) => void;
}

/** A real Alertmanager on this machine, run from what the cluster holds, for the pod that does not run there. */
export class LocalAlertmanager {
    readonly address: string;
    private running: Child | undefined;
    /** The one that was started last, unless it was to end. */
    private last: Child | undefined;
    private applied = "";

    constructor(
        private readonly cluster: KubeConfig,
        private readonly options: LocalAlertmanagerOptions,
    ) {
        this.address = `127.0.0.1:${options.proxy.port}`;
    }

    /** One look at the cluster: starts it, passes a change on, or ends it. Rejects when it refuses its configuration. */
    async look(): Promise<void> {
        const files = await readFiles(this.cluster);
        if (!files) return this.stop();
        const wanted = JSON.stringify(files);
        if (this.running && wanted === this.applied) return;
        const { dir, program, proxy, log } = this.options;
        const configFile = this.write(files);
        if (this.running) {
            const answer = await fetch(`http://${this.address}/-/reload`, { method: "POST" });
            if (!answer.ok) {
                throw new Error(`Alertmanager refuses the cluster's config: ${(await answer.text()).trim()}`);
            }
            log("Alertmanager took over a change of the cluster's config");
        } else {
            const started = await startChild({
                program,
                args: [
                    `--config.file=${configFile}`,
                    `--storage.path=${join(dir, "data")}`,
                    ...(await proxy.flags(dir)),
                    // It has no peers; without an address it listens for none.
                    "--cluster.listen-address=",
                    "--log.level=warn",
                ],
                logFile: join(dir, "alertmanager.log"),
            });
            this.running = this.last = started;
            void started.ended.then(() => {
                if (this.running === started) this.running = undefined;
            });
            log(`Alertmanager runs at http://${this.address}`);
        }
        this.applied = wanted;
    }

    parts(): PartStatus[] {
        const log = join(this.options.dir, "alertmanager.log");
        return this.last ? [{ name: "alertmanager", exit: this.last.exit, log }] : [];
    }

    async stop(): Promise<void> {
        const running = this.running;
        this.running = this.last = undefined;
        await running?.stop();
    }

    /** Lays out what the pod would mount. Returns the path of the configuration, which finds it there. */
    private write({ config, mounted }: AlertmanagerFiles): string {
        const folder = join(this.options.dir, "mounted");
        rmSync(folder, { recursive: true, force: true });
        mkdirSync(folder, { recursive: true });
        for (const [path, text] of Object.entries(mounted)) {
            mkdirSync(dirname(join(folder, path)), { recursive: true });
            writeFileSync(join(folder, path), text, { mode: 0o600 });
        }
        const file = join(this.options.dir, "alertmanager.yaml");
        writeFileSync(file, config.replaceAll(podFolder, `${folder}/`), { mode: 0o600 });
        return file;
    }
}

/** Reads the first Alertmanager's files; undefined while the cluster does not hold all of them. */
async function readFiles(cluster: KubeConfig): Promise<AlertmanagerFiles | undefined> {
    const custom = cluster.makeApiClient(CustomObjectsApi);
    const core = cluster.makeApiClient(CoreV1Api);
    const kind = { group: "monitoring.coreos.com", version: "v1", plural: "alertmanagers" };
    try {
        const { items } = (await custom.listClusterCustomObject(kind)) as { items: AlertmanagerResource[] };
        if (items.length === 0) return undefined;
        const { metadata, spec } = items[0];
        const secret = async (name: string): Promise<[string, string][]> => {
            const { data } = await core.readNamespacedSecret({ name, namespace: metadata.namespace });
            return Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]);
        };
        const config = Object.fromEntries(await secret(spec.configSecret ?? `alertmanager-${metadata.name}`));
        if (!config["alertmanager.yaml"]) return undefined;
        const mounted: Record<string, string> = {};
        for (const name of spec.secrets ?? []) {
            for (const [key, value] of await secret(name)) mounted[`secrets/${name}/${key}`] = value;
        }
        return { config: config["alertmanager.yaml"], mounted };
    } catch (error) {
        if (isGone(error)) return undefined; // not all there yet, as for a pod that waits for its volumes
        throw error;
    }
}
