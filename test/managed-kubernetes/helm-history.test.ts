import { gunzipSync, gzipSync } from "node:zlib";
import { afterEach, expect, it } from "vitest";
import { HelmHistory, withStatus } from "../../packages/managed-kubernetes/src/helm-history";
import { KubernetesApi } from "../../packages/managed-kubernetes/src/kubernetes-api";
import { startApiServer, type ApiServer } from "./api-server";

/** As Helm writes it: JSON, gzip, base64; and base64 again as any Secret. */
function record(status: string): string {
    const json = JSON.stringify({ name: "monitoring", info: { status, notes: "kept" }, manifest: "---" });
    return Buffer.from(gzipSync(json).toString("base64")).toString("base64");
}
function read(encoded: string): { info: Record<string, string>; manifest: string } {
    const inner = Buffer.from(encoded, "base64").toString();
    return JSON.parse(gunzipSync(Buffer.from(inner, "base64")).toString()) as ReturnType<typeof read>;
}

const secretOf = (version: number, status: string) => ({
    metadata: {
        name: `sh.helm.release.v1.monitoring.v${version}`,
        labels: { owner: "helm", name: "monitoring", version: String(version), status },
    },
    data: { release: record(status) },
});

let server: ApiServer;
let patches: { path: string; body: any }[];
afterEach(() => server.close());

async function history(...secrets: ReturnType<typeof secretOf>[]): Promise<HelmHistory> {
    patches = [];
    server = await startApiServer((method, path, body) => {
        if (method === "PATCH") patches.push({ path, body });
        return { body: { items: secrets } };
    });
    return new HelmHistory(new KubernetesApi(server.kubeconfig), "monitoring", "monitoring");
}

it.each(["pending-install", "pending-upgrade", "pending-rollback", "uninstalling"])(
    "a revision left in %s counts as failed, and keeps all else that Helm wrote",
    async (status) => {
        const mended = await (await history(secretOf(1, "deployed"), secretOf(2, status))).endUnfinished();
        expect(mended).toEqual([`revision 2, ${status}`]);
        const [{ path, body }] = patches;
        expect(patches).toHaveLength(1);
        expect(path).toBe("/api/v1/namespaces/monitoring/secrets/sh.helm.release.v1.monitoring.v2");
        expect(body.metadata.labels.status).toBe("failed");
        expect(read(body.data.release)).toEqual({
            name: "monitoring",
            info: { status: "failed", notes: "kept" },
            manifest: "---",
        });
    },
);

it("a release in order is left alone", async () => {
    expect(await (await history(secretOf(1, "superseded"), secretOf(2, "deployed"))).endUnfinished()).toEqual([]);
    expect(server.requests.filter((request) => !request.startsWith("GET"))).toEqual([]);
});

it("a release that no state knows is forgotten, every revision of it", async () => {
    expect(await (await history(secretOf(2, "pending-upgrade"), secretOf(1, "deployed"))).forget()).toEqual([
        "revision 1, deployed",
        "revision 2, pending-upgrade",
    ]);
    expect(server.requests.filter((request) => request.startsWith("DELETE"))).toEqual([
        "DELETE /api/v1/namespaces/monitoring/secrets/sh.helm.release.v1.monitoring.v1",
        "DELETE /api/v1/namespaces/monitoring/secrets/sh.helm.release.v1.monitoring.v2",
    ]);
});

it("withStatus changes nothing but the status", () => {
    expect(read(withStatus(record("pending-install"), "failed"))).toEqual({
        ...read(record("pending-install")),
        info: { status: "failed", notes: "kept" },
    });
});
