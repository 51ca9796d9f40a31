import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { startRelay, type LocalRelay } from "../../../sandbox/prometheus/relay";
import { relayFiles } from "../../../src/monitoring/relay/manifests";
import type { Phase } from "../../../src/monitoring/relay/sleep";
import { appBody, projectId, scaling, startTestCloud, type TestCloud } from "../../sandbox/ovhcloud/cloud";

/** The relay as it runs in the cluster, and the emulated platform, a thousand times as fast as life. */
const speed = 1000;
const model = "Qwen/Qwen3-14B";
const credentials = {
    applicationKey: "ak",
    applicationSecret: "as",
    consumerKey: "ck",
    readerConsumerKey: "reader",
    accessToken: "made-up-access-token",
};

let cloud: TestCloud;
let relay: LocalRelay | undefined;
afterEach(async () => {
    await relay?.stop();
    await cloud.close();
    relay = undefined;
});

interface Watched {
    id: string;
    token: string;
    /** Scrapes like Prometheus until this holds. Returns what the last scrape brought. */
    until: (holds: () => boolean | Promise<boolean>) => Promise<string>;
    phase: () => Promise<Phase>;
    /** Requests that the app's address has answered, whoever asked. */
    answered: () => number;
    /** From now on it may sleep: not before, since a busy machine takes its time to begin. */
    letSleep: () => Promise<unknown>;
}

async function watch(consumerKey: string): Promise<Watched> {
    cloud = await startTestCloud({ speed, credentials, callsPerMinute: Infinity });
    const app = await cloud.api("POST", "/ai/app", appBody({ scalingStrategy: scaling() }));
    const id = app.id as string;
    const { url } = await cloud.until(id, "RUNNING", ({ state }) => state === "RUNNING");
    const made = await cloud.api("POST", "/ai/token", { name: "t", region: "GRA", role: "ai_training_read" });
    const token = made.status.value as string;
    const files = relayFiles({
        url,
        interval: 0.05,
        replicas: { min: 0, max: 1 },
        completions: { model, interval: 0.1, timeout: 5 },
        sleep: { after: 3600, api: cloud.cloud.url, project: projectId, app: id },
    });
    const mounted = { files, secrets: { token, key: `ak:as:${consumerKey}` } };
    const started = await startRelay({
        dir: mkdtempSync(join(tmpdir(), "relay-")),
        mounted,
        caFile: cloud.cloud.caFile,
        speed,
    });
    relay = started;
    const page = async (path: string): Promise<string> => (await fetch(`http://${started.address}${path}`)).text();
    return {
        id,
        token,
        letSleep: () =>
            cloud.api(
                "PUT",
                `/ai/app/${id}/scalingstrategy`,
                scaling({
                    replicasMin: 0,
                    scaleDownStabilizationWindowSeconds: 3000,
                    cooldownPeriodSeconds: 600,
                }),
            ),
        until: async (holds) => {
            for (;;) {
                const text = await page("/replicas");
                if (await holds()) return text;
                await sleep(40);
            }
        },
        phase: async () => {
            return /^vllm_relay_phase\{phase="(\w+)"\} 1$/m.exec(await page("/metrics"))![1] as Phase;
        },
        answered: () => Object.values(cloud.app(id).gateway.answers).reduce((sum, count) => sum + count, 0),
    };
}

describe.each(["metric", "calls"])("a model that %s keep awake, watched by its relay", (keptAwakeBy) => {
    it("falls asleep, gets no request in an idle hour, and is watched again when a user has woken it", async () => {
        const { id, token, until, phase, answered, letSleep } = await watch("reader");
        await cloud.control("POST", "sleep", { keptAwakeBy });
        const chat = { method: "POST", token, body: { model, messages: [{ role: "user", content: "Hi" }] } };
        expect((await cloud.ask(cloud.app(id), "/v1/chat/completions", chat)).status).toBe(200);
        expect(await until(() => answered() > 10)).toContain("vllm:num_requests_running{");

        await letSleep();
        await until(async () => (await phase()) === "asleep");
        const before = answered();
        const end = performance.now() + (3600 / speed) * 1000;
        expect(await until(() => performance.now() > end)).toBe("# not asked: the app is asleep\n");
        expect(cloud.app(id)).toMatchObject({ state: "STANDBY", replicas: [] });
        expect(answered() - before).toBe(0);

        expect((await cloud.ask(cloud.app(id), "/v1/chat/completions", chat)).status).toBe(503);
        await until(async () => (await phase()) === "awake");
        expect(await until(() => answered() > before + 5)).toContain("vllm:num_requests_running{");
        expect(cloud.cloud.violations()).toEqual([]);
    }, 180_000);
});

it("with a key that may not read the app, nothing of ours asks it", async () => {
    const { id, until, phase, answered, letSleep } = await watch("wrong");
    await letSleep();
    const end = performance.now() + 1000;
    expect(await until(() => performance.now() > end)).toBe("# not asked: the app is unknown\n");
    expect({ phase: await phase(), answered: answered() }).toEqual({ phase: "unknown", answered: 0 });
    await cloud.until(id, "asleep", ({ state }) => state === "STANDBY");
});

it("a key that reads apps can do nothing else", async () => {
    cloud = await startTestCloud({ credentials });
    const { StateReader } = await import("../../../src/monitoring/relay/app-state");
    const address = { api: cloud.cloud.url, project: projectId, app: "no-such-app" };
    const key = { applicationKey: "ak", applicationSecret: "as", consumerKey: "reader" };
    expect(await new StateReader(address, () => key).read()).toEqual({ state: "DELETED", replicas: 0 });
    const elsewhere = { ...address, app: "no-such-app/log" };
    await expect(new StateReader(elsewhere, () => key).read()).rejects.toThrow(
        "OVHcloud's API answers 403: appReaderKey may not read this app",
    );
});
