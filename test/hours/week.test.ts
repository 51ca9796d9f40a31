import { describe, expect, it } from "vitest";
import type { Hours } from "../../src/hours/schedule";
import { describeWeek, replicaHours, weekShares } from "../../src/hours/week";

const office: Hours = { days: "mon-fri", from: "08:00", to: "19:00", timeZone: "Europe/Paris", min: 2, max: 6 };
const night: Hours = { days: "mon-sun", from: "22:00", to: "06:00", timeZone: "Europe/Paris", min: 0, max: 1 };
const replicas = { min: 1, max: 3 };
const now = new Date("2026-11-26T10:30:20Z");

describe("the hours of a week", () => {
    it("are 168, each counted once", () => {
        const shares = weekShares({ replicas, schedule: [office, night] }, now);
        expect(shares).toEqual([
            { min: 1, max: 3, hours: 168 - 55 - 56 },
            { min: 2, max: 6, hours: 55 },
            { min: 0, max: 1, hours: 56 },
        ]);
        expect(replicaHours(shares)).toEqual({ min: 57 + 110, max: 3 * 57 + 6 * 55 + 56 });
    });

    it("of entries in several time zones are those of this week", () => {
        const there = { ...office, timeZone: "America/New_York", from: "13:00", to: "18:00", max: 4 };
        const shares = weekShares({ replicas, schedule: [office, there] }, new Date("2026-11-26T10:30:00Z"));
        expect(shares.map(({ hours }) => hours)).toEqual([168 - 55 - 25, 55, 25]);
    });
});

describe("a week in words", () => {
    it("names each entry, the rest, the replica-hours and what they cost, and what holds now", () => {
        expect(describeWeek("chat", { replicas, schedule: [office] }, now, 2.5)).toBe(
            [
                "models.chat.schedule, a week:",
                "  mon-fri 08:00-19:00 Europe/Paris: 2 to 6 replicas",
                "  at other times: 1 to 3 replicas",
                "  223 to 669 replica-hours, 558 to 1673 euros, and 840 to 2520 euros if the busiest hours were all week",
                "  now, thu 11:30 Europe/Paris: 2 to 6 replicas",
            ].join("\n"),
        );
    });

    it("names no money where no price is known", () => {
        const text = describeWeek("chat", { replicas: { min: 1, max: 1 }, schedule: [office] }, now);
        expect(text).not.toMatch(/euros/);
        expect(text).toMatch(/at other times: 1 replica\n {2}223 to 443 replica-hours; no price is known/);
    });
});
