import type { Failure } from "./client";
import { Histogram, type HistogramContent } from "./statistics";

/** One request that came to an end. Times in seconds. */
export interface Outcome {
    /** Of a closed loop; of an open loop the number of the arrival. */
    worker: number;
    /** The part of the run in which it was sent: an index of the plan's phases. */
    phase: number;
    lengthClass: string;
    /** When it was sent, from the start of the run. */
    start: number;
    /** When its answer ended, from the start of the run: `start` and `seconds`. */
    end: number;
    /** From sending to end; of a request for which no connection could be opened, how long that took. */
    seconds: number;
    /** To the first token. */
    ttft?: number;
    /** Between tokens, on the average of this answer. */
    tpot?: number;
    /** At most so much of `ttft` may be the client's. */
    clientDelay?: number;
    /** How much later than planned it was sent, without what is in `connectSeconds`. */
    scheduleDelay: number;
    /** How long it waited for a connection that had to be opened first; in no other time. */
    connectSeconds: number;
    promptTokens: number;
    outputTokens: number;
    /** The question, when it was asked for. */
    question?: string;
    failure?: Failure;
}

const numbers = [
    "seconds",
    "ttft",
    "tpot",
    "clientDelay",
    "scheduleDelay",
    "connectSeconds",
    "promptTokens",
    "outputTokens",
] as const;

/** Outcomes in 54 bytes each: a run of hours has millions. A figure keeps seven digits. */
export class OutcomeLog {
    length = 0;
    private capacity = 1024;
    private start = new Float64Array(this.capacity);
    private worker = new Uint32Array(this.capacity);
    private phase = new Uint16Array(this.capacity);
    private lengthClass = new Uint16Array(this.capacity);
    private failure = new Uint16Array(this.capacity);
    private columns = Object.fromEntries(numbers.map((name) => [name, new Float32Array(this.capacity)])) as Record<
        (typeof numbers)[number],
        Float32Array
    >;
    private readonly classes: string[] = [];
    /** The first of each kind; 0 stands for none. */
    private readonly failures: (Failure | undefined)[] = [undefined];
    private readonly questions = new Map<number, string>();

    push(outcome: Outcome): void {
        if (this.length === this.capacity) this.grow();
        const i = this.length++;
        this.start[i] = outcome.start;
        this.worker[i] = outcome.worker;
        this.phase[i] = outcome.phase;
        this.lengthClass[i] = placeOf(this.classes, outcome.lengthClass);
        this.failure[i] = this.failureIndex(outcome.failure);
        for (const name of numbers) this.columns[name][i] = outcome[name] ?? NaN;
        if (outcome.question !== undefined) this.questions.set(i, outcome.question);
    }

    /** The outcome at a place; of a failure, kind and status are its own, and the detail is the first of its kind. */
    at(i: number): Outcome {
        const number = (name: (typeof numbers)[number]): number => this.columns[name][i];
        const known = (name: (typeof numbers)[number]): number | undefined => {
            const value = number(name);
            return isNaN(value) ? undefined : value;
        };
        return {
            worker: this.worker[i],
            phase: this.phase[i],
            lengthClass: this.classes[this.lengthClass[i]],
            start: this.start[i],
            end: this.start[i] + number("seconds"),
            seconds: number("seconds"),
            ttft: known("ttft"),
            tpot: known("tpot"),
            clientDelay: known("clientDelay"),
            scheduleDelay: number("scheduleDelay"),
            connectSeconds: number("connectSeconds"),
            promptTokens: number("promptTokens"),
            outputTokens: number("outputTokens"),
            question: this.questions.get(i),
            failure: this.failures[this.failure[i]],
        };
    }

    *[Symbol.iterator](): Generator<Outcome> {
        for (let i = 0; i < this.length; i++) yield this.at(i);
    }

    private failureIndex(failure: Failure | undefined): number {
        if (!failure) return 0;
        const found = this.failures.findIndex((one) => one?.kind === failure.kind);
        return found >= 0 ? found : this.failures.push(failure) - 1;
    }

    private grow(): void {
        this.capacity *= 2;
        const larger = <T extends Float64Array | Float32Array | Uint32Array | Uint16Array>(column: T): T => {
            const grown = new (column.constructor as new (length: number) => T)(this.capacity);
            grown.set(column);
            return grown;
        };
        this.start = larger(this.start);
        this.worker = larger(this.worker);
        this.phase = larger(this.phase);
        this.lengthClass = larger(this.lengthClass);
        this.failure = larger(this.failure);
        for (const name of numbers) this.columns[name] = larger(this.columns[name]);
    }
}

function placeOf(list: string[], text: string): number {
    const found = list.indexOf(text);
    return found >= 0 ? found : list.push(text) - 1;
}

/** All that a run measures of its requests. Shards of a run are added up without loss. */
export class Results {
    readonly outcomes = new OutcomeLog();
    errors = 0;
    /** Requests that were under way when the run was ended early. */
    cancelled = 0;
    /** How long ago the first of them had been sent, seconds. */
    longestCancelled = 0;
    /** When the load began to end: a worker, or the schedule, had nothing left to do. */
    steadyUntil?: number;
    /** Gaps between tokens by phase and length class. */
    private readonly gaps = new Map<string, { phase: number; lengthClass: string; histogram: Histogram }>();

    add(outcome: Outcome): void {
        this.outcomes.push(outcome);
        if (outcome.failure) this.errors++;
    }

    /** Gaps between the tokens of one answer. */
    addGaps(phase: number, lengthClass: string, gaps: number[]): void {
        const histogram = this.gapsOf(phase, lengthClass);
        for (const gap of gaps) histogram.push(gap);
    }

    addGapContent(phase: number, lengthClass: string, content: HistogramContent): void {
        this.gapsOf(phase, lengthClass).add(content);
    }

    /** Gaps between tokens of the answers that the condition holds for. */
    gapsWhere(holds: (phase: number, lengthClass: string) => boolean): Histogram {
        const sum = new Histogram();
        for (const { phase, lengthClass, histogram } of this.gaps.values()) {
            if (holds(phase, lengthClass)) sum.add(histogram.content);
        }
        return sum;
    }

    gapContents(): { phase: number; lengthClass: string; content: HistogramContent }[] {
        return [...this.gaps.values()].map(({ histogram, ...key }) => ({ ...key, content: histogram.content }));
    }

    private gapsOf(phase: number, lengthClass: string): Histogram {
        const key = `${phase} ${lengthClass}`;
        let entry = this.gaps.get(key);
        if (!entry) this.gaps.set(key, (entry = { phase, lengthClass, histogram: new Histogram() }));
        return entry.histogram;
    }
}
