import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { calibrate } from "../../../tools/find-target/calibrate";
import { measureLevel, measurePrompts, type Measured, type MeasureOptions } from "../../../tools/find-target/measure";
import { fastProfile, model, readyReplica, type TestReplica } from "../../sandbox/vllm/replica";

// A step of n sequences takes 50 ms + n x 2.5 ms, so that with more than 40 of them no token keeps to 150 ms. Slow steps: what
// a busy machine adds is little beside them.
const step = { base: 0.05, prefillToken: 0.00001, decodeSequence: 0.0025, contextToken: 0, spread: 0 };
const limit = 40;

let server: TestReplica;
beforeAll(async () => {
    server = await readyReplica([], { profiles: [{ ...fastProfile, step }] });
});
afterAll(() => server.replica.stop());

const options = (more: Partial<MeasureOptions> = {}): MeasureOptions => ({
    endpoint: { baseUrl: `${server.url}/v1` },
    model,
    seconds: 3,
    promptTokens: 4,
    outputTokens: 24,
    targets: { timeToFirstToken: 1, interTokenLatency: 0.15 },
    ...more,
});

// Other tests run beside it: what they take of the machine is in a measurement, and seldom in three.
describe("a level, measured on a running server", { retry: 2 }, () => {
    const measured: Measured[] = [];

    it("holds 5 % below the profile's limit and breaks 5 % above it, by the server's own count", async () => {
        const below = await measureLevel(limit * 0.95, options());
        const above = await measureLevel(limit * 1.05, options());
        measured.push(below, above);
        expect(below.level).toMatchObject({ workers: 38, failures: 0 });
        expect(below.level.within.interTokenLatency).toBeGreaterThanOrEqual(0.95);
        expect(above.level.within.interTokenLatency, `${above.level.atOnce} at once`).toBeLessThan(0.95);
        // Never more than there are workers; how many fewer is this machine's business.
        for (const { level } of measured) expect(level.atOnce).toBeLessThan(level.workers * 1.02);
    });

    it("and with longer prompts, and single ones, gives the engine's step back", async () => {
        measured.push(await measureLevel(1, options()), await measureLevel(10, options({ promptTokens: 300 })));
        const prompts = await measurePrompts(options(), [32, 256]);
        const { step: fitted } = calibrate([...measured.map(({ measurement }) => measurement), ...prompts]);
        expect(Math.abs(fitted.base / step.base - 1)).toBeLessThan(0.05);
        expect(Math.abs(fitted.decodeSequence / step.decodeSequence - 1)).toBeLessThan(0.1);
    });

    it("says why there is nothing to go by", async () => {
        const targets = { timeToFirstToken: 1, interTokenLatency: 0.151 };
        const short = options({ seconds: 1, outputTokens: 2, targets });
        await expect(measureLevel(1, short)).rejects.toThrow("vLLM counts in no bucket up to 0.151 s");
        await expect(measureLevel(1, { ...short, model: "another/model" })).rejects.toThrow(/no answer.*404/);
    });
});
