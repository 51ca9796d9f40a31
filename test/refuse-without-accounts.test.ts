import { afterAll, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { sandboxCredentials, tokenOf } from "../sandbox/credentials";
import { startTestCloud, type TestCloud } from "./sandbox/ovhcloud/cloud";
import { parse } from "./settings/config";

let cloud: TestCloud;
beforeAll(async () => {
    cloud = await startTestCloud({ credentials: sandboxCredentials, callsPerMinute: Infinity });
});
afterAll(() => cloud.close());
beforeEach(() => void vi.resetModules());

const sleepy = { models: { ministral: { replicas: { min: 0 } } } };
const leased = { models: { ministral: { lease: { until: "2990-01-01T00:00:00Z" } } } };

/** What the program says to these settings, with the credentials of who deploys, who may make no accounts. */
async function said(settings: object): Promise<string> {
    const none = { OVH_APPLICATION_KEY: "", OVH_APPLICATION_SECRET: "", OVH_CONSUMER_KEY: "" };
    const env = { ...none, OVH_ENDPOINT: cloud.cloud.url, OVH_ACCESS_TOKEN: tokenOf("deploy") };
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    try {
        const { refuseWithoutAccounts } = await import("../src/refuse-without-accounts");
        const parsed = parse({ ...settings }, ["huggingFaceToken", "appReaderKey", "controllerClientSecret"]);
        return await refuseWithoutAccounts(parsed).then(
            () => "",
            (error: Error) => error.message,
        );
    } finally {
        vi.unstubAllEnvs();
    }
}

it("a stack that may make no accounts is told of each that it would need, and how to give it", async () => {
    const both = { models: { ministral: { ...sleepy.models.ministral, ...leased.models.ministral } } };
    const message = await said(both);
    expect(message).toMatch(/has 2 faults, so nothing was changed/);
    expect(message).toMatch(/:appReaderKey: \(not set\); .*docs\/scaling\.md.*pulumi config set --secret appReaderKey/);
    expect(message).toMatch(
        /:controllerClientId: \(not set\); .*docs\/hours\.md.*pulumi config set controllerClientId/,
    );
});

it("of the two only what it needs and was not given", async () => {
    expect(await said(sleepy)).toMatch(/has 1 fault.*\n.*:appReaderKey:/);
    expect(await said({ ...sleepy, appReaderKey: "a-key:a-secret:a-consumer-key" })).toBe("");
    const client = { controllerClientId: "EU.0123456789abcdef", controllerClientSecret: "made-up" };
    expect(await said({ ...leased, ...client })).toBe("");
    expect(await said({})).toBe("");
});

it("whoever may make them is told nothing", async () => {
    // The package keeps one connection for the process.
    const glance = (): Promise<string[]> => Promise.resolve([]);
    vi.doMock("pulumi-ovh-ai-deploy", async (original) => ({
        ...(await original<object>()),
        connect: () => ({ client: { glance } }),
    }));
    expect(await said(sleepy)).toBe("");
    vi.doUnmock("pulumi-ovh-ai-deploy");
});
