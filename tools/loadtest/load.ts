import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, Connector, type Answer, type Failure } from "./client";
import { rampedStarts } from "./schedule";
import { Samples } from "./statistics";
import { drawPrompt, temperature, type Length } from "./workload";

export interface LoadSettings {
    workers: number;
    /** Requests of each worker, one after the other. */
    requests: number;
    /** Over which the workers start. */
    rampSeconds: number;
    maxTokens: number;
    seed: number;
    /** For one request, from its sending to its last token. */
    timeoutSeconds: number;
    /** See `Connection`. 0: a new one for each request. */
    connectionAgeSeconds: number;
}

/** One request that came to an end. */
export interface Outcome extends Answer {
    worker: number;
    prompt: Length;
    /** When it was sent, seconds from the start of the run. */
    start: number;
    end: number;
    /** How much later than planned it was sent, seconds. */
    scheduleDelay: number;
}

/** A worker waits this long after a failure: an app that refuses at once is not to be hammered. */
const pauseAfterFailureMs = 1000;
/** So many refusals in a row that cannot pass by themselves end the run. */
const mostRefusals = 20;
const lastingRefusals = new Set([401, 403, 404]);

/** One run. Its fields can be read while it goes on. */
export class Load {
    readonly outcomes: Outcome[] = [];
    /** Seconds between two pieces of an answer, over all answers. */
    readonly gaps = new Samples();
    /** Requests under way. */
    running = 0;
    /** How many of the outcomes are failures. */
    errors = 0;
    /** Requests that were under way when the run was ended early. */
    cancelled = 0;
    /** When a worker first had nothing left to do, seconds from the start. */
    firstWorkerDone?: number;
    /** Why the run ended early; undefined when it did not. */
    stopped?: string;
    private began = 0;
    private refusedInARow = 0;
    private readonly end = new AbortController();

    constructor(
        readonly settings: LoadSettings,
        private readonly model: string,
        private readonly connector: Connector,
    ) {
        setMaxListeners(0, this.end.signal); // each worker listens
    }

    get planned(): number {
        return this.settings.workers * this.settings.requests;
    }

    /** Seconds since the start of the run. */
    now(): number {
        return this.began === 0 ? 0 : (performance.now() - this.began) / 1000;
    }

    /** Ends the run: requests under way are cancelled, no new ones are sent. */
    stop(reason: string): void {
        if (this.end.signal.aborted) return;
        this.stopped = reason;
        this.end.abort(new Error(reason));
    }

    /** Resolves when every request has ended, or soon after `stop`. */
    async run(): Promise<void> {
        this.began = performance.now();
        const starts = rampedStarts(this.settings.workers, this.settings.rampSeconds);
        await Promise.all(starts.map((start, worker) => this.work(worker, start)));
    }

    private async work(worker: number, start: number): Promise<void> {
        const { signal } = this.end;
        const connection = new Connection(this.connector, this.settings.connectionAgeSeconds);
        let due = start;
        try {
            for (let request = 0; request < this.settings.requests; request++) {
                await this.until(due);
                const failure = await this.ask(connection, worker, request, due);
                due = this.now();
                if (failure) due += pauseAfterFailureMs / 1000;
            }
            this.firstWorkerDone ??= this.now();
        } catch (error) {
            if (!signal.aborted) throw error;
        } finally {
            connection.close();
        }
    }

    private async until(due: number): Promise<void> {
        const { signal } = this.end;
        signal.throwIfAborted();
        const wait = due - this.now();
        if (wait > 0) await sleep(wait * 1000, undefined, { signal });
    }

    private async ask(
        connection: Connection,
        worker: number,
        request: number,
        due: number,
    ): Promise<Failure | undefined> {
        const { maxTokens, seed, timeoutSeconds } = this.settings;
        const prompt = drawPrompt(seed, worker, request);
        const start = this.now();
        this.running++;
        try {
            const answer = await connection.ask(
                { model: this.model, prompt: prompt.text, maxTokens, temperature },
                timeoutSeconds,
                this.end.signal,
                (seconds) => this.gaps.push(seconds),
            );
            const scheduleDelay = Math.max(0, start - due);
            this.outcomes.push({ ...answer, worker, prompt: prompt.length, start, end: this.now(), scheduleDelay });
            this.heed(answer.failure);
            return answer.failure;
        } catch (error) {
            this.cancelled++;
            throw error;
        } finally {
            this.running--;
        }
    }

    private heed(failure: Failure | undefined): void {
        if (failure) this.errors++;
        const lasting = failure?.status !== undefined && lastingRefusals.has(failure.status);
        this.refusedInARow = lasting ? this.refusedInARow + 1 : 0;
        if (lasting && this.refusedInARow >= mostRefusals) {
            this.stop(`${mostRefusals} requests in a row were refused (${failure.kind}: ${failure.detail})`);
        }
    }
}
