import type { Outcome } from "./outcome";
import { Histogram } from "./statistics";

/**
 * A piece of a run's steady part. Requests that follow each other meet the same queue, so that a run holds less than its
 * number of requests says; pieces of it differ from each other as two runs would.
 */
export interface Block {
    seconds: number;
    ok: number;
    errors: number;
    outputTokens: number;
    /** Histograms in the form of `Histogram.text`. */
    latency: string;
    ttft: string;
    tpot: string;
}

const blockCount = 30;

/** The windows in about 30 pieces of the same length, each with the requests that ended in it. */
export function makeBlocks(outcomes: Iterable<Outcome>, windows: { from: number; to: number }[]): Block[] {
    const total = windows.reduce((sum, { from, to }) => sum + Math.max(0, to - from), 0);
    if (total <= 0) return [];
    const pieces = windows
        .filter(({ from, to }) => to > from)
        .flatMap(({ from, to }) => {
            const count = Math.max(1, Math.round(((to - from) / total) * blockCount));
            const seconds = (to - from) / count;
            return Array.from({ length: count }, (_, i) => ({
                from: from + i * seconds,
                to: from + (i + 1) * seconds,
                seconds,
                ok: 0,
                errors: 0,
                outputTokens: 0,
                latency: new Histogram(),
                ttft: new Histogram(),
                tpot: new Histogram(),
            }));
        });
    for (const outcome of outcomes) {
        const piece = pieces.find(({ from, to }) => outcome.end >= from && outcome.end < to);
        if (!piece) continue;
        if (outcome.failure) piece.errors++;
        else piece.ok++;
        if (outcome.failure) continue;
        piece.outputTokens += outcome.outputTokens;
        piece.latency.push(outcome.seconds);
        if (outcome.ttft !== undefined) piece.ttft.push(outcome.ttft);
        if (outcome.tpot !== undefined) piece.tpot.push(outcome.tpot);
    }
    return pieces.map(({ seconds, ok, errors, outputTokens, latency, ttft, tpot }) => {
        return { seconds, ok, errors, outputTokens, latency: latency.text(), ttft: ttft.text(), tpot: tpot.text() };
    });
}
