import { createServer, type Server, type ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { ask as askOver, byToken, Cancelled, servedModels, type Answer } from "../../../tools/loadtest/client";
import { Connection, Connector } from "../../../tools/loadtest/connection";

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

const request = { model: "m", messages: [{ role: "user" as const, content: "p" }], maxTokens: 8, temperature: 0 };

interface AskOptions {
    timeout?: number;
    token?: string;
    cancelAfterMs?: number;
    keepText?: boolean;
}

async function ask(
    baseUrl: string,
    { timeout = 10, token, cancelAfterMs, keepText }: AskOptions = {},
): Promise<Answer> {
    const connector = new Connector({ baseUrl, token });
    const connection = new Connection(connector, 60);
    await connection.open();
    if (cancelAfterMs) setTimeout(() => connection.close(new Cancelled("enough")), cancelAfterMs);
    try {
        return await askOver(connector, connection, request, { timeoutSeconds: timeout, keepText });
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
        // Seven tokens in two pieces: one gap, and five that came with another.
        expect(answer.gaps).toHaveLength(6);
        expect(answer.gaps.filter((gap) => gap === 0)).toHaveLength(5);
        expect(answer.ttft).toBeGreaterThan(0);
        const between = answer.gaps.reduce((sum, gap) => sum + gap, 0);
        expect(answer.tpot).toBeCloseTo(between / 6, 9);
        expect(answer.ttft! + between).toBeLessThanOrEqual(answer.seconds);
    });

    it("is counted by its pieces when the server gives no usage", async () => {
        const { baseUrl } = await serve((response) => void stream(response).end(piece("a") + piece("b") + done));
        expect(await ask(baseUrl)).toMatchObject({ outputTokens: 2, failure: undefined });
    });
});

const reasoning = (text: string): string =>
    `data: ${JSON.stringify({ choices: [{ delta: { reasoning_content: text } }] })}\n\n`;

it("is whole once it has said [DONE], however the connection ends then", async () => {
    const { baseUrl } = await serve((response) => {
        stream(response).write(piece("a") + usage + done, () => setTimeout(() => response.destroy(), 50));
    });
    const answer = await ask(baseUrl);
    expect(answer.failure).toBeUndefined();
    expect(answer).toMatchObject({ promptTokens: 3, outputTokens: 7 });
});

it("one token without text, which ends an answer, is an answer", async () => {
    const counted = `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 1 } })}\n\n`;
    const { baseUrl } = await serve((response) => stream(response).end(counted + done));
    const answer = await ask(baseUrl);
    expect(answer.failure).toBeUndefined();
    expect(answer.outputTokens).toBe(1);
});

it("usage without counts is none", async () => {
    const empty = `data: ${JSON.stringify({ choices: [], usage: {} })}\n\n`;
    const { baseUrl } = await serve((response) => stream(response).end(piece("a") + piece("b") + empty + done));
    expect(await ask(baseUrl)).toMatchObject({ promptTokens: 0, outputTokens: 2, failure: undefined });
});

it("a token of reasoning is a first token; the text, when asked for, is what was said", async () => {
    const { baseUrl } = await serve((response) => {
        stream(response).write(reasoning("hm"));
        setTimeout(() => response.end(piece("a") + piece("b") + done), 300);
    });
    const answer = await ask(baseUrl, { keepText: true });
    expect(answer.ttft).toBeLessThan(answer.seconds - 0.2);
    expect(answer.text).toBe("ab");
    expect(answer.outputTokens).toBe(3);
});

it("gaps are those between tokens, whatever the pieces held", () => {
    // Two tokens came with another one.
    expect(byToken([20, 30], 5)).toEqual([0.02, 0.03, 0, 0]);
    // A piece that brought no token of its own, soon after another.
    expect(byToken([20, 1, 30], 3)).toEqual([0.03, 0.02]);
    expect(byToken([], 1)).toEqual([]);
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
        ["a stream without a token", (r) => stream(r).end(done), "no token"],
        [
            "a stream whose tokens are counted as none",
            (r) =>
                stream(r).end(`data: ${JSON.stringify({ choices: [], usage: { completion_tokens: 0 } })}\n\n${done}`),
            "no token",
        ],
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

    it("being cancelled is none: it is thrown", async () => {
        const { baseUrl } = await serve((response) => void stream(response).write(piece("a")));
        await expect(ask(baseUrl, { cancelAfterMs: 100 })).rejects.toThrow("enough");
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
            await connection.open();
            const { failure } = await askOver(connector, connection, request, { timeoutSeconds: 10 });
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

it("a connection that was replaced takes nothing along of its successor's request", async () => {
    const { baseUrl } = await serve((response) => void setTimeout(() => stream(response).end(piece("a") + done), 20));
    const connector = new Connector({ baseUrl });
    const connection = new Connection(connector, 0);
    for (let i = 0; i < 10; i++) {
        // From a timer, the next connection is open before the last one tells that it is closed.
        await new Promise((resolve) => setTimeout(resolve, 5));
        await connection.open();
        const { failure } = await askOver(connector, connection, request, { timeoutSeconds: 10 });
        expect(failure).toBeUndefined();
    }
    connection.close();
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
