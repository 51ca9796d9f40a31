import { createServer, request, type Server } from "node:http";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { resolveCredentials } from "../../../packages/ai-deploy/src/api/credentials";
import { chromiumArgs, ensureChromium } from "../../../machine/chromium";
import { startConsole, type Console } from "../../../sandbox/console/console";
import { startChild, type Child } from "../../../sandbox/prometheus/child";
import { ensureToolchain } from "../../../sandbox/toolchain/toolchain";
import { projectId } from "../ovhcloud/cloud";
import { startRunningApp, type RunningApp } from "../running-app";

/** The page in a real browser, on the emulated platform. */

let app: RunningApp;
let page: Console;
let prometheus: Child;
let target: Server;
let targetStatus = 200;
let dir: string;
let browser: Browser;
let tab: Page;
let problems: string[];

/** A real Prometheus with one target, and an alert that fires while that is down. */
async function startPrometheus(): Promise<string> {
    target = createServer((_, answer) => answer.writeHead(targetStatus).end());
    await new Promise<void>((resolve) => target.listen(0, "127.0.0.1", resolve));
    const port = await freePort();
    const rule = {
        alert: "VllmEndpointDown",
        expr: "up == 0",
        labels: { severity: "page" },
        annotations: { summary: "<img src=x onerror=alert(1)> does not answer" },
    };
    const job = { job_name: "test", static_configs: [{ targets: [portOf(target)] }] };
    writeFileSync(join(dir, "rules.yml"), stringify({ groups: [{ name: "test", rules: [rule] }] }));
    writeFileSync(
        join(dir, "prometheus.yml"),
        stringify({
            global: { scrape_interval: "500ms", scrape_timeout: "500ms", evaluation_interval: "500ms" },
            rule_files: ["rules.yml"],
            scrape_configs: [job],
        }),
    );
    const { bin } = await ensureToolchain({ log: () => undefined });
    prometheus = await startChild({
        program: bin.prometheus,
        args: [
            `--config.file=${join(dir, "prometheus.yml")}`,
            `--storage.tsdb.path=${join(dir, "data")}`,
            `--web.listen-address=127.0.0.1:${port}`,
        ],
        logFile: join(dir, "prometheus.log"),
    });
    return `http://127.0.0.1:${port}`;
}

function portOf(server: Server): string {
    return `127.0.0.1:${(server.address() as { port: number }).port}`;
}

async function freePort(): Promise<number> {
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
    const { port } = probe.address() as { port: number };
    await new Promise((resolve) => probe.close(resolve));
    return port;
}

beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "console-"));
    // Slow enough for boot phases to be seen, fast enough not to wait for them.
    app = await startRunningApp({ min: 1, max: 3 }, { speed: 200 });
    const prometheusUrl = await startPrometheus();
    page = await startConsole({
        cloud: app.cloud,
        credentials: resolveCredentials({ config: () => undefined, env: app.env, files: [] }),
        projectId,
        prometheusUrl: () => prometheusUrl,
        alertmanagerUrl: `http://127.0.0.1:${await freePort()}`, // where nothing listens
        grafana: () => ({ detail: "no grafana (12 or newer) on PATH" }),
        env: app.env,
        dir,
        kubeconfig: "/made/up/kubeconfig",
        log: () => undefined,
    });
    browser = await chromium.launch({
        executablePath: ensureChromium(console.error),
        args: chromiumArgs(),
    });
});
afterAll(async () => {
    await browser?.close();
    await page?.close();
    await app?.close();
    await prometheus?.stop();
    target?.close();
    rmSync(dir, { recursive: true, force: true });
});

async function open(options: Parameters<Browser["newPage"]>[0] = {}): Promise<void> {
    tab = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
    problems = [];
    tab.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) problems.push(message.text());
    });
    tab.on("pageerror", (error) => problems.push(error.message));
    tab.setDefaultTimeout(30_000);
    await tab.goto(page.url);
    await tab.getByText("live", { exact: true }).waitFor();
}

afterEach(async () => {
    if (!tab) return;
    await tab.close();
    expect(problems).toEqual([]);
});

describe("what it shows", () => {
    beforeEach(() => open());

    it("every part with its state", async () => {
        const parts = tab.locator("#architecture");
        await parts.getByText("OVHcloud API").waitFor();
        await parts.locator(".part.up", { hasText: "OVHcloud API" }).waitFor();
        await parts.locator(".part.app.up", { hasText: "test-app" }).waitFor();
        await parts.locator(".replica.ready", { hasText: "serving" }).first().waitFor();
        await parts.getByText("No cluster").waitFor();
        await parts.getByText("1 of 1 targets up").waitFor();
        await parts.getByText("No alert fires").waitFor();
        await parts.locator(".part.down", { hasText: "Alertmanager" }).getByText("nothing listens").waitFor();
    });

    it("an alert that fires, as text even when it looks like HTML", async () => {
        targetStatus = 500;
        try {
            await tab.getByText("1 alert firing", { exact: true }).waitFor();
            await tab.getByText("<img src=x onerror=alert(1)> does not answer").waitFor();
            await tab.locator(".part.down", { hasText: "1 alert firing" }).waitFor();
            expect(await tab.locator("#architecture img").count()).toBe(0);
        } finally {
            targetStatus = 200;
        }
    });

    it("a link to every address", async () => {
        const targets = await tab.locator("#links a").evaluateAll((links) => links.map((a) => a.getAttribute("href")));
        expect(targets).toEqual(expect.arrayContaining([app.cloud.url, app.url]));
        expect(targets.filter((target) => target!.includes("/alerts"))).toHaveLength(1);
        expect(await tab.locator("#links code").textContent()).toBe("/made/up/kubeconfig");
    });

    it("charts whose description follows the figures", async () => {
        for (const name of ["replicas", "metric", "requests", "answers", "latency"]) {
            await tab.locator(`#plot-${name} canvas`).waitFor();
        }
        await tab.locator("#plot-replicas[aria-label*='ready 1']").waitFor();
        await tab.locator("#plot-metric[aria-label*='target 50']").waitFor();
    });
});

describe("what it does", () => {
    beforeEach(() => open());

    it("load raises the replicas, the charts and decisions follow, and the result is told", async () => {
        await tab.getByLabel("Workers").fill("120");
        await tab.getByLabel("Requests each").fill("3");
        await tab.getByRole("button", { name: "Start load" }).click();
        await tab.locator("#load-state", { hasText: "Running: 120 workers" }).waitFor();
        expect(await tab.getByRole("button", { name: "Start load" }).isDisabled()).toBe(true);
        await tab.locator("#plot-requests[aria-label*='running']:not([aria-label*='running 0'])").waitFor();
        await tab.locator("#plot-latency[aria-label*='to the end']:not([aria-label*='to the end none'])").waitFor();
        await tab.locator("#decisions li.up", { hasText: "1 →" }).waitFor();
        await tab.locator(".replica", { hasText: "#1" }).waitFor();
        await tab.locator("#load-state", { hasText: "360 ok, 0 errors" }).waitFor({ timeout: 120_000 });
        // A page that is opened later knows what happened before.
        await tab.reload();
        await tab.locator("#load-state", { hasText: "360 ok, 0 errors" }).waitFor();
        await tab.locator("#decisions li.up", { hasText: "1 →" }).waitFor();
    }, 180_000);

    it("load can be stopped", async () => {
        await tab.getByLabel("Workers").fill("2");
        await tab.getByLabel("Requests each").fill("10000");
        await tab.getByRole("button", { name: "Start load" }).click();
        await app.until("loaded", ({ gateway }) => gateway.open > 0);
        await tab.getByRole("button", { name: "Stop" }).click();
        await tab.locator("#load-state", { hasText: "Ended after" }).waitFor();
        expect(await tab.getByRole("button", { name: "Start load" }).isDisabled()).toBe(false);
    });

    it("a fault is caused by its button, shown, and ended", async () => {
        await app.until("one replica", ({ replicas }) => replicas.length === 1);
        await tab.locator("#app-fault-form").getByLabel("For").selectOption("");
        await tab.getByRole("button", { name: "Slow, 10 times" }).click();
        await tab.locator("#faults li", { hasText: "slow test-app, now, until ended" }).waitFor();
        expect(app.cloud.status().faults).toMatchObject([{ kind: "slow", app: app.id, factor: 10 }]);
        await tab.getByRole("button", { name: "End all faults" }).click();
        await tab.locator("#faults", { hasText: "none" }).waitFor();
        expect(app.cloud.status().faults).toEqual([]);
    });

    it("an outage of the API shows on the API", async () => {
        await tab.getByRole("button", { name: "API outage" }).click();
        await tab.locator(".part.down", { hasText: "OVHcloud API" }).getByText("answers 503").waitFor();
        await tab.getByRole("button", { name: "End all faults" }).click();
        await tab.locator(".part.up", { hasText: "OVHcloud API" }).waitFor();
    });

    it("speed and balancing", async () => {
        await tab.getByLabel("Speed").selectOption("300");
        await tab.getByLabel("Balancing").selectOption("round-robin");
        await tab.getByText("platform time runs 300 times as fast").waitFor();
        await tab.getByText(/gateway: .* round-robin/).waitFor();
        expect(app.cloud.status().speed).toBe(300);
        await tab.getByLabel("Speed").selectOption("60");
        await tab.getByLabel("Balancing").selectOption("random");
        await tab.getByText("platform time runs 60 times as fast").waitFor();
    });

    it("with the keyboard alone", async () => {
        await tab.keyboard.press("Tab");
        expect(await tab.locator(":focus").textContent()).toBe("Skip to the controls");
        await tab.keyboard.press("Enter");
        const reached: string[] = [];
        for (let i = 0; i < 22; i++) {
            await tab.keyboard.press("Tab");
            const focused = await tab
                .locator(":focus")
                .evaluate((now: any) => (now.tagName === "INPUT" ? now.name : now.textContent.trim()) as string);
            reached.push(focused);
            if (focused === "Crash") break;
        }
        expect(reached.slice(0, 3)).toEqual(["workers", "requests", "Start load"]);
        const before = app.status().replicas[0].index;
        await tab.keyboard.press("Enter");
        await app.until("crashed", ({ replicas }) => replicas.every(({ index }) => index !== before));
        await tab.locator(".replica.ready").first().waitFor();
    });
});

describe("on every screen", () => {
    function styleOf(selector: string, property: string): Promise<string> {
        return tab
            .locator(selector)
            .first()
            .evaluate((found: any, name) => found.ownerDocument.defaultView.getComputedStyle(found)[name], property);
    }

    /** Relative luminance of a colour `rgb(r, g, b)`, as WCAG defines it. */
    function luminance(colour: string): number {
        const [r, g, b] = colour.match(/\d+/g)!.map((part) => {
            const value = Number(part) / 255;
            return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    }

    it.each(["light", "dark"] as const)("a phone needs no sideways scrolling, %s", async (colorScheme) => {
        await open({ viewport: { width: 360, height: 740 }, colorScheme });
        await tab.locator(".replica").first().waitFor();
        const { scroll, client } = await tab
            .locator("html")
            .evaluate((html: any) => ({ scroll: html.scrollWidth as number, client: html.clientWidth as number }));
        expect(scroll).toBe(client);
        const size = (await tab.getByRole("button", { name: "Crash" }).boundingBox())!;
        expect(size.height).toBeGreaterThanOrEqual(34);
    });

    it.each(["light", "dark"] as const)("text can be read, %s", async (colorScheme) => {
        await open({ colorScheme });
        await tab.locator(".replica").first().waitFor();
        const back = luminance(await styleOf("section", "backgroundColor"));
        const selectors = [
            "h2",
            ".dim",
            ".ready .phase",
            ".key.blue",
            ".key.orange",
            ".key.red",
            ".key.green",
            "#links a",
        ];
        const faint: string[] = [];
        for (const selector of selectors) {
            const text = luminance(await styleOf(selector, "color"));
            const ratio = (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
            if (ratio < 4.5) faint.push(`${selector} ${ratio}`);
        }
        // WCAG AA.
        expect(faint).toEqual([]);
    });
});

describe("who may ask", () => {
    function ask(options: {
        method?: string;
        path?: string;
        headers?: Record<string, string>;
        body?: string;
    }): Promise<number> {
        return new Promise((resolve, reject) => {
            const { host, port } = new URL(page.url);
            const call = request(
                {
                    host: "127.0.0.1",
                    port,
                    method: options.method ?? "GET",
                    path: options.path ?? "/",
                    headers: { host, ...options.headers },
                },
                (answer) => {
                    answer.resume();
                    resolve(answer.statusCode!);
                },
            );
            call.on("error", reject);
            call.end(options.body);
        });
    }
    const crash = (headers: Record<string, string>): Promise<number> =>
        ask({ method: "POST", path: "/platform/faults", headers, body: '{"kind": "token-revoked"}' });

    it("not another web site", async () => {
        expect(await crash({ origin: "https://elsewhere.example" })).toBe(403);
        expect(await crash({ origin: "null" })).toBe(403);
        expect(await crash({})).toBe(403);
        expect(await ask({ path: "/events", headers: { origin: "https://elsewhere.example" } })).toBe(403);
        expect(app.cloud.tokens()).toHaveLength(1);
    });

    it("not a name that somebody has pointed at 127.0.0.1", async () => {
        const host = `elsewhere.example:${new URL(page.url).port}`;
        expect(await ask({ headers: { host } })).toBe(403);
        expect(await crash({ host, origin: `http://${host}` })).toBe(403);
    });

    it("nor the controls of the API from any page", async () => {
        const answer = await fetch(`${app.cloud.url.replace("/v1", "")}/sandbox/platform/faults`, {
            method: "POST",
            headers: { origin: page.url, "content-type": "text/plain" },
            body: '{"kind": "token-revoked"}',
        });
        expect(answer.status).toBe(403);
        expect(app.cloud.tokens()).toHaveLength(1);
    });

    it("for nothing but the console's own actions", async () => {
        const headers = { origin: page.url };
        expect(await ask({ method: "POST", path: "/faults", headers, body: "{}" })).toBe(404);
        expect(await ask({ method: "POST", path: "/apps/../faults", headers, body: "{}" })).toBe(404);
        expect(await ask({ method: "PUT", path: "/speed", headers, body: "{}" })).toBe(405);
        expect(await ask({ path: "/../console.ts" })).toBe(404);
        expect(await ask({ method: "POST", path: "/load", headers, body: "x".repeat(20_000) })).toBe(413);
        expect(await ask({ method: "POST", path: "/load", headers, body: '{"app": "x"}' })).toBe(400);
        const body = JSON.stringify({ app: app.id, workers: 1.5, requests: 1 });
        expect(await ask({ method: "POST", path: "/load", headers, body })).toBe(400);
        expect(await ask({ method: "POST", path: "/speed", headers, body: '{"speed": "fast"}' })).toBe(400);
    });
});
