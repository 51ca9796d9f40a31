/**
 * The hours of a week at which a model has other replicas. What the clock on the wall of the entry's time zone shows decides,
 * minute by minute; so daylight saving needs no rule of its own. Imports nothing: the controller takes it into the cluster.
 */

export const dayNames = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

export interface Limits {
    min: number;
    max: number;
}

/** An entry of `models.NAME.schedule`. */
export interface Hours extends Limits {
    /** Days on which it begins: `mon-fri`, `sat,sun`, `mon-wed,fri`. */
    days: string;
    /** `HH:MM`, from this minute on. */
    from: string;
    /** `HH:MM`, up to this minute, which no longer belongs to it; 24:00 is the end of the day. Not after `from`: of the next day. */
    to: string;
    /** IANA name, such as `Europe/Paris`. */
    timeZone: string;
}

const minutesOfDay = 1440;
export const minutesOfWeek = 7 * minutesOfDay;

/** Minutes of a week that begins on Monday at 0:00, on a wall clock. `end` is above `start` and at most `minutesOfWeek`. */
export interface Span {
    start: number;
    end: number;
}

/** The days that a text names, 0 for Monday; undefined when it is none. `fri-mon` goes over the weekend. */
export function daysOf(text: string): number[] | undefined {
    const found = new Set<number>();
    for (const part of text.split(",")) {
        const [first, last = first, ...rest] = part.split("-").map((name) => dayNames.indexOf(name as "mon"));
        if (first < 0 || last < 0 || rest.length > 0) return undefined;
        for (let day = first; ; day = (day + 1) % 7) {
            found.add(day);
            if (day === last) break;
        }
    }
    return [...found].sort((a, b) => a - b);
}

/** Minutes since midnight of `HH:MM`, 0 to 1440; undefined when it is none. */
export function minuteOf(time: string): number | undefined {
    const [, hours, minutes] = /^(\d\d):([0-5]\d)$/.exec(time) ?? [];
    const minute = Number(hours) * 60 + Number(minutes);
    return minute <= minutesOfDay ? minute : undefined;
}

/** The spans of a week that an entry covers. Its texts have to be as the settings accept them. */
export function spansOf({ days, from, to }: Pick<Hours, "days" | "from" | "to">): Span[] {
    const [begin, end] = [minuteOf(from)!, minuteOf(to)!];
    const length = end > begin ? end - begin : end + minutesOfDay - begin;
    return daysOf(days)!.flatMap((day) => split({ start: day * minutesOfDay + begin, end: 0 }, length));
}

/** A span of this length from its start on, over the end of the week where it goes beyond. */
function split({ start }: Span, length: number): Span[] {
    const first = ((start % minutesOfWeek) + minutesOfWeek) % minutesOfWeek;
    const end = first + length;
    if (end <= minutesOfWeek) return [{ start: first, end }];
    return [
        { start: first, end: minutesOfWeek },
        { start: 0, end: end - minutesOfWeek },
    ];
}

const clocks = new Map<string, Intl.DateTimeFormat>();

/**
 * The minute of the week that the clock on the wall shows.
 * @throws RangeError for a time zone that this Node does not know
 */
export function minuteOfWeek(at: Date, timeZone: string): number {
    let clock = clocks.get(timeZone);
    if (!clock) {
        const parts = { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
        clocks.set(timeZone, (clock = new Intl.DateTimeFormat("en-GB", { ...parts, timeZone })));
    }
    const shown = Object.fromEntries(clock.formatToParts(at).map(({ type, value }) => [type, value]));
    const day = dayNames.indexOf(shown.weekday.toLowerCase() as "mon");
    return day * minutesOfDay + Number(shown.hour) * 60 + Number(shown.minute);
}

/** Whether a text names a time zone with rules of its own: an offset such as +02:00 knows no daylight saving. */
export function isTimeZone(text: string): boolean {
    if (!/^[A-Za-z]/.test(text)) return false;
    try {
        minuteOfWeek(new Date(0), text);
        return true;
    } catch {
        return false;
    }
}

/** The entry that holds at a moment; undefined outside of all. */
export function entryAt(schedule: Hours[], at: Date): Hours | undefined {
    return schedule.find((entry) => {
        const minute = minuteOfWeek(at, entry.timeZone);
        return spansOf(entry).some(({ start, end }) => start <= minute && minute < end);
    });
}

/** Minutes in which two entries both hold, in some week of the year from `from` on; undefined when there are none. */
export function overlap(one: Hours, other: Hours, from: Date): Span | undefined {
    for (const shift of differences(one.timeZone, other.timeZone, from)) {
        const moved = spansOf(other).flatMap(({ start, end }) => split({ start: start + shift, end }, end - start));
        for (const a of spansOf(one)) {
            for (const b of moved) {
                const common = { start: Math.max(a.start, b.start), end: Math.min(a.end, b.end) };
                if (common.start < common.end) return common;
            }
        }
    }
    return undefined;
}

const dayMs = 86_400_000;

/** By how many minutes a clock of the one zone is ahead of one of the other, each value that a year knows. */
function differences(zone: string, other: string, from: Date): Set<number> {
    if (zone === other) return new Set([0]);
    const days = Array.from({ length: 366 }, (_, day) => new Date(from.getTime() + day * dayMs));
    return new Set(days.map((at) => minuteOfWeek(at, zone) - minuteOfWeek(at, other)));
}

/** Every pair of limits that the model may have, its own `replicas` first. */
export function everyLimits({ replicas, schedule }: Scheduled): Limits[] {
    const all = [replicas, ...schedule].map(({ min, max }) => ({ min, max }));
    return all.filter((one, i) => all.findIndex(({ min, max }) => min === one.min && max === one.max) === i);
}

/** A model as far as its hours go. */
export interface Scheduled {
    /** Outside of every entry. */
    replicas: Limits;
    schedule: Hours[];
}

/** Fewest and most replicas at any hour. */
export function replicaRange(model: Scheduled): Limits {
    const all = everyLimits(model);
    return { min: Math.min(...all.map(({ min }) => min)), max: Math.max(...all.map(({ max }) => max)) };
}
