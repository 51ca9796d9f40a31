import { expect, it } from "vitest";
import type { DataSyncInputs } from "../../../packages/ai-deploy/src/data-sync/args";
import { create } from "../../../packages/ai-deploy/src/data-sync/lifecycle";
import { ApiError, NoAnswerError } from "../../../packages/ai-deploy/src/errors/request-errors";
import type { Context } from "../../../packages/ai-deploy/src/process/context";

const appId = "00000000-0000-4000-8000-000000000001";
const [volume, otherVolume] = ["00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"];
const inputs: DataSyncInputs = { serviceName: "p", appId, direction: "pull" };

interface Spec {
    direction: "pull" | "push";
    manual?: boolean;
    volume: string | null;
}

interface Events {
    /** What is in the list after the first POST, which has no answer. */
    lost?: Spec;
    /** The app is deleted once a synchronization was asked for. */
    goes?: boolean;
}

/** An app whose synchronizations are done at once. */
function app({ lost, goes = false }: Events) {
    const syncs: { id: string; spec: Spec; status: { state: string } }[] = [];
    const add = (id: string, spec: Spec) => (syncs.push({ id, spec, status: { state: "DONE" } }), { id });
    let posts = 0;
    const context = {
        client: {
            get: async (path: string) => {
                if (goes && posts > 0 && path.includes(appId)) {
                    throw new ApiError("GET /ai/app/ID", 404, "no such app", undefined);
                }
                return { status: { state: "RUNNING", dataSync: syncs } };
            },
            post: async (_path: string, { direction, volume = null }: Spec) => {
                if (++posts > 1 || !lost) return add("ours", { direction, volume, manual: true });
                add("lost", lost);
                throw new NoAnswerError("POST /ai/app/ID/datasync", new Error("ECONNRESET"), false);
            },
        },
        poller: {
            async until<T>(look: () => Promise<T | undefined>): Promise<T> {
                for (;;) {
                    const value = await look();
                    if (value !== undefined) return value;
                    await new Promise((resolve) => setImmediate(resolve));
                }
            },
        },
    } as unknown as Context;
    return { context, posts: () => posts };
}

it.each<[string, string | undefined, Spec, string]>([
    ["its own is found", volume, { direction: "pull", volume }, "lost"],
    ["its own of all volumes is found", undefined, { direction: "pull", manual: true, volume: null }, "lost"],
    ["one of another volume is not its own", volume, { direction: "pull", volume: otherVolume }, "ours"],
    ["one of a single volume is not that of all", undefined, { direction: "pull", volume: otherVolume }, "ours"],
    ["the platform's is not its own", undefined, { direction: "pull", manual: false, volume: null }, "ours"],
])("after a POST without an answer %s", async (_what, wanted, lost, id) => {
    const { context, posts } = app({ lost });
    expect(await create(context, { ...inputs, volume: wanted })).toMatchObject({ id });
    expect(posts()).toBe(id === "ours" ? 2 : 1);
});

it("ends when its app is gone, not when the time is", async () => {
    const { context } = app({ goes: true });
    const waiting = create(context, { ...inputs, timeouts: { createSeconds: 3 } });
    await expect(waiting).rejects.toThrow(/^app .+ is gone, and synchronization ours with it/);
});
