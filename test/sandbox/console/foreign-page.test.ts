import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { resolveCredentials } from "../../../packages/ai-deploy/src/api/credentials";
import { chromiumArgs, ensureChromium } from "../../../machine/chromium";
import { startConsole, type Console } from "../../../sandbox/console/console";
import { createKwokMks, type KwokMks } from "../../../sandbox/kubernetes/kwok";
import { startChild, type Child } from "../../../sandbox/prometheus/child";
import { openReverseProxy, type ReverseProxy } from "../../../sandbox/prometheus/reverse-proxy";
import { sandboxProcesses } from "../../../sandbox/processes";
import { ensureToolchain } from "../../../sandbox/toolchain/toolchain";
import { eventually } from "../kubernetes/control-plane";
import { projectId } from "../ovhcloud/cloud";
import { startRunningApp, type RunningApp } from "../running-app";

/** What a web page of somebody else can do to the sandbox that runs on the same machine, in a real browser: nothing. */

const foreignName = "elsewhere.example";

let dir: string;
let app: RunningApp;
let page: Console;
let planes: KwokMks;
let proxies: Record<"prometheus" | "alertmanager", ReverseProxy>;
let children: Child[];
let foreign: Server;
let browser: Browser;
let tab: Page;

async function startPrograms(bin: Record<"prometheus" | "alertmanager", string>): Promise<void> {
    const open = (name: string): Promise<ReverseProxy> => openReverseProxy({ name, port: 0, log: () => undefined });
    proxies = { prometheus: await open("Prometheus"), alertmanager: await open("Alertmanager") };
    writeFileSync(join(dir, "prometheus.yml"), "{}");
    writeFileSync(
        join(dir, "alertmanager.yml"),
        stringify({ route: { receiver: "nobody" }, receivers: [{ name: "nobody" }] }),
    );
    const flagsOf = {
        prometheus: ["--web.enable-lifecycle", `--storage.tsdb.path=${join(dir, "data")}`],
        alertmanager: [`--storage.path=${join(dir, "alerts")}`, "--cluster.listen-address="],
    };
    children = [];
    for (const name of ["prometheus", "alertmanager"] as const) {
        const own = [`--config.file=${join(dir, `${name}.yml`)}`, ...(await proxies[name].flags(join(dir, name)))];
        const logFile = join(dir, `${name}.log`);
        children.push(await startChild({ program: bin[name], args: [...own, ...flagsOf[name]], logFile }));
        await eventually(async () => (await fetch(`${proxies[name].url}/-/ready`)).ok);
    }
}

beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "foreign-page-"));
    const { bin } = await ensureToolchain({ log: () => undefined });
    app = await startRunningApp({ min: 1, max: 1 });
    await startPrograms(bin);
    planes = createKwokMks({
        dir,
        bin: {
            kwok: bin.kwok,
            etcd: bin.etcd,
            apiserver: bin["kube-apiserver"],
            controllerManager: bin["kube-controller-manager"],
            scheduler: bin["kube-scheduler"],
        },
        log: () => undefined,
    });
    await planes.create("cluster", { name: "test", version: "1.34" });
    page = await startConsole({
        cloud: app.cloud,
        credentials: resolveCredentials({ config: () => undefined, env: app.env, files: [] }),
        projectId,
        prometheusUrl: () => proxies.prometheus.url,
        alertmanagerUrl: proxies.alertmanager.url,
        grafana: () => ({ detail: "no grafana (12 or newer) on PATH" }),
        env: app.env,
        dir,
        log: () => undefined,
    });
    foreign = createServer((_, answer) => answer.setHeader("content-type", "text/html").end("<p>elsewhere</p>"));
    await new Promise<void>((resolve) => foreign.listen(0, "127.0.0.1", resolve));
    browser = await chromium.launch({
        executablePath: ensureChromium(console.error),
        args: [`--host-resolver-rules=MAP ${foreignName} 127.0.0.1`, ...chromiumArgs()],
    });
    // As if a user had let certificates of the sandbox through, which no page could do by itself.
    tab = await browser.newPage({ ignoreHTTPSErrors: true });
    await tab.goto(`http://${foreignName}:${(foreign.address() as AddressInfo).port}/`);
});
afterAll(async () => {
    await browser?.close();
    foreign?.close();
    await page?.close();
    await planes?.close();
    await Promise.all((children ?? []).map((child) => child.stop()));
    await Promise.all(Object.values(proxies ?? {}).map((proxy) => proxy.close()));
    await app?.close();
    rmSync(dir, { recursive: true, force: true });
});

/** Every port of this machine on which the sandbox listens, whichever process it is. */
function listeners(): string[] {
    const pids = [process.pid, ...sandboxProcesses(dir)];
    const lines = execFileSync("ss", ["-Hltnp"], { encoding: "utf8" }).split("\n");
    const own = lines.filter((line) => pids.some((pid) => line.includes(`pid=${pid},`)));
    const { port } = foreign.address() as AddressInfo;
    return own.map((line) => line.split(/\s+/)[3]).filter((address) => !address.endsWith(`:${port}`));
}

interface Attempt {
    url: string;
    method?: string;
    body?: string;
    mode?: "cors" | "no-cors";
    token?: string;
}

/** What a script of the page gets: the answer's text, or `nothing`. */
function fromPage(attempt: Attempt): Promise<string> {
    return tab.evaluate(async ({ url, method, body, mode, token }) => {
        const headers = token ? { authorization: `Bearer ${token}` } : undefined;
        try {
            const answer = await fetch(url, { method, body, mode, headers, signal: AbortSignal.timeout(10_000) });
            return (await answer.text()) || "nothing";
        } catch {
            return "nothing";
        }
    }, attempt);
}

describe.sequential("a page of another site", () => {
    it("reads nothing from any listener", async () => {
        const found = listeners();
        // API, gateway, replica, console, two proxies with their programs, API server; etcd and the others have none.
        expect(found).toHaveLength(9);
        for (const address of found) {
            for (const scheme of ["http", "https"]) {
                for (const path of [
                    "/",
                    "/metrics",
                    "/version",
                    "/sandbox/status",
                    "/api/v1/status/config",
                    "/events",
                    "/dashboards.json",
                    "/prometheus/api/v1/query?query=up",
                ]) {
                    const url = `${scheme}://${address}${path}`;
                    expect(await fromPage({ url }), url).toBe("nothing");
                }
            }
        }
    });

    it("changes nothing by requests that it cannot see the answers of", async () => {
        const sandbox = app.cloud.url.replace("/v1", "/sandbox");
        const replica = `http://127.0.0.1:${app.status().replicas[0].port}`;
        const alert = JSON.stringify([{ labels: { alertname: "Forged" } }]);
        const attempts: Attempt[] = [
            { url: `${sandbox}/faults`, body: '{"kind":"drop"}' },
            { url: `${sandbox}/platform/faults`, body: '{"kind":"token-revoked"}' },
            { url: `${page.url}/platform/faults`, body: '{"kind":"token-revoked"}' },
            { url: `${replica}/v1/chat/completions`, body: '{"messages":[{"role":"user","content":"x"}]}' },
            { url: `${proxies.prometheus.url}/-/quit`, body: "" },
            { url: `${proxies.alertmanager.url}/api/v2/alerts`, body: alert },
            // The programs themselves, past their proxies.
            ...listeners().flatMap((address) =>
                ["http", "https"].flatMap((scheme) => [
                    { url: `${scheme}://${address}/-/quit`, body: "" },
                    { url: `${scheme}://${address}/api/v2/alerts`, body: alert },
                ]),
            ),
        ];
        for (const attempt of attempts) await fromPage({ method: "POST", mode: "no-cors", ...attempt });
        expect(app.cloud.faults.list()).toEqual([]);
        expect(app.cloud.tokens()).toHaveLength(1);
        expect(children.map(({ exit }) => exit)).toEqual([undefined, undefined]);
        const alerts = await fetch(`${proxies.alertmanager.url}/api/v2/alerts`);
        expect(await alerts.json()).toEqual([]);
        const metrics = await (await fetch(`${replica}/metrics`)).text();
        expect(metrics).toMatch(/^vllm:request_success_total\{.*finished_reason="stop".*\} 0\.0$/m);
    });

    it("is refused under its own name, too", async () => {
        const plain = [app.cloud.url, page.url, proxies.prometheus.url, proxies.alertmanager.url];
        for (const url of [...plain, `http://127.0.0.1:${app.status().replicas[0].port}`]) {
            const own = await browser.newPage();
            const answer = await own.goto(`http://${foreignName}:${new URL(url).port}/metrics`);
            expect(answer!.status(), url).toBe(403);
            await own.close();
        }
    });

    it("while the console's own page works", async () => {
        const own = await browser.newPage();
        await own.goto(page.url);
        await own.getByText("live", { exact: true }).waitFor();
        await own.locator(".part.up", { hasText: "Prometheus" }).waitFor();
        await own.locator(".part.up", { hasText: "Alertmanager" }).waitFor();
        await own.close();
    });
});
