import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
    aggregate,
    askedByMetric,
    askedByResource,
    decide,
    mostAfterOnePeriod,
    stabilize,
    type Asked,
    type Reading,
    type ScalingRule,
} from "../../../sandbox/ovhcloud/autoscaler";
import { valueAt } from "../../../sandbox/ovhcloud/metric-value";

const gives = (value: number): Reading => ({ ready: true, value });
const missing: Reading = { ready: true };
const unready: Reading = { ready: false };
const repeated = (count: number, reading: Reading): Reading[] => Array.from({ length: count }, () => reading);
const asked = (readings: Reading[], target: number, current = readings.length): number | undefined =>
    askedByResource(current, readings, target)?.replicas;
const metric = (...values: number[]): Asked | undefined =>
    askedByMetric(values.length, values.map(gives), 50, "AVERAGE");

const rule: ScalingRule = {
    replicasMin: 1,
    replicasMax: 10,
    scaleUpStabilizationWindowSeconds: 0,
    scaleDownStabilizationWindowSeconds: 300,
    cooldownPeriodSeconds: 300,
};

// https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/ and its walkthrough
describe("worked examples of the Kubernetes documentation", () => {
    it("doubles at 200m of 100m", () => {
        expect(asked([gives(0.2)], 0.1)).toBe(2);
        expect(asked(repeated(3, gives(0.2)), 0.1)).toBe(6);
    });
    it("halves at 50m of 100m", () => {
        expect(asked(repeated(2, gives(0.05)), 0.1)).toBe(1);
        expect(asked(repeated(5, gives(0.05)), 0.1)).toBe(3); // rounded up
    });
    it("scales from 1 to 7 at 305 % of 50 % CPU, and back to 1 at 0 %", () => {
        expect(asked([gives(305)], 50)).toBe(7);
        expect(decide(rule, 7, metric(0, 0, 0, 0, 0, 0, 0), [], 0, 0).to).toBe(1);
    });
    it("scales from 50 to 60 at 90 % of 75 % CPU", () => {
        expect(asked(repeated(50, gives(90)), 75)).toBe(60);
    });
    it("does nothing within the tolerance of 10 %", () => {
        expect(asked(repeated(10, gives(54.9)), 50)).toBe(10);
        expect(asked(repeated(10, gives(45.1)), 50)).toBe(10);
        expect(asked(repeated(10, gives(55.1)), 50)).toBe(12);
        expect(asked(repeated(10, gives(44.9)), 50)).toBe(9);
    });
    it("takes missing metrics to be 100 % of the target when scaling down, and 0 % when scaling up", () => {
        // Down: (10 + 10 + 50) / 3 / 50 = 0.47 of 3; without the missing one it would be 1.
        expect(asked([gives(10), gives(10), missing], 50)).toBe(2);
        // Up: (200 + 200 + 0) / 3 / 50 = 2.67 of 3; without the missing one it would be 8 as well, of 2.
        expect(asked([gives(200), gives(200), missing], 50)).toBe(8);
        // (70 + 0) / 2 / 50 turns the direction round: nothing.
        expect(asked([gives(70), missing], 50)).toBe(2);
    });
    it("takes replicas that are not ready yet to be at 0 % when scaling up, and leaves them out when scaling down", () => {
        expect(asked([gives(90), unready], 50)).toBe(2);
        expect(asked([gives(90), gives(90), unready], 50)).toBe(4);
        expect(asked([gives(10), gives(10), unready], 50, 3)).toBe(1);
    });
    it("adds four replicas or 100 % in a period, whichever is more", () => {
        expect(mostAfterOnePeriod(1)).toBe(5);
        expect(mostAfterOnePeriod(10)).toBe(20);
        expect(decide(rule, 1, metric(500), [], 0, 0)).toMatchObject({ recommended: 10, to: 5 });
    });
    it("keeps the highest of the last 5 minutes when scaling down", () => {
        const history = [
            { at: 0, replicas: 5 },
            { at: 100, replicas: 2 },
        ];
        expect(stabilize(5, history, 300, rule)).toBe(5);
        expect(stabilize(5, history, 301, rule)).toBe(2);
    });
});

describe("windows and limits", () => {
    it("scales up only as far as the whole scale-up window has asked for", () => {
        const slow = { ...rule, scaleUpStabilizationWindowSeconds: 60 };
        const history = [{ at: 0, replicas: 1 }];
        expect(decide(slow, 1, metric(200), history, 30, 0)).toMatchObject({ recommended: 4, to: 1 });
        expect(decide(slow, 1, metric(150), history, 60.5, 0)).toMatchObject({ recommended: 3, to: 3 });
    });
    it("stays within min and max, and says so", () => {
        const narrow = { ...rule, replicasMin: 2, replicasMax: 3 };
        const up = decide(narrow, 2, metric(500, 500), [], 0, 0);
        expect(up).toMatchObject({ to: 3 });
        expect(up.reason).toContain("20 are asked for, the maximum is 3");
        expect(decide(narrow, 3, metric(0, 0, 0), [], 0, 0).to).toBe(2);
    });
    it("changes nothing when no replica gives a value", () => {
        const outcome = decide(rule, 3, undefined, [], 0, 1e6);
        expect(outcome.to).toBe(3);
        expect(outcome.recommended).toBeUndefined();
    });
    it("forgets what no window reaches any more", () => {
        const history = [
            { at: 0, replicas: 9 },
            { at: 700, replicas: 4 },
        ];
        decide(rule, 1, metric(50), history, 1000, 0);
        expect(history).toEqual([
            { at: 700, replicas: 4 },
            { at: 1000, replicas: 1 },
        ]);
    });
    it("takes the last replica away only with a minimum of 0, idle for the scale-down window and the cooldown", () => {
        const zero = { ...rule, replicasMin: 0 };
        expect(decide(zero, 1, metric(0), [], 0, 599).to).toBe(1);
        expect(decide(zero, 1, metric(0), [], 0, 600)).toMatchObject({ to: 0, recommended: 0 });
        expect(decide(zero, 2, metric(0, 0), [], 0, 600).to).toBe(1);
        expect(decide(rule, 1, metric(0), [], 0, 1e6).to).toBe(1);
    });
});

// What KEDA and the HorizontalPodAutoscaler do with an external metric whose target is a Value
describe("a custom metric", () => {
    it("is aggregated as the API says", () => {
        const values = [1, 2, 6];
        expect((["AVERAGE", "SUM", "MAX", "MIN"] as const).map((how) => aggregate(values, how))).toEqual([3, 9, 6, 1]);
    });
    it("is compared with the target as it is, times the replicas that are ready", () => {
        const readings = [gives(20), gives(80), unready];
        expect(askedByMetric(3, readings, 50, "AVERAGE")).toMatchObject({ value: 50, replicas: 3 });
        expect(askedByMetric(3, readings, 50, "MAX")).toMatchObject({ value: 80, replicas: 4 });
        expect(askedByMetric(3, readings, 50, "SUM")).toMatchObject({ value: 100, replicas: 4 });
        expect(askedByMetric(3, readings, 50, "MIN")).toMatchObject({ value: 20, replicas: 1 });
    });
    it("is not corrected for replicas without a value, as CPU and RAM are", () => {
        const up = [gives(70), missing];
        expect(askedByMetric(2, up, 50, "AVERAGE")).toMatchObject({ ratio: 1.4, replicas: 3 });
        expect(askedByResource(2, up, 50)).toMatchObject({ ratio: 0.7, replicas: 2 });
        const down = [gives(10), missing];
        expect(askedByMetric(2, down, 50, "AVERAGE")).toMatchObject({ ratio: 0.2, replicas: 1 });
        expect(askedByResource(2, down, 50)).toMatchObject({ ratio: 0.6, replicas: 2 });
    });
    it("asks for nothing when no replica gives a value", () => {
        expect(askedByMetric(3, [missing, unready], 50, "SUM")).toBeUndefined();
        expect(askedByResource(3, [missing, unready], 50)).toBeUndefined();
    });
});

it("CPU and RAM never ask for fewer replicas at a higher value, nor for more than the ratio makes", () => {
    const readings = fc.array(
        fc.oneof(fc.double({ min: 0, max: 1000, noNaN: true }).map(gives), fc.constantFrom(missing, unready)),
        { minLength: 1, maxLength: 10 },
    );
    fc.assert(
        fc.property(readings, fc.double({ min: 0.5, max: 500, noNaN: true }), (some, target) => {
            const here = asked(some, target);
            fc.pre(here !== undefined);
            const busier = some.map((one) => (one.value === undefined ? one : { ...one, value: one.value * 1.5 }));
            expect(asked(busier, target)).toBeGreaterThanOrEqual(here);
            const most = Math.ceil(some.reduce((sum, { value = 0 }) => sum + value, 0) / target);
            expect(here).toBeLessThanOrEqual(Math.max(most, some.length));
        }),
    );
});

describe("location of a value", () => {
    const page = [
        "# HELP jobs Jobs.",
        "# TYPE jobs gauge",
        'jobs{queue="a, b",kind="x"} 3.0',
        'jobs{queue="c"} 4.5',
        "jobs_total 9.0",
        "plain 1e+06 1700000000",
    ].join("\n");
    it("is a name, with labels or without, on a Prometheus page", () => {
        expect(valueAt(page, "PROMETHEUS", "jobs")).toBe(3);
        expect(valueAt(page, "PROMETHEUS", 'jobs{queue="c"}')).toBe(4.5);
        expect(valueAt(page, "PROMETHEUS", 'jobs{kind="x", queue="a, b"}')).toBe(3);
        expect(valueAt(page, "PROMETHEUS", "plain")).toBe(1e6);
        expect(() => valueAt(page, "PROMETHEUS", "job")).toThrow("job is not on the page");
        expect(() => valueAt(page, "PROMETHEUS", 'jobs{queue="d"}')).toThrow("not on the page");
    });
    it("is a path in JSON and YAML", () => {
        const json = JSON.stringify({ foo: { bar: 42, "a.b": "7" }, list: [{ x: 1 }, { x: 2.5 }], text: "many" });
        expect(valueAt(json, "JSON", "foo.bar")).toBe(42);
        expect(valueAt(json, "JSON", "foo.a\\.b")).toBe(7);
        expect(valueAt(json, "JSON", "list.1.x")).toBe(2.5);
        expect(() => valueAt(json, "JSON", "foo.baz")).toThrow('there is no "baz"');
        expect(() => valueAt(json, "JSON", "text")).toThrow("not a number");
        expect(() => valueAt("<html>", "JSON", "foo")).toThrow("the answer is not JSON");
        expect(valueAt("foo:\n  bar: 2.5\n", "YAML", "foo.bar")).toBe(2.5);
        expect(() => valueAt("<a/>", "XML", "a")).toThrow("does not read XML");
    });
});
