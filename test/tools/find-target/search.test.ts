import { describe, expect, it } from "vitest";
import { Engine, type EngineConfig } from "../../../sandbox/vllm/engine";
import { kvBlocks, ministral14bOnH100 } from "../../../sandbox/vllm/profiles";
import { seededRandom } from "../../../tools/random";
import { configLines, findLimits, recommend, type Level, type TargetName } from "../../../tools/find-target/search";

const promptTokens = 256;
const outputTokens = 256;

function engineOf(spread: number): EngineConfig {
    return {
        maxNumSeqs: 1024,
        maxNumBatchedTokens: 8192,
        prefixCaching: false,
        blockSize: 16,
        numBlocks: kvBlocks(ministral14bOnH100, 1, 0.9, 16),
        step: { ...ministral14bOnH100.step, spread },
        random: seededRandom(7),
    };
}

/** Seconds. */
type Targets = Record<TargetName, number>;

/** A closed loop of so many workers against the engine, in virtual time: what `measureLevel` sees of a real one. */
async function measure(workers: number, seconds: number, targets: Targets): Promise<Level> {
    const engine = new Engine(engineOf(0.05));
    const random = seededRandom(workers);
    const ramp = 10;
    let now = 0;
    let next = 0;
    const due = Array.from({ length: workers }, (_, i) => (i * ramp) / workers);
    const firsts: number[] = [];
    const gaps: number[] = [];
    let requests = 0;
    const begin = (arrival: number): void => {
        const id = String(requests++);
        // Answers that would all be as long would stay in step with each other for ever.
        const maxTokens = Math.round(outputTokens * (0.5 + random()));
        engine.add({ id, promptTokens, promptBlocks: [], naturalTokens: Infinity, maxTokens, arrival });
    };
    while (now < ramp + seconds) {
        for (; next < due.length && due[next] <= now; next++) begin(due[next]);
        const step = engine.beginStep(now);
        if (step === undefined) {
            now = due[next];
            continue;
        }
        now += step;
        for (const { sequence, sinceLast, finished } of engine.endStep(now).outputs) {
            if (now > ramp && sinceLast !== undefined) gaps.push(sinceLast);
            else if (now > ramp) firsts.push(now - sequence.arrival);
            if (finished) begin(now);
        }
    }
    const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0);
    const share = (values: number[], most: number): number =>
        values.filter((value) => value <= most).length / values.length;
    return {
        workers,
        atOnce: (sum(firsts) + sum(gaps)) / seconds,
        requests,
        failures: 0,
        within: {
            timeToFirstToken: share(firsts, targets.timeToFirstToken),
            interTokenLatency: share(gaps, targets.interTokenLatency),
        },
        meanInterToken: sum(gaps) / gaps.length,
        outputTokensPerSecond: gaps.length / seconds,
    };
}

describe("the limit of a replica is found", () => {
    it.each([0.02, 0.03, 0.04])(
        "within 5 % of the profile's own, with %f s between tokens",
        async (interTokenLatency) => {
            const targets = { timeToFirstToken: 1, interTokenLatency };
            let asked = 0;
            const { limits, levels } = await findLimits(
                (workers) => {
                    asked++;
                    return measure(workers, 40, targets);
                },
                { withinTargets: 0.95, most: 256, precision: 0.03 },
            );
            const found = limits.find(({ target }) => target === "interTokenLatency")!;
            const long = async (share: number) =>
                (await measure(Math.round(found.holds * share), 160, targets)).within.interTokenLatency;
            expect(await long(0.95), `found ${found.holds}`).toBeGreaterThanOrEqual(0.95);
            expect(await long(1.05), `found ${found.holds}`).toBeLessThan(0.95);
            expect(asked).toBeLessThan(25);
            // Without a way to and fro the server has as many as there are workers.
            for (const { workers, atOnce } of levels) expect(Math.abs(atOnce / workers - 1)).toBeLessThan(0.02);
        },
    );

    const plain = (workers: number, limit: number, underWay = 0): Level => ({
        workers,
        atOnce: workers * (1 - underWay),
        requests: 1,
        failures: 0,
        within: { timeToFirstToken: 1, interTokenLatency: workers * (1 - underWay) <= limit ? 0.96 : 0.94 },
        meanInterToken: 0.02,
        outputTokensPerSecond: 1,
    });
    const options = { withinTargets: 0.95, most: 1024, precision: 0.001 };

    it("and where the arithmetic is plain, to a request", async () => {
        const { limits } = await findLimits(async (workers) => plain(workers, 300), options);
        expect(limits).toEqual([
            { target: "timeToFirstToken", holds: 1024, breaks: undefined },
            { target: "interTokenLatency", holds: 300, breaks: 301 },
        ]);
    });

    it("in requests that the server has, however many are under way to it", async () => {
        const { limits } = await findLimits(async (workers) => plain(workers, 300, 0.2), options);
        expect(limits[1]).toMatchObject({ holds: 300 });
        expect((await findLimits(async (workers) => plain(workers, 0), options)).limits[1]).toMatchObject({
            holds: 0,
            breaks: 1,
        });
    });
});

describe("what to set follows from the limit", () => {
    const limit = (holds: number, breaks?: number) => [
        { target: "timeToFirstToken" as const, holds: 400, breaks: undefined },
        { target: "interTokenLatency" as const, holds, breaks },
    ];

    it("target below it by the margin, max-num-seqs at it, replicas for the peak, as lines to paste", () => {
        const advice = recommend(limit(100, 103), 0.2, 500);
        expect(advice).toEqual({
            limit: 100,
            bound: "interTokenLatency",
            scalingTarget: 80,
            maxNumSeqs: 100,
            replicasMax: 7,
        });
        expect(configLines("ministral", advice)).toEqual([
            "pulumi config set --path models.ministral.scaling.target 80",
            "pulumi config set --path models.ministral.vllm.maxNumSeqs 100",
            "pulumi config set --path models.ministral.replicas.max 7",
        ]);
    });

    it("a margin too small for the autoscaler's tolerance is widened: the target must be passable", () => {
        const { scalingTarget, maxNumSeqs } = recommend(limit(100, 103), 0.01);
        expect(scalingTarget * 1.1).toBeLessThan(maxNumSeqs);
    });

    it("nothing to recommend when one request is too slow", () => {
        expect(() => recommend(limit(0, 1), 0.2)).toThrow(
            /one request at a time is already over the target interTokenLatency/,
        );
    });
});
