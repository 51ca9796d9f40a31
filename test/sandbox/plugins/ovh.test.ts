import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ManagedKubernetes } from "../../../sandbox/ovhcloud/mks";
import { startOvhCloud, type OvhCloud } from "../../../sandbox/ovhcloud/server";
import {
    secret,
    startStandIn,
    temporaryFolder,
    type Before,
    type InitFailure,
    type Options,
    type Plugin,
    type Properties,
} from "./engine";

const kubeType = "ovh:CloudProject/kube:Kube";
const poolType = "ovh:CloudProject/kubeNodePool:KubeNodePool";
const projectId = "0000cafe0000cafe0000cafe0000cafe";
const credentials = {
    applicationKey: "test-application-key",
    applicationSecret: "test-application-secret",
    consumerKey: "test-consumer-key",
};

const dir = temporaryFolder();
/** What the clusters behind the API do; each test starts with one where all goes well, at once. */
let mks: ManagedKubernetes;
let cloud: OvhCloud;
let plugin: Plugin;

const kubeconfigOf = (id: string): string => `
clusters: [{ name: c, cluster: { server: "https://127.0.0.1:6443/${id}", certificate-authority-data: Q0E= } }]
users: [{ name: u, user: { client-certificate-data: Q0VSVA==, client-key-data: S0VZ } }]
`;

beforeAll(async () => {
    const relay: ManagedKubernetes = {
        create: (...args) => mks.create(...args),
        kubeconfig: (...args) => mks.kubeconfig(...args),
        resetKubeconfig: (...args) => mks.resetKubeconfig(...args),
        scale: (...args) => mks.scale(...args),
        resume: (...args) => mks.resume(...args),
        delete: (...args) => mks.delete(...args),
    };
    cloud = await startOvhCloud({
        stateDir: dir,
        credentials: { ...credentials, accessToken: "made-up-access-token" },
        projectId,
        // Its polls come faster than they would by its clock.
        callsPerMinute: Infinity,
        mks: relay,
    });
    plugin = await start();
    await plugin.configure({ version: "2.19.1" });
});
afterAll(async () => {
    await plugin.close();
    await cloud.close();
    rmSync(dir, { recursive: true });
});

beforeEach(() => {
    mks = {
        create: async () => undefined,
        kubeconfig: async (id) => kubeconfigOf(id),
        resetKubeconfig: async () => undefined,
        scale: async () => undefined,
        resume: async () => undefined,
        delete: async () => undefined,
    };
});
afterEach(() => {
    cloud.faults.clear();
    expect(cloud.violations()).toEqual([]);
});

function start(env: Record<string, string> = {}): Promise<Plugin> {
    return startStandIn("ovh", join(dir, "plugin"), {
        OVH_ENDPOINT: cloud.url.replace(/\/v1$/, "/1.0"),
        OVH_APPLICATION_KEY: credentials.applicationKey,
        OVH_APPLICATION_SECRET: credentials.applicationSecret,
        OVH_CONSUMER_KEY: credentials.consumerKey,
        OVH_CLOUD_PROJECT_SERVICE: projectId,
        OVH_SANDBOX_POLL_MS: "20",
        ...env,
    });
}

async function make(type: string, inputs: Properties, options?: Options): Promise<Before> {
    const checked = await plugin.check(type, inputs);
    expect(checked.failures).toEqual([]);
    return { inputs: checked.inputs, ...(await plugin.create(type, checked.inputs, options)) };
}

/** A call of somebody else. */
async function api(method: string, path: string, body: object): Promise<void> {
    const answer = await fetch(`${cloud.url}/cloud/project/${projectId}${path}`, {
        method,
        headers: { authorization: "Bearer made-up-access-token" },
        body: JSON.stringify(body),
    });
    expect(answer.status).toBe(200);
}

/** What an operation says when it fails, and whether the engine is given an id to keep. */
async function failureOf(work: Promise<unknown>): Promise<Error & { failure?: InitFailure }> {
    return work.then(
        () => expect.fail("it did not fail"),
        (reason: unknown) => reason as Error & { failure?: InitFailure },
    );
}

const kubeInputs = { serviceName: projectId, name: "metrics", region: "GRA11", plan: "free", version: "1.34" };
const poolInputs = (kubeId: string) => ({
    serviceName: projectId,
    kubeId,
    name: "monitoring",
    flavorName: "b2-15",
    desiredNodes: 3,
});

describe("provider", () => {
    it("reports wrong credentials when it is configured", async () => {
        const other = await start({ OVH_CONSUMER_KEY: "another-consumer-key" });
        await expect(other.configure({})).rejects.toThrow(/status code 403.*This credential is not valid/);
        await other.close();
    });

    it("takes credentials from the stack's config, too", async () => {
        const other = await start({
            OVH_ENDPOINT: "",
            OVH_APPLICATION_KEY: "",
            OVH_APPLICATION_SECRET: "",
            OVH_CONSUMER_KEY: "",
        });
        await other.configure({
            endpoint: cloud.url,
            ...credentials,
            applicationSecret: secret(credentials.applicationSecret),
        });
        await other.close();
    });

    it("orders nothing at the real OVHcloud", async () => {
        const other = await start({ OVH_ENDPOINT: "ovh-eu" });
        await expect(other.configure({})).rejects.toThrow(/stand-in.*not with https:\/\/eu\.api\.ovh\.com/);
        await other.close();
    });
});

// What it does with a cluster and a pool, call by call, is held by recordings.test.ts.

describe("Kube", () => {
    it("takes the project from the environment, and needs one", async () => {
        const { serviceName: _, ...without } = kubeInputs;
        expect((await plugin.check(kubeType, without)).inputs.serviceName).toBe(projectId);
        const other = await start({ OVH_CLOUD_PROJECT_SERVICE: "" });
        await other.configure({});
        expect((await other.check(kubeType, without)).failures[0].reason).toMatch(/"service_name" is required/);
        await other.close();
    });

    it("says what is not simulated", async () => {
        const customizationApiservers = [{ admissionplugins: [{ enableds: ["NodeRestriction"] }] }];
        await expect(make(kubeType, { ...kubeInputs, customizationApiservers })).rejects.toThrow(/is not simulated/);
    });

    it("that is READY too late for one look is an orphan, and the next up makes another", async () => {
        const before = cloud.clusters().length;
        cloud.faults.add({ kind: "status", status: 503, method: "GET", path: "/kube/", times: 1 });
        const failed = await failureOf(make(kubeType, kubeInputs));
        expect(failed.message).toMatch(/status code 503/);
        expect(failed.failure).toBeUndefined();
        await make(kubeType, kubeInputs);
        expect(cloud.clusters()).toHaveLength(before + 2);
    });

    it("is taken over by project and id, once it is READY", async () => {
        const { id } = await make(kubeType, kubeInputs);
        const imported = await plugin.read(kubeType, { id: `${projectId}/${id}`, inputs: {}, state: {} });
        expect(imported).toMatchObject({ id, inputs: kubeInputs, state: { status: "READY" } });
        expect((await plugin.read(kubeType, { id, inputs: {}, state: {} })).id).toBe("");
    });

    it("is waited for to its end when the user cancels", async () => {
        let built!: () => void;
        mks.create = () => new Promise<void>((resolve) => (built = resolve));
        const clusters = cloud.clusters();
        const making = make(kubeType, kubeInputs);
        while (cloud.clusters().length === clusters.length) await new Promise((resolve) => setTimeout(resolve, 10));
        await plugin.cancel();
        built();
        expect((await making).state.status).toBe("READY");
    });
});

describe("KubeNodePool", () => {
    it("that was not seen once while it was made stands in the way of every later up", async () => {
        const { id: kubeId } = await make(kubeType, kubeInputs);
        const from = cloud.requests().length;
        mks.scale = async () =>
            cloud.faults.add({ kind: "status", status: 503, method: "GET", path: "/nodepool/", times: 1 });
        expect((await failureOf(make(poolType, poolInputs(kubeId)))).failure).toBeUndefined();
        await expect(make(poolType, poolInputs(kubeId))).rejects.toThrow(/409.*node pool monitoring exists already/);
        const orders = cloud
            .requests()
            .slice(from)
            .filter(({ method }) => method === "POST");
        expect(orders.map(({ status }) => status)).toEqual([200, 409]);
    });

    it("is left at the autoscaler's number of nodes only after a refresh", async () => {
        const { id: kubeId } = await make(kubeType, kubeInputs);
        const inputs = { ...poolInputs(kubeId), autoscale: true, minNodes: 1, maxNodes: 9 };
        const before = await make(poolType, inputs);
        const grow = () => api("PUT", `/kube/${kubeId}/nodepool/${before.id}`, { desiredNodes: 6 });
        const options = { ignoreChanges: ["desiredNodes"] };
        await grow();
        const shrunk = await plugin.update(poolType, before, { ...before.inputs, minNodes: 2 }, options);
        expect(shrunk).toMatchObject({ desiredNodes: 3, minNodes: 2 });
        await grow();
        const refreshed = await plugin.read(poolType, before);
        const kept = await plugin.update(poolType, refreshed, { ...before.inputs, minNodes: 3 }, options);
        expect(kept).toMatchObject({ desiredNodes: 6, minNodes: 3 });
    });
});
