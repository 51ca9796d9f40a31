import { KubeConfig } from "@kubernetes/client-node";
import type { RequestOptions } from "node:https";
import { releaseName } from "../src/monitoring/chart-values";
import { ask } from "./http";

/** An HTTP API of the monitoring, Prometheus' or Alertmanager's, wherever it is reached. */
export interface MonitoringApi {
    /** How it is reached, for messages. */
    where: string;
    /** JSON of the answer to a GET. Throws an Error for people when there is none. */
    get(path: string): Promise<any>;
}

/** By an address of its own, `http://host:port`. */
export function apiAt(url: string): MonitoringApi {
    return { where: url, get: (path) => getJson(url, path) };
}

/**
 * By the API server of the cluster, which passes requests on to a Service: with the kubeconfig alone, without a port-forward
 * and without the address being open to anybody.
 */
export function apiOfService(kubernetes: KubeConfig, namespace: string, service: string, port: number): MonitoringApi {
    const server = kubernetes.getCurrentCluster()?.server ?? "";
    const base = `${server}/api/v1/namespaces/${namespace}/services/http:${service}:${port}/proxy`;
    return {
        where: `service ${service} of namespace ${namespace}, through the cluster's API server`,
        async get(path) {
            const more: RequestOptions = {};
            await kubernetes.applyToHTTPSOptions(more);
            return getJson(base, path, more);
        },
    };
}

/**
 * Prometheus and Alertmanager of a stack: at the addresses given, else those that the sandbox names in the environment, since
 * no pod of its cluster runs, else through the cluster.
 */
export function monitoringApis(
    kubeconfig: string,
    namespace: string,
    given: { prometheus?: string; alertmanager?: string } = {},
): { prometheus: MonitoringApi; alertmanager: MonitoringApi } {
    const { OVH_SANDBOX_PROMETHEUS, OVH_SANDBOX_ALERTMANAGER } = process.env;
    const kubernetes = new KubeConfig();
    kubernetes.loadFromString(kubeconfig);
    const reach = (url: string | undefined, part: string, port: number): MonitoringApi =>
        url ? apiAt(url.replace(/\/+$/, "")) : apiOfService(kubernetes, namespace, `${releaseName}-${part}`, port);
    return {
        prometheus: reach(given.prometheus ?? OVH_SANDBOX_PROMETHEUS, "prometheus", 9090),
        alertmanager: reach(given.alertmanager ?? OVH_SANDBOX_ALERTMANAGER, "alertmanager", 9093),
    };
}

async function getJson(base: string, path: string, more?: RequestOptions): Promise<unknown> {
    const { status, body } = await ask(base + path, { more, timeoutSeconds: 20 });
    if (status !== 200) throw new Error(`${base}${path.replace(/\?.*/, "")} answers ${status}: ${body.slice(0, 200)}`);
    return JSON.parse(body) as unknown;
}
