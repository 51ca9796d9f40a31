import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startOvhCloud, type OvhCloud, type OvhCloudOptions } from "../../../sandbox/ovhcloud/server";
import type { AppStatus } from "../../../sandbox/ovhcloud/status";

/** An emulated OVHcloud of a test's own, in a temporary folder, with apps but without clusters. */
export interface TestCloud {
    cloud: OvhCloud;
    lines: string[];
    /** A call below the project; throws on anything but a success. */
    api(method: string, path: string, body?: object): Promise<any>;
    /** A control under `/sandbox/`. */
    control(method: string, path: string, body?: object): Promise<{ status: number; body: any }>;
    app(id: string): AppStatus;
    /** Waits until the app satisfies the condition, and returns it as it is then. */
    until(id: string, what: string, holds: (app: AppStatus) => boolean): Promise<AppStatus>;
    /** A request to an app's address. */
    ask(app: AppStatus, path: string, options?: AskOptions): Promise<Answer>;
    close(): Promise<void>;
}

export interface AskOptions {
    method?: string;
    token?: string;
    body?: object;
    headers?: Record<string, string>;
    signal?: AbortSignal;
}

export interface Answer {
    status: number;
    headers: Record<string, string | string[] | undefined>;
    body: string;
}

export const projectId = "0123456789abcdef0123456789abcdef";
export const accessToken = "made-up-access-token";

export async function startTestCloud(options: Partial<OvhCloudOptions> = {}): Promise<TestCloud> {
    const stateDir = options.stateDir ?? mkdtempSync(join(tmpdir(), "cloud-"));
    const lines: string[] = [];
    const none = (): never => {
        throw new Error("this cloud has no clusters");
    };
    const cloud = await startOvhCloud({
        stateDir,
        speed: 1000,
        credentials: { applicationKey: "ak", applicationSecret: "as", consumerKey: "ck", accessToken },
        projectId,
        mks: { create: none, resume: none, delete: none, kubeconfig: none, resetKubeconfig: none, scale: none },
        log: (line) => lines.push(line),
        // More than any test of something else uses.
        gpuQuota: 16,
        ...options,
    });
    const base = cloud.url.replace(/\/v1$/, "");
    const app = (id: string): AppStatus => {
        const found = cloud.status().apps.find((one) => one.id === id);
        if (!found) throw new Error(`app ${id} does not exist`);
        return found;
    };
    return {
        cloud,
        lines,
        app,
        async api(method, path, body) {
            const answer = await fetch(`${cloud.url}/cloud/project/${projectId}${path}`, {
                method,
                headers: { authorization: `Bearer ${accessToken}`, "content-type": "application/json" },
                body: body && JSON.stringify(body),
            });
            const text = await answer.text();
            if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
            return JSON.parse(text);
        },
        async control(method, path, body) {
            const answer = await fetch(`${base}/sandbox/${path}`, { method, body: body && JSON.stringify(body) });
            return { status: answer.status, body: await answer.json() };
        },
        async until(id, what, holds) {
            const end = performance.now() + 50_000;
            for (;;) {
                const now = app(id);
                if (holds(now)) return now;
                if (performance.now() > end) {
                    throw new Error(`app ${id} never was "${what}": ${JSON.stringify(now, null, 2)}`);
                }
                await sleep(5);
            }
        },
        ask: (target, path, asked = {}) => ask(target.url + path, readFileSync(cloud.caFile), asked),
        async close() {
            await cloud.close();
            if (!options.stateDir) rmSync(stateDir, { recursive: true, force: true });
        },
    };
}

/** A request over a connection of its own; rejects when the connection is cut. */
function ask(url: string, ca: Buffer, { method, token, body, headers, signal }: AskOptions): Promise<Answer> {
    return new Promise((resolve, reject) => {
        const call = request(
            url,
            {
                ca,
                agent: false,
                signal,
                method: method ?? (body ? "POST" : "GET"),
                headers: {
                    ...(body ? { "content-type": "application/json" } : {}),
                    ...(token ? { authorization: `Bearer ${token}` } : {}),
                    ...headers,
                },
            },
            (answer) => {
                let text = "";
                answer.setEncoding("utf8").on("data", (part: string) => (text += part));
                answer.on("end", () =>
                    resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }),
                );
                answer.on("error", reject);
            },
        );
        call.on("error", reject);
        call.end(body && JSON.stringify(body));
    });
}

/** The body that creates an app of one model; fields of `more` take the place of these. */
export function appBody(more: Record<string, unknown> = {}): object {
    return {
        name: "test-app",
        region: "GRA",
        image: "vllm/vllm-openai:v0.13.0",
        command: ["vllm", "serve", "Qwen/Qwen3-14B", "--enable-auto-tool-choice", "--tool-call-parser", "hermes"],
        defaultHttpPort: 8000,
        resources: { flavor: "h100-1-gpu", gpu: 1 },
        labels: { group: "tests" },
        probe: { path: "/v1/models", port: 8000 },
        ...more,
    };
}

/** The autoscaling of the guide, with other figures. */
export function scaling(more: Record<string, unknown> = {}, metric: Record<string, unknown> = {}): object {
    return {
        automatic: {
            replicasMin: 1,
            replicasMax: 3,
            customMetrics: {
                apiUrl: "http://<SELF>:8000/metrics",
                format: "PROMETHEUS",
                valueLocation: "vllm:num_requests_running",
                targetValue: 50,
                aggregationType: "AVERAGE",
                ...metric,
            },
            ...more,
        },
    };
}
