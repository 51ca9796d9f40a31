import { execFileSync, spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { moveState, type ExportedState } from "../../../packages/ai-deploy/src/plugin/move-state";
import { stub } from "../../../packages/ai-deploy/src/resources";
import { appInputs } from "../app/inputs";
import { startTestCloud } from "../cloud";
import { startProvider } from "../provider-process";
import { Stack } from "../stack";
import { executable, startPluginProcess, types } from "./plugin-process";

const dynamic = "pulumi-nodejs:dynamic/ovh-ai-deploy";
const urn = (type: string, name: string): string => `urn:pulumi:dev::shop::${type}::${name}`;
const oldProvider = `${urn("pulumi:providers:pulumi-nodejs", "default")}::0001`;

/** A stack with a component that holds an app, a wait for it, a token and what is not ours. */
function exported(): ExportedState & { deployment: { resources: Record<string, any>[] } } {
    const parent = urn("shop:index:Model", "chat");
    const app = urn(`shop:index:Model$${dynamic}:App`, "chat");
    return {
        version: 3,
        deployment: {
            resources: [
                { urn: urn("pulumi:pulumi:Stack", "shop-dev"), type: "pulumi:pulumi:Stack", custom: false },
                { urn: urn("pulumi:providers:pulumi-nodejs", "default"), type: "pulumi:providers:pulumi-nodejs" },
                { urn: parent, type: "shop:index:Model" },
                {
                    urn: app,
                    type: `${dynamic}:App`,
                    custom: true,
                    id: "app-1",
                    parent,
                    provider: oldProvider,
                    inputs: { name: "chat", __provider: stub("app") },
                    outputs: { name: "chat", appId: "app-1", __provider: stub("app") },
                },
                {
                    urn: urn(`${dynamic}:AppReady`, "chat"),
                    type: `${dynamic}:AppReady`,
                    custom: true,
                    id: "app-1",
                    provider: oldProvider,
                    dependencies: [app],
                    propertyDependencies: { appId: [app] },
                    inputs: { appId: "app-1", __provider: stub("appReady") },
                    outputs: { appId: "app-1", state: "RUNNING", __provider: stub("appReady") },
                },
                {
                    urn: urn(`${dynamic}/other:Thing`, "theirs"),
                    type: "pulumi-nodejs:dynamic/other:Thing",
                    custom: true,
                    provider: oldProvider,
                    inputs: { __provider: "their code", text: `about ${dynamic}:App` },
                },
            ],
        },
    };
}

describe("a state moved to the plugin", () => {
    it("has our resources by the plugin's types, wherever a URN stands, and the rest as it was", () => {
        const before = exported();
        const { resources } = moveState(before, () => "0002").deployment as { resources: Record<string, any>[] };
        const provider = `${urn("pulumi:providers:ovh-ai-deploy", "default_0_1_0")}::0002`;
        const app = urn("shop:index:Model$ovh-ai-deploy:index:App", "chat");
        expect(resources).toMatchObject([
            ...before.deployment.resources.slice(0, 3),
            { urn: provider.replace(/::0002$/, ""), id: "0002", custom: true, type: "pulumi:providers:ovh-ai-deploy" },
            { urn: app, type: types.app, id: "app-1", provider, parent: before.deployment.resources[2].urn },
            { type: types.appReady, provider, dependencies: [app], propertyDependencies: { appId: [app] } },
            before.deployment.resources[5],
        ]);
        expect(resources[4].inputs).toEqual({ name: "chat" });
        expect(resources[4].outputs).toEqual({ name: "chat", appId: "app-1" });
        // What was read stays: a person may look at it again.
        expect(before).toEqual(exported());
    });

    it("has the plugin's provider once, before all that it serves, also where there is one already", () => {
        const before = exported();
        const theirs = {
            urn: urn("pulumi:providers:ovh-ai-deploy", "default_0_1_0"),
            id: "0009",
            type: "p",
            custom: true,
        };
        before.deployment.resources.push(theirs);
        const { resources } = moveState(before).deployment as { resources: Record<string, any>[] };
        expect(resources.filter((resource) => resource.urn === theirs.urn)).toEqual([theirs]);
        expect(resources[3]).toEqual(theirs);
        expect(resources[4].provider).toBe(`${theirs.urn}::0009`);
    });

    it("is refused with something pending, with nothing to move, and when it is no state", () => {
        const pending = exported();
        pending.deployment.pending_operations = [{}];
        expect(() => moveState(pending)).toThrow(/pending operations: run `pulumi refresh`/);
        const moved = moveState(exported());
        expect(() => moveState(moved)).toThrow(/nothing to move/);
        const bad = spawnSync(executable, ["move-state"], { input: "no JSON", encoding: "utf8" });
        expect(bad).toMatchObject({ status: 1, stdout: "" });
        expect(bad.stderr).toMatch(/^The state was not moved: /);
        expect(bad.stderr).not.toMatch(/\n\s+at /);
    });

    it("is written by the executable, whole", () => {
        const large = exported();
        large.deployment.resources[2].outputs = { text: "x".repeat(1_000_000) };
        const output = execFileSync(executable, ["move-state"], {
            input: JSON.stringify(large),
            encoding: "utf8",
            maxBuffer: 10_000_000,
        });
        expect((JSON.parse(output) as ExportedState).deployment.resources).toHaveLength(7);
    });
});

it("the plugin finds in a dynamic resource's state nothing to do: no call that writes, and the app stays", async () => {
    const cloud = await startTestCloud();
    const provider = await startProvider(cloud.env);
    const started = await startPluginProcess(cloud.env);
    const { plugin } = started;
    try {
        const [app, token] = [new Stack(provider), new Stack(provider, "token")];
        const label = "label-0a1b2c3d"; // as the class marks it
        await app.up(appInputs({ adoptionLabel: label }));
        const given = { name: "t", region: "GRA", role: "ai_training_read", labelSelector: "group=test" };
        await token.up(given);
        const since = cloud.mark();
        for (const { type, stack, news } of [
            { type: types.app, stack: app, news: appInputs() },
            { type: types.token, stack: token, news: given },
        ]) {
            const { id, inputs, outputs } = stack.resource!;
            const state = { ...outputs, __provider: null };
            const checked = await plugin.check(type, news, { ...inputs, __provider: null });
            expect(checked.failures).toEqual([]);
            const before = { id, inputs, state };
            expect(await plugin.diff(type, before, checked.inputs)).toMatchObject({ changes: false, replaces: [] });
            expect(await plugin.read(type, before)).toMatchObject({ id });
        }
        expect(since().filter(({ method }) => method !== "GET")).toEqual([]);
        expect(cloud.api.apps()).toMatchObject([{ id: app.resource!.id, state: "RUNNING" }]);
        // One that was changed in the program on the way is changed in place.
        const { id, inputs, outputs } = app.resource!;
        const { inputs: news } = await plugin.check(types.app, appInputs({ labels: { group: "new" } }), inputs);
        expect(news.adoptionLabel).toBe(label);
        expect(await plugin.update(types.app, { id, inputs, state: outputs }, news)).toMatchObject({ appId: id });
        await plugin.delete(types.app, { id, inputs: news, state: outputs });
        expect(cloud.api.apps()).toEqual([]);
    } finally {
        await started.close();
        await provider.close();
        await cloud.close();
    }
});
