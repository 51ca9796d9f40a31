import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../tools/loadtest/config";
import { arrivalTimes, phaseAt, planPhases, workerShifts } from "../../../tools/loadtest/schedule";

const shiftsOf = (given: Parameters<typeof loadConfig>[0]) => workerShifts(planPhases(loadConfig(given)));
const arrivalsOf = (given: Parameters<typeof loadConfig>[0]): number[] => {
    const config = loadConfig(given);
    return [...arrivalTimes(config, planPhases(config))];
};

describe("workers", () => {
    it("start evenly over the ramp, the first at once, and all at once without one", () => {
        expect(shiftsOf({ workers: 4, ramp: 10 }).map(({ from }) => from)).toEqual([0, 2.5, 5, 7.5]);
        expect(shiftsOf({ workers: 3, ramp: 0 }).map(({ from }) => from)).toEqual([0, 0, 0]);
    });

    it("of steps: those that are too many for one end, and the number is the step's", () => {
        const shifts = shiftsOf({ workers: [2, 4, 1], ramp: 2, duration: 10 });
        const working = (t: number): number => shifts.filter(({ from, to }) => from <= t && t < to).length;
        // Ramps 0-2, 12-14 and 24-26; steps 2-12, 14-24 and 26-36.
        expect([0.5, 5, 11.9, 13.5, 20, 23.9, 24.1, 30, 35.9].map(working)).toEqual([1, 2, 2, 4, 4, 4, 1, 1, 1]);
        expect(working(36)).toBe(0);
    });
});

describe("arrivals", () => {
    it("of a constant rate are evenly spaced", () => {
        expect(arrivalsOf({ rate: 2, arrivals: "constant", ramp: 0, duration: 2 })).toEqual([0, 0.5, 1, 1.5]);
    });

    it("come in bursts at the same rate", () => {
        const times = arrivalsOf({ rate: 10, arrivals: "constant", burst: 5, ramp: 0, duration: 2 });
        expect(times).toEqual([0, 0.5, 1, 1.5].flatMap((t) => Array<number>(5).fill(t)));
    });

    it("are in order, within the run, and as many as the rates add up to", () => {
        const rates = fc.array(fc.integer({ min: 5, max: 200 }), { minLength: 1, maxLength: 4 });
        const kinds = fc.constantFrom("poisson" as const, "constant" as const);
        fc.assert(
            fc.property(
                rates,
                kinds,
                fc.integer({ min: 0, max: 10 }),
                fc.integer({ min: 0, max: 1000 }),
                (rate, arrivals, ramp, seed) => {
                    const times = arrivalsOf({ rate, arrivals, ramp, seed, duration: 10 });
                    const last = rate.length * (10 + ramp);
                    expect(times.every((t, i) => t >= 0 && t < last + 1e-9 && (i === 0 || t >= times[i - 1]))).toBe(
                        true,
                    );
                    const planned = rate.reduce(
                        (sum, level, i) => sum + level * 10 + (ramp * ((rate[i - 1] ?? 0) + level)) / 2,
                        0,
                    );
                    // Six standard deviations of a Poisson number; of a constant rate the number itself.
                    const slack = arrivals === "constant" ? 1 : 6 * Math.sqrt(planned);
                    expect(Math.abs(times.length - planned)).toBeLessThanOrEqual(slack);
                },
            ),
            { numRuns: 50 },
        );
    });

    it("of a ramp become more in a straight line", () => {
        const times = arrivalsOf({ rate: 100, arrivals: "constant", ramp: 10, duration: 1 });
        // The area below a line from 0 to 100: a quarter of it lies in the first half.
        expect(times.filter((t) => t < 5)).toHaveLength(125);
        expect(times.filter((t) => t < 10)).toHaveLength(500);
    });

    it("by chance are spread as a Poisson process", () => {
        const times = arrivalsOf({ rate: 100, ramp: 0, duration: 200 });
        const gaps = times.slice(1).map((t, i) => t - times[i]);
        const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
        const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length);
        expect(mean).toBeCloseTo(0.01, 3);
        expect(deviation / mean).toBeGreaterThan(0.95);
        expect(deviation / mean).toBeLessThan(1.05);
    });
});

it("what comes after the last part belongs to it", () => {
    const phases = planPhases(loadConfig({ workers: [1, 2], ramp: 1, duration: 5 }));
    expect([0, 1, 5.9, 6, 7, 11.9, 100].map((t) => phases[phaseAt(phases, t)].name)).toEqual([
        "ramp to 1 worker",
        "1 worker",
        "1 worker",
        "ramp to 2 workers",
        "2 workers",
        "2 workers",
        "2 workers",
    ]);
});
