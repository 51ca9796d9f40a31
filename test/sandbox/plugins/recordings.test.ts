import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { installStandIn, temporaryFolder } from "./engine";
import { scenarios, withRealPauses } from "./recordings/ovh-scenarios";
import { startSession } from "./recordings/session";

const folder = join(__dirname, "recordings/ovh");
const dir = temporaryFolder();
let executable: string;
beforeAll(async () => {
    executable = await installStandIn("ovh", dir);
});
afterAll(() => rmSync(dir, { recursive: true }));

it("has a recording of each scenario, and no other", () => {
    const recorded = readdirSync(folder).map((name) => name.replace(/\.txt$/, ""));
    expect(recorded.sort()).toEqual(Object.keys(scenarios).sort());
});

describe.concurrent("the ovh stand-in does as the real plugin did:", () => {
    it.each(Object.keys(scenarios))("%s", async (name) => {
        const session = await startSession(executable, withRealPauses.includes(name) ? "" : "30");
        try {
            await scenarios[name](session);
            expect(session.text()).toBe(readFileSync(join(folder, `${name}.txt`), "utf8"));
        } finally {
            await session.close();
        }
    });
});
