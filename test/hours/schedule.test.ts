import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
    dayNames,
    daysOf,
    entryAt,
    isTimeZone,
    minuteOf,
    minuteOfWeek,
    overlap,
    replicaRange,
    spansOf,
    type Hours,
} from "../../src/hours/schedule";

const office: Hours = { days: "mon-fri", from: "08:00", to: "19:00", timeZone: "Europe/Paris", min: 1, max: 3 };
const entry = (changes: Partial<Hours> = {}): Hours => ({ ...office, ...changes });
const at = (iso: string): Date => new Date(iso);

/** Minutes of the week by the zone's offset, as Intl names it: another way to the same than the one that is tested. */
function byOffset(when: Date, timeZone: string): number {
    const named = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" }).format(when);
    const [, sign = "+", hours = "0", minutes = "0"] = /GMT(?:([+-])(\d\d):(\d\d))?$/.exec(named)!;
    const offset = (Number(hours) * 60 + Number(minutes)) * (sign === "-" ? -1 : 1);
    const local = new Date(when.getTime() + offset * 60_000);
    return ((local.getUTCDay() + 6) % 7) * 1440 + local.getUTCHours() * 60 + local.getUTCMinutes();
}

/** UTC days on which clocks change: forth and back, north and south, by an hour and by half of one, and over midnight. */
const changes: [zone: string, day: string][] = [
    ["Europe/Paris", "2026-03-29"],
    ["Europe/Paris", "2026-10-25"],
    ["America/New_York", "2026-03-08"],
    ["America/New_York", "2026-11-01"],
    ["Australia/Lord_Howe", "2026-04-04"],
    ["Australia/Lord_Howe", "2026-10-03"],
    ["America/Santiago", "2026-09-06"],
    ["Africa/Cairo", "2026-04-23"],
    ["Asia/Kathmandu", "2026-03-29"],
    ["UTC", "2026-03-29"],
];

const time = fc.integer({ min: 0, max: 1439 }).map((minute) => {
    const [hours, rest] = [Math.floor(minute / 60), minute % 60];
    return `${String(hours).padStart(2, "0")}:${String(rest).padStart(2, "0")}`;
});
const days = fc.subarray([...dayNames], { minLength: 1 }).map((names) => names.join(","));

describe("an entry", () => {
    it.each(changes)("holds in %s on %s when the wall clock is within it, every minute of the change", (zone, day) => {
        const start = Date.parse(`${day}T00:00:00Z`) - 6 * 3_600_000;
        const minutes = Array.from({ length: 36 * 60 }, (_, minute) => new Date(start + minute * 60_000));
        const walls = minutes.map((when) => byOffset(when, zone));
        fc.assert(
            fc.property(days, time, time, (chosen, from, to) => {
                const hours = entry({ days: chosen, from, to, timeZone: zone });
                const [begin, end] = [minuteOf(from)!, minuteOf(to)!];
                minutes.forEach((when, i) => {
                    const [today, minute] = [Math.floor(walls[i] / 1440), walls[i] % 1440];
                    const begins = (one: number): boolean => chosen.split(",").includes(dayNames[(one + 7) % 7]);
                    const within =
                        begin < end
                            ? begins(today) && begin <= minute && minute < end
                            : (begins(today) && begin <= minute) || (begins(today - 1) && minute < end);
                    if ((entryAt([hours], when) !== undefined) !== within) {
                        throw new Error(`${when.toISOString()} ${JSON.stringify(hours)}: expected ${within}`);
                    }
                });
            }),
            { numRuns: 5 },
        );
    });

    it("is at the same hours of the wall clock in summer and in winter", () => {
        expect(entryAt([office], at("2026-07-01T06:00:00Z"))).toBe(office);
        expect(entryAt([office], at("2026-07-01T05:59:00Z"))).toBeUndefined();
        expect(entryAt([office], at("2026-12-01T07:00:00Z"))).toBe(office);
        expect(entryAt([office], at("2026-12-01T06:59:00Z"))).toBeUndefined();
    });

    it("ends before the minute that it names, and over midnight on the next day", () => {
        expect(entryAt([office], at("2026-12-01T17:59:59Z"))).toBe(office);
        expect(entryAt([office], at("2026-12-01T18:00:00Z"))).toBeUndefined();
        const night = entry({ days: "fri", from: "22:00", to: "06:00" });
        expect(entryAt([night], at("2026-12-05T04:59:00Z"))).toBe(night);
        expect(entryAt([night], at("2026-12-05T05:00:00Z"))).toBeUndefined();
        expect(entryAt([night], at("2026-12-04T04:59:00Z"))).toBeUndefined();
    });

    it("goes over the end of the week", () => {
        expect(spansOf(entry({ days: "sun", from: "23:00", to: "01:00" }))).toEqual([
            { start: 7 * 1440 - 60, end: 7 * 1440 },
            { start: 0, end: 60 },
        ]);
    });

    it("with one time twice is a whole day", () => {
        expect(spansOf(entry({ days: "mon", from: "09:00", to: "09:00" }))).toEqual([{ start: 540, end: 540 + 1440 }]);
    });
});

describe("overlaps", () => {
    const now = at("2026-11-26T00:00:00Z");

    it("are found within one time zone, and entries that touch have none", () => {
        expect(overlap(office, entry({ days: "fri", from: "18:00", to: "20:00" }), now)).toEqual({
            start: 4 * 1440 + 18 * 60,
            end: 4 * 1440 + 19 * 60,
        });
        expect(overlap(office, entry({ from: "19:00", to: "08:00" }), now)).toBeUndefined();
    });

    it("are found in the weeks in which two time zones change their clocks on different days", () => {
        // New York is 6 hours behind Paris, and 5 for three weeks in spring.
        const morning = entry({ from: "08:00", to: "14:00" });
        const there = entry({ timeZone: "America/New_York", from: "08:00", to: "14:00" });
        expect(overlap(morning, there, now)).toBeDefined();
        expect(overlap(morning, { ...there, from: "09:00" }, now)).toBeUndefined();
    });

    it("are what no moment then shows", () => {
        const zones = fc.constantFrom("Europe/Paris", "America/New_York", "Asia/Tokyo");
        const entries = fc.record({ days, from: time, to: time, timeZone: zones });
        fc.assert(
            fc.property(entries, entries, fc.integer({ min: 0, max: 366 * 1440 }), (one, other, minute) => {
                const [a, b] = [entry(one), entry(other)];
                const when = new Date(now.getTime() + minute * 60_000);
                const both = entryAt([a], when) && entryAt([b], when);
                return !both || overlap(a, b, now) !== undefined;
            }),
        );
    });
});

describe("what entries are written with", () => {
    it("days", () => {
        expect(daysOf("mon-fri")).toEqual([0, 1, 2, 3, 4]);
        expect(daysOf("fri-mon")).toEqual([0, 4, 5, 6]);
        expect(daysOf("sun,mon,mon")).toEqual([0, 6]);
        for (const wrong of ["", "monday", "mon-", "mon-tue-wed", "mon, tue", "Mon"]) {
            expect(daysOf(wrong), wrong).toBeUndefined();
        }
    });

    it("times", () => {
        expect(minuteOf("24:00")).toBe(1440);
        for (const wrong of ["24:01", "8:00", "08:60", "08.00", ""]) expect(minuteOf(wrong), wrong).toBeUndefined();
    });

    it("time zones: names that have rules, and no offsets", () => {
        expect(isTimeZone("Europe/Paris")).toBe(true);
        expect(isTimeZone("UTC")).toBe(true);
        for (const wrong of ["Europe/Pari", "+02:00", "", "CEST"]) expect(isTimeZone(wrong), wrong).toBe(false);
        expect(() => minuteOfWeek(new Date(), "Mars/Olympus")).toThrow(RangeError);
    });
});

it("fewest and most replicas are those of all hours", () => {
    const night = entry({ from: "19:00", to: "08:00", min: 0, max: 1 });
    const day = entry({ min: 2, max: 6 });
    expect(replicaRange({ replicas: { min: 1, max: 3 }, schedule: [day, night] })).toEqual({ min: 0, max: 6 });
});
