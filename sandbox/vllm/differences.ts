/**
 * Where the simulated server answers otherwise than vLLM 0.13.0, on purpose. A test holds this list to recordings of the real
 * one: what it does not name is alike, and what it names still differs. docs/simulation.md has it from here.
 */
export interface Difference {
    /** Names of recorded requests; none: the real server does not survive such a request, so nothing is recorded. */
    requests: string[];
    /** Where the two answers differ, such as `status` or `body.error`, with everything below. */
    fields: string[];
    what: string;
    why: string;
}

const served = ["status", "headers", "body"];

export const differences: Difference[] = [
    {
        requests: [
            "POST /v1/embeddings", "POST /v1/embeddings with an input", "POST /v1/responses", "GET /v1/responses/none", "POST /v1/messages", "POST /v1/score",
            "POST /score", "POST /rerank", "POST /v1/rerank", "POST /v2/rerank", "POST /pooling", "POST /classify", "POST /invocations",
            "POST /inference/v1/generate", "POST /v1/audio/transcriptions", "POST /v1/audio/translations", "POST /scale_elastic_ep",
        ],
        fields: ["status", "body.error"],
        what: "Endpoints beside the chat and the text completions are answered with 501.",
        why: "What they would answer is not simulated, and saying so is better than an answer that looks like one.",
    },
    {
        requests: [
            'chat structured_outputs={"regex":"[0-9]{9}"}', 'text structured_outputs={"regex":"[0-9]{9}"}',
            'chat structured_outputs={"grammar":"root ::= \\"yes yes yes\\""} max_tokens=1', 'text structured_outputs={"grammar":"root ::= \\"yes yes yes\\""} max_tokens=1',
        ],
        fields: served,
        what: "Structured outputs by a regular expression, a grammar or a structural tag are refused with 400.",
        why: "The sandbox cannot say a text that they allow. JSON schemas, JSON objects and choices it can.",
    },
    {
        requests: [
            'chat messages=[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]',
            'chat messages=[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:text/plain,x"}}]}]',
            'chat messages=[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://images.invalid/none.png"}}]}]',
            'chat messages=[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]',
            'chat messages=[{"role":"user","content":[{"type":"video_url","video_url":{"url":"data:video/mp4;base64,AAAA"}}]}]',
        ],
        fields: ["status", "body"],
        what: "Images are taken and count as many tokens as Ministral 3 makes of them; one behind a web address counts as 1,024 x 1,024 pixels and is not fetched.",
        why: "The recorded model takes text alone; the simulated one, Ministral 3, takes images (and neither audio nor video). The sandbox asks nothing of the internet.",
    },
    {
        requests: ["chat max_tokens=null"],
        fields: ["body.usage.completion_tokens"],
        what: "An answer up to the end of the context has another length.",
        why: "It depends on how many tokens the prompt has, and the sandbox has not the model's tokenizer.",
    },
    {
        requests: ["authorization 'Bearer made-up-key and a space'"],
        fields: ["status", "body"],
        what: "Spaces at the end of an Authorization header do not make a key a wrong one.",
        why: "Node takes them off before anybody sees them.",
    },
    {
        requests: [],
        fields: [],
        what: "A huge `n` is refused with 400 above 16,384 sequences over all prompts, as versions that limit it do (`VLLM_MAX_N_SEQUENCES`).",
        why: "The real 0.13.0 has no limit and is killed by one such request (GHSA-3mwp-wvh9-7528).",
    },
    {
        requests: [],
        fields: [],
        what: "A negative token id in a prompt is refused with 400, as one above the vocabulary is.",
        why: "The engine of the real 0.13.0 dies of one such request.",
    },
]; // prettier-ignore

/** The list as Markdown. */
export function differencesText(): string {
    return differences
        .map(({ requests, what, why }) => {
            const seen = requests.length > 0 ? `recorded requests: ${requests.length}` : "not recorded";
            return `- ${what} ${why} (${seen})`;
        })
        .join("\n");
}
