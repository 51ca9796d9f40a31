import fc from "fast-check";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { resolveCredentials } from "../../packages/ai-deploy/src/api/credentials";
import { startConsole, type Console } from "../../sandbox/console/console";
import { close, createHttpServer, listen, listenNear } from "../../sandbox/http-server";
import { openReverseProxy, type ReverseProxy } from "../../sandbox/prometheus/reverse-proxy";
import { projectId } from "./ovhcloud/cloud";
import { rawRequest, send, statusOf, type Listener } from "./raw-requests";
import { startRunningApp, type RunningApp } from "./running-app";

/** What no client may do to the sandbox: end it, fill its memory, or, from a web page, use it. */

/** Random inputs to all listeners together; more by hand: `RAW_REQUESTS=100000`. */
const randomInputs = Number(process.env.RAW_REQUESTS ?? 4000);

let app: RunningApp;
let page: Console;
let proxy: ReverseProxy;
/** What the proxy is before: it has one page. */
let program: Server;
let dir: string;
let listeners: Listener[];
const portOf = (url: string): number => Number(new URL(url).port);
const listener = (name: string): Listener => listeners.find((one) => one.name === name)!;

beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "http-"));
    app = await startRunningApp({ min: 1, max: 1 });
    page = await startConsole({
        cloud: app.cloud,
        credentials: resolveCredentials({ config: () => undefined, env: app.env, files: [] }),
        projectId,
        prometheusUrl: () => undefined,
        grafana: () => ({ detail: "" }),
        alertmanagerUrl: "http://127.0.0.1:9",
        env: app.env,
        dir,
        log: () => undefined,
    });
    proxy = await openReverseProxy({ name: "program", port: 0, log: () => undefined });
    const [address] = await proxy.flags(dir);
    const [key, cert, ca] = ["web.key", "web.crt", "web-ca.crt"].map((file) => readFileSync(join(dir, file)));
    program = createServer({ key, cert, ca, requestCert: true }, ({ url }, answer) => {
        answer.writeHead(url === "/" || url === "/v1/models" ? 200 : 404).end();
    });
    await listen(program, Number(address.split(":").pop()));
    listeners = [
        { name: "API", port: portOf(app.cloud.url), token: app.env.OVH_ACCESS_TOKEN },
        { name: "gateway", port: portOf(app.url), tls: true, token: app.token },
        { name: "vLLM", port: app.status().replicas[0].port },
        { name: "console", port: portOf(page.url) },
        { name: "proxy", port: proxy.port },
    ];
});
afterAll(async () => {
    await page?.close();
    await proxy?.close();
    if (program) await close(program);
    await app?.close();
    rmSync(dir, { recursive: true, force: true });
});

function reset(socket: Socket): void {
    if (socket instanceof TLSSocket) socket.destroy();
    else socket.resetAndDestroy();
}

/** Every listener answers as it should, and the app's replica is still the first one. */
async function expectAllWell(): Promise<void> {
    const bearer = [`Authorization: Bearer ${app.token}`];
    expect(await statusOf(listener("API"), "GET /v1/auth/time HTTP/1.1")).toBe(200);
    expect(await statusOf(listener("gateway"), "GET /v1/models HTTP/1.1", bearer)).toBe(200);
    expect(await statusOf(listener("vLLM"), "GET /v1/models HTTP/1.1")).toBe(200);
    expect(await statusOf(listener("console"), "GET / HTTP/1.1")).toBe(200);
    expect(await statusOf(listener("proxy"), "GET / HTTP/1.1")).toBe(200);
    expect(app.status().replicas.map(({ index, phase }) => [index, phase])).toEqual([[0, "serving"]]);
}

describe.each(["API", "gateway", "vLLM", "console", "proxy"])("%s", (name) => {
    const ask = (line: string, headers: string[] = [], body = ""): Promise<number> => {
        const { token } = listener(name);
        return statusOf(listener(name), line, token ? [`Authorization: Bearer ${token}`, ...headers] : headers, body);
    };

    afterEach(expectAllWell);

    it("answers a target that is no path of its own", async () => {
        for (const path of [
            "//",
            "///x",
            "/%zz/%",
            "/%c0%af",
            "/__proto__",
            `http://127.0.0.1:${listener(name).port}//`,
        ]) {
            expect(await ask(`GET ${path} HTTP/1.1`), path).toBe(404);
        }
        expect(await ask("GET http://elsewhere.example/ HTTP/1.1")).toBe(403);
        expect(await ask("GET http://a:b:c/ HTTP/1.1")).toBe(400);
        expect(await ask("OPTIONS * HTTP/1.1")).toBe(400);
    });

    it("answers a Host that is none, and refuses one that is not its own", async () => {
        for (const host of ["a b", "", "a@127.0.0.1", "127.0.0.1/x"]) {
            expect(await ask("GET / HTTP/1.1", [`Host: ${host}`]), host).toBe(400);
        }
        for (const host of [
            "elsewhere.example",
            `elsewhere.example:${listener(name).port}`,
            "127.0.0.1.example",
            "0.0.0.0",
        ]) {
            expect(await ask("GET /v1/models HTTP/1.1", [`Host: ${host}`]), host).toBe(403);
        }
        expect(await ask("GET /nothing HTTP/1.1", ["Host: localhost"])).toBe(404);
    });

    it("survives a client that resets in mid-body", async () => {
        for (const path of ["/v1/chat/completions", "/sandbox/faults", "/load", "/v1/cloud/project/x/ai/app"]) {
            const { token, port } = listener(name);
            const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nOrigin: http://127.0.0.1:${port}\r\n`;
            const more = `Authorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"a`;
            await send(listener(name), head + more, (socket) => setTimeout(() => reset(socket), 20));
            await send(listener(name), head.replace(/Origin.*\r\n/, "") + more, (socket) => socket.destroySoon());
        }
    });

    it("answers headers that are too long, and what is no HTTP", async () => {
        // vLLM's takes as many as the real one.
        const bytes = name === "vLLM" ? 5_000_000 : 20_000;
        expect(await ask("GET / HTTP/1.1", [`X: ${"x".repeat(bytes)}`])).toBe(431);
        expect(await ask("GET / HTTP/1.1", ["no colon"])).toBe(400);
        expect(await send(listener(name), "\0\x01\x02\r\n\r\n")).toContain("400 Bad Request");
    });

    it("takes an upgrade that it does not know for a plain request", async () => {
        const upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x"];
        expect(await ask("GET /nothing HTTP/1.1", upgrade)).toBe(404);
        expect(await ask("CONNECT 127.0.0.1:1 HTTP/1.1")).toBe(0); // cut off
    });
});

describe("bodies", () => {
    afterEach(expectAllWell);

    it("are refused before they are read, whoever sends them", async () => {
        const lengths = [`Content-Length: ${600 * 1024 ** 2}`];
        for (const one of listeners) {
            const bearer = one.token ? [`Authorization: Bearer ${one.token}`] : [];
            expect(await statusOf(one, "POST /v1/chat/completions HTTP/1.1", [...lengths, ...bearer]), one.name).toBe(
                413,
            );
        }
    });

    it("are not kept once they are too large", async () => {
        const { port } = listener("API");
        const before = process.memoryUsage().rss;
        const part = "x".repeat(1024 ** 2);
        const chunk = `${part.length.toString(16)}\r\n${part}\r\n`;
        const head = `POST /sandbox/faults HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nTransfer-Encoding: chunked\r\n\r\n`;
        const answer = await send(listener("API"), head, (socket) => {
            void (async () => {
                for (let i = 0; i < 300 && !socket.destroyed; i++) {
                    if (!socket.write(chunk)) await new Promise((resolve) => socket.once("drain", resolve));
                }
                socket.end("0\r\n\r\n");
            })();
        });
        expect(answer).toContain("413 Payload Too Large");
        expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 ** 2);
    });
});

describe("faults of single calls", () => {
    it.each([
        [{ kind: "drop", path: "(" }, "path"],
        [{ kind: "status", status: 9999 }, "status"],
        [{ kind: "status", status: "503" }, "status"],
        [{ kind: "explode" }, "kind"],
        [{ kind: "delay", delayMs: -1 }, "delayMs"],
        [{ kind: "drop", times: 1.5 }, "times"],
        [{ kind: "drop", often: true }, "often"],
    ])("%j is refused by name", async (rule, field) => {
        const { status, body } = await app.control("POST", "faults", rule);
        expect(status).toBe(400);
        expect(body.message).toContain(field);
        await expectAllWell();
    });

    it("of replicas: one that is not there, and times that no timer takes", async () => {
        const post = (body: object): ReturnType<RunningApp["control"]> =>
            app.control("POST", `apps/${app.id}/faults`, body);
        expect(await post({ kind: "crash", replica: 99 })).toMatchObject({
            status: 400,
            body: { message: "replica: the app has no running replica 99; it has 0" },
        });
        expect((await post({ kind: "hang", afterSeconds: 1e300 })).status).toBe(400);
        await expectAllWell();
    });
});

it("an id that every object knows is none", async () => {
    for (const id of ["__proto__", "constructor", "toString"]) {
        for (const method of ["GET", "DELETE"]) {
            const path = `/v1/cloud/project/${projectId}/ai/app/${id}`;
            const bearer = [`Authorization: Bearer ${app.env.OVH_ACCESS_TOKEN}`];
            expect(await statusOf(listener("API"), `${method} ${path} HTTP/1.1`, bearer), id).toBe(404);
        }
    }
    expect(({} as { wanted?: string }).wanted).toBeUndefined();
});

describe("a web page of another origin", () => {
    const origins = ["https://elsewhere.example", "null", "http://127.0.0.1:9", "http://localhost"];

    it.each(["API", "vLLM", "console", "proxy"])("gets nothing from the %s", async (name) => {
        for (const origin of origins) {
            for (const line of ["GET /", "GET /sandbox/status", "POST /v1/chat/completions", "OPTIONS /v1/models"]) {
                const status = await statusOf(listener(name), `${line} HTTP/1.1`, [`Origin: ${origin}`]);
                expect(status, `${line} ${origin}`).toBe(403);
            }
        }
    });

    it("gets through the gateway with a token alone", async () => {
        const gateway = listener("gateway");
        const origin = [`Origin: ${origins[0]}`];
        expect(await statusOf(gateway, "GET /v1/models HTTP/1.1", origin)).toBe(401);
        expect(await statusOf(gateway, "OPTIONS /v1/models HTTP/1.1", origin)).toBe(401);
        const bearer = `Authorization: Bearer ${gateway.token}`;
        expect(await statusOf(gateway, "GET /v1/models HTTP/1.1", [...origin, bearer])).toBe(200);
    });
});

it("n: 1e9 is refused, and so are as many prompts", async () => {
    const head = ["Content-Type: application/json", `Authorization: Bearer ${app.token}`];
    const post = (body: object): Promise<number> => {
        const text = JSON.stringify(body);
        const length = `Content-Length: ${Buffer.byteLength(text)}`;
        return statusOf(listener("gateway"), "POST /v1/completions HTTP/1.1", [...head, length], text);
    };
    expect(await post({ prompt: "x", n: 1e9 })).toBe(400);
    expect(await post({ prompt: Array(200).fill("x"), n: 100 })).toBe(400);
    expect(await post({ prompt: "x", n: 2, max_tokens: 1 })).toBe(200);
    await expectAllWell();
});

it(`${randomInputs} random inputs end nothing`, async () => {
    let sent = 0;
    // Also without the TLS that the gateway expects.
    const all = [...listeners, { ...listener("gateway"), tls: false }];
    for (const one of all) {
        const rounds = Math.ceil(randomInputs / all.length / 20);
        const several = fc.array(rawRequest(one), { minLength: 20, maxLength: 20 });
        await fc.assert(
            fc.asyncProperty(several, async (inputs) => {
                await Promise.all(inputs.map((input) => send(one, input)));
                sent += inputs.length;
            }),
            { numRuns: rounds, endOnFailure: true },
        );
    }
    expect(sent).toBeGreaterThanOrEqual(randomInputs);
    await expectAllWell();
}, 3_000_000);

it("a port that is taken is replaced, and kept when it is free", async () => {
    const server = createHttpServer({ bodyBytes: 1, log: () => undefined }, (_, answer) => answer.end());
    const other = createHttpServer({ bodyBytes: 1, log: () => undefined }, (_, answer) => answer.end());
    const port = await listenNear(server, 0);
    expect(await listenNear(other, port)).not.toBe(port);
    await Promise.all([close(server), close(other)]);
    expect(await listenNear(server, port)).toBe(port);
    await close(server);
});
