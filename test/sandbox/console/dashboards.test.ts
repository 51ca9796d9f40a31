import { request } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser, type Locator, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { resolveCredentials } from "../../../packages/ai-deploy/src/api/credentials";
import { chromiumArgs, ensureChromium } from "../../../machine/chromium";
import { startConsole, type Console } from "../../../sandbox/console/console";
import { freePort } from "../../../sandbox/http-server";
import { dashboardFiles } from "../../../src/monitoring/dashboards/files";
import { relayed } from "../../monitoring/watched-models";
import { startLivePrometheus, type LivePrometheus } from "../../tools/dashboards/live-prometheus";
import { projectId, startTestCloud } from "../ovhcloud/cloud";

/** The dashboards of the console in a real browser, on a real Prometheus that reads two simulated replicas. */

const uid = "vllm-ministral-monitoring";
const dashboards = Object.values(dashboardFiles(["ministral"])).map(
    (text) => JSON.parse(text) as { uid: string; panels: { type: string; title: string }[] },
);

let dir: string;
let cloud: Awaited<ReturnType<typeof startTestCloud>>;
let prometheus: LivePrometheus;
/** What the console is told of Prometheus' address. */
let prometheusUrl: string | undefined;
let page: Console;
let browser: Browser;
let tab: Page;
let problems: string[];

beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "console-dashboards-"));
    prometheus = await startLivePrometheus(relayed, 2, "MadeUpAlert");
    prometheus.load(2);
    prometheusUrl = prometheus.url;
    cloud = await startTestCloud();
    page = await startConsole({
        cloud: cloud.cloud,
        credentials: resolveCredentials({
            config: () => undefined,
            env: { OVH_ENDPOINT: cloud.cloud.url, OVH_ACCESS_TOKEN: "made-up" },
            files: [],
        }),
        projectId,
        prometheusUrl: () => prometheusUrl,
        alertmanagerUrl: "http://127.0.0.1:9", // where nothing listens
        grafana: () => ({ detail: "no grafana (12 or newer) on PATH" }),
        env: {},
        dir,
        log: () => undefined,
    });
    browser = await chromium.launch({ executablePath: ensureChromium(console.error), args: chromiumArgs() });
    await open();
    // Until there is something of everything that these tests look at.
    await tab.getByLabel("Refresh", { exact: true }).selectOption("5");
    await panel("Generated tokens, each replica").locator("tbody tr").nth(1).waitFor();
    await tab.close();
});
afterAll(async () => {
    await browser?.close();
    await page?.close();
    await cloud?.close();
    await prometheus?.close();
    rmSync(dir, { recursive: true, force: true });
});
afterEach(async () => {
    prometheusUrl = prometheus.url;
    if (tab.isClosed()) return;
    await tab.close();
    expect(problems).toEqual([]);
});

async function open(
    path = `/d/${uid}?from=now-5m&to=now`,
    options: Parameters<Browser["newPage"]>[0] = {},
): Promise<void> {
    tab = await browser.newPage({ viewport: { width: 1400, height: 900 }, ...options });
    problems = [];
    tab.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) problems.push(message.text());
    });
    tab.on("pageerror", (error) => problems.push(error.message));
    tab.setDefaultTimeout(60_000);
    await tab.goto(page.url + path);
    await ready();
}

const ready = (): Promise<void> => tab.locator("body[data-state=ready]").waitFor();

function panel(title: string): Locator {
    return tab.locator(`.panel[data-panel="${title}"]`);
}

/** Legend of a panel: the names of its lines. */
const linesOf = (title: string): Promise<string[]> => panel(title).locator("tbody th").allTextContents();

describe("what it shows", () => {
    it.each(dashboards.map((one) => [one.uid, one.panels.filter(({ type }) => type !== "row")] as const))(
        "%s: every panel, drawn or with a word for why not",
        async (which, panels) => {
            await open(`/d/${which}?from=now-5m&to=now`);
            const seen = await tab
                .locator(".panel")
                .evaluateAll((cards) =>
                    cards.map((card: any) => [card.dataset.panel, card.classList[1], card.dataset.state]),
                );
            expect(seen.map(([title, kind]) => [title, kind])).toEqual(panels.map(({ title, type }) => [title, type]));
            expect(seen.filter(([, , state]) => !["drawn", "empty"].includes(state))).toEqual([]);
            for (const [title, kind, state] of seen) {
                const content = state === "empty" ? ".note" : kind === "stat" ? ".value" : ".plot canvas";
                expect(await panel(title).locator(content).count(), title).toBeGreaterThan(0);
                if (state === "empty") expect(await panel(title).locator(".note").textContent(), title).not.toBe("");
            }
        },
    );

    it("figures with their units and thresholds, a legend, and what each panel means and asks", async () => {
        await open();
        expect(await panel("Endpoint").locator(".value.green").textContent()).toBe("Up");
        expect(await panel("Replicas").first().locator(".value").textContent()).toBe("2");
        // The reference is dashed, with its unit.
        const target = panel("Time to first token").locator("tbody tr", { hasText: "target ministral" });
        expect(await target.locator("td").allTextContents()).toEqual(["1 s", "1 s"]);
        expect(await target.locator("line").getAttribute("stroke-dasharray")).not.toBeNull();
        await panel("Waiting").getByLabel("About Waiting").click();
        await panel("Waiting").getByText("see the runbook VllmQueueNotDraining").waitFor();
        expect(await panel("Waiting").locator("code").textContent()).toContain('model=~"ministral"');
        await tab.keyboard.press("Escape");
        await panel("Waiting").locator("details:not([open])").waitFor();
    });

    it("what lies under the pointer, with the alert that fires; the mark can be put away", async () => {
        await open();
        const hover = async (): Promise<void> => {
            // Away first: what was shown before must be gone, or it is taken for what comes.
            await tab.mouse.move(0, 0);
            await tab.locator("#tooltip").waitFor({ state: "hidden" });
            const plot = panel("Generated tokens, each replica").locator(".u-over");
            await plot.scrollIntoViewIfNeeded();
            const { width, height } = (await plot.boundingBox())!;
            await plot.hover({ position: { x: width - 20, y: height / 2 } });
            await tab.locator("#tooltip td").nth(1).waitFor();
        };
        await hover();
        expect(await tab.locator("#tooltip .mark.red").textContent()).toBe("MadeUpAlert");
        expect(await tab.locator("#tooltip td").allTextContents()).toEqual([
            expect.stringMatching(/tokens\/s$/),
            expect.anything(),
        ]);
        await tab.locator("#annotations").getByText("Alerts").click();
        await ready();
        expect(new URL(tab.url()).searchParams.get("annotation-Alerts")).toBe("false");
        await hover();
        // Not all marks: those of the replicas, which have just come, are another annotation.
        expect(await tab.locator("#tooltip .mark", { hasText: "MadeUpAlert" }).count()).toBe(0);
    });
});

describe("what can be chosen", () => {
    it("replicas: in the panels, the address and the other dashboards", async () => {
        await open();
        expect(await linesOf("Running requests, each replica")).toEqual(["vllm-ministral 0", "vllm-ministral 1"]);
        await tab.locator("[data-variable=replica] summary").click();
        await tab.locator("[data-variable=replica]").getByLabel("1", { exact: true }).check();
        await ready();
        expect(await linesOf("Running requests, each replica")).toEqual(["vllm-ministral 1"]);
        expect(new URL(tab.url()).searchParams.getAll("var-replica")).toEqual(["1"]);
        await tab.keyboard.press("Escape");
        await tab.getByRole("link", { name: "vLLM capacity and cost" }).click();
        await tab.waitForURL(/vllm-capacity-cost/);
        await ready();
        expect(await tab.locator("[data-variable=replica] summary").textContent()).toBe("Replica 1");
        expect(new URL(tab.url()).searchParams.get("from")).toBe("now-5m");
    });

    it("a time range: offered, given, drawn with the mouse", async () => {
        await open();
        await tab.locator(".range summary").click();
        await tab.getByRole("button", { name: "Last 15 minutes" }).click();
        await ready();
        expect(new URL(tab.url()).search).toBe("?from=now-15m&to=now");
        const plot = panel("Tokens").locator(".u-over");
        await plot.scrollIntoViewIfNeeded();
        const { x, y, width } = (await plot.boundingBox())!;
        await tab.mouse.move(x + width / 3, y + 20);
        await tab.mouse.down();
        await tab.mouse.move(x + (2 * width) / 3, y + 20, { steps: 4 });
        await tab.mouse.up();
        await tab.waitForURL(/from=\d+&to=\d+/);
        const { searchParams } = new URL(tab.url());
        const minutes = (Number(searchParams.get("to")) - Number(searchParams.get("from"))) / 60_000;
        expect(minutes).toBeGreaterThan(4.5);
        expect(minutes).toBeLessThan(5.5);
        // Before there was anything.
        await tab.locator(".range summary").click();
        await tab.getByLabel("From", { exact: true }).fill("2020-01-01T00:00:00");
        await tab.getByLabel("To", { exact: true }).fill("2020-01-01T01:00:00");
        await tab.getByRole("button", { name: "Show this range" }).click();
        await ready();
        await panel("Tokens").locator(".note", { hasText: "No data" }).waitFor();
        expect(await panel("First token, p95").locator(".note").textContent()).toBe("no requests");
        expect(await panel("Tokens").locator(".plot").isVisible()).toBe(false);
        expect(await tab.locator(".range summary").textContent()).toContain("1 Jan, 00:00:00 to 01:00:00");
    });

    it("how often it looks: by itself, and not at all", async () => {
        await open();
        const looks = async (seconds: number): Promise<number> => {
            let count = 0;
            const counting = (): void => void count++;
            tab.on("request", counting);
            await tab.waitForTimeout(seconds * 1000);
            tab.off("request", counting);
            return count;
        };
        await tab.getByLabel("Refresh", { exact: true }).selectOption("0");
        await ready();
        expect(await looks(6)).toBe(0);
        await tab.getByLabel("Refresh", { exact: true }).selectOption("5");
        await ready();
        expect(await looks(6)).toBeGreaterThan(0);
    });

    it("an address that is not understood is told, and one of nothing says what there is", async () => {
        await open(`/d/${uid}?from=now/w&to=now`);
        await tab.getByText("from=now/w, to=now is no time range that is understood here").waitFor();
        await open("/d/another");
        await tab.getByText("There is no dashboard another.").waitFor();
        await tab.getByRole("link", { name: "vLLM monitoring path" }).waitFor();
    });

    it("the way from the console and back", async () => {
        await open("/dashboards");
        expect(new URL(tab.url()).pathname).toBe(`/d/${uid}`);
        await tab.getByRole("link", { name: "Local OVHcloud" }).click();
        await tab.getByText("no grafana (12 or newer) on PATH").waitFor();
        await tab.getByRole("link", { name: "Dashboards", exact: true }).waitFor();
    });
});

describe("when something is wrong", () => {
    it("an error of Prometheus stands in the panel that it is of, as text", async () => {
        await open();
        const error = "parse error: <img src=x onerror=alert(1)>";
        await tab.route(/query_range.*num_preemptions_total/, (route) =>
            route.fulfill({ status: 400, json: { status: "error", error } }),
        );
        await tab.getByLabel("Refresh now").click();
        await panel("Preemptions").locator(".note", { hasText: error }).waitFor();
        await ready();
        expect(await panel("Preemptions").getAttribute("data-state")).toBe("failed");
        expect(await panel("Preemptions").locator(".plot").isVisible()).toBe(false);
        expect(await panel("KV cache usage").getAttribute("data-state")).toBe("drawn");
        // What the browser itself says of the refusal.
        problems = problems.filter((text) => !text.includes("400"));
    });

    it.each([
        ["is not there yet", undefined, "There is no Prometheus yet: it starts with the first cluster."],
        ["does not answer", "http://127.0.0.1:9", "No Prometheus at http://127.0.0.1:9"],
    ])("a Prometheus that %s: no old figures, and figures again when it is back", async (_, url, message) => {
        await open();
        prometheusUrl = url;
        await tab.getByLabel("Refresh now").click();
        await tab.locator("#message", { hasText: message }).waitFor();
        expect(await tab.locator(".value:visible, .plot:visible").count()).toBe(0);
        expect(await tab.locator("#connection").textContent()).toBe("no data");
        prometheusUrl = prometheus.url;
        await tab.getByLabel("Refresh now").click();
        await panel("Endpoint").getByText("Up", { exact: true }).waitFor();
        expect(await tab.locator("#message").textContent()).toBe("");
        problems = problems.filter((text) => !/50[23]/.test(text));
    });
});

describe("on every screen", () => {
    it.each(["light", "dark"] as const)("a phone needs no sideways scrolling, %s", async (colorScheme) => {
        await open(undefined, { viewport: { width: 360, height: 740 }, colorScheme });
        const { scroll, client } = await tab
            .locator("html")
            .evaluate((html: any) => ({ scroll: html.scrollWidth as number, client: html.clientWidth as number }));
        expect(scroll).toBe(client);
    });
});

describe("who may ask what", () => {
    function ask(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<number> {
        return new Promise((resolve, reject) => {
            const { host, port } = new URL(page.url);
            const options = { host: "127.0.0.1", port, method, path, headers: { host, ...headers } };
            const call = request(options, (answer) => {
                answer.resume();
                resolve(answer.statusCode!);
            });
            call.on("error", reject);
            call.end();
        });
    }
    const query = "/prometheus/api/v1/query?query=up";

    it("the console's own page, for data", async () => {
        expect(await ask(query)).toBe(200);
        expect(await ask("/prometheus/api/v1/query?query=up(")).toBe(400);
        expect(await ask(query, { origin: page.url })).toBe(200);
    });

    it("no other web site, and no name that somebody has pointed at 127.0.0.1", async () => {
        for (const path of [query, "/dashboards.json", `/d/${uid}`]) {
            expect(await ask(path, { origin: "https://elsewhere.example" }), path).toBe(403);
            expect(await ask(path, { host: `elsewhere.example:${new URL(page.url).port}` }), path).toBe(403);
        }
    });

    it("nobody for Prometheus' configuration or its end", async () => {
        for (const path of [
            "status/config",
            "status/flags",
            "targets",
            "admin/tsdb/snapshot",
            "label/../status/config/values",
        ]) {
            expect(await ask(`/prometheus/api/v1/${path}`), path).toBe(404);
        }
        expect(await ask("/prometheus/-/quit", { origin: page.url }, "POST")).toBe(404);
        expect(await ask(query, { origin: page.url }, "POST")).toBe(404);
    });

    it("a port of nobody is not guessed at", async () => {
        prometheusUrl = `http://127.0.0.1:${await freePort()}`;
        expect(await ask(query)).toBe(502);
    });
});
