import { expect, it } from "vitest";
import { isTornDown, runTeardowns, teardownsTable } from "./teardowns";
import { header, isAsPromised, row, runKills } from "./kill";

it(
    "killed at any moment, one up later there is exactly one app, and nothing left to do",
    { timeout: 1_800_000 },
    async () => {
        // The same moments each time; new ones: `npm run test:kill`.
        const seed = Number(process.env.TEST_SEED ?? 7);
        const kills = await runKills({ moments: 20, seed });
        console.log([`seed ${seed}`, header, ...kills.map(row)].join("\n"));
        expect(kills.filter((kill) => !isAsPromised(kill))).toEqual([]);
        expect(kills).toHaveLength(20);
    },
);

it("a destroy that was killed is finished by another, and what it has left until then is known", async () => {
    // More moments: node --import tsx test/engine/teardowns.ts --moments 10
    const teardowns = await runTeardowns(2, Number(process.env.TEST_SEED ?? 7));
    console.log(teardownsTable(teardowns));
    expect(teardowns.filter((one) => !isTornDown(one))).toEqual([]);
    expect(teardowns).toHaveLength(2);
});
