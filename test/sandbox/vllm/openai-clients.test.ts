import OpenAI from "openai";
import type { RunnableToolFunctionWithParse } from "openai/lib/RunnableFunction";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runPython } from "./python";
import { model, readyReplica, type TestReplica } from "./replica";

let server: TestReplica;
beforeAll(async () => {
    server = await readyReplica(["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]);
});
afterAll(() => server.replica.stop());

const messages = [{ role: "user" as const, content: "What is the weather in Paris?" }];
const tools = [
    {
        type: "function" as const,
        function: {
            name: "get_weather",
            parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
        },
    },
];

describe("the official client for Node", () => {
    let client: OpenAI;
    beforeAll(() => {
        client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "EMPTY", maxRetries: 0 });
    });

    it("lists models, chats, and reads log probabilities", async () => {
        expect((await client.models.list()).data.map(({ id }) => id)).toEqual([model]);
        const { choices, usage } = await client.chat.completions.create({
            model,
            messages,
            max_tokens: 8,
            logprobs: true,
            top_logprobs: 2,
        });
        expect(choices[0].message.content).toMatch(/^This/);
        expect(choices[0].logprobs?.content).toHaveLength(usage!.completion_tokens);
    });

    it("streams, with the usage at the end", async () => {
        const stream = client.chat.completions.stream({
            model,
            messages,
            max_tokens: 200,
            stop: ["sandbox"],
            stream_options: { include_usage: true },
            seed: 3,
        });
        let said = "";
        stream.on("content", (piece) => (said += piece));
        const final = await stream.finalChatCompletion();
        expect(said).toBe(final.choices[0].message.content);
        expect((await stream.totalUsage()).completion_tokens).toBeGreaterThan(0);
    });

    it("calls a tool and goes on with its result", async () => {
        const weather: RunnableToolFunctionWithParse<{ city: string }> = {
            type: "function",
            function: {
                ...tools[0].function,
                description: "The weather in a city.",
                function: ({ city }) => `sunny in ${city}`,
                parse: (text) => JSON.parse(text) as { city: string },
            },
        };
        const runner = client.chat.completions.runTools({ model, messages: [...messages], tools: [weather] });
        expect(await runner.finalContent()).toMatch(/^This/);
        expect(runner.messages.find(({ role }) => role === "tool")).toMatchObject({ content: "sunny in simulated" });
    });

    it("streams a tool call", async () => {
        const stream = client.chat.completions.stream({ model, messages, tools, tool_choice: "required" });
        const { choices } = await stream.finalChatCompletion();
        expect(choices[0].finish_reason).toBe("tool_calls");
        expect(choices[0].message.tool_calls?.[0]).toMatchObject({ function: { name: "get_weather" } });
    });

    it("completes texts", async () => {
        const { choices } = await client.completions.create({ model, prompt: ["a", "b"], n: 2, max_tokens: 2 });
        expect(choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
        const chunks: string[] = [];
        for await (const { choices: some } of await client.completions.create({ model, prompt: "a", stream: true })) {
            chunks.push(...some.map(({ text }) => text));
        }
        expect(chunks.join("")).toMatch(/^This/);
    });

    it("throws the errors that it has for a refusal", async () => {
        const wrongModel = client.chat.completions.create({ model: "other", messages });
        await expect(wrongModel).rejects.toBeInstanceOf(OpenAI.NotFoundError);
        const tooCold = client.chat.completions.create({ model, messages, temperature: -1 });
        await expect(tooCold).rejects.toThrow("400 temperature must be non-negative, got -1.0.");
    });

    it("parses an answer in the form that it asked for", async () => {
        const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
        const { choices } = await client.chat.completions.parse({
            model,
            messages,
            response_format: { type: "json_schema", json_schema: { name: "place", schema } },
        });
        expect(choices[0].message.parsed).toEqual({ city: "simulated" });
    });

    it("aborts", async () => {
        const gone = new AbortController();
        const stream = await client.completions.create(
            {
                model,
                prompt: "a",
                max_tokens: 4000,
                min_tokens: 4000,
                stream: true,
            } as OpenAI.CompletionCreateParamsStreaming,
            { signal: gone.signal },
        );
        for await (const _ of stream) gone.abort();
        await expect.poll(() => server.replica.load.running).toBe(0);
    });
});

describe("the official client for Python", () => {
    it("lists, chats, streams, calls tools, completes and throws as against OpenAI", { timeout: 300_000 }, async () => {
        const printed = await runPython(`${__dirname}/openai-client.py`, [`${server.url}/v1`, model]);
        const seen = JSON.parse(printed) as Record<string, any>;
        expect(seen.models).toEqual([model]);
        expect(seen.chat).toMatchObject({ finish_reason: "length", completion_tokens: 8, logprobs: 8 });
        expect(seen.chat.text).toMatch(/^This answer is/);
        expect(seen.stream).toEqual({ text: seen.chat.text, completion_tokens: 8 });
        expect(seen.tool).toMatchObject({
            name: "get_weather",
            arguments: { city: "simulated" },
            finish_reason: "tool_calls",
        });
        expect(seen.tool.answer).toMatch(/^This/);
        expect(seen.streamed_tool).toBe("get_weather");
        expect(seen.text).toEqual([0, 1, 2, 3]);
        expect(seen.not_found).toBe("The model `other` does not exist.");
        expect(seen.bad_request).toBe("temperature must be non-negative, got -1.0.");
        expect(seen.form).toBe('{"answer":"simulated"}');
        expect(seen.at_once).toHaveLength(8);
    });
});
