import fc from "fast-check";
import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/** Bytes for a server that expects HTTP, and what they do to it. */

/** Where a server listens on 127.0.0.1, and what opens it. */
export interface Listener {
    name: string;
    port: number;
    tls?: boolean;
    token?: string;
}

/** Sends bytes over a connection of their own. Resolves with what came back by the time the server has closed it. */
export function send(to: Listener, bytes: string | Buffer, after?: (socket: Socket) => void): Promise<string> {
    return new Promise((resolve) => {
        const { port } = to;
        const host = "127.0.0.1";
        const socket = to.tls ? connectTls({ host, port, rejectUnauthorized: false }) : connectPlain({ host, port });
        let said = "";
        const timer = setTimeout(() => socket.destroy(), 2000);
        socket.setEncoding("latin1").on("data", (part: string) => (said += part));
        socket.on("error", () => undefined); // a reset is an answer, too
        socket.on("close", () => {
            clearTimeout(timer);
            resolve(said);
        });
        socket.once(to.tls ? "secureConnect" : "connect", () => {
            socket.write(bytes);
            if (after) after(socket);
            else socket.end();
        });
    });
}

/** The status of a request with these lines after the first, over a connection that stays open until it is answered. */
export async function statusOf(to: Listener, requestLine: string, headers: string[] = [], body = ""): Promise<number> {
    const hosted = headers.some((line) => /^host:/i.test(line)) ? headers : [`Host: 127.0.0.1:${to.port}`, ...headers];
    const lines = [requestLine, ...hosted, "Connection: close", "", body];
    const answer = await send(to, lines.join("\r\n"), () => undefined);
    return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);
}

const paths = [
    "/", "//", "///", "/*", "*", "", "/..", "/%", "/%zz", "/%00", "/%c0%af", "/?", "/#", "?", "http://", "http:///", "http://a b/",
    "https://elsewhere.example/", "//elsewhere.example/x", "/v1", "/v1/models", "/v1/chat/completions", "/v1/completions",
    "/tokenize", "/detokenize", "/metrics", "/health", "/events", "/load", "/speed", "/sandbox/status", "/sandbox/events",
    "/sandbox/faults", "/sandbox/speed", "/sandbox/requests", "/sandbox/apps/x/faults", "/sandbox/platform/faults",
    "/v1/auth/time", "/v1/cloud/project/%/ai/app", "/1.0/cloud/project/__proto__/ai/app/toString", "/__proto__", "/constructor",
]; // prettier-ignore
const methods = [
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "CONNECT",
    "TRACE",
    "PRI",
    "get",
    "G T",
    "",
];
const bodies = [
    "", "{", "[]", "null", "5", '"x"', "{}", '{"kind":"status","status":9999}', '{"kind":"drop","path":"("}', '{"speed":1e999}',
    '{"model":1,"messages":[null]}', '{"messages":[{"role":"user","content":"x"}],"n":1e9}', '{"prompt":"x","n":-1}',
    '{"prompt":["x","y"],"max_tokens":2}', '{"tokens":[1e99,"a",null]}', '{"prompt":[[1,2],[3]],"stream":true}',
    '{"messages":[{"role":"user","content":[{"type":"text"}]}],"tools":[{"type":"function","function":{"name":"f"}}]}',
    '{"__proto__":{"kind":"drop"}}', "[".repeat(5000),
]; // prettier-ignore

/** One random input for a listener: a request with something wrong in most of its places, cut off at times, or noise. */
export function rawRequest({ port, token }: Listener): fc.Arbitrary<Buffer> {
    const noise = fc.string({ unit: "binary", maxLength: 40 });
    const host = fc.oneof(
        { weight: 6, arbitrary: fc.constant(`127.0.0.1:${port}`) },
        fc.constantFrom(
            "",
            "a b",
            "localhost",
            "elsewhere.example",
            "127.0.0.1:99999",
            "[::1",
            "a@127.0.0.1",
            "127.0.0.1/x",
        ),
        noise,
    );
    const header = fc.oneof(
        fc.constantFrom(
            "Transfer-Encoding: chunked", "Transfer-Encoding: x", "Content-Length: 5", "Content-Length: -1", "Content-Length: 1e9",
            "Content-Length: 99999999999", "Expect: 100-continue", "Expect: x", "Connection: Upgrade", "Upgrade: websocket",
            "Upgrade: h2c", "HTTP2-Settings: x", "Connection: close", "Origin: null", "Origin: https://elsewhere.example",
            "Cookie: ai_deploy_sandbox_replica=(", "Content-Type: application/json", "Accept: text/event-stream",
            `X: ${"x".repeat(20_000)}`, "No colon", ": no name", "A:\0", "X-Ovh-Timestamp: NaN",
        ), // prettier-ignore
        fc.constant(`Authorization: Bearer ${token ?? "made-up"}`),
        noise,
    );
    const request = fc
        .record({
            method: fc.oneof(fc.constantFrom("GET", "POST"), fc.constantFrom(...methods), noise),
            path: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...paths) }, noise),
            version: fc.constantFrom("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9.9", ""),
            host,
            headers: fc.array(header, { maxLength: 5 }),
            body: fc.oneof(fc.constantFrom(...bodies), noise),
            length: fc.constantFrom("right", "right", "none"),
            keep: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.double({ min: 0, max: 1, noNaN: true })),
            times: fc.constantFrom(1, 1, 1, 3),
        })
        .map(({ method, path, version, host: name, headers, body, length, keep, times }) => {
            const own = [
                `Host: ${name}`,
                ...(length === "right" ? [`Content-Length: ${Buffer.byteLength(body)}`] : []),
            ];
            const text = [`${method} ${path} ${version}`, ...own, ...headers, "", body].join("\r\n").repeat(times);
            return Buffer.from(text.slice(0, Math.ceil(text.length * keep)));
        });
    const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
    return fc.oneof({ weight: 9, arbitrary: request }, bytes);
}
