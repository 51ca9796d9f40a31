import { describe, expect, it } from "vitest";
import { relayScript } from "../../src/monitoring/relay/manifests";
import { deploy, type Json } from "./deploy";

const config = {
    projectId: "0123456789abcdef0123456789abcdef",
    huggingFaceToken: "hf_test",
    monitoring: { scrapeInterval: "30s", grafana: { allowedSources: ["198.51.100.7/32"] } },
    models: {
        ministral: { replicas: { min: 2, max: 5 } },
        qwen: { model: "Qwen/Qwen3-8B" },
        single: { model: "Qwen/Qwen3-8B", replicas: { max: 1 } },
    },
};

describe("replica relay", () => {
    it("is one for each model", async () => {
        const stack = await deploy({ stack: "dev", config });
        const relays = stack.resources.filter(({ type }) => type.endsWith(":Deployment"));
        expect(relays.map(({ name }) => name)).toEqual(["ministral-relay", "qwen-relay", "single-relay"]);
        const files = stack.find("ConfigMap", "ministral-relay").inputs.data as Record<string, string>;
        expect(Object.keys(files).sort()).toEqual(["config.json", "relay.cjs"]);
        expect(files["relay.cjs"]).toBe(relayScript());
        const { value } = await stack.output("models");
        const url: string = value.ministral.appUrl;
        expect(JSON.parse(files["config.json"])).toEqual({
            url,
            interval: 30,
            replicas: { min: 2, max: 5 },
            completions: { model: value.ministral.model, interval: 45, timeout: 15 },
        });
        // No token in the ConfigMap: it is mounted from the Secret.
        expect(JSON.stringify(files)).not.toMatch(/value-of-/);
        expect(stack.find("ScrapeConfig", "ministral-job").inputs.spec.staticConfigs[0].targets).toEqual([
            "vllm-relay-ministral.monitoring.svc:9400",
        ]);
        // Of one replica, which may hang as well as another.
        const single = stack.find("ConfigMap", "single-relay").inputs.data as Record<string, string>;
        expect(JSON.parse(single["config.json"])).toMatchObject({ completions: { interval: 45, timeout: 15 } });
    });

    it("of a model that sleeps at some hours alone is told so, too", async () => {
        const weekend = { days: "sat,sun", from: "00:00", to: "24:00", timeZone: "UTC", min: 0, max: 1 };
        const stack = await deploy({
            stack: "dev",
            config: {
                ...config,
                models: { ministral: { schedule: [weekend] } },
                appReaderKey: "a-key:a-secret:a-consumer",
            },
            secretKeys: ["huggingFaceToken", "appReaderKey"],
        });
        const { data } = stack.find("ConfigMap", "ministral-relay").inputs as { data: Record<string, string> };
        expect(JSON.parse(data["config.json"])).toMatchObject({ replicas: { min: 0 }, sleep: { after: 600 } });
        const jobs = stack.resources.filter(({ name, type }) => /:ScrapeConfig$/.test(type) && /direct/.test(name));
        expect(jobs).toEqual([]);
    });

    it("of a model that may sleep reads its state with a key that is nowhere in clear, and nothing else asks it", async () => {
        const appReaderKey = "a-key:a-made-up-secret:a-consumer-key";
        const models = { ministral: { replicas: { min: 0, max: 1 }, scaling: { cooldownSeconds: 120 } } };
        const stack = await deploy({
            stack: "dev",
            config: { ...config, models, appReaderKey },
            secretKeys: ["huggingFaceToken", "appReaderKey"],
        });
        expect(stack.find("App").inputs.scalingStrategy.automatic).toMatchObject({
            replicasMin: 0,
            cooldownPeriodSeconds: 120,
        });
        const { value } = await stack.output("models");
        const { data } = stack.find("ConfigMap", "ministral-relay").inputs as { data: Record<string, string> };
        expect(JSON.parse(data["config.json"])).toMatchObject({
            replicas: { min: 0, max: 1 },
            sleep: { after: 420, project: config.projectId, app: value.ministral.appId },
        });
        expect(stack.resources.filter(({ type }) => /OAuth2|Policy/.test(type))).toEqual([]);
        const key = stack.find("Secret", "ministral-app-reader-key");
        expect(key.inputs.stringData).toEqual({ key: appReaderKey });
        expect(key.secrets).toContain("stringData");
        const { spec } = stack.find("Deployment", "ministral-relay").inputs.spec.template;
        expect(spec.volumes).toContainEqual({
            name: "key",
            secret: { secretName: "vllm-relay-app-reader-ministral", defaultMode: 0o440 },
        });
        expect(stack.find("Deployment", "ministral-relay").dependsOn).toContain("Secret ministral-app-reader-key");
        // None at the app's own address.
        const jobs = stack.resources.filter(({ type }) => type.endsWith(":ScrapeConfig"));
        expect(jobs.map(({ name }) => name).sort()).toEqual(["ministral-job", "ministral-relay-job"]);
        for (const { inputs } of jobs) {
            expect(inputs.spec.staticConfigs[0].targets).toEqual(["vllm-relay-ministral.monitoring.svc:9400"]);
        }
        const others = stack.resources.filter((one) => one !== key);
        expect(JSON.stringify(others)).not.toContain("a-made-up-secret");
    });

    it("of models that may sleep reads their state, without a key, as one account that the stack makes", async () => {
        const asleep = { replicas: { min: 0, max: 1 } };
        const models = { ministral: asleep, qwen: { model: "Qwen/Qwen3-8B", ...asleep } };
        const stack = await deploy({ stack: "dev", config: { ...config, models } });
        expect(stack.find("APIOAuth2Client").inputs).toMatchObject({
            name: "ovhcloud-llm-serving-dev-app-reader",
            flow: "CLIENT_CREDENTIALS",
        });
        expect(stack.find("Policy").inputs).toMatchObject({
            identities: ["urn:made-up:app-reader"],
            resources: [`urn:v1:eu:resource:publicCloudProject:${config.projectId}`],
            allows: ["publicCloudProject:apiovh:ai/app/get"],
        });
        for (const model of Object.keys(models)) {
            const secret = stack.find("Secret", `${model}-app-reader-key`);
            expect(secret.inputs.stringData).toEqual({ key: "id-of-app-reader:canary-secret-of-app-reader" });
            expect(secret.secrets).toContain("stringData");
            const { data } = stack.find("ConfigMap", `${model}-relay`).inputs as { data: Record<string, string> };
            expect(JSON.parse(data["config.json"]).sleep.api).toEqual({
                baseUrl: "https://eu.api.ovh.com/v1",
                tokenUrl: "https://www.ovh.com/auth/oauth2/token",
            });
        }
        const others = stack.resources.filter(({ name }) => !name.endsWith("-app-reader-key"));
        expect(JSON.stringify(others)).not.toContain("canary-secret");
    });

    it("of a model that is stopped on purpose is not there, nor is an account for it", async () => {
        const models = { ministral: { replicas: { min: 0 }, desiredState: "STOPPED" } };
        const stack = await deploy({ stack: "dev", config: { ...config, models } });
        expect(stack.resources.filter(({ type }) => /OAuth2|Policy/.test(type))).toEqual([]);
    });

    it("of one that never sleeps needs no key, and no account", async () => {
        const stack = await deploy({ stack: "dev", config });
        expect(stack.resources.filter(({ name }) => name.includes("app-reader"))).toEqual([]);
        const { data } = stack.find("ConfigMap", "ministral-relay").inputs as { data: Record<string, string> };
        expect(JSON.parse(data["config.json"]).sleep).toBeUndefined();
    });

    it("runs without any privilege, from the ConfigMap, with the token's Secret mounted", async () => {
        const stack = await deploy({ stack: "dev", config });
        const deployment = stack.find("Deployment", "qwen-relay");
        expect(deployment.dependsOn).toEqual(
            expect.arrayContaining(["ConfigMap qwen-relay", "Secret qwen-scrape-token"]),
        );
        const { spec, metadata } = deployment.inputs.spec.template;
        expect(spec.automountServiceAccountToken).toBe(false);
        expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
        const [container, ...others] = spec.containers;
        expect(others).toEqual([]);
        expect(container.image).toMatch(/^node:22\.\d+\.\d+-alpine\d\.\d+@sha256:[0-9a-f]{64}$/);
        expect(container.securityContext).toEqual({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
        });
        expect(container.resources.limits).toEqual({ cpu: "500m", memory: "256Mi" });
        expect(spec.volumes).toMatchObject([
            { configMap: { name: "vllm-relay-qwen" } },
            { secret: { secretName: "vllm-auth-token-qwen" } },
        ]);
        const service = stack.find("Service", "qwen-relay").inputs;
        expect(service.metadata).toMatchObject({ name: "vllm-relay-qwen", namespace: "monitoring" });
        expect(service.spec.selector).toEqual(metadata.labels);
    });

    it("gets a new pod with new files, which it reads once, and keeps it otherwise", async () => {
        const annotations = async (max: number): Promise<Json> => {
            const models = { ministral: { replicas: { max } } };
            const stack = await deploy({ stack: "dev", config: { ...config, models } });
            return stack.find("Deployment", "ministral-relay").inputs.spec.template.metadata.annotations;
        };
        expect(await annotations(3)).toEqual(await annotations(3));
        expect(await annotations(3)).not.toEqual(await annotations(4));
    });

    it("is left out for a model that never has several, where no completions are asked for", async () => {
        const { qwen, single } = config.models;
        const evening = { days: "mon-sun", from: "18:00", to: "24:00", timeZone: "UTC", min: 1, max: 2 };
        const models = { ministral: null, qwen, single, evening: { ...single, schedule: [evening] } };
        const controller = { controllerClientId: "made-up-id", controllerClientSecret: "made-up-secret" };
        const monitoring = { ...config.monitoring, completionProbe: false };
        const secretKeys = ["huggingFaceToken", "controllerClientSecret"];
        const given = { ...config, ...controller, monitoring, models };
        const stack = await deploy({ stack: "dev", secretKeys, config: given });
        const relays = stack.resources.filter(({ type, name }) => /:Deployment$/.test(type) && /-relay$/.test(name));
        expect(relays.map(({ name }) => name)).toEqual(["qwen-relay", "evening-relay"]);
        expect(stack.find("ScrapeConfig", "single-job").inputs.spec.scheme).toBe("HTTPS");
    });

    it("is left out, as everything that asks the app is, for a model that is stopped on purpose", async () => {
        const models = { ministral: { desiredState: "STOPPED" }, qwen: { model: "Qwen/Qwen3-8B" } };
        const stack = await deploy({ stack: "dev", config: { ...config, models } });
        const own = stack.resources.filter(({ name }) => name.startsWith("ministral-"));
        expect(own.filter(({ type }) => /:(ScrapeConfig|Deployment)$/.test(type))).toEqual([]);
        const rules: Json[] = stack.find("PrometheusRule", "ministral-rules").inputs.spec.groups[0].rules;
        expect(rules.filter(({ alert }) => alert)).toEqual([]);
        expect(stack.find("PrometheusRule", "qwen-rules").inputs.spec.groups[0].rules).toContainEqual(
            expect.objectContaining({ alert: "VllmEndpointDown" }),
        );
    });
});
