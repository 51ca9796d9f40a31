import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { parse as readYaml, stringify } from "yaml";
import { createBody } from "../../../packages/ai-deploy/src/app/plan";
import type { LiveApp } from "../../../packages/ai-deploy/src/app/live";
import type { AppInputs } from "../../../packages/ai-deploy/src/app/args";
import { makeCertificates } from "../../../sandbox/ovhcloud/certificates";
import { appArgs } from "../../../src/inference/app-args";
import { alertmanagerConfig } from "../../../src/monitoring/alertmanager";
import { dashboardFiles } from "../../../src/monitoring/dashboards/files";
import { modelRules, stackRules } from "../../../src/monitoring/rules";
import type { Settings } from "../../../src/settings";
import { maxNumSeqs } from "../../../src/vllm/limits";
import type { MonitoringApi } from "../../../tools/monitoring-api";
import type { StackOutputs } from "../../../tools/stack";
import type { Finding } from "../../../tools/verify/check";
import { verifyStack } from "../../../tools/verify/verify";
import { startApiServer } from "../../managed-kubernetes/api-server";
import { recordedPage } from "../../monitoring/metrics-page";
import { parse, secretKeys, toSet } from "../../settings/config";

/** A stack on which every promise holds, made of answers in the shapes of the real ones. A test changes some, and looks. */
export interface World {
    settings: Settings;
    outputs: StackOutputs;
    /** Answers of OVHcloud's API. */
    app: LiveApp;
    tokens: { id: string; createdAt: string; updatedAt: string; spec: Record<string, string | null> }[];
    otherApps: LiveApp[];
    logs: { timestamp: string; content: string }[];
    cluster: Record<string, unknown>;
    pool: Record<string, unknown>;
    /** Why the API does not answer. */
    apiFault?: string;
    /** Lists of the API server, by the last part of their path. */
    kubernetes: Record<string, any[]>;
    scrapeToken: string;
    /** Status by path and by whether there is the right token, where it is not as it should be. */
    appAnswers: Record<string, number>;
    /** What the front door answers, with the consumer's key and without one, where it is not as it should be. */
    doorAnswers: Partial<Record<"with" | "without", { status: number; body?: string }>>;
    /** Where front doors are reached, if elsewhere. */
    frontDoors?: Record<string, string>;
    /** Bearer tokens that open the app. */
    opening: Set<string>;
    metricsPage: string;
    targets: { labels: Record<string, string>; [key: string]: unknown }[];
    rules: { name: string; type: string; health: string; lastError?: string }[];
    alertmanagers: { url: string }[];
    alerts: object[];
    alertmanagerConfig: string;
    /** Result of an expression, by a text in it; the first that fits. Others give the value 1. */
    results: [text: string, value: number | undefined][];
    seriesGone: Set<string>;
    shownOutputs: string;
    state: string;
    drift: { preview?: string; refresh?: string };
    verify(): Promise<Finding[]>;
}

const projectId = "0123456789abcdef0123456789abcdef";
const appId = "00000000-0000-4000-8000-000000000001";
const clientToken = "made-up-client-token-of-a-test";
const clientKey = "made-up-client-key-of-a-test";
const scrapeToken = "made-up-scrape-token-of-a-test";

/** Servers that the worlds of one test file share. */
export interface Servers {
    make(): World;
    close(): Promise<void>;
}

export async function startServers(): Promise<Servers> {
    let world: World;
    const { ca, certificate, key } = await makeCertificates();
    const app = createServer({ cert: certificate, key }, (request, response) => {
        const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
        const opened = token !== undefined && world.opening.has(token);
        const status = world.appAnswers[`${request.url} ${opened ? "with" : "without"}`] ?? (opened ? 200 : 401);
        const bodies: Record<string, string> = {
            "/metrics": world.metricsPage,
            "/v1/chat/completions": JSON.stringify({
                choices: [{ message: { content: "Hello." } }],
                usage: { completion_tokens: 2 },
            }),
        };
        request.resume().on("end", () => response.writeHead(status).end(bodies[request.url!] ?? "{}"));
    });
    const door = createServer({ cert: certificate, key }, (request, response) => {
        const opened = request.headers.authorization === `Bearer ${clientKey}` ? "with" : "without";
        const { status, body } = { status: opened === "with" ? 200 : 401, body: "{}", ...world.doorAnswers[opened] };
        request.resume().on("end", () => response.writeHead(status).end(body));
    });
    const [port, doorPort] = await Promise.all(
        [app, door].map(async (server) => {
            await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
            return (server.address() as AddressInfo).port;
        }),
    );
    const api = await startApiServer((_, path) => {
        const [, kind, name] = /\/v1\/(?:namespaces\/[^/]+\/)?(\w+)(?:\/([\w.-]+))?(?:\?.*)?$/.exec(path)!;
        const items = world.kubernetes[kind];
        if (items === undefined) return { status: 404, body: { message: `the test's API server has no ${kind}` } };
        if (name !== undefined) return { body: items.find(({ metadata }) => metadata.name === name) };
        const [, label, value] = /labelSelector=([\w]+)=([\w]+)/.exec(path) ?? [];
        return { body: { items: items.filter(({ metadata }) => !label || metadata.labels?.[label] === value) } };
    });
    // As OVHcloud's: opened by a certificate that ends.
    const opened = readYaml(api.kubeconfig) as { users: { user: Record<string, string> }[] };
    opened.users[0].user = {
        "client-certificate-data": Buffer.from(certificate).toString("base64"),
        "client-key-data": Buffer.from(key).toString("base64"),
    };
    const kubeconfig = stringify(opened);
    return {
        make: () => {
            const urls = { app: `https://127.0.0.1:${port}`, door: `https://127.0.0.1:${doorPort}` };
            return (world = makeWorld(urls, kubeconfig, { ca: Buffer.from(ca), certificate, key }));
        },
        async close() {
            await api.close();
            for (const server of [app, door]) {
                server.closeAllConnections();
                await new Promise((resolve) => server.close(resolve));
            }
        },
    };
}

function makeWorld(
    { app: appUrl, door: doorUrl }: { app: string; door: string },
    kubeconfig: string,
    { ca, certificate, key }: { ca: Buffer; certificate: string; key: string },
): World {
    const webhook = { type: "webhook", url: "https://hooks.example.org/made-up" };
    const routes = { page: ["oncall"], ticket: [], info: [], heartbeat: ["oncall"] };
    // Of the default one holes are known.
    const allowedSources = ["198.51.100.0/24"];
    const frontDoor = { clients: ["search"], access: "loadBalancer", allowedSources, certificate };
    const models = { ministral: { image: "vllm/vllm-openai:v0.33.0", frontDoor } };
    const alerting = { receivers: { oncall: webhook }, routes };
    const settings = parse({ models, alerting, clientKeys: { search: clientKey }, frontDoorTlsKey: key }, secretKeys);
    const model = settings.models.ministral;
    const context = {
        name: "ministral",
        projectId,
        huggingFaceToken: toSet.huggingFaceToken,
        adoptionLabel: "made-up",
    };
    const now = new Date().toISOString();
    const token = (purpose: string, id: string) => ({
        id,
        createdAt: now,
        updatedAt: now,
        spec: {
            name: `${model.appName}-${purpose}`,
            role: "ai_training_read",
            labelSelector: "ai_deploy_token=my_operator_token",
        },
    });
    const output = {
        model: model.model,
        appId,
        appUrl,
        openAiBaseUrl: `${appUrl}/v1`,
        platformMonitoringUrl: "",
        scrapeJob: "vllm-ministral",
        clientToken,
        frontDoorUrl: `${doorUrl}/v1`,
    };
    const watched = {
        ...model,
        name: "ministral",
        relayed: true,
        app: appId,
        maxNumSeqs: maxNumSeqs(model),
        frontDoor: true,
    };
    const rules = [...modelRules(watched, "docs/operations").rules, ...stackRules("docs/operations").rules];
    const target = (job: string, scrapeUrl: string) => ({
        labels: { job, ...model.scrape.labels, instance: new URL(appUrl).host },
        scrapeUrl,
        lastError: "",
        health: "up",
        scrapeInterval: "15s",
        scrapeTimeout: "10s",
    });
    const world: World = {
        settings,
        outputs: {
            ...output,
            grafanaUrl: "http://203.0.113.9/d/vllm-ministral-monitoring/x",
            grafanaPassword: "made-up-password-of-a-test",
            kubeconfig,
            models: { ministral: output },
        },
        app: {
            id: appId,
            ...(createBody(appArgs(model, context) as AppInputs) as { name: string }),
            spec: createBody(appArgs(model, context) as AppInputs) as LiveApp["spec"],
            status: {
                state: "RUNNING",
                availableReplicas: 1,
                url: appUrl,
                info: { code: "", message: "the app runs" },
            },
        },
        tokens: [
            token("client", "00000000-0000-4000-8000-00000000000a"),
            token("scrape", "00000000-0000-4000-8000-00000000000b"),
        ],
        otherApps: [],
        logs: [{ timestamp: now, content: "INFO:     Application startup complete." }],
        cluster: {
            id: "c",
            name: settings.cluster.name,
            region: "GRA11",
            status: "READY",
            version: "1.34.4-0",
            isUpToDate: true,
        },
        pool: { name: "monitoring", flavor: "b2-15", desiredNodes: 3, autoscale: false, status: "READY" },
        kubernetes: clusterObjects(allowedSources),
        scrapeToken,
        appAnswers: {},
        doorAnswers: {},
        opening: new Set([clientToken, scrapeToken]),
        metricsPage: recordedPage("0.13.0"),
        targets: [
            target("vllm-ministral", "http://vllm-relay-ministral.monitoring.svc:9400/replicas"),
            target("vllm-ministral-direct", `${appUrl}/metrics`),
        ],
        rules: rules.map((rule) => ({
            name: "alert" in rule ? rule.alert : rule.record,
            type: "alert" in rule ? "alerting" : "recording",
            health: "ok",
        })),
        alertmanagers: [{ url: "http://10.0.0.1:9093/api/v2/alerts" }],
        alerts: [{ labels: { alertname: "DeadMansSwitch" }, updatedAt: now }],
        alertmanagerConfig: stringify(alertmanagerConfig(settings.alerting)),
        results: [["alertmanager_notifications_failed_total", undefined]],
        seriesGone: new Set(),
        shownOutputs: '{"clientToken": "[secret]"}',
        state: '{"deployment": {"resources": []}}',
        drift: {},
        verify: () => verifyStack(inputOf(world, ca)),
    };
    return world;
}

function inputOf(world: World, ca: Buffer): Parameters<typeof verifyStack>[0] {
    const { settings, outputs } = world;
    return {
        settings,
        outputs,
        ca,
        api: world.apiFault ?? { projectId, client: { get: async (path) => apiAnswer(world, path) as never } },
        prometheus: prometheusOf(world),
        frontDoors: world.frontDoors,
        alertmanager: {
            where: "the test's Alertmanager",
            get: async (path) =>
                path.startsWith("/api/v2/alerts") ? world.alerts : { config: { original: world.alertmanagerConfig } },
        },
        shown: { outputs: async () => world.shownOutputs, state: async () => world.state },
        changes: { preview: async () => world.drift.preview, refresh: async () => world.drift.refresh },
    };
}

function apiAnswer(world: World, path: string): unknown {
    if (path.endsWith("/ai/token")) return world.tokens;
    if (path.endsWith("/ai/app")) return [world.app, ...world.otherApps];
    if (path.includes("/log?")) return { logs: world.logs };
    if (path.endsWith(appId)) return world.app;
    if (path.endsWith("/kube")) return ["c"];
    if (path.endsWith("/nodepool")) return [world.pool];
    if (path.endsWith("/kube/c")) return world.cluster;
    throw new Error(`the test's API has no ${path}`);
}

function prometheusOf(world: World): MonitoringApi {
    const data = (path: string): unknown => {
        const url = new URL(path, "http://prometheus");
        const query = url.searchParams.get("query") ?? "";
        if (url.pathname === "/api/v1/query") return { result: resultOf(world, query) };
        if (url.pathname === "/api/v1/targets") return { activeTargets: world.targets };
        if (url.pathname === "/api/v1/rules") return { groups: [{ rules: world.rules }] };
        if (url.pathname === "/api/v1/alertmanagers") return { activeAlertmanagers: world.alertmanagers };
        throw new Error(`the test's Prometheus has no ${path}`);
    };
    return {
        where: "the test's Prometheus",
        // Of names there are all that anybody asks about, but for those that are gone.
        get: async (path) =>
            path.startsWith("/api/v1/label/") ? { data: everyName(world) } : { status: "success", data: data(path) },
    };
}

function everyName({ seriesGone }: World): string[] {
    const dashboards = Object.values(dashboardFiles(["ministral"])).join("\n");
    const names = new Set(dashboards.match(/[a-zA-Z_][\w:]*/g));
    return [...names].filter((name) => !seriesGone.has(name));
}

function resultOf({ results, seriesGone, settings }: World, query: string): object[] {
    if ([...seriesGone].some((name) => query.includes(name))) return [];
    const [, value] = results.find(([text]) => query.includes(text)) ?? ["", 1];
    if (value === undefined) return [];
    return [
        { metric: { job: "vllm-ministral", ...settings.models.ministral.scrape.labels }, value: [0, String(value)] },
    ];
}

/** What an API server lists of a stack that is well, in part. */
function clusterObjects(allowedSources: string[]): Record<string, any[]> {
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    const release = gzipSync(
        JSON.stringify({ chart: { metadata: { name: "kube-prometheus-stack", version: "88.5.3" } } }),
    ).toString("base64");
    const ready = { status: { conditions: [{ type: "Ready", status: "True" }] } };
    const claim = (name: string, storage: string) => ({
        metadata: { name },
        spec: { storageClassName: "csi-cinder-high-speed", resources: { requests: { storage } } },
        status: { phase: "Bound", capacity: { storage } },
    });
    const workload = (name: string) => ({ metadata: { name }, spec: { replicas: 1 }, status: { readyReplicas: 1 } });
    return {
        nodes: [1, 2, 3].map((n) => ({ metadata: { name: `n${n}`, labels: {} }, ...ready })),
        secrets: [
            {
                metadata: {
                    name: "h",
                    labels: { owner: "helm", name: "monitoring", version: "1", status: "deployed" },
                },
                data: { release: base64(release) },
            },
            { metadata: { name: "vllm-auth-token" }, data: { token: base64(scrapeToken) } },
        ],
        configmaps: [
            ...Object.entries(dashboardFiles(["ministral"])).map(([file, text]) => ({
                metadata: { name: file, labels: { grafana_dashboard: "1" } },
                data: { [file]: text },
            })),
            {
                metadata: { name: "datasource", labels: { grafana_datasource: "1" } },
                data: {
                    "datasource.yaml": "datasources:\n- name: Prometheus\n  url: http://monitoring-prometheus:9090/\n",
                },
            },
        ],
        deployments: ["monitoring-grafana", "monitoring-kube-state-metrics", "vllm-relay-ministral"].map(workload),
        statefulsets: ["prometheus-monitoring-prometheus", "alertmanager-monitoring-alertmanager"].map(workload),
        daemonsets: [
            {
                metadata: { name: "monitoring-prometheus-node-exporter" },
                status: { numberReady: 3, desiredNumberScheduled: 3 },
            },
        ],
        prometheuses: [{ metadata: { name: "monitoring" }, spec: { retention: "15d", scrapeInterval: "15s" } }],
        persistentvolumeclaims: [
            claim("prometheus-monitoring-prometheus-db-prometheus-monitoring-prometheus-0", "50Gi"),
            claim("monitoring-grafana", "10Gi"),
            claim("alertmanager-monitoring-alertmanager-db-alertmanager-monitoring-alertmanager-0", "10Gi"),
        ],
        pods: [{ metadata: { name: "p" } }],
        services: [
            {
                metadata: { name: "grafana" },
                spec: { type: "LoadBalancer", loadBalancerSourceRanges: ["198.51.100.7/32"] },
                status: { loadBalancer: { ingress: [{ ip: "203.0.113.9" }] } },
            },
            {
                metadata: { name: "vllm-front-door-ministral" },
                spec: { type: "LoadBalancer", loadBalancerSourceRanges: allowedSources },
            },
        ],
    };
}
