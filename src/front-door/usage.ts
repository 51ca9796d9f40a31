/**
 * What a front door counts of each generation: tokens, and how long it waited and lasted. docs/decisions/21-front-door.md says why so.
 * The names under which Prometheus has it are in src/monitoring/metrics/front-door.ts.
 */

const extensions = "type.googleapis.com/envoy.extensions";

/** Where the filter leaves what the counters take. */
const namespace = "door";

/** Of each stream or body: more than an answer's `usage` is long. */
const keptBytes = 2048;

/**
 * Lua that reads along in an answer and changes nothing of it: keeps the last `usage` that it finds, in the words of
 * OpenAI's API or of Anthropic's. A quotation mark within a text is escaped in JSON, so that no text is taken for one. Of what
 * has passed it keeps no more than a `usage` that came in two parts needs.
 */
export const countUsage = `
local function count_usage(answer)
  -- Asked for each time: what was got before a part came is of no use after it.
  local function set(name, value) answer:streamInfo():dynamicMetadata():set("${namespace}", name, value) end
  set("prompt", 0)
  set("generated", 0)
  set("uncounted", 1)
  local kept = ""
  for part in answer:bodyChunks() do
    local text = kept .. part:getBytes(0, part:length())
    -- Most parts have none, and a plain search is the faster one.
    local from = text:find('"usage":', 1, true) or #text + 1
    for usage in text:sub(from):gmatch('"usage":%s*(%b{})') do
      local prompt = tonumber(usage:match('"prompt_tokens":%s*(%d+)') or usage:match('"input_tokens":%s*(%d+)'))
      local generated = tonumber(usage:match('"completion_tokens":%s*(%d+)') or usage:match('"output_tokens":%s*(%d+)'))
      if prompt then set("prompt", prompt) end
      if generated then set("generated", generated) end
      if prompt or generated then set("uncounted", 0) end
    end
    kept = text:sub(-${keptBytes})
  end
end
`;

/** Counts what has been answered, by consumer, when it ends. Only POSTs: a list of models is no generation. */
export function usageLog() {
    const stat = (name: string) => ({ name, tags: [{ name: "consumer", value_format: "%ROUTE_NAME%" }] });
    const counter = (name: string, value_format: string) => ({ stat: stat(name), value_format });
    const usage = (name: string) => `%DYNAMIC_METADATA(${namespace}:${name})%`;
    const lasted = "%DURATION%";
    const held = "%COMMON_DURATION(DS_RX_BEG:US_TX_BEG:ms)%";
    const histogram = (name: string, value_format: string) => ({
        stat: stat(`${name}_milliseconds`),
        unit: "Milliseconds",
        value_format,
    });
    const isOk = { comparison: { op: "EQ", value: { default_value: 200, runtime_key: "unused" } } };
    const isPost = { header: { name: ":method", string_match: { exact: "POST" } } };
    return {
        name: "envoy.access_loggers.stats",
        filter: { and_filter: { filters: [{ status_code_filter: isOk }, { header_filter: isPost }] } },
        typed_config: {
            "@type": `${extensions}.access_loggers.stats.v3.Config`,
            stats_scope: { prefix: "door" },
            counters: [
                counter("prompt_tokens", usage("prompt")),
                counter("generated_tokens", usage("generated")),
                counter("answers_without_usage", usage("uncounted")),
                // Apart from the histograms, whose sums Envoy reckons from two digits of each value.
                counter("request_milliseconds_total", lasted),
                counter("held_milliseconds_total", held),
            ],
            histograms: [histogram("first_byte", "%RESPONSE_DURATION%"), histogram("held", held)],
        },
    };
}
