import { CoreV1Api, type KubeConfig } from "@kubernetes/client-node";
import { gunzipSync } from "node:zlib";
import { modelsDashboard } from "../../src/monitoring/dashboards/files";
import { tokenKey, tokenSecretName } from "../../src/monitoring/scrape-jobs";
import { expect, type Check } from "./finding";

/** Checks what the cluster holds. `models` are their names. */
export async function checkCluster(
    check: Check,
    kubernetes: KubeConfig,
    models: string[],
    grafanaUrl: string,
): Promise<void> {
    const core = kubernetes.makeApiClient(CoreV1Api);
    await check("cluster answers, its nodes are Ready", async () => {
        const { items } = await core.listNode();
        const ready = items.filter((node) =>
            node.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True"),
        );
        expect(items.length > 0 && ready.length === items.length, `${ready.length} of ${items.length} nodes Ready`);
        return `${ready.length} x ${items[0].metadata?.labels?.["node.kubernetes.io/instance-type"] ?? "node"}`;
    });
    await check("Helm release is deployed", async () => {
        const { items } = await core.listNamespacedSecret({
            namespace: "monitoring",
            labelSelector: "owner=helm,name=monitoring",
        });
        const newest = items.sort(
            (a, b) => Number(b.metadata?.labels?.version) - Number(a.metadata?.labels?.version),
        )[0];
        expect(newest, "no release named monitoring in namespace monitoring");
        const state = newest.metadata?.labels?.status;
        expect(state === "deployed", `release is ${state}`);
        const release = JSON.parse(gunzipSync(Buffer.from(decode(newest.data?.release), "base64")).toString());
        return `${release.chart.metadata.name} ${release.chart.metadata.version}, revision ${newest.metadata?.labels?.version}`;
    });
    await check("Secrets with the scrape tokens, as they are (no quotes)", async () => {
        const names = models.map(tokenSecretName);
        for (const name of names) {
            const { data } = await core.readNamespacedSecret({ namespace: "monitoring", name });
            const token = decode(data?.[tokenKey]);
            expect(
                token !== "" && !/["'\s]/.test(token),
                `key ${tokenKey} of ${name} is empty or holds quotes or spaces`,
            );
        }
        return `${names.join(", ")}, key ${tokenKey}`;
    });
    await check("dashboard is where Grafana's sidecar loads it from", async () => {
        const { items } = await core.listNamespacedConfigMap({
            namespace: "monitoring",
            labelSelector: "grafana_dashboard=1",
        });
        const uids = items
            .flatMap(({ data }) => Object.values(data ?? {}))
            .map((text) => JSON.parse(text).uid as string);
        const { uid } = modelsDashboard(models);
        expect(uids.includes(uid), `uids found: ${uids.join(", ") || "none"}`);
        expect(grafanaUrl.includes(`/d/${uid}/`), `grafanaUrl is ${grafanaUrl}`);
        return `uid ${uid} (Grafana itself is not run here)`;
    });
}

function decode(base64: string | undefined): string {
    return Buffer.from(base64 ?? "", "base64").toString();
}
