import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { model, readyReplica, until, type TestReplica } from "./replica";

let server: TestReplica;
beforeAll(async () => {
    server = await readyReplica(["--enable-auto-tool-choice", "--tool-call-parser", "mistral"]);
});
afterAll(() => server.replica.stop());

const messages = [{ role: "user", content: "What is the weather in Paris?" }];
async function json(answer: Promise<Response>): Promise<{ status: number; body: any }> {
    const got = await answer;
    return { status: got.status, body: await got.json() };
}
const chat = (body: object): Promise<{ status: number; body: any }> =>
    json(server.post("/v1/chat/completions", { model, messages, ...body }));
const text = (body: object): Promise<{ status: number; body: any }> =>
    json(server.post("/v1/completions", { model, prompt: "Once upon a time", ...body }));
/** The chunks of a stream, its `[DONE]` left out. */
async function stream(path: string, body: object): Promise<any[]> {
    const answer = await server.post(path, { model, stream: true, ...body });
    expect(answer.headers.get("content-type")).toContain("text/event-stream");
    const events = (await answer.text()).split("\n\n").filter(Boolean);
    expect(events.pop()).toBe("data: [DONE]");
    return events.map((event) => JSON.parse(event.replace(/^data: /, "")));
}

describe("plain paths", () => {
    it("answer as vLLM's", async () => {
        for (const path of ["/health", "/ping"]) {
            const answer = await server.get(path);
            expect([answer.status, await answer.text()]).toEqual([200, ""]);
        }
        expect((await json(server.get("/version"))).body).toEqual({ version: "0.13.0" });
        expect((await json(server.get("/load"))).body).toEqual({ server_load: 0 });
        const { body } = await json(server.get("/v1/models"));
        expect(body).toMatchObject({
            object: "list",
            data: [{ id: model, object: "model", owned_by: "vllm", root: model, parent: null, max_model_len: 4096 }],
        });
    });

    it("/load counts with --enable-server-load-tracking", async () => {
        const tracking = await readyReplica(["--enable-server-load-tracking"]);
        const gone = new AbortController();
        const body = { model, prompt: "x", max_tokens: 4000, ignore_eos: true };
        const under = tracking.post("/v1/completions", body, gone.signal).catch(() => undefined);
        await until(
            async () => ((await (await tracking.get("/load")).json()) as { server_load: number }).server_load === 1,
        );
        gone.abort();
        await under;
        await until(
            async () => ((await (await tracking.get("/load")).json()) as { server_load: number }).server_load === 0,
        );
        await tracking.replica.stop();
    });

    it("are 404, 405 or, where vLLM has one that is not simulated, 501", async () => {
        expect(await json(server.get("/nowhere"))).toEqual({ status: 404, body: { detail: "Not Found" } });
        expect(await json(server.get("/v1/completions"))).toEqual({
            status: 405,
            body: { detail: "Method Not Allowed" },
        });
        const { status, body } = await json(server.post("/v1/responses", { model, input: "x" }));
        expect(status).toBe(501);
        expect(body.error.message).toBe("the sandbox does not simulate /v1/responses of vLLM");
    });

    it("need the API key only under /v1", async () => {
        const keyed = await readyReplica(["--api-key", "made-up-key"]);
        expect((await keyed.get("/v1/models")).status).toBe(401);
        expect((await keyed.get("/v1/models", { authorization: "Bearer made-up-key" })).status).toBe(200);
        expect((await keyed.get("/metrics")).status).toBe(200);
        await keyed.replica.stop();
    });

    it("/tokenize and /detokenize are each other's reverse", async () => {
        for (const prompt of ["Hello, world", "", "Grüße aus Öster\u00adreich", "日本語 and 🙂🙂 mixed", "\n\t\0"]) {
            const { body } = await json(server.post("/tokenize", { model, prompt, return_token_strs: true }));
            expect(body).toMatchObject({ count: body.tokens.length, max_model_len: 4096 });
            expect(body.token_strs.join("")).toBe(prompt);
            const back = await json(server.post("/detokenize", { model, tokens: body.tokens }));
            expect(back.body).toEqual({ prompt });
        }
        const counted = (await json(server.post("/tokenize", { model, messages }))).body.count;
        expect((await chat({ max_tokens: 1 })).body.usage.prompt_tokens).toBe(counted);
        expect((await json(server.post("/detokenize", { tokens: [3] }))).status).toBe(400);
    });
});

describe("completions", () => {
    it("answer a chat, with usage that adds up and a text that says what it is", async () => {
        const { status, body } = await chat({ max_tokens: 12, ignore_eos: true });
        expect(status).toBe(200);
        expect(body).toMatchObject({
            id: expect.stringMatching(/^chatcmpl-/),
            object: "chat.completion",
            model,
            choices: [{ index: 0, finish_reason: "length", stop_reason: null, logprobs: null }],
        });
        const { content, role, tool_calls } = body.choices[0].message;
        expect([role, tool_calls]).toEqual(["assistant", []]);
        expect(content).toContain("This answer is simulated");
        expect(body.usage.completion_tokens).toBe(12);
        expect(body.usage.total_tokens).toBe(body.usage.prompt_tokens + 12);
        const { body: counted } = await json(server.post("/tokenize", { model, prompt: content }));
        expect(counted.count).toBe(12);
    });

    it("answer several prompts n times each, in order", async () => {
        const { body } = await text({ prompt: ["a", "b"], n: 2, max_tokens: 3, temperature: 0.7 });
        expect(body.object).toBe("text_completion");
        expect(body.choices.map(({ index }: { index: number }) => index)).toEqual([0, 1, 2, 3]);
        expect(body.usage.prompt_tokens).toBe(2);
    });

    it("take token ids as a prompt", async () => {
        const { body } = await text({ prompt: [300, 301, 302], max_tokens: 2 });
        expect(body.usage.prompt_tokens).toBe(3);
    });

    it("stop at a stop string, which is left out unless asked for", async () => {
        const out = await chat({ stop: ["simulated"], ignore_eos: true });
        expect(out.body.choices[0]).toMatchObject({
            message: { content: "This answer is " },
            finish_reason: "stop",
            stop_reason: "simulated",
        });
        const kept = await chat({ stop: "simulated", include_stop_str_in_output: true, ignore_eos: true });
        expect(kept.body.choices[0].message.content).toBe("This answer is simulated");
    });

    it("are the same with the same seed", async () => {
        const [one, two, three] = await Promise.all([5, 5, 6].map((seed) => chat({ seed, n: 4 })));
        expect(one.body.usage).toEqual(two.body.usage);
        expect(three.body.usage).not.toEqual(one.body.usage);
    });

    it("stream: role first, then the text in pieces, then the usage when asked for", async () => {
        const whole = await chat({ max_tokens: 9, ignore_eos: true });
        const chunks = await stream("/v1/chat/completions", {
            messages,
            max_tokens: 9,
            ignore_eos: true,
            stream_options: { include_usage: true },
        });
        expect(new Set(chunks.map(({ id }) => id as string)).size).toBe(1);
        expect(chunks[0].choices[0].delta).toEqual({ role: "assistant", content: "", reasoning_content: null });
        const said = chunks.flatMap(({ choices }) => choices).map(({ delta }) => delta.content as string);
        expect(said.join("")).toBe(whole.body.choices[0].message.content);
        expect(chunks.at(-2).choices[0].finish_reason).toBe("length");
        expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 9 } });
        const without = await stream("/v1/chat/completions", { messages, max_tokens: 2 });
        expect(without.every((chunk) => chunk.usage === undefined)).toBe(true);
        const each = await stream("/v1/completions", {
            prompt: "x",
            max_tokens: 3,
            ignore_eos: true,
            stream_options: { include_usage: true, continuous_usage_stats: true },
        });
        expect(each.every((chunk) => chunk.usage !== undefined)).toBe(true);
    });

    it("stream: the usage unasked, with --enable-force-include-usage", async () => {
        const forced = await readyReplica(["--enable-force-include-usage"]);
        const body = { messages, max_tokens: 2, stream: true, ignore_eos: true };
        const text = await (await forced.post("/v1/chat/completions", body)).text();
        expect(text).toMatch(/"choices":\[\],"usage":\{[^}]*"completion_tokens":2[^}]*\}\}\n\ndata: \[DONE\]\n\n$/);
        await forced.replica.stop();
    });

    it("tell log probabilities, most probable first and together below 1", async () => {
        const { body } = await chat({ max_tokens: 4, ignore_eos: true, logprobs: true, top_logprobs: 3 });
        const { content } = body.choices[0].logprobs;
        expect(content).toHaveLength(4);
        expect(content.map(({ token }: { token: string }) => token).join("")).toBe(body.choices[0].message.content);
        for (const { token, logprob, bytes, top_logprobs } of content) {
            expect(Buffer.from(bytes).toString()).toBe(token);
            const tops = (top_logprobs as { logprob: number }[]).map((top) => top.logprob);
            expect(tops).toHaveLength(3);
            expect(tops[0]).toBe(logprob);
            expect(tops).toEqual([...tops].sort((a, b) => b - a));
            expect(tops.reduce((sum, one) => sum + Math.exp(one), 0)).toBeLessThan(1);
        }
        const old = (await text({ max_tokens: 3, ignore_eos: true, logprobs: 2 })).body.choices[0];
        expect(old.logprobs.tokens.join("")).toBe(old.text);
        expect(old.logprobs.text_offset).toEqual([0, 4, 8]);
        expect(Object.keys(old.logprobs.top_logprobs[0])).toHaveLength(2);
        const chunks = await stream("/v1/completions", { prompt: "x", max_tokens: 3, ignore_eos: true, logprobs: 1 });
        expect(chunks.flatMap(({ choices }) => choices.flatMap((one: any) => one.logprobs.text_offset))).toEqual([
            0, 4, 8,
        ]);
    });
});

describe("tools", () => {
    const tools = ["get_time", "get_weather"].map((name) => ({
        type: "function",
        function: {
            name,
            parameters: {
                type: "object",
                properties: {
                    city: { type: "string", enum: ["Paris", "Rome"] },
                    days: { type: "integer", minimum: 2 },
                },
                required: ["city", "days"],
            },
        },
    }));

    it("auto calls the one that the user speaks of, with arguments that its schema allows", async () => {
        const { body } = await chat({ tools });
        expect(body.choices[0]).toMatchObject({ finish_reason: "tool_calls", message: { content: null } });
        const [call] = body.choices[0].message.tool_calls;
        expect(call).toMatchObject({ type: "function", function: { name: "get_weather" } });
        expect(call.id).toMatch(/^[A-Za-z0-9]{9}$/);
        expect(JSON.parse(call.function.arguments)).toEqual({ city: "Paris", days: 2 });
        const answered = [
            ...messages,
            { role: "assistant", content: null, tool_calls: [call] },
            { role: "tool", tool_call_id: call.id, content: "weather: sunny" },
        ];
        const then = await chat({ messages: answered, tools, ignore_eos: true, max_tokens: 9 });
        expect(then.body.choices[0].message.content).toContain("simulated");
    });

    it("auto answers in words when none is meant", async () => {
        const { body } = await chat({ tools, messages: [{ role: "user", content: "Get me a poem." }] });
        expect(body.choices[0].message.tool_calls).toEqual([]);
    });

    it("none calls none, required calls one, a name calls that one", async () => {
        const calls = async (tool_choice: unknown): Promise<unknown[]> => {
            const { body } = await chat({ tools, tool_choice });
            const { message, finish_reason } = body.choices[0];
            return [message.tool_calls[0]?.function.name, finish_reason];
        };
        expect((await calls("none"))[0]).toBeUndefined();
        expect(await calls("required")).toEqual(["get_weather", "tool_calls"]);
        expect(await calls({ type: "function", function: { name: "get_time" } })).toEqual(["get_time", "stop"]);
    });

    it("stream a call in pieces", async () => {
        const chunks = await stream("/v1/chat/completions", { messages, tools });
        const deltas = chunks.flatMap(({ choices }) => choices).flatMap(({ delta }) => delta.tool_calls ?? []);
        expect(deltas[0]).toMatchObject({ index: 0, type: "function", function: { name: "get_weather" } });
        const given = deltas.map((delta) => delta.function.arguments as string).join("");
        expect(JSON.parse(given)).toEqual({ city: "Paris", days: 2 });
        expect(chunks.at(-1).choices[0].finish_reason).toBe("tool_calls");
    });

    it("are refused where vLLM refuses", async () => {
        const told = async (body: object): Promise<string> => {
            const answer = await chat(body);
            expect(answer.status).toBe(400);
            return answer.body.error.message as string;
        };
        expect(await told({ tool_choice: "auto" })).toContain("When using `tool_choice`, `tools` must be set.");
        const named = { type: "function", function: { name: "nothing" } };
        expect(await told({ tools, tool_choice: named })).toContain("does not match any of the specified `tools`");
        expect(await told({ tools: [{ type: "function" }] })).toContain(
            "('body', 'tools', 0, 'function'), 'msg': 'Field required'",
        );
        const plain = await readyReplica();
        const { body } = await json(plain.post("/v1/chat/completions", { model, messages, tools }));
        expect(body.error.message).toContain("--enable-auto-tool-choice and --tool-call-parser");
        await plain.replica.stop();
    });
});

describe("answers in a form", () => {
    const content = async (body: object): Promise<string> => {
        const { body: answer } = await chat(body);
        expect(answer.choices[0].finish_reason).toBe("stop");
        return answer.choices[0].message.content as string;
    };
    const schema = {
        type: "object",
        properties: { name: { type: "string" }, sizes: { type: "array", items: { type: "integer" } } },
        required: ["name", "sizes"],
    };

    it("are valid: by a schema, as any JSON, one of a choice", async () => {
        const format = { type: "json_schema", json_schema: { name: "thing", schema } };
        expect(JSON.parse(await content({ response_format: format }))).toEqual({ name: "simulated", sizes: [1] });
        expect(JSON.parse(await content({ structured_outputs: { json: schema } }))).toEqual({
            name: "simulated",
            sizes: [1],
        });
        const any = JSON.parse(await content({ response_format: { type: "json_object" } })) as object;
        expect(Object.keys(any).length).toBeGreaterThan(0);
        expect(await content({ structured_outputs: { choice: ["yes", "no"] } })).toBe("yes");
    });

    it("come in pieces as well", async () => {
        const chunks = await stream("/v1/chat/completions", { messages, structured_outputs: { json: schema } });
        const said = chunks.flatMap(({ choices }) => choices).map(({ delta }) => (delta.content ?? "") as string);
        expect(JSON.parse(said.join(""))).toEqual({ name: "simulated", sizes: [1] });
    });

    it("are refused where the sandbox cannot say what is allowed", async () => {
        const { status, body } = await chat({ structured_outputs: { regex: "[0-9]{9}" } });
        expect([status, body.error.message]).toEqual([
            400,
            "structured_outputs.regex: the sandbox cannot say what it would allow",
        ]);
    });

    it("repeat the prompt with echo, alone when nothing is to be generated", async () => {
        const both = await text({ echo: true, max_tokens: 2, ignore_eos: true, logprobs: 1 });
        expect(both.body.choices[0].text).toBe("Once upon a timeThis ans");
        expect(both.body.choices[0].logprobs.tokens).toEqual(["Once", " upo", "n a ", "time", "This", " ans"]);
        expect(both.body.choices[0].logprobs.text_offset).toEqual([0, 4, 8, 12, 16, 20]);
        const alone = await text({ echo: true, max_tokens: 0, logprobs: 1 });
        expect(alone.body.choices[0].text).toBe("Once upon a time");
        expect(alone.body.usage.completion_tokens).toBe(1);
    });
});

describe("images", () => {
    const ask = (url: string): Promise<{ status: number; body: any }> => {
        const content = [
            { type: "text", text: "What is it?" },
            { type: "image_url", image_url: { url } },
        ];
        return chat({ messages: [{ role: "user", content }], max_tokens: 1 });
    };
    /** The beginning of one, which is all that is looked at. */
    const png = (width: number, height: number): string => {
        const bytes = Buffer.alloc(24);
        bytes.write("\x89PNG\r\n\x1a\n", "latin1");
        bytes.writeUInt32BE(width, 16);
        bytes.writeUInt32BE(height, 20);
        return `data:image/png;base64,${bytes.toString("base64")}`;
    };
    const tokens = async (url: string): Promise<number> => (await ask(url)).body.usage.prompt_tokens as number;

    it("count as Ministral 3 makes tokens of them: a square of 28 pixels is one, a row ends with one", async () => {
        const words = (await chat({ messages: [{ role: "user", content: "What is it?" }], max_tokens: 1 })).body.usage;
        expect((await tokens(png(28, 28))) - words.prompt_tokens).toBe(2);
        expect((await tokens(png(280, 57))) - words.prompt_tokens).toBe(11 * 3);
        // The longest edge becomes 1,540 pixels.
        expect((await tokens(png(3080, 1540))) - words.prompt_tokens).toBe(56 * 28);
        expect(await tokens("https://images.invalid/none.png")).toBeGreaterThan(1000);
    });

    it("are refused when they are none, as sounds and films are", async () => {
        const told = async (url: string): Promise<[number, string]> => {
            const { status, body } = await ask(url);
            return [status, body.error.message as string];
        };
        expect(await told("data:image/png;base64,AAAA")).toEqual([
            400,
            expect.stringContaining("cannot identify image"),
        ]);
        expect(await told("data:image/png,x")).toEqual([400, expect.stringContaining("not enough values to unpack")]);
        expect(await told("file:///etc/passwd")).toEqual([400, expect.stringContaining("--allowed-local-media-path")]);
        const audio = { type: "input_audio", input_audio: { data: "AAAA", format: "wav" } };
        const { status } = await chat({ messages: [{ role: "user", content: [audio] }] });
        expect(status).toBe(400);
    });
});

describe("refusals", () => {
    it("have vLLM's shape", async () => {
        const { status, body } = await chat({ model: "other" });
        expect([status, body]).toEqual([
            404,
            { error: { message: "The model `other` does not exist.", type: "NotFoundError", param: null, code: 404 } },
        ]);
    });

    it("do not come for fields that vLLM does not know: they are ignored with a line in the log", async () => {
        expect((await chat({ a_new_one: 1, best_of: 3, max_tokens: 1 })).status).toBe(200);
        const warning = server.log.filter((line) => line.includes("WARNING")).at(-1);
        expect(warning).toContain("were present in the request but ignored: {'a_new_one', 'best_of'}");
    });

    it("tell every fault with its place", async () => {
        const { status, body } = await chat({ n: "x", stop: 3, stream: "maybe" });
        expect([status, body.error.type]).toEqual([400, "Bad Request"]);
        const told = body.error.message as string;
        expect(told).toMatch(/^4 validation errors:\n/);
        for (const place of ["'n'", "'stop', 'str'", "'stop', 'list[str]'", "'stream'"]) {
            expect(told).toContain(`'loc': ('body', ${place})`);
        }
    });

    it("keep from the server what the real one dies of", async () => {
        const many = await chat({ n: 20_000 });
        expect([many.status, many.body.error.message]).toEqual([400, expect.stringContaining("would not survive it")]);
        const negative = await text({ prompt: [-1] });
        expect([negative.status, negative.body.error.message]).toEqual([400, "Token id -1 is out of vocabulary"]);
        const deep = `{"messages": ${"[".repeat(50_000)}${"]".repeat(50_000)}}`;
        expect((await server.post("/v1/chat/completions", deep)).status).toBe(400);
    });
});

describe("end of a request and of the server", () => {
    const long = { model, prompt: "x", max_tokens: 4000, ignore_eos: true, stream: true };

    it("clients that go away free their places; nothing is counted and the gauges are 0 at once", async () => {
        const own = await readyReplica(["--max-num-seqs", "2"]);
        const gone = new AbortController();
        await Promise.all([1, 2, 3].map(() => own.post("/v1/completions", long, gone.signal)));
        await until(async () => (await own.metric("vllm:num_requests_running")) === 2);
        await until(async () => (await own.metric("vllm:num_requests_waiting")) === 1);
        expect(await own.metric("vllm:kv_cache_usage_perc")).toBeGreaterThan(0);
        gone.abort();
        await until(() => own.replica.load.running === 0 && own.replica.load.waiting === 0);
        for (const gauge of ["num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"]) {
            expect([gauge, await own.metric(`vllm:${gauge}`)]).toEqual([gauge, 0]);
        }
        for (const finished_reason of ["stop", "length", "abort", "error"]) {
            expect(await own.metric("vllm:request_success_total", { finished_reason })).toBe(0);
        }
        expect(await own.metric("vllm:e2e_request_latency_seconds_count")).toBe(0);
        expect(await own.metric("vllm:time_to_first_token_seconds_count")).toBe(2);
        await own.replica.stop();
    });
});
