import {
    ApiException,
    AppsV1Api,
    CoreV1Api,
    CustomObjectsApi,
    type KubeConfig,
    type V1Deployment,
} from "@kubernetes/client-node";
import { gunzipSync } from "node:zlib";
import { controllerApp } from "../../src/controller/manifests";
import { relayApp } from "../../src/monitoring/relay/manifests";

/** What a pod of the operator's Prometheus would mount, as it lies in the cluster now. */
export interface ClusterFiles {
    /** The config that the operator wrote, YAML. */
    config: string;
    /** Text by path below `/etc/prometheus`. */
    mounted: Record<string, string>;
    /** What the pod of each replica relay, and of the controller, would mount, by its name. */
    relays: Record<string, RelayFiles>;
    /** Settings of the Prometheus resource that become flags. */
    retention?: string;
    retentionSize?: string;
}

/** What the pod of a replica relay or of the controller would mount, by file name: program and config, and its Secrets. */
export interface RelayFiles {
    files: Record<string, string>;
    secrets: Record<string, string>;
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
        const relays = await readRelays(cluster, namespace);
        const { retention, retentionSize } = spec;
        return { config: gunzipSync(config).toString(), mounted, relays, retention, retentionSize };
    } catch (error) {
        if (isGone(error)) return undefined; // not all there yet, as for a pod that waits for its volumes
        throw error;
    }
}

/** Reads the files of every relay that could start: a pod whose volumes are not there waits for them. */
async function readRelays(cluster: KubeConfig, namespace: string): Promise<ClusterFiles["relays"]> {
    const apps = cluster.makeApiClient(AppsV1Api);
    const { items } = await apps.listNamespacedDeployment({
        namespace,
        labelSelector: `app in (${relayApp},${controllerApp})`,
    });
    const relays: ClusterFiles["relays"] = {};
    for (const deployment of items) {
        try {
            relays[deployment.metadata!.name!] = await readRelay(cluster, namespace, deployment);
        } catch (error) {
            if (!isGone(error)) throw error;
        }
    }
    return relays;
}

async function readRelay(cluster: KubeConfig, namespace: string, { spec }: V1Deployment): Promise<RelayFiles> {
    const core = cluster.makeApiClient(CoreV1Api);
    const volumes = spec?.template.spec?.volumes ?? [];
    const files = await core.readNamespacedConfigMap({
        name: volumes.find(({ configMap }) => configMap)!.configMap!.name!,
        namespace,
    });
    const secrets = await Promise.all(
        volumes.flatMap(({ secret }) =>
            secret ? [core.readNamespacedSecret({ name: secret.secretName!, namespace })] : [],
        ),
    );
    const mounted = secrets.flatMap(({ data }) => Object.entries(data ?? {}));
    return {
        files: files.data ?? {},
        secrets: Object.fromEntries(mounted.map(([key, value]) => [key, Buffer.from(value, "base64").toString()])),
    };
}

/** Whether the cluster answers that it has no such thing. */
export function isGone(error: unknown): boolean {
    return error instanceof ApiException && error.code === 404;
}
