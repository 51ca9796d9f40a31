import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { deploy } from "./deploy";

const config = {
    projectId: "0123456789abcdef0123456789abcdef",
    huggingFaceToken: "hf_test",
    monitoring: { grafana: { allowedSources: ["198.51.100.7/32"] } },
};

beforeEach(() => {
    const credentials = [
        "ENDPOINT",
        "APPLICATION_KEY",
        "APPLICATION_SECRET",
        "CONSUMER_KEY",
        "CLIENT_ID",
        "CLIENT_SECRET",
    ];
    for (const name of [...credentials, "ACCESS_TOKEN"]) vi.stubEnv(`OVH_${name}`, "");
});
afterEach(() => void vi.unstubAllEnvs());

describe("credentials that are set and cannot be used are refused before the first resource", () => {
    it.each<[Record<string, string>, RegExp]>([
        [{ OVH_ENDPOINT: "nonsense" }, /^OVH_ENDPOINT \(environment\) is "nonsense".*\nNothing was changed\.$/],
        [
            { OVH_ENDPOINT: "ovh-eu", OVH_ACCESS_TOKEN: "canary", OVH_CLIENT_ID: "canary" },
            /^OVHcloud credentials of more than one kind are set/,
        ],
    ])("%o", async (env, expected) => {
        for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
        const refused = await deploy({ stack: "dev", config }).catch((error: unknown) => error);
        expect((refused as Error).message).toMatch(expected);
        expect((refused as Error).message).not.toContain("canary");
    });

    it("together with every fault of the config", async () => {
        vi.stubEnv("OVH_ENDPOINT", "nonsense");
        const refused = await deploy({ stack: "dev", config: { ...config, cluster: { plan: "gold" } } }).catch(
            (error: unknown) => error,
        );
        expect((refused as Error).message).toMatch(/cluster\.plan: .*\nOVH_ENDPOINT \(environment\) is "nonsense"/);
    });

    it("none at all is no fault", async () => {
        expect((await deploy({ stack: "dev", config })).find("App").name).toBe("ministral");
    });
});
