import * as pulumi from "@pulumi/pulumi";
import { RandomId } from "@pulumi/random";
import { App, Authorization, Token } from "pulumi-ovh-ai-deploy";

const authorization = new Authorization("ai-solutions");

const app = new App(
    "llm",
    {
        name: "llm",
        region: "GRA",
        image: "vllm/vllm-openai:v0.13.0",
        resources: { flavor: "h100-1-gpu", gpu: 1 },
        command: ["bash", "-c", "vllm serve Qwen/Qwen3-8B --port 8000"],
        defaultHttpPort: 8000,
        labels: { group: "llm" },
        envVars: { HF_TOKEN: new pulumi.Config().requireSecret("huggingFaceToken") },
        readinessProbe: { path: "/v1/models", initialDelaySeconds: 120 },
        scalingStrategy: { fixed: { replicas: 1 } },
        adoptionLabel: new RandomId("llm-adoption", { byteLength: 8 }).hex,
    },
    { dependsOn: authorization },
);

const client = { name: "llm-client", region: "GRA", role: "ai_training_read", labelSelector: "group=llm" } as const;

export const url = app.url;
export const token = new Token("llm-client", client).value;
