import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Replica } from "../../sandbox/vllm/replica";
import { OvhClient } from "../../packages/ai-deploy/src/api/client";
import { resolveCredentials } from "../../packages/ai-deploy/src/api/credentials";
import { startOvhCloud, type LoggedRequest, type OvhCloud } from "../../sandbox/ovhcloud/server";

/** Evidently made up; a test that finds one of them in clear has found a leak. */
export const canary = {
    applicationKey: "canary-application-key",
    applicationSecret: "canary-application-secret",
    consumerKey: "canary-consumer-key",
    accessToken: "canary-access-token",
};

export const projectId = "00000000000000000000000000000001";

export interface TestCloud {
    api: OvhCloud;
    /** What a process needs to reach it as its user, with polls of a few milliseconds. */
    env: Record<string, string>;
    /** The same as its user, by one header. */
    accessToken: string;
    /** Lines that the replicas that start from now on write before they serve; with an exit code they end instead. */
    script(script: { lines?: string[]; exitCode?: number; reason?: string }): void;
    /** Apps whose adoption label is this, those on their way out left out. */
    labelled(label: string): { id: string; state: string; spec: Record<string, any> }[];
    /** Begins to count how many of those there are at once. */
    watch(label: string): void;
    /** The most there were since. */
    mostAlive(): number;
    /** The requests that come after now. */
    mark(): () => LoggedRequest[];
    /** Does something to an app behind Pulumi's back, and waits until it is done. */
    outside(id: string, action: "delete outside" | "stop outside" | "take label off"): Promise<void>;
    /** Takes away every fault, script and app. */
    reset(): Promise<void>;
    close(): Promise<void>;
}

export interface TestCloudOptions {
    /** Platform seconds per real second. */
    speed?: number;
    /** GPUs of the project; default: more than any test of something else uses. */
    gpuQuota?: number;
}

/** The emulated OVHcloud without clusters, its replicas one tiny server that answers 200 to everything, and is idle. */
export async function startTestCloud({ speed = 5000, gpuQuota = 16 }: TestCloudOptions = {}): Promise<TestCloud> {
    // In memory where there is such a folder: the emulator saves its state at every change.
    const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "ai-deploy-test-"));
    const replicas = createServer((_incoming, answer) => answer.end("vllm:num_requests_running 0\n"));
    await new Promise<void>((resolve) => replicas.listen(0, "127.0.0.1", resolve));
    const { port } = replicas.address() as AddressInfo;
    let script: Parameters<TestCloud["script"]>[0] = {};
    let watched = "";
    let most = 0;
    const labelled: TestCloud["labelled"] = (label) =>
        api.stored().filter(({ spec, wanted }) => spec.labels["pulumi-adoption-id"] === label && wanted !== "deleted");
    const noClusters = (): never => {
        throw new Error("this cloud has no clusters");
    };
    const api = await startOvhCloud({
        stateDir: folder,
        speed,
        gpuQuota,
        credentials: canary,
        projectId,
        mks: {
            create: noClusters,
            kubeconfig: noClusters,
            resetKubeconfig: noClusters,
            scale: noClusters,
            resume: noClusters,
            delete: noClusters,
        },
        startReplica: ({ log: write }): Replica => {
            for (const line of script.lines ?? []) write(line);
            const { exitCode, reason } = script;
            let end!: (result: { code: number; reason?: string }) => void;
            const exited = new Promise<{ code: number; reason?: string }>((resolve) => (end = resolve));
            if (exitCode !== undefined) end({ code: exitCode, reason });
            return {
                port,
                containerPort: 8000,
                ready: true,
                phase: "serving",
                load: { running: 0, waiting: 0, kvUsage: 0 },
                usage: { cores: 0, memory: 0 },
                exited,
                connect: () => connect(port, "127.0.0.1"),
                stop: async () => end({ code: 0 }),
                impair: () => undefined,
                crash: () => end({ code: 1 }),
                outOfMemory: () => end({ code: 137 }),
            };
        },
        // Each change of an app's state is logged, its beginning among them.
        log: () => (most = Math.max(most, labelled(watched).length)),
    });
    const env = {
        OVH_ENDPOINT: api.url,
        OVH_APPLICATION_KEY: canary.applicationKey,
        OVH_APPLICATION_SECRET: canary.applicationSecret,
        OVH_CONSUMER_KEY: canary.consumerKey,
        OVH_CLOUD_PROJECT_SERVICE: projectId,
        OVH_AI_DEPLOY_POLL_MS: "3",
        OVH_AI_DEPLOY_REQUESTS_PER_MINUTE: "1000000",
        OVH_AI_DEPLOY_REQUEST_TIMEOUT_MS: "10000",
    };
    const colleague = new OvhClient(resolveCredentials({ config: () => undefined, env, files: [] }), {
        requestsPerMinute: 1_000_000,
    });
    return {
        api,
        env,
        accessToken: canary.accessToken,
        script: (next) => (script = next),
        labelled,
        watch(label) {
            watched = label;
            most = labelled(label).length;
        },
        mostAlive: () => most,
        async outside(id, action) {
            if (action === "delete outside") return api.deleteApp(id);
            const path = `/cloud/project/${projectId}/ai/app/${id}`;
            if (action === "take label off") {
                return colleague.put(`${path}/label`, { name: "pulumi-adoption-id", value: null });
            }
            await colleague.put(`${path}/stop`);
            while (!["STOPPED", "FAILED"].includes(api.stored().find((app) => app.id === id)?.state ?? "STOPPED")) {
                await new Promise((resolve) => setTimeout(resolve, 2));
            }
        },
        mark() {
            const last = api.requests().at(-1);
            return () => api.requests().slice(last ? api.requests().lastIndexOf(last) + 1 : 0);
        },
        async reset() {
            api.faults.clear();
            script = {};
            for (const { id } of api.apps()) await api.deleteApp(id);
        },
        async close() {
            await api.close();
            await new Promise((resolve) => replicas.close(resolve));
            replicas.closeAllConnections();
            rmSync(folder, { recursive: true, force: true });
        },
    };
}
