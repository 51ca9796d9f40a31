import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { ask, Cancelled, connectionFailure, type Answer, type ChatRequest, type Failure, type Message } from "./client";
import type { LoadConfig } from "./config";
import { codedError, type Connection, type Connector } from "./connection";
import { LoadConnections, mostStreams } from "./load-connections";
import type { Outcome } from "./outcome";
import { RequestSource, type Question } from "./requests";
import {
    arrivalTimes,
    isOpenLoop,
    phaseAt,
    planPhases,
    requestsPerWorker,
    workerShifts,
    type Phase,
    type Shift,
} from "./schedule";
import type { TraceRequest } from "./trace";

/** Which part of a run this process does: every `of`th worker or arrival, from `index` on. */
export interface Share {
    index: number;
    of: number;
}

/** Gets what a run measures. */
export interface LoadEvents {
    /** A request has come to an end; `gaps` are those between its tokens. */
    outcome(outcome: Outcome, gaps: number[]): void;
    /** A request was under way when the run was ended early, and had been for so many seconds. */
    cancelled(seconds: number): void;
}

/** A request that was sent and has not ended. Seconds, the start from that of the run. */
export interface UnderWay {
    start: number;
    /** Undefined: no token has come yet. */
    ttft?: number;
}

/** A worker waits this long after a failure: an app that refuses at once is not to be hammered. */
const pauseAfterFailure = 1;
/** So many refusals in a row that cannot pass by themselves end the run. */
const mostRefusals = 20;
const lastingRefusals = new Set([401, 403, 404]);
/** Connections are opened so many seconds before they are needed. */
const connectAhead = 1;
/** The load of one process. Its fields can be read while it goes on. */
export class Load {
    readonly phases: Phase[];
    /** Requests under way, those too whose connection is being opened. */
    running = 0;
    readonly underWay = new Set<UnderWay>();
    /** When a worker, or the schedule, first had nothing left to do, seconds from the start. */
    steadyUntil?: number;
    /** Why the run ended early; undefined when it did not. */
    stopped?: string;
    private beganAt = Infinity;
    private refusedInARow = 0;
    private readonly end = new AbortController();
    private readonly source: RequestSource;
    private readonly connections: LoadConnections;
    private readonly ready: { shift: Shift; connection: Connection }[] = [];

    /** Reads what the config names. Throws UsageError. */
    constructor(
        private readonly config: LoadConfig,
        private readonly model: string,
        private readonly connector: Connector,
        private readonly events: LoadEvents,
        private readonly trace?: TraceRequest[],
        private readonly share: Share = { index: 0, of: 1 },
    ) {
        setMaxListeners(0, this.end.signal); // each worker listens
        this.phases = trace ? tracePhases(trace, config.traceSpeed) : planPhases(config);
        this.connections = new LoadConnections(connector, config.connectionAge);
        this.source = new RequestSource(config, trace);
    }

    /** Seconds since the start of the run. */
    now(): number {
        return this.secondsAt(performance.now());
    }

    /** Ends the run: requests under way are cancelled, no new ones are sent. */
    stop(reason: string): void {
        if (this.end.signal.aborted) return;
        this.stopped = reason;
        this.end.abort(new Cancelled(reason));
        this.connections.close(new Cancelled(reason));
    }

    /**
     * Opens the connections that the first second needs, so that their opening does not stand between a burst and its
     * measurement. What cannot be opened is tried again when it is needed, and counted then.
     */
    async prepare(): Promise<void> {
        const { config, phases, share, connections, trace } = this;
        if (isOpenLoop(config)) {
            const rate = Math.max(config.burst, Math.ceil(phases[0].level));
            const most = Math.min(500, trace?.length ?? Infinity);
            return connections.open(connections.makeIdle(Math.min(most, rate / share.of + 1)));
        }
        for (const shift of workerShifts(phases)) {
            if (shift.worker % share.of === share.index) this.ready.push({ shift, connection: connections.make() });
        }
        const first = this.ready.filter(({ shift }) => shift.from <= connectAhead);
        await connections.open(first.map(({ connection }) => connection));
    }

    /** Resolves when every request has ended, or soon after `stop`. `beganAt`: the start, in this process' milliseconds. */
    async run(beganAt = performance.now()): Promise<void> {
        this.beganAt = beganAt;
        // Not by `until`, whose clock stands at 0 before the start.
        const ahead = Math.max(0, beganAt - performance.now());
        await sleep(ahead, undefined, { signal: this.end.signal }).catch(() => undefined);
        if (isOpenLoop(this.config)) await this.followSchedule();
        else await Promise.all(this.ready.map((place) => this.work(place.shift, place.connection)));
        this.connections.close();
    }

    private secondsAt(milliseconds: number): number {
        return Math.max(0, (milliseconds - this.beganAt) / 1000);
    }

    private async work({ worker, from, to }: Shift, connection: Connection): Promise<void> {
        let left = requestsPerWorker(this.config);
        let due = from;
        try {
            if (from > connectAhead) {
                await this.until(from - connectAhead);
                await connection.open().catch(() => undefined);
            }
            for (let index = 0; left > 0 && due < to; index++) {
                // A request that would be sent after the end of the step is not.
                await this.until(due);
                const asked = await this.converse(connection, worker, index, due, { requests: left, until: to });
                left -= asked.requests;
                due = asked.due;
            }
            // A worker that only a step before had needed ends nothing.
            if (left <= 0 || to === this.phases.at(-1)!.to) this.steadyUntil ??= Math.min(this.now(), to);
        } catch (error) {
            if (!(error instanceof Cancelled)) throw error;
        } finally {
            this.connections.drop(connection);
        }
    }

    /** Sends what is due when it is due, whatever became of the requests before. */
    private async followSchedule(): Promise<void> {
        const under = new Set<Promise<void>>();
        const times = this.trace
            ? this.trace.map(({ t }) => t / this.config.traceSpeed)
            : arrivalTimes(this.config, this.phases);
        let index = -1;
        try {
            for (const due of times) {
                if (++index % this.share.of !== this.share.index) continue;
                if (due > this.now()) await this.until(due);
                this.end.signal.throwIfAborted();
                const answered = this.arrive(index, due);
                under.add(answered);
                void answered.finally(() => under.delete(answered));
            }
            await this.until(this.phases.at(-1)!.to);
            this.steadyUntil = this.now();
        } catch (error) {
            if (!(error instanceof Cancelled)) throw error;
        }
        await Promise.all(under);
    }

    private async arrive(index: number, due: number): Promise<void> {
        if (this.running >= mostStreams) return this.dropped(index, due);
        const connection = this.connections.takeIdle();
        this.connections.keepReserve(this.running);
        try {
            await this.converse(connection, index, index, due, { requests: Infinity, until: Infinity });
            this.connections.putIdle(connection);
        } catch (error) {
            if (!(error instanceof Cancelled)) throw error;
        }
    }

    private dropped(index: number, due: number): void {
        const start = this.now();
        const kind = "not sent: too many under way";
        this.finish(
            {
                worker: index,
                phase: phaseAt(this.phases, due),
                lengthClass: "not sent",
                start,
                end: start,
                seconds: 0,
                scheduleDelay: start - due,
                connectSeconds: 0,
                promptTokens: 0,
                outputTokens: 0,
                failure: { kind, detail: `${mostStreams} requests were under way` },
            },
            [],
        );
    }

    private async until(due: number): Promise<void> {
        const { signal } = this.end;
        const wait = due - this.now();
        if (wait > 0) {
            // The signal's reason is what ends the wait, not Node's error that there was one.
            await sleep(wait * 1000, undefined, { signal }).catch(() => undefined);
        }
        signal.throwIfAborted();
    }

    /** One conversation, question by question. Returns how many requests it took, and when the next one is due. */
    private async converse(
        connection: Connection,
        worker: number,
        index: number,
        due: number,
        limit: { requests: number; until: number },
    ): Promise<{ requests: number; due: number }> {
        const questions = this.source.conversation(isOpenLoop(this.config) ? 0 : worker, index);
        let messages: Message[] = [];
        let requests = 0;
        for (const question of questions) {
            if (requests >= limit.requests || due >= limit.until) break;
            messages = [...messages, ...question.messages];
            const keepText = questions.length > 1;
            const outcome = await this.request(connection, worker, question, messages, due, keepText);
            requests++;
            due = outcome.end;
            if (outcome.failure) {
                due += pauseAfterFailure;
                break; // what would follow has no answer to follow
            }
            messages.push({ role: "assistant", content: outcome.text ?? "" });
        }
        return { requests, due };
    }

    private async request(
        connection: Connection,
        worker: number,
        question: Question,
        messages: Message[],
        due: number,
        keepText: boolean,
    ): Promise<Outcome & { text?: string }> {
        const { temperature, ignoreEos, timeout, withPrompts } = this.config;
        const { maxTokens, lengthClass } = question;
        this.running++;
        const sent: UnderWay = { start: this.now() };
        try {
            const waiting = connection.ready ? undefined : this.now();
            const refused = waiting === undefined ? undefined : await this.open(connection);
            const connectSeconds = waiting === undefined ? 0 : this.now() - waiting;
            let start = this.now();
            const request: ChatRequest = { model: this.model, messages, maxTokens, temperature, ignoreEos };
            const answer = refused
                ? unanswered(connectSeconds, refused)
                : await new Promise<Answer>((resolve, reject) => {
                      this.connector.clock.send(() => {
                          start = this.now();
                          // It may have gone since it was found open.
                          if (this.end.signal.aborted) return reject(this.end.signal.reason as Error);
                          if (!connection.connected) return resolve(unanswered(0, lostConnection));
                          sent.start = start;
                          this.underWay.add(sent);
                          const onFirstToken = (seconds: number): number => (sent.ttft = seconds);
                          const options = { timeoutSeconds: timeout, keepText, onFirstToken };
                          ask(this.connector, connection, request, options).then(resolve, reject);
                      });
                  });
            const { gaps, text, ...measured } = answer;
            if (refused) start = waiting!;
            const outcome: Outcome = {
                ...measured,
                worker,
                phase: phaseAt(this.phases, start),
                lengthClass,
                start,
                end: start + answer.seconds,
                scheduleDelay: Math.max(0, start - due - (refused ? 0 : connectSeconds)),
                connectSeconds,
                question: withPrompts ? JSON.stringify(messages) : undefined,
            };
            this.finish(outcome, gaps);
            return { ...outcome, text };
        } catch (error) {
            if (error instanceof Cancelled) this.events.cancelled(this.now() - sent.start);
            throw error;
        } finally {
            this.running--;
            this.underWay.delete(sent);
        }
    }

    /** Why no connection could be opened; undefined when one is open. */
    private async open(connection: Connection): Promise<Failure | undefined> {
        try {
            await connection.open();
            this.end.signal.throwIfAborted();
            return undefined;
        } catch (error) {
            if (error instanceof Cancelled) throw error;
            const { code, message } = error as { code?: string; message: string };
            if (code === undefined) throw error;
            return { kind: `no connection (${code})`, detail: this.connector.shown(message) };
        }
    }

    private finish(outcome: Outcome, gaps: number[]): void {
        this.events.outcome(outcome, gaps);
        const { failure } = outcome;
        const lasting = failure?.status !== undefined && lastingRefusals.has(failure.status);
        this.refusedInARow = lasting ? this.refusedInARow + 1 : 0;
        if (lasting && this.refusedInARow >= mostRefusals) {
            this.stop(`${mostRefusals} requests in a row were refused (${failure.kind}: ${failure.detail})`);
        }
    }
}

const lostConnection = connectionFailure(codedError("ECONNRESET", "the server closed the connection"));

function unanswered(seconds: number, failure: Failure): Answer {
    return { seconds, gaps: [], promptTokens: 0, outputTokens: 0, failure };
}

/** A trace is one part: its rate is its own. The level is its mean rate. */
export function tracePhases(trace: TraceRequest[], speed: number): Phase[] {
    const to = Math.max(trace.at(-1)!.t / speed, 0.001);
    return [{ name: "trace", kind: "steady", from: 0, to, level: trace.length / to }];
}
