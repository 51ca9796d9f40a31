import {
    AppsV1Api,
    CoreV1Api,
    type KubeConfig,
    type V1ConfigMap,
    type V1Container,
    type V1PodSpec,
    type V1Secret,
} from "@kubernetes/client-node";
import { join } from "node:path";
import { isGone } from "../prometheus/cluster-files";

/** What a pod of Grafana would have, as it lies in the cluster now. */
export interface GrafanaFiles {
    /** `grafana.ini` of the chart. */
    ini: string;
    /** The administrator, from the Secret that the chart refers to. */
    user: string;
    password: string;
    /** Text by path in the pod: what is mounted for provisioning, and what the sidecars lay out. */
    files: Record<string, string>;
}

/** Where the chart mounts these. */
const iniPath = "/etc/grafana/grafana.ini";
export const provisioningFolder = "/etc/grafana/provisioning";

/** Reads the first Grafana's files; undefined while the cluster does not hold all of them. */
export async function readGrafanaFiles(cluster: KubeConfig): Promise<GrafanaFiles | undefined> {
    const apps = cluster.makeApiClient(AppsV1Api);
    const { items } = await apps.listDeploymentForAllNamespaces({ labelSelector: "app.kubernetes.io/name=grafana" });
    const [deployment] = items;
    const pod = deployment?.spec?.template.spec;
    const container = pod?.containers.find(({ name }) => name === "grafana");
    if (!pod || !container) return undefined;
    const reader = new PodReader(cluster, deployment.metadata!.namespace!, pod);
    try {
        const mounted = await reader.mounted(container, provisioningFolder);
        const { [iniPath]: ini } = await reader.mounted(container, iniPath);
        if (ini === undefined) return undefined;
        const sidecars = pod.containers.filter(({ env }) => env?.some(({ name }) => name === "LABEL"));
        const laidOut = await Promise.all(sidecars.map((sidecar) => reader.laidOutBy(sidecar)));
        return {
            ini,
            user: await reader.environment(container, "GF_SECURITY_ADMIN_USER"),
            password: await reader.environment(container, "GF_SECURITY_ADMIN_PASSWORD"),
            files: Object.assign({}, mounted, ...laidOut) as Record<string, string>,
        };
    } catch (error) {
        if (isGone(error)) return undefined; // not all there yet, as for a pod that waits for its volumes
        throw error;
    }
}

class PodReader {
    private readonly core: CoreV1Api;

    constructor(
        cluster: KubeConfig,
        private readonly namespace: string,
        private readonly pod: V1PodSpec,
    ) {
        this.core = cluster.makeApiClient(CoreV1Api);
    }

    /** Files that ConfigMaps put at or below a path of a container. */
    async mounted({ volumeMounts = [] }: V1Container, below: string): Promise<Record<string, string>> {
        const files: Record<string, string> = {};
        for (const { name, mountPath, subPath } of volumeMounts) {
            const configMap = this.pod.volumes?.find((volume) => volume.name === name)?.configMap;
            if (!configMap?.name || !(mountPath === below || mountPath.startsWith(`${below}/`))) continue;
            const { data = {} } = await this.core.readNamespacedConfigMap({
                name: configMap.name,
                namespace: this.namespace,
            });
            for (const [key, text] of Object.entries(data)) {
                if (subPath === undefined) files[join(mountPath, key)] = text;
                else if (subPath === key) files[mountPath] = text;
            }
        }
        return files;
    }

    /** A variable of a container's environment that a Secret gives, or its own text. */
    async environment({ env = [] }: V1Container, name: string): Promise<string> {
        const variable = env.find((one) => one.name === name);
        const reference = variable?.valueFrom?.secretKeyRef;
        if (!reference?.name) return variable?.value ?? "";
        const { data = {} } = await this.core.readNamespacedSecret({ name: reference.name, namespace: this.namespace });
        return Buffer.from(data[reference.key] ?? "", "base64").toString();
    }

    /** What a sidecar (kiwigrid/k8s-sidecar) writes: the content of every object with its label, each key a file. */
    async laidOutBy({ env = [] }: V1Container): Promise<Record<string, string>> {
        const of = (name: string): string | undefined => env.find((one) => one.name === name)?.value;
        const value = of("LABEL_VALUE");
        const labelSelector = `${of("LABEL")}${value ? `=${value}` : ""}`;
        const kinds = of("RESOURCE") ?? "configmap";
        const objects: (V1ConfigMap | V1Secret)[] = [];
        for (const namespace of (of("NAMESPACE") ?? this.namespace).split(",")) {
            const everywhere = namespace === "ALL";
            if (kinds !== "secret") {
                const { items } = await (everywhere
                    ? this.core.listConfigMapForAllNamespaces({ labelSelector })
                    : this.core.listNamespacedConfigMap({ namespace, labelSelector }));
                objects.push(...items);
            }
            if (kinds !== "configmap") {
                const { items } = await (everywhere
                    ? this.core.listSecretForAllNamespaces({ labelSelector })
                    : this.core.listNamespacedSecret({ namespace, labelSelector }));
                objects.push(...items.map(decoded));
            }
        }
        const files: Record<string, string> = {};
        for (const { metadata, data = {} } of objects) {
            // Relative to the sidecar's folder, or absolute.
            const annotated = metadata?.annotations?.[of("FOLDER_ANNOTATION") ?? ""] ?? "";
            const folder = annotated.startsWith("/") ? annotated : join(of("FOLDER") ?? "", annotated);
            for (const [key, text] of Object.entries(data)) files[join(folder, key)] = text;
        }
        return files;
    }
}

function decoded(secret: V1Secret): V1Secret {
    const texts = Object.entries(secret.data ?? {}).map(([key, value]) => [
        key,
        Buffer.from(value, "base64").toString(),
    ]);
    return { ...secret, data: Object.fromEntries(texts) as Record<string, string> };
}
