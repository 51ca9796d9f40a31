import { KubeConfig } from "@kubernetes/client-node";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { PartStatus } from "../ovhcloud/status";
import { LocalGrafana, type GrafanaState } from "../grafana/local-grafana";
import type { GrafanaProgram } from "../grafana/program";
import { LocalAlertmanager } from "./alertmanager";
import { FrontDoorPods } from "../kubernetes/front-door-pods";
import { LoadtestPods } from "../kubernetes/loadtest-pods";
import { ensureEnvoy } from "../toolchain/envoy";
import { startChild, type Child } from "./child";
import { findPrometheus, readClusterFiles, type ClusterFiles } from "./cluster-files";
import { localConfig, type ApiServer, type LocalAddresses } from "./local-config";
import { LocalRelays } from "./relay";
import type { ReverseProxy } from "./reverse-proxy";

export interface MonitoringFeedOptions {
    /** Holds config, data and logs of both programs. */
    dir: string;
    /** Holds what the pods of load tests mount and print. */
    loadtestDir: string;
    /** Kubeconfig file of the cluster. */
    kubeconfig: string;
    bin: { prometheus: string; prometheusOperator: string; alertmanager: string };
    /** The addresses of both. */
    proxies: { prometheus: ReverseProxy; alertmanager: ReverseProxy };
    /** Port on 127.0.0.1 of Grafana; without a program none is run. */
    grafana: { port: number; program?: GrafanaProgram };
    /** The authority of the app gateways, which Prometheus trusts as it would the public ones. */
    caFile: string;
    /** Platform seconds per second. Default 1. */
    speed?: number;
    log: (line: string) => void;
}

/**
 * A real Prometheus with its real operator, a real Alertmanager and the replica relays, which stand for the pods that do
 * not run in the cluster.
 */
export interface MonitoringFeed {
    /** `http://127.0.0.1:PORT`; answers once the cluster holds a Prometheus. */
    url: string;
    /** The programs that run, and those that ended by themselves and are not started again yet. */
    parts(): PartStatus[];
    grafana(): GrafanaState;
    close(): Promise<void>;
}

/** Pause between two looks at the cluster. */
const periodMs = 1000;
/** A program that ends by itself is started again after this. */
const restartMs = 3000;

/** Begins to look for a Prometheus resource in the cluster, and does for it what its pods would. */
export function startMonitoringFeed(options: MonitoringFeedOptions): Promise<MonitoringFeed> {
    const { dir, log } = options;
    const { url } = options.proxies.prometheus;
    mkdirSync(dir, { recursive: true });
    const cluster = new KubeConfig();
    cluster.loadFromFile(options.kubeconfig);

    const apiServer = writeApiServer(dir, cluster);
    const alertmanager = new LocalAlertmanager(cluster, {
        dir: join(dir, "alertmanager"),
        program: options.bin.alertmanager,
        proxy: options.proxies.alertmanager,
        log,
    });
    const grafana = new LocalGrafana(cluster, {
        dir: join(dir, "grafana"),
        ...options.grafana,
        prometheus: url,
        alertmanager: options.proxies.alertmanager.url,
        log,
    });
    /** Those that were started last, by name. */
    const children = new Map<string, { child: Child; log: string }>();
    let closed = false;
    let operator: Child | undefined;
    let prometheus: Child | undefined;
    let applied = "";
    /** A relay's next start is at another port, which Prometheus has to be told. */
    let relayEnded = false;
    let notBefore = 0;
    const relays = new LocalRelays({
        dir: join(dir, "relays"),
        caFile: options.caFile,
        speed: options.speed,
        prometheus: url,
        ended: () => {
            relayEnded = true;
            notBefore = performance.now() + restartMs;
        },
        log: (line) => closed || log(line),
    });

    const loadtestPods = new LoadtestPods(cluster, { dir: options.loadtestDir, caFile: options.caFile });
    const frontDoors = new FrontDoorPods(cluster, {
        dir: join(dir, "front-doors"),
        caFile: options.caFile,
        speed: options.speed,
        envoy: () => ensureEnvoy(log),
        log: (line) => closed || log(line),
    });

    /** One look: starts what is missing, passes on what has changed. */
    async function look(): Promise<void> {
        const resource = await findPrometheus(cluster);
        if (!resource) {
            await Promise.all([prometheus?.stop(), relays.stop(), alertmanager.stop()]);
            prometheus = undefined;
            children.delete("prometheus");
            return;
        }
        if (!operator) {
            const started = await startOperator(options, apiServer);
            operator = started;
            children.set("prometheus-operator", { child: started, log: join(dir, "operator.log") });
            void started.ended.then(() => {
                operator = undefined;
                notBefore = performance.now() + restartMs;
                if (!closed) log("prometheus-operator ended; it is started again");
            });
        }
        await alertmanager.look();
        const files = await readClusterFiles(cluster, resource);
        if (!files) return;
        const doors = frontDoors.addresses();
        const wanted = JSON.stringify([files, doors]);
        if (prometheus && wanted === applied && !relayEnded) return;
        relayEnded = false;
        writeMounted(dir, files);
        await relays.update(files.relays);
        const leftOut = writeConfig(dir, files, {
            relays: { ...relays.addresses(), ...doors },
            prometheus: `127.0.0.1:${options.proxies.prometheus.port}`,
            alertmanager: alertmanager.address,
            apiServer,
        });
        if (prometheus) {
            await reload(url);
            log("Prometheus took over a change of the cluster's config");
        } else {
            const started = await startPrometheus(options, files);
            prometheus = started;
            children.set("prometheus", { child: started, log: join(dir, "prometheus.log") });
            void started.ended.then(() => {
                prometheus = undefined;
                notBefore = performance.now() + restartMs;
                if (!closed) log(`Prometheus ended, see ${join(dir, "prometheus.log")}`);
            });
            log(`Prometheus runs at ${url}; left out, since no pod runs: ${leftOut.join(", ") || "nothing"}`);
        }
        applied = wanted;
    }

    /** The last failure of each kind of look. */
    const said = new Map<string, string>();
    /** Fails when the cluster restarts or a config is refused: that is said once, and tried again. */
    async function attempt(what: string, work: () => Promise<void>): Promise<void> {
        try {
            await work();
            said.delete(what);
        } catch (error) {
            const message = (error as Error).message.split("\n")[0];
            if (!closed && message !== said.get(what)) log(`${what}: ${message}`);
            said.set(what, message);
        }
    }

    const looking = (async () => {
        while (!closed) {
            if (performance.now() >= notBefore) await attempt("monitoring feed", look);
            await attempt("pods of load tests", () => loadtestPods.look());
            await attempt("pods of front doors", () => frontDoors.look());
            // By itself: what is wrong with Grafana keeps nothing else from being looked at.
            await attempt("Grafana", () => grafana.look());
            await sleep(periodMs);
        }
    })();

    return Promise.resolve({
        url,
        parts: () => [
            ...[...children].map(([name, { child, log: file }]) => ({ name, exit: child.exit, log: file })),
            ...alertmanager.parts(),
            ...relays.parts(),
            ...frontDoors.parts(),
            ...grafana.parts(),
        ],
        grafana: () => grafana.state,
        async close() {
            closed = true;
            await looking;
            await Promise.all([prometheus?.stop(), operator?.stop()]);
            await Promise.all([relays.stop(), alertmanager.stop(), grafana.stop(), loadtestPods.stop()]);
            await frontDoors.stop();
        },
    });
}

/** Lays out what the pod would mount. */
function writeMounted(dir: string, { mounted }: ClusterFiles): void {
    const folder = join(dir, "mounted");
    rmSync(folder, { recursive: true, force: true });
    for (const [path, text] of Object.entries(mounted)) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), text, { mode: 0o600 });
    }
}

/** Writes Prometheus' config. Returns the jobs that cannot be scraped from here. */
function writeConfig(dir: string, { config }: ClusterFiles, addresses: LocalAddresses): string[] {
    const local = localConfig(config, join(dir, "mounted"), addresses);
    writeFileSync(join(dir, "prometheus.yaml"), local.text, { mode: 0o600 });
    return local.leftOut;
}

async function startPrometheus(
    { dir, bin, proxies, caFile }: MonitoringFeedOptions,
    { retention, retentionSize }: ClusterFiles,
): Promise<Child> {
    const flags = {
        "config.file": join(dir, "prometheus.yaml"),
        "storage.tsdb.path": join(dir, "data"),
        "storage.tsdb.retention.time": retention,
        "storage.tsdb.retention.size": retentionSize,
        // Nothing marks the series of replicas that went while it was stopped: they would count for another five minutes.
        "query.lookback-delta": "1m",
        "log.level": "warn",
    };
    const given = Object.entries(flags).filter(([, value]) => value !== undefined);
    return startChild({
        program: bin.prometheus,
        args: [
            "--web.enable-lifecycle",
            ...(await proxies.prometheus.flags(dir)),
            ...given.map(([name, value]) => `--${name}=${value}`),
        ],
        env: { SSL_CERT_FILE: caFile },
        logFile: join(dir, "prometheus.log"),
    });
}

async function reload(url: string): Promise<void> {
    const answer = await fetch(`${url}/-/reload`, { method: "POST", signal: AbortSignal.timeout(20_000) });
    if (!answer.ok) throw new Error(`Prometheus refuses the cluster's config: ${(await answer.text()).trim()}`);
}

/** Writes the certificates of the kubeconfig, each to a file of its own. */
function writeApiServer(dir: string, cluster: KubeConfig): ApiServer {
    const folder = join(dir, "cluster");
    mkdirSync(folder, { recursive: true });
    const { server, caData } = cluster.getCurrentCluster()!;
    const { certData, keyData } = cluster.getCurrentUser()!;
    const file = (name: string, base64: string): string => {
        writeFileSync(join(folder, name), Buffer.from(base64, "base64"), { mode: 0o600 });
        return join(folder, name);
    };
    return {
        address: new URL(server).host,
        ca: file("ca.crt", caData!),
        certificate: file("client.crt", certData!),
        key: file("client.key", keyData!),
    };
}

/** The operator takes no kubeconfig outside of a cluster, only address and certificates. */
function startOperator(
    { dir, bin }: MonitoringFeedOptions,
    { address, ca, certificate, key }: ApiServer,
): Promise<Child> {
    return startChild({
        program: bin.prometheusOperator,
        args: [
            `-apiserver=https://${address}`,
            `-ca-file=${ca}`,
            `-cert-file=${certificate}`,
            `-key-file=${key}`,
            "-web.listen-address=127.0.0.1:0",
            // Nobody is to read its metrics: with a certificate that proves nothing, and a client's asked for.
            "-web.enable-tls",
            `-web.cert-file=${certificate}`,
            `-web.key-file=${key}`,
            `-web.client-ca-file=${ca}`,
            "-log-level=warn",
        ],
        // It would rather work on the cluster that a person's own kubeconfig names.
        env: { KUBECONFIG: "" },
        logFile: join(dir, "operator.log"),
    });
}
