import { KubernetesApi, KubernetesError } from "pulumi-ovh-managed-kubernetes";
import { afterEach, expect, it } from "vitest";
import { upgradeCrds, type Crd } from "../../src/monitoring/crds";
import { startApiServer, type ApiServer } from "../managed-kubernetes/api-server";

const crd = (kind: string, version?: string): Crd => ({
    kind: "CustomResourceDefinition",
    metadata: {
        name: `${kind}.monitoring.coreos.com`,
        annotations: version === undefined ? {} : { "operator.prometheus.io/version": version },
    },
});

let server: ApiServer;
afterEach(() => server.close());

/** Runs it on a cluster with these definitions; gives what was told, and what was applied. */
async function upgrade(live: Crd[], chart: Crd[] | Error, installing = false) {
    const applied: string[] = [];
    const items = [...live, { metadata: { name: "certificates.cert-manager.io" } }].map(({ metadata }) => ({
        metadata,
    }));
    server = await startApiServer((method, path, body: Crd) => {
        if (method === "GET") return { body: { items: live.length > 0 ? items : null } };
        expect(path).toMatch(/\?fieldManager=ovhcloud-llm-serving&force=true$/);
        applied.push(
            `${method} ${body.metadata.name} ${body.metadata.annotations?.["operator.prometheus.io/version"]}`,
        );
        return path.includes("refused") ? { status: 422, body: { message: "spec.versions: Invalid value" } } : {};
    });
    const read = () => (chart instanceof Error ? Promise.reject(chart) : Promise.resolve(chart));
    const told = await upgradeCrds(new KubernetesApi(server.kubeconfig), installing, read);
    return { told, applied, requests: server.requests };
}

it("what is older than the chart's is applied, and what the cluster lacks", async () => {
    const live = [crd("prometheuses", "0.92.1"), crd("probes", "0.92.1")];
    const chart = [crd("prometheuses", "0.93.1"), crd("probes", "0.93.1"), crd("scrapeconfigs", "0.93.1")];
    const { told, applied } = await upgrade(live, chart);
    expect(applied).toEqual(
        ["prometheuses", "probes", "scrapeconfigs"].map((kind) => `PATCH ${kind}.monitoring.coreos.com 0.93.1`),
    );
    expect(told).toEqual(["3 custom resource definitions: 0.92.1, none -> 0.93.1"]);
});

it.each([
    ["0.9.0", "0.10.0"],
    ["v0.92.1", "0.92.2"],
    ["0.92.1", "1.0.0"],
    [undefined, "0.93.1"],
    ["0.93.1", undefined],
])("%s is older than %s", async (before, after) => {
    expect((await upgrade([crd("probes", before)], [crd("probes", after)])).applied).toHaveLength(1);
});

it("the same version is left alone, and nothing is said", async () => {
    expect(await upgrade([crd("probes", "0.93.1")], [crd("probes", "0.93.1")])).toMatchObject({
        told: [],
        applied: [],
    });
});

it("newer ones stay, and that is said", async () => {
    const live = [crd("probes", "0.93.1"), crd("prometheuses", "0.93.1")];
    const { told, applied } = await upgrade(live, [crd("probes", "0.92.1"), crd("prometheuses", "0.92.1")]);
    expect(applied).toEqual([]);
    expect(told).toEqual(["2 custom resource definitions stay at 0.93.1: they are newer than the chart's"]);
});

it("a first installation is Helm's alone: the chart is not even read", async () => {
    expect(await upgrade([], new Error("read"), true)).toMatchObject({ told: [], applied: [] });
});

it("an installation finds those that an earlier release has left", async () => {
    expect((await upgrade([crd("probes", "0.80.0")], [crd("probes", "0.93.1")], true)).applied).toHaveLength(1);
});

it("one that the cluster refuses ends it, in the cluster's words", async () => {
    await expect(upgrade([], [crd("refused", "0.93.1")])).rejects.toThrow(KubernetesError);
    await expect(upgrade([], [crd("refused", "0.93.1")])).rejects.toThrow(/422: spec.versions: Invalid value/);
});

it("nothing is ever deleted", async () => {
    const { requests } = await upgrade([crd("probes", "0.92.1"), crd("gone", "0.92.1")], [crd("probes", "0.93.1")]);
    expect(requests.map((request) => request.split(" ")[0])).toEqual(["GET", "PATCH"]);
});
