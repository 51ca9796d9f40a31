import * as pulumi from "@pulumi/pulumi";
import { beforeAll, expect, it } from "vitest";
import { actors } from "../../access/actors";

const made: { type: string; name: string; inputs: Record<string, unknown> }[] = [];
let outputs: typeof import("../../access/index");

beforeAll(async () => {
    process.env.PULUMI_CONFIG = JSON.stringify({ "project:projectId": "0123456789abcdef0123456789abcdef" });
    await pulumi.runtime.setMocks(
        {
            newResource: ({ type, name, inputs }) => {
                made.push({ type, name, inputs: inputs as Record<string, unknown> });
                const client = {
                    clientId: `id-of-${name}`,
                    clientSecret: "made-up",
                    identity: `urn:v1:eu:identity:${name}`,
                };
                return { id: name, state: { ...inputs, ...client } };
            },
            call: () => ({}),
        },
        "project",
        "team",
        false,
    );
    outputs = await import("../../access/index");
    await new Promise((done) => setTimeout(done, 100));
});

it("makes an account for each actor, and a policy for that account on this project alone", () => {
    const policies = made.filter(({ type }) => type === "ovh:Iam/policy:Policy");
    expect(policies.map(({ name }) => name).sort()).toEqual([...actors].sort());
    for (const { name, inputs } of policies) {
        expect(inputs.identities).toEqual([`urn:v1:eu:identity:${name}`]);
        expect(inputs.resources).toEqual(["urn:v1:eu:resource:publicCloudProject:0123456789abcdef0123456789abcdef"]);
        expect((inputs.allows as string[]).every((action) => !action.includes("*"))).toBe(true);
        expect(inputs).not.toHaveProperty("denies");
    }
    expect(made.filter(({ type }) => type.endsWith(":APIOAuth2Client"))).toHaveLength(actors.length);
});

it("hands out the secrets as secrets", async () => {
    for (const actor of actors) {
        expect(await pulumi.isSecret(outputs.accounts[actor].OVH_CLIENT_SECRET)).toBe(true);
    }
});
