import { KubeConfig } from "@kubernetes/client-node";
import { afterEach, describe, expect, it } from "vitest";
import { grafanaPromises } from "../../../tools/verify/grafana";
import { startApiServer, type ApiServer } from "../../managed-kubernetes/api-server";

let server: ApiServer | undefined;
afterEach(async () => server?.close());

const host = "grafana.example.org";
const balancer = (name = "grafana", loadBalancerSourceRanges: string[] = ["198.51.100.7/32"]) => ({
    metadata: { name },
    spec: { type: "LoadBalancer", loadBalancerSourceRanges },
    status: { loadBalancer: { ingress: [{ ip: "203.0.113.9" }] } },
});
const inside = { metadata: { name: "monitoring-grafana" }, spec: { type: "ClusterIP" } };
const ingress = (over: object = {}) => ({
    metadata: { name: "g", annotations: { "nginx.ingress.kubernetes.io/whitelist-source-range": "198.51.100.7/32" } },
    spec: { ingressClassName: "nginx", rules: [{ host }], tls: [{ secretName: "tls", hosts: [host] }], ...over },
});

/** What the promise about Grafana sees in a cluster of these objects. */
async function look(access: keyof typeof grafanaPromises, url: string, services: object[], ingresses: object[] = []) {
    const items = (path: string): object[] =>
        !path.includes("/namespaces/watching/") ? [] : path.includes("ingresses") ? ingresses : services;
    server = await startApiServer((_, path) => ({ body: { items: items(path) } }));
    const kubernetes = new KubeConfig();
    kubernetes.loadFromString(server.kubeconfig);
    return grafanaPromises[access].look(kubernetes, url, "watching");
}

describe("what is promised of Grafana follows the setting", () => {
    it.each<[Parameters<typeof look>, RegExp]>([
        [["loadBalancer", "http://203.0.113.9/d/x", [balancer(), inside]], /^203\.0\.113\.9:80 from 198/],
        [["ingress", `https://${host}/d/x`, [inside], [ingress()]], /^grafana\.example\.org by class nginx from 198/],
        [["internal", "http://localhost:3000/d/x", [inside]], /^no load balancer/],
        [["internal", "http://localhost:3000/d/x", [inside, balancer("something-else")]], /^no load balancer/],
    ])("%j holds", async (args, seen) => {
        expect(await look(...args)).toMatch(seen);
    });

    it.each<[Parameters<typeof look>, RegExp]>([
        [["loadBalancer", "http://203.0.113.9/d/x", [inside]], /no LoadBalancer address/],
        [["loadBalancer", "http://203.0.113.9/d/x", [balancer("grafana", [])]], /open to all/],
        [["loadBalancer", "http://203.0.113.10/d/x", [balancer()]], /grafanaUrl is/],
        [["ingress", `https://${host}/d/x`, [inside], []], /no ingress for/],
        [["ingress", `http://${host}/d/x`, [inside], [ingress()]], /no ingress for/],
        [["ingress", `https://${host}/d/x`, [inside], [ingress({ tls: [] })]], /no certificate/],
        [["ingress", `https://${host}/d/x`, [inside], [{ ...ingress(), metadata: {} }]], /open to all/],
        [["ingress", `https://${host}/d/x`, [balancer("monitoring-grafana")], [ingress()]], /there is a load balancer/],
        [["loadBalancer", "http://203.0.113.9/d/x", [balancer("grafana", ["0.0.0.0/0"])]], /^open to all: 0\.0\.0\.0/],
        [["internal", "http://localhost:3000/d/x", [balancer()]], /there is a load balancer: grafana/],
        [["internal", "http://203.0.113.9/d/x", [inside]], /grafanaUrl is/],
    ])("%j does not hold", async (args, fault) => {
        await expect(look(...args)).rejects.toThrow(fault);
    });
});
