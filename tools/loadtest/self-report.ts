import { cpus } from "node:os";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { quantile } from "./statistics";

/** How hard the load tool itself worked: a client that cannot keep up measures itself. Shares are from 0 to 1. */
export interface SelfReport {
    /** CPU time of this process over wall time; above 1 with several threads. */
    cpu: number;
    /** Busy share of all cores of this machine, other processes included. */
    machineCpu: number;
    /** Share of time in which the event loop was not waiting. */
    eventLoopBusy: number;
    /** Share of seconds in which it was busy for more than 90 %. */
    saturatedSeconds: number;
    /** How late the event loop came back to a timer, milliseconds. */
    eventLoopDelayMs: { p50: number; p99: number; max: number };
    /** How much later than planned requests were sent, milliseconds. */
    scheduleDelayMs: { p50: number; p99: number; max: number };
}

const resolutionMs = 10;

/** Watches this process from its making until `end`. */
export class SelfObserver {
    private readonly delay = monitorEventLoopDelay({ resolution: resolutionMs });
    private readonly began = performance.now();
    private readonly cpuBefore = process.cpuUsage();
    private readonly machineBefore = machineTimes();
    private readonly loopBefore = performance.eventLoopUtilization();
    private last = this.loopBefore;
    private readonly busy: number[] = [];
    private readonly timer = setInterval(() => this.look(), 1000);

    constructor() {
        this.delay.enable();
        this.timer.unref();
    }

    private look(): void {
        const now = performance.eventLoopUtilization();
        this.busy.push(performance.eventLoopUtilization(now, this.last).utilization);
        this.last = now;
    }

    /** `scheduleDelays` in seconds. */
    end(scheduleDelays: number[]): SelfReport {
        clearInterval(this.timer);
        this.look();
        this.delay.disable();
        const cpu = process.cpuUsage(this.cpuBefore);
        const machine = machineTimes();
        const total = machine.total - this.machineBefore.total;
        // The histogram holds the time between two ticks: what is over the resolution is delay.
        const late = (ns: number): number => Math.max(0, ns / 1e6 - resolutionMs);
        const delays = Float64Array.from(scheduleDelays, (seconds) => seconds * 1000).sort();
        const delayAt = (q: number): number => (delays.length > 0 ? quantile(delays, q) : 0);
        return {
            cpu: (cpu.user + cpu.system) / 1000 / (performance.now() - this.began),
            machineCpu: total > 0 ? 1 - (machine.idle - this.machineBefore.idle) / total : 0,
            eventLoopBusy: performance.eventLoopUtilization(this.loopBefore).utilization,
            saturatedSeconds: this.busy.filter((share) => share > 0.9).length / this.busy.length,
            eventLoopDelayMs: {
                p50: late(this.delay.percentile(50)),
                p99: late(this.delay.percentile(99)),
                max: late(this.delay.max),
            },
            scheduleDelayMs: { p50: delayAt(0.5), p99: delayAt(0.99), max: delayAt(1) },
        };
    }
}

/** Why the figures may be those of the client or its machine instead of the model's; empty when nothing speaks for it. */
export function clientLimits(self: SelfReport, sameMachine: boolean): string[] {
    const percent = (share: number): string => `${Math.round(share * 100)} %`;
    const reasons: string[] = [];
    if (self.saturatedSeconds > 0.1) {
        reasons.push(`its event loop was saturated in ${percent(self.saturatedSeconds)} of all seconds`);
    }
    if (self.eventLoopDelayMs.p99 > 100) {
        reasons.push(`its event loop was late by ${Math.round(self.eventLoopDelayMs.p99)} ms at p99`);
    }
    // The bound that kubernetes-sigs/inference-perf gives for a trustworthy run.
    if (self.scheduleDelayMs.p50 > 10) {
        reasons.push(`it sent requests ${Math.round(self.scheduleDelayMs.p50)} ms too late at p50`);
    }
    if (self.machineCpu > 0.95) {
        reasons.push(
            `the CPUs of its machine were ${percent(self.machineCpu)} busy` +
                (sameMachine ? ", with the server on the same machine" : ""),
        );
    }
    return reasons;
}

function machineTimes(): { idle: number; total: number } {
    const sums = { idle: 0, total: 0 };
    for (const { times } of cpus()) {
        sums.idle += times.idle;
        sums.total += times.user + times.nice + times.sys + times.idle + times.irq;
    }
    return sums;
}
