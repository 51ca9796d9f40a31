import { describe, expect, it } from "vitest";
import { ofPast, readPast } from "../../plan/past";
import { Prometheus } from "../../tools/prometheus";

const hour = 3600;
/** A Thursday, 12:07. */
const now = Date.UTC(2026, 0, 1, 12, 7);

/** A Prometheus that answers what it is asked for by metric; what it was asked is noted. */
function prometheusWith(values: Record<string, number | Record<string, number>>, points: [number, string][] = []) {
    const asked: URLSearchParams[] = [];
    const get = (path: string): Promise<unknown> => {
        const query = new URLSearchParams(path.split("?")[1]);
        asked.push(query);
        if (path.startsWith("/api/v1/query_range")) {
            return Promise.resolve({ data: { result: points.length > 0 ? [{ metric: {}, values: points }] : [] } });
        }
        const metric = /vllm:\w+/.exec(query.get("query")!)![0];
        const value = values[metric];
        const result =
            typeof value === "number"
                ? [{ metric: {}, value: [0, String(value)] }]
                : Object.entries(value ?? {}).map(([le, count]) => ({ metric: { le }, value: [0, String(count)] }));
        return Promise.resolve({ data: { result } });
    };
    return { prometheus: new Prometheus({ where: "a test", get }), asked };
}

const lengths = {
    "vllm:request_prompt_tokens_bucket": { "200.0": 0, "500.0": 80, "1000.0": 100, "+Inf": 100 },
    "vllm:request_prompt_tokens_sum": 42_000,
    "vllm:request_prompt_tokens_count": 100,
    "vllm:request_generation_tokens_bucket": { "100.0": 50, "200.0": 100, "+Inf": 100 },
    "vllm:request_generation_tokens_sum": 9_000,
    "vllm:request_generation_tokens_count": 100,
    "vllm:prefix_cache_queries_total": 42_000,
    "vllm:prefix_cache_hits_total": 10_500,
};

describe("the past of a model", () => {
    // Ten requests in the five minutes up to 11:00, ninety in those up to 12:05.
    const points: [number, string][] = [
        [Date.UTC(2026, 0, 1, 11) / 1000, "10"],
        [Date.UTC(2026, 0, 1, 12, 5) / 1000, "90"],
    ];

    it("is read as rates on the clock of the week, with gaps as nothing, and lengths", async () => {
        const { prometheus, asked } = prometheusWith(lengths, points);
        const past = await readPast(prometheus, "vllm-chat", 0.25, now);
        expect(past.rates).toHaveLength(72);
        // The last six hours begin on Thursday at 6:05.
        expect(past.begins).toBe(3 * 24 * hour + 6 * hour + 300);
        expect(past.rates.map((rate, i) => [i, rate]).filter(([, rate]) => rate > 0)).toEqual([
            [58, 10 / 300],
            [71, 90 / 300],
        ]);
        expect(past.prefix).toBe(0.25);
        expect(past.promptTokens).toEqual({
            mean: 420,
            buckets: [
                { upTo: 200, count: 0 },
                { upTo: 500, count: 80 },
                { upTo: 1000, count: 20 },
                { upTo: Infinity, count: 0 },
            ],
        });
        expect(asked.every((query) => query.get("query")!.includes('job="vllm-chat"'))).toBe(true);
    });

    it("comes again with its rates and lengths, as often as it is wanted", async () => {
        const busy = points[1][0];
        const every = Array.from({ length: 72 }, (_, i): [number, string] => [busy - 300 * i, "300"]);
        const { prometheus } = prometheusWith(lengths, every);
        const past = await readPast(prometheus, "vllm-chat", 0.25, now);
        const requests = Array.from(ofPast(past, 2).requests(1), (request) => ({ ...request }));
        expect(requests.length / (2 * 6 * hour)).toBeCloseTo(1, 1);
        const mean = (of: (request: (typeof requests)[number]) => number): number =>
            requests.reduce((sum, request) => sum + of(request), 0) / requests.length;
        expect(mean(({ promptTokens }) => promptTokens) / 420).toBeCloseTo(1, 1);
        expect(mean(({ answerTokens }) => answerTokens) / 90).toBeCloseTo(1, 1);
        expect(mean(({ commonTokens, promptTokens }) => commonTokens / promptTokens)).toBeCloseTo(0.25, 2);
        expect(requests.every(({ at }, i) => i === 0 || at >= requests[i - 1].at)).toBe(true);
    });

    it("of which there is none is an error that says what to do", async () => {
        const { prometheus } = prometheusWith({});
        await expect(readPast(prometheus, "vllm-chat", 7, now)).rejects.toThrow(
            "no answered request of job vllm-chat in the last 7 days: give --trace or --peak",
        );
    });
});
