import * as pulumi from "@pulumi/pulumi";
import type { PolicyPackArgs, StackValidationArgs, StackValidationPolicy } from "@pulumi/policy";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";

const packs = vi.hoisted(() => [] as PolicyPackArgs[]);
vi.mock("@pulumi/policy", () => ({
    PolicyPack: class {
        constructor(_: string, args: PolicyPackArgs) {
            packs.push(args);
        }
    },
}));

const folder = mkdtempSync(join(tmpdir(), "policies-"));

/** The pack as the engine has it, for a stack with a price of its own: 0.05 euros a minute and GPU. */
beforeAll(async () => {
    // Nobody answers there: the public list has no say.
    vi.stubEnv("OVH_ENDPOINT", "http://127.0.0.1:9/1.0");
    const file = join(folder, "prices.yaml");
    writeFileSync(file, "currency: EUR\nprices:\n  ai-app.h100-1-gpu.minute.consumption: 0.05\n");
    pulumi.runtime.setAllConfig({ "ovhcloud-llm-serving:prices": JSON.stringify({ file }) });
    await import("../../policies/index");
});
afterAll(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
});

async function overspent(replicasMax: number, flavor = "h100-1-gpu"): Promise<string[]> {
    const policy = packs[0].policies.find(({ name }) => name === "spend-limit") as StackValidationPolicy;
    const props = {
        region: "GRA",
        resources: { flavor, gpu: 1 },
        scalingStrategy: { automatic: { replicasMin: 1, replicasMax } },
    };
    const urn = "urn:pulumi:dev::ovhcloud-llm-serving::pulumi-nodejs:dynamic/ovh-ai-deploy:App::chat";
    const app = { type: "pulumi-nodejs:dynamic/ovh-ai-deploy:App", name: "chat", urn, props, opts: { protect: false } };
    const said: string[] = [];
    const args = { resources: [app] } as unknown as StackValidationArgs;
    await (policy.validateStack as (args: StackValidationArgs, report: (message: string) => void) => Promise<void>)(
        args,
        (message) => void said.push(message),
    );
    return said;
}

it("the limit of euros goes by the stack's prices", async () => {
    expect(await overspent(8)).toEqual([]);
    expect(await overspent(11)).toEqual([
        expect.stringContaining("use 11 GPUs, and 8 are allowed"),
        expect.stringContaining("may cost 33.00 euros per hour, and 30 are allowed"),
    ]);
});

it("without a price the GPUs alone decide", async () => {
    expect(await overspent(11, "l40s-1-gpu")).toEqual([expect.stringContaining("use 11 GPUs")]);
});

it("each rule is a policy that refuses, and known holes are one that warns as well", () => {
    const levels = Object.fromEntries(packs[0].policies.map(({ name, enforcementLevel }) => [name, enforcementLevel]));
    expect(levels).toMatchObject({ "pinned-image": "mandatory", advisories: "mandatory", "spend-limit": "mandatory" });
    expect(Object.entries(levels).filter(([, level]) => level !== "mandatory")).toEqual([
        ["advisories-warned", "advisory"],
    ]);
});
