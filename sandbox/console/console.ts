import type { ServerResponse } from "node:http";
import { join } from "node:path";
import type { Credentials } from "../../packages/ai-deploy/src/api/credentials";
import { commonFiles, htmlFile, scriptFile, styleFile, type PageFile } from "../../tools/dashboards/page-files";
import { answerDashboards } from "../../tools/dashboards/server";
import { close, createHttpServer, HttpError, listenNear, type HttpRequest } from "../http-server";
import type { GrafanaState } from "../grafana/local-grafana";
import type { OvhCloud } from "../ovhcloud/server";
import type { Decision } from "../ovhcloud/status";
import { History } from "./history";
import { LoadRunner } from "./load-runner";
import type { ClusterView, Link, PartState, PrometheusView, Update } from "./state";
import { ClusterWatch, lookAt, lookAtGrafana, lookAtPrometheus, notThereYet } from "./surroundings";

export interface ConsoleOptions {
    cloud: OvhCloud;
    /** With which the console reads clusters from the API, as any client does. */
    credentials: Credentials;
    projectId: string;
    /** Base URL of Prometheus, once there is one. */
    prometheusUrl: () => string | undefined;
    /** Base URL of Alertmanager, which runs when Prometheus does. */
    alertmanagerUrl: string;
    /** Grafana, which runs when one is installed. */
    grafana: () => GrafanaState;
    /** Environment of the load test: `OVH_*`, for the count of replicas. */
    env: Record<string, string>;
    /** Where the report of a load test is kept. */
    dir: string;
    /** Path of the kubeconfig that people use. */
    kubeconfig?: string;
    /** Port on 127.0.0.1; a free one when it is taken. Default: a free one. */
    port?: number;
    log: (line: string) => void;
}

export interface Console {
    /** `http://127.0.0.1:PORT` */
    url: string;
    close(): Promise<void>;
}

const pushMs = 500;
const pointMs = 1000;
/** How often the parts beside the apps are asked, while somebody looks. */
const surroundingsMs = 2000;
/** Of each app: the newest decisions, and the newest of those that changed the number of replicas. */
const shownDecisions = { newest: 6, changes: 12 };
const bodyBytes = 10_000;

/** Everything on the page is the console's own: nothing from elsewhere runs in it, and nobody may frame it. */
const securityHeaders = {
    "content-security-policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
};

const folder = join(__dirname, "page");
/** What the console's own page is made of, by path. */
const files: Record<string, PageFile> = {
    ...commonFiles,
    "/": htmlFile(join(folder, "index.html")),
    "/console.css": styleFile(join(folder, "console.css")),
    "/main.js": scriptFile(join(folder, "main.ts")),
};

/** Serves the page that shows the sandbox live and lets people load and break it. */
export async function startConsole(options: ConsoleOptions): Promise<Console> {
    const { cloud } = options;
    const controls = cloud.url.replace(/\/v1$/, "/sandbox");
    const history = new History();
    const clusterWatch = new ClusterWatch(options.credentials, options.projectId);
    const watchers = new Set<ServerResponse>();
    let api: PartState = { url: cloud.url, state: "absent", detail: "not asked yet" };
    let clusters: ClusterView[] = [];
    let alertmanager = notThereYet;
    let grafana = notThereYet;
    let prometheus: PrometheusView = {
        state: "absent",
        detail: "not asked yet",
        targets: { up: 0, total: 0 },
        alerts: [],
    };
    const load = new LoadRunner({ dir: options.dir, caFile: cloud.caFile, env: options.env, changed: push });

    function update(): Update {
        const { apps, ...rest } = cloud.status();
        return {
            cloud: {
                ...rest,
                apps: apps.map((app) => ({ ...app, decisions: shown(app.decisions) })),
            },
            api,
            clusters,
            prometheus,
            alertmanager,
            grafana,
            load: load.view,
            links: linksOf(options, { prometheus, alertmanager, grafana }, apps),
            points: history.newest(),
        };
    }

    function push(): void {
        if (watchers.size === 0) return;
        const event = eventText("update", update());
        // Who reads too slowly misses some: each is the whole state.
        for (const watcher of watchers) if (!watcher.writableNeedDrain) watcher.write(event);
    }

    function record(): void {
        history.record(cloud.status().apps, Date.now() / 1000);
    }

    async function lookAround(): Promise<void> {
        const prometheusUrl = options.prometheusUrl();
        [api, clusters, prometheus, alertmanager, grafana] = await Promise.all([
            lookAt(cloud.url, "/auth/time"),
            clusterWatch.look(cloud.clusters()),
            lookAtPrometheus(prometheusUrl),
            prometheusUrl === undefined ? notThereYet : lookAt(options.alertmanagerUrl, "/-/ready"),
            lookAtGrafana(options.grafana()),
        ]);
    }

    let looking: Promise<void> | undefined;
    const look = (): void => {
        looking ??= lookAround().finally(() => (looking = undefined));
    };

    function watch(answer: ServerResponse): void {
        answer.writeHead(200, { "content-type": "text/event-stream" });
        answer.write(eventText("history", history.all()));
        answer.write(eventText("update", update()));
        watchers.add(answer);
        answer.on("close", () => watchers.delete(answer));
        look();
    }

    async function act(method: string, path: string, body: string): Promise<unknown> {
        if (path === "/load") {
            if (method === "DELETE") await load.stop();
            else startLoad(body);
            return load.view;
        }
        const allowed = /^\/(speed|balancing|platform\/faults|apps\/[\w-]+\/faults)$/.test(path);
        if (!allowed) throw new HttpError(404, `${method} ${path} is not an action of the console`);
        const answer = await fetch(controls + path, { method, body: body === "" ? undefined : body });
        const value = (await answer.json()) as { message?: string };
        if (!answer.ok) throw new HttpError(answer.status, value.message ?? `answers ${answer.status}`);
        return value;
    }

    function startLoad(body: string): void {
        const { app: id, workers, requests } = parsed(body);
        const app = cloud.apps().find((one) => one.id === id);
        if (!app) throw new HttpError(400, `app ${JSON.stringify(id)} does not exist`);
        const count = (name: string, value: unknown, most: number): number => {
            if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most) return value as number;
            throw new HttpError(400, `${name} is ${JSON.stringify(value)}: give a whole number from 1 to ${most}`);
        };
        const token = cloud.tokenFor(app.id);
        if (token === undefined) {
            throw new HttpError(409, `no token opens app ${app.name}: "pulumi up" makes a new one`);
        }
        const target = { id: app.id, url: app.url, token };
        const size = [count("workers", workers, 5000), count("requests", requests, 10_000)] as const;
        if (load.view.state === "running") throw new HttpError(409, "a load test runs already: stop it first");
        load.start(target, ...size);
    }

    async function serve({ method, url, incoming, text }: HttpRequest, answer: ServerResponse): Promise<void> {
        for (const [name, value] of Object.entries(securityHeaders)) answer.setHeader(name, value);
        const send = (status: number, headers: Record<string, string>, body: string | Buffer): void => {
            answer.writeHead(status, headers);
            answer.end(body);
        };
        const { pathname } = url;
        if (method === "GET") {
            if (pathname === "/events") return watch(answer);
            const file = Object.hasOwn(files, pathname) ? files[pathname] : undefined;
            if (file) return send(200, { "content-type": file.type }, file.read());
            const found = await answerDashboards(url, options.prometheusUrl());
            if (!found) throw new HttpError(404, `there is no ${pathname}`);
            return send(found.status, found.headers, found.body);
        }
        if (method !== "POST" && method !== "DELETE") throw new HttpError(405, `${method} is not used here`);
        if (incoming.headers.origin === undefined) {
            throw new HttpError(403, "only the console's own page may ask for this");
        }
        const value = await act(method, pathname, await text());
        send(200, { "content-type": "application/json" }, JSON.stringify(value));
        push();
        return undefined;
    }

    const server = createHttpServer(
        {
            bodyBytes,
            allowsOrigin: (origin, { headers }) => origin === `http://${headers.host}`,
            log: options.log,
        },
        serve,
    );
    const port = await listenNear(server, options.port ?? 0);
    record();
    const timers = [
        setInterval(record, pointMs),
        setInterval(push, pushMs),
        setInterval(() => {
            if (watchers.size > 0) look();
        }, surroundingsMs),
    ];
    return {
        url: `http://127.0.0.1:${port}`,
        async close() {
            for (const timer of timers) clearInterval(timer);
            await load.stop();
            await close(server);
            await looking;
        },
    };
}

/** Newest first. */
function shown(decisions: Decision[]): Decision[] {
    const changes = decisions.filter(({ from, to }) => from !== to).slice(-shownDecisions.changes);
    const newest = decisions.slice(-shownDecisions.newest);
    return decisions.filter((decision) => changes.includes(decision) || newest.includes(decision)).reverse();
}

function linksOf(
    options: ConsoleOptions,
    { prometheus, alertmanager, grafana }: Record<"prometheus" | "alertmanager" | "grafana", PartState>,
    apps: { name: string; url: string }[],
): Link[] {
    const { cloud, kubeconfig } = options;
    const sandbox = cloud.url.replace(/\/v1$/, "/sandbox");
    const links: Link[] = [
        { title: "OVHcloud API", target: cloud.url, note: "signed requests only" },
        { title: "State of the platform", target: `${sandbox}/status` },
        { title: "Calls of the API", target: `${sandbox}/requests` },
        { title: "Calls that broke the published structure", target: `${sandbox}/violations` },
    ];
    for (const { name, url } of apps) links.push({ title: name, target: url, note: "needs the client token" });
    if (prometheus.url) {
        links.push(
            { title: "Prometheus", target: prometheus.url },
            { title: "Prometheus: targets", target: `${prometheus.url}/targets` },
            { title: "Prometheus: alerts", target: `${prometheus.url}/alerts` },
        );
    }
    if (alertmanager.url) links.push({ title: "Alertmanager", target: alertmanager.url });
    if (grafana.url) {
        const password = "pulumi stack output grafanaPassword --show-secrets";
        links.push({ title: "Grafana", target: grafana.url, note: `user admin; ${password}` });
    }
    if (kubeconfig) {
        links.push({ title: "kubeconfig", target: kubeconfig, note: "source .sandbox/env sets KUBECONFIG" });
    }
    return links;
}

function eventText(name: string, value: unknown): string {
    return `event: ${name}\ndata: ${JSON.stringify(value)}\n\n`;
}

function parsed(body: string): Record<string, unknown> {
    try {
        const value: unknown = JSON.parse(body);
        if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
    } catch {
        // answered below
    }
    throw new HttpError(400, "the body is not a JSON object");
}
