import type { LoadConfig } from "./config";
import type { Endpoint } from "./connection";
import { tracePhases, type UnderWay } from "./load";
import { mostStreams } from "./load-connections";
import { Results } from "./outcome";
import { ChildRunner, HereRunner, type Task, type TaskEvents, type TaskRunner } from "./processes";
import { RequestSource } from "./requests";
import { isOpenLoop, planPhases, requestsPerWorker, type Phase } from "./schedule";
import { MachineObserver, processesFor, selfReport, type ProcessReport, type SelfReport } from "./self-report";
import { Samples } from "./statistics";
import { readTrace, type TraceRequest } from "./trace";

/** Processes begin together so long after the last one is ready, milliseconds. */
const startAheadMs = 50;

/** Has processes of other machines do a task, all shares of it. */
export type Elsewhere = (task: Omit<Task, "share">, events: TaskEvents) => TaskRunner;

/**
 * One run: the load of a config against a model, by this process or by several. Everything can be read while it goes on.
 *
 *     const run = new LoadRun(loadConfig({ workers: 50, duration: 60 }), "model-id", { baseUrl, token });
 *     await run.run();
 *     const ttft = summarize([...run.results.outcomes].flatMap(({ ttft }) => ttft ?? []));
 *     const self = run.self; // and clientLimits(self, ...): is it the model that was measured?
 */
export class LoadRun {
    readonly results = new Results();
    /** The parts of the run; of a sweep those that have begun. */
    readonly phases: Phase[] = [];
    /** Why the run ended early; undefined when it did not. */
    stopped?: string;
    /** Seconds that each opened connection took. */
    readonly connections = new Samples();
    private readonly trace?: TraceRequest[];
    private readonly processes: ProcessReport[] = [];
    private readonly machine = new MachineObserver();
    private machineCpu = 0;
    private runners: TaskRunner[] = [];
    private beganAt = 0;
    private lastEnd = 0;
    private endedAt?: number;

    /** Throws UsageError when a file that the config names cannot be used. */
    constructor(
        readonly config: LoadConfig,
        readonly model: string,
        readonly endpoint: Endpoint,
        private readonly elsewhere?: Elsewhere,
    ) {
        if (config.trace !== undefined) this.trace = readTrace(config.trace);
        new RequestSource(config, this.trace); // what cannot be read is said before any load
    }

    /** Seconds since the start of the run; once it has ended, until its end. */
    now(): number {
        return this.beganAt === 0 ? 0 : ((this.endedAt ?? performance.now()) - this.beganAt) / 1000;
    }

    /** Requests that the config asks for; undefined where time is the limit. */
    get planned(): number | undefined {
        if (this.trace) return this.trace.length;
        const { workers } = this.config;
        const each = requestsPerWorker(this.config);
        // With several steps their time may be over before a worker has sent all of its own.
        return isOpenLoop(this.config) || each === Infinity || workers.length > 1 ? undefined : workers[0] * each;
    }

    /** Requests under way. */
    get running(): number {
        return this.runners.reduce((sum, { running }) => sum + running, 0);
    }

    /** The requests under way that this process sends itself. */
    get underWay(): UnderWay[] {
        return this.runners.flatMap((runner) => (runner instanceof HereRunner ? runner.underWay : []));
    }

    /** How the client itself did; once the run has ended. */
    get self(): SelfReport {
        return selfReport(this.processes, this.machineCpu, this.results.outcomes);
    }

    /** Ends the run: requests under way are cancelled, no new ones are sent. */
    stop(reason: string): void {
        if (this.endedAt !== undefined || this.stopped !== undefined) return;
        this.stopped = reason;
        for (const runner of this.runners) runner.stop(reason);
    }

    /** Resolves when every request has ended, or soon after `stop`. Can be called once. */
    async run(): Promise<void> {
        const { config } = this;
        // A sweep is one run after the other, so that no request of one step is under way in the next.
        const steps = !config.sweep
            ? [config]
            : (config.rate ?? config.workers).map((level) =>
                  config.rate
                      ? { ...config, rate: [level] }
                      : { ...config, workers: [level], duration: config.duration ?? 60 },
              );
        for (const step of steps) {
            if (this.stopped === undefined) await this.runStep(step);
        }
        this.endedAt = this.lastEnd;
        this.machineCpu ||= this.machine.busy();
    }

    private async runStep(config: LoadConfig): Promise<void> {
        const { model, endpoint, trace } = this;
        const phases = trace ? tracePhases(trace, config.traceSpeed) : planPhases(config);
        this.runners = this.makeRunners({ config, model, endpoint, trace }, phases);
        const [ownMoment] = await Promise.all(this.runners.map((runner) => runner.prepare()));
        const aheadMs = this.runners.length === 1 ? 0 : startAheadMs;
        const beganAt = ownMoment ?? performance.now() + aheadMs;
        if (this.beganAt === 0) this.beganAt = beganAt;
        this.offset = (beganAt - this.beganAt) / 1000;
        const { offset } = this;
        this.phases.push(...phases.map((phase) => ({ ...phase, from: phase.from + offset, to: phase.to + offset })));
        const moment = process.hrtime.bigint() + BigInt(aheadMs * 1_000_000);
        const runs = this.runners.map(async (runner) => {
            const end = await runner.run(moment);
            // One that gives up, gives up for all.
            if (end.stopped !== undefined) this.stop(end.stopped);
            return end;
        });
        if (this.stopped !== undefined) for (const runner of this.runners) runner.stop(this.stopped);
        const ends = await Promise.all(runs);
        this.processes.push(...ends.flatMap(({ processes }) => processes));
        this.machineCpu = Math.max(this.machineCpu, ...ends.map(({ machineCpu = 0 }) => machineCpu));
        for (const { openings } of ends) for (const seconds of openings) this.connections.push(seconds);
        this.results.steadyUntil = offset + Math.min(...ends.map(({ steadyUntil }) => steadyUntil));
        this.lastEnd = beganAt + 1000 * Math.max(...ends.map(({ seconds }) => seconds));
    }

    private makeRunners(task: Omit<Task, "share">, phases: Phase[]): TaskRunner[] {
        const events = this.events(this.phases.length);
        if (this.elsewhere) return [this.elsewhere(task, events)];
        const of = task.config.processes ?? processesFor(streamsOf(task, phases));
        if (of === 1) return [new HereRunner({ ...task, share: { index: 0, of } }, events)];
        return Array.from({ length: of }, (_, index) => new ChildRunner({ ...task, share: { index, of } }, events));
    }

    private offset = 0;

    private events(firstPhase: number): TaskEvents {
        const { results } = this;
        return {
            outcome: (outcome, gaps) => {
                const phase = firstPhase + outcome.phase;
                results.add({
                    ...outcome,
                    phase,
                    start: outcome.start + this.offset,
                    end: outcome.end + this.offset,
                });
                results.addGaps(phase, outcome.lengthClass, gaps);
            },
            cancelled: (seconds) => {
                results.cancelled++;
                results.longestCancelled = Math.max(results.longestCancelled, seconds);
            },
            gaps: (phase, lengthClass, content) => results.addGapContent(firstPhase + phase, lengthClass, content),
        };
    }
}

/** Streams at once that a load may well have: its workers, or what ten seconds of its rate bring. */
function streamsOf({ config, trace }: Pick<Task, "config" | "trace">, phases: Phase[]): number {
    const most = Math.max(...phases.map(({ level }) => level));
    if (!isOpenLoop(config)) return most;
    return Math.min(mostStreams, trace?.length ?? Infinity, Math.max(config.burst, 10 * most));
}
