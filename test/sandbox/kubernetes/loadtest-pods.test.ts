import { BatchV1Api, CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { LoadtestPods } from "../../../sandbox/kubernetes/loadtest-pods";
import { sandboxProcesses } from "../../../sandbox/processes";
import { loadConfig } from "../../../tools/loadtest/config";
import { JobRunner, type ClusterPlace } from "../../../tools/loadtest/in-cluster/job-runner";
import { loadtestApp } from "../../../tools/loadtest/in-cluster/manifests";
import { outputOfFiles } from "../../../tools/loadtest/in-cluster/pod-output";
import { LoadRun } from "../../../tools/loadtest/run";
import { controlPlanes, eventually, type ControlPlanes } from "./control-plane";

/** Load tests whose pods run as the sandbox runs them, on a real control plane. */

const id = "c1a5c1a5-0000-4000-8000-000000000002";
const token = "made-up-token";
const namespace = "default";
let planes: ControlPlanes;
let kubernetes: KubeConfig;
let core: CoreV1Api;
let batch: BatchV1Api;
let pods: LoadtestPods;
let stopLooking: () => void;
let server: Server;
let baseUrl: string;
let asked: string[] = [];
let answerMs = 20;

beforeAll(async () => {
    planes = await controlPlanes();
    await planes.mks.create(id, { name: "test", version: "1.34" });
    await planes.mks.scale(id, { id: "pool-1", name: "monitoring", flavor: "b2-15", nodes: 2 });
    kubernetes = new KubeConfig();
    kubernetes.loadFromString(await planes.mks.kubeconfig(id));
    core = kubernetes.makeApiClient(CoreV1Api);
    batch = kubernetes.makeApiClient(BatchV1Api);
    pods = new LoadtestPods(kubernetes, { dir: folder(), caFile: "/etc/ssl/certs/ca-certificates.crt" });
    stopLooking = planes.keepLooking(() => pods.look());
    server = createServer((request, response) => {
        request.resume().on("end", () => {
            asked.push(request.headers.authorization ?? "");
            setTimeout(() => {
                const piece = { choices: [{ delta: { content: "answer" } }] };
                const usage = { choices: [], usage: { prompt_tokens: 9, completion_tokens: 4 } };
                response.writeHead(200, { "content-type": "text/event-stream" });
                response.end(`data: ${JSON.stringify(piece)}\n\ndata: ${JSON.stringify(usage)}\n\ndata: [DONE]\n\n`);
            }, answerMs);
        });
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    baseUrl = `http://127.0.0.1:${(server.address() as { port: number }).port}/v1`;
});
afterAll(async () => {
    stopLooking();
    await pods.stop();
    await planes.close();
    server.closeAllConnections();
    server.close();
});
beforeEach(() => {
    asked = [];
    answerMs = 20;
});
afterEach(() => eventually(async () => (await leftOver()).length === 0));

const folder = (): string => join(planes.dir, "loadtest");

function place(count: number, more: Partial<ClusterPlace> = {}): ClusterPlace {
    const output: ClusterPlace["output"] = (ended) => outputOfFiles(folder(), ended);
    return { kubernetes, namespace, pods: count, output, log: (line) => planes.log.push(line), ...more };
}

function runOf(given: Parameters<typeof loadConfig>[0], where: ClusterPlace): LoadRun {
    const endpoint = { baseUrl, token };
    return new LoadRun(loadConfig(given), "m", endpoint, (task, events) => new JobRunner(task, events, where));
}

/** All that a load test has made, as kind and JSON. */
async function leftOver(): Promise<string[]> {
    const at = { namespace, labelSelector: `app=${loadtestApp}` };
    const lists = await Promise.all([
        batch.listNamespacedJob(at),
        core.listNamespacedPod(at),
        core.listNamespacedSecret(at),
        core.listNamespacedConfigMap(at),
        core.listNamespacedService(at),
    ]);
    const kinds = ["Job", "Pod", "Secret", "ConfigMap", "Service"];
    return lists.flatMap(({ items }, i) => items.map((item) => `${kinds[i]} ${JSON.stringify(item)}`));
}

/** The processes of the pods. */
const processes = (): number[] => sandboxProcesses(folder());

describe.sequential("a load test in the cluster", () => {
    it("sends all there is to send once, each pod its share, and removes everything", async () => {
        const run = runOf({ workers: 6, requests: 5, ramp: 0 }, place(3));
        await run.run();
        expect(run.stopped).toBeUndefined();
        expect(asked).toEqual(Array.from({ length: 30 }, () => `Bearer ${token}`));
        const outcomes = [...run.results.outcomes];
        const each = outcomes.map(({ worker }) => worker).sort();
        expect(each).toEqual([0, 1, 2, 3, 4, 5].flatMap((worker) => [worker, worker, worker, worker, worker]));
        expect(outcomes.filter(({ failure, outputTokens }) => failure || outputTokens !== 4)).toEqual([]);
        expect(run.results.gapsWhere(() => true).length).toBe(30 * 3);
        expect(run.self.processes).toBe(3);
        expect(run.now()).toBeGreaterThanOrEqual(Math.max(...outcomes.map(({ end }) => end)));
        const secrets = await core.listNamespacedSecret({ namespace, labelSelector: `app=${loadtestApp}` });
        expect(secrets.items).toEqual([]);
    });

    it("has the token in the Secret alone, and keeps what it has when it is stopped", async () => {
        const run = runOf({ workers: 4, duration: 600, ramp: 0 }, place(2));
        const done = run.run();
        await eventually(async () => run.results.outcomes.length > 10);
        const holders = (await leftOver()).filter((text) =>
            [token, Buffer.from(token).toString("base64").slice(0, 12)].some((one) => text.includes(one)),
        );
        expect(holders.filter((text) => !text.startsWith("Secret"))).toEqual([]);
        run.stop("interrupted by Ctrl-C");
        await done;
        expect(run.stopped).toBe("interrupted by Ctrl-C");
        // Of each worker's last one the server need not have heard yet.
        const begun = run.results.outcomes.length + run.results.cancelled;
        expect(begun).toBeGreaterThanOrEqual(asked.length);
        expect(begun).toBeLessThanOrEqual(asked.length + 4);
        expect(run.results.cancelled).toBeGreaterThan(0);
    });

    it("ends when a pod fails, says which and why, and keeps what was measured", async () => {
        const run = runOf({ workers: 4, duration: 600, ramp: 0 }, place(2));
        const done = run.run();
        await eventually(async () => run.results.outcomes.length > 10);
        process.kill(processes()[0], "SIGKILL");
        await done;
        expect(run.stopped).toMatch(/^pod vllm-loadtest-\w+-\d-\w+ ended before its load did, Error, exit code 137/);
        expect(run.results.outcomes.length).toBeGreaterThan(10);
    });

    it("does not begin when a pod never starts, and says why", async () => {
        const failed = runOf({ workers: 20, requests: 1 }, place(20, { startSeconds: 3 })).run();
        await expect(failed).rejects.toThrow(/\d+ of 20 pods run after 3 s \(.*Insufficient cpu.*\): .*--in-cluster/);
        expect(asked).toEqual([]);
    });

    it("ends by itself when its client was killed; until then no other begins", async () => {
        const events = { outcome: () => undefined, cancelled: () => undefined, gaps: () => undefined };
        const config = loadConfig({ workers: 2, duration: 600, ramp: 0 });
        const task = { config, model: "m", endpoint: { baseUrl, token } };
        await new JobRunner(task, events, place(2)).prepare(); // and nobody asks any further
        const [job] = (await batch.listNamespacedJob({ namespace })).items;
        const { name } = job.metadata as { name: string };
        await expect(runOf({ workers: 1, requests: 1 }, place(1)).run()).rejects.toThrow(
            `a load test runs in the cluster already, Job ${name}`,
        );
        // In place of the minutes that it takes.
        const soon = (path: string) => ({ op: "replace", path: `/spec/${path}`, value: 1 });
        const body = [soon("activeDeadlineSeconds"), soon("ttlSecondsAfterFinished")];
        await batch.patchNamespacedJob({ name, namespace, body });
        await eventually(async () => (await leftOver()).length === 0);
        await eventually(async () => processes().length === 0);
    });
});
