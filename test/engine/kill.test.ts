import { expect, it } from "vitest";
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
