import { afterEach, beforeEach, expect, it } from "vitest";
import { resolveCredentials } from "../../packages/ai-deploy/src/api/credentials";
import type { AppAddress } from "../../tools/loadtest";
import { awaken } from "../../tools/wake";
import { accessToken, appBody, projectId, scaling, startTestCloud, type TestCloud } from "../sandbox/ovhcloud/cloud";

let cloud: TestCloud;
let app: AppAddress;
let token: string;
beforeEach(async () => {
    cloud = await startTestCloud({ callsPerMinute: Infinity });
    const windows = { scaleDownStabilizationWindowSeconds: 600, cooldownPeriodSeconds: 600 };
    const scalingStrategy = scaling({ replicasMin: 0, ...windows });
    const { id } = await cloud.api("POST", "/ai/app", appBody({ scalingStrategy }));
    token = (await cloud.api("POST", "/ai/token", { name: "t", region: "GRA", role: "ai_training_read" })).status.value;
    const credentials = resolveCredentials({
        config: () => undefined,
        env: { OVH_ENDPOINT: cloud.cloud.url, OVH_ACCESS_TOKEN: accessToken },
        files: [],
    });
    app = { credentials, projectId, appId: id };
    await cloud.until(id, "asleep", ({ state }) => state === "STANDBY");
});
afterEach(() => cloud.close());

const asked: string[] = [];
const knock = async () => asked.push((await cloud.ask(cloud.app(app.appId), "/v1/models", { token })).body);
const options = { knock, log: () => undefined, periodMs: 20 };

it("a model that sleeps is left alone, and who asks is told how to wake it", async () => {
    await expect(awaken(app, { ...options, wake: false })).rejects.toThrow("npm run chat -- --wake hello");
    expect(asked).toEqual([]);
    expect(cloud.app(app.appId).state).toBe("STANDBY");
});

it.each(["refused", "held"])("it is woken on demand, where the first request is %s", async (wakingRequest) => {
    await cloud.control("POST", "sleep", { wakingRequest });
    const lines: string[] = [];
    await awaken(app, { ...options, wake: true, log: (line) => lines.push(line) });
    expect(cloud.app(app.appId).availableReplicas).toBe(1);
    expect(lines[0]).toContain("asleep");
});

it("that no replica comes is said, with the reason", async () => {
    await cloud.control("POST", "platform/faults", { kind: "quota" });
    await expect(awaken(app, { ...options, wake: true, patienceMs: 500 })).rejects.toThrow(/SCALING: no GPU is left/);
});

it("of one whose state cannot be read nothing is known: whoever asks goes on", async () => {
    await awaken("no credentials", { ...options, wake: false });
    await awaken({ ...app, appId: "00000000-0000-4000-8000-000000000000" }, { ...options, wake: false });
});
