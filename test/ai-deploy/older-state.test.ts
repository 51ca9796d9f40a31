import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { appInputs } from "./app/inputs";
import type { TestCloud } from "./cloud";
import { startCloudAndProvider } from "./cloud-and-provider";
import type { Bag, ProviderProcess } from "./provider-process";
import { Stack } from "./stack";

// The states go to the provider as they were written, the text of their stub included.

let cloud: TestCloud;
let provider: ProviderProcess;

startCloudAndProvider((started) => ({ cloud, provider } = started));

const folder = join(__dirname, "states");

/** The state of a release, of an app and a token that the platform has. */
async function stateOf(file: string): Promise<Record<"app" | "token" | "authorization", { id: string } & Bag>> {
    const app = new Stack(provider);
    await app.up(appInputs());
    const token = new Stack(provider, "token");
    await token.up({
        name: "scrape",
        region: "GRA",
        role: "ai_training_read",
        labelSelector: "group=test",
        rotation: "1",
    });
    await new Stack(provider, "authorization").up({});
    const text = readFileSync(join(folder, file), "utf8");
    return JSON.parse(
        text.replaceAll("APP_ID", app.resource!.id).replaceAll("TOKEN_ID", token.resource!.id),
    ) as Awaited<ReturnType<typeof stateOf>>;
}

describe.each(readdirSync(folder))("the state that release %s wrote", (file) => {
    it("is understood: no change, read, changed in place, deleted", async () => {
        const { app, token, authorization } = await stateOf(file);
        for (const one of [app, token, authorization]) {
            expect(await provider.diff(one.id, one.outputs as Bag, one.inputs as Bag)).toMatchObject({
                changes: false,
            });
            const read = await provider.read(one.id, one.outputs as Bag);
            expect(read.id).toBe(one.id);
            expect(read.inputs).toMatchObject(one.inputs as Bag);
        }
        const news = { ...(app.inputs as Bag), adoptionLabel: "label-0a1b2c3d" };
        expect(await provider.diff(app.id, app.outputs as Bag, news)).toMatchObject({ changes: true, replaces: [] });
        expect(await provider.update(app.id, app.outputs as Bag, news)).toMatchObject({ appId: app.id });
        const renewed = await provider.update(token.id, token.outputs as Bag, {
            ...(token.inputs as Bag),
            rotation: "2",
        });
        expect(renewed.value).not.toBe((token.outputs as Bag).value);
        for (const one of [app, token, authorization]) await provider.delete(one.id, one.outputs as Bag);
        expect(cloud.api.apps()).toEqual([]);
        expect(cloud.api.tokens()).toEqual([]);
    });
});
