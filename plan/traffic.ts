import { basename } from "node:path";
import { traceBlockTokens, type TraceRequest } from "../tools/loadtest/trace";
import { exponential, logNormal, seededRandom } from "../tools/random";

/** One request. Handed out again and again with other values: to be read at once. */
export interface Request {
    /** Seconds from the beginning. */
    at: number;
    promptTokens: number;
    answerTokens: number;
    /** What the prompt begins with, in blocks that other requests may share; a number stands for all before it, too. */
    blocks?: readonly number[];
    /** Tokens of its prompt that others begin with, too, where nobody knows which others. */
    commonTokens: number;
}

/** Requests of a time, in the order in which they come. */
export interface Traffic {
    name: string;
    seconds: number;
    /** When it begins, in seconds after Monday 0:00 UTC: what a schedule goes by. */
    begins: number;
    /** Tokens of each of a request's `blocks`. */
    blockTokens: number;
    /** Whether a request comes after answers that it has waited for: then `requests` is told of them. */
    waits?: true;
    /** Runs through all of them; the same for the same seed. */
    requests(seed: number, answers?: Answers): Iterable<Readonly<Request>>;
}

/** What a traffic that waits for its answers sees of those who answer. Times are seconds. */
export interface Answers {
    /** Lets this moment come, which is not before any request. Returns those that were answered since the last call. */
    until(moment: number): Answered[];
    /** Gives up the requests that are named by their number, counted from 1 in the order in which they came. */
    abort(given: ReadonlySet<number>): void;
    /** The replicas: those that the autoscaler wants, those that go and have something to answer, and what each that serves says of its metric. */
    replicas(): { wanted: number; going: number; values: number[] };
}

/** A request that was answered to its end, or, with a first token at Infinity, refused. One that was cut off is never told of. */
export interface Answered {
    /** Its number, from 1 on. */
    request: number;
    start: number;
    firstToken: number;
    end: number;
}

/** Recorded requests, in columns. */
export interface Trace {
    name: string;
    at: Float64Array;
    promptTokens: Int32Array;
    answerTokens: Int32Array;
    blocks?: (readonly number[])[];
    blockTokens: number;
}

/** A trace for many runs: a tenth of the memory, and read in order. */
export function inColumns(file: string, requests: TraceRequest[]): Trace {
    return {
        name: basename(file),
        at: Float64Array.from(requests, ({ t }) => t),
        promptTokens: Int32Array.from(requests, ({ inputTokens }) => inputTokens),
        answerTokens: Int32Array.from(requests, ({ outputTokens }) => outputTokens),
        blocks: requests.some(({ blocks }) => blocks) ? requests.map(({ blocks }) => blocks ?? []) : undefined,
        blockTokens: traceBlockTokens,
    };
}

/** How much of the busiest hour's traffic each hour of the week has, from Monday 0:00 UTC on. */
export type Week = readonly number[];

/** A trace as it was recorded, or a multiple of it. */
export interface Replay {
    /** Requests for each of the trace's; 0.5 leaves out every other one, by chance. */
    scale?: number;
    /** How long, in seconds; the trace is repeated. Default: once. */
    seconds?: number;
    /** The trace is the busiest hour of this week; absent: always as much. */
    week?: Week;
}

/** Repeats are not the same request after request: each is multiplied, or left out, by chance. */
export function replay(trace: Trace, { scale = 1, seconds, week }: Replay = {}): Traffic {
    const length = Math.max(1, trace.at[trace.at.length - 1] + 1);
    const all = seconds ?? length;
    return {
        name: trace.name,
        seconds: all,
        begins: 0,
        blockTokens: trace.blockTokens,
        *requests(seed) {
            const random = seededRandom(seed);
            const once = scale === 1 && week === undefined;
            const request: Request = { at: 0, promptTokens: 0, answerTokens: 0, commonTokens: 0 };
            const { at, promptTokens, answerTokens, blocks } = trace;
            for (let start = 0, round = 0; start < all; start += length, round++) {
                for (let i = 0; i < at.length; i++) {
                    const next = i + 1 < at.length ? at[i + 1] : length;
                    const wanted = scale * (week === undefined ? 1 : factorAt(week, start + at[i]));
                    // Without a change of the rate the trace is left as it is, bursts and all.
                    const copies = once ? 1 : Math.floor(wanted) + (random() < wanted % 1 ? 1 : 0);
                    for (let copy = 0; copy < copies; copy++) {
                        // Further ones come before the next of the trace does.
                        request.at = start + at[i] + (copy * (next - at[i])) / copies;
                        if (request.at >= all) return;
                        request.promptTokens = promptTokens[i];
                        request.answerTokens = answerTokens[i];
                        // The first of them asks what was asked; the others have prefixes of their own.
                        request.blocks = blocks && copy === 0 && round === 0 ? blocks[i] : undefined;
                        yield request;
                    }
                }
            }
        },
    };
}

/** Share of the peak in each hour of a day, UTC. */
export const shapes = {
    flat: { day: Array<number>(24).fill(1), weekend: 1 },
    /** Working hours, with a dip at noon. */
    office: {
        day: [
            0.02, 0.02, 0.02, 0.02, 0.02, 0.04, 0.15, 0.45, 0.85, 1, 1, 0.9, 0.65, 0.85, 1, 0.95, 0.8, 0.5, 0.25, 0.12,
            0.08, 0.05, 0.03, 0.02,
        ],
        weekend: 0.08,
    },
    /** People in their free time: the evening is the busiest. */
    evening: {
        day: [
            0.3, 0.18, 0.1, 0.07, 0.06, 0.08, 0.15, 0.28, 0.4, 0.45, 0.48, 0.52, 0.58, 0.56, 0.54, 0.56, 0.6, 0.7, 0.82,
            0.94, 1, 0.96, 0.75, 0.5,
        ],
        weekend: 1.1,
    },
} as const satisfies Record<string, { day: readonly number[]; weekend: number }>;

/**
 * The week of a shape.
 * @param weekend factor of Saturday and Sunday; default: the shape's own
 * @param shift hours by which everything comes later: -1 for people one time zone east of UTC
 */
export function weekOf(
    shape: keyof typeof shapes,
    { weekend, shift = 0 }: { weekend?: number; shift?: number } = {},
): Week {
    const { day, weekend: usual } = shapes[shape];
    const hours = Array.from({ length: 168 }, (_, hour) => day[hour % 24] * (hour >= 120 ? (weekend ?? usual) : 1));
    // India's half hours, too.
    return hours.map((_, hour) => factorAt(hours, 3600 * ((hour - shift + 168) % 168)));
}

/** The rate goes from hour to hour in a straight line. */
function factorAt(week: Week, seconds: number): number {
    const hour = seconds / 3600;
    const [from, to] = [week[Math.floor(hour) % 168], week[Math.ceil(hour) % 168]];
    return from + (to - from) * (hour % 1);
}

/** Traffic without a record. */
export interface Shape {
    /** How it is called. */
    name: string;
    /** Requests per second in the busiest hour. */
    peak: number;
    /** How the rate goes over the week. */
    week: Week;
    /** Mean lengths, tokens; log-normal, as those of the published traces are. */
    promptTokens: number;
    answerTokens: number;
    /** Share of the mean prompt that all begin with. */
    prefix?: number;
    seconds?: number;
}

/** How far lengths spread: standard deviation of their logarithm. Of the Azure conversation trace: 1.2 and 0.9. */
const promptSpread = 1;
const answerSpread = 0.9;

/** Arrivals of a Poisson process whose rate follows the week. */
export function shaped({ name, peak, week, promptTokens, answerTokens, prefix = 0, seconds = 86_400 }: Shape): Traffic {
    const commonTokens = Math.round(prefix * promptTokens);
    const blocks = commonTokens > 0 ? [0] : undefined;
    return {
        name,
        seconds,
        begins: 0,
        blockTokens: Math.max(1, commonTokens),
        *requests(seed) {
            const random = seededRandom(seed);
            const request: Request = { at: 0, promptTokens: 0, answerTokens: 0, blocks, commonTokens: 0 };
            for (const at of arrivals((now) => peak * factorAt(week, now), peak * Math.max(...week), seconds, random)) {
                request.at = at;
                request.promptTokens = commonTokens + length(random, promptTokens - commonTokens, promptSpread);
                request.answerTokens = length(random, answerTokens, answerSpread);
                yield request;
            }
        },
    };
}

/** Moments of a Poisson process of this rate, which is never above `most`, by thinning. */
export function* arrivals(
    rate: (at: number) => number,
    most: number,
    seconds: number,
    random: () => number,
): Iterable<number> {
    for (let at = 0; ;) {
        at += exponential(random) / most;
        if (at >= seconds) return;
        if (random() * most < rate(at)) yield at;
    }
}

/** A length of this mean, at least one token. */
function length(random: () => number, mean: number, deviation: number): number {
    return Math.max(1, Math.round(mean * logNormal(random, deviation)));
}
