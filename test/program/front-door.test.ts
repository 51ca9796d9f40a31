import { describe, expect, it } from "vitest";
import { envoyVersions } from "../../sandbox/toolchain/recipes";
import { tries } from "../../src/front-door/envoy";
import { envoyImage } from "../../src/front-door/manifests";
import { deploy } from "./deploy";

const clientKeys = { search: "made-up-key-of-search", chat: "made-up-key-of-the-chat" };
const frontDoor = {
    clients: ["search", "chat"],
    requestsPerMinute: { chat: 600 },
    maxWaiting: 20,
    access: "loadBalancer",
    allowedSources: ["198.51.100.0/24"],
};
const config = {
    projectId: "0123456789abcdef0123456789abcdef",
    huggingFaceToken: "hf_test",
    monitoring: { grafana: { allowedSources: ["198.51.100.7/32"] } },
    models: { ministral: { frontDoor }, qwen: { model: "Qwen/Qwen3-8B" } },
    clientKeys,
};
const withDoor = () => deploy({ stack: "dev", config, secretKeys: ["huggingFaceToken", "clientKeys"] });

describe("a front door", () => {
    it("is made for the models that ask for one, and nothing of it for others", async () => {
        const stack = await withDoor();
        const made = stack.resources.filter(({ name }) => name.includes("front-door"));
        expect(made.map(({ type, name }) => `${type.split(":").at(-1)} ${name}`).sort()).toEqual([
            "ConfigMap ministral-front-door",
            "Deployment ministral-front-door",
            "FrontDoor ministral-front-door",
            "ScrapeConfig ministral-front-door-job",
            "Secret ministral-front-door",
            "Service ministral-front-door",
            "Service ministral-front-door-metrics",
        ]);
    });

    it("has its keys and the app's token in a Secret that is secret, and nowhere else", async () => {
        const stack = await withDoor();
        const secret = stack.find("Secret", "ministral-front-door");
        expect(secret.secrets).toContain("stringData");
        const { "routes.json": routes, "token.json": token } = secret.inputs.stringData as Record<string, string>;
        for (const key of Object.values(clientKeys)) expect(routes).toContain(`Bearer ${key}`);
        const { value } = await stack.output("models");
        expect(token).toContain(`Bearer ${value.ministral.clientToken}`);
        const others = stack.resources.filter((one) => one !== secret).map(({ inputs }) => JSON.stringify(inputs));
        for (const key of Object.values(clientKeys)) expect(others.join()).not.toContain(key);
        const files = JSON.stringify(stack.find("ConfigMap", "ministral-front-door").inputs);
        expect(files).not.toContain(value.ministral.clientToken);
    });

    it("is administered from its own pod alone, and takes no more memory and connections than it has", async () => {
        const stack = await withDoor();
        const { "envoy.json": text } = stack.find("ConfigMap", "ministral-front-door").inputs.data as Record<
            string,
            string
        >;
        const { admin, static_resources, overload_manager } = JSON.parse(text) as Record<string, any>;
        expect(admin.address.socket_address.address).toBe("127.0.0.1");
        const { resources } = stack.find("Deployment", "ministral-front-door").inputs.spec.template.spec.containers[0];
        const [heap, connections] = overload_manager.resource_monitors as { typed_config: Record<string, string> }[];
        const mebibytes = Number(heap.typed_config.max_heap_size_bytes) / 1024 ** 2;
        expect(mebibytes).toBeGreaterThan(0);
        expect(mebibytes).toBeLessThanOrEqual(parseInt(resources.limits.memory as string));
        expect(Number(connections.typed_config.max_active_downstream_connections)).toBeGreaterThan(0);
        // What others in the cluster reach of it: two pages, and nothing that ends or changes it.
        const metrics = (static_resources.listeners as { name: string }[]).find(({ name }) => name === "metrics");
        const paths = [...JSON.stringify(metrics).matchAll(/"prefix_rewrite":"([^"]+)"/g)].map(([, path]) => path);
        expect(paths).toEqual(["/stats/prometheus", "/ready"]);
    });

    it("is reached by those who may, waits longer than the balancer would, and shows nobody its metrics", async () => {
        const stack = await withDoor();
        const { metadata, spec } = stack.find("Service", "ministral-front-door").inputs;
        expect(spec).toMatchObject({
            type: "LoadBalancer",
            loadBalancerSourceRanges: ["198.51.100.0/24"],
            ports: [{ port: 80, targetPort: "door" }],
        });
        expect(metadata.annotations["loadbalancer.openstack.org/timeout-member-data"]).toBe("1500000");
        expect(stack.find("Service", "ministral-front-door-metrics").inputs.spec.type).toBeUndefined();
        const job = stack.find("ScrapeConfig", "ministral-front-door-job").inputs.spec;
        expect(job.staticConfigs[0].targets).toEqual(["vllm-door-metrics-ministral.monitoring.svc:9400"]);
    });

    it("is watched: its model alone has alerts on it", async () => {
        const stack = await withDoor();
        const alerts = (model: string) => JSON.stringify(stack.find("PrometheusRule", `${model}-rules`).inputs.spec);
        expect(alerts("ministral")).toContain("VllmFrontDoorDown");
        expect(alerts("qwen")).not.toContain("VllmFrontDoor");
    });

    it("keeps the app's own address beside it, and costs a balancer more", async () => {
        const stack = await withDoor();
        const { value } = await stack.output("models");
        expect(value.ministral.openAiBaseUrl).toMatch(/^https:.*\/v1$/);
        expect(value.ministral).toHaveProperty("frontDoorUrl");
        expect(value.qwen).not.toHaveProperty("frontDoorUrl");
        const cost = (await stack.output("cost")).value as { items: { what: string }[] };
        const what = cost.items.map((item) => item.what);
        expect(what).toContain("load balancer S of ministral's front door");
        expect(what.filter((one) => one.startsWith("gateway"))).toHaveLength(1);
    });

    it("is gone long before its namespace is given up on", async () => {
        const { template } = (await withDoor()).find("Deployment", "ministral-front-door").inputs.spec;
        const { terminationGracePeriodSeconds: grace, containers } = template.spec;
        expect(containers[0].lifecycle.preStop.sleep.seconds).toBeLessThan(grace);
        // Of ClusterContents, which has the balancers and volumes given back: half of its time at most.
        expect(grace).toBeLessThan(300 / 2);
    });

    it("is restarted by nothing that Envoy reads again", async () => {
        const sum = async (more: object) => {
            const models = { ministral: { frontDoor: { ...frontDoor, ...more } } };
            const secretKeys = ["huggingFaceToken", "clientKeys"];
            const stack = await deploy({ stack: "dev", config: { ...config, models }, secretKeys });
            const { template } = stack.find("Deployment", "ministral-front-door").inputs.spec;
            return template.metadata.annotations["checksum/bootstrap"] as string;
        };
        const before = await sum({});
        expect(await sum({ clients: ["search"], requestsPerMinute: {} })).toBe(before);
        expect(await sum({ maxWaiting: 30 })).not.toBe(before);
    });

    it("holds a request for as long as it is told", () => {
        for (const seconds of [1, 8, 60, 900, 3600]) {
            const { first, longest, count } = tries(seconds);
            let [lasts, bound] = [0, first];
            for (let n = 0; n < count; n++, bound = Math.min(2 * bound, longest)) lasts += bound / 2;
            expect(lasts).toBeGreaterThanOrEqual(seconds);
            expect(lasts).toBeLessThanOrEqual(seconds + longest);
        }
    });

    it("runs the Envoy that the sandbox runs", () => {
        expect(envoyImage).toMatch(new RegExp(`-v${envoyVersions.version}$`));
    });
});
