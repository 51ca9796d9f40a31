import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type Server } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { parse } from "yaml";
import { close, listen } from "../../sandbox/http-server";
import { openReverseProxy, type ReverseProxy } from "../../sandbox/prometheus/reverse-proxy";

/** The proxy before a program that is configured by its flags, as Prometheus is; the real ones are in prometheus/ and console/. */

let dir: string;
let proxy: ReverseProxy;
let program: Server | undefined;
let asked: string[];

interface WebConfig {
    tls_server_config: Record<"cert_file" | "key_file" | "client_ca_file" | "client_auth_type", string>;
}

beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), "proxy-"));
    asked = [];
    proxy = await openReverseProxy({ name: "Prometheus", port: 0, log: () => undefined });
});
afterEach(async () => {
    await proxy.close();
    if (program) await close(program);
    program = undefined;
    rmSync(dir, { recursive: true, force: true });
});

/** Starts what the flags say. Returns its port. */
async function start(flags: string[]): Promise<number> {
    const given = Object.fromEntries(flags.map((flag) => /^--([\w.-]+)=(.*)$/.exec(flag)!.slice(1))) as Record<
        string,
        string
    >;
    const { tls_server_config: tls } = parse(readFileSync(given["web.config.file"], "utf8")) as WebConfig;
    expect(tls.client_auth_type).toBe("RequireAndVerifyClientCert");
    expect(given["web.external-url"]).toBe(proxy.url);
    expect(statSync(tls.key_file).mode & 0o777).toBe(0o600);
    program = createServer(
        {
            cert: readFileSync(tls.cert_file),
            key: readFileSync(tls.key_file),
            ca: readFileSync(tls.client_ca_file),
            requestCert: true,
        },
        (incoming, answer) => {
            asked.push(`${incoming.method} ${incoming.url}`);
            incoming.pipe(answer);
        },
    );
    return listen(program, Number(given["web.listen-address"].split(":")[1]));
}

it("passes on what no page has sent", async () => {
    await start(await proxy.flags(dir));
    const answer = await fetch(`${proxy.url}/api/v1/query?query=up`, { method: "POST", body: "hello" });
    expect([answer.status, await answer.text()]).toEqual([200, "hello"]);
    for (const origin of ["http://elsewhere.example", "null", "http://127.0.0.1:9"]) {
        const refused = await fetch(`${proxy.url}/-/quit`, { method: "POST", headers: { origin } });
        expect(refused.status, origin).toBe(403);
    }
    expect(asked).toEqual(["POST /api/v1/query?query=up"]);
});

it("nobody else reaches the program", async () => {
    const port = await start(await proxy.flags(dir));
    await expect(fetch(`https://127.0.0.1:${port}/-/quit`, { method: "POST" })).rejects.toThrow();
    await expect(fetch(`http://127.0.0.1:${port}/-/quit`, { method: "POST" })).rejects.toThrow();
    expect(asked).toEqual([]);
});

it("says so while nobody is there, and finds the next one", async () => {
    const before = await proxy.flags(dir);
    expect((await fetch(`${proxy.url}/-/ready`)).status).toBe(502);
    await start(before);
    expect((await fetch(`${proxy.url}/-/ready`)).status).toBe(200);
    await close(program!);
    await start(await proxy.flags(dir));
    expect((await fetch(`${proxy.url}/-/ready`)).status).toBe(200);
});

it("is not taken in by a neighbour's program at the same port", async () => {
    const neighbour = await openReverseProxy({ name: "Prometheus", port: 0, log: () => undefined });
    const folder = mkdtempSync(join(dir, "neighbour-"));
    const own = Number(/:(\d+)$/.exec((await proxy.flags(dir))[0])![1]);
    const flags = await neighbour.flags(folder);
    await start([`--web.listen-address=127.0.0.1:${own}`, flags[1], `--web.external-url=${proxy.url}`]);
    const answer = await fetch(`${proxy.url}/api/v1/query`);
    expect(answer.status).toBe(502);
    expect(asked).toEqual([]);
    await neighbour.close();
});
