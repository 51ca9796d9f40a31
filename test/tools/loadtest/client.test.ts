import { createServer, type Server, type ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { Connection, Connector, servedModels, type Answer } from "../../../tools/loadtest/client";

/** Real HTTP against servers that behave as no simulation would. */

const servers: Server[] = [];
afterEach(() => {
    for (const server of servers.splice(0)) {
        server.closeAllConnections();
        server.close();
    }
});

async function serve(
    answer: (response: ServerResponse, call: number) => void,
): Promise<{ baseUrl: string; sockets: Set<unknown> }> {
    let calls = 0;
    const sockets = new Set<unknown>();
    const server = createServer((incoming, response) => {
        sockets.add(incoming.socket);
        incoming.resume().on("end", () => answer(response, ++calls));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { baseUrl: `http://127.0.0.1:${(server.address() as { port: number }).port}/v1`, sockets };
}

interface Asked extends Answer {
    gaps: number[];
}

async function ask(
    baseUrl: string,
    options: { timeout?: number; signal?: AbortSignal; token?: string } = {},
): Promise<Asked> {
    const gaps: number[] = [];
    const connection = new Connection(new Connector({ baseUrl, token: options.token }), 60);
    const request = { model: "m", prompt: "p", maxTokens: 8, temperature: 0 };
    const signal = options.signal ?? new AbortController().signal;
    try {
        return { ...(await connection.ask(request, options.timeout ?? 10, signal, (gap) => gaps.push(gap))), gaps };
    } finally {
        connection.close();
    }
}

const piece = (content: string): string => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
const usage = `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 7 } })}\n\n`;
const done = "data: [DONE]\n\n";
const stream = (response: ServerResponse): ServerResponse =>
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });

describe("a streamed answer", () => {
    it("is read to its end, whatever the pieces in which its bytes arrive", async () => {
        const bytes = Buffer.from(`: comment\n\n${piece("")}${piece("Grüße 🙂")}${piece("b")}${usage}${done}`);
        const { baseUrl } = await serve((response) => {
            stream(response);
            let at = 0;
            const send = (): void => {
                if (at >= bytes.length) return void response.end();
                response.write(bytes.subarray(at, (at += 7)));
                setImmediate(send);
            };
            send();
        });
        const answer = await ask(baseUrl);
        expect(answer.failure).toBeUndefined();
        expect(answer).toMatchObject({ promptTokens: 3, outputTokens: 7 });
        expect(answer.gaps).toHaveLength(1);
        expect(answer.ttft).toBeGreaterThan(0);
        expect(answer.ttft! + answer.gaps[0]).toBeLessThanOrEqual(answer.seconds);
    });

    it("is counted by its pieces when the server gives no usage", async () => {
        const { baseUrl } = await serve((response) => void stream(response).end(piece("a") + piece("b") + done));
        expect(await ask(baseUrl)).toMatchObject({ outputTokens: 2, failure: undefined });
    });
});

describe("failures", () => {
    const cases: [string, (response: ServerResponse) => void, string][] = [
        ["401", (r) => r.writeHead(401).end('{"message":"no"}'), "HTTP 401"],
        ["503", (r) => r.writeHead(503).end(), "HTTP 503"],
        [
            "an answer that is no stream",
            (r) => r.writeHead(200, { "content-type": "text/html" }).end("hi"),
            "not an event stream",
        ],
        ["a connection dropped before the answer", (r) => r.destroy(), "connection lost before the answer"],
        [
            "a connection dropped mid-stream",
            (r) => stream(r).write(piece("a"), () => r.destroy()),
            "cut off mid-stream",
        ],
        ["a stream that ends without [DONE]", (r) => stream(r).end(piece("a")), "cut off mid-stream"],
        [
            "an error in the stream",
            (r) => stream(r).end(`data: {"error": {"message": "engine died"}}\n\n${done}`),
            "error in the stream",
        ],
        ["an event that is not JSON", (r) => stream(r).end(`data: {oops\n\n${done}`), "unreadable event"],
    ];
    it.each(cases)("%s", async (_, answer, kind) => {
        const { baseUrl } = await serve(answer);
        expect((await ask(baseUrl)).failure?.kind).toBe(kind);
    });

    it("a server that says nothing, or stops in the middle", async () => {
        const silent = await serve(() => undefined);
        expect((await ask(silent.baseUrl, { timeout: 0.2 })).failure?.kind).toBe("time-out before the first token");
        const stalling = await serve((response) => void stream(response).write(piece("a")));
        const stalled = await ask(stalling.baseUrl, { timeout: 2 });
        expect(stalled.failure?.kind).toBe("time-out mid-stream");
        expect(stalled.outputTokens).toBe(1);
    });

    it("nobody listens", async () => {
        const { baseUrl } = await serve(() => undefined);
        servers.pop()!.close();
        expect((await ask(baseUrl)).failure?.kind).toBe("no connection (ECONNREFUSED)");
    });

    it("being cancelled is none: the signal's reason is thrown", async () => {
        const { baseUrl } = await serve((response) => void stream(response).write(piece("a")));
        const abort = new AbortController();
        setTimeout(() => abort.abort(new Error("enough")), 100);
        await expect(ask(baseUrl, { signal: abort.signal })).rejects.toThrow("enough");
    });
});

describe("what a server says", () => {
    const token = 'made-up-token-with-"quote';
    const hostile = `\x1b]0;title\x07\x1b[2J\r\n\u202eBearer ${token} ${"x".repeat(400)}`;
    const harmless = (text: string): void => {
        expect(text).toContain("[secret]");
        expect(text).not.toContain("made-up-token");
        expect(text).not.toMatch(/[\p{Cc}\p{Cf}]/u);
        expect(text.length).toBeLessThan(500);
    };

    it.each<[string, (response: ServerResponse) => void]>([
        ["a refusal", (response) => void response.writeHead(500).end(hostile)],
        ["a refusal in JSON", (response) => void response.writeHead(500).end(JSON.stringify({ message: hostile }))],
        ["a token at the cut", (response) => void response.writeHead(500).end("y".repeat(290) + token)],
        ["another type", (response) => void response.writeHead(200, { "content-type": "text/html" }).end(hostile)],
        ["an error in the stream", (response) => void stream(response).end(`data: ${sent({ message: hostile })}\n\n`)],
        ["an unreadable event", (response) => void stream(response).end(`data: {${token}\x1b[2J\n\n`)],
    ])("%s is kept without the token and without what a terminal obeys", async (_, answer) => {
        const { baseUrl } = await serve(answer);
        const { failure } = await ask(baseUrl, { token });
        harmless(failure!.detail);
    });

    it.each([500, 200])("nor does the first look at the app show them, status %i", async (status) => {
        const { baseUrl } = await serve((response) => void response.writeHead(status).end(hostile));
        const error = await servedModels(new Connector({ baseUrl, token })).catch((reason: Error) => reason);
        harmless((error as Error).message);
    });
});

const sent = (error: object): string => JSON.stringify({ error });

describe("connections", () => {
    const answer = (response: ServerResponse): void => void stream(response).end(piece("a") + done);

    async function socketsOf(maxAgeSeconds: number): Promise<number> {
        const { baseUrl, sockets } = await serve(answer);
        const connector = new Connector({ baseUrl });
        const connection = new Connection(connector, maxAgeSeconds);
        for (let i = 0; i < 5; i++) {
            const request = { model: "m", prompt: "p", maxTokens: 8, temperature: 0 };
            const { failure } = await connection.ask(request, 10, new AbortController().signal, () => undefined);
            expect(failure).toBeUndefined();
        }
        connection.close();
        expect(connector.opened.count).toBe(sockets.size);
        return sockets.size;
    }

    it("are kept while young, and new for every request when the age is 0", async () => {
        expect(await socketsOf(60)).toBe(1);
        expect(await socketsOf(0)).toBe(5);
    });
});

describe("the first look at the app", () => {
    it("names what is wrong and what to do", async () => {
        const refusing = await serve((response) => void response.writeHead(401).end("no"));
        await expect(servedModels(new Connector(refusing))).rejects.toThrow(
            /401 \(the token is missing, wrong or revoked\)/,
        );
        for (const body of ["<html>", "null", "{}", '{"data": [{}]}', '{"data": [null]}']) {
            const other = await serve((response) => void response.end(body));
            await expect(servedModels(new Connector(other))).rejects.toThrow(
                `models answers what is no list of models: ${body}`,
            );
        }
        servers[0].closeAllConnections();
        servers[0].close();
        await expect(servedModels(new Connector(refusing))).rejects.toThrow(/does not answer: .*ECONNREFUSED/);
    });
});
