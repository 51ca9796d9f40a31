import { describe, expect, it } from "vitest";
import { settingsWarnings } from "../../src/settings";
import { faultsOf, ministral, parse } from "./config";

const office = { days: "mon-fri", from: "08:00", to: "19:00", timeZone: "Europe/Paris", min: 2, max: 6 };
const schedule = (...entries: object[]) => ministral({ schedule: entries });

describe("a schedule", () => {
    it("is a list of hours, and none by default", () => {
        expect(parse({}).models.ministral.schedule).toEqual([]);
        const night = { ...office, from: "19:00", to: "08:00", min: 0, max: 1 };
        // Which it may sleep through, so that its state has to be read.
        const appReaderKey = "a-key:a-secret:a-consumer-key";
        expect(parse({ ...schedule(office, night), appReaderKey }).models.ministral.schedule).toEqual([office, night]);
    });

    it.each<[string, object[], string, RegExp]>([
        ["a day that is none", [{ ...office, days: "monday" }], "schedule[0].days", /"mon-fri"/],
        ["a time that is none", [{ ...office, from: "8:00" }], "schedule[0].from", /"08:00"/],
        ["the end as a beginning", [{ ...office, from: "24:00" }], "schedule[0].from", /"00:00" of the next day/],
        ["a time zone that is none", [{ ...office, timeZone: "Europe/Pari" }], "schedule[0].timeZone", /by its name/],
        ["an offset", [{ ...office, timeZone: "+02:00" }], "schedule[0].timeZone", /no summer time/],
        ["a key that there is not", [{ ...office, zone: "UTC" }], "schedule[0].zone", /settings here are days, from/],
        ["no replicas at most", [{ ...office, min: 0, max: 0 }], "schedule[0].max", /1/],
        ["limits the wrong way round", [{ ...office, min: 7 }], "schedule[0].min", /at most its max, which is 6/],
    ])("refuses %s", (_, entries, key, fix) => {
        const [fault] = faultsOf(schedule(...entries));
        expect(fault.key).toBe(`models.ministral.${key}`);
        expect(fault.fix).toMatch(fix);
    });

    it("refuses entries that overlap, and names both", () => {
        const late = { ...office, days: "fri", from: "18:00", to: "22:00" };
        expect(faultsOf(schedule(office, late))).toEqual([
            {
                key: "models.ministral.schedule[1]",
                found: "fri 18:00-22:00 Europe/Paris",
                fix:
                    "end one where the other begins: on fri 18:00 Europe/Paris schedule[0] " +
                    "(mon-fri 08:00-19:00 Europe/Paris) holds too",
            },
        ]);
        expect(faultsOf(schedule(office, { ...late, from: "19:00" }))).toEqual([]);
    });
});

describe("a lease", () => {
    const lease = (until: unknown) => ministral({ lease: { until } });

    it("ends at a moment", () => {
        expect(parse(lease("2030-06-30T18:00:00+02:00")).models.ministral.lease?.until).toBe(
            "2030-06-30T18:00:00+02:00",
        );
        for (const wrong of [
            "2030-06-30",
            "2030-06-30T18:00:00",
            "2030-13-30T18:00Z",
            "2030-02-30T18:00Z",
            "tomorrow",
            2030,
        ]) {
            expect(faultsOf(lease(wrong))[0]?.key, String(wrong)).toBe("models.ministral.lease.until");
        }
    });

    it.each([
        ["2030-06-30 18:00:00 +0200 +0200", "2030-06-30T18:00:00+02:00"],
        ["2030-06-30 16:00:00.5 +0000 UTC", "2030-06-30T16:00:00.5+00:00"],
    ])("is taken as Pulumi reads one without quotes: %s", (read, until) => {
        expect(parse(lease(read)).models.ministral.lease).toEqual({ until });
    });

    it("that has ended is said, with the command that extends it", () => {
        const said = (until: string) => settingsWarnings(parse(lease(until))).filter((line) => line.includes("lease"));
        expect(said("2030-06-30T18:00:00Z")).toEqual([]);
        const [line] = said("2020-01-01T00:00:00Z");
        expect(line).toMatch(/ended at 2020-01-01T00:00:00Z.*stopped and stays so/);
        const [, until] = /pulumi config set --path models\.ministral\.lease\.until (\S+)$/.exec(line)!;
        expect(said(until)).toEqual([]);
    });
});

describe("limits of spend", () => {
    it("an action needs a limit, and is one of three", () => {
        expect(faultsOf({ limits: { action: "stop" } })[0]).toMatchObject({ key: "limits.action" });
        expect(faultsOf({ limits: { eurosPerMonth: 1000, action: "kill" } })[0]).toMatchObject({
            key: "limits.action",
        });
    });
});

describe("the controller's credential", () => {
    const [controllerClientId, controllerClientSecret] = ["EU.0123456789abcdef", "made-up-secret"];
    const encrypted = ["huggingFaceToken", "controllerClientSecret"];

    it("is both or neither, its secret encrypted and never shown", () => {
        expect(faultsOf({ controllerClientId, controllerClientSecret }, encrypted)).toEqual([]);
        expect(faultsOf({ controllerClientId })[0].key).toBe("controllerClientSecret");
        expect(faultsOf({ controllerClientSecret }, encrypted)[0].key).toBe("controllerClientId");
        const plain = faultsOf({ controllerClientId, controllerClientSecret });
        expect(plain[0]).toMatchObject({ key: "controllerClientSecret", found: "stored in plain text" });
        const wrong = faultsOf({ controllerClientId, controllerClientSecret: "two words" }, encrypted);
        expect(JSON.stringify(wrong)).not.toContain("two words");
    });
});
