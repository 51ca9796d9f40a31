import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { namespaceFault } from "../../src/monitoring/namespace";
import { deploy, type Deployment, type Planned } from "./deploy";

const toSet = { projectId: "0123456789abcdef0123456789abcdef", huggingFaceToken: "hf_test" };
const grafana = { allowedSources: ["198.51.100.7/32"] };

describe.each([{ preview: false }, { preview: true }])("prod stack, preview $preview", ({ preview }) => {
    it("puts the cluster into a private network made before it, all of it protected", async () => {
        const stack = await deploy({ stack: "prod", config: toSet, preview });
        const network = stack.find("Network");
        expect(network.inputs).toMatchObject({
            region: "GRA11",
            valueSpecs: { "provider:network_type": "vrack", "provider:segmentation_id": "100" },
        });
        expect(stack.find("Subnet").inputs).toMatchObject({ cidr: "10.100.0.0/20", enableDhcp: true, ipVersion: 4 });
        expect(stack.find("Subnet").inputs).not.toHaveProperty("noGateway");
        expect(stack.find("Router").inputs.externalNetworkId).toBe("ext-net-id");
        const kube = stack.find("Kube");
        expect(kube.dependsOn).toContain("RouterInterface cluster-network");
        expect(kube.inputs.privateNetworkConfiguration).toEqual({
            defaultVrackGateway: "",
            privateNetworkRoutingAsDefault: true,
        });
        expect(kube.inputs).toMatchObject({
            privateNetworkId: "cluster-network-id",
            nodesSubnetId: "cluster-network-id",
        });
        for (const type of ["Network", "Subnet", "Router", "RouterInterface", "Kube", "KubeNodePool"]) {
            expect(stack.find(type).protect, type).toBe(true);
        }
        expect(stack.find("App").protect).toBe(true);
    });

    it("keeps Grafana inside and says how to reach it", async () => {
        const stack = await deploy({ stack: "prod", config: toSet, preview });
        expect(stack.find("Release").inputs.values.grafana.service).toEqual({ type: "ClusterIP", port: 80 });
        expect(stack.resources.filter(({ inputs }) => inputs.spec?.type === "LoadBalancer")).toEqual([]);
        expect((await stack.output("grafanaUrl")).value).toBe(
            "http://localhost:3000/d/vllm-ministral-monitoring/ministral-14b-vllm-metrics-monitoring",
        );
        expect((await stack.output("grafanaPortForward")).value).toBe(
            "kubectl port-forward --namespace monitoring service/monitoring-grafana 3000:80",
        );
    });

    it("shares neither app name nor token label with dev", async () => {
        const prod = await deploy({ stack: "prod", config: toSet, preview });
        const dev = await deploy({ stack: "dev", config: { ...toSet, monitoring: { grafana } }, preview });
        expect(prod.find("App").inputs.name).not.toBe(dev.find("App").inputs.name);
        expect(prod.find("App").inputs.labels).not.toEqual(dev.find("App").inputs.labels);
        expect(prod.find("Token", "ministral-client").inputs.labelSelector).toBe("ai_deploy_token=prod_operator_token");
        expect(prod.find("Kube").inputs.name).not.toBe(dev.find("Kube").inputs.name);
    });
});

describe.each([{ preview: false }, { preview: true }])("sandbox stack, preview $preview", ({ preview }) => {
    it("is complete as committed, and differs from dev in project, token and where the chart comes from", async () => {
        const sandbox = await deploy({ stack: "sandbox", preview });
        const config = {
            ...toSet,
            monitoring: { grafana: { allowedSources: ["203.0.113.0/24"] } },
        };
        const dev = await deploy({ stack: "dev", config, preview });
        const { chart, version, repositoryOpts } = sandbox.find("Release").inputs;
        expect([chart, version, repositoryOpts]).toEqual([
            ".sandbox/chart/kube-prometheus-stack",
            undefined,
            undefined,
        ]);
        const same = (stack: typeof dev) => {
            const app = { ...stack.find("App").inputs, serviceName: "", envVars: {}, adoptionLabel: "" };
            return { app, values: stack.find("Release").inputs.values as unknown };
        };
        expect(same(sandbox)).toEqual(same(dev));
    });
});

describe("several models", () => {
    const models = { ministral: {}, qwen: { model: "Qwen/Qwen3-8B", env: { HF_HOME: null, LEVEL: "2" } } };

    it("each has its app, tokens, Secret and scrape jobs", async () => {
        const stack = await deploy({ stack: "dev", config: { ...toSet, models, monitoring: { grafana } } });
        expect(stack.find("App", "qwen").inputs).toMatchObject({
            name: "vllm-qwen",
            labels: { ai_deploy_token: "qwen" },
            command: expect.arrayContaining([expect.stringMatching(/--model Qwen\/Qwen3-8B --enable-prefix-caching$/)]),
        });
        expect(Object.keys(stack.find("App", "qwen").inputs.envVars as object).sort()).toEqual([
            "HF_DATASETS_TRUST_REMOTE_CODE",
            "HF_HUB_ENABLE_HF_TRANSFER",
            "HF_TOKEN",
            "LEVEL",
            "OUTLINES_CACHE_DIR",
        ]);
        expect(stack.find("Token", "qwen-scrape").inputs.labelSelector).toBe("ai_deploy_token=qwen");
        expect(stack.find("Secret", "ministral-scrape-token").inputs).toMatchObject({
            metadata: { name: "vllm-auth-token" },
            stringData: { token: "value-of-ministral-scrape" },
        });
        expect(stack.find("Secret", "qwen-scrape-token").inputs).toMatchObject({
            metadata: { name: "vllm-auth-token-qwen" },
            stringData: { token: "value-of-qwen-scrape" },
        });
        const jobs = stack.resources.filter(({ type }) => type.endsWith(":ScrapeConfig"));
        const described = jobs.map(({ inputs: { metadata, spec } }) => [
            metadata.name,
            spec.jobName,
            spec.authorization?.credentials.name,
        ]);
        expect(described.sort()).toEqual([
            ["replica-relay-ministral", "replica-relay", undefined],
            ["replica-relay-qwen", "replica-relay", undefined],
            ["vllm-ministral", "vllm-ministral", undefined],
            ["vllm-ministral-direct", "vllm-ministral-direct", "vllm-auth-token"],
            ["vllm-qwen", "vllm-qwen", undefined],
            ["vllm-qwen-direct", "vllm-qwen-direct", "vllm-auth-token-qwen"],
        ]);
        const { value } = await stack.output("models");
        expect(Object.keys(value as object)).toEqual(["ministral", "qwen"]);
        expect((await stack.output("appId")).value).toBe(value.ministral.appId);
        expect(value.qwen.appId).not.toBe(value.ministral.appId);
    });

    it("the flat outputs are the first one's where there is no ministral", async () => {
        const config = { ...toSet, models: { ministral: null, qwen: models.qwen }, monitoring: { grafana } };
        const stack = await deploy({ stack: "dev", config });
        expect((await stack.output("clientToken")).value).toBe("value-of-qwen-client");
    });

    it("an encrypted value among the models makes every environment variable a secret", async () => {
        const config = { ...toSet, models, monitoring: { grafana } };
        const open = await deploy({ stack: "dev", config });
        expect(open.find("App", "qwen").secrets).toEqual(["envVars.HF_TOKEN"]);
        const secretKeys = ["huggingFaceToken", "models"];
        const stack = await deploy({ stack: "dev", config, secretKeys });
        expect(stack.find("App", "qwen").secrets).toContain("envVars.LEVEL");
    });
});

describe("alerting", () => {
    const alerting = {
        receivers: {
            oncall: { type: "pagerduty", routingKey: "VerySecretKey0000000000000000000" },
            mail: {
                type: "email",
                to: "ops@example.org",
                from: "alerts@example.org",
                smarthost: "smtp.example.org:587",
                username: "alerts",
                password: "very-secret-password",
            },
        },
        routes: { page: ["oncall", "mail"], ticket: ["mail"] },
    };

    it("what is secret of receivers is in their Secret, marked, and nowhere else", async () => {
        const config = { ...toSet, alerting, monitoring: { grafana } };
        const secretKeys = ["huggingFaceToken", "alerting"];
        const stack = await deploy({ stack: "dev", config, secretKeys });
        const secret = stack.find("Secret", "monitoring-alertmanager-receivers");
        expect(secret.inputs.metadata.name).toBe("alertmanager-receivers");
        expect(secret.inputs.stringData).toEqual({
            oncall: "VerySecretKey0000000000000000000",
            mail: "very-secret-password",
        });
        expect(secret.secrets).toContain("stringData");
        const release = stack.find("Release");
        expect(release.dependsOn).toContain("Secret monitoring-alertmanager-receivers");
        expect(release.secrets).toEqual([]);
        expect(release.inputs.values.alertmanager.alertmanagerSpec.secrets).toEqual(["alertmanager-receivers"]);
        const rest = stack.resources.filter((one) => one !== secret);
        expect(JSON.stringify(rest)).not.toMatch(/very-?secret/i);
    });

    it("an encrypted value of the monitoring makes the chart's values secret", async () => {
        const values = { grafana: { smtp: { existingSecret: "x" } } };
        const config = { ...toSet, monitoring: { grafana, chart: { values } } };
        const secretKeys = ["huggingFaceToken", "monitoring"];
        const stack = await deploy({ stack: "dev", config, secretKeys });
        expect(stack.find("Release").secrets).toEqual(["values"]);
    });
});

describe("Grafana", () => {
    const ingress = { host: "grafana.example.org", class: "nginx" };
    const pem = (kind: string) => `-----BEGIN ${kind}-----\nMIIB\n-----END ${kind}-----\n`;

    it("by ingress with a given certificate: its key is in a Secret only", async () => {
        const stack = await deploy({
            stack: "dev",
            config: {
                ...toSet,
                monitoring: {
                    grafana: {
                        ...grafana,
                        access: "ingress",
                        ingress: { ...ingress, certificate: pem("CERTIFICATE") },
                    },
                },
                grafanaTlsKey: pem("PRIVATE KEY"),
            },
            secretKeys: ["huggingFaceToken", "grafanaTlsKey"],
        });
        const secret = stack.find("Secret", "monitoring-grafana-tls");
        expect(secret.inputs).toMatchObject({
            type: "kubernetes.io/tls",
            metadata: { name: "grafana-tls" },
            stringData: { "tls.crt": pem("CERTIFICATE"), "tls.key": pem("PRIVATE KEY") },
        });
        expect(secret.secrets).toContain("stringData");
        expect((await stack.output("grafanaUrl")).value).toBe(
            "https://grafana.example.org/d/vllm-ministral-monitoring/ministral-14b-vllm-metrics-monitoring",
        );
        expect(stack.resources.filter(({ inputs }) => inputs.spec?.type === "LoadBalancer")).toEqual([]);
    });

    it("a changed rotation, and nothing else, asks for another password", async () => {
        const keepers = async (more: object) => {
            const config = { ...toSet, monitoring: { grafana: { ...grafana, ...more } } };
            return (await deploy({ stack: "dev", config })).find("RandomPassword").inputs.keepers as unknown;
        };
        expect(await keepers({})).toBeUndefined();
        expect(await keepers({ passwordRotation: "2026-12-01" })).toEqual({ rotation: "2026-12-01" });
    });
});

describe("the namespace of the monitoring", () => {
    const portForward = "kubectl port-forward --namespace monitoring service/x 3000:80";

    it("stays: with another one all that Prometheus and Grafana hold would be lost", () => {
        expect(namespaceFault("observability", portForward)).toMatch(
            /^monitoring\.namespace: "observability".* set --path monitoring\.namespace monitoring\./,
        );
        expect(namespaceFault("monitoring", portForward)).toBeUndefined();
    });

    it.each([
        ["of a new stack", "observability", {}],
        ["that stays the same", "monitoring", { grafanaPortForward: portForward }],
    ])("%s is taken", async (_, namespace, outputsBefore) => {
        const config = { ...toSet, monitoring: { grafana, namespace } };
        const stack = await deploy({ stack: "dev", config, outputsBefore, preview: true });
        expect(stack.find("Namespace").inputs.metadata.name).toBe(namespace);
    });
});

describe("halves that cannot hurt each other", () => {
    const stackOf = (models: object) => deploy({ stack: "dev", config: { ...toSet, models, monitoring: { grafana } } });
    const ofTheStack = ({ resources }: Deployment) =>
        resources
            .filter(({ type, name }) => type.startsWith("kubernetes:") && name.startsWith("monitoring"))
            .map(({ type, name, inputs, dependsOn }) => ({ type, name, inputs, dependsOn }));

    it("nothing of the stack's monitoring waits for a model, its token or its address", async () => {
        const stack = await stackOf({ ministral: {}, qwen: { model: "Qwen/Qwen3-8B" } });
        const waitsFor = (one: Planned, seen = new Set<string>()): Set<string> => {
            for (const name of one.dependsOn.filter((name) => !seen.has(name))) {
                seen.add(name);
                const [type, ...rest] = name.split(" ");
                const found = stack.resources.filter(
                    (other) => other.type.split(":").pop() === type && other.name === rest.join(" "),
                );
                for (const other of found) waitsFor(other, seen);
            }
            return seen;
        };
        const objects = stack.resources.filter(
            ({ type, name }) => type.startsWith("kubernetes:") && name.startsWith("monitoring"),
        );
        expect(objects.map(({ type }) => type.split(":").pop())).toEqual(
            expect.arrayContaining(["Namespace", "Release", "Secret", "ConfigMap", "Service"]),
        );
        for (const one of objects) {
            expect(
                [...waitsFor(one)].filter((name) => /^(App|Token|Authorization|RandomId) /.test(name)),
                one.name,
            ).toEqual([]);
        }
        // And a model waits for no other one, but for whether it serves, which is waited for last of all.
        const ofQwen = stack.resources.filter(
            ({ name, type }) => name.startsWith("qwen") && !type.endsWith(":AppReady"),
        );
        expect(ofQwen.length).toBeGreaterThan(8);
        for (const one of ofQwen) expect([...waitsFor(one)].filter((name) => /ministral/.test(name))).toEqual([]);
    });

    it("a model that comes, goes or changes is no change of the stack's monitoring", async () => {
        const before = ofTheStack(await stackOf({ ministral: {} }));
        const changed = { replicas: { max: 7 }, targets: { timeToFirstToken: 5 }, scrape: { labels: { team: "x" } } };
        for (const models of [{ ministral: {}, qwen: { model: "Qwen/Qwen3-8B" } }, { ministral: changed }]) {
            expect(ofTheStack(await stackOf(models))).toEqual(before);
        }
        expect(before.map(({ type }) => type)).toContain("kubernetes:helm.sh/v3:Release");
    });
});

describe("while the load balancer is being made", () => {
    it.each([
        ["no status yet", {}],
        ["no load balancer yet", { status: { loadBalancer: {} } }],
    ])("Grafana's address is left out: %s", async (_, grafanaService) => {
        const stack = await deploy({ stack: "dev", config: { ...toSet, monitoring: { grafana } }, grafanaService });
        expect((await stack.output("grafanaUrl")).value).toBeUndefined();
    });
});

describe("a wrong config", () => {
    it.each(["dev", "prod"])("%s as committed lists what is left to set, and nothing is made", async (stack) => {
        const refused = (await deploy({ stack }).then(
            () => undefined,
            (error: unknown) => error,
        )) as pulumi.RunError & { resources: unknown[] };
        expect(pulumi.RunError.isInstance(refused)).toBe(true);
        expect(refused.resources).toEqual([]);
        const keys = refused.message.match(/^ {2}ovhcloud-llm-serving:[\w.[\]]+/gm)?.map((line) => line.split(":")[1]);
        expect(keys).toEqual(
            stack === "dev"
                ? ["projectId", "huggingFaceToken", "monitoring.grafana.allowedSources"]
                : ["projectId", "huggingFaceToken"],
        );
    });

    it("a token in plain text is refused without being shown", async () => {
        const config = { ...toSet, monitoring: { grafana } };
        const refused = deploy({ stack: "dev", config, secretKeys: [] });
        await expect(refused).rejects.toThrow(/huggingFaceToken: stored in plain text.*config set --secret/);
        await expect(refused).rejects.not.toThrow(/hf_test/);
    });
});
