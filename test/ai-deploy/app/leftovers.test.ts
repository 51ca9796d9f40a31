import { describe, expect, it } from "vitest";
import { check, diff } from "../../../packages/ai-deploy/src/app/leftovers";
import { unknownValue } from "../../../packages/ai-deploy/src/values/unknown";
import type { TestCloud } from "../cloud";
import { startCloudAndProvider, startEachEmpty } from "../cloud-and-provider";
import type { Bag, ProviderProcess } from "../provider-process";
import { Stack } from "../stack";
import { appInputs as inputsOf } from "./inputs";

let cloud: TestCloud;
let provider: ProviderProcess;

startCloudAndProvider((started) => ({ cloud, provider } = started));
const label = startEachEmpty(() => cloud);

const appInputs = (changes: Bag = {}): Bag => inputsOf({ adoptionLabel: label(), ...changes });

/** What a stack has from before its app: the state of a run that was killed while it made the app. */
async function leftovers(): Promise<Stack> {
    const stack = new Stack(provider, "appLeftovers");
    await stack.up({ name: "test-app", adoptionLabel: label() });
    return stack;
}

/** Begins another run of Pulumi, which is a process of its own: nothing is known of who made what before. */
const beginRun = (): Promise<unknown> => new Stack(provider).preview(appInputs());

/** Makes an app as a run does that is killed before it saves. */
async function killedCreation(): Promise<string> {
    await expect(new Stack(provider).up(appInputs(), { crash: true })).rejects.toThrow(/engine died/);
    await beginRun();
    const [{ id }] = cloud.labelled(label());
    return id;
}

const writes = (since: ReturnType<TestCloud["mark"]>): string[] =>
    since()
        .filter(({ method }) => method !== "GET")
        .map(({ method, path }) => `${method} ${path.replace(/.*\/ai\//, "")}`);
const looks = (since: ReturnType<TestCloud["mark"]>): number =>
    since().filter(({ method, path }) => method === "GET" && path.endsWith("/ai/app")).length;

describe("what a killed creation left", () => {
    it("is made and refreshed without a call", async () => {
        const since = cloud.mark();
        const stack = await leftovers();
        await stack.refresh();
        await stack.up({ name: "test-app", adoptionLabel: label() });
        expect(since()).toEqual([]);
        expect(stack.resource).toMatchObject({ id: label(), outputs: { adoptionLabel: label() } });
    });

    it("an input that is no longer given is no change for ever", async () => {
        const stack = new Stack(provider, "appLeftovers");
        const args = { name: "test-app", adoptionLabel: label() };
        await stack.up({ ...args, timeouts: { deleteSeconds: 60 }, settingNames: { timeouts: "t" } });
        expect(await stack.preview(args)).toBe("update");
        await stack.up(args);
        expect(await stack.preview(args)).toBe("same");
    });

    it("goes with it: stopped, deleted, and told", async () => {
        const stack = await leftovers();
        const id = await killedCreation();
        const since = cloud.mark();
        await stack.destroy();
        expect(cloud.api.apps()).toEqual([]);
        expect(writes(since)).toEqual([`PUT app/${id}/stop`, `DELETE app/${id}`]);
        expect(provider.output()).toContain(`test-app: ${id} is a leftover of an interrupted run, deleted`);
    });

    it("is found though the list lags", async () => {
        const stack = await leftovers();
        await killedCreation();
        cloud.api.faults.add({ method: "GET", path: "/ai/app$", kind: "stale", staleMs: 60_000, times: 2 });
        await stack.destroy();
        expect(cloud.api.apps()).toEqual([]);
    });

    it("stays in the state while the platform does not answer, and goes once it does", async () => {
        const stack = await leftovers();
        const id = await killedCreation();
        cloud.api.faults.add({ method: "GET", path: "/ai/app", kind: "status", status: 403 });
        await expect(stack.destroy()).rejects.toThrow(/deleting what is left of app test-app/);
        expect(stack.resource).toBeDefined();
        expect(cloud.api.apps().map((app) => app.id)).toEqual([id]);
        cloud.api.faults.clear();
        await stack.destroy();
        expect(cloud.api.apps()).toEqual([]);
    });
});

describe("what is no leftover", () => {
    it("an app of the state stays, also when this goes alone", async () => {
        const app = new Stack(provider);
        const stack = await leftovers();
        await app.up(appInputs());
        // Of a program that lacks it alone: the engine has looked at the app before it deletes anything.
        await beginRun();
        await app.preview(appInputs());
        const since = cloud.mark();
        await stack.destroy();
        expect(writes(since)).toEqual([]);
        expect(cloud.api.apps().map(({ id }) => id)).toEqual([app.resource!.id]);
    });

    it("apps with other labels, or none, stay", async () => {
        const other = new Stack(provider);
        await other.up(appInputs({ adoptionLabel: `${label()}-other` }));
        await cloud.outside(await killedCreation(), "take label off");
        const stack = await leftovers();
        const since = cloud.mark();
        await stack.destroy();
        expect(writes(since)).toEqual([]);
        expect(cloud.api.apps()).toHaveLength(2);
    });

    it("after the app of the state has gone, one look is enough", async () => {
        const app = new Stack(provider);
        const stack = await leftovers();
        await app.up(appInputs());
        await app.destroy();
        const since = cloud.mark();
        await stack.destroy();
        expect(looks(since)).toBe(1);
        // Without it, several: a list may lag.
        const again = await leftovers();
        await beginRun();
        const later = cloud.mark();
        await again.destroy();
        expect(looks(later)).toBe(4);
    });
});

it("a change of label, name or time-out is kept in place, one of the project replaces", () => {
    const olds = { serviceName: "one", name: "a", adoptionLabel: "label", timeouts: { deleteSeconds: 60 } };
    expect(diff(olds, { ...olds })).toEqual({ changes: false, replaces: [] });
    for (const change of [{ adoptionLabel: "other" }, { name: "b" }, { timeouts: { deleteSeconds: 90 } }]) {
        expect(diff(olds, { ...olds, ...change })).toEqual({ changes: true, replaces: [] });
    }
    expect(diff(olds, { ...olds, serviceName: "two" })).toEqual({ changes: true, replaces: ["serviceName"] });
});

it("what is missing is told, what is unknown yet is not", () => {
    const reasons = check({ serviceName: "0".repeat(32), name: "", adoptionLabel: "" });
    expect(reasons.map(({ property }) => property)).toEqual(["name", "adoptionLabel"]);
    expect(check({ serviceName: "0".repeat(32), name: "a", adoptionLabel: unknownValue })).toEqual([]);
});
