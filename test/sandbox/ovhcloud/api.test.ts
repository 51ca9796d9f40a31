import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OvhClient } from "../../../packages/ai-deploy/src/api/client";
import { resolveCredentials } from "../../../packages/ai-deploy/src/api/credentials";
import { accessToken, appBody, projectId, startTestCloud, type TestCloud } from "./cloud";

let cloud: TestCloud;
afterEach(() => cloud.close());

interface Listed {
    id: string;
    createdAt: string;
    updatedAt: string;
    spec: { name: string };
}

describe("the list of apps", () => {
    beforeEach(async () => {
        cloud = await startTestCloud({ callsPerMinute: Infinity });
        for (const name of ["b", "c", "a"]) await make(name);
    });

    async function make(name: string): Promise<void> {
        await cloud.api("POST", "/ai/app", appBody({ name, resources: { flavor: "ai1-1-cpu", cpu: 1 } }));
    }
    const list = (query: string): Promise<Listed[]> => cloud.api("GET", `/ai/app${query}`);
    const names = async (query: string): Promise<string> => (await list(query)).map(({ spec }) => spec.name).join("");
    const stop = async (): Promise<void> => {
        for (const { id } of await list("")) {
            await cloud.api("PUT", `/ai/app/${id}/stop`);
            await cloud.until(id, "STOPPED", ({ state }) => state === "STOPPED");
        }
    };

    it("is sorted and paged", async () => {
        expect(await names("")).toBe("bca");
        expect(await names("?order=desc")).toBe("acb");
        expect(await names("?sort=spec.name")).toBe("abc");
        expect(await names("?sort=spec.name&order=desc&size=2")).toBe("cb");
        expect(await names("?sort=spec.name&size=2&page=2")).toBe("c");
        expect(await names("?size=2&page=3")).toBe("");
        for (let n = 0; n < 50; n++) await make(`n${n}`);
        expect(await list("")).toHaveLength(50);
        expect(await list("?page=2")).toHaveLength(3);
    });

    it("is filtered by time of change and by user", async () => {
        await stop(); // nothing changes by itself any more
        const [first, second, third] = await list("?sort=updatedAt");
        const stamp = encodeURIComponent(second.updatedAt);
        const changed = (query: string): Promise<string[]> =>
            list(`?sort=updatedAt&${query}`).then((apps) => apps.map(({ id }) => id));
        expect(await changed(`updatedAfter=${stamp}`)).toEqual([third.id]);
        expect(await changed(`updatedBefore=${stamp}`)).toEqual([first.id]);
        expect(await changed("updatedAfter=2999-01-01T00:00:00Z")).toEqual([]);
        expect(await names("?userName=sandbox&sort=spec.name")).toBe("abc");
        expect(await names("?userName=another")).toBe("");
    });

    it.each([
        ["sort=toString", "sort: there is no field toString"],
        ["order=up", "query order"],
        ["size=0", "size is 0"],
        ["page=-1", "page is -1"],
        ["size=many", "query size"],
        ["updatedAfter=yesterday", "updatedAfter is"],
        ["updatedBefore=2026-99-99T00:00:00Z", "updatedBefore is"],
        ["statusState=ASLEEP", "query statusState"],
        ["color=red", "unknown query parameter color"],
        ["toString=1", "unknown query parameter toString"],
        ["__proto__=1", "unknown query parameter __proto__"],
    ])("?%s is refused by name", async (query, message) => {
        await expect(list(`?${query}`)).rejects.toThrow(message);
    });
});

it("an app is written in several forms, on demand, all of them as the structure says", async () => {
    cloud = await startTestCloud({ form: "sparse" });
    const { id } = await cloud.api("POST", "/ai/app", appBody());
    await cloud.until(id, "RUNNING", ({ state }) => state === "RUNNING");
    const written = new Set([JSON.stringify(await cloud.api("GET", `/ai/app/${id}`))]);
    for (const form of ["full", "rewritten", "mixed"]) {
        expect(await cloud.control("POST", "form", { form })).toEqual({ status: 200, body: { form } });
        written.add(JSON.stringify(await cloud.api("GET", `/ai/app/${id}`)));
    }
    expect(written.size).toBe(3); // an app by itself is `full` in `mixed`
    const [listed] = await cloud.api("GET", "/ai/app");
    expect(listed.spec.region).toBe("gra");
    expect((await cloud.control("POST", "form", { form: "toString" })).status).toBe(400);
    expect(cloud.cloud.violations()).toEqual([]);
});

describe("names that every object knows", () => {
    beforeEach(async () => {
        cloud = await startTestCloud({ callsPerMinute: Infinity });
    });

    it.each(["toString", "constructor", "__proto__", "hasOwnProperty"])("%s is none", async (name) => {
        for (const path of [
            `/ai/app/${name}`,
            `/ai/token/${name}`,
            `/kube/${name}`,
            `/ai/capabilities/region/${name}`,
            `/ai/capabilities/region/GRA/flavor/${name}`,
        ]) {
            await expect(cloud.api("GET", path), path).rejects.toThrow(" 404 ");
        }
        await expect(cloud.api("POST", "/ai/app", appBody({ region: name }))).rejects.toThrow(" 404 ");
        await expect(cloud.api("POST", "/ai/app", appBody({ resources: { flavor: name } }))).rejects.toThrow(" 404 ");
    });

    it.each(["toString", "__proto__"])("%s is a label like any other", async (name) => {
        const { id } = await cloud.api("POST", "/ai/app", appBody());
        const shown = async (): Promise<unknown> =>
            Object.entries((await cloud.api("GET", `/ai/app/${id}`)).spec.labels as object);
        const found = async (): Promise<number> =>
            ((await cloud.api("GET", `/ai/app?labelSelector=${name}%3Dx`)) as unknown[]).length;
        expect(await found()).toBe(0);
        await cloud.api("PUT", `/ai/app/${id}/label`, { name, value: "x" });
        expect(await shown()).toContainEqual([name, "x"]);
        expect(await found()).toBe(1);
        await cloud.api("PUT", `/ai/app/${id}/label`, { name, value: null });
        expect(await shown()).not.toContainEqual([name, "x"]);
    });
});

describe("the rate limit", () => {
    const ask = (bearer = accessToken): Promise<Response> =>
        fetch(`${cloud.cloud.url}/cloud/project/${projectId}/ai/token`, {
            headers: { authorization: `Bearer ${bearer}` },
        });

    it("is 60 calls in a minute of each credential; 429 says when to come again", async () => {
        cloud = await startTestCloud({ speed: 1 });
        const statuses = [];
        for (let n = 0; n < 62; n++) statuses.push((await ask()).status);
        expect(statuses).toEqual([...Array<number>(60).fill(200), 429, 429]);
        const refused = await ask();
        expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
        expect(Number(refused.headers.get("retry-after"))).toBeLessThanOrEqual(60);
        expect(await refused.json()).toMatchObject({ class: expect.any(String), message: expect.any(String) });
        // The clock and the sandbox's own controls are free, a wrong credential is none.
        expect((await fetch(`${cloud.cloud.url}/auth/time`)).status).toBe(200);
        expect((await cloud.control("GET", "status")).status).toBe(200);
        expect((await ask("made-up")).status).toBe(401);
        const signed = new OvhClient(
            resolveCredentials({
                config: () => undefined,
                env: {
                    OVH_ENDPOINT: cloud.cloud.url,
                    OVH_APPLICATION_KEY: "ak",
                    OVH_APPLICATION_SECRET: "as",
                    OVH_CONSUMER_KEY: "ck",
                },
                files: [],
            }),
        );
        expect(await signed.get(`/cloud/project/${projectId}/ai/token`)).toEqual([]);
    });

    it("is waited out by the provider's client", async () => {
        // A minute is ten seconds.
        cloud = await startTestCloud({ speed: 6, callsPerMinute: 1 });
        const client = new OvhClient(
            resolveCredentials({
                config: () => undefined,
                env: { OVH_ENDPOINT: cloud.cloud.url, OVH_ACCESS_TOKEN: accessToken },
                files: [],
            }),
        );
        expect((await ask()).status).toBe(200);
        expect(await client.get(`/cloud/project/${projectId}/ai/token`)).toEqual([]);
        expect(cloud.cloud.requests().map(({ status }) => status)).toEqual([200, 429, 200]);
    });
});

it("node flavors are told as the structure says: by region, with those that are sold out", async () => {
    cloud = await startTestCloud();
    const flavors = (region: string): Promise<{ name: string; state: string }[]> =>
        cloud.api("GET", `/capabilities/kube/flavors?region=${region}`);
    const names = async (region: string) => (await flavors(region)).map(({ name }) => name);
    expect(await names("GRA11")).toEqual(expect.arrayContaining(["b2-15", "b3-16"]));
    expect(await names("GRA9")).not.toContain("b3-16");
    expect(await flavors("GRA11")).toContainEqual(expect.objectContaining({ name: "b2-120", state: "unavailable" }));
    expect(cloud.cloud.violations()).toEqual([]);
});

describe("what the API's documentation rules out, and its structure does not", () => {
    const automatic = (more: object): object => ({
        automatic: { replicasMin: 1, replicasMax: 3, resourceType: "CPU", averageUsageTarget: 75, ...more },
    });
    beforeEach(async () => {
        cloud = await startTestCloud({ callsPerMinute: Infinity });
    });

    it.each<[object, RegExp]>([
        [automatic({ replicasMin: -1 }), /replicasMin is below 0/],
        [automatic({ replicasMin: 0, replicasMax: 0 }), /replicasMax is below 1/],
        [automatic({ replicasMin: 4 }), /replicasMin is above replicasMax/],
        [automatic({ scaleUpStabilizationWindowSeconds: 3601 }), /scaleUpStabilizationWindowSeconds must be 0 to 3600/],
        [automatic({ scaleDownStabilizationWindowSeconds: -1 }), /scaleDownStabilizationWindowSeconds must be 0 to/],
        [{ fixed: { replicas: 11 } }, /fixed scaling: 1 to 10 replicas/],
    ])("scaling %j is refused, in an order and in a change", async (scalingStrategy, message) => {
        await expect(cloud.api("POST", "/ai/app", appBody({ scalingStrategy }))).rejects.toThrow(message);
        const { id } = await cloud.api("POST", "/ai/app", appBody());
        await expect(cloud.api("PUT", `/ai/app/${id}/scalingstrategy`, scalingStrategy)).rejects.toThrow(message);
        expect((await cloud.api("GET", `/ai/app/${id}`)).spec.scalingStrategy).toMatchObject({
            fixed: { replicas: 1 },
        });
    });

    it.each<[Record<string, unknown>, RegExp]>([
        [{ probe: { periodSeconds: 0 } }, /probe: periodSeconds is below its minimum, 1/],
        [{ livenessProbe: { failureThreshold: 0 } }, /livenessProbe: failureThreshold is below its minimum, 1/],
        [{ livenessProbe: { successThreshold: 2 } }, /livenessProbe: successThreshold must be 1/],
        [{ probe: { initialDelaySeconds: -1 } }, /probe: initialDelaySeconds is below 0/],
    ])("%j is refused, in an order and in a change", async (probes, message) => {
        await expect(cloud.api("POST", "/ai/app", appBody(probes))).rejects.toThrow(message);
        const { id } = await cloud.api("POST", "/ai/app", appBody());
        await expect(cloud.api("PUT", `/ai/app/${id}`, probes)).rejects.toThrow(message);
    });
});
