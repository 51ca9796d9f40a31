import { seededRandom } from "../../tools/random";

/** Seeded loads: when each request is sent, the tokens of its prompt, and how many tokens it asks for. */

export interface PlannedRequest {
    /** Seconds after the begin. */
    at: number;
    prompt: number[];
    maxTokens: number;
}

/** Ids that every vocabulary has, none of them special. */
const [lowestToken, highestToken] = [300, 1500];
/** Of the prompts that begin alike there are so many kinds, and this is how far they are alike. */
const [families, commonTokens] = [4, 128];

type Random = () => number;
const between = (random: Random, low: number, high: number): number => low + Math.floor((high - low + 1) * random());
const tokens = (random: Random, count: number): number[] =>
    Array.from({ length: count }, () => between(random, lowestToken, highestToken));

/**
 * Prompts of 24 to 400 tokens, every third with one of four beginnings; answers of 16 to 112 tokens. The run changes the
 * tokens only, so that a server does not remember the prompts of the run before.
 */
export function requestsOf(count: number, seed: number, run: number): Omit<PlannedRequest, "at">[] {
    const random = seededRandom(seed);
    const content = seededRandom(1000 * seed + run);
    const beginnings = Array.from({ length: families }, () => tokens(content, commonTokens));
    return Array.from({ length: count }, () => {
        const [length, maxTokens] = [between(random, 24, 400), between(random, 16, 112)];
        const beginning = random() < 1 / 3 ? beginnings[between(random, 0, families - 1)].slice(0, length - 1) : [];
        return { prompt: [...beginning, ...tokens(content, length - beginning.length)], maxTokens };
    });
}

/** Sends them independently of each other, so many a second. */
export function poisson(requests: Omit<PlannedRequest, "at">[], perSecond: number, seed: number): PlannedRequest[] {
    const random = seededRandom(seed);
    let at = 0;
    return requests.map((request) => ({ ...request, at: (at -= Math.log(1 - random()) / perSecond) }));
}

/** For the fit: prompts of all lengths that share nothing, and answers of at most so many tokens. */
export function calibrationRequests(count: number, mostTokens: number, seed: number): Omit<PlannedRequest, "at">[] {
    const random = seededRandom(seed);
    return Array.from({ length: count }, () => ({
        prompt: tokens(random, between(random, 8, 480)),
        maxTokens: between(random, Math.ceil(mostTokens / 6), mostTokens),
    }));
}
