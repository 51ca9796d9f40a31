import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { FaultRule } from "../../sandbox/ovhcloud/faults";
import { startTestCloud, type TestCloud } from "./cloud";
import { startProvider, type Bag, type ProviderProcess } from "./provider-process";
import { Stack } from "./stack";

let cloud: TestCloud;
let provider: ProviderProcess;
let stack: Stack;

beforeAll(async () => {
    cloud = await startTestCloud();
    provider = await startProvider(cloud.env);
});
afterAll(async () => {
    await provider.close();
    await cloud.close();
});
beforeEach(() => {
    cloud.api.faults.clear();
    cloud.api.revokeTokens();
    stack = new Stack(provider, "token", false);
});

const args = (changes: Bag = {}): Bag => ({
    name: "scrape",
    region: "GRA",
    role: "ai_training_read",
    labelSelector: "group=test",
    ...changes,
});

describe("a token", () => {
    it("is made with its selector; the state holds its value", async () => {
        await stack.up(args());
        expect(cloud.api.tokens()).toEqual([stack.resource!.id]);
        expect(stack.resource!.outputs.value).toMatch(/^sandbox-token-/);
        expect(await stack.preview(args())).toBe("same");
    });

    it("another rotation renews the value in place, and the id stays", async () => {
        await stack.up(args({ rotation: "1" }));
        const { id, outputs } = stack.resource!;
        expect(await stack.preview(args({ rotation: "2" }))).toBe("update");
        await stack.up(args({ rotation: "2" }));
        expect(stack.resource!.id).toBe(id);
        expect(stack.resource!.outputs).toMatchObject({ version: (outputs.version as number) + 1 });
        expect(stack.resource!.outputs.value).not.toBe(outputs.value);
    });

    it.each([{ name: "other" }, { region: "BHS" }, { role: "ai_training_operator" }, { labelSelector: "a=b" }])(
        "%o replaces it, and the old one ends",
        async (changes) => {
            await stack.up(args());
            const { id } = stack.resource!;
            await stack.up(args(changes));
            expect(cloud.api.tokens()).toEqual([stack.resource!.id]);
            expect(stack.resource!.id).not.toBe(id);
        },
    );

    it.each<[string, FaultRule]>([
        ["is lost", { kind: "commit-then-drop", times: 1 }],
        ["is 502", { kind: "commit-then-status", status: 502, times: 1 }],
    ])("one token, although the answer to the POST %s", async (_what, fault) => {
        cloud.api.faults.add({ method: "POST", path: "/token$", ...fault });
        await stack.up(args());
        expect(cloud.api.tokens()).toEqual([stack.resource!.id]);
    });

    it("two of the same kind at once do not take each other for leftovers", async () => {
        cloud.api.faults.add({ method: "POST", path: "/token$", kind: "commit-then-drop", times: 1 });
        const other = new Stack(provider, "token");
        await Promise.all([stack.up(args()), other.up(args())]);
        expect(cloud.api.tokens().sort()).toEqual([stack.resource!.id, other.resource!.id].sort());
    });

    it("a refresh keeps the value, which the platform shows only once", async () => {
        await stack.up(args());
        const { value } = stack.resource!.outputs;
        await stack.refresh();
        expect(stack.resource!.outputs.value).toBe(value);
        expect(await stack.preview(args())).toBe("same");
    });

    it.each([404, 503])("a refresh with %i on everything empties no state", async (status) => {
        await stack.up(args());
        cloud.api.faults.add({ kind: "status", status });
        await expect(stack.refresh()).rejects.toThrow(/^reading token scrape/);
        expect(stack.resource).toBeDefined();
    });

    it("revoked outside: a refresh sees it, an up makes another", async () => {
        await stack.up(args());
        cloud.api.revokeTokens();
        await stack.refresh();
        expect(stack.resource).toBeUndefined();
        await stack.up(args());
        expect(cloud.api.tokens()).toHaveLength(1);
    });

    it("destroy deletes it; gone already is success; a wrong project is not", async () => {
        await stack.up(args());
        cloud.api.faults.add({ kind: "status", status: 404 });
        await expect(stack.destroy()).rejects.toThrow(/^deleting token scrape/);
        expect(stack.resource).toBeDefined();
        cloud.api.faults.clear();
        cloud.api.revokeTokens();
        await stack.destroy();
        expect(stack.resource).toBeUndefined();
    });
});

describe("the authorization of the project", () => {
    it("is granted once, and stays when the resource goes", async () => {
        const authorization = new Stack(provider, "authorization");
        cloud.api.faults.add({ method: "POST", path: "/authorization$", kind: "commit-then-drop", times: 1 });
        await authorization.up({});
        expect(authorization.resource!.outputs.authorized).toBe(true);
        const since = cloud.mark();
        await authorization.destroy();
        await authorization.up({});
        expect(since().filter(({ method }) => method !== "GET")).toEqual([]);
    });
});

it("every request and answer kept to the published structure", () => {
    expect(cloud.api.violations()).toEqual([]);
});
