import { AppsV1Api, CoreV1Api, CustomObjectsApi, type KubeConfig } from "@kubernetes/client-node";
import { X509Certificate } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { prometheusUrl, releaseName } from "../../src/monitoring/chart-values";
import { modelsDashboard } from "../../src/monitoring/dashboards/files";
import { tokenKey, tokenSecretName } from "../../src/monitoring/scrape-jobs";
import type { ClusterSettings, MonitoringSettings } from "../../src/settings";
import { apiAnswers, type AiDeploy } from "./app";
import { caution, expect, unseen, type Check } from "./check";

/** The first promise of all that the cluster is asked for. */
export const clusterAnswers = "cluster answers, its nodes are Ready";

/** Checks what the cluster holds. `models` are their names. */
export async function checkCluster(
    check: Check,
    kubernetes: KubeConfig,
    models: string[],
    grafanaUrl: string,
    namespace = "monitoring",
): Promise<void> {
    const core = kubernetes.makeApiClient(CoreV1Api);
    const needs = [clusterAnswers];
    await check(clusterAnswers, async () => {
        const { items } = await core.listNode();
        const ready = items.filter((node) =>
            node.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True"),
        );
        const fix = "look at the node pool in OVHcloud's control panel: kubectl describe nodes";
        expect(
            items.length > 0 && ready.length === items.length,
            `${ready.length} of ${items.length} nodes Ready`,
            fix,
        );
        return `${ready.length} x ${items[0].metadata?.labels?.["node.kubernetes.io/instance-type"] ?? "node"}`;
    });
    await check(
        "Helm release is deployed",
        async () => {
            const { items } = await core.listNamespacedSecret({
                namespace,
                labelSelector: `owner=helm,name=${releaseName}`,
            });
            const newest = items.sort(
                (a, b) => Number(b.metadata?.labels?.version) - Number(a.metadata?.labels?.version),
            )[0];
            expect(newest, `no release named ${releaseName} in namespace ${namespace}`, "pulumi up");
            const state = newest.metadata?.labels?.status;
            expect(state === "deployed", `release is ${state}`, "pulumi up takes up what was interrupted");
            const release = JSON.parse(gunzipSync(Buffer.from(decode(newest.data?.release), "base64")).toString());
            return `${release.chart.metadata.name} ${release.chart.metadata.version}, revision ${newest.metadata?.labels?.version}`;
        },
        { needs },
    );
    await check(
        "Secrets with the scrape tokens, as they are (no quotes)",
        async () => {
            const names = models.map(tokenSecretName);
            for (const name of names) {
                const token = await readToken(core, namespace, name);
                expect(
                    token !== "" && !/["'\s]/.test(token),
                    `key ${tokenKey} of ${name} is empty or holds quotes or spaces`,
                    "pulumi refresh, then pulumi up",
                );
            }
            return `${names.join(", ")}, key ${tokenKey}`;
        },
        { needs },
    );
    await check(
        "dashboard is where Grafana's sidecar loads it from",
        async () => {
            const { items } = await core.listNamespacedConfigMap({ namespace, labelSelector: "grafana_dashboard=1" });
            const uids = items
                .flatMap(({ data }) => Object.values(data ?? {}))
                .map((text) => JSON.parse(text).uid as string);
            const { uid } = modelsDashboard(models);
            expect(uids.includes(uid), `uids found: ${uids.join(", ") || "none"}`, "pulumi up");
            expect(grafanaUrl.includes(`/d/${uid}/`), `grafanaUrl is ${grafanaUrl}`, "pulumi up");
            return `uid ${uid}`;
        },
        { needs },
    );
}

/** The token that a model is scraped with, as its Secret holds it. */
export async function readToken(core: CoreV1Api, namespace: string, name: string): Promise<string> {
    const { data } = await core.readNamespacedSecret({ namespace, name });
    return decode(data?.[tokenKey]);
}

/** A cluster as OVHcloud's API shows it, in part. */
interface LiveCluster {
    id: string;
    name: string;
    region: string;
    status: string;
    version: string;
    plan?: string;
    privateNetworkId?: string | null;
    isUpToDate?: boolean;
}

interface LivePool {
    name: string;
    flavor: string;
    desiredNodes: number;
    autoscale: boolean;
    status: string;
}

/** Checks that OVHcloud holds the cluster and the node pool that are configured. */
export async function checkManagedKubernetes(
    check: Check,
    { client, projectId }: AiDeploy,
    settings: ClusterSettings,
): Promise<void> {
    const project = `/cloud/project/${encodeURIComponent(projectId)}/kube`;
    let found: LiveCluster | undefined;
    const title = "cluster as configured";
    await check(
        title,
        async () => {
            const ids = await client.get<string[]>(project);
            const clusters = await Promise.all(ids.map((id) => client.get<LiveCluster>(`${project}/${id}`)));
            found = clusters.find(({ name, region }) => name === settings.name && region === settings.region);
            expect(
                found,
                `OVHcloud has no cluster "${settings.name}" in ${settings.region}`,
                "pulumi refresh, then pulumi up",
            );
            expect(found.status === "READY", `it is ${found.status}`, "wait, or look at it in the control panel");
            const isPrivate = Boolean(found.privateNetworkId);
            expect(
                isPrivate === (settings.network === "private"),
                `its network is ${isPrivate ? "private" : "public"}`,
            );
            const { version } = settings;
            expect(
                version === undefined || found.version.startsWith(`${version}.`),
                `its version is ${found.version}, configured is ${version}`,
                "pulumi up",
            );
            caution(found.isUpToDate !== false, `${found.version}, and patches wait for it`, "see docs/upgrading.md");
            return `${found.name}, ${found.region}, ${found.version}, ${isPrivate ? "private" : "public"} network`;
        },
        { needs: [apiAnswers] },
    );
    await check(
        "node pool as configured",
        async () => {
            const { nodePool: wanted } = settings;
            const pools = await client.get<LivePool[]>(`${project}/${found!.id}/nodepool`);
            const pool = pools.find(({ name }) => name === wanted.name);
            expect(pool, `there is no pool "${wanted.name}"`, "pulumi refresh, then pulumi up");
            const said = `${pool.desiredNodes} x ${pool.flavor}, autoscaling ${pool.autoscale ? "on" : "off"}`;
            const fits =
                pool.flavor === wanted.flavor &&
                pool.autoscale === (wanted.autoscale !== undefined) &&
                (pool.autoscale || pool.desiredNodes === wanted.nodes);
            expect(fits, `${said}; configured is ${wanted.nodes} x ${wanted.flavor}`, "pulumi refresh, then pulumi up");
            return `${pool.name}: ${said}`;
        },
        { needs: [title] },
    );
}

/** Checks what runs in the monitoring's namespace, and from what. */
export async function checkMonitoring(
    check: Check,
    kubernetes: KubeConfig,
    { namespace, retention, scrapeInterval, storage }: MonitoringSettings,
): Promise<void> {
    const needs = [clusterAnswers];
    const core = kubernetes.makeApiClient(CoreV1Api);
    const apps = kubernetes.makeApiClient(AppsV1Api);
    await check(
        "Prometheus, Alertmanager, Grafana, exporters: all pods are ready",
        async () => {
            const [deployments, sets, daemons] = await Promise.all([
                apps.listNamespacedDeployment({ namespace }),
                apps.listNamespacedStatefulSet({ namespace }),
                apps.listNamespacedDaemonSet({ namespace }),
            ]);
            const counted = [
                ...[...deployments.items, ...sets.items].map(({ metadata, spec, status }) => ({
                    name: metadata!.name!,
                    ready: status?.readyReplicas ?? 0,
                    wanted: spec?.replicas ?? 1,
                })),
                ...daemons.items.map(({ metadata, status }) => ({
                    name: metadata!.name!,
                    ready: status?.numberReady ?? 0,
                    wanted: status?.desiredNumberScheduled ?? 0,
                })),
            ];
            const names = [
                "prometheus-",
                "alertmanager-",
                `${releaseName}-grafana`,
                "node-exporter",
                "kube-state-metrics",
            ];
            const missing = names.filter((part) => !counted.some(({ name }) => name.includes(part)));
            expect(missing.length === 0, `not there: ${missing.join(", ")}`, "pulumi up");
            const ill = counted.filter(({ ready, wanted }) => ready < wanted);
            const said = ill.map(({ name, ready, wanted }) => `${name} ${ready} of ${wanted}`);
            expect(ill.length === 0, said.join(", "), `kubectl describe pods -n ${namespace}`);
            return counted.map(({ name, ready }) => `${name} ${ready}`).join(", ");
        },
        { needs },
    );
    await check(
        "Prometheus as configured",
        async () => {
            const { items } = (await kubernetes.makeApiClient(CustomObjectsApi).listNamespacedCustomObject({
                group: "monitoring.coreos.com",
                version: "v1",
                namespace,
                plural: "prometheuses",
            })) as { items: { spec: { retention?: string; scrapeInterval?: string } }[] };
            expect(items.length === 1, `${items.length} Prometheus objects in ${namespace}`, "pulumi up");
            const { spec } = items[0];
            const fits = spec.retention === retention && spec.scrapeInterval === scrapeInterval;
            const said = `retention ${spec.retention}, scrape interval ${spec.scrapeInterval}`;
            expect(fits, `${said}; configured are ${retention} and ${scrapeInterval}`, "pulumi up");
            return said;
        },
        { needs },
    );
    await check(
        "volumes as configured, and bound",
        async () => {
            const { items } = await core.listNamespacedPersistentVolumeClaim({ namespace });
            const said = (["prometheus", "grafana", "alertmanager"] as const).map((part) => {
                const claim = items.find(({ metadata }) =>
                    metadata!.name!.replace(`${releaseName}-`, "").startsWith(part),
                );
                expect(claim, `${part} has none`, "pulumi up");
                const { phase, capacity } = claim.status ?? {};
                const { storageClassName: kind, resources } = claim.spec!;
                const size = resources?.requests?.storage;
                expect(phase === "Bound", `that of ${part} is ${phase}`, `kubectl describe pvc -n ${namespace}`);
                const fix = "a volume can only grow, and only by hand: see docs/upgrading.md";
                const fits = size === storage[part] && kind === storage.class;
                expect(
                    fits,
                    `that of ${part} is ${size} ${kind}, configured is ${storage[part]} ${storage.class}`,
                    fix,
                );
                return `${part} ${capacity?.storage ?? size}`;
            });
            return `${said.join(", ")}, ${storage.class}`;
        },
        { needs },
    );
    await check(
        "Grafana has its data source",
        async () => {
            const { items } = await core.listNamespacedConfigMap({ namespace, labelSelector: "grafana_datasource=1" });
            const texts = items.flatMap(({ data }) => Object.values(data ?? {}));
            const url = new RegExp(`url:\\s*"?${prometheusUrl.replaceAll(".", "\\.")}(\\.|/|"|\\s|:|$)`);
            expect(
                texts.some((text) => url.test(text)),
                `no provisioned data source with ${prometheusUrl}`,
                "pulumi up",
            );
            return prometheusUrl;
        },
        { needs },
    );
}

/** A client certificate that ends sooner should be another one. */
const leastKubeconfigDays = 30;

/** Checks how long the kubeconfig of the stack opens the cluster. */
export async function checkKubeconfig(check: Check, kubernetes: KubeConfig): Promise<void> {
    await check(
        "kubeconfig goes on being valid",
        async () => {
            const { certData } = kubernetes.getCurrentUser() ?? {};
            if (!certData) unseen("it holds no client certificate whose end could be read");
            const { validTo } = new X509Certificate(Buffer.from(certData, "base64"));
            const days = Math.floor((Date.parse(validTo) - Date.now()) / 86_400_000);
            const fix = "reset it in OVHcloud's control panel; the next pulumi up fetches the new one";
            caution(days >= leastKubeconfigDays, `its certificate ends in ${days} days`, fix);
            return `until ${validTo}`;
        },
        { needs: [clusterAnswers] },
    );
}

function decode(base64: string | undefined): string {
    return Buffer.from(base64 ?? "", "base64").toString();
}
