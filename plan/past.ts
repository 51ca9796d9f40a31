import { histogramIncrease, increase, sumBy } from "../src/monitoring/promql";
import { vllmMetrics as vllm } from "../src/vllm/metrics";
import type { Prometheus } from "../tools/prometheus";
import { seededRandom } from "../tools/random";
import { arrivals, type Request, type Traffic } from "./traffic";

/** What a model was asked for in the last days, as its Prometheus tells it. */
export interface Past {
    name: string;
    /** Seconds after Monday 0:00 UTC. */
    begins: number;
    /** Seconds of each of the rates. */
    every: number;
    /** Requests that ended, per second. */
    rates: number[];
    promptTokens: Lengths;
    answerTokens: Lengths;
    /** Share of the prompts' tokens that the prefix cache had. */
    prefix: number;
}

/** How long prompts or answers were: the counts of a histogram, and its mean, which the buckets alone do not tell. */
export interface Lengths {
    buckets: { upTo: number; count: number }[];
    mean: number;
}

const every = 300;

/** Reads what the replicas of a scrape job told over so many days up to now. Throws an Error for people when there is nothing. */
export async function readPast(prometheus: Prometheus, job: string, days: number, now = Date.now()): Promise<Past> {
    const of = { job: `=${job}` } as const;
    const window = `${Math.round(24 * days)}h`;
    const to = Math.floor(now / 1000 / every) * every;
    const from = to - Math.round(86_400 * days);
    const requests = sumBy([], increase(vllm.requestSuccess, of, `${every}s`));
    const [series] = await prometheus.range(requests, { from: from + every, to, step: every });
    const rates = Array<number>((to - from) / every).fill(0);
    for (const [t, count] of series?.points ?? []) rates[Math.round((t - from) / every) - 1] = count / every;
    if (!rates.some((rate) => rate > 0)) {
        throw new Error(
            `Prometheus knows of no answered request of job ${job} in the last ${days} days: give --trace or --peak`,
        );
    }
    const value = async (expression: string): Promise<number> => (await prometheus.value(expression)) ?? 0;
    const lengths = async (metric: typeof vllm.requestPromptTokens | typeof vllm.requestGenerationTokens) => {
        const samples = await prometheus.query(sumBy(["le"], histogramIncrease(metric, "bucket", of, window)));
        const cumulative = samples
            .map(({ labels, value: count }) => ({ upTo: Number(labels.le.replace("+Inf", "Infinity")), count }))
            .sort((a, b) => a.upTo - b.upTo);
        const sum = await value(sumBy([], histogramIncrease(metric, "sum", of, window)));
        const count = await value(sumBy([], histogramIncrease(metric, "count", of, window)));
        const buckets = cumulative.map((bucket, i) => ({
            upTo: bucket.upTo,
            count: Math.max(0, bucket.count - (cumulative[i - 1]?.count ?? 0)),
        }));
        return { buckets, mean: sum / count };
    };
    const queries = await value(sumBy([], increase(vllm.prefixCacheQueries, of, window)));
    const hits = await value(sumBy([], increase(vllm.prefixCacheHits, of, window)));
    return {
        name: `the last ${days} days of ${job}`,
        begins: (from - mondayMidnight) % (7 * 86_400),
        every,
        rates,
        promptTokens: await lengths(vllm.requestPromptTokens),
        answerTokens: await lengths(vllm.requestGenerationTokens),
        prefix: queries > 0 ? Math.min(1, hits / queries) : 0,
    };
}

/** 1970-01-05, a Monday. */
const mondayMidnight = 4 * 86_400;

/** Arrivals of a Poisson process with these rates, and lengths as these histograms have them. */
export function ofPast({ name, begins, every, rates, promptTokens, answerTokens, prefix }: Past, scale = 1): Traffic {
    const rate = (at: number): number => scale * rates[Math.floor(at / every)];
    const seconds = rates.length * every;
    return {
        name,
        seconds,
        begins,
        blockTokens: 1,
        *requests(seed) {
            const random = seededRandom(seed);
            const prompt = drawn(promptTokens, random);
            const answer = drawn(answerTokens, random);
            const request: Request = { at: 0, promptTokens: 0, answerTokens: 0, commonTokens: 0 };
            for (const at of arrivals(rate, scale * Math.max(...rates), seconds, random)) {
                request.at = at;
                request.promptTokens = prompt();
                request.answerTokens = answer();
                request.commonTokens = Math.round(prefix * request.promptTokens);
                yield request;
            }
        },
    };
}

/** Draws lengths: a bucket by its count, within it evenly by the logarithm, and all of them brought to the true mean. */
function drawn({ buckets, mean }: Lengths, random: () => number): () => number {
    const ranges = buckets
        .map(({ upTo, count }, i) => {
            const above = Math.max(1, buckets[i - 1]?.upTo ?? 1);
            return { above, upTo: upTo === Infinity ? 2 * above : Math.max(above, upTo), count };
        })
        .filter(({ count }) => count > 0);
    const all = ranges.reduce((sum, { count }) => sum + count, 0);
    const middle = ({ above, upTo }: (typeof ranges)[number]): number =>
        above === upTo ? upTo : (upTo - above) / Math.log(upTo / above);
    const byBuckets = ranges.reduce((sum, range) => sum + range.count * middle(range), 0) / all;
    return () => {
        let left = random() * all;
        const { above, upTo } = ranges.find(({ count }) => (left -= count) < 0) ?? ranges[ranges.length - 1];
        const length = above * (upTo / above) ** random() * (mean / byBuckets);
        return Math.max(1, Math.round(length));
    };
}
