// One app, everything about it from stack config, so that a test changes one setting at a time.
import * as pulumi from "@pulumi/pulumi";
import { App, AppLeftovers, DataSync, Token, type AppArgs } from "pulumi-ovh-ai-deploy";

const config = new pulumi.Config();

const token = new Token("token", {
    name: "engine-test",
    region: "GRA",
    role: "ai_training_read",
    labelSelector: "group=engine-test",
});
const adoptionLabel = config.get("adoptionLabel") ?? "engine-test-1";
const leftovers = new AppLeftovers("app", { name: "engine-test", adoptionLabel });
const args: AppArgs = {
    name: config.get("name") ?? "engine-test",
    region: config.get("region") ?? "GRA",
    image: config.get("image") ?? "vllm/vllm-openai:v0.13.0",
    resources: { flavor: "h100-1-gpu", gpu: 1 },
    command: ["bash", "-c", config.get("command") ?? "vllm serve mistralai/Ministral-3-14B-Instruct-2512 --port 8000"],
    defaultHttpPort: 8000,
    labels: { group: "engine-test" },
    envVars: { HF_TOKEN: config.requireSecret("huggingFaceToken"), HF_HOME: "/hub" },
    volumes: [{ mountPath: "/hub", permission: "RW", volumeSource: { standalone: {} } }],
    livenessProbe: { path: "/health", port: 8000, initialDelaySeconds: 300 },
    readinessProbe: { path: "/v1/models", port: 8000, initialDelaySeconds: 300 },
    scalingStrategy: {
        automatic: {
            replicasMin: 1,
            replicasMax: 3,
            customMetrics: {
                apiUrl: "http://<SELF>:8000/metrics",
                format: "PROMETHEUS",
                valueLocation: "vllm:num_requests_running",
                targetValue: Number(config.get("target") ?? 50),
                aggregationType: "AVERAGE",
            },
        },
    },
    otherScalings: config.getObject("otherScalings"),
    adoptionLabel,
};
const app = new App("app", args, { dependsOn: leftovers });

/** An app in a component, beside a resource that uses its outputs. */
class Synchronized extends pulumi.ComponentResource {
    readonly app: App;
    readonly sync: DataSync;

    constructor(name: string) {
        super("engine-test:index:Synchronized", name);
        const dataStore = { alias: "models", container: "weights" };
        this.app = new App(
            `${name}-app`,
            {
                name,
                region: "GRA",
                image: "vllm/vllm-openai:v0.13.0",
                resources: { flavor: "h100-1-gpu", gpu: 1 },
                command: ["bash", "-c", "vllm serve Qwen/Qwen3-8B --port 8000"],
                defaultHttpPort: 8000,
                volumes: [{ mountPath: "/models", permission: "RWD", volumeSource: { dataStore } }],
                adoptionLabel: "engine-test-component",
            },
            { parent: this },
        );
        this.sync = new DataSync(
            `${name}-sync`,
            { appId: this.app.appId, direction: "pull", trigger: "1" },
            { parent: this },
        );
        this.registerOutputs({ appId: this.app.appId, syncState: this.sync.state });
    }
}

export const syncState = config.getBoolean("component") ? new Synchronized("synchronized").sync.state : undefined;
export const appId = app.appId;
export const url = app.url;
export const clientToken = token.value;
