import { simulateFleet } from "./fleet";
import { longestRequest, worldOf, type Problem } from "./problem";
import { exponential, seededRandom } from "../tools/random";
import type { Request, Traffic } from "./traffic";
import type { Outcome } from "./world";

/** What one replica can take of a traffic before its targets break, and what the traffic asks for. */
export interface Capacity {
    /** What the traffic is called, its requests, and its seconds. */
    traffic: string;
    requests: number;
    seconds: number;
    /** Of the requests: those that the engine refuses, as they do not fit into its context. */
    tooLong: number;
    /** Requests per second. */
    rate: number;
    /** Requests being answered at that rate, mean over time. */
    running: number;
    /** The traffic's requests per second, mean over each interval. */
    demand: number[];
    demandEvery: number;
    /** When the traffic begins, in seconds after Monday 0:00 UTC. */
    begins: number;
}

const demandEvery = 300;
const trialSeconds = 900;
const samples = 20_000;

/** By bisection over steady Poisson arrivals with the traffic's own lengths. `rate` is 0 when even one at a time is too slow. */
export function findCapacity(problem: Problem, traffic: Traffic): Capacity {
    const { requests, demand, seen, tooLong } = sample(traffic, problem.seed, longestRequest(problem));
    const meets = (rate: number): Outcome | undefined => {
        const fixed = { every: trialSeconds, replicas: [1] };
        const steady = poisson(requests, rate, traffic.blockTokens);
        const outcome = simulateFleet(worldOf(problem, fixed), steady, problem.targets, problem.seed);
        const enough = problem.targets.withinTargets * outcome.requests;
        return outcome.requests > 0 && outcome.within >= enough ? outcome : undefined;
    };
    let [low, high] = [0, 0.05];
    let best: Outcome | undefined;
    for (let outcome = meets(high); outcome && high < 1e4; outcome = meets(high)) {
        best = outcome;
        low = high;
        high *= 2;
    }
    for (let i = 0; i < 7; i++) {
        const middle = (low + high) / 2;
        const outcome = meets(middle);
        if (outcome) [low, best] = [middle, outcome];
        else high = middle;
    }
    // Little's law, with the mean time from the first token to the last and to the first.
    const running = best ? low * meanSeconds(best, requests) : 0;
    const { name, seconds, begins } = traffic;
    return { traffic: name, requests: seen, seconds, tooLong, rate: low, running, demand, demandEvery, begins };
}

function meanSeconds({ firstToken, interToken }: Outcome, requests: Request[]): number {
    const tokens = requests.reduce((sum, { answerTokens }) => sum + answerTokens, 0) / requests.length;
    return firstToken.quantile(0.5) + tokens * interToken.quantile(0.5);
}

/** Requests to draw lengths from, each as likely (reservoir sampling), how many come in each interval, and how many are too long. */
function sample(
    traffic: Traffic,
    seed: number,
    longest: number,
): { requests: Request[]; demand: number[]; seen: number; tooLong: number } {
    const random = seededRandom(seed);
    const requests: Request[] = [];
    const demand = Array<number>(Math.ceil(traffic.seconds / demandEvery)).fill(0);
    let [seen, tooLong] = [0, 0];
    for (const request of traffic.requests(seed)) {
        demand[Math.floor(request.at / demandEvery)] += 1 / Math.min(demandEvery, traffic.seconds);
        if (request.promptTokens + request.answerTokens > longest) tooLong++;
        const at = seen++ < samples ? seen - 1 : Math.floor(random() * seen);
        if (at < samples) requests[at] = { ...request };
    }
    return { requests, demand, seen, tooLong };
}

function poisson(requests: Request[], rate: number, blockTokens: number): Traffic {
    return {
        name: "steady",
        seconds: trialSeconds,
        begins: 0,
        blockTokens,
        *requests(seed) {
            const random = seededRandom(seed + 1);
            for (let at = 0; ;) {
                at += exponential(random) / rate;
                if (at >= trialSeconds) return;
                yield { ...requests[Math.floor(random() * requests.length)], at };
            }
        },
    };
}
