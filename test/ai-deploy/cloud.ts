import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Replica } from "../../sandbox/ovhcloud/platform";
import { startOvhCloud, type OvhCloud } from "../../sandbox/ovhcloud/server";

/** Evidently made up; a test that finds one of them in clear has found a leak. */
export const canary = {
    applicationKey: "canary-application-key",
    applicationSecret: "canary-application-secret",
    consumerKey: "canary-consumer-key",
};

export const projectId = "00000000000000000000000000000001";

export interface TestCloud {
    api: OvhCloud;
    /** What a process needs to reach it as its user, with polls of a few milliseconds. */
    env: Record<string, string>;
    /** Lines that the replicas that start from now on write before they serve; with an exit code they end instead. */
    script(script: { lines?: string[]; exitCode?: number; reason?: string }): void;
    close(): Promise<void>;
}

export interface TestCloudOptions {
    /** Platform seconds per real second. */
    speed?: number;
    log?: (line: string) => void;
}

/** The emulated OVHcloud without clusters, its replicas one tiny server that answers 200 to everything. */
export async function startTestCloud({ speed = 5000, log }: TestCloudOptions = {}): Promise<TestCloud> {
    const folder = mkdtempSync(join(tmpdir(), "ai-deploy-test-"));
    const replicas = createServer((_incoming, answer) => answer.end("ok"));
    await new Promise<void>((resolve) => replicas.listen(0, "127.0.0.1", resolve));
    const { port } = replicas.address() as AddressInfo;
    let script: Parameters<TestCloud["script"]>[0] = {};
    const noClusters = (): never => {
        throw new Error("this cloud has no clusters");
    };
    const api = await startOvhCloud({
        stateDir: folder,
        speed,
        credentials: canary,
        projectId,
        mks: {
            create: noClusters,
            kubeconfig: noClusters,
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
            return { port, exited, stop: async () => end({ code: 0 }) };
        },
        log,
    });
    return {
        api,
        env: {
            OVH_ENDPOINT: api.url,
            OVH_APPLICATION_KEY: canary.applicationKey,
            OVH_APPLICATION_SECRET: canary.applicationSecret,
            OVH_CONSUMER_KEY: canary.consumerKey,
            OVH_CLOUD_PROJECT_SERVICE: projectId,
            OVH_AI_DEPLOY_POLL_MS: "3",
            OVH_AI_DEPLOY_REQUESTS_PER_MINUTE: "1000000",
            OVH_AI_DEPLOY_REQUEST_TIMEOUT_MS: "10000",
        },
        script: (next) => (script = next),
        async close() {
            await api.close();
            await new Promise((resolve) => replicas.close(resolve));
            replicas.closeAllConnections();
            rmSync(folder, { recursive: true, force: true });
        },
    };
}
