import "reflect-metadata"; // which the next wants to find loaded
import * as x509 from "@peculiar/x509";
import { webcrypto } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { OvhClient } from "../../../packages/ai-deploy/src/api/client";
import type { Credentials } from "../../../packages/ai-deploy/src/api/credentials";
import { appInputs } from "../app/inputs";
import { startTestCloud } from "../cloud";
import { startProvider } from "../provider-process";
import { Stack } from "../stack";

const variables = ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"].flatMap((name) => [name, name.toLowerCase()]);
/** A name that no resolver knows: only a proxy can lead to it. */
const host = "api.ovh.test";
const password = "canary-of-the-proxy";

const open: Server[] = [];

async function listen(server: Server): Promise<number> {
    open.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as AddressInfo).port;
}

function answering(serve: (incoming: IncomingMessage, answer: ServerResponse) => void): Promise<number> {
    return listen(createServer(serve));
}

/** A proxy that leads every tunnel to one port. What it was asked for, by whom. */
async function openProxy(tunnelTo: number, status = 200) {
    const asked: string[] = [];
    const server = createServer(({ method, url, headers }, answer) => {
        asked.push(`${method} ${url} ${headers["proxy-authorization"] ?? ""}`.trim());
        answer.end("{}");
    });
    server.on("connect", ({ url, headers }: IncomingMessage, socket) => {
        asked.push(`CONNECT ${url} ${headers["proxy-authorization"] ?? ""}`.trim());
        if (status !== 200) return void socket.end(`HTTP/1.1 ${status} No\r\n\r\n`);
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        const upstream = connect(tunnelTo, "127.0.0.1");
        upstream.pipe(socket).pipe(upstream);
        for (const end of [upstream, socket]) end.on("error", () => [upstream, socket].forEach((one) => one.destroy()));
    });
    return { port: await listen(server), asked };
}

function clientOf(baseUrl: string, auth: Credentials["auth"] = { kind: "token", accessToken: "made-up" }): OvhClient {
    return new OvhClient({ baseUrl, auth }, { backoffMs: 0.1, requestsPerMinute: 1_000_000, requestTimeoutMs: 10_000 });
}

beforeEach(() => {
    for (const name of variables) vi.stubEnv(name, "");
});
afterEach(async () => {
    vi.unstubAllEnvs();
    for (const server of open.splice(0)) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
    }
});

describe("proxies, for http", () => {
    const basic = `Basic ${Buffer.from(`user:${password}`).toString("base64")}`;

    it.each(["HTTP_PROXY", "http_proxy"])("%s is asked, with its own credentials", async (name) => {
        const proxy = await openProxy(0);
        vi.stubEnv(name, `http://user:${password}@127.0.0.1:${proxy.port}`);
        await clientOf(`http://${host}/v1`).get("/x");
        expect(proxy.asked).toEqual([`GET http://${host}/v1/x ${basic}`]);
    });

    it("without a scheme it is one for http; capitals go first", async () => {
        const proxy = await openProxy(0);
        vi.stubEnv("HTTP_PROXY", `127.0.0.1:${proxy.port}`);
        vi.stubEnv("http_proxy", "http://127.0.0.1:1");
        await clientOf(`http://${host}/v1`).get("/x");
        expect(proxy.asked).toHaveLength(1);
    });

    it.each([
        ["NO_PROXY", host],
        ["NO_PROXY", "example.org, ovh.test"],
        ["NO_PROXY", ".ovh.test"],
        ["NO_PROXY", `${host}:80`],
        ["no_proxy", "example.org,*"],
    ])("%s=%s: not asked", async (name, value) => {
        const proxy = await openProxy(0);
        vi.stubEnv("HTTP_PROXY", `http://127.0.0.1:${proxy.port}`);
        vi.stubEnv(name, value);
        await expect(clientOf(`http://${host}/v1`).get("/x")).rejects.toThrow(/no answer from OVHcloud/);
        expect(proxy.asked).toEqual([]);
    });

    it.each([
        ["HTTPS_PROXY", ""],
        ["NO_PROXY", "test.org"],
        ["NO_PROXY", `${host}:8080`],
        ["NO_PROXY", "vh.test"],
    ])("%s=%s does not change that", async (name, value) => {
        const proxy = await openProxy(0);
        vi.stubEnv("HTTP_PROXY", `http://127.0.0.1:${proxy.port}`);
        vi.stubEnv(name, value);
        await clientOf(`http://${host}/v1`).get("/x");
        expect(proxy.asked).toHaveLength(1);
    });

    it("this machine is never asked for by way of a proxy", async () => {
        const port = await answering((_incoming, answer) => answer.end("{}"));
        vi.stubEnv("HTTP_PROXY", "http://127.0.0.1:1");
        for (const name of ["127.0.0.1", "localhost"]) {
            expect(await clientOf(`http://${name}:${port}`).get("/x")).toEqual({});
        }
    });

    it.each([`socks5://user:${password}@127.0.0.1:1`, `http://user:${password}@:99999`])(
        "%s: an error that names the variable, not the password",
        async (address) => {
            vi.stubEnv("HTTP_PROXY", address);
            const error = await clientOf(`http://${host}/v1`)
                .get("/x")
                .catch((failed: unknown) => failed);
            expect((error as Error).message).toBe(
                "HTTP_PROXY is no address of a proxy: give http://HOST:PORT, or unset it",
            );
        },
    );

    it("one that cannot be reached is named", async () => {
        vi.stubEnv("HTTP_PROXY", `http://user:${password}@127.0.0.1:1`);
        const error = await clientOf(`http://${host}/v1`)
            .get("/x")
            .catch((failed: unknown) => failed);
        expect((error as Error).message).toBe(
            "GET /x: no answer from OVHcloud (ECONNREFUSED; HTTP_PROXY is 127.0.0.1:1)",
        );
    });
});

describe("by https, in the provider's own process", () => {
    let folder: string;
    let ca: string;
    let certificate: { key: string; cert: string };

    beforeAll(async () => {
        folder = mkdtempSync(join(tmpdir(), "transport-test-"));
        certificate = await selfSigned(host);
        ca = join(folder, "ca.pem");
        writeFileSync(ca, certificate.cert);
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    async function authorize(env: Record<string, string>, connectStatus = 200) {
        const api = createTlsServer(certificate, (_incoming, answer) => answer.end('{"authorized": true}'));
        const proxy = await openProxy(await listen(api), connectStatus);
        const provider = await startProvider({
            OVH_ENDPOINT: `https://${host}/v1`,
            OVH_ACCESS_TOKEN: "made-up",
            OVH_CLOUD_PROJECT_SERVICE: "p",
            OVH_AI_DEPLOY_POLL_MS: "1",
            HTTPS_PROXY: `http://user:${password}@127.0.0.1:${proxy.port}`,
            ...env,
        });
        const stack = new Stack(provider, "authorization");
        const error = await stack.up({}).then(
            () => undefined,
            (failed: Error) => failed.message,
        );
        await provider.close();
        expect(`${error} ${provider.output()}`).not.toContain(password);
        return { asked: proxy.asked, error, outputs: stack.resource?.outputs };
    }

    it("a tunnel leads through the proxy", async () => {
        const { asked, error, outputs } = await authorize({ NODE_EXTRA_CA_CERTS: ca });
        expect(error).toBeUndefined();
        expect(outputs).toMatchObject({ authorized: true });
        expect(asked).toEqual([expect.stringMatching(new RegExp(`^CONNECT ${host}:443 Basic .+`))]);
    });

    it("a certificate that is not trusted is final, and says what to set", async () => {
        const { asked, error } = await authorize({});
        expect(error).toMatch(
            /^authorizing .*: GET \/ai\/authorization: the certificate of api\.ovh\.test cannot be trusted \(\w+\)/,
        );
        expect(error).toContain("export NODE_EXTRA_CA_CERTS=/path/to/ca.pem");
        expect(asked).toHaveLength(1);
    });

    it("a proxy that refuses is named, with its status", async () => {
        const { error } = await authorize({}, 407);
        expect(error).toMatch(/no answer from OVHcloud \(the proxy answered 407; HTTPS_PROXY is 127\.0\.0\.1:\d+\)/);
    });
});

it("with proxies set and no NO_PROXY, a cloud on this machine is reached all the same", async () => {
    const cloud = await startTestCloud();
    const dead = { HTTPS_PROXY: "http://127.0.0.1:1", HTTP_PROXY: "http://127.0.0.1:1" };
    const provider = await startProvider({ ...cloud.env, ...dead });
    try {
        const stack = new Stack(provider);
        await stack.up(appInputs());
        expect(stack.resource!.outputs.state).toBe("RUNNING");
    } finally {
        await provider.close();
        await cloud.close();
    }
});

it("a port that does not speak TLS is final too", async () => {
    let asked = 0;
    const server = createServer();
    server.on("clientError", (_error, socket) => {
        asked++;
        socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    const port = await listen(server);
    const error = (await clientOf(`https://127.0.0.1:${port}/v1`)
        .get("/x")
        .catch((failed: unknown) => failed)) as Error;
    expect(error.message).toMatch(
        /^GET \/x: 127\.0\.0\.1:\d+ does not speak TLS as it should \(\w+\), so nothing was sent/,
    );
    expect(asked).toBe(1);
});

describe("redirects", () => {
    const signature = {
        kind: "signature" as const,
        applicationKey: "ak",
        applicationSecret: "as-canary",
        consumerKey: "ck-canary",
    };

    it.each([301, 302, 303, 307, 308])("%i: credentials stay, and the error names both hosts", async (status) => {
        const got: string[] = [];
        const other = await answering(({ url, headers }, answer) => {
            got.push(`${url} ${JSON.stringify(headers)}`);
            answer.end("{}");
        });
        const port = await answering((_incoming, answer) => {
            answer.writeHead(status, { location: `http://localhost:${other}/v1/x?token=canary` }).end();
        });
        const base = `http://127.0.0.1:${port}`;
        const oauth = { kind: "oauth2" as const, clientId: "id", clientSecret: "cs-canary", tokenUrl: `${base}/token` };
        for (const auth of [{ kind: "token" as const, accessToken: "at-canary" }, signature, oauth]) {
            const client = clientOf(base, auth);
            for (const call of [() => client.get("/x"), () => client.post("/x", { secret: "canary" })]) {
                const error = (await call().catch((failed: unknown) => failed)) as Error;
                expect(error.message).toContain(
                    `OVHcloud answered ${status}: a redirect from 127.0.0.1:${port} to localhost:${other}`,
                );
                expect(error.message).not.toContain("canary");
            }
        }
        expect(got).toEqual([]);
    });
});

async function selfSigned(name: string): Promise<{ key: string; cert: string }> {
    const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
    x509.cryptoProvider.set(webcrypto as never);
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
        name: `CN=${name}`,
        notBefore: new Date(Date.now() - 3_600_000),
        notAfter: new Date(Date.now() + 3_600_000),
        keys: keys as never,
        signingAlgorithm: algorithm,
        extensions: [
            new x509.BasicConstraintsExtension(true, 0, true),
            new x509.SubjectAlternativeNameExtension([{ type: "dns", value: name }]),
        ],
    });
    const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
    return {
        cert: `${certificate.toString("pem")}\n`,
        key: `-----BEGIN PRIVATE KEY-----\n${key.match(/.{1,64}/g)!.join("\n")}\n-----END PRIVATE KEY-----\n`,
    };
}
