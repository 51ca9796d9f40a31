// A server that answers chat completions as streams, at times that it decides and writes down: the truth that load tools
// are held to. `node --import tsx bench/loadtest/server.ts`; sends its port to the parent. GET /truth gives the record and
// begins a new one.
// Arguments: port (0: any), least milliseconds to a first token (40), milliseconds between tokens (50).
import * as net from "node:net";
import { quantile, Samples } from "../../tools/loadtest/statistics";
import { randomOf } from "../../tools/random";

const model = "mock";
/** Milliseconds. Every request is drawn its own. */
const firstToken = { least: Number(process.argv[3] ?? 40), spread: 30 };
const betweenTokens = Number(process.argv[4] ?? 50);
/** inference-perf asks for no more unless its prompts are made up. */
const mostTokens = 30;

interface Stream {
    socket: net.Socket;
    came: number;
    first: number;
    last: number;
    /** Tokens to be sent, and those that were. */
    tokens: number;
    sent: number;
    due: number;
    streamed: boolean;
}

const record = { ttft: new Samples(), gaps: new Samples(), latency: new Samples(), tpot: new Samples() };
let requests = 0;
/** When the first request of the record came, and when its last answer ended. */
const span = { from: Infinity, to: 0 };
/** Streams by the millisecond in which they have something to send. */
const due = new Map<number, Stream[]>();
let checked = Math.floor(performance.now());

function plan(stream: Stream): void {
    const slot = Math.max(checked + 1, Math.ceil(stream.due));
    const others = due.get(slot);
    if (others) others.push(stream);
    else due.set(slot, [stream]);
}

function tick(): void {
    const now = Math.floor(performance.now());
    for (; checked < now; checked++) {
        const streams = due.get(checked + 1);
        due.delete(checked + 1);
        for (const stream of streams ?? []) send(stream);
    }
    setTimeout(tick, 1);
}

const chunkOf = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const event = (value: object): string => `data: ${JSON.stringify(value)}\n\n`;
const base = { id: "chatcmpl-00000000000000000000", object: "chat.completion.chunk", created: 1_700_000_000, model };
const tokenChunk = chunkOf(
    event({ ...base, choices: [{ index: 0, delta: { content: " word" }, logprobs: null, finish_reason: null }] }),
);
const roleChunk = chunkOf(event({ ...base, choices: [{ index: 0, delta: { role: "assistant", content: "" } }] }));
const head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";

function send(stream: Stream): void {
    const { socket, tokens } = stream;
    const isFirst = stream.sent === 0;
    const isLast = ++stream.sent === tokens;
    if (stream.streamed) {
        socket.write(isFirst ? head + roleChunk + tokenChunk : isLast ? tokenChunk + ending(tokens) : tokenChunk);
    } else if (isLast) socket.write(wholeAnswer(tokens));
    const now = performance.now();
    if (isFirst) stream.first = now;
    else record.gaps.push((now - stream.last) / 1000);
    stream.last = now;
    if (!isLast) {
        stream.due += betweenTokens;
        plan(stream);
        return;
    }
    record.ttft.push((stream.first - stream.came) / 1000);
    record.latency.push((now - stream.came) / 1000);
    span.from = Math.min(span.from, stream.came);
    span.to = now;
    if (tokens > 1) record.tpot.push((now - stream.first) / 1000 / (tokens - 1));
}

const usageOf = (tokens: number) => ({ prompt_tokens: 20, completion_tokens: tokens, total_tokens: 20 + tokens });

function ending(tokens: number): string {
    const finish = event({ ...base, choices: [{ index: 0, delta: { content: "" }, finish_reason: "length" }] });
    return (
        chunkOf(finish) +
        chunkOf(event({ ...base, choices: [], usage: usageOf(tokens) })) +
        chunkOf("data: [DONE]\n\n") +
        "0\r\n\r\n"
    );
}

function wholeAnswer(tokens: number): string {
    const message = { role: "assistant", content: " word".repeat(tokens) };
    const choices = [{ index: 0, message, finish_reason: "length" }];
    return json({ ...base, object: "chat.completion", choices, usage: usageOf(tokens) });
}

function json(value: object): string {
    const body = JSON.stringify(value);
    return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

function answer(socket: net.Socket, path: string, body: string): void {
    // Some tools ask first whether anybody is there.
    if (path === "/health") socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    else if (path === "/truth") socket.write(json(takeTruth()));
    else if (path.endsWith("/models")) {
        socket.write(json({ object: "list", data: [{ id: model, object: "model", created: 0, owned_by: "bench" }] }));
    } else if (!path.endsWith("/chat/completions")) socket.write("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    else {
        const came = performance.now();
        const { max_tokens, max_completion_tokens, stream } = JSON.parse(body);
        const random = randomOf("bench", requests++);
        const tokens = Math.min(mostTokens, max_tokens ?? max_completion_tokens ?? mostTokens);
        const first = firstToken.least + firstToken.spread * random();
        plan({ socket, came, first: 0, last: 0, tokens, sent: 0, due: came + first, streamed: stream === true });
    }
}

function takeTruth(): object {
    const rate = record.latency.length / ((span.to - span.from) / 1000);
    const times = Object.entries(record).map(([name, samples]) => [name, figures(samples)]);
    const truth = { ...Object.fromEntries(times), rate, count: record.latency.length };
    Object.assign(span, { from: Infinity, to: 0 });
    for (const name of Object.keys(record) as (keyof typeof record)[]) record[name] = new Samples();
    return truth;
}

function figures(samples: Samples): object {
    const sorted = samples.sorted();
    if (sorted.length === 0) return { count: 0 };
    const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
    const [p50, p95, p99] = [0.5, 0.95, 0.99].map((q) => quantile(sorted, q));
    return { count: sorted.length, mean, p50, p95, p99 };
}

const server = net.createServer({ noDelay: true }, (socket) => {
    let text = "";
    socket.setEncoding("latin1");
    socket.on("error", () => undefined);
    socket.on("data", (piece: string) => {
        text += piece;
        for (;;) {
            const headEnd = text.indexOf("\r\n\r\n");
            if (headEnd < 0) return;
            const length = Number(/content-length: *(\d+)/i.exec(text.slice(0, headEnd))?.[1] ?? 0);
            const end = headEnd + 4 + length;
            if (text.length < end) {
                if (/expect: 100-continue/i.test(text.slice(0, headEnd))) socket.write("HTTP/1.1 100 Continue\r\n\r\n");
                return;
            }
            const path = text.split(" ", 2)[1];
            const body = Buffer.from(text.slice(headEnd + 4, end), "latin1").toString();
            text = text.slice(end);
            answer(socket, path.split("?")[0], body);
        }
    });
});
server.listen({ port: Number(process.argv[2] ?? 0), host: "127.0.0.1", backlog: 4096 }, () => {
    tick();
    const { port } = server.address() as net.AddressInfo;
    if (process.send) process.send(port);
    else console.log(`http://127.0.0.1:${port}/v1`);
});
process.on("disconnect", () => process.exit());
