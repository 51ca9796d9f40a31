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

const apiOf = ({ cloud }: TestCloud) => ({ baseUrl: cloud.url, tokenUrl: `${cloud.url}/auth/oauth2/token` });

/** A service account with a policy as `src/monitoring/relay/app-reader.ts` makes them: `ID:SECRET`. */
async function readerAccount({ cloud }: TestCloud): Promise<string> {
    const call = async (path: string, body?: object): Promise<Record<string, string>> => {
        const headers = { authorization: `Bearer ${credentials.accessToken}`, "content-type": "application/json" };
        const method = body ? "POST" : "GET";
        const answer = await fetch(new URL(path, cloud.url), { method, headers, body: body && JSON.stringify(body) });
        return (await answer.json()) as Record<string, string>;
    };
    const order = { name: "app-reader", description: "of the tests", flow: "CLIENT_CREDENTIALS" };
    const { clientId, clientSecret } = await call("/v1/me/api/oauth2/client", order);
    const { identity } = await call(`/v1/me/api/oauth2/client/${clientId}`);
    await call("/v2/iam/policy", {
        name: "app-reader",
        identities: [identity],
        resources: [{ urn: `urn:v1:eu:resource:publicCloudProject:${projectId}` }],
        permissions: { allow: [{ action: "publicCloudProject:apiovh:ai/app/get" }] },
    });
    return `${clientId}:${clientSecret}`;
}

/** @param readerOf what the relay reads the app's state with */
async function watch(readerOf: (cloud: TestCloud) => string | Promise<string>): Promise<Watched> {
    cloud = await startTestCloud({ speed, credentials, callsPerMinute: Infinity });
    const key = await readerOf(cloud);
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
        sleep: { after: 3600, api: apiOf(cloud), project: projectId, app: id },
    });
    const mounted = { files, secrets: { token, key } };
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

const key = (consumerKey: string) => () => `ak:as:${consumerKey}`;

describe.each([
    ["metric", "a key", key("reader")],
    ["calls", "a service account", readerAccount],
])("a model that %s keep awake, watched by its relay with %s", (keptAwakeBy, _, readerOf) => {
    it("falls asleep, gets no request in an idle hour, and is watched again when a user has woken it", async () => {
        const { id, token, until, phase, answered, letSleep } = await watch(readerOf);
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
    const { id, until, phase, answered, letSleep } = await watch(key("wrong"));
    await letSleep();
    const end = performance.now() + 1000;
    expect(await until(() => performance.now() > end)).toBe("# not asked: the app is unknown\n");
    expect({ phase: await phase(), answered: answered() }).toEqual({ phase: "unknown", answered: 0 });
    await cloud.until(id, "asleep", ({ state }) => state === "STANDBY");
});

it.each([
    ["a key", key("reader")],
    ["a service account", readerAccount],
])("%s that reads apps can do nothing else, and what is refused is told without it", async (_, readerOf) => {
    cloud = await startTestCloud({ credentials });
    const { parseReader, StateReader } = await import("../../../src/monitoring/relay/app-state");
    const address = { api: apiOf(cloud), project: projectId, app: "no-such-app" };
    const text = await readerOf(cloud);
    const read = () => parseReader(text);
    expect(await new StateReader(address, read).read()).toEqual({ state: "DELETED", replicas: 0 });
    const elsewhere = new StateReader({ ...address, app: "no-such-app/log" }, read);
    const said = await elsewhere.read().catch((error: Error) => error.message);
    expect(said).toMatch(
        /^GET \/ai\/app\/no-such-app\/log: 403 .*: what the relay reads apps with may not read this one$/,
    );
    for (const part of text.split(":").filter((one) => one.length > 6)) expect(said).not.toContain(part);
});

it("an address that gives no tokens, or no time, does not make the app a deleted one", async () => {
    cloud = await startTestCloud({ credentials });
    const { parseReader, StateReader } = await import("../../../src/monitoring/relay/app-state");
    const api = { baseUrl: `${cloud.cloud.url}/nowhere`, tokenUrl: `${cloud.cloud.url}/nowhere` };
    for (const text of [await readerAccount(cloud), key("reader")()]) {
        const reader = new StateReader({ api, project: projectId, app: "no-such-app" }, () => parseReader(text));
        await expect(reader.read()).rejects.toThrow(/^(OAuth2 token|GET \/auth\/time): 40\d /);
    }
});
