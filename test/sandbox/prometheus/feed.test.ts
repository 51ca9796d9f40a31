import { AppsV1Api, CoreV1Api, CustomObjectsApi, KubeConfig, setHeaderOptions } from "@kubernetes/client-node";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { endProcesses, sandboxProcesses } from "../../../sandbox/processes";
import { startMonitoringFeed, type MonitoringFeed, type MonitoringFeedOptions } from "../../../sandbox/prometheus/feed";
import { openReverseProxy, type ReverseProxy } from "../../../sandbox/prometheus/reverse-proxy";
import { alertmanagerConfig, receiverSecrets, receiversSecretName } from "../../../src/monitoring/alertmanager";
import {
    relayDeployment,
    relayFiles,
    relayLabels,
    relayName,
    relayPort,
} from "../../../src/monitoring/relay/manifests";
import { relayedJob, scrapeJob, tokenKey, tokenSecretName, type ScrapeJob } from "../../../src/monitoring/scrape-jobs";
import { defaultAlerting } from "../../../src/settings/defaults";
import { alertingSchema } from "../../../src/settings/schema";
import { prometheusOperatorCrds } from "../../../sandbox/toolchain/toolchain";
import { controlPlanes, eventually, type ControlPlanes } from "../kubernetes/control-plane";

// A chart's objects by hand: the operator's kinds, a Prometheus with one job of our own, a rule.
const id = "feed0000-0000-4000-8000-000000000001";
const namespace = "monitoring";
const group = "monitoring.coreos.com";

let planes: ControlPlanes;
let config: KubeConfig;
let core: CoreV1Api;
let feed: MonitoringFeed;
let proxies: MonitoringFeedOptions["proxies"];
const dir = mkdtempSync(join(tmpdir(), "feed-test-"));
let accepted = "first-token";
const page = "vllm:num_requests_running 7\nprocess_start_time_seconds 1\n";
const target = createServer((request, answer) => {
    const ok = request.headers.authorization === `Bearer ${accepted}`;
    answer.writeHead(ok ? 200 : 401, { "content-type": "text/plain" }).end(ok ? page : "");
});

beforeAll(async () => {
    // A person's own cluster, which nothing here is to touch.
    process.env.KUBECONFIG = "/made/up/kubeconfig";
    planes = await controlPlanes();
    await planes.mks.create(id, { name: "test", version: "1.34" });
    await planes.mks.scale(id, { id: "pool", name: "monitoring", flavor: "b2-15", nodes: 1 });
    const kubeconfig = join(dir, "kubeconfig");
    writeFileSync(kubeconfig, await planes.mks.kubeconfig(id));
    config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    core = config.makeApiClient(CoreV1Api);
    await new Promise<void>((resolve) => target.listen(0, "127.0.0.1", resolve));
    const proxy = (name: string): Promise<ReverseProxy> => openReverseProxy({ name, port: 0, log: () => undefined });
    proxies = { prometheus: await proxy("Prometheus"), alertmanager: await proxy("Alertmanager") };
    feed = await startMonitoringFeed({
        dir,
        loadtestDir: `${dir}/loadtest`,
        kubeconfig,
        bin: {
            prometheus: planes.bin.prometheus,
            prometheusOperator: planes.bin["prometheus-operator"],
            alertmanager: planes.bin.alertmanager,
        },
        proxies,
        grafana: { port: 0 },
        caFile: "/etc/ssl/certs/ca-certificates.crt",
        log: (line) => planes.log.push(line),
    });
});
afterAll(async () => {
    await feed?.close();
    await Promise.all([proxies?.prometheus.close(), proxies?.alertmanager.close()]);
    target.close();
    await planes.close();
    await endProcesses(sandboxProcesses(dir), 10);
    rmSync(dir, { recursive: true, force: true });
});

async function ask<T>(path: string): Promise<T> {
    const answer = await fetch(`${feed.url}/api/v1/${path}`);
    return ((await answer.json()) as { data: T }).data;
}

async function valueOf(query: string): Promise<string | undefined> {
    const { result } = await ask<{ result: { value: [number, string] }[] }>(`query?query=${encodeURIComponent(query)}`);
    return result[0]?.value[1];
}

const targetUrl = () => `http://127.0.0.1:${(target.address() as AddressInfo).port}`;
const jobArgs = (model: string, interval: string) => ({ model, url: targetUrl(), labels: {}, interval, timeout: "1s" });

/** Makes an object of a kind of the operator's, as soon as the cluster knows the kind. */
function create(version: string, plural: string, kind: string, name: string, spec: object): Promise<unknown> {
    const custom = config.makeApiClient(CustomObjectsApi);
    return eventually(() =>
        custom.createNamespacedCustomObject({
            ...{ group, version, namespace, plural },
            body: { apiVersion: `${group}/${version}`, kind, metadata: { name }, spec },
        }),
    );
}

const createJob = (name: string, job: ScrapeJob) => create("v1alpha1", "scrapeconfigs", "ScrapeConfig", name, job);

async function replaceSecret(name: string, stringData: Record<string, string>): Promise<void> {
    await core.deleteNamespacedSecret({ name, namespace });
    await core.createNamespacedSecret({ namespace, body: { metadata: { name }, stringData } });
}

describe.sequential("the monitoring of a cluster of the sandbox", () => {
    it("waits without a word while there is no Prometheus in the cluster", async () => {
        await new Promise((resolve) => setTimeout(resolve, 2500));
        expect(sandboxProcesses(dir)).toEqual([]);
        expect(planes.log.filter((line) => line.startsWith("monitoring feed"))).toEqual([]);
    });

    it("runs what the cluster says, with the token of the Secret", async () => {
        const crds = ["create", "--kubeconfig", join(dir, "kubeconfig"), "-f", prometheusOperatorCrds(planes.bin)];
        execFileSync(planes.bin.kubectl, crds);
        await core.createNamespace({ body: { metadata: { name: namespace } } });
        const secret = (name: string, stringData: Record<string, string>) =>
            core.createNamespacedSecret({ namespace, body: { metadata: { name }, stringData } });
        await secret(tokenSecretName("test"), { [tokenKey]: accepted });
        await create("v1", "prometheusrules", "PrometheusRule", "rules", {
            groups: [{ name: "test", rules: [{ record: "test:doubled", expr: "2 * vllm:num_requests_running" }] }],
        });
        await createJob("vllm-test", scrapeJob(jobArgs("test", "1s")));
        await create("v1", "prometheuses", "Prometheus", "monitoring-prometheus", {
            ...{ replicas: 1, retention: "15d", evaluationInterval: "1s", serviceAccountName: "default" },
            ...{ ruleSelector: {}, serviceMonitorSelector: {}, scrapeConfigSelector: {} },
        });
        expect(await eventually(() => valueOf('up{job="vllm-test"}'))).toBe("1");
        expect(await eventually(() => valueOf("test:doubled"))).toBe("14");
        expect((await ask<{ storageRetention: string }>("status/runtimeinfo")).storageRetention).toContain("15d");
    });

    it("takes over a new token", async () => {
        accepted = "second-token";
        await eventually(async () => (await valueOf('up{job="vllm-test"}')) === "0");
        await replaceSecret(tokenSecretName("test"), { [tokenKey]: accepted });
        await eventually(async () => (await valueOf('up{job="vllm-test"}')) === "1");
    });

    it("takes over a changed job", async () => {
        const custom = config.makeApiClient(CustomObjectsApi);
        await custom.patchNamespacedCustomObject(
            {
                ...{ group, version: "v1alpha1", namespace, plural: "scrapeconfigs", name: "vllm-test" },
                body: { spec: { scrapeInterval: "2s" } },
            },
            setHeaderOptions("Content-Type", "application/merge-patch+json"),
        );
        await eventually(async () =>
            (await ask<{ yaml: string }>("status/config")).yaml.includes("scrape_interval: 2s"),
        );
    });

    it("runs each model's replica relay from what it would mount, and finds it where the jobs name its Service", async () => {
        const apps = config.makeApiClient(AppsV1Api);
        for (const model of ["one", "two"]) {
            const name = relayName(model);
            const metadata = { name, labels: relayLabels(model) };
            await core.createNamespacedSecret({
                namespace,
                body: { metadata: { name: tokenSecretName(model) }, stringData: { [tokenKey]: accepted } },
            });
            // One that cannot start keeps nothing from the other.
            const files = relayFiles({ url: targetUrl(), interval: 1, replicas: { min: 1, max: 3 } });
            if (model === "two") files["config.json"] = "{";
            await core.createNamespacedConfigMap({ namespace, body: { metadata, data: files } });
            await apps.createNamespacedDeployment({
                namespace,
                body: { metadata, spec: relayDeployment(model, "checksum", false) },
            });
            const address = `${name}.${namespace}.svc:${relayPort}`;
            await createJob(`vllm-${model}`, relayedJob(jobArgs(model, "1s"), address));
        }
        const query = 'vllm:num_requests_running{job="vllm-one",replica!=""}';
        expect(await eventually(() => valueOf(query))).toBe("7");
        expect(planes.log.filter((line) => line.startsWith(`${relayName("two")}: `))).not.toEqual([]);
        await apps.deleteNamespacedDeployment({ name: relayName("two"), namespace });
    });

    it("runs Alertmanager from its Secrets, which tells a webhook of an alert that fires", async () => {
        const received: { alerts: { labels: Record<string, string>; status: string }[] }[] = [];
        const hook = createServer((request, answer) => {
            let body = "";
            request.on("data", (part: Buffer) => (body += part.toString()));
            request.on("end", () => {
                received.push(JSON.parse(body) as (typeof received)[number]);
                answer.end();
            });
        });
        await new Promise<void>((resolve) => hook.listen(0, "127.0.0.1", resolve));
        try {
            const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/alerts`;
            const alerting = alertingSchema.parse({
                ...defaultAlerting,
                receivers: { hook: { type: "webhook", url } },
                routes: { ...defaultAlerting.routes, page: ["hook"] },
            });
            const amConfig = alertmanagerConfig(alerting) as { route: { group_wait: string } };
            amConfig.route.group_wait = "1s";
            const secret = (name: string, stringData: Record<string, string>) =>
                core.createNamespacedSecret({ namespace, body: { metadata: { name }, stringData } });
            await secret(receiversSecretName, receiverSecrets(alerting.receivers));
            await secret("alertmanager-monitoring-alertmanager", { "alertmanager.yaml": stringify(amConfig) });
            const custom = config.makeApiClient(CustomObjectsApi);
            await custom.createNamespacedCustomObject({
                ...{ group, version: "v1", namespace, plural: "alertmanagers" },
                body: {
                    ...{
                        apiVersion: `${group}/v1`,
                        kind: "Alertmanager",
                        metadata: { name: "monitoring-alertmanager" },
                    },
                    spec: { replicas: 1, secrets: [receiversSecretName] },
                },
            });
            await custom.patchNamespacedCustomObject(
                {
                    ...{ group, version: "v1", namespace, plural: "prometheuses", name: "monitoring-prometheus" },
                    body: {
                        spec: { alerting: { alertmanagers: [{ namespace, name: "alertmanager", port: "http-web" }] } },
                    },
                },
                setHeaderOptions("Content-Type", "application/merge-patch+json"),
            );
            await custom.createNamespacedCustomObject({
                ...{ group, version: "v1", namespace, plural: "prometheusrules" },
                body: {
                    ...{ apiVersion: `${group}/v1`, kind: "PrometheusRule", metadata: { name: "alert" } },
                    spec: {
                        groups: [
                            {
                                name: "alert",
                                rules: [
                                    {
                                        alert: "VllmEndpointDown",
                                        expr: "vector(1)",
                                        labels: { severity: "page", model: "test" },
                                    },
                                ],
                            },
                        ],
                    },
                },
            });
            const told = await eventually(async () => received[0]);
            expect(told.alerts[0]).toMatchObject({
                status: "firing",
                labels: { alertname: "VllmEndpointDown", model: "test", severity: "page" },
            });
        } finally {
            hook.close();
        }
    });

    it("starts again what was killed", async () => {
        const before = sandboxProcesses(dir);
        expect(before).toHaveLength(4);
        for (const pid of before) process.kill(pid, "SIGKILL");
        const told = new Set<string>();
        const ended = (): string[] => {
            for (const { name, exit } of feed.parts()) if (exit === "SIGKILL") told.add(name);
            return [...told].sort();
        };
        const programs = ["alertmanager", "prometheus", "prometheus-operator", relayName("one")];
        await expect.poll(ended, { interval: 10, timeout: 60_000 }).toEqual(programs);
        await eventually(async () => (await valueOf('up{job="vllm-test"}')) === "1");
        await eventually(async () => sandboxProcesses(dir).length === 4);
        await eventually(async () => (await valueOf('up{job="vllm-one"}')) === "1");
        expect(sandboxProcesses(dir)).not.toEqual(before);
    });

    it("ends all programs when it is closed", async () => {
        await feed.close();
        expect(sandboxProcesses(dir)).toEqual([]);
    });
});
