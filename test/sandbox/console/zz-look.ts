import { chromium } from "playwright-core";
import { setTimeout as sleep } from "node:timers/promises";
import { resolveCredentials } from "../../../packages/ai-deploy/src/credentials";
import { startConsole } from "../../../sandbox/console/console";
import { startRunningApp } from "../running-app";
import { projectId } from "../ovhcloud/cloud";
import { findChromium } from "./chromium";
(async () => {
    const app = await startRunningApp({ min: 1, max: 3 }, { speed: 60 });
    const page = await startConsole({
        cloud: app.cloud,
        credentials: resolveCredentials({ config: () => undefined, env: app.env, files: [] }),
        projectId,
        prometheusUrl: () => undefined,
        env: { ...app.env, OVH_AI_DEPLOY_POLL_MS: "500" },
        dir: "/tmp/console-look",
        kubeconfig: "/home/you/ovhcloud/.sandbox/kubeconfig",
    });
    const browser = await chromium.launch({ executablePath: findChromium(), args: ["--no-sandbox"] });
    const tab = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    tab.on("console", (m) => console.log("console", m.type(), m.text()));
    tab.on("pageerror", (e) => console.log("pageerror", e.message));
    await tab.goto(page.url);
    await sleep(2000);
    await tab.fill("[name=workers]", "160");
    await tab.fill("[name=requests]", process.argv[2] ?? "15");
    await tab.click("#load-form .primary");
    await sleep(Number(process.argv[3] ?? 60) * 1000);
    await tab.screenshot({ path: "/tmp/light.png", fullPage: true });
    await tab.emulateMedia({ colorScheme: "dark" });
    await sleep(1500);
    await tab.screenshot({ path: "/tmp/dark.png", fullPage: true });
    await tab.setViewportSize({ width: 390, height: 844 });
    await sleep(1500);
    await tab.screenshot({ path: "/tmp/phone-dark.png", fullPage: true });
    await tab.emulateMedia({ colorScheme: "light" });
    await sleep(1500);
    await tab.screenshot({ path: "/tmp/phone.png", fullPage: true });
    await tab.setViewportSize({ width: 1440, height: 900 });
    for (let i = 0; i < 60 && (await tab.textContent("#load-state"))?.startsWith("Running"); i++) await sleep(1000);
    await sleep(12000);
    await tab.screenshot({ path: "/tmp/end.png", fullPage: true });
    console.log(await tab.textContent("#load-state"));
    console.log(await tab.textContent("#decisions"));
    await browser.close();
    await page.close();
    await app.close();
})().catch((e) => {
    console.error(e);
    process.exit(1);
});
