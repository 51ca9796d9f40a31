import { describe, expect, it } from "vitest";
import { simulateLoadStep, secondsOver, type LoadStep } from "../../plan/load-step";
import type { World } from "../../plan/world";
import { ministral14bOnH100 as profile } from "../../sandbox/vllm/profiles";
import { ministral, parse } from "../settings/config";

const target = 8;
const { ministral: model } = parse(ministral({ replicas: { min: 1, max: 2 }, scaling: { target } })).models;

const world: World = {
    engine: {
        ...profile.defaults,
        ...{ maxNumSeqs: 16, blockSize: 16, numBlocks: 10_000 },
        step: { ...profile.step, base: 0.05, spread: 0 },
    },
    prefixCaching: true,
    requestOverhead: 0,
    boot: { median: 60, spread: 0 },
    noGpu: { chance: 0, retry: 60 },
    drainSeconds: 110,
    asleep: "refused",
    scaling: {
        ...{ metric: "vllm:num_requests_running", target, aggregation: "AVERAGE", replicasMin: 1, replicasMax: 2 },
        ...{
            scaleUpStabilizationWindowSeconds: 0,
            scaleDownStabilizationWindowSeconds: 60,
            cooldownPeriodSeconds: 300,
        },
    },
};

const step: LoadStep = {
    ...{ baseline: 1, workers: 23, baselineSeconds: 20, patienceSeconds: 300, downPatienceSeconds: 300 },
    draw: () => ({ promptTokens: 100, answerTokens: 60 }),
    blockTokens: 16,
};

describe("a load step in virtual time", () => {
    const { moments, requests, outcome } = simulateLoadStep(world, model, step, 1);

    it("goes through the steps of a proof, in their order", () => {
        const { loadOn, metricOver, decided, serving, recovered, loadOff, downDecided, down } = moments;
        const all = [loadOn, metricOver, decided, serving, recovered, loadOff, downDecided, down];
        expect(all).not.toContain(undefined);
        expect([...all].sort((a, b) => a! - b!)).toEqual(all);
        // A look of the autoscaler, and a boot.
        expect(decided! - loadOn).toBeLessThan(16);
        expect(serving! - decided!).toBeGreaterThanOrEqual(60 - 1);
        expect(serving! - decided!).toBeLessThan(60 + 16);
        expect(down! - loadOff!).toBeGreaterThanOrEqual(60);
    });

    it("keeps so many requests under way, and each answer takes its time", () => {
        // Alone, a step takes 50 ms and a little: 60 of them.
        const alone = requests.filter(({ end }) => end < moments.loadOn);
        expect(alone.length).toBeGreaterThan(4);
        for (const { start, end } of alone) expect((end - start) / (60 * 0.05)).toBeCloseTo(1, 1);
        // With 24 for 16 places a third of the time is spent waiting: half an answer's.
        const crowded = requests.filter(({ start, end }) => start > moments.loadOn + 5 && end < moments.serving!);
        const wait = crowded.reduce((sum, { ttft }) => sum + ttft!, 0) / crowded.length;
        expect(wait).toBeGreaterThan(1);
        expect(wait).toBeLessThan(2.5);
        expect(secondsOver(requests, moments, 1)).toBeGreaterThan(50);
    });

    it("loses none, and is the same for the same seed", () => {
        expect(outcome).toMatchObject({ lost: 0, refused: 0 });
        expect(simulateLoadStep(world, model, step, 1).moments).toEqual(moments);
    });
});
