import { request as send } from "node:http";
import { ask, type RecordedRequest, type Target } from "../exchange";

/** A fixed load, and what it adds to the numbers of `/metrics`. Keys are made up. */

type Sent = Omit<RecordedRequest, "name">;

const authorization = "Bearer made-up-key";
const headers = { authorization };
const text = (body: object): Sent => ({
    path: "/v1/completions",
    headers,
    body: { model: "tiny", ignore_eos: true, ...body },
});
const chat = (body: object): Sent => ({
    path: "/v1/chat/completions",
    headers,
    body: { model: "tiny", messages: [{ role: "user", content: "What is the weather in Paris?" }], ...body },
});
/** Token ids that no other prompt begins with. */
const prompt = (first: number, tokens: number): number[] => Array.from({ length: tokens }, (_, i) => first + (i % 50));
const tool = {
    type: "function",
    function: { name: "get_time", parameters: { type: "object", properties: { a: { default: "x".repeat(400) } } } },
};

const texts: Sent[] = [
    text({ prompt: prompt(200, 70), max_tokens: 5 }),
    text({ prompt: prompt(200, 70), max_tokens: 5 }),
    text({ prompt: prompt(200, 100), max_tokens: 1 }),
    text({ prompt: prompt(300, 64), max_tokens: 3 }),
    text({ prompt: prompt(300, 64), max_tokens: 3 }),
    text({ prompt: prompt(400, 40), max_tokens: 4, n: 3 }),
    text({ prompt: [prompt(500, 3), prompt(600, 33)], max_tokens: 2 }),
    text({ prompt: [prompt(700, 3), prompt(800, 4)], max_tokens: 2, n: 2 }),
    text({ prompt: prompt(900, 10) }),
    text({ prompt: prompt(1000, 10), max_tokens: 7, stream: true, stream_options: { include_usage: true } }),
    text({ prompt: prompt(1100, 10), max_tokens: 2038 }),
    text({ prompt: prompt(1200, 10), max_tokens: 2, seed: 1, logprobs: 2 }),
];

const refusals: Sent[] = [
    text({ prompt: [1], model: "other" }),
    text({ prompt: [1], temperature: -1 }),
    text({ prompt: [1], max_tokens: 2048 }),
    text({}),
    text({ prompt: [1], max_tokens: null }),
    chat({ messages: [] }),
    { path: "/v1/chat/completions", headers, body: "{" },
    { path: "/v1/chat/completions", headers, body: "[]" },
    { path: "/v1/chat/completions", headers: { ...headers, "content-type": "text/plain" }, body: "{}" },
    { path: "/v1/models" },
    { path: "/v1/chat/completions", body: {} },
    { path: "/v1/nowhere" },
    { path: "/v1/models", headers },
    { path: "/v1/models", headers: { ...headers, origin: "https://page.example" } },
    { path: "/v1/models/", headers },
    { path: "/v1/models", headers, method: "HEAD" },
    { path: "/v1/chat/completions", headers },
    { path: "/v1/completions", headers, method: "DELETE" },
    { path: "/v1/completions", method: "OPTIONS" },
    {
        path: "/v1/completions",
        method: "OPTIONS",
        headers: { origin: "https://page.example", "access-control-request-method": "POST" },
    },
    { path: "/nowhere" },
    { path: "/nowhere", body: {} },
    { path: "/health" },
    { path: "/health", method: "POST", body: {} },
    { path: "/ping" },
    { path: "/load" },
    { path: "/version" },
    { path: "/metrics" },
    { path: "/metrics/" },
    { path: "/docs" },
    { path: "/openapi.json" },
    { path: "/tokenize", body: { prompt: "Hello" } },
    { path: "/tokenize", body: {} },
    { path: "/detokenize", body: { tokens: [] } },
];

const chats: Sent[] = [
    chat({ max_tokens: 3, ignore_eos: true }),
    chat({ max_tokens: 3, ignore_eos: true, stream: true }),
    chat({ max_completion_tokens: 2, max_tokens: 9, ignore_eos: true, n: 2 }),
    chat({ max_tokens: 2, tools: [tool], tool_choice: { type: "function", function: { name: "get_time" } } }),
    chat({ max_tokens: 20, structured_outputs: { choice: ["yes"] } }),
    chat({ ignore_eos: true }),
];

export type Numbers = Record<string, number>;

/** What each part of the load adds, by series; what says nothing without the same machine or tokenizer is `<some>`. */
export async function run(target: Target): Promise<Record<string, Record<string, number | string>>> {
    const added: Record<string, Record<string, number | string>> = {};
    for (const [part, requests] of Object.entries({ texts, refusals, chats })) {
        const before = await numbers(target);
        for (const request of requests) await ask(target, request);
        const after = await until(target, ({ running }) => running === 0);
        added[part] = difference(before, after, part);
    }
    for (const streams of [1, 3, 20]) added[`${streams} aborted`] = await abort(target, streams);
    return added;
}

/** Clients that go away once all of them that can be in the batch of 16 are. */
async function abort(target: Target, streams: number): Promise<Record<string, number | string>> {
    const before = await numbers(target);
    const clients = Array.from({ length: streams }, (_, i) =>
        open(target, text({ prompt: prompt(1300 + i, 20), max_tokens: 2000, stream: true })),
    );
    const during = await until(
        target,
        ({ running, waiting }) => running === Math.min(streams, 16) && waiting === Math.max(0, streams - 16),
    );
    for (const client of clients) client();
    const after = await until(target, ({ running, waiting }) => running === 0 && waiting === 0);
    return {
        "running while they last": gauges(during).running,
        "waiting while they last": gauges(during).waiting,
        "KV cache in use while they last": gauges(during).kv > 0 ? "<some>" : 0,
        "running afterwards": gauges(after).running,
        "waiting afterwards": gauges(after).waiting,
        "KV cache in use afterwards": gauges(after).kv,
        ...difference(before, after, "aborts"),
    };
}

/** Begins a request and returns how to go away. */
function open(target: Target, { path, headers, body }: Sent): () => void {
    const where =
        typeof target === "number"
            ? { port: target, agent: false as const }
            : { createConnection: target as () => never };
    const outgoing = send({
        ...where,
        host: "127.0.0.1",
        method: "POST",
        path,
        headers: { ...headers, "content-type": "application/json" },
    });
    outgoing.on("error", () => undefined);
    outgoing.on("response", (incoming) => incoming.on("error", () => undefined).resume());
    outgoing.end(JSON.stringify(body));
    return () => outgoing.destroy();
}

async function until(target: Target, holds: (now: ReturnType<typeof gauges>) => boolean): Promise<Numbers> {
    const end = Date.now() + 30_000;
    for (;;) {
        const now = await numbers(target);
        if (holds(gauges(now))) return now;
        if (Date.now() > end) throw new Error(`the gauges never came there: ${JSON.stringify(gauges(now))}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

function gauges(now: Numbers): { running: number; waiting: number; kv: number } {
    const gauge = (name: string): number => Object.entries(now).find(([series]) => series.startsWith(`${name}{`))![1];
    return {
        running: gauge("vllm:num_requests_running"),
        waiting: gauge("vllm:num_requests_waiting"),
        kv: gauge("vllm:kv_cache_usage_perc"),
    };
}

/** The series of the page with their values. */
async function numbers(target: Target): Promise<Numbers> {
    const { text } = await ask(target, { path: "/metrics" });
    const lines = text.split("\n").filter((line) => /^(vllm:|http_)/.test(line));
    return Object.fromEntries(
        lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]),
    );
}

const ofTime = /_(seconds|created)(_bucket|_sum)?\{|highr_seconds_(bucket|sum)/;
const ofSteps = /iteration_tokens_total_(bucket|count)/;
const ofPrompts =
    /prompt_tokens|prefix_cache|prefill_kv|iteration_tokens|response_size.*_sum|params_max_tokens_(sum|bucket)/;
const ofAborts = /generation_tokens|iteration_tokens|inter_token|time_to_first/;

function difference(before: Numbers, after: Numbers, part: string): Record<string, number | string> {
    const changed = Object.entries(after)
        .filter(([series]) => !ofTime.test(series) && !/^vllm:(num_requests|kv_cache|cache_config)/.test(series))
        .map(([series, value]): [string, number] => [series, value - (before[series] ?? 0)])
        .filter(([series, value]) => value !== 0 || before[series] === undefined);
    const vague = (series: string): boolean =>
        ofSteps.test(series) ||
        (part !== "refusals" && /response_size_bytes_sum/.test(series)) ||
        (part === "refusals" &&
            /response_size_bytes_sum.*"(\/tokenize|\/docs|\/openapi.json|\/v1\/.*)"/.test(series)) ||
        (part === "chats" && (ofPrompts.test(series) || /generation_tokens/.test(series))) ||
        (part === "aborts" && ofAborts.test(series)) ||
        /inter_token_latency/.test(series);
    return Object.fromEntries(
        changed
            .filter(([series]) => !(vague(series) && series.includes("_bucket{")))
            .map(([series, value]) => [
                series.replace(/engine="0",|,?model_name="tiny"/g, ""),
                vague(series) ? "<some>" : value,
            ]),
    );
}
