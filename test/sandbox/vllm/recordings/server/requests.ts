import type { RecordedRequest } from "../exchange";

/** What is asked of the real server and of the simulated one. Keys are made up. */

/** Speaks of nothing that a tool below is about. */
const messages = [{ role: "user", content: "Tell me a story." }];
const chatPath = "/v1/chat/completions";
const textPath = "/v1/completions";
/** Two tokens of an answer that never ends by itself. */
const chatBody = { model: "tiny", messages, max_tokens: 2, ignore_eos: true };
const textBody = { model: "tiny", prompt: [11, 12, 13], max_tokens: 2, ignore_eos: true };

/** A stream that comes in more than two parts. */
const long = { stream: true, max_tokens: 40 };

const chat = (fields: object, name = words(fields)): RecordedRequest => ({
    name: `chat ${name}`,
    path: chatPath,
    body: { ...chatBody, ...fields },
});
const text = (fields: object, name = words(fields)): RecordedRequest => ({
    name: `text ${name}`,
    path: textPath,
    body: { ...textBody, ...fields },
    ...("prompt" in fields && !/^\[[[\d]/.test(JSON.stringify(fields.prompt)) ? {} : { exact: true }),
});
const both = (field: string, values: unknown[]): RecordedRequest[] =>
    values.flatMap((value) => [chat({ [field]: value }), text({ [field]: value })]);

function words(fields: object): string {
    const said = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
    return said.join(" ").slice(0, 200) || "plain";
}

const paths: RecordedRequest[] = [
    ...[
        "/health", "/ping", "/version", "/load", "/metrics", "/v1/models", "/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect",
        "/nowhere", "/", "/v1", "/v1/", "/v1/models/tiny", "/v1/completions", chatPath, "/tokenize", "/detokenize",
        "/health/", "/v1/models/", "/metrics/", "/metrics/x", "/v1/chat/completions/", "/health?x=1", "/server_info",
        "/tokenizer_info", "/is_sleeping", "/is_paused", "/v1/responses/none", "//", "/%2e%2e/health", "/HEALTH", "/v1/models?a=b",
    ].flatMap((path): RecordedRequest[] => [{ name: `GET ${path}`, path }]),
    ...["/health", "/ping", "/v1/models", "/metrics", "/nowhere", chatPath, "/openapi.json", "/docs"].map(
        (path): RecordedRequest => ({ name: `HEAD ${path}`, method: "HEAD", path }),
    ),
    ...["/health", "/v1/models", chatPath, "/nowhere", "/metrics"].map(
        (path): RecordedRequest => ({ name: `OPTIONS ${path}`, method: "OPTIONS", path }),
    ),
    ...["/health", "/ping", "/version", "/load", "/metrics", "/v1/models", "/nowhere", "/sleep", "/wake_up", "/reset_prefix_cache"].map(
        (path): RecordedRequest => ({ name: `POST ${path}`, method: "POST", path, body: {} }),
    ),
    ...["PUT", "DELETE", "PATCH"].flatMap((method) =>
        ["/health", chatPath].map((path): RecordedRequest => ({ name: `${method} ${path}`, method, path, body: {} })),
    ),
    ...[
        "/v1/embeddings", "/v1/responses", "/v1/messages", "/v1/score", "/score", "/rerank", "/v1/rerank", "/v2/rerank", "/pooling", "/classify",
        "/invocations", "/inference/v1/generate", "/v1/audio/transcriptions", "/v1/audio/translations", "/v1/load_lora_adapter",
        "/scale_elastic_ep", "/is_scaling_elastic_ep", "/abort_requests", "/v1/messages/count_tokens",
    ].map((path): RecordedRequest => ({ name: `POST ${path}`, path, body: {} })),
    {
        name: "POST /v1/embeddings with an input",
        path: "/v1/embeddings",
        body: { model: "tiny", input: "x" },
    },
    { name: "POST /v1/chat/completions/", path: `${chatPath}/`, body: chatBody },
    { name: "POST /v1//chat/completions", path: "/v1//chat/completions", body: chatBody },
    { name: "POST /v1/chat/completions?x=1", path: `${chatPath}?x=1`, body: chatBody },
]; // prettier-ignore

const page = { origin: "https://page.example" };
const asked = { ...page, "access-control-request-method": "POST" };
const crossOrigin: RecordedRequest[] = [
    { name: "preflight", method: "OPTIONS", path: chatPath, headers: asked },
    {
        name: "preflight with headers",
        method: "OPTIONS",
        path: chatPath,
        headers: { ...asked, "access-control-request-headers": "content-type, authorization" },
    },
    { name: "preflight of an unknown path", method: "OPTIONS", path: "/nowhere", headers: asked },
    {
        name: "preflight of PUT",
        method: "OPTIONS",
        path: chatPath,
        headers: { ...page, "access-control-request-method": "PUT" },
    },
    { name: "GET with an origin", path: "/v1/models", headers: page },
    { name: "GET with an origin and a cookie", path: "/v1/models", headers: { ...page, cookie: "a=b" } },
    { name: "unknown path with an origin", path: "/nowhere", headers: page },
    { name: "chat with an origin", path: chatPath, headers: page, body: chatBody },
    { name: "refusal with an origin", path: chatPath, headers: page, body: {} },
];

const bodies: RecordedRequest[] = [
    ...[
        "text/plain", "application/json; charset=utf-8", "application/JSON", "application/x-www-form-urlencoded", "multipart/form-data",
        "application/vnd.api+json", "",
    ].map((type): RecordedRequest => ({ name: `content type '${type}'`, path: chatPath, headers: { "content-type": type }, body: chatBody })),
    { name: "no body", method: "POST", path: chatPath },
    { name: "no body but a content type", method: "POST", path: chatPath, headers: { "content-type": "application/json" } },
    ...[
        "", "{", "{}", "[]", "null", "3", '"text"', "[{}]", "{'a': 1}", '{"model": "tiny",}', '{"messages": [], "messages": []}', "\u0000", "NaN",
        '{"model": "tiny"} x', "\ufeff{}",
    ].map((body): RecordedRequest => ({ name: `body ${JSON.stringify(body)}`, path: chatPath, body })),
    { name: "text body {}", path: textPath, body: "{}" },
    { name: "text body without a prompt", path: textPath, body: { model: "tiny" } },
    { name: "body nested 1,000 deep", path: chatPath, body: `{"messages": ${"[".repeat(1000)}${"]".repeat(1000)}}` },
    { name: "a header of 4 kB", path: "/v1/models", headers: { "x-long": "x".repeat(4_000) } },
    { name: "a header of 60 kB", path: "/v1/models", headers: { "x-long": "x".repeat(60_000) } },
    { name: "a path of 8 kB", path: `/v1/models?${"x".repeat(8_000)}` },
    { name: "a text of 2 MB", path: chatPath, body: { ...chatBody, messages: [{ role: "user", content: "word ".repeat(400_000) }] } },
    { name: "expect: 100-continue", path: chatPath, headers: { expect: "100-continue" }, body: chatBody },
    { name: "an id of the client's", path: chatPath, headers: { "x-request-id": "mine" }, body: chatBody },
]; // prettier-ignore

const models: RecordedRequest[] = [
    ...both("model", ["other", "", null, 3, "tiny", "Tiny", ["tiny"]]),
    { name: "chat without a model", path: chatPath, body: { messages, max_tokens: 2, ignore_eos: true } },
    { name: "text without a model", path: textPath, body: { ...textBody, model: undefined }, exact: true },
];

const sampling: RecordedRequest[] = [
    ...both("temperature", [-1, 0, 0.5, 2, 100, "0.5", "warm", true, null, [1], {}]),
    ...both("top_p", [-0.1, 0, 0.5, 1, 1.1, "1", null]),
    ...both("top_k", [-5, -1, 0, 1, 100_000, "3", 2.5, 2.0, true]),
    ...both("min_p", [-0.1, 0, 0.5, 1, 2, "x"]),
    ...both("repetition_penalty", [-1, 0, 0.5, 1, 2, 10]),
    ...both("presence_penalty", [-2.1, -2, 2, 3]),
    ...both("frequency_penalty", [-3, 2, 2.1]),
    ...both("n", [-1, 0, 1, 2, "2", 2.5, true, null]),
    ...[chat({ n: 2, temperature: 0 }), text({ n: 2, temperature: 0 })],
    ...both("seed", [0, -1, 7, 2 ** 40, 1e30, "7", 1.5, null]),
    ...both("ignore_eos", ["true", 1, "yes", "maybe", 2, null]),
    ...both("logit_bias", [
        {},
        { "5": 1 },
        { "5": 200 },
        { "-1": 1 },
        { "99999999999": 1 },
        { a: 1 },
        { "5": "x" },
        [],
    ]),
    ...both("bad_words", [[], ["x"], "x", [1]]),
    ...both("allowed_token_ids", [[5, 6], [], [-1], [99_999_999_999], ["5"]]),
    ...both("stop", ["<none>", ["<none>", "<never>"], [], "", [""], 3, null, [3]]),
    ...both("stop_token_ids", [[], [5], ["5"], "5", [1.5], null]),
    ...both("include_stop_str_in_output", [true, null]),
    ...both("skip_special_tokens", [false, null]),
    ...both("length_penalty", [2, null]),
    ...both("use_beam_search", [true, "no"]),
    ...both("truncate_prompt_tokens", [-2, -1, 0, 1, 2, 5000]),
    ...both("priority", [0, 1, null]),
    ...both("cache_salt", ["salt", "", 3]),
    ...both("user", ["someone", 3]),
    ...both("request_id", ["mine", 3]),
    ...both("logits_processors", [[], ["x"]]),
    ...both("vllm_xargs", [{}, { a: 1 }, { a: {} }]),
    ...both("kv_transfer_params", [{}, { a: 1 }]),
    ...both("unknown_field", [1, { a: [] }, null]),
    ...both("guided_json", [{}]),
    ...both("best_of", [1, 2]),
    ...both("suffix", ["", "x"]),
    ...both("echo", [true, false, null]),
    ...both("service_tier", ["auto"]),
    ...both("metadata", [{ a: "b" }]),
    ...both("store", [true]),
    ...both("return_token_ids", [true, false]),
    ...both("prompt_embeds", ["x"]),
];

const lengths: RecordedRequest[] = [
    ...both("max_tokens", [-1, 0, 1, "3", 2.5, 3.0, null, 2045, 2046, 2047, 2048, 5000, 1e30]),
    ...both("max_completion_tokens", [-1, 0, 1, "3", null, 5000]),
    ...both("min_tokens", [-1, 0, 1, 2, 3, "1", null]),
    chat({ max_tokens: 3, max_completion_tokens: 1 }),
    chat({ max_tokens: undefined, max_completion_tokens: 1 }, "max_completion_tokens=1 alone"),
    text({ max_tokens: undefined }, "without max_tokens"),
    text({ prompt: Array(2047).fill(7), max_tokens: 1 }, "a prompt of one token less than the context"),
    text({ prompt: Array(2047).fill(7), max_tokens: 2 }, "a prompt of one token less than the context, two asked for"),
    text({ prompt: Array(2048).fill(7), max_tokens: 1 }, "a prompt as long as the context"),
    text({ prompt: Array(3000).fill(7), max_tokens: undefined }, "a prompt longer than the context"),
    text({ prompt: Array(2040).fill(7), max_tokens: undefined }, "a prompt that leaves less than 16 tokens"),
    text({ prompt: "word ".repeat(5000) }, "a text longer than the context"),
    chat({ messages: [{ role: "user", content: "word ".repeat(5000) }] }, "longer than the context"),
];

const prompts: RecordedRequest[] = [
    ...[
        "Once upon a time", "", " ", ["a", "b"], [], [""], ["a", ""], [1, 2, 3], [[1, 2], [3]], [[]], [[1], []], [1, "a"], ["a", [1]], [1.5], [99_999_999_999],
        ["1"], 3, null, {}, true, [true], [null],
    ].map((prompt) => text({ prompt })),
    text({ prompt: ["a", "b"], n: 2 }),
    text({ prompt: [[1, 2], [3]], ...long }),
    text({ echo: true, max_tokens: 0 }),
    text({ echo: true, prompt: "Once upon a time" }),
    text({ echo: true, logprobs: 1 }),
    text({ echo: true, ...long }),
    text({ add_special_tokens: false }),
]; // prettier-ignore

const logprobs: RecordedRequest[] = [
    ...[true, false, "true", 1, 0, 2, null].map((value) => chat({ logprobs: value })),
    ...[0, 1, 3, 20, 21, -1, -2, "2", null].map((value) => chat({ logprobs: true, top_logprobs: value })),
    chat({ top_logprobs: 2 }),
    chat({ top_logprobs: 0 }),
    ...[-1, 0, 1, 5, 20, 21, "2", true, 1.5, null].map((value) => text({ logprobs: value })),
    ...both("prompt_logprobs", [-2, -1, 0, 1, 21, "1", null]),
    chat({ prompt_logprobs: 1, ...long }),
    chat({ prompt_logprobs: 0, ...long }),
    text({ logprobs: 1, ...long }),
    chat({ logprobs: true, top_logprobs: 1, ...long }),
    chat({ logprobs: true, return_tokens_as_token_ids: true }),
    text({ logprobs: 1, return_tokens_as_token_ids: true }),
    text({ return_token_ids: true, ...long }),
    chat({ return_token_ids: true, ...long }),
];

const streams: RecordedRequest[] = [
    ...[true, "true", "no", "maybe", 1, null].flatMap((stream) => [
        chat({ stream, max_tokens: 40 }),
        text({ stream, max_tokens: 40 }),
    ]),
    ...both("stream_options", [{ include_usage: true }, {}, null]),
    ...[
        { include_usage: true },
        { include_usage: false },
        {},
        null,
        { include_usage: true, continuous_usage_stats: true },
        { continuous_usage_stats: true },
        { include_usage: false, continuous_usage_stats: true },
        { include_usage: "yes" },
        { include_usage: "maybe" },
        { unknown: 1 },
        [],
        "x",
    ].flatMap((stream_options) => [chat({ ...long, stream_options }), text({ ...long, stream_options })]),
    chat({ ...long, n: 2 }),
    text({ ...long, n: 2 }),
    chat({ stream: true, max_tokens: 0 }),
    chat({ stream: true, max_tokens: 1 }),
    text({ stream: true, max_tokens: 1 }),
    chat({ ...long, temperature: -1 }),
    chat({ ...long, model: "other" }),
    text({ ...long, stop: ["<none>"], seed: 3 }),
    chat({ ...long, stop: ["<none>"], seed: 3 }),
];

const image = (url: unknown): object => ({ type: "image_url", image_url: { url } });
const user = (content: unknown): object => ({ role: "user", content });
const conversations: RecordedRequest[] = [
    ...[
        [], null, "hello", {}, [null], ["hello"], [{}], [{ role: "user" }], [{ content: "x" }], [{ role: "stranger", content: "x" }], [{ role: 3, content: "x" }],
        [user("")], [user(null)], [user(3)], [user({})], [user([])], [user(["x"])], [user([{ type: "text", text: "x" }])], [user([{ type: "text" }])],
        [user([{ text: "x" }])], [user([{ type: "strange", text: "x" }])], [user([{ type: "text", text: 3 }])],
        [{ role: "system", content: "x" }], [{ role: "developer", content: "x" }, user("x")], [{ role: "assistant", content: "x" }],
        [user("x"), { role: "assistant", content: null }], [user("x"), { role: "assistant" }, user("y")],
        [user("x"), { role: "tool", content: "x" }], [user("x"), { role: "tool", content: "x", tool_call_id: "made-up" }], [{ role: "function", name: "f", content: "x" }],
        [user("x"), { role: "assistant", content: null, tool_calls: [{ id: "made-up", type: "function", function: { name: "f", arguments: "{}" } }] }],
        [user("x"), { role: "assistant", content: null, tool_calls: [{ id: "made-up", type: "function", function: { name: "f", arguments: "{" } }] }],
        [user("x"), { role: "assistant", content: null, tool_calls: [] }], [{ role: "user", content: "x", name: "someone", strange: 1 }],
        [user([image("data:image/png;base64,AAAA")])], [user([image("data:text/plain,x")])], [user([image("https://images.invalid/none.png")])], [user([image(3)])],
        [user([{ type: "input_audio", input_audio: { data: "AAAA", format: "wav" } }])], [user([{ type: "video_url", video_url: { url: "data:video/mp4;base64,AAAA" } }])],
        [user([{ type: "refusal", refusal: "no" }])],
    ].map((messages) => chat({ messages })),
    ...[true, false].map((value) => chat({ add_generation_prompt: value })),
    chat({ continue_final_message: true }),
    chat({ continue_final_message: true, add_generation_prompt: false }),
    chat({ continue_final_message: true, add_generation_prompt: true }),
    chat({ continue_final_message: true, add_generation_prompt: false, messages: [user("x"), { role: "assistant", content: "It is" }] }, "continuing an answer"),
    chat({ echo: true, messages: [user("x"), { role: "assistant", content: "It is" }], add_generation_prompt: false }, "echo of an answer"),
    chat({ echo: true, ...long, messages: [user("x"), { role: "assistant", content: "It is" }], add_generation_prompt: false }, "echo of an answer in a stream"),
    ...[{}, { enable_thinking: false }, null, [], "x"].map((chat_template_kwargs) => chat({ chat_template_kwargs })),
    ...["x", ""].map((chat_template) => chat({ chat_template })),
    ...["low", "none", "minimal", "huge"].map((reasoning_effort) => chat({ reasoning_effort })),
    chat({ include_reasoning: false }),
    ...[[], [{ title: "a", text: "b" }], "x"].map((documents) => chat({ documents })),
    chat({ mm_processor_kwargs: {} }),
    chat({ add_special_tokens: true }),
]; // prettier-ignore

/** Its smallest instance is longer than any answer here. */
const schema = { type: "object", properties: { a: { type: "string", default: "x".repeat(400) } }, required: ["a"] };
const structured: RecordedRequest[] = [
    ...both("response_format", [{ type: "text" }, {}, { type: "yaml" }, "json", null, { type: "json_schema" }]),
    ...both("response_format", [{ type: "json_schema", json_schema: {} }, { type: "json_schema", json_schema: { name: "x" } }]),
    chat({ response_format: { type: "json_object" }, max_tokens: 3 }),
    text({ response_format: { type: "json_object" }, max_tokens: 3 }),
    ...[chat, text].flatMap((ask) => [
        ask({ response_format: { type: "json_schema", json_schema: { name: "x", schema } }, max_tokens: 2 }, "response_format of a schema"),
        ask({ response_format: { type: "json_schema", json_schema: { schema } } }, "response_format of a schema without a name"),
        ask({ response_format: { type: "json_schema", json_schema: { name: "x", schema: { type: "strange" } } } }, "response_format of a wrong schema"),
        ask({ structured_outputs: { json: schema } }, "structured_outputs json"),
        ask({ structured_outputs: { choice: ["yes", "no"] }, max_tokens: 5, ignore_eos: false }, "structured_outputs choice"),
        ask({ structured_outputs: { choice: [] } }),
        ask({ structured_outputs: { regex: "[0-9]{9}" } }),
        ask({ structured_outputs: { regex: "[" } }),
        ask({ structured_outputs: { grammar: 'root ::= "yes yes yes"' }, max_tokens: 1 }),
        ask({ structured_outputs: { grammar: "" } }),
        ask({ structured_outputs: { choice: ["a"], regex: "a" } }),
        ask({ structured_outputs: {} }),
        ask({ structured_outputs: { strange: 1 } }),
        ask({ structured_outputs: "x" }),
    ]),
    chat({ stream: true, ignore_eos: false, max_tokens: 200, structured_outputs: { choice: ["yes ".repeat(20)] } }, "structured_outputs choice in a stream"),
]; // prettier-ignore

const tool = (name: string): object => ({ type: "function", function: { name, parameters: schema } });
const tools = [tool("get_time"), tool("get_weather")];
const called = { ignore_eos: false, max_tokens: 40, temperature: 0 };
const toolUse: RecordedRequest[] = [
    chat({ tools }, "tools"),
    ...["auto", "none", "required", "strange", "", null, 3, [], {}].map((tool_choice) => chat({ tools, tool_choice }, `tools, tool_choice=${JSON.stringify(tool_choice)}`)),
    ...["auto", "none", "required", null].map((tool_choice) => chat({ tool_choice })),
    ...["auto", "required", "none"].map((tool_choice) => chat({ tools: [], tool_choice })),
    ...[
        { type: "function", function: { name: "get_time" } }, { type: "function", function: { name: "nothing" } }, { type: "function", function: {} },
        { type: "function" }, { type: "strange", function: { name: "get_time" } }, { function: { name: "get_time" } }, { type: "function", function: { name: 3 } },
        { type: "function", function: { name: "" } },
    ].map((tool_choice) => chat({ tools, tool_choice, ...called }, `tools, tool_choice=${JSON.stringify(tool_choice)}`)),
    chat({ tools, tool_choice: { type: "function", function: { name: "get_time" } }, ...called, stream: true }, "tools, a named one in a stream"),
    chat({ tools, tool_choice: { type: "function", function: { name: "get_time" } }, max_tokens: 3 }, "tools, a named one cut off"),
    ...[
        [{}], [{ type: "function" }], [{ type: "function", function: {} }], [{ type: "function", function: { name: 3 } }], [{ type: "strange", function: { name: "f" } }],
        [{ function: { name: "f" } }], [{ type: "function", function: { name: "f", parameters: [] } }], [{ type: "function", function: { name: "f" } }], "x", {}, [null],
        null, [],
    ].map((value) => chat({ tools: value })),
    chat({ tools, tool_choice: "none", ...long }, "tools, none in a stream"),
    chat({ tools, tool_choice: "auto", ...long }, "tools, auto in a stream"),
    chat({ tools, parallel_tool_calls: false }, "tools, parallel_tool_calls=false"),
    chat({ tools, response_format: { type: "text" } }, "tools and a response format"),
    text({ tools }, "tools"),
    chat({ functions: [{ name: "f" }] }),
]; // prettier-ignore

const tokens: RecordedRequest[] = [
    ...[
        { prompt: "Hello" }, { model: "tiny", prompt: "Hello" }, { model: "other", prompt: "x" }, { prompt: "" }, { prompt: 3 }, { prompt: ["a"] }, {}, { prompt: null },
        { messages }, { messages: [] }, { messages: "x" }, { prompt: "x", messages }, { prompt: "x", return_token_strs: true }, { messages, return_token_strs: "yes" },
        { prompt: "x", add_special_tokens: "maybe" }, { prompt: "x", strange: 1 }, { messages, tools }, { messages, continue_final_message: true },
        { messages, add_generation_prompt: false }, { messages, chat_template: "x" },
    ].map((body): RecordedRequest => ({ name: `tokenize ${words(body) === "plain" ? "{}" : words(body)}`, path: "/tokenize", body })),
    ...[
        { tokens: [] }, { model: "tiny", tokens: [] }, { tokens: ["x"] }, { tokens: "x" }, {}, { tokens: [-1] }, { tokens: [1.5] }, { model: "other", tokens: [] },
        { tokens: [2 ** 60] }, { tokens: null },
    ].map((body): RecordedRequest => ({ name: `detokenize ${words(body) === "plain" ? "{}" : words(body)}`, path: "/detokenize", body })),
    { name: "tokenize as text/plain", path: "/tokenize", headers: { "content-type": "text/plain" }, body: { prompt: "x" } },
    { name: "tokenize broken JSON", path: "/tokenize", body: "{" },
]; // prettier-ignore

const key = "made-up-key";
const bearer = (authorization: string, name = authorization, path = "/v1/models"): RecordedRequest => ({
    name: `authorization '${name}'`,
    keyed: true,
    path,
    headers: { authorization },
});
const authorization: RecordedRequest[] = [
    ...["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer  ", "Basic ", "Token ", "", "Bearer\t"].map((scheme) => bearer(scheme + key)),
    bearer(`Bearer ${key} `, "Bearer made-up-key and a space"),
    bearer("Bearer wrong"),
    bearer("Bearer"),
    bearer("Bearer other-made-up-key"),
    ...[
        "/v1/models", "/health", "/metrics", "/version", "/load", "/ping", "/nowhere", "/v1/nowhere", "/v1", "/v1x", "/docs", "/openapi.json", "//v1/models", "/V1/models", "/v1/models/",
    ].map((path): RecordedRequest => ({ name: `without a key ${path}`, keyed: true, path })),
    { name: "without a key chat", keyed: true, path: chatPath, body: chatBody },
    { name: "without a key broken JSON", keyed: true, path: chatPath, body: "{" },
    { name: "without a key tokenize", keyed: true, path: "/tokenize", body: { prompt: "x" } },
    { name: "without a key HEAD", keyed: true, method: "HEAD", path: "/v1/models" },
    { name: "without a key DELETE", keyed: true, method: "DELETE", path: "/v1/models" },
    { name: "without a key OPTIONS", keyed: true, method: "OPTIONS", path: chatPath },
    { name: "without a key preflight", keyed: true, method: "OPTIONS", path: chatPath, headers: asked },
    { name: "without a key with an origin", keyed: true, path: "/v1/models", headers: page },
    { name: "with a key chat", keyed: true, path: chatPath, body: chatBody, headers: { authorization: `Bearer ${key}` } },
]; // prettier-ignore

/** By the file that holds their answers. */
export const recorded: Record<string, RecordedRequest[]> = {
    paths,
    "cross-origin": crossOrigin,
    bodies,
    models,
    sampling,
    lengths,
    prompts,
    logprobs,
    streams,
    conversations,
    structured,
    tools: toolUse,
    tokens,
    authorization,
};
