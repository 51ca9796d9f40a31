import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startDoor, type LocalDoor } from "../../sandbox/front-door/local-door";
import { freePort } from "../../sandbox/http-server";
import { ensureEnvoy } from "../../sandbox/toolchain/envoy";
import { bootstrapFile, doorFiles, doorSecrets } from "../../src/front-door/envoy";
import { frontDoorMetrics } from "../../src/monitoring/metrics";
import type { Metric } from "../../src/vllm/metrics";

/** A real Envoy with the program's configuration, before an app that answers as each test has it: badly, in parts, or not at all. */

const keys = { search: "made-up-key-of-search", chat: "made-up-key-of-the-chat", mail: "made-up-key-of-the-mail" };
const hold = { holdSeconds: 900, maxWaiting: 10 };
const speed = 100;

type Answering = (response: ServerResponse, request: IncomingMessage, body: string) => unknown;

let dir: string;
let door: LocalDoor;
let app: Server;
let appPort: number;
let answering: Answering;
/** Bodies of the POSTs that have come in whole. */
let asked: string[] = [];

async function listen(): Promise<void> {
    app = createServer((request, response) => {
        let body = "";
        request.setEncoding("utf8").on("data", (part: string) => (body += part));
        request.on("end", () => {
            if (request.method === "POST") asked.push(body);
            answering(response, request, body);
        });
    });
    app.listen(appPort, "127.0.0.1");
    await once(app, "listening");
}

async function close(): Promise<void> {
    app.closeAllConnections();
    await new Promise((resolve) => app.close(resolve));
}

beforeAll(async () => {
    const program = await ensureEnvoy(console.log);
    dir = mkdtempSync(join(tmpdir(), "front door-"));
    appPort = await freePort();
    await listen();
    const caFile = join(dir, "ca.pem");
    writeFileSync(caFile, "");
    const clients = {
        search: { key: keys.search },
        chat: { key: keys.chat, requestsPerMinute: 60_000 },
        mail: { key: keys.mail },
    };
    const mounts = {
        files: doorFiles({ url: `http://127.0.0.1:${appPort}`, tls: false, ...hold }),
        secrets: doorSecrets({ clients, token: "made-up-token", ...hold }),
    };
    door = await startDoor({ dir, program, port: await freePort(), mounts, caFile, speed });
});
afterAll(async () => {
    await door?.stop();
    await close();
    rmSync(dir, { recursive: true, force: true });
});

interface Got {
    status: number;
    body: Buffer;
    /** Why the body ended before its end. */
    cut?: string;
    retryAfter: string | null;
}

async function post(answer: Answering, { key = keys.search, path = "/v1/chat/completions" } = {}): Promise<Got> {
    answering = answer;
    asked = [];
    const response = await fetch(door.url + path, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify({ messages: "made up" }),
    });
    const parts: Uint8Array[] = [];
    let cut: string | undefined;
    try {
        for await (const part of response.body!) parts.push(part as Uint8Array);
    } catch (error) {
        cut = (error as Error).message;
    }
    const body = Buffer.concat(parts);
    return { status: response.status, body, cut, retryAfter: response.headers.get("retry-after") };
}

const page = async () => (await fetch(`http://${door.metrics}/metrics`)).text();
/** A series of a consumer's, by the name in the catalogue. */
async function counted({ name }: Metric, consumer = "search"): Promise<number> {
    const lines = (await page()).split("\n");
    const fits = lines.filter((line) => line.startsWith(`${name}{`) && line.includes(`="${consumer}"`));
    return fits.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

const event = (content: object) => `data: ${JSON.stringify(content)}\n\n`;
const delta = (content: string) => event({ object: "chat.completion.chunk", choices: [{ delta: { content } }] });
const usage = {
    prompt_tokens: 11,
    total_tokens: 18,
    completion_tokens: 7,
    prompt_tokens_details: { cached_tokens: 3 },
};
const streamed = (response: ServerResponse) => response.writeHead(200, { "content-type": "text/event-stream" });
const json = (response: ServerResponse, content: object) =>
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(content));

describe.sequential("a request through a front door", () => {
    it("that has begun to be answered is cut where the app cuts it, and is not asked again", async () => {
        const { status, body, cut } = await post(async (response) => {
            streamed(response).write(delta("one"));
            await sleep(100);
            response.destroy();
        });
        expect({ status, body: body.toString() }).toEqual({ status: 200, body: delta("one") });
        expect(cut).toBeDefined();
        expect(asked).toHaveLength(1);
    });

    it("whose answer is cut after its head is not asked again either", async () => {
        const { status, cut } = await post(async (response) => {
            streamed(response).flushHeaders();
            await sleep(100);
            response.destroy();
        });
        expect(status).toBe(200);
        expect(cut).toBeDefined();
        expect(asked).toHaveLength(1);
    });

    it("that is cut before a word of an answer is not asked again: it may have been worked on", async () => {
        const { status } = await post((response) => response.destroy());
        expect(status).toBe(503);
        expect(asked).toHaveLength(1);
    });

    it.each([500, 502, 504, 429])("that is answered %i is not asked again", async (failure) => {
        const { status, body } = await post((response) => response.writeHead(failure).end("its own words"));
        expect({ status, body: body.toString() }).toEqual({ status: failure, body: "its own words" });
        expect(asked).toHaveLength(1);
    });

    it("that is answered 503 is asked again, whole, and as often as it takes, and no oftener", async () => {
        let times = 0;
        const { status } = await post((response) =>
            ++times < 4 ? response.writeHead(503).end("no replica") : json(response, { usage }),
        );
        expect(status).toBe(200);
        expect(asked).toEqual(Array<string>(4).fill('{"messages":"made up"}'));
    });

    it("that finds no connection is asked once there is one, once", async () => {
        await close();
        const waiting = post((response) => json(response, { usage }));
        await expect.poll(() => counted(frontDoorMetrics.requests, "search")).toBeGreaterThan(0);
        await sleep(500);
        await listen();
        expect((await waiting).status).toBe(200);
        expect(asked).toHaveLength(1);
    });
});

describe.sequential("whoever waits at a front door", () => {
    const remaining = async () => {
        const { name } = frontDoorMetrics.placesLeft;
        return Number(new RegExp(`^${name}\\{.*"app".*\\} (\\d+)$`, "m").exec(await page())?.[1]);
    };

    /** So many clients whose requests are held, until they leave. */
    async function waiting(count: number) {
        const leaving = new AbortController();
        answering = (response) => response.writeHead(503).end();
        const headers = { authorization: `Bearer ${keys.search}` };
        const init = { method: "POST", headers, body: "{}", signal: leaving.signal };
        const answers = Array.from({ length: count }, () =>
            fetch(`${door.url}/v1/completions`, init).then(
                ({ status }) => status,
                (error: Error) => error.name,
            ),
        );
        return { answers, leave: () => leaving.abort() };
    }

    it("and leaves makes room for another one", async () => {
        const { answers, leave } = await waiting(hold.maxWaiting);
        await expect.poll(remaining).toBe(0);
        expect((await post((response) => response.writeHead(503).end())).status).toBe(503);
        leave();
        expect(await Promise.all(answers)).toEqual(Array<string>(hold.maxWaiting).fill("AbortError"));
        await expect.poll(remaining).toBe(hold.maxWaiting);
        let times = 0;
        const next = await post((response) =>
            ++times < 4 ? response.writeHead(503).end() : json(response, { usage }),
        );
        expect(next.status).toBe(200);
    });

    it("and is answered in the end makes room at the answer's first byte, however long that lasts", async () => {
        const { answers, leave } = await waiting(hold.maxWaiting);
        await expect.poll(remaining).toBe(0);
        answering = (response) => streamed(response).write(delta("one"));
        expect(await Promise.all(answers)).toEqual(Array<number>(hold.maxWaiting).fill(200));
        expect(await remaining()).toBe(hold.maxWaiting);
        leave();
    });
});

describe.sequential("a front door is not got round", () => {
    /** What stands on the wire, and what comes back. */
    async function raw(lines: string[], port = Number(new URL(door.url).port)): Promise<string> {
        const socket = connect(port, "127.0.0.1");
        socket.write([...lines, "Host: door", "", ""].join("\r\n"));
        let text = "";
        socket.on("data", (data) => {
            text += data.toString("latin1");
            if (text.includes("\r\n\r\n")) socket.end();
        });
        await once(socket, "close");
        return text;
    }
    const status = (text: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
    const key = `Authorization: Bearer ${keys.search}`;
    let reached: IncomingMessage[];
    beforeEach(() => {
        reached = [];
        answering = (response, request) => {
            reached.push(request);
            json(response, {});
        };
    });

    it.each([
        "/metrics",
        "/v1",
        "//metrics",
        "/v1/../metrics",
        "/v1/%2e%2e/metrics",
        "/v1/..%2fmetrics",
        "/v1/%2e%2e%2fmetrics",
        "/v1/..%5cmetrics",
        "/v1/..\\metrics",
        "/v1/.%2e/.%2E/metrics",
        "/v1/..;/metrics",
        "/v1/x/..;a=b/..;/metrics",
        "http://other/metrics",
        "/V1/models",
        "/%76%31/../metrics",
    ])("by the path %s", async (path) => {
        expect(status(await raw([`GET ${path} HTTP/1.1`, key]))).toBeGreaterThanOrEqual(400);
        expect(reached).toHaveLength(0);
    });

    it.each(["//v1//models", "/v1/x/../models", "//v1//..//models", "http://other/v1/models"])(
        "%s is /v1/models",
        async (path) => {
            expect(status(await raw([`GET ${path} HTTP/1.1`, key]))).toBe(200);
            expect(reached.map(({ url }) => url)).toEqual(["/v1/models"]);
        },
    );

    it("by two keys, none, or a method of its own", async () => {
        expect(status(await raw(["GET /v1/models HTTP/1.1", key, `Authorization: Bearer ${keys.chat}`]))).toBe(401);
        expect(status(await raw(["GET /v1/models HTTP/1.1", "Authorization: Bearer "]))).toBe(401);
        expect(status(await raw(["GET /v1/models HTTP/1.1", key.replace("Bearer", "bearer")]))).toBe(401);
        expect(status(await raw(["CONNECT /v1/models HTTP/1.1", key]))).toBeGreaterThanOrEqual(400);
        expect(reached).toHaveLength(0);
    });

    it("by an upgrade to another protocol", async () => {
        const lines = [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: eA==",
        ];
        expect(status(await raw(["GET /v1/realtime HTTP/1.1", key, ...lines]))).toBe(403);
        expect(reached).toHaveLength(0);
    });

    it("by headers that are longer than it takes", async () => {
        expect(status(await raw(["GET /v1/models HTTP/1.1", key, `X-Long: ${"x".repeat(80_000)}`]))).toBe(431);
        expect(reached).toHaveLength(0);
    });

    it("and hands on neither the client's key nor Envoy's headers", async () => {
        const forged = ["X-Envoy-Max-Retries: 9", "X-Envoy-Retry-On: 5xx", "X-Envoy-Upstream-Rq-Timeout-Ms: 1"];
        expect(status(await raw(["GET /v1/models HTTP/1.1", key, ...forged]))).toBe(200);
        const { headers } = reached[0];
        expect(headers.authorization).toBe("Bearer made-up-token");
        expect(Object.keys(headers).filter((name) => /max-retries|retry-on|timeout-ms/.test(name))).toEqual([]);
        expect(JSON.stringify(headers)).not.toContain(keys.search);
    });

    it("whoever speaks HTTP/2 is let in like the others", async () => {
        const session = connectHttp2(door.url);
        const ask = (authorization: string) =>
            new Promise<number>((resolve, reject) => {
                const request = session.request({ ":path": "/v1/models", authorization });
                request.on("response", (headers) => resolve(headers[":status"]!)).on("error", reject);
                request.resume().end();
            });
        try {
            expect(await ask(`Bearer ${keys.search}`)).toBe(200);
            expect(await ask("Bearer made-up-wrong-key")).toBe(401);
        } finally {
            session.destroy();
        }
    });
});

describe.sequential("of the answers of an app a front door counts", () => {
    /** What a consumer's counters grow by, when this is answered. */
    async function growth(answer: Answering, more: Parameters<typeof post>[1] = {}) {
        const { promptTokens, generatedTokens, uncounted } = frontDoorMetrics;
        const read = () => Promise.all([promptTokens, generatedTokens, uncounted].map((metric) => counted(metric)));
        const before = await read();
        const got = await post(answer, more);
        const after = await read();
        const [prompt, generated, without] = after.map((value, index) => value - before[index]);
        return { got, prompt, generated, without };
    }

    it("the tokens of one that comes at once, and changes nothing of it", async () => {
        const content = { choices: [{ message: { content: "Hi" } }], usage };
        const { got, ...tokens } = await growth((response) => json(response, content));
        expect(tokens).toEqual({ prompt: 11, generated: 7, without: 0 });
        expect(JSON.parse(got.body.toString())).toEqual(content);
    });

    it("those of a stream, wherever its parts begin and end", async () => {
        const all = delta("Hi") + event({ choices: [], usage }) + "data: [DONE]\n\n";
        const at = all.indexOf('"usage"');
        for (const cut of [at + 3, at + 8, at + 9, at + 25, all.indexOf("}}", at) + 1]) {
            const { got, ...tokens } = await growth(async (response) => {
                streamed(response).write(all.slice(0, cut));
                await sleep(30);
                response.end(all.slice(cut));
            });
            expect(tokens, `cut at ${all.slice(cut - 5, cut + 5)}`).toEqual({ prompt: 11, generated: 7, without: 0 });
            expect(got.body.toString()).toBe(all);
        }
    });

    it("the last of those that a stream tells again and again", async () => {
        const { got, ...tokens } = await growth((response) => {
            streamed(response);
            for (let n = 1; n <= 7; n++) {
                response.write(event({ choices: [], usage: { ...usage, completion_tokens: n } }));
            }
            response.end();
        });
        expect(got.status).toBe(200);
        expect(tokens).toEqual({ prompt: 11, generated: 7, without: 0 });
    });

    it("those of Anthropic's API, which tells them in two parts", async () => {
        const { got, ...tokens } = await growth((response) => {
            streamed(response).write(event({ message: { usage: { input_tokens: 11, output_tokens: 0 } } }));
            response.end(event({ type: "message_delta", usage: { output_tokens: 7 } }));
        });
        expect(got.status).toBe(200);
        expect(tokens).toEqual({ prompt: 11, generated: 7, without: 0 });
    });

    it("those of an app that would compress its answers, whose refusals stay what they are", async () => {
        const packed =
            (status: number, content: object): Answering =>
            (response, { headers }) => {
                const asked = headers["accept-encoding"]?.includes("gzip");
                response.writeHead(status, {
                    "content-type": "application/json",
                    ...(asked && { "content-encoding": "gzip" }),
                });
                response.end(asked ? gzipSync(JSON.stringify(content)) : JSON.stringify(content));
            };
        const { got, ...tokens } = await growth(packed(200, { usage }));
        expect(tokens).toEqual({ prompt: 11, generated: 7, without: 0 });
        expect(JSON.parse(got.body.toString())).toEqual({ usage });
        const refused = await post(packed(404, { error: { type: "NotFoundError" } }));
        expect({ status: refused.status, text: refused.body.toString() }).toMatchObject({
            status: 404,
            text: expect.stringContaining("NotFoundError"),
        });
    });

    it("nothing that stands in a text", async () => {
        const text = '"usage":{"prompt_tokens":999,"completion_tokens":999}';
        const { got, ...tokens } = await growth((response) => json(response, { choices: [{ text }] }));
        expect(tokens).toEqual({ prompt: 0, generated: 0, without: 1 });
        expect(got.body.toString()).toContain("999");
    });

    it.each([
        ["is no JSON", '{"usage":{"prompt_tokens":'],
        ["has words for numbers", '{"usage":{"prompt_tokens":"many"}}'],
        ["has none", '{"usage":null}'],
        ["is empty", ""],
        ["is binary", Buffer.from([0, 255, 128, 34, 10, 0]).toString("latin1")],
    ])("none where the answer %s, which comes through as it is", async (_, text) => {
        const { got, ...tokens } = await growth((response) =>
            response.writeHead(200, { "content-type": "application/json" }).end(Buffer.from(text, "latin1")),
        );
        expect(tokens).toEqual({ prompt: 0, generated: 0, without: 1 });
        expect(got.body.toString("latin1")).toBe(text);
    });

    it("none of a list of models", async () => {
        const before = await counted(frontDoorMetrics.uncounted);
        answering = (response) => json(response, { data: [] });
        const headers = { authorization: `Bearer ${keys.search}` };
        expect((await fetch(`${door.url}/v1/models`, { headers })).status).toBe(200);
        expect(await counted(frontDoorMetrics.uncounted)).toBe(before);
    });

    it("one whose client leaves as without a count, and the time that it took", async () => {
        const before = await counted(frontDoorMetrics.uncounted);
        answering = (response) => streamed(response).write(delta("one"));
        const leaving = new AbortController();
        const headers = { authorization: `Bearer ${keys.search}` };
        const init = { method: "POST", headers, body: "{}", signal: leaving.signal };
        const { body } = await fetch(`${door.url}/v1/chat/completions`, init);
        await body!.getReader().read();
        leaving.abort();
        await expect.poll(() => counted(frontDoorMetrics.uncounted)).toBe(before + 1);
    });

    it("each consumer by itself", async () => {
        const { got, ...tokens } = await growth((response) => json(response, { usage }), { key: keys.chat });
        expect(got.status).toBe(200);
        expect(tokens).toEqual({ prompt: 0, generated: 0, without: 0 });
        expect(await counted(frontDoorMetrics.generatedTokens, "chat")).toBe(7);
    });

    it("a large one without keeping it", async () => {
        const residentMiB = () =>
            Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${door.pid}/status`, "utf8"))![1]) / 1024;
        const part = Buffer.alloc(1024 ** 2, "x");
        const before = residentMiB();
        const { got, ...tokens } = await growth(async (response) => {
            response.writeHead(200, { "content-type": "application/json" });
            for (let n = 0; n < 100; n++) if (!response.write(part)) await once(response, "drain");
            response.end(JSON.stringify({ usage }));
        });
        expect(got.body.length).toBeGreaterThan(100 * 1024 ** 2);
        expect(tokens).toEqual({ prompt: 11, generated: 7, without: 0 });
        expect(residentMiB() - before).toBeLessThan(50);
    });

    it("how long each was held, took to its first byte, and lasted", async () => {
        const { firstByte, held, heldInAll, lastedInAll } = frontDoorMetrics;
        let times = 0;
        await post(
            async (response) => {
                if (++times < 4) return void response.writeHead(503).end();
                await sleep(400);
                streamed(response).write(delta("one"));
                await sleep(600);
                response.end();
            },
            { key: keys.mail },
        );
        const [wait, all] = [await counted(heldInAll, "mail"), await counted(lastedInAll, "mail")];
        expect(wait).toBeGreaterThan(0);
        expect(all - wait).toBeGreaterThanOrEqual(990);
        // Envoy puts histograms on the page every five seconds, with two digits of each value.
        const within = async (name: string, le: string) => {
            const start = `${name}_bucket{consumer="mail",le="${le}"} `;
            return (await page())
                .split("\n")
                .find((line) => line.startsWith(start))
                ?.slice(start.length);
        };
        await expect.poll(() => within(firstByte.name, "+Inf"), { timeout: 20_000 }).toBe("1");
        expect(await within(firstByte.name, "250")).toBe("0");
        expect(await within(held.name, "+Inf")).toBe("1");
    });

    it("what the catalogue of metrics says, under its names and of its kinds", async () => {
        const text = await page();
        for (const { name, type } of Object.values(frontDoorMetrics)) {
            expect(text, name).toContain(`# TYPE ${name} ${type}\n`);
        }
    });

    it("and finds nothing to complain of in its configuration, or of what came", () => {
        expect(readFileSync(door.logFile, "utf8")).not.toMatch(/deprecated|\[(error|critical)\]/i);
    });
});

describe.sequential("a front door that is full", () => {
    /** One more, before the same app, with something of its configuration otherwise. */
    async function fullDoor(change: (text: string) => string, use: (full: LocalDoor) => Promise<void>): Promise<void> {
        const { [bootstrapFile]: text, ...others } = doorFiles({
            url: `http://127.0.0.1:${appPort}`,
            tls: false,
            ...hold,
        });
        const changed = change(text);
        expect(changed).not.toBe(text);
        const mounts = {
            files: { ...others, [bootstrapFile]: changed },
            secrets: doorSecrets({ clients: { search: { key: keys.search } }, token: "made-up-token", ...hold }),
        };
        const own = { dir: join(dir, "full"), port: await freePort(), program: await ensureEnvoy(console.log), mounts };
        const full = await startDoor({ ...own, caFile: join(dir, "ca.pem"), speed });
        try {
            await use(full);
        } finally {
            await full.stop();
            rmSync(own.dir, { recursive: true, force: true });
        }
    }
    const healthy = async ({ metrics }: LocalDoor) =>
        (await fetch(`http://${metrics}/healthz`, { signal: AbortSignal.timeout(5000) })).status;

    // Else the kubelet would take it for dead, and end it with all that it has.
    it("of connections still says that it lives, and what it does", async () => {
        const few = (text: string) =>
            text.replace('"max_active_downstream_connections": "5000"', '"max_active_downstream_connections": "5"');
        await fullDoor(few, async (full) => {
            const port = Number(new URL(full.url).port);
            const sockets = Array.from({ length: 20 }, () => connect(port, "127.0.0.1").on("error", () => undefined));
            await expect.poll(() => sockets.filter(({ readyState }) => readyState === "open").length).toBe(5);
            expect(await healthy(full)).toBe(200);
            expect((await fetch(`http://${full.metrics}/metrics`)).status).toBe(200);
            for (const socket of sockets) socket.destroy();
        });
    });

    it("of memory says when to ask again, and still that it lives", async () => {
        const little = (text: string) =>
            text.replace(/"max_heap_size_bytes": "\d+"/, '"max_heap_size_bytes": "1000000"');
        await fullDoor(little, async (full) => {
            const ask = () => fetch(`${full.url}/v1/models`, { headers: { authorization: `Bearer ${keys.search}` } });
            await expect.poll(async () => (await ask()).status).toBe(503);
            expect((await ask()).headers.get("retry-after")).toBe("30");
            expect(await healthy(full)).toBe(200);
        });
    });
});
