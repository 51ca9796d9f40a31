import { loadConfig, LoadRun, type Endpoint, type LoadConfig } from "../loadtest";
import type { Measurement } from "./calibrate";
import type { Level } from "./search";

/** Measures one replica with the load test's closed loop. */

export interface MeasureOptions {
    endpoint: Endpoint;
    /** What requests name as their model. */
    model: string;
    /** Seconds of each level after its ramp. */
    seconds: number;
    promptTokens: number;
    outputTokens: number;
    /** Share of first tokens and of tokens that is to be within the targets. */
    within: number;
}

/** A level, and what the engine did in it, for the fit. */
export interface Measured {
    level: Level;
    measurements: Measurement[];
}

/** One concurrency for a while. The ramp spreads the answers, so that they do not all end together. */
export async function measureLevel(concurrency: number, options: MeasureOptions): Promise<Measured> {
    const { endpoint, model, seconds, promptTokens, outputTokens, within } = options;
    const ramp = Math.min(seconds / 2, 10);
    const run = await load(endpoint, model, {
        workers: [concurrency],
        duration: seconds,
        ramp,
        inputTokens: { kind: "fixed", value: promptTokens },
        maxTokens: { kind: "fixed", value: outputTokens },
        ignoreEos: true,
    });
    const steady = run.phases.findIndex(({ kind }) => kind === "steady");
    const all = [...run.results.outcomes].filter(({ phase }) => phase === steady);
    const ok = all.filter(({ failure }) => !failure);
    const gaps = run.results.gapsWhere((phase) => phase === steady);
    const firsts = ok.flatMap(({ ttft }) => (ttft === undefined ? [] : [ttft])).sort((a, b) => a - b);
    const at = (sorted: number[]): number => sorted[Math.min(sorted.length - 1, Math.ceil(within * sorted.length) - 1)];
    if (firsts.length === 0 || gaps.length === 0) {
        const [failed] = all.filter(({ failure }) => failure);
        throw new Error(
            `no answer with ${concurrency} at once${failed ? `: ${failed.failure!.kind}, ${failed.failure!.detail}` : ` within ${seconds} s: give more --seconds`}`,
        );
    }
    const tokens = ok.reduce((sum, one) => sum + one.outputTokens, 0);
    const { mean, p95, p99 } = gaps.summary()!;
    const level: Level = {
        concurrency,
        requests: all.length,
        failures: all.length - ok.length,
        timeToFirstToken: at(firsts),
        // Of all gaps these two are kept; the next stricter one is taken.
        interTokenLatency: within > 0.95 ? p99 : p95,
        meanInterToken: mean,
        outputTokensPerSecond: concurrency / mean,
    };
    // A step takes as long as the mean gap; in each, all decode, and the prompts of those that begin are computed.
    const steps = Math.max(1, Math.round(gaps.length / concurrency));
    const share = ok.length / Math.max(1, tokens);
    const measurement: Measurement = {
        seconds: steps * mean,
        steps,
        decodeSequences: steps * concurrency,
        contextTokens: steps * concurrency * (promptTokens + outputTokens / 2),
        prefillTokens: steps * concurrency * share * promptTokens,
        requests: 0,
    };
    return { level, measurements: [measurement] };
}

/** First tokens of prompts of several lengths, one request at a time: what a prompt token and a request cost. */
export async function measurePrompts(options: MeasureOptions, lengths: number[]): Promise<Measurement[]> {
    const { endpoint, model } = options;
    const measurements: Measurement[] = [];
    for (const length of lengths) {
        const run = await load(endpoint, model, {
            workers: [1],
            requests: 4,
            ramp: 0,
            inputTokens: { kind: "fixed", value: length },
            maxTokens: { kind: "fixed", value: 8 },
            ignoreEos: true,
        });
        for (const { ttft, promptTokens } of run.results.outcomes) {
            if (ttft === undefined) continue;
            const cost = { steps: 1, prefillTokens: promptTokens, decodeSequences: 0, contextTokens: 0, requests: 1 };
            measurements.push({ seconds: ttft, ...cost });
        }
    }
    return measurements;
}

async function load(endpoint: Endpoint, model: string, config: Partial<LoadConfig>): Promise<LoadRun> {
    // Another seed each time: a prompt that was asked before would come from the prefix cache.
    const seed = Math.floor(Math.random() * 2 ** 31);
    const run = new LoadRun(loadConfig({ ...config, seed }), model, endpoint);
    await run.run();
    return run;
}
