import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { installStandIn, temporaryFolder } from "./engine";
import { scenarios as openStackScenarios } from "./recordings/openstack-scenarios";
import { startOpenStackSession } from "./recordings/openstack-session";
import { scenarios, withRealPauses } from "./recordings/ovh-scenarios";
import { startSession } from "./recordings/session";

const recording = (plugin: string, name: string): string =>
    readFileSync(join(__dirname, "recordings", plugin, `${name}.txt`), "utf8");
const dir = temporaryFolder();
let executable: string;
beforeAll(async () => {
    executable = await installStandIn("ovh", dir);
});
afterAll(() => rmSync(dir, { recursive: true }));

it.each([
    ["ovh", Object.keys(scenarios)],
    ["openstack", Object.keys(openStackScenarios)],
])("has a recording of each scenario of the %s plugin, and no other", (plugin, names) => {
    const recorded = readdirSync(join(__dirname, "recordings", plugin)).map((name) => name.replace(/\.txt$/, ""));
    expect(recorded.sort()).toEqual(names.sort());
});

describe.concurrent("the ovh stand-in does as the real plugin did:", () => {
    it.each(Object.keys(scenarios))("%s", async (name) => {
        const session = await startSession(executable, withRealPauses.includes(name) ? "" : "30");
        try {
            await scenarios[name](session);
            expect(session.text()).toBe(recording("ovh", name));
        } finally {
            await session.close();
        }
    });
});

describe("the openstack stand-in does as the real plugin did:", () => {
    it.each(Object.keys(openStackScenarios))("%s", async (name) => {
        // What is made is kept in the sandbox's folder, so that each scenario has one of its own.
        const own = temporaryFolder();
        const session = await startOpenStackSession(await installStandIn("openstack", own));
        try {
            await openStackScenarios[name](session);
            expect(session.text()).toBe(recording("openstack", name));
        } finally {
            await session.close();
            rmSync(own, { recursive: true });
        }
    });
});
