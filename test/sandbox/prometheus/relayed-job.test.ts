import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { stringify } from "yaml";
import { startChild, type Child } from "../../../sandbox/prometheus/child";
import { startRelay } from "../../../sandbox/prometheus/relay";
import { ensureToolchain } from "../../../sandbox/toolchain/toolchain";
import { relayFiles } from "../../../src/monitoring/relay/manifests";
import { probeJob, relayedJob, relayJob } from "../../../src/monitoring/scrape-jobs";
import { loadBalancer, SimulatedReplica, type LoadBalancer } from "../../monitoring/relay/load-balancer";
import { renderedJob } from "../../monitoring/rendered-job";

// What a real Prometheus makes of the relay's pages: times of samples, and series that end.
const folder = mkdtempSync(join(tmpdir(), "relayed-job-"));
const replicas = [1, 2, 3].map((n) => {
    const replica = new SimulatedReplica({ startTime: 1764000000 + n });
    replica.work(1000 * n, 10 * n);
    return replica;
});
const running: Child[] = [];
let balancer: LoadBalancer;
let prometheus: string;

beforeAll(async () => {
    const { bin } = await ensureToolchain({ log: console.log });
    balancer = await loadBalancer({ strategy: "round robin", replicas });
    const files = relayFiles({ url: balancer.url, interval: 1, replicas: { min: 1, max: 3 } });
    const relay = await startRelay({
        dir: join(folder, "relay"),
        mounted: { files, secrets: { token: "a-token" } },
        caFile: "/dev/null",
    });
    running.push(relay);
    const times = { interval: "1s", timeout: "1s" };
    const args = { model: "m", url: balancer.url, labels: { model: "m" }, ...times };
    const jobs = [relayedJob(args, relay.address), probeJob(args), relayJob(args, relay.address)].map((job) =>
        renderedJob(job.jobName, job, "a-token"),
    );
    writeFileSync(join(folder, "prometheus.yaml"), stringify({ scrape_configs: jobs }));
    const logFile = join(folder, "prometheus.log");
    running.push(
        await startChild({
            program: bin.prometheus,
            args: [
                `--config.file=${folder}/prometheus.yaml`,
                `--storage.tsdb.path=${folder}/data`,
                "--web.listen-address=127.0.0.1:0",
            ],
            logFile,
        }),
    );
    const address = await vi.waitFor(() => {
        const found = /msg="Listening on".* address=(\S+)/.exec(readFileSync(logFile, "utf8"));
        expect(found).not.toBeNull();
        return found![1];
    }, 60_000);
    prometheus = `http://${address}`;
});
afterAll(async () => {
    await Promise.all(running.map((child) => child.stop()));
    await balancer.close();
    rmSync(folder, { recursive: true });
});

interface Result {
    metric: Record<string, string>;
    value: [number, string];
}

async function query(expression: string): Promise<Result[]> {
    const parameters = new URLSearchParams({ query: expression });
    const answer = await fetch(`${prometheus}/api/v1/query?${parameters.toString()}`);
    return ((await answer.json()) as { data: { result: Result[] } }).data.result;
}

/** Values of an expression, as soon as they are the expected ones. */
const eventually = (expression: string, expected: number[]): Promise<void> =>
    vi.waitFor(
        async () => expect((await query(expression)).map(({ value }) => Number(value[1])).sort()).toEqual(expected),
        { timeout: 60_000, interval: 200 },
    );

const runningRequests = 'sum by (model) (vllm:num_requests_running{job="vllm-m"})';

describe("Prometheus, of an app with three replicas", () => {
    it("holds each of them under its name, as series of the app", async () => {
        await eventually(runningRequests, [60]);
        await eventually('sum(vllm:generation_tokens_total{job="vllm-m"})', [6000]);
        const [{ metric }] = await query('vllm:num_requests_running{job="vllm-m"} == 10');
        expect(metric).toMatchObject({
            instance: new URL(balancer.url).host,
            model: "m",
            engine: "0",
            replica: expect.stringMatching(/^[0-9a-f]{8}$/),
        });
    });

    it("counts none of them twice: of the public address it keeps whether it answers", async () => {
        await eventually('up{job="vllm-m-direct"}', [1]);
        await eventually('scrape_samples_post_metric_relabeling{job="vllm-m-direct"}', [0]);
        await eventually("sum(vllm:num_requests_running)", [60]);
    });

    it("ends the series of one that is gone, instead of holding them for five minutes", async () => {
        balancer.replicas = replicas.slice(0, 2);
        await eventually(runningRequests, [30]);
        balancer.replicas = replicas;
        await eventually(runningRequests, [60]);
    });

    it("knows when the app does not answer, and shows no old number", async () => {
        balancer.replicas = [];
        await eventually('up{job="vllm-m"}', [0]);
        await eventually(runningRequests, []);
        await eventually('vllm_relay_failures_total{job="replica-relay",model="m",kind="status"} > bool 0', [1]);
        balancer.replicas = replicas;
        await eventually('up{job="vllm-m"}', [1]);
        await eventually(runningRequests, [60]);
    });

    it("took every sample: none was out of order, nor another one of the same time", () => {
        const log = readFileSync(join(folder, "prometheus.log"), "utf8");
        expect(log).not.toMatch(/out-of-order|different value but same timestamp|too old or are too far/);
    });
});
