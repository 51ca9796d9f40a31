import type { LoadRun } from "../loadtest";
import { compareBlocks, type Change } from "../loadtest/compare";
import { makeReport, type Report } from "../loadtest/report";
import type { Interval } from "../loadtest/statistics";
import { drawnInterval } from "./drawn";

/** A figure of both apps, and between what the canary's over the first's, or less it, lies with a probability of 95 %. */
export interface Compared {
    first: number;
    canary: number;
    interval: Interval;
}

/** What the load showed of both. */
export interface LoadCompared {
    /** Times and rates of the steady parts. None: the canary, or the first, has answered too little to be compared. */
    changes: Change[];
    /** Shares of requests that failed; the interval is of their difference. */
    errors: Compared;
    /** Tokens of an answer, on the average; the interval is of their ratio. Absent where one has answered nothing. */
    tokens?: Compared;
    reports: { first: Report; canary: Report };
}

/** Sends both runs' load at once, each to its app. Whatever `signal` is aborted with is thrown. */
export async function measureBoth(
    runs: { first: LoadRun; canary: LoadRun },
    signal: AbortSignal,
): Promise<LoadCompared> {
    const stop = (): void => [runs.first, runs.canary].forEach((run) => run.stop("interrupted"));
    signal.addEventListener("abort", stop);
    const startedAt = new Date();
    try {
        await Promise.all([runs.first.run(), runs.canary.run()]);
    } finally {
        signal.removeEventListener("abort", stop);
    }
    signal.throwIfAborted();
    const report = (run: LoadRun): Report => makeReport({ startedAt, run, targets: {}, replicas: [] });
    return compareReports(report(runs.first), report(runs.canary));
}

type Pieces = Report["blocks"];

export function compareReports(first: Report, canary: Report): LoadCompared {
    const [one, other] = [first.blocks, canary.blocks];
    const errors = compared(one, other, errorShare, (a, b) => b - a);
    const tokens = compared(one, other, tokensPerAnswer, (a, b) => b / a);
    const answered = [one, other].every((blocks) => blocks.some(({ ok }) => ok > 0));
    return {
        changes: answered ? compareBlocks(one, other) : [],
        errors: errors ?? { first: 0, canary: 1, interval: { from: 1, to: 1 } },
        tokens,
        reports: { first, canary },
    };
}

function compared(
    first: Pieces,
    canary: Pieces,
    of: (blocks: Pieces) => number | undefined,
    change: (a: number, b: number) => number,
): Compared | undefined {
    const [a, b] = [of(first), of(canary)];
    if (a === undefined || b === undefined) return undefined;
    const interval = drawnInterval([first.length, canary.length], ([ones, others]) => {
        const [x, y] = [of(ones.map((place) => first[place])), of(others.map((place) => canary[place]))];
        return x === undefined || y === undefined ? undefined : change(x, y);
    });
    return { first: a, canary: b, interval };
}

function errorShare(blocks: Pieces): number | undefined {
    const [ok, errors] = [
        blocks.reduce((sum, one) => sum + one.ok, 0),
        blocks.reduce((sum, one) => sum + one.errors, 0),
    ];
    return ok + errors === 0 ? undefined : errors / (ok + errors);
}

function tokensPerAnswer(blocks: Pieces): number | undefined {
    const ok = blocks.reduce((sum, one) => sum + one.ok, 0);
    return ok === 0 ? undefined : blocks.reduce((sum, one) => sum + one.outputTokens, 0) / ok;
}
