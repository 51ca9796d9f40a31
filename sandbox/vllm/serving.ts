import { Engine, type EngineConfig, type FinishReason, type Output, type Sequence, type StepResult } from "./engine";
import type { EngineSeries } from "./metrics";

/**
 * The engine on the wall clock: it begins a step, sleeps as long as the step takes, ends it; no timer runs once it is idle
 * and has said so in the log.
 * When this process falls behind, several steps end at once and their tokens go out together, as vLLM's API server merges
 * what its engine brings faster than it can be sent.
 */

export interface Completion {
    promptTokens: number;
    /** See `NewRequest.promptBlocks`. */
    promptBlocks: string[];
    /** Tokens of each answer at which the model would end it. */
    naturalTokens: number[];
    /** Tokens after which an answer ends anyway. */
    maxTokens: number;
    /** Seconds, on the clock of `Serving.now`. */
    arrival: number;
}

export interface Listener {
    /** So many tokens of the answer with this index came out; `finished` when they were the last. */
    tokens(answer: number, count: number, finished: FinishReason | undefined): void;
    /** The engine died before the answer was finished. */
    died(): void;
}

export interface ServingOptions {
    engine: EngineConfig;
    /** Seconds between a request and the moment at which the engine has it; default 0. */
    requestOverhead?: number;
    /** Where to count; undefined: nowhere. */
    metrics?: EngineSeries;
    /** Lines of statistics, one in ten seconds. */
    log: (line: string) => void;
}

interface Pending {
    completion: Completion;
    listener: Listener;
    answer: number;
    /** Shared by the answers of one request. */
    group: { left: number; longest: number };
}

/** A step that ends later than it should is not caught up for more than this, in seconds. */
const mostLag = 0.25;
/** Seconds. */
const statisticsPeriod = 10;

export class Serving {
    private readonly engine: Engine;
    private readonly pending = new Map<string, Pending>();
    private readonly aborted = new Set<string>();
    /** How many times as long as its profile says a step takes. */
    private slowness = 1;
    private stalled = false;
    private timer?: NodeJS.Timeout;
    private due = 0;
    private closed = false;
    private dead = false;
    private serial = 0;
    private seen = { preemptions: 0, prefixQueries: 0, prefixHits: 0 };
    private period = { promptTokens: 0, generationTokens: 0 };
    private statistics?: NodeJS.Timeout;

    constructor(private readonly options: ServingOptions) {
        this.engine = new Engine(options.engine);
    }

    /** Seconds on a clock that never goes back. */
    now(): number {
        return performance.now() / 1000;
    }

    /** Longest request that the KV cache can hold, tokens. */
    get capacityTokens(): number {
        return this.engine.capacityTokens;
    }

    /** Requests in the batch and in the queue, and the share of the KV cache in use, as they are now. */
    get load(): { running: number; waiting: number; kvUsage: number } {
        const { running, waiting, kvCacheUsage } = this.engine;
        return { running: running.length, waiting: waiting.length, kvUsage: kvCacheUsage };
    }

    /** Makes every step from the next one on take so many times as long as it should. */
    slowDown(factor: number): void {
        this.slowness = factor;
    }

    /** Stops the engine where it is, or lets it go on. */
    stall(stalled: boolean): void {
        if (this.stalled === stalled || this.closed) return;
        this.stalled = stalled;
        if (stalled) {
            clearTimeout(this.timer);
        } else if (this.timer) {
            this.due = Math.max(this.due, this.now());
            this.wait();
        } else {
            this.step(this.now());
        }
    }

    /** Queues a request, once for each answer. Returns how to abort it. */
    submit(completion: Completion, listener: Listener): () => void {
        if (this.dead) {
            queueMicrotask(() => listener.died());
            return () => undefined;
        }
        const { naturalTokens, ...common } = completion;
        const group = { left: naturalTokens.length, longest: 0 };
        const ids = naturalTokens.map((_, answer) => {
            const id = String(++this.serial);
            this.pending.set(id, { completion, listener, answer, group });
            return id;
        });
        const enter = (): void => {
            // A step that is overdue ends in the past; what arrived since then is taken to have arrived at its end.
            const arrival = this.timer ? Math.min(common.arrival, this.due) : common.arrival;
            ids.forEach((id, answer) => {
                if (!this.pending.has(id)) return; // aborted meanwhile
                this.engine.add({ ...common, id, arrival, naturalTokens: naturalTokens[answer] });
            });
            if (!this.timer && !this.stalled && !this.closed) this.step(this.now());
        };
        const { requestOverhead = 0 } = this.options;
        if (requestOverhead > 0) setTimeout(enter, requestOverhead * 1000);
        else enter();
        return () => this.abort(ids);
    }

    close(): void {
        this.closed = true;
        clearTimeout(this.timer);
        clearTimeout(this.statistics);
        this.timer = undefined;
        this.pending.clear();
    }

    /** Ends as an engine that dies: every request under way hears of it, and every later one. */
    die(): void {
        const listeners = new Set([...this.pending.values()].map(({ listener }) => listener));
        this.close();
        this.dead = true;
        for (const listener of listeners) listener.died();
    }

    /** The engine hears of it between two steps, as in vLLM. Nothing is counted for an aborted request. */
    private abort(ids: string[]): void {
        for (const id of ids) if (this.pending.delete(id)) this.aborted.add(id);
        if (!this.timer) this.dropAborted();
    }

    /** vLLM takes one more step for what was aborted, which brings the gauges to where they are then. */
    private dropAborted(): void {
        for (const id of this.aborted) this.engine.abort(id);
        if (this.aborted.size > 0 && this.engine.idle) this.setGauges();
        this.aborted.clear();
    }

    /** Begins a step; false when there is nothing to do. */
    private step(begin: number): boolean {
        const seconds = this.engine.beginStep(begin);
        if (seconds === undefined) return false;
        this.logStatistics();
        this.due = begin + seconds * this.slowness;
        this.wait();
        return true;
    }

    private wait(): void {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.finishSteps(), (this.due - this.now()) * 1000);
    }

    /** Ends the step that is due, and those after it whose time has passed as well. */
    private finishSteps(): void {
        const said = new Map<string, { heard: Pending; count: number; finished?: FinishReason }>();
        const now = this.now();
        do {
            clearTimeout(this.timer);
            this.timer = undefined;
            const result = this.engine.endStep(this.due);
            // The API server forgets an aborted request at once and drops what still comes for it.
            const outputs = result.outputs.filter(({ sequence }) => this.pending.has(sequence.id));
            this.count(result, outputs);
            this.dropAborted();
            for (const { sequence, finished } of outputs) {
                const told = said.get(sequence.id) ?? { heard: this.pending.get(sequence.id)!, count: 0 };
                said.set(sequence.id, told);
                told.count++;
                told.finished = finished;
                if (finished) this.pending.delete(sequence.id);
            }
        } while (this.step(Math.max(this.due, now - mostLag)) && this.due <= now);
        for (const { heard, count, finished } of said.values()) heard.listener.tokens(heard.answer, count, finished);
    }

    private count(result: StepResult, outputs: Output[]): void {
        const { metrics } = this.options;
        let promptTokens = 0;
        for (const output of outputs) {
            if (output.sinceLast === undefined) promptTokens += output.sequence.promptTokens;
            if (output.finished) this.countFinished(output.sequence, output.finished);
        }
        this.period.promptTokens += promptTokens;
        this.period.generationTokens += outputs.length;
        if (!metrics) return;
        const { preemptions, prefixQueries, prefixHits } = this.engine.totals;
        metrics.preemptions.add(preemptions - this.seen.preemptions);
        metrics.prefixQueries.add(prefixQueries - this.seen.prefixQueries);
        metrics.prefixHits.add(prefixHits - this.seen.prefixHits);
        this.seen = { ...this.engine.totals };
        this.setGauges();
        if (result.outputs.length === 0) return;
        metrics.promptTokens.add(promptTokens);
        metrics.generationTokens.add(outputs.length);
        metrics.iterationTokens.observe(promptTokens + outputs.length);
        for (const { sequence, sinceLast } of outputs) {
            if (sinceLast === undefined) metrics.timeToFirstToken.observe(this.due - sequence.arrival);
            else {
                metrics.interTokenLatency.observe(sinceLast);
                metrics.hiddenTimePerOutputToken.observe(sinceLast);
            }
        }
    }

    private countFinished(sequence: Sequence, reason: FinishReason): void {
        const { metrics } = this.options;
        if (!metrics) return;
        const { completion, group } = this.pending.get(sequence.id)!;
        const { arrival, generated, promptTokens, cachedTokens } = sequence;
        const [scheduled, first, last] = [sequence.scheduledAt!, sequence.firstTokenAt!, sequence.lastTokenAt!];
        metrics.success[reason].add();
        metrics.e2eLatency.observe(last - arrival);
        metrics.queueTime.observe(scheduled - arrival);
        metrics.prefillTime.observe(first - scheduled);
        metrics.decodeTime.observe(last - first);
        metrics.inferenceTime.observe(last - scheduled);
        metrics.timePerOutputToken.observe(generated > 1 ? (last - first) / (generated - 1) : 0);
        metrics.requestPromptTokens.observe(promptTokens);
        metrics.requestGenerationTokens.observe(generated);
        metrics.prefillKvComputed.observe(promptTokens - cachedTokens);
        metrics.paramsMaxTokens.observe(completion.maxTokens);
        group.longest = Math.max(group.longest, generated);
        if (--group.left > 0) return;
        metrics.paramsN.observe(completion.naturalTokens.length);
        metrics.maxGenerationTokens.observe(group.longest);
    }

    private setGauges(): void {
        const { metrics } = this.options;
        metrics?.running.set(this.engine.running.length);
        metrics?.waiting.set(this.engine.waiting.length);
        metrics?.kvCacheUsage.set(this.engine.kvCacheUsage);
    }

    /** A line for each period, up to and with the first one in which no token came or went. */
    private logStatistics(): void {
        this.statistics ??= setTimeout(() => {
            const { promptTokens, generationTokens } = this.period;
            const { prefixQueries, prefixHits } = this.engine.totals;
            this.options.log(
                `Engine 000: Avg prompt throughput: ${(promptTokens / statisticsPeriod).toFixed(1)} tokens/s, ` +
                    `Avg generation throughput: ${(generationTokens / statisticsPeriod).toFixed(1)} tokens/s, ` +
                    `Running: ${this.engine.running.length} reqs, Waiting: ${this.engine.waiting.length} reqs, ` +
                    `GPU KV cache usage: ${(100 * this.engine.kvCacheUsage).toFixed(1)}%, ` +
                    `Prefix cache hit rate: ${((100 * prefixHits) / Math.max(1, prefixQueries)).toFixed(1)}%`,
            );
            this.period = { promptTokens: 0, generationTokens: 0 };
            this.statistics = undefined;
            if (promptTokens + generationTokens > 0) this.logStatistics();
        }, statisticsPeriod * 1000).unref();
    }
}
