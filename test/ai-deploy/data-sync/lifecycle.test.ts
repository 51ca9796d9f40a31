import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { appInputs } from "../app/inputs";
import type { TestCloud } from "../cloud";
import { startCloudAndProvider } from "../cloud-and-provider";
import type { Bag, ProviderProcess } from "../provider-process";
import { Stack } from "../stack";

let cloud: TestCloud;
let provider: ProviderProcess;
let appId: string;
let stack: Stack;

const dataStore = { alias: "models", container: "weights" };

startCloudAndProvider((started) => ({ cloud, provider } = started));
beforeAll(async () => {
    const app = new Stack(provider);
    await app.up(appInputs({ volumes: [{ mountPath: "/models", permission: "RWD", volumeSource: { dataStore } }] }));
    appId = app.resource!.id;
});
beforeEach(() => {
    cloud.api.faults.clear();
    stack = new Stack(provider, "dataSync", false);
});

const args = (changes: Bag = {}): Bag => ({ appId, direction: "pull", trigger: "1", ...changes });
const syncs = (): Bag[] => cloud.api.stored().find(({ id }) => id === appId)!.dataSync;

describe("a data synchronization", () => {
    it("is started and waited for", async () => {
        await stack.up(args());
        expect(stack.resource!.outputs.state).toBe("DONE");
        expect(syncs().at(-1)).toMatchObject({ id: stack.resource!.id, status: { state: "DONE" } });
        expect(await stack.preview(args())).toBe("same");
    });

    it("another trigger runs another, and only another", async () => {
        await stack.up(args());
        const before = syncs().length;
        await stack.up(args());
        expect(syncs()).toHaveLength(before);
        expect(await stack.preview(args({ trigger: "2" }))).toBe("replace");
        await stack.up(args({ trigger: "2" }));
        expect(syncs()).toHaveLength(before + 1);
    });

    it("an answer that is lost starts no second one", async () => {
        const before = syncs().length;
        cloud.api.faults.add({ method: "POST", path: "/datasync$", kind: "commit-then-drop", times: 1 });
        await stack.up(args());
        expect(syncs()).toHaveLength(before + 1);
    });

    it("a refresh and a destroy leave it as it was", async () => {
        await stack.up(args());
        await stack.refresh();
        expect(await stack.preview(args())).toBe("same");
        const since = cloud.mark();
        await stack.destroy();
        expect(since().filter(({ method }) => method !== "GET")).toEqual([]);
    });

    it("one that fails says so, with the platform's words and what to do", async () => {
        const app = new Stack(provider);
        await app.up(appInputs({ adoptionLabel: "without-storage" }));
        await expect(stack.up(args({ appId: app.resource!.id }))).rejects.toThrow(
            /is FAILED: DATASYNC_DATA_STORE_NOT_FOUND[^]*Check the volumes' alias/,
        );
    });
});

it("every request and answer kept to the published structure", () => {
    expect(cloud.api.violations()).toEqual([]);
});
