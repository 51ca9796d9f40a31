import { describe, expect, it } from "vitest";
import { entryAt, overlap, parseEntry, suggestSchedules } from "../../plan/schedule";

const hour = 3600;
const day = 24 * hour;

describe("an entry of a schedule", () => {
    it("holds on its days, from its first minute to before its last", () => {
        const schedule = [parseEntry("mon-fri 08:00-19:00 2-4"), parseEntry("sat,sun 22:00-02:00 1-2")];
        const at = (moment: number): number | undefined => entryAt(schedule, moment)?.min;
        expect([at(8 * hour - 1), at(8 * hour), at(19 * hour - 1), at(19 * hour)]).toEqual([
            undefined,
            2,
            2,
            undefined,
        ]);
        expect(at(4 * day + 9 * hour)).toBe(2);
        expect(at(5 * day + 9 * hour)).toBeUndefined();
        // Over midnight, and over the end of the week.
        expect(at(6 * day + hour)).toBe(1);
        expect([at(hour), at(2 * hour), at(7 * day + hour)]).toEqual([1, undefined, 1]);
    });

    it.each([
        ["weekdays 08:00-19:00 2-4"],
        ["mon-fri 8:00-19:00 2-4"],
        ["mon-fri 08:00-24:30 2-4"],
        ["mon-fri 24:00-08:00 2-4"],
        ["mon-fri 08:00-19:00 2"],
        ["mon-fri 08:00-19:00 4-2"],
        ["fry-mon 08:00-19:00 2-4"],
        ["mon-fri 08:00-19:00 2-4 UTC"],
    ])("%s is none", (text) => {
        expect(() => parseEntry(text)).toThrow("such as mon-fri 08:00-19:00 2-4");
    });

    it("is told to overlap another only where both hold", () => {
        const nights = parseEntry("mon-fri 22:00-02:00 1-2");
        expect(overlap(nights, parseEntry("sat 01:00-03:00 1-2"))).toBe(true);
        expect(overlap(nights, parseEntry("sat 02:00-03:00 1-2"))).toBe(false);
        expect(overlap(nights, parseEntry("mon-sun 12:00-24:00 1-2"))).toBe(true);
    });
});

describe("what a demand suggests", () => {
    const office = (moment: number): number => {
        const working = moment < 5 * day && moment % day >= 9 * hour && moment % day < 17 * hour;
        return working ? 10 : 0.1;
    };
    const capacityOf = (days: number, begins = 0) => ({
        ...{
            traffic: "office",
            requests: 1,
            seconds: days * day,
            tooLong: 0,
            rate: 3,
            running: 20,
            demandEvery: 300,
            begins,
        },
        demand: Array.from({ length: (days * day) / 300 }, (_, i) => office((begins + i * 300) % (7 * day))),
    });

    it("its busy hours, begun a boot earlier, with what they need", () => {
        const suggested = suggestSchedules(capacityOf(7), 420, 10);
        expect(suggested).toContainEqual([
            { days: "mon-fri", from: "08:45", to: "17:00", timeZone: "UTC", min: 3, max: 10 },
        ]);
        // Two days from a Thursday on are working days, too.
        expect(suggestSchedules(capacityOf(2, 3 * day), 420, 2)[0]).toMatchObject([{ days: "mon-fri", min: 2 }]);
    });

    it("nothing for less than a day, nor for one that is even", () => {
        const { demand, ...rest } = capacityOf(1);
        expect(suggestSchedules({ ...rest, demand: demand.slice(0, 100) }, 420, 10)).toEqual([]);
        expect(suggestSchedules({ ...rest, demand: demand.map(() => 5) }, 420, 10)).toEqual([]);
    });
});
