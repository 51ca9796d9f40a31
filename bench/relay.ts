/**
 * `npm run bench -- relay [--json FILE] [--replicas 1,3,10] [--balancing random,...] [--seconds 120]`
 *
 * What Prometheus makes of an app with several replicas, scraped directly as the guide does and through the relay, against
 * each replica scraped by itself: same Prometheus, same time, same windows. Replicas and balancer are simulated; relay
 * (the file as it is deployed, in a process of its own) and Prometheus are real.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { stringify } from "yaml";
import { makeCertificates } from "../sandbox/ovhcloud/certificates";
import { ensureToolchain } from "../sandbox/toolchain/toolchain";
import { vllmMetrics } from "../src/vllm/metrics";
import { relayScript } from "../src/monitoring/relay/manifests";
import type { RelayConfig } from "../src/monitoring/relay/relay";
import { jobName, probeJob, relayedJob, relayJob, scrapeJob } from "../src/monitoring/scrape-jobs";
import {
    loadBalancer,
    SimulatedReplica,
    strategies,
    type LoadBalancer,
    type Strategy,
} from "../test/monitoring/relay/load-balancer";
import { renderedJob } from "../test/monitoring/rendered-job";

const interval = 5;
const window = 60;
const token = "a-token";
const { generationTokens, numRequestsRunning, timeToFirstToken } = vllmMetrics;

/** What is compared, as PromQL over the series of one job. */
const metrics: Record<string, (job: string) => string> = {
    "sum(rate(generation_tokens_total))": (job) => `sum(rate(${generationTokens.name}{job="${job}"}[${window}s]))`,
    "sum(num_requests_running)": (job) => `sum(${numRequestsRunning.name}{job="${job}"})`,
    "p95 TTFT": (job) =>
        `histogram_quantile(0.95, sum by (le) (rate(${timeToFirstToken.name}_bucket{job="${job}"}[${window}s])))`,
};

/** One row: means over the time of measuring, in the metric's unit (tokens/s, requests, seconds). */
interface Row {
    replicas: number;
    balancing: Strategy;
    metric: string;
    truth: number;
    direct: number;
    relay: number;
    /** Error of the mean against `truth`, as a share of it. */
    directError: number;
    relayError: number;
    /** Of the relay, for each scrape. */
    requestsPerScrape: number;
    /** Of the relay's process. */
    relayMemoryMiB: number;
}

interface Case {
    name: string;
    replicas: SimulatedReplica[];
    balancing: Strategy;
    balancer: LoadBalancer;
}

async function main(): Promise<void> {
    const { values } = parseArgs({
        options: {
            json: { type: "string" },
            replicas: { type: "string", default: "1,3,10" },
            balancing: { type: "string", default: "random,round robin,least connections" },
            seconds: { type: "string", default: "120" },
        },
    });
    const unknown = values.balancing.split(",").find((name) => !(strategies as readonly string[]).includes(name));
    if (unknown) throw new Error(`no balancing "${unknown}": there are ${strategies.join(", ")}`);
    const { bin } = await ensureToolchain({ log: (line) => console.error(line) });
    const dir = mkdtempSync(join(tmpdir(), "bench-relay-"));
    const children: ChildProcess[] = [];
    const cases: Case[] = [];
    const closing: (() => unknown)[] = [];
    try {
        const certificates = await makeCertificates();
        writeFileSync(join(dir, "ca.pem"), certificates.ca);
        writeFileSync(join(dir, "token"), token);
        for (const balancing of values.balancing.split(",") as Strategy[]) {
            for (const count of values.replicas.split(",").map(Number)) {
                const replicas = makeReplicas(count);
                const balancer = await loadBalancer({ strategy: balancing, replicas, token, tls: certificates });
                closing.push(() => balancer.close());
                cases.push({ name: `${balancing.replace(/ /g, "-")}-${count}`, replicas, balancing, balancer });
            }
        }
        const work = setInterval(() => cases.forEach(({ replicas }) => replicas.forEach(step)), stepMs);
        closing.push(() => clearInterval(work));
        const truth = createServer((request, response) => {
            const [, name, index] = request.url!.split("/");
            cases.find((one) => one.name === name)!.replicas[Number(index)].answer(response);
        });
        await new Promise<void>((resolve) => truth.listen(0, "127.0.0.1", resolve));
        closing.push(() => (truth.closeAllConnections(), truth.close()));

        const relays: Record<string, string> = {};
        for (const one of cases) relays[one.name] = await startRelay(dir, one, children);
        const prometheus = await startPrometheus(
            bin.prometheus,
            dir,
            cases,
            relays,
            truth.address() as AddressInfo,
            children,
        );
        const seconds = Number(values.seconds);
        console.error(`${window + 2 * interval} s until the windows are full, then ${seconds} s of measuring`);
        await sleep((window + 2 * interval + seconds) * 1000);

        const end = Date.now() / 1000 - interval;
        const mean = async (expression: string): Promise<number> => {
            const query = { query: expression, start: String(end - seconds), end: String(end), step: String(interval) };
            const answer = await fetch(`${prometheus}/api/v1/query_range?${new URLSearchParams(query).toString()}`);
            const { data } = (await answer.json()) as { data: { result: { values: [number, string][] }[] } };
            const points = data.result.flatMap((series) => series.values).map(([, value]) => Number(value));
            // A scrape may time out on a machine that is busy with other things, but not many.
            const expected = Math.floor(seconds / interval);
            if (points.length < 0.9 * expected) {
                throw new Error(
                    `only ${points.length} of ${expected} points of ${expression}: is the machine overloaded?`,
                );
            }
            return points.reduce((sum, value) => sum + value, 0) / points.length;
        };
        const rows: Row[] = [];
        for (const { name, replicas, balancing } of cases) {
            const perScrape = `sum(increase(vllm_relay_requests_total{model="${name}"}[${window}s])) / sum(increase(vllm_relay_rounds_total{model="${name}"}[${window}s]))`;
            const requestsPerScrape = await mean(perScrape);
            const own = `process_resident_memory_bytes{job="replica-relay",model="${name}"}`;
            const memory = (await mean(own)) / 1024 ** 2;
            for (const [metric, query] of Object.entries(metrics)) {
                const [right, direct, relayed] = [
                    await mean(query(`truth-${name}`)),
                    await mean(query(`direct-${name}`)),
                    await mean(query(`vllm-${name}`)),
                ];
                rows.push({
                    replicas: replicas.length,
                    balancing,
                    metric,
                    truth: right,
                    direct,
                    relay: relayed,
                    directError: Math.abs(direct - right) / right,
                    relayError: Math.abs(relayed - right) / right,
                    requestsPerScrape,
                    relayMemoryMiB: memory,
                });
            }
        }
        if (values.json) writeFileSync(values.json, JSON.stringify(rows, undefined, 2) + "\n");
        report(rows);
    } finally {
        for (const close of closing) await close();
        await Promise.all(children.map(stop));
        rmSync(dir, { recursive: true, force: true });
    }
}

const stepMs = 200;

function makeReplicas(count: number): SimulatedReplica[] {
    const started = Math.floor(Date.now() / 1000) - 86400;
    return Array.from({ length: count }, (_, index) => {
        const replica = new SimulatedReplica({ startTime: started + index });
        // They have been at it for different times, so that their counters are far apart.
        replica.metrics.engine!.generationTokens.add(5_000_000 * (index + 1));
        return replica;
    });
}

/** Replicas of one app, unequally busy: some 900 tokens/s and 20 requests each, in waves of a minute. */
function step(replica: SimulatedReplica, index: number): void {
    const load = (1 + (index % 3) / 4) * (1 + 0.3 * Math.sin((2 * Math.PI * Date.now()) / 60_000 + index));
    replica.work((900 * load * (0.7 + 0.6 * Math.random()) * stepMs) / 1000, Math.round(20 * load));
    for (let i = 0; i < 4; i++) {
        // Mostly about 80 ms, longer the busier the replica is, with a long tail.
        const normal = Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
        replica.metrics.engine!.timeToFirstToken.observe(0.08 * load * load * Math.exp(0.6 * normal));
    }
}

async function startRelay(dir: string, { name, replicas, balancer }: Case, children: ChildProcess[]): Promise<string> {
    const max = Math.max(3, replicas.length);
    const config: RelayConfig = { url: balancer.url, interval, replicas: { min: 1, max } };
    writeFileSync(join(dir, "relay.cjs"), relayScript());
    writeFileSync(join(dir, `${name}.json`), JSON.stringify(config));
    const args = [`--config=${dir}/${name}.json`, `--token-file=${dir}/token`, "--listen=127.0.0.1:0"];
    const child = spawn(process.execPath, ["--max-old-space-size=96", join(dir, "relay.cjs"), ...args], {
        env: { NODE_EXTRA_CA_CERTS: join(dir, "ca.pem") },
        stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(child);
    for await (const line of createInterface({ input: child.stdout })) {
        const address = /listening on (\S+)/.exec(line)?.[1];
        if (!address) continue;
        child.stdout.resume();
        return address;
    }
    throw new Error("the relay ended before it listened");
}

async function startPrometheus(
    program: string,
    dir: string,
    cases: Case[],
    relays: Record<string, string>,
    truth: AddressInfo,
    children: ChildProcess[],
): Promise<string> {
    const times = { interval: `${interval}s`, timeout: `${interval - 1}s` };
    const jobs = cases.flatMap(({ name, replicas, balancer }) => {
        const args = { model: name, url: balancer.url, labels: { service: "vllm" }, ...times };
        const scraped = {
            [`direct-${name}`]: { ...scrapeJob(args), jobName: `direct-${name}` },
            [`probe-${name}`]: probeJob(args),
            [jobName(name)]: relayedJob(args, relays[name]),
            [`relay-${name}`]: relayJob(args, relays[name]),
        };
        return [
            {
                job_name: `truth-${name}`,
                metrics_path: "/",
                scrape_interval: times.interval,
                scrape_timeout: times.timeout,
                static_configs: replicas.map((_, index) => ({
                    targets: [`127.0.0.1:${truth.port}`],
                    labels: { __metrics_path__: `/${name}/${index}`, instance: String(index) },
                })),
            },
            ...Object.entries(scraped).map(([object, job]) => renderedJob(object, job, token)),
        ];
    });
    writeFileSync(join(dir, "prometheus.yaml"), stringify({ scrape_configs: jobs }));
    const child = spawn(
        program,
        [
            `--config.file=${dir}/prometheus.yaml`,
            `--storage.tsdb.path=${dir}/data`,
            "--web.listen-address=127.0.0.1:0",
            "--log.level=info",
        ],
        { env: { SSL_CERT_FILE: join(dir, "ca.pem") }, stdio: ["ignore", "ignore", "pipe"] },
    );
    children.push(child);
    let said = "";
    for await (const line of createInterface({ input: child.stderr })) {
        said = line;
        const address = /msg="Listening on".* address=(\S+)/.exec(line)?.[1];
        if (!address) continue;
        child.stderr.resume();
        return `http://${address}`;
    }
    throw new Error(`Prometheus ended before it listened: ${said}`);
}

function stop(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
        child.once("exit", () => resolve());
        child.kill();
    });
}

function report(rows: Row[]): void {
    const number = (value: number): string => value.toPrecision(4).replace(/e\+?/, "e");
    const percent = (value: number): string => `${(100 * value).toFixed(value < 1 ? 2 : 0)} %`;
    const table = rows.map((row) => ({
        replicas: row.replicas,
        balancing: row.balancing,
        metric: row.metric,
        truth: number(row.truth),
        direct: number(row.direct),
        relay: number(row.relay),
        "direct is off by": percent(row.directError),
        "relay is off by": percent(row.relayError),
        "requests per scrape": row.requestsPerScrape.toFixed(1),
    }));
    console.table(table);
    const worst = Math.max(...rows.map(({ relayError }) => relayError));
    const memory = Math.max(...rows.map(({ relayMemoryMiB }) => relayMemoryMiB));
    console.log(`relay: off by ${percent(worst)} at most (goal 2 %), ${memory.toFixed(0)} MiB`);
}

main().catch((error: Error) => {
    console.error(`bench relay: ${error.message}`);
    process.exitCode = 1;
});
