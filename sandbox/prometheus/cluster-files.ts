import { ApiException, CoreV1Api, CustomObjectsApi, type KubeConfig } from "@kubernetes/client-node";
import { gunzipSync } from "node:zlib";
import { relayName } from "../../src/monitoring/relay/manifests";

/** What a pod of the operator's Prometheus would mount, as it lies in the cluster now. */
export interface ClusterFiles {
    /** The config that the operator wrote, YAML. */
    config: string;
    /** Text by path below `/etc/prometheus`. */
    mounted: Record<string, string>;
    /** Files of the replica relay's ConfigMap, where there is one. */
    relay?: Record<string, string>;
    /** Settings of the Prometheus resource that become flags. */
    retention?: string;
    retentionSize?: string;
}

interface PrometheusResource {
    metadata: { name: string; namespace: string };
    spec: { secrets?: string[]; configMaps?: string[]; retention?: string; retentionSize?: string };
}

/** The operator's resource in the cluster, the first where there are several; undefined before a chart has made one. */
export async function findPrometheus(cluster: KubeConfig): Promise<PrometheusResource | undefined> {
    const custom = cluster.makeApiClient(CustomObjectsApi);
    const kind = { group: "monitoring.coreos.com", version: "v1", plural: "prometheuses" };
    try {
        const list = (await custom.listClusterCustomObject(kind)) as { items: PrometheusResource[] };
        return list.items[0];
    } catch (error) {
        if (isGone(error)) return undefined; // the kind is not known yet
        throw error;
    }
}

/** Reads all of it; undefined until the operator has written the config. */
export async function readClusterFiles(
    cluster: KubeConfig,
    { metadata, spec }: PrometheusResource,
): Promise<ClusterFiles | undefined> {
    const core = cluster.makeApiClient(CoreV1Api);
    const { name, namespace } = metadata;
    const secret = async (of: string): Promise<Record<string, Buffer>> => {
        const { data } = await core.readNamespacedSecret({ name: of, namespace });
        return Object.fromEntries(
            Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64")]),
        );
    };
    try {
        const config = (await secret(`prometheus-${name}`))["prometheus.yaml.gz"];
        if (!config) return undefined;
        const mounted: Record<string, string> = {};
        for (const of of spec.secrets ?? []) {
            for (const [key, value] of Object.entries(await secret(of))) {
                mounted[`secrets/${of}/${key}`] = value.toString();
            }
        }
        for (const [key, value] of Object.entries(await secret(`prometheus-${name}-tls-assets-0`))) {
            mounted[`certs/${key}`] = value.toString();
        }
        for (const of of spec.configMaps ?? []) {
            const { data } = await core.readNamespacedConfigMap({ name: of, namespace });
            for (const [key, value] of Object.entries(data ?? {})) mounted[`configmaps/${of}/${key}`] = value;
        }
        const rules = await core.listNamespacedConfigMap({ namespace, labelSelector: `prometheus-name=${name}` });
        for (const { metadata: of, data } of rules.items) {
            for (const [key, value] of Object.entries(data ?? {})) mounted[`rules/${of!.name}/${key}`] = value;
        }
        const maps = await core.listNamespacedConfigMap({ namespace, fieldSelector: `metadata.name=${relayName}` });
        const relay = maps.items[0]?.data;
        const { retention, retentionSize } = spec;
        return { config: gunzipSync(config).toString(), mounted, relay, retention, retentionSize };
    } catch (error) {
        if (isGone(error)) return undefined; // not all there yet, as for a pod that waits for its volumes
        throw error;
    }
}

/** Whether the cluster answers that it has no such thing. */
export function isGone(error: unknown): boolean {
    return error instanceof ApiException && error.code === 404;
}
