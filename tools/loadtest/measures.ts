import type { Outcome } from "./outcome";
import { Samples, summarize, type Summary } from "./statistics";

/** What a good answer keeps to, seconds; undefined: any. */
export interface Targets {
    ttft?: number;
    /** Between tokens, on the average of an answer. */
    itl?: number;
}

/** Figures of a group of requests. A request that got no answer counts in the percentiles as longer than any other. */
export interface Measures {
    requests: number;
    ok: number;
    errors: number;
    /** From the sending to the end of the answer. */
    latencySeconds: Summary | null;
    ttftSeconds: Summary | null;
    /** Between tokens, on the average of each answer. */
    tpotSeconds: Summary | null;
    /** Tokens of answers in full. */
    tokens: { prompt: number; output: number };
    /** Answers whose tokens the server did not count: their pieces were, and each may hold several. Absent: none. */
    uncounted?: number;
    /** Share of all requests that were answered within the targets; absent without targets. */
    goodShare?: number;
}

/** Whether an answer is within the targets. */
export function isGood({ failure, ttft, tpot }: Outcome, { ttft: firstMost, itl }: Targets): boolean {
    if (failure) return false;
    // An answer of one token has no time between tokens, one of none no first token.
    return (firstMost === undefined || (ttft ?? 0) <= firstMost) && (itl === undefined || (tpot ?? 0) <= itl);
}

export function hasTargets({ ttft, itl }: Targets): boolean {
    return ttft !== undefined || itl !== undefined;
}

/** Takes the requests of a group one by one. */
export class MeasureGroup {
    requests = 0;
    ok = 0;
    good = 0;
    promptTokens = 0;
    outputTokens = 0;
    private uncounted = 0;
    private readonly latency = new Samples();
    private readonly ttft = new Samples();
    private readonly tpot = new Samples();
    /** Without a first token. */
    private unanswered = 0;
    /** The longest that a first token, and a whole answer, was waited for in vain. */
    private longestSilence = 0;
    private longestWait = 0;

    constructor(private readonly targets: Targets) {}

    add(outcome: Outcome): void {
        this.requests++;
        const { failure, ttft, tpot, seconds } = outcome;
        // An answer that broke off has a first token all the same.
        if (ttft !== undefined) this.ttft.push(ttft);
        else if (failure) {
            this.unanswered++;
            this.longestSilence = Math.max(this.longestSilence, seconds);
        }
        if (failure) {
            this.longestWait = Math.max(this.longestWait, seconds);
            return;
        }
        this.ok++;
        this.latency.push(seconds);
        if (tpot !== undefined) this.tpot.push(tpot);
        // No prompt is without a token.
        if (outcome.promptTokens === 0) this.uncounted++;
        this.promptTokens += outcome.promptTokens;
        this.outputTokens += outcome.outputTokens;
        if (isGood(outcome, this.targets)) this.good++;
    }

    measures(): Measures {
        const errors = this.requests - this.ok;
        return {
            requests: this.requests,
            ok: this.ok,
            errors,
            latencySeconds: summarize(this.latency, errors, this.longestWait),
            ttftSeconds: summarize(this.ttft, this.unanswered, this.longestSilence),
            tpotSeconds: summarize(this.tpot),
            tokens: { prompt: this.promptTokens, output: this.outputTokens },
            ...(this.uncounted > 0 ? { uncounted: this.uncounted } : {}),
            ...(hasTargets(this.targets) && this.requests > 0 ? { goodShare: this.good / this.requests } : {}),
        };
    }
}
