import { makeBlocks } from "../../../tools/loadtest/blocks";
import type { Outcome } from "../../../tools/loadtest/outcome";
import type { Report } from "../../../tools/loadtest/report";
import { exponential, randomOf } from "../../../tools/random";

export interface Run {
    seed?: number;
    /** Stretches its times. */
    slower?: number;
    /** Share of its requests that fail. */
    failing?: number;
    /** Requests that come in a second. */
    rate?: number;
    clientLimits?: string[];
}

/** Of a run of a minute, what is compared; latencies are a queue's: what one request waits, the next waits too. */
export function reportOf({ seed = 1, slower = 1, failing = 0, rate = 200, clientLimits = [] }: Run): Report {
    const random = randomOf("run", seed);
    const outcomes: Outcome[] = [];
    let queue = 0;
    for (let t = 0; t < 60;) {
        const gap = exponential(random) / rate;
        t += gap;
        queue = Math.max(0, queue - gap) + (exponential(random) / rate) * 0.6;
        const seconds = (0.2 + queue + 0.05 * random()) * slower;
        const failure = random() < failing ? { failure: { kind: "HTTP 500", detail: "made up" } } : {};
        const times = { start: t - seconds, end: t, seconds, ttft: seconds / 4, tpot: seconds / 100 };
        const place = { worker: 0, phase: 0, lengthClass: "short", scheduleDelay: 0, connectSeconds: 0 };
        outcomes.push({ ...place, ...times, promptTokens: 10, outputTokens: 100, ...failure });
    }
    const blocks = makeBlocks(outcomes, [{ from: 0, to: 60 }]);
    return { blocks, valid: clientLimits.length === 0, clientLimits } as unknown as Report;
}
