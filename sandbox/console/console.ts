import { readdirSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import type { Credentials } from "../../packages/ai-deploy/src/credentials";
import type { OvhCloud } from "../ovhcloud/server";
import { History } from "./history";
import { LoadRunner } from "./load-runner";
import type { ClusterView, Link, PartState, PrometheusView, Update } from "./state";
import { ClusterWatch, lookAtApi, lookAtPrometheus } from "./surroundings";

export interface ConsoleOptions {
    cloud: OvhCloud;
    /** With which the console reads clusters from the API, as any client does. */
    credentials: Credentials;
    projectId: string;
    /** Base URL of Prometheus, once there is one. */
    prometheusUrl: () => string | undefined;
    /** Environment of the load test: `OVH_*`, for the count of replicas. */
    env: Record<string, string>;
    /** Where the report of a load test is kept. */
    dir: string;
    /** Path of the kubeconfig that people use. */
    kubeconfig?: string;
    /** Port on 127.0.0.1; default: a free one. */
    port?: number;
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
const shownDecisions = 20;
const bodyLimit = 10_000;

/** Everything on the page is the console's own: nothing from elsewhere runs in it, and nobody may frame it. */
const securityHeaders = {
    "content-security-policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
};

/** A request that is refused, with what to say. */
class Refusal extends Error {
    constructor(
        readonly status: number,
        message: string,
    ) {
        super(message);
    }
}

/** Serves the page that shows the sandbox live and lets people load and break it. */
export async function startConsole(options: ConsoleOptions): Promise<Console> {
    const { cloud } = options;
    const controls = cloud.url.replace(/\/v1$/, "/sandbox");
    const history = new History();
    const clusterWatch = new ClusterWatch(options.credentials, options.projectId);
    const watchers = new Set<ServerResponse>();
    let api: PartState = { url: cloud.url, state: "absent", detail: "not asked yet" };
    let clusters: ClusterView[] = [];
    let prometheus: PrometheusView = {
        state: "absent",
        detail: "not asked yet",
        targets: { up: 0, total: 0 },
        alerts: [],
    };
    const load = new LoadRunner({ dir: options.dir, caFile: cloud.caFile, env: options.env, changed: push });
    const files = pageFiles();

    function update(): Update {
        const { apps, ...rest } = cloud.status();
        return {
            cloud: {
                ...rest,
                apps: apps.map((app) => ({ ...app, decisions: app.decisions.slice(-shownDecisions).reverse() })),
            },
            api,
            clusters,
            prometheus,
            load: load.view,
            links: linksOf(options, prometheus, apps),
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
        [api, clusters, prometheus] = await Promise.all([
            lookAtApi(cloud.url),
            clusterWatch.look(cloud.clusters()),
            lookAtPrometheus(options.prometheusUrl()),
        ]);
    }

    let looking: Promise<void> | undefined;
    const look = (): void => {
        looking ??= lookAround().finally(() => (looking = undefined));
    };

    function watch(answer: ServerResponse): void {
        answer.writeHead(200, { ...securityHeaders, "content-type": "text/event-stream" });
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
        if (!allowed) throw new Refusal(404, `${method} ${path} is not an action of the console`);
        const answer = await fetch(controls + path, { method, body: body === "" ? undefined : body });
        const value = (await answer.json()) as { message?: string };
        if (!answer.ok) throw new Refusal(answer.status, value.message ?? `answers ${answer.status}`);
        return value;
    }

    function startLoad(body: string): void {
        const { app: id, workers, requests } = parsed(body);
        const app = cloud.apps().find((one) => one.id === id);
        if (!app) throw new Refusal(400, `app ${JSON.stringify(id)} does not exist`);
        const count = (name: string, value: unknown, most: number): number => {
            if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most) return value as number;
            throw new Refusal(400, `${name} is ${JSON.stringify(value)}: give a whole number from 1 to ${most}`);
        };
        const token = cloud.tokenFor(app.id);
        if (token === undefined) throw new Refusal(409, `no token opens app ${app.name}: "pulumi up" makes a new one`);
        const target = { id: app.id, url: app.url, token };
        const size = [count("workers", workers, 5000), count("requests", requests, 10_000)] as const;
        if (load.view.state === "running") throw new Refusal(409, "a load test runs already: stop it first");
        load.start(target, ...size);
    }

    async function serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
        const method = incoming.method ?? "GET";
        const send = (status: number, type: string, body: string | Buffer): void => {
            answer.writeHead(status, { ...securityHeaders, "content-type": type });
            answer.end(body);
        };
        try {
            refuseForeign(incoming, port);
            const { pathname } = new URL(incoming.url ?? "/", "http://console");
            if (method === "GET") {
                if (pathname === "/events") return watch(answer);
                const file = files[pathname];
                if (!file) throw new Refusal(404, `there is no ${pathname}`);
                return send(200, file.type, await file.read());
            }
            if (method !== "POST" && method !== "DELETE") throw new Refusal(405, `${method} is not used here`);
            const value = await act(method, pathname, await text(incoming));
            send(200, "application/json", JSON.stringify(value));
            push();
        } catch (error) {
            const status = error instanceof Refusal ? error.status : 500;
            send(status, "application/json", JSON.stringify({ message: (error as Error).message }));
        }
        return undefined;
    }

    const server = createServer((incoming, answer) => void serve(incoming, answer));
    await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(options.port ?? 0, "127.0.0.1", resolve);
    });
    const { port } = server.address() as { port: number };
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
            const closed = new Promise((resolve) => server.close(resolve));
            server.closeAllConnections();
            await closed;
            await looking;
        },
    };
}

/**
 * Lets only the console's own page in. The port is open to every program of this machine, and so to every web site in its
 * browsers: a site's requests carry its own Origin, and a name that a site has pointed at 127.0.0.1 shows in Host.
 */
function refuseForeign({ method, headers }: IncomingMessage, port: number): void {
    const own = [`127.0.0.1:${port}`, `localhost:${port}`];
    if (!own.includes(headers.host ?? "")) throw new Refusal(403, "open the console by its address on 127.0.0.1");
    const { origin } = headers;
    if (method === "GET" && origin === undefined) return;
    if (origin === undefined || !own.some((host) => origin === `http://${host}`)) {
        throw new Refusal(403, "only the console's own page may ask for this");
    }
}

interface PageFile {
    type: string;
    read: () => Promise<string | Buffer>;
}

/** What the page is made of, by path. Its TypeScript is turned into JavaScript when it is first asked for. */
function pageFiles(): Record<string, PageFile> {
    const folder = join(__dirname, "page");
    const asIs = (file: string, type: string): PageFile => ({ type, read: async () => readFileSync(file) });
    const uplot = (file: string): string => require.resolve(`uplot/dist/${file}`);
    const files: Record<string, PageFile> = {
        "/": asIs(join(folder, "index.html"), "text/html; charset=utf-8"),
        "/console.css": asIs(join(folder, "console.css"), "text/css; charset=utf-8"),
        "/uplot.css": asIs(uplot("uPlot.min.css"), "text/css; charset=utf-8"),
        "/uplot.js": asIs(uplot("uPlot.iife.min.js"), "text/javascript; charset=utf-8"),
    };
    for (const name of readdirSync(folder)) {
        if (!name.endsWith(".ts")) continue;
        let script: Promise<string> | undefined;
        const read = (): Promise<string> => (script ??= transpile(join(folder, name)));
        files[`/${name.replace(/\.ts$/, ".js")}`] = { type: "text/javascript; charset=utf-8", read };
    }
    return files;
}

async function transpile(file: string): Promise<string> {
    const { default: typescript } = await import("typescript");
    const { ModuleKind, ScriptTarget } = typescript;
    return typescript.transpileModule(readFileSync(file, "utf8"), {
        compilerOptions: { module: ModuleKind.ESNext, target: ScriptTarget.ES2022 },
    }).outputText;
}

function linksOf(options: ConsoleOptions, prometheus: PrometheusView, apps: { name: string; url: string }[]): Link[] {
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
    throw new Refusal(400, "the body is not a JSON object");
}

async function text(incoming: IncomingMessage): Promise<string> {
    let body = "";
    for await (const part of incoming.setEncoding("utf8")) {
        body += part as string;
        if (body.length > bodyLimit) throw new Refusal(413, `the body is longer than ${bodyLimit} characters`);
    }
    return body;
}
