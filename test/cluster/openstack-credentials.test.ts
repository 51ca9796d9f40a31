import * as pulumi from "@pulumi/pulumi";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openStackFaults, refuseWithoutOpenStack } from "../../src/cluster/openstack-credentials";
import { ministral, parse, toSet } from "../settings/config";

const { projectId } = toSet;
const inPrivate = parse({ cluster: { network: "private", private: { vlanId: 100 } } });
const whole = {
    authUrl: "https://auth.example.org/v3",
    tenantId: projectId,
    userName: "user-made-up",
    password: "made-up-password",
};

describe("credentials of OpenStack", () => {
    it("are asked for only by what is made there", () => {
        expect(openStackFaults(parse({}), {})).toEqual([]);
        const kept = { grafana: { ...toSet.monitoring.grafana, keepAddress: true } };
        const door = { clients: ["search"], access: "loadBalancer", allowedSources: ["198.51.100.7/32"] };
        const withDoor = {
            ...ministral({ frontDoor: { ...door, keepAddress: true } }),
            clientKeys: { search: "made-up-key-of-search" },
        };
        const keys = [inPrivate, parse({ monitoring: kept }), parse(withDoor, ["huggingFaceToken", "clientKeys"])].map(
            (settings) => openStackFaults(settings, {}).map(({ key }) => key),
        );
        expect(keys).toEqual([
            ["cluster.network"],
            ["monitoring.grafana.keepAddress"],
            ["models.ministral.frontDoor.keepAddress"],
        ]);
    });

    it.each<[string, object]>([
        ["a user and password", whole],
        [
            "a user's id, and the project's name",
            { ...whole, userName: undefined, userId: "1", tenantId: undefined, tenantName: "9" },
        ],
        ["a token", { ...whole, userName: undefined, password: undefined, token: "made-up" }],
        [
            "an application credential",
            { authUrl: whole.authUrl, applicationCredentialId: "1", applicationCredentialSecret: "made-up" },
        ],
        ["a file of clouds", { cloud: "ovh" }],
    ])("are enough: %s", (_, given) => {
        const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
        expect(openStackFaults(inPrivate, set)).toEqual([]);
    });

    it.each<[string, object, RegExp]>([
        ["none at all", {}, /OS_AUTH_URL, OS_TENANT_ID, OS_USERNAME, OS_PASSWORD are not set/],
        ["no password", { ...whole, password: undefined }, /OS_PASSWORD is not set/],
        ["no project", { ...whole, tenantId: undefined }, /OS_TENANT_ID is not set/],
        [
            "half an application credential",
            { authUrl: whole.authUrl, applicationCredentialId: "1" },
            /OS_APPLICATION_CREDENTIAL_SECRET is not set/,
        ],
    ])("that lack something are refused with what to set: %s", (_, given, message) => {
        const [{ key, found, fix }] = openStackFaults(inPrivate, given);
        expect([key, found]).toEqual(["cluster.network", '"private"']);
        expect(fix).toMatch(message);
        expect(fix).toContain(`OS_TENANT_ID=${projectId} `);
        expect(fix).not.toContain("made-up-password");
    });

    it("of another project are refused: the network would not be where the cluster is", () => {
        const [{ fix }] = openStackFaults(inPrivate, { ...whole, tenantId: "f".repeat(32) });
        expect(fix).toContain(`in project ${"f".repeat(32)}`);
        expect(fix).toContain(`export OS_TENANT_ID=${projectId}`);
    });
});

describe("where they are taken from", () => {
    afterEach(() => vi.unstubAllEnvs());

    it("stack config goes before the environment", () => {
        pulumi.runtime.setAllConfig({ "openstack:password": "of the config" });
        for (const name of ["OS_CLOUD", "OS_TOKEN", "OS_APPLICATION_CREDENTIAL_ID"]) vi.stubEnv(name, "");
        vi.stubEnv("OS_PASSWORD", "");
        vi.stubEnv("OS_AUTH_URL", whole.authUrl);
        vi.stubEnv("OS_PROJECT_ID", projectId);
        vi.stubEnv("OS_TENANT_ID", "");
        vi.stubEnv("OS_USERNAME", whole.userName);
        expect(() => refuseWithoutOpenStack(inPrivate)).not.toThrow();
        vi.stubEnv("OS_USERNAME", "");
        expect(() => refuseWithoutOpenStack(inPrivate)).toThrow(
            /cluster\.network: "private"; .*OS_USERNAME is not set/,
        );
    });
});
