/** What is wanted of a model at a moment, of its hours, its lease and the limit of spend. Goes into the cluster as schedule.ts does. */
import { entryAt, everyLimits, type Limits, type Scheduled } from "./schedule";

/** What is done once the month's limit is spent. */
export const spendActions = ["warn", "scaleToMin", "stop"] as const;
export type SpendAction = (typeof spendActions)[number];

export interface Bounded extends Scheduled {
    /** Until when the app may run. */
    lease?: { until: string };
}

export type Wanted =
    /** `why`: the entry of the schedule, or nothing, and whether spend has lowered the most. */
    { state: "running"; limits: Limits; why: "replicas" | "schedule" | "spend" } | { state: "stopped"; why: Stop };

export type Stop = "lease" | "spend";

/** Whether a lease has ended. */
export function leaseEnded(lease: { until: string } | undefined, now: Date): boolean {
    return lease !== undefined && Date.parse(lease.until) <= now.getTime();
}

/** @param spent what is to be done since the month's limit is spent; undefined while it is not */
export function wantedAt(model: Bounded, now: Date, spent?: SpendAction): Wanted {
    if (leaseEnded(model.lease, now)) return { state: "stopped", why: "lease" };
    if (spent === "stop") return { state: "stopped", why: "spend" };
    const entry = entryAt(model.schedule, now);
    const { min, max } = entry ?? model.replicas;
    if (spent === "scaleToMin") return { state: "running", limits: lowered({ min, max }), why: "spend" };
    return { state: "running", limits: { min, max }, why: entry ? "schedule" : "replicas" };
}

/** No more replicas than the fewest. The platform knows no strategy with less than one at most. */
function lowered({ min }: Limits): Limits {
    return { min, max: Math.max(min, 1) };
}

/** Every pair of limits that `wantedAt` may name. */
export function everyWanted(model: Scheduled, action?: SpendAction): Limits[] {
    const all = everyLimits(model);
    const more = action === "scaleToMin" ? all.map(lowered) : [];
    return [...all, ...more].filter(
        (one, i, list) => list.findIndex(({ min, max }) => min === one.min && max === one.max) === i,
    );
}
