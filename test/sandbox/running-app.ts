import type { OvhCloud, OvhCloudOptions } from "../../sandbox/ovhcloud/server";
import type { AppStatus } from "../../sandbox/ovhcloud/status";
import { drained } from "../../src/vllm/drain";
import { accessToken, appBody, projectId, scaling, startTestCloud } from "./ovhcloud/cloud";

export const model = "mistralai/Ministral-3-14B-Instruct-2512";

/** An emulated OVHcloud with one app that runs, and what a client of it needs. */
export interface RunningApp {
    cloud: OvhCloud;
    id: string;
    url: string;
    /** Opens this app. */
    token: string;
    /** `OVH_*` variables for the API. */
    env: Record<string, string>;
    /** What the platform says of the app now. */
    status(): AppStatus;
    /** Waits until the app satisfies the condition. */
    until(what: string, holds: (app: AppStatus) => boolean): Promise<AppStatus>;
    /** A control under `/sandbox/`. */
    control(method: string, path: string, body?: object): Promise<{ status: number; body: any }>;
    close(): Promise<void>;
}

/** Takes the way of a client of the API: token, app, wait until all of its `replicas.min` are ready. `drain`: as a stack has it. */
export async function startRunningApp(
    replicas: { min: number; max: number },
    { drain = false, ...options }: Partial<OvhCloudOptions> & { drain?: boolean } = {},
): Promise<RunningApp> {
    const test = await startTestCloud(options);
    await test.api("POST", "/ai/authorization");
    const token = await test.api("POST", "/ai/token", {
        name: "test",
        region: "GRA",
        role: "ai_training_read",
        labelSelector: "group=tests",
    });
    const serve = ["vllm", "serve", model];
    const { id } = await test.api(
        "POST",
        "/ai/app",
        appBody({
            command: drain ? drained({ seconds: 110, port: 8000, command: serve }) : serve,
            ...(drain && { deploymentStrategy: { terminationGracePeriodSeconds: 120 } }),
            envVars: [{ name: "HF_TOKEN", value: "hf_made_up_for_a_test" }],
            scalingStrategy: scaling({
                replicasMin: replicas.min,
                replicasMax: replicas.max,
                // The longest there is: a replica that goes under load takes its requests along.
                scaleDownStabilizationWindowSeconds: 3600,
            }),
        }),
    );
    const { url } = await test.until(id, "running", ({ availableReplicas }) => availableReplicas >= replicas.min);
    return {
        cloud: test.cloud,
        id,
        url,
        token: token.status.value,
        env: {
            OVH_ENDPOINT: test.cloud.url,
            OVH_ACCESS_TOKEN: accessToken,
            OVH_CLOUD_PROJECT_SERVICE: projectId,
            OVH_AI_DEPLOY_POLL_MS: "100",
            OVH_AI_DEPLOY_REQUESTS_PER_MINUTE: "60000",
        },
        status: () => test.app(id),
        until: (what, holds) => test.until(id, what, holds),
        control: (method, path, body) => test.control(method, path, body),
        close: () => test.close(),
    };
}
