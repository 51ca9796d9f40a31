import { setTimeout as sleep } from "node:timers/promises";
import {
    difference,
    loadConfig,
    LoadRun,
    metricsConnector,
    serverPage,
    type Buckets,
    type Endpoint,
    type LoadConfig,
} from "../loadtest";
import type { Measurement } from "./calibrate";
import type { Level, TargetName } from "./search";

/**
 * Measures one replica: the load test's closed loop asks, and vLLM's own histograms tell how long it took. They are what the
 * alerts go by, and a client that is late, or shares a busy machine with the server, is not in them.
 */

export interface MeasureOptions {
    endpoint: Endpoint;
    /** What requests name as their model. */
    model: string;
    /** Seconds of each level after its ramp. */
    seconds: number;
    promptTokens: number;
    outputTokens: number;
    /** Seconds; each a bound of vLLM's buckets, as the settings see to. */
    targets: Record<TargetName, number>;
}

/** A level, and what the engine did in it, for the fit. */
export interface Measured {
    level: Level;
    measurement: Measurement;
}

/** One concurrency for a while. The ramp spreads the answers, so that they do not all end together. */
export async function measureLevel(workers: number, options: MeasureOptions): Promise<Measured> {
    const { endpoint, seconds, targets } = options;
    const ramp = Math.min(seconds / 2, 10);
    const run = loadOf(options, {
        workers: [workers],
        duration: seconds,
        ramp,
        inputTokens: { kind: "fixed", value: options.promptTokens },
        maxTokens: { kind: "fixed", value: options.outputTokens },
    });
    let ended = false;
    const load = run.run().finally(() => (ended = true));
    const seen = serverWindow(run, endpoint, { from: ramp, to: ramp + seconds, ended: () => ended });
    seen.catch((error: Error) => run.stop(error.message));
    const [server] = await Promise.all([seen, load]);
    const steady = run.phases.findIndex(({ kind }) => kind === "steady");
    const all = [...run.results.outcomes].filter(({ phase }) => phase === steady);
    const ok = all.filter(({ failure }) => !failure);
    const { firstTokens, gaps } = server;
    if (ok.length === 0 || firstTokens.count === 0 || gaps.count === 0) {
        const failed = all.find(({ failure }) => failure)?.failure;
        const why = failed ? `${failed.kind}, ${failed.detail}` : `none within ${seconds} s: give more --seconds`;
        throw new Error(`no answer with ${workers} at once: ${why}`);
    }
    const answered = ok.length / all.length;
    const mean = gaps.sum / gaps.count;
    // A request runs from the step that computes its prompt, about as long as any, on from token to token (Little's law).
    // What it waited before that step is in its first token, and not in `vllm:num_requests_running`.
    const running = gaps.sum + Math.min(firstTokens.sum, firstTokens.count * mean);
    const atOnce = Math.min(workers, running / server.seconds);
    const level: Level = {
        workers,
        atOnce,
        requests: all.length,
        failures: all.length - ok.length,
        within: {
            timeToFirstToken: answered * shareWithin(firstTokens, targets.timeToFirstToken),
            interTokenLatency: answered * shareWithin(gaps, targets.interTokenLatency),
        },
        meanInterToken: mean,
        outputTokensPerSecond: (firstTokens.count + gaps.count) / server.seconds,
    };
    // A step takes as long as the mean gap, and there are steps as long as any worker's request is in the server.
    const busy = server.seconds * (1 - Math.max(0, 1 - atOnce / workers) ** workers);
    const meanOf = (key: "promptTokens" | "outputTokens"): number =>
        ok.reduce((sum, one) => sum + one[key], 0) / ok.length;
    const measurement: Measurement = {
        seconds: busy,
        steps: Math.max(1, Math.round(busy / mean)),
        decodeSequences: gaps.count,
        contextTokens: gaps.count * (meanOf("promptTokens") + meanOf("outputTokens") / 2),
        prefillTokens: firstTokens.count * meanOf("promptTokens"),
        requests: 0,
    };
    return { level, measurement };
}

/** What vLLM counted between two times of a run, and how long that was. Rejects when it does not tell. */
async function serverWindow(
    run: LoadRun,
    endpoint: Endpoint,
    { from, to, ended }: { from: number; to: number; ended: () => boolean },
) {
    const connector = metricsConnector(endpoint);
    const pageAt = async (t: number) => {
        while (run.now() < t && !ended()) await sleep(20);
        if (run.stopped !== undefined) throw new Error(run.stopped);
        const asked = performance.now();
        const seen = await serverPage(connector);
        return { ...seen, at: (asked + performance.now()) / 2000 };
    };
    const [first, last] = [await pageAt(from), await pageAt(to)];
    if (first.start !== last.start) throw new Error("the replica was not the same all the time: it was restarted");
    return {
        seconds: last.at - first.at,
        firstTokens: difference(first.page.ttftSeconds, last.page.ttftSeconds),
        gaps: difference(first.page.interTokenSeconds, last.page.interTokenSeconds),
    };
}

function shareWithin({ count, counts }: Buckets, bound: number): number {
    const within = counts.get(bound);
    if (within === undefined) throw new Error(`vLLM counts in no bucket up to ${bound} s`);
    return count === 0 ? 0 : within / count;
}

/** First tokens of prompts of several lengths, one request at a time: what a prompt token and a request cost. */
export async function measurePrompts(options: MeasureOptions, lengths: number[]): Promise<Measurement[]> {
    const measurements: Measurement[] = [];
    for (const length of lengths) {
        const run = loadOf(options, {
            workers: [1],
            requests: 4,
            ramp: 0,
            inputTokens: { kind: "fixed", value: length },
            maxTokens: { kind: "fixed", value: 8 },
        });
        await run.run();
        for (const { ttft, promptTokens } of run.results.outcomes) {
            if (ttft === undefined) continue;
            const cost = { steps: 1, prefillTokens: promptTokens, decodeSequences: 0, contextTokens: 0, requests: 1 };
            measurements.push({ seconds: ttft, ...cost });
        }
    }
    return measurements;
}

function loadOf({ endpoint, model }: MeasureOptions, config: Partial<LoadConfig>): LoadRun {
    // Another seed each time: a prompt that was asked before would come from the prefix cache.
    const seed = Math.floor(Math.random() * 2 ** 31);
    return new LoadRun(loadConfig({ ...config, ignoreEos: true, seed }), model, endpoint);
}
