import { daysOf, spansOf, type Hours } from "../src/hours/schedule";
import type { Capacity } from "./capacity";

/** An entry of `models.NAME.schedule`, on the clock that traffic has here. */
export interface ScheduleEntry extends Hours {
    timeZone: "UTC";
}

const day = 86_400;
const week = 7 * day;
const quarter = 900;

function clockOf(seconds: number): string {
    const two = (number: number): string => String(number).padStart(2, "0");
    return `${two(Math.floor(seconds / 3600))}:${two(Math.floor((seconds % 3600) / 60))}`;
}

/** The entry of this moment, in seconds after Monday 0:00 UTC. */
export function entryAt(schedule: readonly ScheduleEntry[], moment: number): ScheduleEntry | undefined {
    const minute = (((moment % week) + week) % week) / 60;
    return schedule.find((entry) => spansOf(entry).some(({ start, end }) => start <= minute && minute < end));
}

/**
 * An entry as one types it: `mon-fri 08:00-19:00 2-4`.
 * Throws an Error that says what is wrong.
 */
export function parseEntry(text: string): ScheduleEntry {
    const form = "give DAYS HH:MM-HH:MM MIN-MAX, such as mon-fri 08:00-19:00 2-4";
    const [days = "", hours = "", replicas = "", ...rest] = text.trim().toLowerCase().split(/\s+/);
    const time = String.raw`(?:[01]\d|2[0-3]):[0-5]\d`;
    const [, from, to] = new RegExp(`^(${time})-(${time}|24:00)$`).exec(hours) ?? [];
    const [, min, max] = /^(\d+)-(\d+)$/.exec(replicas) ?? [];
    if (rest.length > 0 || !daysOf(days) || !from || !max) throw new Error(form);
    if (Number(min) > Number(max) || Number(max) < 1) throw new Error(`from ${min} to ${max} replicas: ${form}`);
    return { days, from, to, timeZone: "UTC", min: Number(min), max: Number(max) };
}

/** Whether two entries hold at the same time. */
export function overlap(one: ScheduleEntry, other: ScheduleEntry): boolean {
    const minutes = Array.from({ length: week / 60 }, (_, minute) => 60 * minute);
    return minutes.some((moment) => entryAt([one], moment) !== undefined && entryAt([other], moment) !== undefined);
}

/** An entry in a few words. */
export function entryText({ days, from, to, min, max }: ScheduleEntry): string {
    return `${days} ${from}-${to} ${min}-${max}`;
}

const groups = ["mon-fri", "sat,sun"];

/**
 * Schedules that the demand suggests: of working days and of weekends, the hours in which it is above a share of its peak,
 * begun a boot earlier, with what a share of their peak needs. None for a traffic of less than a day.
 * @param boot seconds until a replica serves
 * @param max replicas of each entry
 */
export function suggestSchedules(
    { demand, demandEvery, rate, begins }: Capacity,
    boot: number,
    max: number,
): ScheduleEntry[][] {
    if (demand.length * demandEvery < day || rate === 0) return [];
    const peak = Math.max(...demand);
    return [0.25, 0.5].flatMap((busy) =>
        [0.6, 0.9].flatMap((share) => {
            const entries = groups.flatMap((group) => {
                const most = busiest(demand, demandEvery, begins, daysOf(group)!);
                const first = most.findIndex((now) => now >= busy * peak);
                const last = most.findLastIndex((now) => now >= busy * peak);
                // Around the clock it would be no schedule.
                if (first < 0 || last - first > 0.9 * most.length) return [];
                const from = clockOf(Math.max(0, Math.floor((first * quarter - boot) / quarter) * quarter));
                const min = Math.min(max, Math.max(1, Math.ceil((share * Math.max(...most)) / rate)));
                return [{ days: group, from, to: clockOf((last + 1) * quarter), timeZone: "UTC" as const, min, max }];
            });
            return entries.length > 0 ? [entries] : [];
        }),
    );
}

/** The highest demand of each quarter of an hour over those days of the traffic that are among these. */
function busiest(demand: number[], every: number, begins: number, among: number[]): number[] {
    const most = Array<number>(day / quarter).fill(0);
    demand.forEach((now, i) => {
        const moment = begins + i * every;
        if (!among.includes(Math.floor(moment / day) % 7)) return;
        const slot = Math.floor((moment % day) / quarter);
        most[slot] = Math.max(most[slot], now);
    });
    return most;
}
