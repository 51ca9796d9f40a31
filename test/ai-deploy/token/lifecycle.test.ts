import { readFileSync } from "node:fs";
import { request } from "node:https";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OvhClient } from "../../../packages/ai-deploy/src/api/client";
import { resolveCredentials } from "../../../packages/ai-deploy/src/api/credentials";
import { stub } from "../../../packages/ai-deploy/src/resources";
import { unknownValue } from "../../../packages/ai-deploy/src/values/unknown";
import type { FaultRule } from "../../../sandbox/ovhcloud/faults";
import { appInputs } from "../app/inputs";
import { projectId, type TestCloud } from "../cloud";
import { startCloudAndProvider } from "../cloud-and-provider";
import { startProvider, type Bag, type ProviderProcess } from "../provider-process";
import { Stack } from "../stack";

let cloud: TestCloud;
let provider: ProviderProcess;
let stack: Stack;

startCloudAndProvider((started) => ({ cloud, provider } = started));
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

describe("a rotation with overlap", () => {
    const rotated = (rotation: string, overlapSeconds = 3600): Bag => args({ rotation, overlapSeconds });
    /** The one resource, and what the platform has. */
    const valueNow = (): string => stack.resource!.outputs.value as string;
    const idNow = (): string => stack.resource!.outputs.tokenId as string;

    it("makes another token, and the old one stays until its time is over: the next up then ends it", async () => {
        await stack.up(rotated("1"));
        const [old, id, value] = [idNow(), stack.resource!.id, valueNow()];
        expect(await stack.preview(rotated("2"))).toBe("update");
        await stack.up(rotated("2"));
        expect(stack.resource!.id).toBe(id);
        expect(valueNow()).not.toBe(value);
        expect(cloud.api.tokens().sort()).toEqual([old, idNow()].sort());
        expect(stack.resource!.outputs.previous).toEqual([{ id: old, followedAt: expect.any(String) }]);
        expect(JSON.stringify(stack.resource!.outputs)).not.toContain(value);
        // While both work there is nothing to do, also after a refresh.
        expect(await stack.preview(rotated("2"))).toBe("same");
        await stack.refresh();
        expect(stack.resource!.inputs).toMatchObject(rotated("2"));
        expect(await stack.preview(rotated("2"))).toBe("same");
        // A shorter time counts for the rotation under way.
        expect(await stack.preview(rotated("2", 0))).toBe("update");
        await stack.up(rotated("2", 0));
        expect(cloud.api.tokens()).toEqual([idNow()]);
        expect(stack.resource!.outputs.previous).toBeUndefined();
        expect(await stack.preview(rotated("2", 0))).toBe("same");
    });

    it("again during an overlap: each value works until its time is over", async () => {
        await stack.up(rotated("1"));
        await stack.up(rotated("2"));
        await stack.up(rotated("3"));
        expect(cloud.api.tokens()).toHaveLength(3);
        await stack.up(rotated("4", 0));
        expect(cloud.api.tokens()).toEqual([idNow()]);
    });

    it("destroy, and a replacement, end all of them", async () => {
        await stack.up(rotated("1"));
        await stack.up(rotated("2"));
        await stack.up({ ...rotated("2"), name: "other" });
        expect(cloud.api.tokens()).toEqual([stack.resource!.id]);
        await stack.up({ ...rotated("3"), name: "other" });
        await stack.destroy();
        expect(cloud.api.tokens()).toEqual([]);
    });

    it.each<[string, FaultRule]>([
        ["is lost", { kind: "commit-then-drop", times: 1 }],
        ["is 502", { kind: "commit-then-status", status: 502, times: 1 }],
        ["never comes", { kind: "drop", times: 2 }],
    ])("two tokens, although the answer to the POST %s", async (_what, fault) => {
        await stack.up(rotated("1"));
        const old = idNow();
        cloud.api.faults.add({ method: "POST", path: "/token$", ...fault });
        await stack.up(rotated("2"));
        expect(cloud.api.tokens().sort()).toEqual([old, idNow()].sort());
    });

    it.each(["2", "3"])(
        "killed before it was saved, then an up with rotation %s: no token without an owner",
        async (next) => {
            await stack.up(rotated("1"));
            const [old, value] = [idNow(), valueNow()];
            await expect(stack.up(rotated("2"), { crash: true })).rejects.toThrow(/engine died/);
            expect(cloud.api.tokens()).toHaveLength(2);
            // The old value is what everybody has, and it works.
            expect(valueNow()).toBe(value);
            await stack.up(rotated(next));
            expect(cloud.api.tokens().sort()).toEqual([old, idNow()].sort());
        },
    );

    it("killed before it was saved, then destroyed: nothing stays", async () => {
        await stack.up(rotated("1"));
        await expect(stack.up(rotated("2"), { crash: true })).rejects.toThrow(/engine died/);
        await stack.destroy();
        expect(cloud.api.tokens()).toEqual([]);
    });

    it("leaves tokens of others with the same name alone", async () => {
        const other = new Stack(provider, "token", false);
        await other.up(rotated("1"));
        await stack.up(rotated("1"));
        await expect(stack.up(rotated("2"), { crash: true })).rejects.toThrow(/engine died/);
        await other.up(rotated("2"));
        await stack.up(rotated("2"));
        expect(cloud.api.tokens()).toHaveLength(4);
        await stack.destroy();
        expect(cloud.api.tokens()).toHaveLength(2);
        await other.destroy();
        expect(cloud.api.tokens()).toEqual([]);
    });

    it.each([403, 503])("%i on the end of the old one: told, and the next up does it", async (status) => {
        await stack.up(rotated("1"));
        await stack.up(rotated("2"));
        cloud.api.faults.add({ method: "DELETE", path: "/token/", kind: "status", status });
        await expect(stack.up(rotated("2", 0))).rejects.toThrow(/^renewing token scrape/);
        expect(stack.resource!.outputs.previous).toHaveLength(1);
        cloud.api.faults.clear();
        await stack.up(rotated("2", 0));
        expect(cloud.api.tokens()).toEqual([idNow()]);
    });

    it("the old one revoked outside: a refresh sees it, and there is nothing left to do", async () => {
        await stack.up(rotated("1"));
        const old = idNow();
        await stack.up(rotated("2"));
        await revoke(old);
        await stack.refresh();
        expect(stack.resource!.outputs.previous).toBeUndefined();
        expect(await stack.preview(rotated("2", 0))).toBe("same");
    });

    it.each([3600, 0])("the new one revoked outside, overlap %i: the next up makes another", async (overlapSeconds) => {
        await stack.up(rotated("1"));
        await stack.up(rotated("2"));
        const gone = idNow();
        await revoke(gone);
        await stack.refresh();
        expect(await stack.preview(rotated("2", overlapSeconds))).toBe("update");
        await stack.up(rotated("2", overlapSeconds));
        expect(cloud.api.tokens()).toContain(idNow());
        expect(idNow()).not.toBe(gone);
        await stack.up(rotated("2", 0));
        expect(cloud.api.tokens()).toEqual([idNow()]);
    });

    async function revoke(id: string): Promise<void> {
        const colleague = new OvhClient(resolveCredentials({ config: () => undefined, env: cloud.env, files: [] }), {
            requestsPerMinute: 1_000_000,
        });
        await colleague.delete(`/cloud/project/${projectId}/ai/token/${id}`);
    }

    it("under load: no request of a client that has the one value or the other is refused", async () => {
        const app = new Stack(provider);
        await app.up(appInputs({ labels: { group: "test" } }));
        await stack.up(rotated("1"));
        const ca = readFileSync(cloud.api.caFile);
        const get = (value: string) =>
            new Promise<number>((resolve, reject) => {
                const headers = { authorization: `Bearer ${value}` };
                request(app.resource!.outputs.url as string, { ca, headers }, (answer) => {
                    answer.resume().on("end", () => resolve(answer.statusCode!));
                })
                    .on("error", reject)
                    .end();
            });
        // Two clients: one is told the new value at once, one much later.
        const slow = valueNow();
        let quick = slow;
        const seen: number[] = [];
        let over = false;
        const client = (value: () => string) => async () => {
            while (!over) seen.push(await get(value()));
        };
        const clients = [client(() => quick), client(() => slow)].map((run) => run());
        const enough = async (more: number) => {
            for (const from = seen.length; seen.length < from + more;) await new Promise((r) => setTimeout(r, 2));
        };
        await enough(20);
        await stack.up(rotated("2"));
        quick = valueNow();
        await enough(40);
        over = true;
        await Promise.all(clients);
        expect(new Set(seen)).toEqual(new Set([200]));
        await stack.up(rotated("2", 0));
        expect([await get(slow), await get(quick)]).toEqual([401, 200]);
        await app.destroy();
    });
});

describe("a selector that apps of others fit too", () => {
    const own = { adoptionLabel: "own" };
    const settingNames = { labels: "models.one.labels", adopt: "models.one.adopt" };
    const apps: Stack[] = [];
    async function appWith(adoptionLabel: string, group = "shared"): Promise<Stack> {
        const app = new Stack(provider);
        apps.push(app);
        await app.up(appInputs({ adoptionLabel, labels: { group } }));
        return app;
    }
    afterEach(async () => {
        for (const app of apps.splice(0)) await app.destroy();
    });
    /** Each value its own, since what the platform has is asked for once per process. */
    const token = (value: string, app: Bag = own): Bag => args({ labelSelector: `group=${value}`, app, settingNames });

    it("is refused in preview, with the setting, the apps and what to do", async () => {
        const other = await appWith("other-0a1b2c3d");
        await expect(stack.preview(token("shared"))).rejects.toThrow(
            new RegExp(
                `labelSelector "group=shared" would open apps that are not of this stack too: test-app \\(${other.resource!.id}\\)\\. ` +
                    "Give models\\.one\\.labels\\.group a value of its own, which only this stack's app has: pulumi config set --path 'models\\.one\\.labels\\.group' shared-2\\. " +
                    `An app of this stack whose state was lost is taken over: pulumi config set --path models\\.one\\.adopt ${other.resource!.id}`,
            ),
        );
        // An adoption label that the preview does not know yet is nobody's.
        await expect(stack.preview(token("shared", { ...own, adoptionLabel: unknownValue }))).rejects.toThrow(
            /would open/,
        );
        await expect(stack.preview(token("another"))).resolves.toBe("create");
        expect(cloud.api.tokens()).toEqual([]);
    });

    it.each<[string, string, Bag]>([
        ["our own", "own-0a1b2c3d", {}],
        ["one that is being taken over", "other-0a1b2c3d", { adopt: true }],
    ])("not by %s", async (what, label, { adopt }) => {
        const value = `ours-${what.length}`;
        const app = await appWith(label, value);
        await stack.up(token(value, adopt ? { ...own, adopt: app.resource!.id } : own));
        expect(cloud.api.tokens()).toHaveLength(1);
    });

    it("one two-letter difference is another stack's: labels are not taken by their beginning alone", async () => {
        await appWith("own2-0a1b2c3d", "beginning");
        await expect(stack.preview(token("beginning"))).rejects.toThrow(/would open/);
    });

    it("a token that exists already is not held up, but warned of", async () => {
        await stack.up(token("later"));
        await appWith("other-0a1b2c3d", "later");
        const fresh = await startProvider(cloud.env);
        try {
            const inputs = { ...token("later"), __provider: stub("token") };
            expect((await fresh.check(inputs, inputs)).failures).toEqual([]);
            expect(fresh.output()).toMatch(/scrape: labelSelector "group=later" would open apps/);
        } finally {
            await fresh.close();
        }
    });

    it("one list for all tokens of a selector; an outage there is no failure", async () => {
        const since = cloud.mark();
        cloud.api.faults.add({ method: "GET", path: "/app$", kind: "status", status: 503 });
        await stack.preview(token("asked-once"));
        await new Stack(provider, "token", false).preview(token("asked-once"));
        expect(since().filter(({ path }) => path.endsWith("/app"))).toHaveLength(1);
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
