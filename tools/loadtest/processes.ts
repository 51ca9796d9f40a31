import { fork, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import type { LoadConfig } from "./config";
import { Connector, type Endpoint } from "./connection";
import { Load, type LoadEvents, type Share, type UnderWay } from "./load";
import type { Outcome } from "./outcome";
import { SelfObserver, type ProcessReport } from "./self-report";
import type { HistogramContent } from "./statistics";
import type { TraceRequest } from "./trace";

/** What one process does of a run. */
export interface Task {
    config: LoadConfig;
    model: string;
    endpoint: Endpoint;
    share: Share;
    trace?: TraceRequest[];
}

/** Gets what a process measures, some time after it was measured. */
export interface TaskEvents extends LoadEvents {
    /** Gaps between tokens, where they do not come with their outcomes. */
    gaps(phase: number, lengthClass: string, content: HistogramContent): void;
}

export interface TaskEnd {
    /** Why it ended early. */
    stopped?: string;
    /** When it first had nothing left to do, seconds from the start. */
    steadyUntil: number;
    /** When its last request had ended, seconds from the start. */
    seconds: number;
    /** Seconds that each of its connections took to open. */
    openings: number[];
    processes: ProcessReport[];
    /** Busy share of all cores of its machine; undefined: it is this machine. */
    machineCpu?: number;
}

/** A task at work, in one process or in many. */
export interface TaskRunner {
    /** Requests under way. */
    readonly running: number;
    /** Resolves when it is ready to begin; with a moment, in this process' milliseconds, when it begins by itself. */
    prepare(): Promise<number | undefined>;
    /**
     * Begins the run at a moment of `process.hrtime`, which all processes of a machine share, unless it begins by itself.
     * Resolves when all is done.
     */
    run(beganAt: bigint): Promise<TaskEnd>;
    stop(reason: string): void;
}

/** This process itself. */
export class HereRunner implements TaskRunner {
    private readonly connector: Connector;
    private readonly load: Load;

    /** Throws UsageError when a file that the config names cannot be used. */
    constructor({ config, model, endpoint, share, trace }: Task, events: LoadEvents) {
        this.connector = new Connector(endpoint);
        this.load = new Load(config, model, this.connector, events, trace, share);
    }

    get running(): number {
        return this.load.running;
    }

    get underWay(): UnderWay[] {
        return [...this.load.underWay];
    }

    async prepare(): Promise<undefined> {
        await this.load.prepare();
    }

    async run(beganAt: bigint): Promise<TaskEnd> {
        const observer = new SelfObserver();
        const { load, connector } = this;
        await load.run(performance.now() + Number(beganAt - process.hrtime.bigint()) / 1e6);
        return {
            stopped: load.stopped,
            steadyUntil: load.steadyUntil ?? load.now(),
            seconds: load.now(),
            openings: [...connector.openingSeconds.values()],
            processes: [observer.end(connector.mostOpen)],
        };
    }

    stop(reason: string): void {
        this.load.stop(reason);
    }
}

export type ToChild =
    { kind: "task"; task: Task } | { kind: "run"; beganAt: bigint } | { kind: "stop"; reason: string };
/** What a process measures, in its order; the end comes last. */
export type FromShard =
    /** `cancelled`: for how many seconds each had been under way. */
    | { kind: "outcomes"; outcomes: Outcome[]; cancelled: number[]; running: number }
    | {
          kind: "end";
          end: TaskEnd;
          gaps: { phase: number; lengthClass: string; content: HistogramContent }[];
      };
export type FromChild = FromShard | { kind: "ready" } | { kind: "fault"; message: string };

/** Hands on what was measured elsewhere. */
export function handOn(message: FromShard, events: TaskEvents): void {
    if (message.kind === "end") {
        for (const { phase, lengthClass, content } of message.gaps) events.gaps(phase, lengthClass, content);
        return;
    }
    for (const outcome of message.outcomes) events.outcome(outcome, []);
    for (const seconds of message.cancelled) events.cancelled(seconds);
}

/** A process of its own. The task, with the token in it, goes there through a pipe, and stands in no argument. */
export class ChildRunner implements TaskRunner {
    running = 0;
    private readonly child: ChildProcess;
    private readonly ready: Promise<void>;
    private readonly ended: Promise<TaskEnd>;

    constructor(task: Task, events: TaskEvents) {
        this.child = fork(join(__dirname, "child.ts"), {
            execArgv: ["--import", "tsx"],
            serialization: "advanced",
            // Ctrl-C at the terminal is for the parent, which tells its children; see child.ts.
            stdio: ["ignore", "ignore", "inherit", "ipc"],
        });
        const { promise: ready, resolve: isReady, reject: notReady } = deferred<void>();
        const { promise: ended, resolve: hasEnded, reject: notEnded } = deferred<TaskEnd>();
        this.ready = ready;
        this.ended = ended;
        ended.catch(() => undefined); // heard by `run`, which may come later
        const failed = (error: Error): void => {
            notReady(error);
            notEnded(error);
        };
        let end: TaskEnd | undefined;
        this.child.on("message", (message: FromChild) => {
            if (message.kind === "ready") return isReady();
            if (message.kind === "fault") return failed(new Error(message.message));
            handOn(message, events);
            if (message.kind === "outcomes") this.running = message.running;
            else {
                end = message.end;
                this.child.disconnect();
            }
        });
        this.child.on("error", failed);
        this.child.on("exit", (code, signal) => {
            if (end) hasEnded(end);
            else failed(new Error(`a process of the load test ended with ${signal ?? code}`));
        });
        this.tell({ kind: "task", task });
    }

    async prepare(): Promise<undefined> {
        await this.ready;
    }

    run(beganAt: bigint): Promise<TaskEnd> {
        this.tell({ kind: "run", beganAt });
        return this.ended;
    }

    stop(reason: string): void {
        if (this.child.connected) this.tell({ kind: "stop", reason });
    }

    private tell(message: ToChild): void {
        this.child.send(message);
    }
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
    let settle: { resolve: (value: T) => void; reject: (error: Error) => void };
    const promise = new Promise<T>((resolve, reject) => (settle = { resolve, reject }));
    return { promise, ...settle! };
}
