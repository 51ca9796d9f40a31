import { createHash } from "node:crypto";
import { EventEmitter } from "node:events";
import type { ServerArguments } from "./command-line";
import { Engine, type FinishReason, type NewRequest, type Output, type Sequence } from "./engine";
import { vllmMetrics, type VllmMetrics } from "./metrics";
import type { Profile } from "./profiles";

/** What a request hears: one event per token, then the reason of its end. */
export interface Listener {
    token(output: Output): void;
    end(reason: FinishReason): void;
}

/** The engine on the wall clock, with its metrics: begins a step, sleeps as long as it takes, ends it. Sleeps while idle. */
export class Serving {
    readonly metrics: VllmMetrics;
    private readonly engine: Engine;
    private readonly listeners = new Map<string, { listener: Listener; n: number; maxTokens?: number }>();
    private readonly counted = { preemptions: 0, prefixQueries: 0, prefixHits: 0 };
    private timer?: NodeJS.Timeout;
    private closed = false;
    private serial = 0;
    readonly drained = new EventEmitter();

    constructor(
        private readonly args: ServerArguments,
        private readonly profile: Profile,
        private readonly random: () => number,
    ) {
        this.engine = new Engine({
            maxNumSeqs: args.maxNumSeqs,
            maxNumBatchedTokens: args.maxNumBatchedTokens,
            prefixCaching: args.prefixCaching,
            profile,
        });
        this.metrics = vllmMetrics({
            modelName: args.servedModelName,
            maxModelLen: args.maxModelLen,
            blockSize: profile.blockSize,
            numBlocks: profile.numBlocks,
            prefixCaching: args.prefixCaching,
        });
    }

    /** Requests that run or wait. */
    get load(): number {
        return this.engine.running.length + this.engine.waiting.length;
    }

    /** Queues a prompt. `maxTokens` as asked for, if it was. Returns its id, for `abort`. Throws a RangeError when it can never fit. */
    submit(prompt: string, maxTokens: number | undefined, listener: Listener): { id: string; promptTokens: number } {
        const promptTokens = countTokens(prompt);
        const id = String(++this.serial);
        const room = Math.min(this.args.maxModelLen, (this.profile.numBlocks - 1) * this.profile.blockSize) - promptTokens;
        const request: NewRequest = {
            id,
            promptTokens,
            promptBlocks: blockHashes(prompt, this.profile.blockSize),
            naturalTokens: Math.max(1, Math.round(-Math.log(1 - this.random()) * this.profile.meanAnswerTokens)),
            maxTokens: Math.min(maxTokens ?? room, room),
            arrival: now(),
        };
        this.engine.add(request);
        this.listeners.set(id, { listener, n: 1, maxTokens });
        this.wake();
        return { id, promptTokens };
    }

    abort(id: string): void {
        // vLLM 0.13 counts an aborted request nowhere (vllm-project/vllm issue #31503).
        this.engine.abort(id);
        this.listeners.delete(id);
        if (this.engine.idle) this.drained.emit("idle");
    }

    close(): void {
        this.closed = true;
        clearTimeout(this.timer);
        this.timer = undefined;
    }

    private wake(): void {
        if (this.timer || this.closed) return;
        const seconds = this.engine.beginStep(now());
        if (seconds === undefined) return;
        const due = now() + seconds;
        this.timer = setTimeout(() => {
            this.timer = undefined;
            this.finishStep();
        }, Math.max(0, (due - now()) * 1000));
    }

    private finishStep(): void {
        const { metrics } = this;
        const { labels } = metrics;
        const result = this.engine.endStep(now());
        const finished = result.outputs.filter((output) => output.finished !== undefined);
        for (const output of result.outputs) this.observeToken(output);
        if (result.prefillTokens + result.decodeTokens > 0) {
            metrics.iterationTokens.observe(labels, result.prefillTokens + result.outputs.length);
        }
        for (const { sequence, finished: reason } of finished) this.observeEnd(sequence, reason!);
        const { preemptions, prefixQueries, prefixHits } = this.engine.counters;
        metrics.preemptions.add(labels, preemptions - this.counted.preemptions);
        metrics.prefixQueries.add(labels, prefixQueries - this.counted.prefixQueries);
        metrics.prefixHits.add(labels, prefixHits - this.counted.prefixHits);
        Object.assign(this.counted, this.engine.counters);
        metrics.running.set(labels, this.engine.running.length);
        metrics.waiting.set(labels, this.engine.waiting.length);
        metrics.kvCacheUsage.set(labels, this.engine.kvCacheUsage);

        for (const output of result.outputs) {
            const heard = this.listeners.get(output.sequence.id);
            heard?.listener.token(output);
            if (output.finished) {
                this.listeners.delete(output.sequence.id);
                heard?.listener.end(output.finished);
            }
        }
        if (this.engine.idle) this.drained.emit("idle");
        this.wake();
    }

    private observeToken({ sequence, first, sinceLast }: Output): void {
        const { metrics } = this;
        metrics.generationTokens.add(metrics.labels);
        if (first) {
            metrics.promptTokens.add(metrics.labels, sequence.promptTokens);
            metrics.ttft.observe(metrics.labels, sequence.firstTokenAt! - sequence.arrival);
        } else if (sinceLast !== undefined) {
            metrics.interToken.observe(metrics.labels, sinceLast);
        }
    }

    private observeEnd(sequence: Sequence, reason: FinishReason): void {
        const { metrics } = this;
        const { labels } = metrics;
        const end = sequence.lastTokenAt!;
        const scheduled = sequence.scheduledAt!;
        const firstToken = sequence.firstTokenAt!;
        metrics.success.add({ ...labels, finished_reason: reason });
        metrics.e2e.observe(labels, end - sequence.arrival);
        metrics.queueTime.observe(labels, scheduled - sequence.arrival);
        metrics.prefillTime.observe(labels, firstToken - scheduled);
        metrics.decodeTime.observe(labels, end - firstToken);
        metrics.inferenceTime.observe(labels, end - scheduled);
        metrics.perOutputToken.observe(labels, sequence.generated > 1 ? (end - firstToken) / (sequence.generated - 1) : 0);
        metrics.requestPrompt.observe(labels, sequence.promptTokens);
        metrics.requestGeneration.observe(labels, sequence.generated);
        metrics.maxGeneration.observe(labels, sequence.generated);
        metrics.prefillComputed.observe(labels, sequence.promptTokens - sequence.cachedTokens);
        const heard = this.listeners.get(sequence.id);
        metrics.paramsN.observe(labels, heard?.n ?? 1);
        if (heard?.maxTokens !== undefined) metrics.paramsMaxTokens.observe(labels, heard.maxTokens);
    }
}

/** Tokens of a text at four characters each: the usual rule of thumb for English; the simulation has no tokenizer. */
export function countTokens(text: string): number {
    return Math.max(1, Math.ceil(text.length / 4));
}

function blockHashes(prompt: string, blockSize: number): string[] {
    const characters = blockSize * 4;
    const hashes: string[] = [];
    let hash = "";
    for (let i = 0; i + characters <= prompt.length; i += characters) {
        hash = createHash("sha1").update(hash).update(prompt.slice(i, i + characters)).digest("base64");
        hashes.push(hash);
    }
    return hashes;
}

function now(): number {
    return (performance.timeOrigin + performance.now()) / 1000;
}
