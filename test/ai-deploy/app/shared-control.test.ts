import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { OvhClient } from "../../../packages/ai-deploy/src/api/client";
import { resolveCredentials } from "../../../packages/ai-deploy/src/api/credentials";
import type { Form } from "../../../sandbox/ovhcloud/forms";
import type { TestCloud } from "../cloud";
import { startCloudAndProvider, startEachEmpty } from "../cloud-and-provider";
import type { Bag, ProviderProcess } from "../provider-process";
import { Stack } from "../stack";
import { appInputs as inputsOf, autoscaling } from "./inputs";

/** Apps of which something else than Pulumi sets the limits of replicas, or stops and starts them. */

let cloud: TestCloud;
let provider: ProviderProcess;

startCloudAndProvider((started) => ({ cloud, provider } = started));
const label = startEachEmpty(() => cloud);

const limits = (replicasMin: number, replicasMax: number, changes: Bag = {}): Bag =>
    autoscaling({ replicasMin, replicasMax, ...changes });
const night = limits(1, 2);
const day = limits(2, 4);
const scheduled = (changes: Bag = {}): Bag =>
    inputsOf({ adoptionLabel: label(), scalingStrategy: night, otherScalings: [day], ...changes });

async function upStack(inputs: Bag): Promise<{ stack: Stack; id: string }> {
    const stack = new Stack(provider, "app");
    await stack.up(inputs);
    return { stack, id: stack.resource!.id };
}

/** A call of somebody else. */
async function outside(path: string, body?: Bag): Promise<void> {
    const [{ id }] = cloud.api.apps();
    const colleague = new OvhClient(resolveCredentials({ config: () => undefined, env: cloud.env, files: [] }));
    await colleague.put(`/cloud/project/${cloud.env.OVH_CLOUD_PROJECT_SERVICE}/ai/app/${id}${path}`, body);
}

/** How the API writes apps from now on. */
async function writeAs(form: Form): Promise<void> {
    const answer = await fetch(`${new URL(cloud.api.url).origin}/sandbox/form`, {
        method: "POST",
        body: JSON.stringify({ form }),
    });
    expect(answer.status).toBe(200);
}
afterEach(() => writeAs("full"));

const live = (): Bag => cloud.api.stored()[0].spec.scalingStrategy.automatic as Bag;
const writes = (since: () => { method: string; path: string }[]): string[] =>
    since()
        .filter(({ method }) => method !== "GET")
        .map(({ method, path }) => `${method} ${path.replace(/.*\/ai\/app\/[^/]+/, "")}`);

async function until(what: () => boolean): Promise<void> {
    while (!what()) await sleep(5);
}

describe("a live strategy that the schedule wants", () => {
    it.each<Form>(["full", "sparse", "rewritten", "mixed"])("is no change, written %s", async (form) => {
        await writeAs(form);
        const { stack } = await upStack(scheduled());
        await outside("/scalingstrategy", day);
        expect(await stack.preview(scheduled())).toBe("same");
        await stack.refresh();
        expect(await stack.preview(scheduled())).toBe("same");
        const since = cloud.mark();
        await stack.up(scheduled());
        expect(writes(since)).toEqual([]);
        expect(live()).toMatchObject({ replicasMin: 2, replicasMax: 4 });
    });

    it("which of them comes first says nothing", async () => {
        const { stack } = await upStack(scheduled());
        expect(await stack.preview(scheduled({ scalingStrategy: day, otherScalings: [night] }))).toBe("same");
    });

    it("any other is drift, and is mended", async () => {
        const { stack } = await upStack(scheduled());
        for (const other of [limits(2, 5), limits(1, 2, { scaleDownStabilizationWindowSeconds: 60 })]) {
            await outside("/scalingstrategy", other);
            expect(await stack.preview(scheduled())).toBe("update");
            await stack.up(scheduled());
            expect(await stack.preview(scheduled())).toBe("same");
        }
        expect(live()).toMatchObject({ replicasMin: 1, replicasMax: 2 });
    });

    it("a change of the target keeps the limits that it has", async () => {
        const { stack } = await upStack(scheduled());
        await outside("/scalingstrategy", day);
        const target = (one: Bag): Bag => {
            const { customMetrics, ...rest } = one.automatic as Bag;
            return { automatic: { ...rest, customMetrics: { ...customMetrics, targetValue: 40 } } };
        };
        const changed = scheduled({ scalingStrategy: target(night), otherScalings: [target(day)] });
        const since = cloud.mark();
        await stack.up(changed);
        expect(writes(since)).toEqual(["PUT /scalingstrategy"]);
        expect(live()).toMatchObject({ replicasMin: 2, replicasMax: 4, customMetrics: { targetValue: 40 } });
        expect(await stack.preview(changed)).toBe("same");
    });

    it("one that the new schedule does not want gives way to the first", async () => {
        const { stack } = await upStack(scheduled());
        await outside("/scalingstrategy", day);
        const changed = scheduled({ scalingStrategy: limits(3, 6), otherScalings: [night] });
        await stack.up(changed);
        expect(live()).toMatchObject({ replicasMin: 3, replicasMax: 6 });
        const without = scheduled({ scalingStrategy: night, otherScalings: undefined });
        await stack.up(without);
        expect(live()).toMatchObject({ replicasMin: 1, replicasMax: 2 });
    });

    it("a label that tells by which schedule is there before the strategy changes", async () => {
        const { stack } = await upStack(scheduled({ labels: { mark: "old" } }));
        const since = cloud.mark();
        await stack.up(scheduled({ labels: { mark: "new" }, scalingStrategy: limits(3, 6), otherScalings: [day] }));
        expect(writes(since)).toEqual(["PUT /label", "PUT /scalingstrategy"]);
    });

    it("faults of each of them are told by its place", async () => {
        await expect(upStack(scheduled({ otherScalings: [day, limits(3, 2)] }))).rejects.toThrow(
            /otherScalings\[1\]\.automatic\.replicasMin 3 is above replicasMax 2/,
        );
    });
});

describe("an app that somebody else may stop", () => {
    const shared = (changes: Bag = {}): Bag => scheduled({ mayBeStoppedBy: "limits.eurosPerMonth", ...changes });
    const state = (): string => cloud.api.apps()[0].state;

    async function stopped(inputs: Bag): Promise<Stack> {
        const { stack } = await upStack(inputs);
        await outside("/stop");
        await until(() => state() === "STOPPED");
        return stack;
    }

    it("stays stopped, and is no change", async () => {
        const stack = await stopped(shared());
        const since = cloud.mark();
        expect(await stack.preview(shared())).toBe("same");
        await stack.up(shared());
        await stack.refresh();
        await stack.up(shared({ labels: { group: "other" } }));
        expect(writes(since)).toEqual(["PUT /label"]);
        expect(state()).toBe("STOPPED");
    });

    it("is started where nobody may stop it, and when it was to be stopped and no longer is", async () => {
        const stack = await stopped(scheduled());
        expect(await stack.preview(scheduled())).toBe("update");
        await stack.up(scheduled());
        expect(state()).toBe("RUNNING");
        await stack.up(shared({ desiredState: "STOPPED" }));
        expect(state()).toBe("STOPPED");
        expect(await stack.preview(shared())).toBe("update");
        await stack.up(shared());
        expect(state()).toBe("RUNNING");
    });

    it("that failed is no one's wish: it is started again", async () => {
        const { stack } = await upStack(shared());
        cloud.script({ exitCode: 1 });
        await outside("", { defaultHttpPort: 8001 });
        await until(() => state() === "FAILED");
        cloud.script({});
        await stack.up(shared());
        expect(state()).toBe("RUNNING");
    });
});
