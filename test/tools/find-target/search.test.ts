import { describe, expect, it } from "vitest";
import { Engine, type EngineConfig } from "../../../sandbox/vllm/engine";
import { kvBlocks, ministral14bOnH100 } from "../../../sandbox/vllm/profiles";
import { seededRandom } from "../../../tools/random";
import { configLines, findLimits, recommend, type Level } from "../../../tools/find-target/search";

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

/** A closed loop of so many workers against the engine, in virtual time: what `measureLevel` sees of a real one. */
async function measure(concurrency: number, seconds: number, spread = 0.05): Promise<Level> {
    const engine = new Engine(engineOf(spread));
    const random = seededRandom(concurrency);
    const ramp = 10;
    let now = 0;
    let next = 0;
    const due = Array.from({ length: concurrency }, (_, i) => (i * ramp) / concurrency);
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
    firsts.sort((a, b) => a - b);
    gaps.sort((a, b) => a - b);
    const mean = gaps.reduce((a, b) => a + b, 0) / gaps.length;
    const at = (sorted: number[]): number => sorted[Math.floor(0.95 * (sorted.length - 1))];
    return {
        concurrency,
        requests,
        failures: 0,
        timeToFirstToken: at(firsts),
        interTokenLatency: at(gaps),
        meanInterToken: mean,
        outputTokensPerSecond: concurrency / mean,
    };
}

describe("the limit of a replica is found", () => {
    it.each([0.02, 0.03, 0.04])(
        "within 5 % of the profile's own, with %f s between tokens",
        async (interTokenLatency) => {
            const targets = { timeToFirstToken: 1, interTokenLatency };
            let asked = 0;
            const { limits } = await findLimits(
                (concurrency) => {
                    asked++;
                    return measure(concurrency, 40);
                },
                { targets, most: 256, precision: 0.03 },
            );
            const found = limits.find(({ target }) => target === "interTokenLatency")!;
            const long = async (share: number) =>
                (await measure(Math.round(found.holds * share), 160)).interTokenLatency;
            expect(await long(0.95), `found ${found.holds}`).toBeLessThanOrEqual(targets.interTokenLatency);
            expect(await long(1.05), `found ${found.holds}`).toBeGreaterThan(targets.interTokenLatency);
            expect(asked).toBeLessThan(25);
        },
    );

    it("and where the arithmetic is plain, it is what follows from the step's time", async () => {
        // Without spread and prompts: base + n (decode + context) is the target at this n.
        const { base, decodeSequence, contextToken } = ministral14bOnH100.step;
        const step = (n: number): number => base + n * (decodeSequence + contextToken * 400);
        const plain = async (concurrency: number): Promise<Level> => ({
            concurrency,
            requests: 1,
            failures: 0,
            timeToFirstToken: 0.1,
            interTokenLatency: step(concurrency),
            meanInterToken: step(concurrency),
            outputTokensPerSecond: 1,
        });
        const target = step(300);
        const { limits } = await findLimits(plain, {
            targets: { timeToFirstToken: 1, interTokenLatency: target },
            most: 1024,
            precision: 0.001,
        });
        expect(limits).toEqual([
            { target: "timeToFirstToken", holds: 1024, breaks: undefined },
            { target: "interTokenLatency", holds: 300, breaks: 301 },
        ]);
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
