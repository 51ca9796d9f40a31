import { describe, expect, it } from "vitest";
import { resolveCredentials, type Sources } from "../../packages/ai-deploy/src/credentials";

function resolve(given: { config?: Record<string, string>; env?: Record<string, string>; files?: string[] }) {
    const sources: Sources = {
        config: (key) => given.config?.[key],
        env: given.env ?? {},
        files: given.files ?? [],
    };
    return resolveCredentials(sources);
}

const keys = {
    OVH_ENDPOINT: "ovh-eu",
    OVH_APPLICATION_KEY: "ak",
    OVH_APPLICATION_SECRET: "canary-secret",
    OVH_CONSUMER_KEY: "ck",
};

describe("credentials, as go-ovh finds them", () => {
    it("from the environment", () => {
        expect(resolve({ env: keys })).toEqual({
            baseUrl: "https://eu.api.ovh.com/v1",
            auth: { kind: "signature", applicationKey: "ak", applicationSecret: "canary-secret", consumerKey: "ck" },
        });
    });

    it("stack config goes before the environment, and that before ovh.conf", () => {
        const file = "[default]\nendpoint=ovh-ca\n[ovh-eu]\napplication_key = from-file\nconsumer_key=file-ck\n";
        const { OVH_CONSUMER_KEY: _, ...env } = keys;
        const { auth } = resolve({ config: { "ovh:applicationKey": "from-config" }, env, files: [file] });
        expect(auth).toMatchObject({ applicationKey: "from-config", consumerKey: "file-ck" });
    });

    it("OAuth2, with the endpoint's token address", () => {
        const env = { OVH_ENDPOINT: "ovh-ca", OVH_CLIENT_ID: "id", OVH_CLIENT_SECRET: "secret" };
        expect(resolve({ env }).auth).toMatchObject({ tokenUrl: "https://ca.ovh.com/auth/oauth2/token" });
    });

    it.each([
        ["http://127.0.0.1:1/1.0", "http://127.0.0.1:1/v1"],
        ["http://127.0.0.1:1/v1/", "http://127.0.0.1:1/v1"],
        ["https://api.example.com", "https://api.example.com/v1"],
    ])("endpoint %s is %s", (endpoint, baseUrl) => {
        expect(resolve({ env: { ...keys, OVH_ENDPOINT: endpoint } }).baseUrl).toBe(baseUrl);
    });

    it.each<[string, Record<string, string>, RegExp]>([
        ["no endpoint", {}, /endpoint is not set: set OVH_ENDPOINT/],
        ["an unknown endpoint", { OVH_ENDPOINT: "ovh-mars" }, /"ovh-mars" is unknown: use ovh-eu/],
        ["nothing else", { OVH_ENDPOINT: "ovh-eu" }, /credentials are not set: set OVH_CLIENT_ID/],
        ["a key too few", { ...keys, OVH_CONSUMER_KEY: "" }, /incomplete: set OVH_CONSUMER_KEY/],
        [
            "two kinds",
            { ...keys, OVH_ACCESS_TOKEN: "t" },
            /more than one kind are set \(application key, access token\)/,
        ],
    ])("%s: an error that says what to set, and no value", (_what, env, expected) => {
        expect(() => resolve({ env })).toThrow(expected);
        expect(() => resolve({ env })).not.toThrow(/canary/);
    });
});
