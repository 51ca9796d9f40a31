import * as pulumi from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
    getApp,
    getAppOutput,
    getFlavors,
    getFlavorsOutput,
    getQuota,
    getRegions,
    getRegionsOutput,
} from "../../packages/ai-deploy/src/lookups";
import { appInputs } from "./app/inputs";
import type { TestCloud } from "./cloud";
import { startCloudAndProvider } from "./cloud-and-provider";
import type { ProviderProcess } from "./provider-process";
import { Stack } from "./stack";

let cloud: TestCloud;
let provider: ProviderProcess;

startCloudAndProvider((started) => ({ cloud, provider } = started));
beforeAll(() => {
    for (const [name, value] of Object.entries(cloud.env)) vi.stubEnv(name, value);
});
afterAll(() => void vi.unstubAllEnvs());

function valueOf<T>(output: pulumi.Output<T>): Promise<T> {
    return new Promise((resolve) => void output.apply(resolve));
}

describe("look-ups", () => {
    it("regions", async () => {
        expect((await getRegions()).map(({ id }) => id)).toEqual(["GRA", "BHS"]);
        expect((await valueOf(getRegionsOutput())).length).toBe(2);
    });

    it("flavors of a region, with their limits", async () => {
        const h100 = (await getFlavors({ region: "BHS" })).find(({ id }) => id === "h100-1-gpu");
        expect(h100).toMatchObject({ type: "gpu", max: 4, gpuInformation: { gpuModel: "H100" } });
        expect(await valueOf(getFlavorsOutput({ region: pulumi.output("BHS") }))).toContainEqual(h100);
        await expect(getFlavors({ region: "XXX" })).rejects.toThrow(/looking up flavors of XXX: .*XXX does not exist/);
    });

    it("quota", async () => {
        expect((await getQuota()).resources).toHaveProperty("gpu");
    });

    it("the one app with a label", async () => {
        await expect(getApp({ labels: { group: "look" } })).rejects.toThrow(/no app has the labels group=look/);
        const stacks = [new Stack(provider), new Stack(provider)];
        await stacks[0].up(appInputs({ adoptionLabel: "one", labels: { group: "look" } }));
        const found = await getApp({ labels: { group: "look" } });
        expect(found).toMatchObject({ appId: stacks[0].resource!.id, name: "test-app", state: "RUNNING" });
        expect(await valueOf(getAppOutput({ labels: { group: pulumi.output("look") } }))).toEqual(found);
        await stacks[1].up(appInputs({ adoptionLabel: "two", labels: { group: "look" } }));
        await expect(getApp({ labels: { group: "look" } })).rejects.toThrow(
            /2 apps have the labels group=look: .*Give labels/,
        );
        expect(cloud.api.violations()).toEqual([]);
    });
});
