/** A model's week as a person reads it: what runs when, for how many hours, at what price. */
import {
    dayNames,
    entryAt,
    everyLimits,
    minuteOfWeek,
    minutesOfWeek,
    spansOf,
    type Limits,
    type Scheduled,
} from "./schedule";

/** Hours of a week in which these limits hold. */
export interface Share extends Limits {
    hours: number;
}

/**
 * The hours of the week from `from` on, which begins with a whole minute, by limits; the model's own `replicas` first. In
 * entries of several time zones the offsets of that week count.
 */
export function weekShares(model: Scheduled, from: Date): Share[] {
    const { replicas, schedule } = model;
    const minutes = new Map(everyLimits(model).map((limits) => [JSON.stringify(limits), 0]));
    const add = ({ min, max }: Limits, count: number): void => {
        const key = JSON.stringify({ min, max });
        minutes.set(key, minutes.get(key)! + count);
    };
    const zones = new Set(schedule.map(({ timeZone }) => timeZone));
    if (zones.size <= 1) {
        // On one wall clock, a week without a change of the clock.
        const covered = schedule.map((entry) => ({ entry, count: sum(spansOf(entry).map((s) => s.end - s.start)) }));
        for (const { entry, count } of covered) add(entry, count);
        add(replicas, minutesOfWeek - sum(covered.map(({ count }) => count)));
    } else {
        for (let minute = 0; minute < minutesOfWeek; minute++) {
            add(entryAt(schedule, new Date(from.getTime() + minute * 60_000)) ?? replicas, 1);
        }
    }
    return [...minutes].map(([limits, count]) => ({ ...(JSON.parse(limits) as Limits), hours: count / 60 }));
}

/** Replica-hours of a week at least and at most. */
export function replicaHours(shares: Share[]): Limits {
    return { min: sum(shares.map(({ min, hours }) => min * hours)), max: sum(shares.map((s) => s.max * s.hours)) };
}

/**
 * The week of `models.NAME` in a few lines.
 * @param price of one replica, euros per hour; without it no money is named
 */
export function describeWeek(name: string, model: Scheduled, now: Date, price?: number): string {
    const { schedule, replicas } = model;
    const range = ({ min, max }: Limits): string =>
        min === max ? `${min} ${max === 1 ? "replica" : "replicas"}` : `${min} to ${max} replicas`;
    const lines = schedule.map(
        ({ days, from, to, timeZone, ...limits }) => `  ${days} ${from}-${to} ${timeZone}: ${range(limits)}`,
    );
    const shares = weekShares(model, new Date(Math.floor(now.getTime() / 60_000) * 60_000));
    const hours = replicaHours(shares);
    const always = replicaHours([{ ...highest(model), hours: minutesOfWeek / 60 }]);
    const held = entryAt(schedule, now);
    const money = (amount: number): string => String(Math.round(amount * price!));
    const total = `${tidy(hours.min)} to ${tidy(hours.max)} replica-hours`;
    const cost =
        price === undefined
            ? `${total}; no price is known`
            : `${total}, ${money(hours.min)} to ${money(hours.max)} euros, and ${money(always.min)} to ` +
              `${money(always.max)} euros if the busiest hours were all week`;
    return [
        `models.${name}.schedule, a week:`,
        ...lines,
        `  at other times: ${range(replicas)}`,
        `  ${cost}`,
        `  now, ${clock(now, (held ?? schedule[0]).timeZone)}: ${range(held ?? replicas)}`,
    ].join("\n");
}

/** The limits with the most replicas. */
function highest(model: Scheduled): Limits {
    return everyLimits(model).reduce((most, one) =>
        one.max > most.max || (one.max === most.max && one.min > most.min) ? one : most,
    );
}

function clock(at: Date, timeZone: string): string {
    const minute = minuteOfWeek(at, timeZone);
    const time = [Math.floor(minute / 60) % 24, minute % 60].map((part) => String(part).padStart(2, "0")).join(":");
    return `${dayNames[Math.floor(minute / 1440)]} ${time} ${timeZone}`;
}

function tidy(value: number): string {
    return String(Math.round(value * 10) / 10);
}

function sum(values: number[]): number {
    return values.reduce((total, value) => total + value, 0);
}
