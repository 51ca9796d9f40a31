import { describe, expect, it } from "vitest";
import { NoCredentialsError, resolveCredentials, type Sources } from "../../../packages/ai-deploy/src/api/credentials";
import { appInputs } from "../app/inputs";
import { startProvider } from "../provider-process";
import { Stack } from "../stack";

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

    it.each<[string, Parameters<typeof resolve>[0], RegExp]>([
        ["no endpoint", { env: { OVH_ACCESS_TOKEN: "canary" } }, /endpoint is not set: set OVH_ENDPOINT/],
        [
            "an unknown endpoint",
            { env: { OVH_ENDPOINT: "ovh-mars" } },
            /^OVH_ENDPOINT \(environment\) is "ovh-mars", which is unknown: give ovh-eu/,
        ],
        [
            "the name of a method of every object",
            { config: { "ovh:endpoint": "toString" }, env: keys },
            /^ovh:endpoint \(stack config\) is "toString", which is unknown/,
        ],
        ["no URL", { env: { ...keys, OVH_ENDPOINT: "eu.api.ovh.com/1.0" } }, /is not a URL: give https:\/\/HOST\/v1/],
        ["nothing else", { env: { OVH_ENDPOINT: "ovh-eu" } }, /credentials are not set: set OVH_CLIENT_ID/],
        [
            "a key too few",
            { env: { ...keys, OVH_CONSUMER_KEY: "" } },
            /incomplete: beside OVH_APPLICATION_KEY .*, set OVH_CONSUMER_KEY or ovh:consumerKey/,
        ],
        [
            "two kinds, from two places",
            { env: keys, config: { "ovh:accessToken": "canary" } },
            /more than one kind are set \(application key: OVH_APPLICATION_KEY \(environment\), .*; access token: ovh:accessToken \(stack config\)\).* Keep one kind: unset OVH_APPLICATION_KEY, .*; or pulumi config rm ovh:accessToken$/,
        ],
        [
            "OAuth2 with an address of one's own",
            { env: { OVH_ENDPOINT: "http://127.0.0.1:1/v1", OVH_CLIENT_ID: "i", OVH_CLIENT_SECRET: "canary" } },
            /work with ovh-eu, ovh-ca and ovh-us only, and OVH_ENDPOINT \(environment\) is http/,
        ],
    ])("%s: an error that says what to set, and no value", (_what, given, expected) => {
        expect(() => resolve(given)).toThrow(expected);
        expect(() => resolve(given)).not.toThrow(/canary/);
    });

    it.each<Record<string, string>>([{}, { OVH_ENDPOINT: "ovh-eu" }])(
        "%o: nothing is set, which a preview can do with",
        (env) => {
            expect(() => resolve({ env })).toThrow(NoCredentialsError);
        },
    );
});

describe("credentials that are set and cannot be used", () => {
    it.each<[Record<string, string>, RegExp]>([
        [{ OVH_ENDPOINT: "nonsense" }, /OVH_ENDPOINT \(environment\) is "nonsense"/],
        [{ ...keys, OVH_ACCESS_TOKEN: "canary" }, /more than one kind/],
        [{ OVH_AI_DEPLOY_POLL_MS: "soon" }, /OVH_AI_DEPLOY_POLL_MS is "soon"/],
    ])("%o: a preview without changes says so", async (env, expected) => {
        const provider = await startProvider({ OVH_CLOUD_PROJECT_SERVICE: "p", ...env });
        try {
            await expect(new Stack(provider).preview(appInputs())).rejects.toThrow(expected);
            const token = { name: "t", region: "GRA", role: "ai_training_read" };
            await expect(new Stack(provider, "token").preview(token)).rejects.toThrow(expected);
            expect(provider.output()).not.toContain("canary");
        } finally {
            await provider.close();
        }
    });

    it("none at all: a preview of what is new works", async () => {
        const provider = await startProvider({ OVH_CLOUD_PROJECT_SERVICE: "p" });
        try {
            expect(await new Stack(provider).preview(appInputs())).toBe("create");
        } finally {
            await provider.close();
        }
    });
});
