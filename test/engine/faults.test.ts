import { expect, it } from "vitest";
import { runFaultSequences } from "../ai-deploy/app/faults";

it("1,000 random sequences under faults break no promise", { timeout: 900_000 }, async () => {
    // The same ones each time, so that a change is judged by what it changes. New ones: `npm run test:faults`.
    const seed = Number(process.env.TEST_SEED ?? 665026);
    // To replay: npm run test:faults -- --sequences 1000 --seed SEED
    console.log(`1000 sequences, seed ${seed}`);
    await expect(runFaultSequences({ sequences: 1000, seed })).resolves.toBeUndefined();
});
