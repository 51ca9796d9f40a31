import { seededRandom } from "../../tools/random";
import { Engine, type EngineConfig, type NewRequest } from "./engine";
import { answerLength } from "./simulated-text";

/** The engine in virtual time: hours of traffic in seconds, the same each time. For tests, benchmarks and planning. */

/** One request that was answered. Times are seconds of virtual time. */
export interface Finished {
    id: string;
    arrival: number;
    /** When it left the queue first. */
    scheduled: number;
    firstToken: number;
    last: number;
    tokens: number;
    preemptions: number;
}

export interface Simulation {
    finished: Finished[];
    /** When the last request was answered. */
    end: number;
    steps: number;
    preemptions: number;
    /** Requests in the queue and in the batch, mean over time. */
    meanInSystem: number;
    mostRunning: number;
}

/** Runs requests, in the order of their arrival, until all are answered. */
export function simulate(config: EngineConfig, requests: NewRequest[]): Simulation {
    const engine = new Engine(config);
    const finished: Finished[] = [];
    let now = 0;
    let next = 0;
    let steps = 0;
    let inSystem = 0;
    let mostRunning = 0;
    const admit = (): void => {
        for (; next < requests.length && requests[next].arrival <= now; next++) engine.add(requests[next]);
    };
    for (;;) {
        admit();
        const seconds = engine.beginStep(now);
        if (seconds === undefined) {
            if (next >= requests.length) break;
            now = requests[next].arrival;
            continue;
        }
        const end = now + seconds;
        mostRunning = Math.max(mostRunning, engine.running.length);
        inSystem += (engine.running.length + engine.waiting.length) * seconds;
        for (let i = next; i < requests.length && requests[i].arrival < end; i++) inSystem += end - requests[i].arrival;
        now = end;
        steps++;
        for (const { sequence, finished: reason } of engine.endStep(now).outputs) {
            if (!reason) continue;
            finished.push({
                id: sequence.id,
                arrival: sequence.arrival,
                scheduled: sequence.scheduledAt!,
                firstToken: sequence.firstTokenAt!,
                last: now,
                tokens: sequence.generated,
                preemptions: sequence.preemptions,
            });
        }
    }
    const { preemptions } = engine.totals;
    return { finished, end: now, steps, preemptions, meanInSystem: now > 0 ? inSystem / now : 0, mostRunning };
}

export interface Traffic {
    /** Mean arrivals; they come independently of each other (a Poisson process). */
    perSecond: number;
    seconds: number;
    promptTokens: number;
    /** Of an exponential distribution. */
    meanAnswerTokens: number;
    maxTokens: number;
    seed: number;
}

/** Requests that share no prefix. */
export function poissonTraffic(traffic: Traffic): NewRequest[] {
    const { perSecond, seconds, promptTokens, meanAnswerTokens, maxTokens } = traffic;
    const random = seededRandom(traffic.seed);
    const requests: NewRequest[] = [];
    for (let at = 0; ;) {
        at -= Math.log(1 - random()) / perSecond;
        if (at >= seconds) return requests;
        requests.push({
            id: String(requests.length),
            promptTokens,
            promptBlocks: [],
            naturalTokens: answerLength(random, meanAnswerTokens),
            maxTokens,
            arrival: at,
        });
    }
}
