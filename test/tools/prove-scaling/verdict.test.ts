import { describe, expect, it } from "vitest";
import type { Observations } from "../../../tools/prove-scaling/observe";
import { firstTokenP95, momentsOf, scalingValue, type ProofRequest } from "../../../tools/prove-scaling/timeline";
import { hopeless, verdictOf } from "../../../tools/prove-scaling/verdict";
import { parse } from "../../settings/config";

const model = { ...parse({}).models.ministral, name: "ministral" };

const none = { up: [], down: [] };

/** Replicas and state from a time on, and the metric of each replica. */
function observed(
    platform: [t: number, state: string, ready: number, message?: string][],
    values: [t: number, replica: string, value?: number, tokens?: number][],
): Observations {
    return {
        platform: platform.map(([t, state, ready, message = ""]) => ({ t, state, ready, message })),
        replicas: values.map(([t, replica, value, tokens = 0]) => ({ t, replica, value, tokens })),
    };
}

/** A request a second, each with this time to first token. */
const flow = (from: number, to: number, ttft: number): ProofRequest[] =>
    Array.from({ length: to - from }, (_, i) => ({ start: from + i, end: from + i + ttft + 1, ttft }));

const scaled = observed(
    [
        [0, "RUNNING", 1],
        [12, "SCALING", 1],
        [20, "RUNNING", 2],
        [60, "RUNNING", 1],
    ],
    [
        [5, "a", 10],
        [11, "a", 80],
        [22, "b", 40, 7],
    ],
);

describe("what was seen becomes moments", () => {
    it("each when it was, the latency's end with the last value over target", () => {
        const requests = [...flow(0, 10, 0.2), ...flow(10, 20, 4), ...flow(20, 50, 0.2)];
        const moments = momentsOf(scaled, requests, model, { loadOn: 10, loadOff: 50, until: 70 });
        expect(moments).toMatchObject({
            metricOver: 11,
            decided: 12,
            serving: 20,
            firstToken: 22,
            downDecided: 60,
            down: 60,
        });
        expect(moments.recovered).toBeGreaterThan(23);
        expect(moments.recovered).toBeLessThan(40);
        expect(verdictOf(model, scaled, requests, moments, none, []).code).toBe(0);
    });

    it("the metric is aggregated over the replicas that were met lately", () => {
        const seen = observed(
            [],
            [
                [1, "a", 10],
                [2, "b", 30],
                [9, "b", 40],
            ],
        );
        expect(scalingValue(seen, model)).toEqual([
            [1, 10],
            [2, 20],
            [9, 40],
        ]);
        expect(scalingValue(seen, { ...model, scaling: { ...model.scaling, aggregation: "SUM" } })).toEqual([
            [1, 10],
            [2, 40],
            [9, 40],
        ]);
    });

    it("a request that waits counts with its wait: an overload does not look fast", () => {
        const stuck: ProofRequest[] = [{ start: 0, end: 40 }];
        expect(firstTokenP95(stuck, 30).at(-1)).toEqual([30, 30]);
    });
});

describe("the cause is named", () => {
    const loaded = { loadOn: 10, metricOver: 11 };
    it.each<[string, Parameters<typeof verdictOf>[1], ProofRequest[], object, string[], object]>([
        [
            "token",
            observed([], []),
            [{ start: 11, end: 12, failure: { kind: "HTTP 401", status: 401 } }],
            { loadOn: 10 },
            [],
            { code: 1, cause: "token" },
        ],
        ["client", observed([], [[12, "a", 20]]), [], { loadOn: 10 }, ["it was late"], { code: 2, cause: "client" }],
        ["load", observed([], [[12, "a", 20]]), [], { loadOn: 10 }, [], { code: 1, cause: "load too low" }],
        ["metric", observed([], [[12, "a"]]), [], { loadOn: 10 }, [], { code: 1, cause: "metric missing" }],
        [
            "no decision",
            observed([[12, "RUNNING", 1]], [[12, "a", 90]]),
            [],
            loaded,
            [],
            { code: 1, cause: "no decision" },
        ],
        [
            "GPU",
            observed([[13, "SCALING", 1, "no GPU is left: 1 of 1 in use"]], [[12, "a", 90]]),
            [],
            { ...loaded, decided: 13 },
            [],
            { code: 1, cause: "no GPU free" },
        ],
        [
            "probe",
            observed([[13, "SCALING", 1, "liveness probe /health failed 3 times"]], [[12, "a", 90]]),
            [],
            { ...loaded, decided: 13 },
            [],
            { code: 1, cause: "boot longer than the probe allows" },
        ],
        [
            "boot",
            observed([[13, "SCALING", 1, "scaling"]], [[12, "a", 90]]),
            [],
            { ...loaded, decided: 13 },
            [],
            { code: 1, cause: "replica did not come" },
        ],
        [
            "maximum",
            observed([[30, "RUNNING", 3]], [[12, "a", 90]]),
            [],
            { ...loaded, decided: 13, serving: 20 },
            [],
            { code: 1, cause: "maximum reached" },
        ],
        [
            "latency",
            observed([[30, "RUNNING", 2]], [[12, "a", 90]]),
            [],
            { ...loaded, decided: 13, serving: 20 },
            [],
            { code: 1, cause: "not recovered" },
        ],
        [
            "down",
            observed([[30, "RUNNING", 2]], [[12, "a", 90]]),
            [],
            { ...loaded, decided: 13, serving: 20, recovered: 25 },
            [],
            { code: 1, cause: "not scaled down" },
        ],
    ])("%s", (_, seen, requests, moments, limits, verdict) => {
        expect(verdictOf(model, seen, requests, moments as never, none, limits)).toMatchObject(verdict);
    });

    it("requests lost: a stack that scaled is not proved by that, and the remedy is named", () => {
        const request = { start: 55, end: 60, failure: { kind: "cut off" } };
        const moments = { loadOn: 10, recovered: 30, loadOff: 50, down: 60 };
        const verdict = verdictOf(model, scaled, [], moments, { up: [], down: [request, request] }, []);
        expect(verdict).toMatchObject({ code: 1, cause: "requests lost" });
        expect(verdict.words).toContain("2 while it scaled down (cut off)");
        expect(verdict.words).toContain(
            "has 120 s for its answers: pulumi config set --path models.ministral.deploymentStrategy.terminationGracePeriodSeconds 240",
        );
        const undrained = verdictOf({ ...model, drain: false }, scaled, [], moments, { up: [], down: [request] }, []);
        expect(undrained.words).toContain("pulumi config set --path models.ministral.drain true");
        const up = verdictOf(model, scaled, [], moments, { up: [request], down: [] }, []);
        expect(up).toMatchObject({ code: 1, cause: "requests lost" });
        expect(up.words).not.toContain("drain");
    });

    it("before any load, when it cannot succeed", () => {
        expect(hopeless(model, 1)).toBeUndefined();
        expect(hopeless(model, 3)).toMatchObject({ code: 1, cause: "maximum reached" });
        expect(hopeless({ ...model, vllm: { ...model.vllm, maxNumSeqs: 50 } }, 1)).toMatchObject({
            cause: "target above max-num-seqs",
        });
    });
});
