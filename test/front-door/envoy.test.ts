import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startDoor, type LocalDoor } from "../../sandbox/front-door/local-door";
import { freePort } from "../../sandbox/http-server";
import { makeAuthority } from "../../sandbox/ovhcloud/certificates";
import { ensureEnvoy } from "../../sandbox/toolchain/envoy";
import { doorFiles, doorSecrets, type DoorSecrets } from "../../src/front-door/envoy";
import { appBody, scaling, startTestCloud, type TestCloud } from "../sandbox/ovhcloud/cloud";

/** A real Envoy with the program's configuration, before an app of the emulated OVHcloud that sleeps when nobody asks. */

const speed = 100;
const hold = { holdSeconds: 900, maxWaiting: 10 };
const keys = { search: "made-up-key-of-search", chat: "made-up-key-of-the-chat", slow: "made-up-key-of-a-slow-one" };
const model = "Qwen/Qwen3-14B";

let cloud: TestCloud;
let door: LocalDoor;
let program: string;
let dir: string;
let id: string;
let token: string;

const clients: DoorSecrets["clients"] = {
    search: { key: keys.search },
    chat: { key: keys.chat },
    slow: { key: keys.slow, requestsPerMinute: 3 },
};
const mounts = (app = id, opens = token, who = clients) => ({
    files: doorFiles({ url: cloud.app(app).url, tls: false, ...hold }),
    secrets: doorSecrets({ clients: who, token: opens, ...hold }),
});

async function newToken(name: string): Promise<{ id: string; value: string }> {
    const body = { name, region: "GRA", role: "ai_training_read", labelSelector: "group=tests" };
    const { id, status } = await cloud.api("POST", "/ai/token", body);
    return { id, value: status.value };
}

async function newApp(name: string): Promise<string> {
    const toZero = scaling({ replicasMin: 0, replicasMax: 1, cooldownPeriodSeconds: 60 });
    return (await cloud.api("POST", "/ai/app", appBody({ name, scalingStrategy: toZero }))).id;
}

beforeAll(async () => {
    program = await ensureEnvoy(console.log);
    dir = mkdtempSync(join(tmpdir(), "front door-"));
    cloud = await startTestCloud({ speed });
    await cloud.api("POST", "/ai/authorization");
    token = (await newToken("first")).value;
    id = await newApp("one");
    await cloud.until(id, "running", ({ state }) => state === "RUNNING");
    const port = await freePort();
    const caFile = cloud.cloud.caFile;
    door = await startDoor({ dir, program, port, mounts: mounts(), caFile, speed });
});
afterAll(async () => {
    await door?.stop();
    await cloud?.close();
    rmSync(dir, { recursive: true, force: true });
});

interface Asked {
    key?: string;
    stream?: boolean;
    options?: { include_usage: boolean };
    words?: number;
    named?: string;
    path?: string;
    headers?: Record<string, string>;
}

async function ask({ key = keys.search, stream, options, words = 4, named = model, path, headers }: Asked = {}) {
    const body = {
        model: named,
        messages: [{ role: "user", content: "Hi" }],
        max_tokens: words,
        stream,
        stream_options: options,
    };
    const answer = await fetch(`${door.url}${path ?? "/v1/chat/completions"}`, {
        method: "POST",
        headers: { "content-type": "application/json", ...(key && { authorization: `Bearer ${key}` }), ...headers },
        body: JSON.stringify({ ...body, ignore_eos: true }),
    });
    const parts: { at: number; text: string }[] = [];
    for await (const part of answer.body!) parts.push({ at: performance.now(), text: Buffer.from(part).toString() });
    const text = parts.map((part) => part.text).join("");
    return { status: answer.status, retryAfter: answer.headers.get("retry-after"), text, parts };
}

const asleep = (app = id) =>
    cloud.until(app, "asleep", ({ state, replicas }) => state === "STANDBY" && replicas.length === 0);

async function awake(app = id): Promise<void> {
    await ask();
    await cloud.until(app, "awake", ({ state, availableReplicas }) => state === "RUNNING" && availableReplicas > 0);
}

/** A series of the metrics page, summed over those whose labels hold all of these. */
async function metric(name: string, labels: Record<string, string> = {}): Promise<number> {
    const page = await (await fetch(`http://${door.metrics}/metrics`)).text();
    const lines = page.split("\n").filter((line) => line.startsWith(`${name}{`));
    const fits = lines.filter((line) =>
        Object.entries(labels).every(([key, value]) => line.includes(`${key}="${value}"`)),
    );
    return fits.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

const statuses = (answers: { status: number }[]) => answers.map(({ status }) => status).sort();

describe.sequential("a front door", () => {
    it("lets in whoever has a key, with the app's own token, and nobody else", async () => {
        const direct = await cloud.ask(cloud.app(id), "/v1/models", { token: keys.search });
        expect(direct.status).toBe(401);
        expect((await ask()).status).toBe(200);
        for (const key of ["", "made-up-key-of-searc", `${keys.search}x`, token]) {
            const { status, text } = await ask({ key });
            expect(status, key).toBe(401);
            expect(JSON.parse(text).error).toMatchObject({ code: "invalid_api_key" });
        }
        expect(await ask({ path: "/metrics" })).toMatchObject({ status: 404 });
        expect(await ask({ path: "/v1/../metrics" })).toMatchObject({ status: 404 });
    });

    it("hands vLLM's own refusals on", async () => {
        const { status, text } = await ask({ named: "no-such-model" });
        expect(status).toBe(404);
        expect(text).toContain("NotFoundError");
    });

    it("passes a stream on as it comes", async () => {
        const { status, parts } = await ask({ stream: true, words: 300 });
        expect(status).toBe(200);
        expect(parts.length).toBeGreaterThan(5);
        expect(parts.at(-1)!.at).toBeGreaterThan(parts[0].at);
    });

    it("asks nobody by itself: an app that nobody asks falls asleep, and stays so", async () => {
        await asleep();
        const before = { ...cloud.app(id).gateway?.answers };
        await sleep(3000); // five minutes of the platform's
        await metric("envoy_server_uptime");
        expect(cloud.app(id).state).toBe("STANDBY");
        expect({ ...cloud.app(id).gateway?.answers }).toEqual(before);
    });

    it("holds as many as may wait while the app wakes, and turns the others away at once", async () => {
        await asleep();
        const began = performance.now();
        const answers = await Promise.all(
            Array.from({ length: 16 }, async () => ({ ...(await ask()), seconds: (performance.now() - began) / 1000 })),
        );
        expect(statuses(answers)).toEqual([...Array<number>(10).fill(200), ...Array<number>(6).fill(503)]);
        const held = answers.filter(({ status }) => status === 200);
        const refused = answers.filter(({ status }) => status === 503);
        expect(Math.max(...refused.map(({ seconds }) => seconds))).toBeLessThan(
            Math.min(...held.map(({ seconds }) => seconds)),
        );
        for (const { retryAfter } of refused) expect(Number(retryAfter)).toBeGreaterThan(0);
    });

    it("passes them all where the platform holds what wakes an app", async () => {
        await cloud.control("POST", "sleep", { wakingRequest: "held" });
        await asleep();
        const answers = await Promise.all(Array.from({ length: 16 }, () => ask()));
        await cloud.control("POST", "sleep", { wakingRequest: "refused" });
        expect(statuses(answers)).toEqual(Array<number>(16).fill(200));
    });

    it("counts each consumer's requests by what came of them, tries of held ones left out", async () => {
        const used = (consumer: string, code: string) =>
            metric("envoy_vhost_route_upstream_rq", { envoy_route: consumer, envoy_response_code: code });
        await awake();
        const before = [await used("search", "200"), await used("chat", "200"), await used("search", "503")];
        const times = [...Array<string>(5).fill(keys.search), ...Array<string>(3).fill(keys.chat)];
        await Promise.all(times.map((key) => ask({ key })));
        const after = [await used("search", "200"), await used("chat", "200"), await used("search", "503")];
        expect(after.map((count, index) => count - before[index])).toEqual([5, 3, 0]);
        expect(before[2]).toBe(6); // those that were turned away
    });

    it("counts each consumer's tokens as the engine does, and what tells of none by itself", async () => {
        const count = (name: string, consumer: string) => metric(`envoy_door_${name}`, { consumer });
        const ofEngine = async (name: string) => {
            const { body } = await cloud.ask(cloud.app(id), "/metrics", { token });
            return Number(new RegExp(`^vllm:${name}_tokens_total\\{.*\\} (\\S+)$`, "m").exec(body)![1]);
        };
        const read = () =>
            Promise.all([
                ...["prompt_tokens", "generated_tokens"].flatMap((name) => [
                    count(name, "search"),
                    count(name, "chat"),
                ]),
                ...["prompt", "generation"].map(ofEngine),
                count("answers_without_usage", "chat"),
            ]);
        const before = await read();
        await ask({ words: 7 });
        await ask({ words: 5, stream: true, options: { include_usage: true }, key: keys.chat });
        await ask({ words: 3, stream: true, key: keys.chat });
        const grown = (await read()).map((value, index) => value - before[index]);
        const [promptSearch, promptChat, search, chat, prompts, generated, without] = grown;
        expect({ search, chat, generated, without }).toEqual({ search: 7, chat: 5, generated: 15, without: 1 });
        expect(promptSearch).toBeGreaterThan(0);
        // Of the three that have the same prompt, two have told.
        expect(promptSearch + promptChat).toBe((prompts * 2) / 3);
    });

    it("lets a consumer with a limit ask as often as that, and the others go on", async () => {
        const answers = await Promise.all(Array.from({ length: 5 }, () => ask({ key: keys.slow })));
        expect(statuses(answers)).toEqual([200, 200, 200, 429, 429]);
        expect(answers.find(({ status }) => status === 429)!.retryAfter).toBe("20");
        expect((await ask()).status).toBe(200);
        expect(
            await metric("envoy_http_local_rate_limit_rate_limited", { envoy_local_http_ratelimit_prefix: "slow" }),
        ).toBe(2);
    });

    it("believes nobody how often to try", async () => {
        const retried = await metric("envoy_vhost_route_upstream_rq_retry", { envoy_route: "search" });
        const headers = {
            "x-envoy-retry-on": "retriable-4xx,5xx,gateway-error",
            "x-envoy-retriable-status-codes": "404",
        };
        await ask({ named: "no-such-model", headers });
        expect(await metric("envoy_vhost_route_upstream_rq_retry", { envoy_route: "search" })).toBe(retried);
    });

    it("takes another token of the app, other keys and other limits while streams run, and cuts none", async () => {
        await awake();
        const second = await newToken("second");
        const under = Array.from({ length: 4 }, () => ask({ stream: true, words: 400 }));
        const rotated = { ...clients, chat: { key: "made-up-key-of-the-chat-2" }, slow: { key: keys.slow } };
        door.update(mounts(id, second.value, rotated));
        await expect.poll(async () => (await ask({ key: rotated.chat.key })).status, { timeout: 20_000 }).toBe(200);
        expect((await ask({ key: keys.chat })).status).toBe(401);
        for (const { status, text } of await Promise.all(under)) {
            expect(status).toBe(200);
            expect(text).toContain("[DONE]");
        }
        // The token of before opens nothing any more, and nobody notices.
        const { id: first } = (await cloud.api("GET", "/ai/token")).find((one: any) => one.spec.name === "first");
        await cloud.api("DELETE", `/ai/token/${first}`);
        expect((await ask()).status).toBe(200);
        token = second.value;
        door.update(mounts());
    });

    it("serves TLS with its certificate, and takes in the next one while it runs", async () => {
        const authority = await makeAuthority("CN=an authority of this test");
        const [first, next] = await Promise.all(
            ["one.example.org", "two.example.org"].map((name) => authority.issue(`CN=${name}`, { names: [name] })),
        );
        const secured = (tls: typeof first) => ({
            files: doorFiles({ url: cloud.app(id).url, tls: true, ...hold }),
            secrets: doorSecrets({ clients, token, tls, ...hold }),
        });
        const [own, port, caFile] = [join(dir, "tls"), await freePort(), cloud.cloud.caFile];
        const other = await startDoor({ dir: own, program: program, port, mounts: secured(first), caFile, speed });
        const subject = () =>
            new Promise<string>((resolve, reject) => {
                const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
                    resolve(socket.getPeerCertificate().subject.CN);
                    socket.destroy();
                }).on("error", reject);
            });
        try {
            expect(other.url).toMatch(/^https:/);
            expect(await subject()).toBe("one.example.org");
            other.update(secured(next));
            await expect.poll(subject, { timeout: 20_000 }).toBe("two.example.org");
        } finally {
            await other.stop();
        }
    });

    it("holds requests for an app that is replaced, and sends them to the one that takes its place", async () => {
        await asleep();
        await cloud.api("PUT", `/ai/app/${id}/stop`);
        await cloud.until(id, "stopped", ({ state }) => state === "STOPPED");
        const waiting = Array.from({ length: 5 }, () => ask());
        const next = await newApp("two");
        await cloud.until(next, "running", ({ state }) => state === "RUNNING");
        door.update(mounts(next));
        expect(statuses(await Promise.all(waiting))).toEqual(Array<number>(5).fill(200));
        id = next;
    });

    it("says 503 and when to ask again after its time, and at once for an app that is gone", async () => {
        await cloud.api("PUT", `/ai/app/${id}/stop`);
        await cloud.until(id, "stopped", ({ state }) => state === "STOPPED");
        const tried = await metric("envoy_vhost_route_upstream_rq_retry_limit_exceeded", { envoy_route: "search" });
        const late = await ask();
        expect(late.status).toBe(503);
        expect(Number(late.retryAfter)).toBeGreaterThan(0);
        expect(await metric("envoy_vhost_route_upstream_rq_retry_limit_exceeded", { envoy_route: "search" })).toBe(
            tried + 1,
        );
        await cloud.api("DELETE", `/ai/app/${id}`);
        const gone = await ask();
        expect(gone).toMatchObject({ status: 503, retryAfter: "30" });
        expect(JSON.parse(gone.text).error.code).toBe("service_unavailable");
    });

    it("has written no key and no token into its log, nor into its command line", async () => {
        const secrets = [...Object.values(keys), token];
        const said = [readFileSync(door.logFile, "utf8"), readFileSync(`/proc/${door.pid}/cmdline`, "utf8")].join("");
        for (const secret of secrets) expect(said).not.toContain(secret);
        expect(said).toContain("envoy");
        // Of its configuration it finds nothing to complain of.
        expect(said).not.toMatch(/deprecated|\[(error|critical)\]/i);
    });
});
