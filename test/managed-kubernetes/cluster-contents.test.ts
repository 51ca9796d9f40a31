import { ApiError, NoAnswerError } from "pulumi-ovh-ai-deploy/dist/errors/request-errors";
import { afterEach, describe, expect, it } from "vitest";
import { giveBack } from "../../packages/managed-kubernetes/src/cluster-contents";
import { startApiServer, type ApiServer } from "./api-server";

const inputs = { serviceName: "project", kubeId: "11111111-1111-4111-8111-111111111111", namespace: "monitoring" };
const gone = new ApiError("GET /kube", 404, "not found", undefined);

let server: ApiServer | undefined;
afterEach(async () => {
    await server?.close();
    server = undefined;
});

const grafana = {
    metadata: { name: "monitoring-grafana" },
    spec: { type: "LoadBalancer" },
    status: { loadBalancer: { ingress: [{ ip: "203.0.113.9" }] } },
};
const volume = {
    metadata: { name: "pvc-1" },
    spec: { claimRef: { namespace: "monitoring", name: "grafana" }, persistentVolumeReclaimPolicy: "Delete" },
};
const others = {
    metadata: { name: "pvc-2" },
    spec: { claimRef: { namespace: "shop", name: "orders" }, persistentVolumeReclaimPolicy: "Delete" },
};

/**
 * A cluster whose cloud takes things back one look after the other, or never.
 * @param fails whether a call, the first of which is 1, is answered with 503
 */
async function cluster({ ends = true, fails = (_call: number): boolean => false } = {}): Promise<ApiServer> {
    let deleting = false;
    let looks = 0;
    let calls = 0;
    server = await startApiServer((method, path) => {
        if (fails(++calls)) return { status: 503, body: { message: "not now" } };
        if (method === "DELETE") deleting = true;
        else if (deleting && ends) looks++;
        if (path.endsWith("/services")) return { body: { items: looks < 2 ? [grafana] : [] } };
        if (path.endsWith("/persistentvolumes")) return { body: { items: looks < 4 ? [volume, others] : [others] } };
        return {};
    });
    return server;
}

/** Runs it to the end with a clock that only the pauses move; gives what was said. */
async function run(
    api: {
        status?: string;
        kubeconfig?: string;
        error?: Error;
        /** Answers to the POST that are lost. */ lost?: number;
    },
    given: Partial<typeof inputs & { timeoutSeconds: number }> = {},
): Promise<string> {
    const said: string[] = [];
    let now = 0;
    let posts = 0;
    await giveBack(
        { ...inputs, ...given },
        {
            client: {
                get: async () => {
                    if (api.error) throw api.error;
                    return { status: api.status ?? "READY" } as never;
                },
                post: async () => {
                    if (++posts <= (api.lost ?? 0)) {
                        throw new NoAnswerError("POST /kube", new Error("ECONNRESET"), false);
                    }
                    if (api.kubeconfig === undefined) throw new ApiError("POST /kube", 409, "not ready", undefined);
                    return { content: api.kubeconfig } as never;
                },
            },
            progress: (line) => said.push(line),
            pauseMs: 1,
            now: () => (now += 1000),
        },
    );
    return said.join("\n");
}

describe("what a cluster has is given back before it goes", () => {
    it("deletes the namespace and waits for its load balancers and volumes, not for those of others", async () => {
        const { kubeconfig, requests } = await cluster();
        const said = await run({ kubeconfig });
        expect(requests.filter((request) => request.startsWith("DELETE"))).toEqual([
            "DELETE /api/v1/namespaces/monitoring",
        ]);
        expect(said).toContain("load balancers monitoring-grafana (203.0.113.9); volumes pvc-1 (grafana)");
        expect(said).toContain("are given back");
        expect(said).not.toContain("warning");
        expect(requests.at(-1)).toBe("GET /api/v1/persistentvolumes");
        expect(requests.length).toBeGreaterThan(6);
    });

    it("an answer that is lost now and then ends no wait: what is not waited for stays, and is billed", async () => {
        const { kubeconfig, requests } = await cluster({ fails: (call) => call % 3 !== 0 });
        const said = await run({ kubeconfig });
        expect(said).toContain("are given back");
        expect(said).not.toContain("warning");
        expect(requests.at(-1)).toBe("GET /api/v1/persistentvolumes");
    });

    it("one that answers no more is waited for no longer, and what was left is named", async () => {
        const { kubeconfig, requests } = await cluster({ fails: (call) => call > 3 });
        const said = await run({ kubeconfig });
        expect(said).toMatch(/warning: .* the cluster answered 503: not now.* monitoring-grafana \(203\.0\.113\.9\)/);
        expect(requests).toHaveLength(6);
    });

    it("a namespace that does not end keeps nothing from going on, and what is left is named", async () => {
        const { kubeconfig } = await cluster({ ends: false });
        const said = await run({ kubeconfig }, { timeoutSeconds: 5 });
        expect(said).toMatch(/warning: .* did not give back all of it in time/);
        expect(said).toContain("monitoring-grafana (203.0.113.9)");
        expect(said).toContain("pvc-1 (grafana)");
        expect(said).not.toContain("pvc-2");
    });

    it("a cluster that is gone has nothing to give back", async () => {
        expect(await run({ error: gone })).toMatch(/is gone already$/);
    });

    it("an API server that does not answer is told of, with where to look", async () => {
        const { kubeconfig } = await cluster();
        await server!.close();
        server = undefined;
        const said = await run({ kubeconfig });
        expect(said).toMatch(/warning: cluster 1{8}-.* does not answer \(ECONNREFUSED\)/);
        expect(said).toContain("load balancers and volumes of namespace monitoring");
        expect(said).toContain("control panel");
    });

    it("a kubeconfig that does not come at once is asked for again", async () => {
        const { kubeconfig } = await cluster();
        const said = await run({ kubeconfig, lost: 2 });
        expect(said).toContain("are given back");
    });

    it("so is a cluster that gives no kubeconfig", async () => {
        expect(await run({ status: "ERROR" })).toMatch(/warning: .* is ERROR and gave no kubeconfig/);
    });

    it("and one whose OVHcloud does not answer is not taken for gone", async () => {
        const outage = new NoAnswerError("GET /kube", new Error("ECONNRESET"), false);
        await expect(run({ error: outage })).rejects.toThrow(outage);
    });
});
