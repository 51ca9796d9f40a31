import type { LoadConfig } from "./config";
import { exponential, randomOf } from "../random";

/** When requests are sent. No clock here: times are seconds from the start of a run. */

/** A part of the run under one load. */
export interface Phase {
    name: string;
    /** A ramp leads to the level; the steady part is at it. */
    kind: "ramp" | "steady";
    from: number;
    /** Infinity: as long as there are requests left. */
    to: number;
    /** Workers, or requests a second. */
    level: number;
}

const defaultDuration = 60;

export function isOpenLoop(config: LoadConfig): boolean {
    return config.rate !== undefined || config.trace !== undefined;
}

/** Requests of each worker; Infinity: as many as the time allows. */
export function requestsPerWorker({ requests, duration, workers }: LoadConfig): number {
    return requests ?? (duration !== undefined || workers.length > 1 ? Infinity : 25);
}

/** The parts of a run by worker count or rate. Of a trace: see `tracePhases`. */
export function planPhases(config: LoadConfig): Phase[] {
    const open = config.rate !== undefined;
    const levels = config.rate ?? config.workers;
    const endless = !open && levels.length === 1 && config.duration === undefined;
    const seconds = endless ? Infinity : (config.duration ?? defaultDuration);
    const unit = (level: number): string => (open ? `${level} requests/s` : `${level} worker${level === 1 ? "" : "s"}`);
    const phases: Phase[] = [];
    let from = 0;
    for (const level of levels) {
        const steadyFrom = from + config.ramp;
        if (config.ramp > 0) phases.push({ name: `ramp to ${unit(level)}`, kind: "ramp", from, to: steadyFrom, level });
        from = steadyFrom + seconds;
        phases.push({ name: unit(level), kind: "steady", from: steadyFrom, to: from, level });
    }
    return phases;
}

/** Index of the phase at a time; after the last one has ended, the last. */
export function phaseAt(phases: Phase[], t: number): number {
    const found = phases.findIndex(({ to }) => t < to);
    return found < 0 ? phases.length - 1 : found;
}

/** When a worker of a closed loop works. */
export interface Shift {
    worker: number;
    from: number;
    to: number;
}

/**
 * A worker starts when the rising number of workers gets to it, so that all start evenly over a ramp, the first at once;
 * those that are too many for a step end with the step before. After its first request a worker sends the next when the
 * last is answered: a slow model is asked less often.
 */
export function workerShifts(phases: Phase[]): Shift[] {
    const shifts: Shift[] = [];
    const open = new Map<number, Shift>();
    let before = 0;
    for (const [index, { kind, from, to, level }] of phases.entries()) {
        const rampSeconds = kind === "ramp" ? to - from : 0;
        if (kind === "steady" && phases[index - 1]?.kind === "ramp") continue;
        for (let worker = before; worker < level; worker++) {
            const start = from + ((worker - before) * rampSeconds) / (level - before);
            const shift = { worker, from: start, to: phases.at(-1)!.to };
            shifts.push(shift);
            open.set(worker, shift);
        }
        for (let worker = level; worker < before; worker++) open.get(worker)!.to = from;
        before = level;
    }
    return shifts;
}

/** The times at which an open loop sends a request, in order. The rate rises in a straight line over a ramp. */
export function* arrivalTimes({ arrivals, burst, seed }: LoadConfig, phases: Phase[]): Generator<number> {
    const random = randomOf(seed, "arrivals");
    const step = (): number => burst * (arrivals === "poisson" ? exponential(random) : 1);
    // Requests that the rates add up to until an arrival, and until the beginning of a phase.
    let due = arrivals === "poisson" ? step() : 0;
    let sum = 0;
    let before = 0;
    for (const { kind, from, to, level } of phases) {
        const seconds = to - from;
        const first = kind === "ramp" ? before : level;
        const total = (seconds * (first + level)) / 2;
        for (; due < sum + total; due += step()) {
            const t = from + timeOf(due - sum, first, (level - first) / seconds);
            for (let i = 0; i < burst; i++) yield t;
        }
        sum += total;
        before = level;
    }
}

/** When a rate that begins at `first` and changes by `slope` each second has added up to `count`. */
function timeOf(count: number, first: number, slope: number): number {
    if (count === 0) return 0;
    if (slope === 0) return count / first;
    // Solves first * t + slope * t^2 / 2 = count; this form also holds for a slope near 0.
    return (2 * count) / (first + Math.sqrt(first * first + 2 * slope * count));
}
