import { rmSync } from "node:fs";
import { sandboxCredentials, sandboxProjectId } from "./credentials";
import { writePrivate } from "./files";
import type { Layout } from "./layout";
import type { GrafanaState } from "./grafana/local-grafana";
import type { GrafanaProgram } from "./grafana/program";
import { freePort } from "./http-server";
import { createKwokMks } from "./kubernetes/kwok";
import type { ManagedKubernetes } from "./ovhcloud/mks";
import { startOvhCloud, type OvhCloud } from "./ovhcloud/server";
import type { Balancing } from "./ovhcloud/status";
import { floatingIps, openStackFolder } from "./plugins/openstack-store";
import { startMonitoringFeed, type MonitoringFeed } from "./prometheus/feed";
import { openReverseProxy } from "./prometheus/reverse-proxy";
import type { Tool } from "./toolchain/recipes";
import { readProfiles } from "./vllm/profile-file";
import type { RealEngine } from "./vllm/vllm-process";

export interface LocalCloudOptions {
    layout: Layout;
    bin: Record<Tool, string>;
    /** Platform seconds per real second. */
    speed: number;
    /** Ports on 127.0.0.1; one that is taken is replaced by a free one. Default: free ones, that of the API kept over restarts. */
    apiPort?: number;
    prometheusPort?: number;
    alertmanagerPort?: number;
    grafanaPort?: number;
    /** The Grafana of this machine, if there is one. */
    grafana?: GrafanaProgram | null;
    /** How the gateways of apps choose a replica; default `random`. */
    balancing?: Balancing;
    /** File of profiles of the simulated GPUs, beside the built-in ones. */
    profiles?: string;
    /** What the replicas are; default: simulated. */
    engine?: "simulated" | Omit<RealEngine, "dir">;
    log: (line: string) => void;
}

/** The emulated OVHcloud with its clusters, and Prometheus fed from the cluster that holds the monitoring. */
export interface LocalCloud {
    api: OvhCloud;
    /** `http://127.0.0.1:PORT`; each answers once there is a cluster with one. */
    prometheus: string;
    alertmanager: string;
    /** Of Grafana, which runs when one is installed and there is a cluster. */
    grafanaUrl: string;
    grafana(): GrafanaState;
    /** Base URL of Prometheus, once there is a cluster. */
    prometheusUrl(): string | undefined;
    /** Stops every process and listener; state stays on disk. */
    close(): Promise<void>;
}

/**
 * Starts all that stands for OVHcloud, resuming what `layout.dir` holds.
 * Whatever makes a cluster answer also starts the monitoring feed on it, since on MKS the pods would run by themselves.
 */
export async function startLocalCloud(options: LocalCloudOptions): Promise<LocalCloud> {
    const { layout, bin, engine, log } = options;
    // Held from now on: between a look for a free port and its use another sandbox would choose the same.
    const proxies = {
        prometheus: await openReverseProxy({ name: "Prometheus", port: options.prometheusPort ?? 0, log }),
        alertmanager: await openReverseProxy({ name: "Alertmanager", port: options.alertmanagerPort ?? 0, log }),
    };
    const grafanaPort = await freePort(options.grafanaPort);
    const kwok = createKwokMks({
        dir: layout.kubernetes,
        bin: {
            kwok: bin.kwok,
            etcd: bin.etcd,
            apiserver: bin["kube-apiserver"],
            controllerManager: bin["kube-controller-manager"],
            scheduler: bin["kube-scheduler"],
        },
        floatingIps: floatingIps(openStackFolder(layout.pulumiHome)),
        log,
    });
    let feed: { clusterId: string; feed: MonitoringFeed } | undefined;
    // The address is known only once the API has started, while a resumed cluster may ask for the feed before that.
    let announceCa!: (caFile: string) => void;
    const caFile = new Promise<string>((resolve) => (announceCa = resolve));

    /** Clusters whose control plane answers, the oldest first. */
    const standing: string[] = [];
    async function watch(clusterId: string): Promise<void> {
        if (!standing.includes(clusterId)) standing.push(clusterId);
        if (feed) return;
        const kubeconfig = await kwok.kubeconfig(clusterId);
        writePrivate(layout.kubeconfig, kubeconfig);
        feed = {
            clusterId,
            feed: await startMonitoringFeed({
                dir: layout.prometheus,
                loadtestDir: layout.loadtest,
                kubeconfig: layout.kubeconfig,
                bin: {
                    prometheus: bin.prometheus,
                    prometheusOperator: bin["prometheus-operator"],
                    alertmanager: bin.alertmanager,
                },
                proxies,
                grafana: { port: grafanaPort, program: options.grafana ?? undefined },
                caFile: await caFile,
                speed: options.speed,
                log,
            }),
        };
    }

    /** Turns to the cluster that took the place of the watched one, if there is one. */
    async function leave(watched: MonitoringFeed): Promise<void> {
        await watched.close();
        rmSync(layout.prometheus, { recursive: true, force: true });
        rmSync(layout.kubeconfig, { force: true });
        feed = undefined;
        const next = standing.at(-1);
        if (next !== undefined) await watch(next);
    }

    const mks: ManagedKubernetes = {
        kubeconfig: (id) => kwok.kubeconfig(id),
        resetKubeconfig: async (id) => {
            const watched = feed?.clusterId === id ? feed.feed : undefined;
            await watched?.close();
            await kwok.resetKubeconfig(id);
            if (!watched) return;
            feed = undefined;
            await watch(id);
        },
        scale: (id, pool) => kwok.scale(id, pool),
        create: async (id, spec) => {
            await kwok.create(id, spec);
            await watch(id);
        },
        resume: async (id) => {
            await kwok.resume(id);
            await watch(id);
        },
        delete: async (id) => {
            const rest = standing.filter((one) => one !== id);
            standing.splice(0, standing.length, ...rest);
            if (feed?.clusterId === id) await leave(feed.feed);
            await kwok.delete(id);
        },
    };
    const api = await startOvhCloud({
        stateDir: layout.ovhcloud,
        port: options.apiPort,
        speed: options.speed,
        credentials: sandboxCredentials,
        projectId: sandboxProjectId,
        mks,
        parts: () => [...kwok.parts(), ...(feed?.feed.parts() ?? [])],
        balancing: options.balancing,
        realEngine: engine === undefined || engine === "simulated" ? undefined : { ...engine, dir: layout.dir },
        profiles: options.profiles === undefined ? undefined : readProfiles(options.profiles),
        log,
    });
    announceCa(api.caFile);
    return {
        api,
        prometheus: proxies.prometheus.url,
        alertmanager: proxies.alertmanager.url,
        grafanaUrl: `http://127.0.0.1:${grafanaPort}`,
        grafana: () => feed?.feed.grafana() ?? { detail: "starts with the first cluster, if one is installed" },
        prometheusUrl: () => feed?.feed.url,
        close: async () => {
            await feed?.feed.close();
            await api.close();
            await kwok.close();
            await Promise.all([proxies.prometheus.close(), proxies.alertmanager.close()]);
        },
    };
}
