// The same app and token, as dynamic resources or by the plugin as an SDK for another language would declare them.
import * as pulumi from "@pulumi/pulumi";
import { App, Token, type AppArgs, type TokenArgs } from "pulumi-ovh-ai-deploy";

const config = new pulumi.Config();

class PluginResource extends pulumi.CustomResource {
    readonly appId!: pulumi.Output<string>;
    readonly url!: pulumi.Output<string>;
    readonly value!: pulumi.Output<string>;

    constructor(kind: string, name: string, args: object, outputs: string[], opts?: pulumi.CustomResourceOptions) {
        const computed = Object.fromEntries(outputs.map((output) => [output, undefined]));
        super(`ovh-ai-deploy:index:${kind}`, name, { ...computed, ...args }, { version: "0.1.0", ...opts });
    }
}

const appArgs: AppArgs = {
    name: "engine-test",
    region: config.get("region") ?? "GRA",
    image: "vllm/vllm-openai:v0.13.0",
    resources: { flavor: "h100-1-gpu", gpu: 1 },
    command: ["bash", "-c", "vllm serve Qwen/Qwen3-8B --port 8000"],
    defaultHttpPort: 8000,
    labels: { group: "engine-test" },
    // Not marked as secret here: the plugin sees to it.
    envVars: { HF_TOKEN: config.get("huggingFaceToken") ?? "" },
    volumes: [{ mountPath: "/hub", permission: "RW", volumeSource: { standalone: {} } }],
    scalingStrategy: { fixed: { replicas: Number(config.get("replicas") ?? 1) } },
    adoptionLabel: "engine-test-plugin",
};
const tokenArgs: TokenArgs = {
    name: "engine-test",
    region: "GRA",
    role: "ai_training_read",
    labelSelector: "group=engine-test",
};

const isPlugin = config.getBoolean("plugin");
const app = isPlugin
    ? new PluginResource("App", "app", appArgs, ["appId", "url", "state"], { import: config.get("import") })
    : new App("app", { ...appArgs, envVars: { HF_TOKEN: config.requireSecret("huggingFaceToken") } });
const token = isPlugin ? new PluginResource("Token", "token", tokenArgs, ["value"]) : new Token("token", tokenArgs);

export const appId = app.appId;
export const url = app.url;
export const clientToken = token.value;
