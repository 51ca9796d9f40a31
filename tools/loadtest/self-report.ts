import { readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import type { OutcomeLog } from "./outcome";
import { quantile } from "./statistics";

/** How hard one process of the load test worked. Shares are from 0 to 1. */
export interface ProcessReport {
    /** CPU time over wall time; above 1 with several threads. */
    cpu: number;
    /** Share of time in which the event loop was not waiting. */
    eventLoopBusy: number;
    /** Share of seconds in which it was busy for more than 90 %. */
    saturatedSeconds: number;
    /** How late the event loop came back to a timer, milliseconds. */
    eventLoopDelayMs: Spread;
    /** Share of time in which it could have run and no core was free (Linux). */
    waitedForCpu?: number;
    memoryMb: number;
    /** Most connections that were open at once. */
    sockets: number;
}

export interface Spread {
    p50: number;
    p99: number;
    max: number;
}

/** How the client itself did: one that cannot keep up measures itself. Of several processes the worst figure. */
export interface SelfReport extends ProcessReport {
    processes: number;
    /** Busy share of all cores of this machine, other processes included. */
    machineCpu: number;
    /** How much later than planned requests were sent, milliseconds, without the opening of connections. */
    scheduleDelayMs: Spread;
    /** Requests for which a connection had to be opened while they were due, and how long that took, milliseconds. */
    waitedForConnection: { requests: number; p50: number; p99: number; max: number };
    /**
     * How much of the time to the first token may be the client's, milliseconds, over all first tokens: so long before it
     * was stamped was each first token possibly there, while the event loop was busy with something else.
     */
    firstTokenDelayMs: Spread;
    /** The same over the time to the first token, at p50 and at p99: how wrong these figures may be. */
    firstTokenError: { p50: number; p99: number };
}

const resolutionMs = 10;

/** Watches this process from its making until `end`. */
export class SelfObserver {
    private readonly delay = monitorEventLoopDelay({ resolution: resolutionMs });
    private readonly began = performance.now();
    private readonly cpuBefore = process.cpuUsage();
    private readonly waitBefore = cpuWaitNs();
    private readonly loopBefore = performance.eventLoopUtilization();
    private last = this.loopBefore;
    private busySeconds = 0;
    private seconds = 0;
    private readonly timer = setInterval(() => this.look(), 1000);

    constructor() {
        this.delay.enable();
        this.timer.unref();
    }

    private look(): void {
        const now = performance.eventLoopUtilization();
        this.seconds++;
        if (performance.eventLoopUtilization(now, this.last).utilization > 0.9) this.busySeconds++;
        this.last = now;
    }

    /** `sockets`: most connections that were open at once. */
    end(sockets: number): ProcessReport {
        clearInterval(this.timer);
        this.look();
        this.delay.disable();
        const cpu = process.cpuUsage(this.cpuBefore);
        const wallMs = performance.now() - this.began;
        const wait = cpuWaitNs();
        // The histogram holds the time between two ticks: what is over the resolution is delay.
        const late = (ns: number): number => Math.max(0, ns / 1e6 - resolutionMs);
        return {
            cpu: (cpu.user + cpu.system) / 1000 / wallMs,
            eventLoopBusy: performance.eventLoopUtilization(this.loopBefore).utilization,
            saturatedSeconds: this.busySeconds / this.seconds,
            eventLoopDelayMs: {
                p50: late(this.delay.percentile(50)),
                p99: late(this.delay.percentile(99)),
                max: late(this.delay.max),
            },
            ...(wait !== undefined && this.waitBefore !== undefined
                ? { waitedForCpu: (wait - this.waitBefore) / 1e6 / wallMs }
                : {}),
            memoryMb: process.resourceUsage().maxRSS / 1024,
            sockets,
        };
    }
}

/** Watches the CPUs of this machine from its making. */
export class MachineObserver {
    private readonly before = machineTimes();

    /** Busy share since then. */
    busy(): number {
        const now = machineTimes();
        const total = now.total - this.before.total;
        return total > 0 ? 1 - (now.idle - this.before.idle) / total : 0;
    }
}

/** The whole client's report of those of its processes. */
export function selfReport(processes: ProcessReport[], machineCpu: number, outcomes: OutcomeLog): SelfReport {
    const worst = (value: (process: ProcessReport) => number): number => Math.max(0, ...processes.map(value));
    const sum = (value: (process: ProcessReport) => number): number =>
        processes.reduce((total, process) => total + value(process), 0);
    const [sent, connected, first, ttft] = [[], [], [], []] as number[][];
    for (const { scheduleDelay, connectSeconds, clientDelay, ttft: seconds } of outcomes) {
        sent.push(scheduleDelay * 1000);
        if (connectSeconds > 0) connected.push(connectSeconds * 1000);
        if (clientDelay !== undefined && seconds !== undefined) {
            first.push(clientDelay * 1000);
            // What it would have been, had the client been as late as it may have been.
            ttft.push(seconds * 1000);
        }
    }
    const firstTokenDelayMs = spread(first);
    const times = spread(ttft);
    const least = spread(ttft.map((ms, i) => ms - first[i]));
    const waited = processes.map(({ waitedForCpu }) => waitedForCpu).filter((share) => share !== undefined);
    return {
        processes: processes.length,
        cpu: sum(({ cpu }) => cpu),
        eventLoopBusy: worst(({ eventLoopBusy }) => eventLoopBusy),
        saturatedSeconds: worst(({ saturatedSeconds }) => saturatedSeconds),
        eventLoopDelayMs: {
            p50: worst(({ eventLoopDelayMs }) => eventLoopDelayMs.p50),
            p99: worst(({ eventLoopDelayMs }) => eventLoopDelayMs.p99),
            max: worst(({ eventLoopDelayMs }) => eventLoopDelayMs.max),
        },
        waitedForCpu: waited.length > 0 ? Math.max(...waited) : undefined,
        memoryMb: sum(({ memoryMb }) => memoryMb),
        sockets: sum(({ sockets }) => sockets),
        machineCpu,
        scheduleDelayMs: spread(sent),
        waitedForConnection: { requests: connected.length, ...spread(connected) },
        firstTokenDelayMs,
        firstTokenError: {
            p50: times.p50 > 0 ? (times.p50 - least.p50) / times.p50 : 0,
            p99: times.p99 > 0 ? (times.p99 - least.p99) / times.p99 : 0,
        },
    };
}

function spread(values: number[]): Spread {
    const sorted = Float64Array.from(values).sort();
    if (sorted.length === 0) return { p50: 0, p99: 0, max: 0 };
    return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: sorted[sorted.length - 1] };
}

/** What is too much for figures to be the model's. */
export const bounds = {
    /** Share of a percentile of the time to the first token that may be the client's, where it is more than `delayMs`. */
    firstTokenError: 0.1,
    /** kubernetes-sigs/inference-perf gives 10 ms for a trustworthy run. */
    delayMs: 10,
    /** Of the latency: a schedule that slips by less does not change the load. */
    scheduleShare: 0.05,
    saturatedSeconds: 0.1,
    waitedForCpu: 0.1,
    machineCpu: 0.95,
    /** Share of the rate asked for that an open loop has to reach. */
    rate: 0.97,
};

export interface Circumstances {
    /** The server shares this machine. */
    sameMachine: boolean;
    /** Latency at p50, milliseconds; 0: none is known. */
    latencyMs: number;
    /** Of an open loop: requests a second that were planned, and that were sent. */
    rate?: { asked: number; achieved: number };
    /** Requests that were due and could not be sent. */
    notSent: number;
}

/** Why the figures are or may be those of the client or its machine; empty when nothing speaks for it. */
export function clientLimits(self: SelfReport, around: Circumstances): string[] {
    const percent = (share: number): string => `${Math.round(share * 100)} %`;
    const ms = (value: number): string => `${Math.round(value)} ms`;
    const reasons: string[] = [];
    for (const at of ["p50", "p99"] as const) {
        if (self.firstTokenError[at] > bounds.firstTokenError && self.firstTokenDelayMs[at] > bounds.delayMs) {
            reasons.push(
                `${percent(self.firstTokenError[at])} of the time to the first token at ${at} may be its own: ` +
                    `first tokens waited up to ${ms(self.firstTokenDelayMs[at])} for it at ${at}`,
            );
        }
    }
    if (self.scheduleDelayMs.p50 > Math.max(bounds.delayMs, bounds.scheduleShare * around.latencyMs)) {
        reasons.push(`it sent requests ${ms(self.scheduleDelayMs.p50)} too late at p50`);
    }
    if (around.rate && around.rate.achieved < bounds.rate * around.rate.asked) {
        const { asked, achieved } = around.rate;
        reasons.push(`it sent ${achieved.toFixed(1)} requests/s where ${asked.toFixed(1)} were asked for`);
    }
    if (around.notSent > 0) reasons.push(`${around.notSent} requests were due and not sent`);
    if (self.saturatedSeconds > bounds.saturatedSeconds) {
        reasons.push(`its event loop was saturated in ${percent(self.saturatedSeconds)} of all seconds`);
    }
    if ((self.waitedForCpu ?? 0) > bounds.waitedForCpu) {
        reasons.push(`it waited for a free core in ${percent(self.waitedForCpu!)} of the time`);
    }
    if (self.machineCpu > bounds.machineCpu) {
        reasons.push(
            `the CPUs of its machine were ${percent(self.machineCpu)} busy` +
                (around.sameMachine ? ", with the server on the same machine" : ""),
        );
    }
    return reasons;
}

/** Nanoseconds in which this process could have run and had no core; undefined where the system does not say. */
function cpuWaitNs(): number | undefined {
    try {
        return Number(readFileSync("/proc/self/schedstat", "utf8").split(" ")[1]);
    } catch {
        return undefined;
    }
}

function machineTimes(): { idle: number; total: number } {
    const sums = { idle: 0, total: 0 };
    for (const { times } of cpus()) {
        sums.idle += times.idle;
        sums.total += times.user + times.nice + times.sys + times.idle + times.irq;
    }
    return sums;
}

/** Processes that a load of so many streams at once is given. */
export function processesFor(streams: number): number {
    return Math.min(availableParallelism(), Math.max(1, Math.ceil(streams / streamsPerProcess)));
}
/** That one process can serve without being late. */
const streamsPerProcess = 1000;
