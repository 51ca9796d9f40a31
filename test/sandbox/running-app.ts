import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { OvhClient } from "../../packages/ai-deploy/src/client";
import { resolveCredentials } from "../../packages/ai-deploy/src/credentials";
import type { ManagedKubernetes } from "../../sandbox/ovhcloud/mks";
import { startOvhCloud, type OvhCloud, type OvhCloudOptions } from "../../sandbox/ovhcloud/server";

const projectId = "0123456789abcdef0123456789abcdef";
const keys = {
    applicationKey: "test-application-key",
    applicationSecret: "test-application-secret",
    consumerKey: "test-consumer-key",
};
export const model = "mistralai/Ministral-3-14B-Instruct-2512";

/** No test of these makes a cluster. */
const noClusters = new Proxy({} as ManagedKubernetes, {
    get: () => () => Promise.reject(new Error("this test has no clusters")),
});

/** An emulated OVHcloud with one app that runs, and what a client of it needs. */
export interface RunningApp {
    cloud: OvhCloud;
    id: string;
    url: string;
    /** Opens this app. */
    token: string;
    /** `OVH_*` variables for the API. */
    env: Record<string, string>;
    close(): Promise<void>;
}

export interface RunningAppOptions extends Partial<OvhCloudOptions> {
    /** Added to vLLM's command line. */
    flags?: string;
    scaling?: { min: number; max: number; target: number; scaleDownSeconds?: number };
}

/** Takes the way of a client of the API: token, app, wait. */
export async function startRunningApp(options: RunningAppOptions = {}): Promise<RunningApp> {
    const { flags = "", scaling = { min: 1, max: 1, target: 50 }, ...cloudOptions } = options;
    const stateDir = mkdtempSync(join(tmpdir(), "cloud-"));
    const cloud = await startOvhCloud({
        stateDir,
        credentials: keys,
        projectId,
        mks: noClusters,
        speed: 600,
        ...cloudOptions,
    });
    const env = {
        OVH_ENDPOINT: cloud.url,
        OVH_APPLICATION_KEY: keys.applicationKey,
        OVH_APPLICATION_SECRET: keys.applicationSecret,
        OVH_CONSUMER_KEY: keys.consumerKey,
        OVH_CLOUD_PROJECT_SERVICE: projectId,
        OVH_AI_DEPLOY_POLL_MS: "100",
        OVH_AI_DEPLOY_REQUESTS_PER_MINUTE: "60000",
    };
    const client = new OvhClient(resolveCredentials({ config: () => undefined, env, files: [] }), {
        requestsPerMinute: 60_000,
    });
    const project = `/cloud/project/${projectId}/ai`;
    await client.post(`${project}/authorization`);
    const token = await client.post<{ status: { value: string } }>(`${project}/token`, {
        name: "test",
        region: "GRA",
        role: "ai_training_read",
        labelSelector: "group=test",
    });
    const { id } = await client.post<{ id: string }>(`${project}/app`, {
        name: "test",
        region: "GRA",
        image: "vllm/vllm-openai:v0.13.0",
        command: ["bash", "-c", `vllm serve ${model} --port 8000 ${flags}`],
        defaultHttpPort: 8000,
        labels: { group: "test" },
        envVars: [{ name: "HF_TOKEN", value: "hf_made_up_for_a_test" }],
        resources: { flavor: "h100-1-gpu", gpu: 1 },
        probe: { path: "/v1/models", port: 8000 },
        scalingStrategy: {
            automatic: {
                replicasMin: scaling.min,
                replicasMax: scaling.max,
                scaleUpStabilizationWindowSeconds: 0,
                scaleDownStabilizationWindowSeconds: scaling.scaleDownSeconds ?? 300,
                customMetrics: {
                    apiUrl: "http://<SELF>:8000/metrics",
                    format: "PROMETHEUS",
                    valueLocation: "vllm:num_requests_running",
                    targetValue: scaling.target,
                    aggregationType: "AVERAGE",
                },
            },
        },
    });
    while (!cloud.apps().some((app) => app.id === id && app.replicas > 0)) await sleep(20);
    return {
        cloud,
        id,
        url: cloud.apps()[0].url,
        token: token.status.value,
        env,
        async close() {
            await cloud.close();
            rmSync(stateDir, { recursive: true, force: true });
        },
    };
}
