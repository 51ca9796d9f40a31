import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ManagedKubernetes } from "../../../sandbox/ovhcloud/mks";
import { startOvhCloud, type OvhCloud } from "../../../sandbox/ovhcloud/server";
import {
    secret,
    startStandIn,
    temporaryFolder,
    unknown,
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
        scale: (...args) => mks.scale(...args),
        resume: (...args) => mks.resume(...args),
        delete: (...args) => mks.delete(...args),
    };
    cloud = await startOvhCloud({ stateDir: dir, credentials, projectId, mks: relay });
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

/** Calls since `from`, without the project's part and with ids by name. */
function calls(from: number, ids: Record<string, string> = {}): string[] {
    return cloud
        .requests()
        .slice(from)
        .map(({ method, path }) => {
            const named = Object.entries(ids).reduce((text, [name, id]) => text.replace(id, name), path);
            return `${method} ${named.replace(`/cloud/project/${projectId}`, "").replace(/^\/(v1|1\.0)/, "")}`;
        });
}

async function failureOf(work: Promise<unknown>): Promise<InitFailure> {
    const error = (await work.then(
        () => expect.fail("it did not fail"),
        (reason: unknown) => reason,
    )) as Error & { failure?: InitFailure };
    expect(error.failure, error.message).toBeDefined();
    return error.failure!;
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
        await expect(other.configure({})).rejects.toThrow(/GET \/auth\/details.*403.*This credential is not valid/);
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

describe("Kube", () => {
    it("is ordered, waited for, and has its kubeconfig as a secret", async () => {
        let built!: () => void;
        mks.create = () => new Promise<void>((resolve) => (built = resolve));
        const from = cloud.requests().length;
        const making = make(kubeType, kubeInputs);
        while (calls(from).filter((call) => call.startsWith("GET /kube/")).length < 3) {
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
        built();
        const { id, state } = await making;
        expect(calls(from, { ID: id })).toEqual([
            "POST /kube",
            ...calls(from, { ID: id }).filter((call) => call === "GET /kube/ID"),
            "POST /kube/ID/kubeconfig",
        ]);
        expect(state).toMatchObject({ ...kubeInputs, status: "READY", updatePolicy: "ALWAYS_UPDATE" });
        expect(state.kubeconfig).toEqual(secret(kubeconfigOf(id)));
        expect(state.kubeconfigAttributes).toEqual(
            secret([
                {
                    host: `https://127.0.0.1:6443/${id}`,
                    clusterCaCertificate: "Q0E=",
                    clientCertificate: "Q0VSVA==",
                    clientKey: "S0VZ",
                },
            ]),
        );
        expect(cloud.clusters()).toContain(id);
    });

    it("is the same after a refresh, without a new kubeconfig", async () => {
        const before = await make(kubeType, kubeInputs);
        const from = cloud.requests().length;
        const refreshed = await plugin.read(kubeType, before);
        expect(refreshed).toEqual(before);
        expect(calls(from, { ID: before.id })).toEqual(["GET /kube/ID"]);
        expect(await plugin.diff(kubeType, refreshed, before.inputs)).toMatchObject({ changes: false });
        const adopted = await plugin.read(kubeType, { id: before.id, inputs: {}, state: {} });
        expect(adopted.state).toEqual(before.state);
        expect(adopted.inputs).toMatchObject(kubeInputs);
    });

    it("takes the project from the environment, and needs one", async () => {
        const { serviceName: _, ...without } = kubeInputs;
        expect((await plugin.check(kubeType, without)).inputs.serviceName).toBe(projectId);
        const other = await start({ OVH_CLOUD_PROJECT_SERVICE: "" });
        await other.configure({});
        expect((await other.check(kubeType, without)).failures).toMatchObject([{ property: "serviceName" }]);
        await other.close();
    });

    it("orders nothing in a preview, and says what is not known yet", async () => {
        const from = cloud.requests().length;
        const { inputs } = await plugin.check(kubeType, { ...kubeInputs, privateNetworkId: unknown });
        const { state } = await plugin.create(kubeType, inputs, { preview: true });
        expect(state).toMatchObject({
            ...kubeInputs,
            privateNetworkId: unknown,
            status: unknown,
            updatePolicy: unknown,
            kubeconfig: secret(unknown),
        });
        expect(calls(from)).toEqual([]);
    });

    it("passes on the private network", async () => {
        const inputs = {
            ...kubeInputs,
            privateNetworkId: "00000000-0000-4000-8000-00000000000a",
            nodesSubnetId: "00000000-0000-4000-8000-00000000000b",
            privateNetworkConfiguration: { defaultVrackGateway: "", privateNetworkRoutingAsDefault: true },
        };
        const before = await make(kubeType, inputs);
        expect(before.state).toMatchObject(inputs);
        expect(await plugin.diff(kubeType, before, before.inputs)).toMatchObject({ changes: false });
        const elsewhere = { ...before.inputs, privateNetworkId: "00000000-0000-4000-8000-00000000000c" };
        expect((await plugin.diff(kubeType, before, elsewhere)).replaces).toEqual(["privateNetworkId"]);
        const { failures } = await plugin.check(kubeType, { ...kubeInputs, nodesSubnetId: "b" });
        expect(failures).toMatchObject([{ property: "nodesSubnetId" }]);
    });

    it("is replaced on another region, the old one first, and renamed in place", async () => {
        const before = await make(kubeType, kubeInputs);
        const moved = { ...before.inputs, region: "BHS5" };
        expect(await plugin.diff(kubeType, before, moved)).toMatchObject({
            replaces: ["region"],
            deleteBeforeReplace: true,
        });
        const { plan: _, ...withoutPlan } = before.inputs;
        expect(await plugin.diff(kubeType, before, withoutPlan)).toMatchObject({ changes: false });

        const renamed = { ...before.inputs, name: "other", updatePolicy: "NEVER_UPDATE" };
        expect(await plugin.diff(kubeType, before, renamed)).toMatchObject({
            names: ["name", "updatePolicy"],
            replaces: [],
        });
        const from = cloud.requests().length;
        const state = await plugin.update(kubeType, before, renamed);
        expect(calls(from, { ID: before.id })).toEqual(["PUT /kube/ID", "GET /kube/ID"]);
        expect(state).toMatchObject({
            name: "other",
            updatePolicy: "NEVER_UPDATE",
            kubeconfig: before.state.kubeconfig,
        });
    });

    it("says which changes are not simulated, and does nothing then", async () => {
        const before = await make(kubeType, { ...kubeInputs, version: "1.33" });
        const from = cloud.requests().length;
        await expect(plugin.update(kubeType, before, { ...before.inputs, version: "1.34" })).rejects.toThrow(
            /version is not simulated/,
        );
        expect(calls(from)).toEqual([]);
        const { failures } = await plugin.check(kubeType, { ...kubeInputs, customizationApiservers: [] });
        expect(failures).toMatchObject([{ property: "customizationApiservers" }]);
    });

    it("shows the platform's refusal", async () => {
        await expect(make(kubeType, { ...kubeInputs, region: "MARS1" })).rejects.toThrow(
            /POST \/kube: OVHcloud answered 400: region MARS1 does not exist/,
        );
    });

    it("that fails to install is kept with its id, and deleted like any other", async () => {
        mks.create = () => Promise.reject(new Error("no capacity"));
        const { inputs } = await plugin.check(kubeType, kubeInputs);
        const failure = await failureOf(plugin.create(kubeType, inputs));
        expect(failure.reasons).toEqual([`cluster ${failure.id} is ERROR, but should become READY`]);
        expect(failure.state).toMatchObject({ ...kubeInputs, status: "ERROR" });
        expect(cloud.clusters()).toContain(failure.id);
        await plugin.delete(kubeType, { ...failure, inputs });
        expect(cloud.clusters()).not.toContain(failure.id);
    });

    it("that takes too long is kept with its id; the next up goes on waiting, and fetches the kubeconfig", async () => {
        let built!: () => void;
        mks.create = () => new Promise<void>((resolve) => (built = resolve));
        const { inputs } = await plugin.check(kubeType, kubeInputs);
        const failure = await failureOf(plugin.create(kubeType, inputs, { timeoutSeconds: 0.1 }));
        expect(failure.reasons[0]).toMatch(/is INSTALLING after 0\.1 s of waiting for READY/);
        const before = { ...failure, inputs };
        expect(await plugin.diff(kubeType, before, inputs)).toMatchObject({ changes: false });
        built();
        const from = cloud.requests().length;
        const state = await plugin.update(kubeType, before, inputs);
        expect(state).toMatchObject({ status: "READY", kubeconfig: secret(kubeconfigOf(failure.id)) });
        expect(calls(from).some((call) => call.startsWith("PUT"))).toBe(false);
    });

    it("that is waited for when the user cancels is kept with its id", async () => {
        mks.create = () => new Promise<void>(() => undefined);
        const other = await start();
        await other.configure({});
        const { inputs } = await other.check(kubeType, kubeInputs);
        const clusters = cloud.clusters();
        const failing = failureOf(other.create(kubeType, inputs));
        while (cloud.clusters().length === clusters.length) await new Promise((resolve) => setTimeout(resolve, 10));
        await other.cancel();
        const failure = await failing;
        expect(failure.reasons[0]).toMatch(/is INSTALLING; the wait for READY was cancelled/);
        expect(cloud.clusters()).toContain(failure.id);
        await other.close();
    });

    it("whose kubeconfig cannot be had is kept with its id", async () => {
        cloud.faults.add({ kind: "status", status: 403, method: "POST", path: "/kubeconfig$", times: 1 });
        const { inputs } = await plugin.check(kubeType, kubeInputs);
        const failure = await failureOf(plugin.create(kubeType, inputs));
        expect(failure.reasons[0]).toMatch(/POST \/kube\/.*\/kubeconfig: OVHcloud answered 403/);
        expect(failure.state.status).toBe("READY");
        const refreshed = await plugin.read(kubeType, { ...failure, inputs });
        expect(refreshed.state.kubeconfig).toEqual(secret(kubeconfigOf(failure.id)));
    });

    it("is waited for through a platform that is ill or late", async () => {
        cloud.faults.add({ kind: "status", status: 404, method: "GET", path: "/kube/", times: 2 });
        cloud.faults.add({ kind: "status", status: 503, method: "GET", path: "/kube/", times: 1 });
        const { state } = await make(kubeType, kubeInputs);
        expect(state.status).toBe("READY");
    });

    it("that may or may not have been ordered is said to be so", async () => {
        cloud.faults.add({ kind: "commit-then-status", status: 502, method: "POST", path: "/kube$", times: 1 });
        await expect(make(kubeType, kubeInputs)).rejects.toThrow(/502.*whether it was made is not known/);
    });

    it("is gone on 404 only: an outage empties no state", async () => {
        const before = await make(kubeType, kubeInputs);
        cloud.faults.add({ kind: "status", status: 403, method: "GET", path: `/kube/${before.id}$`, times: 1 });
        await expect(plugin.read(kubeType, before)).rejects.toThrow(/403/);
        await plugin.delete(kubeType, before);
        expect(cloud.clusters()).not.toContain(before.id);
        expect(await plugin.read(kubeType, before)).toEqual({ id: "", state: {}, inputs: {} });
        await plugin.delete(kubeType, before);
    });

    it("is deleted only when it is really gone", async () => {
        const before = await make(kubeType, kubeInputs);
        mks.delete = () => Promise.reject(new Error("a node hangs"));
        await expect(plugin.delete(kubeType, before)).rejects.toThrow(/is ERROR, but should become gone or DELETED/);
        expect(cloud.clusters()).toContain(before.id);
    });
});

describe("KubeNodePool", () => {
    let kubeId: string;
    beforeEach(async () => {
        kubeId = (await make(kubeType, kubeInputs)).id;
    });

    it("is ordered, waited for, read and deleted", async () => {
        const from = cloud.requests().length;
        const before = await make(poolType, poolInputs(kubeId));
        const made = calls(from, { ID: kubeId, POOL: before.id });
        expect(made[0]).toBe("POST /kube/ID/nodepool");
        expect(new Set(made.slice(1))).toEqual(new Set(["GET /kube/ID/nodepool/POOL"]));
        expect(before.state).toMatchObject({
            ...poolInputs(kubeId),
            flavor: "b2-15",
            projectId,
            status: "READY",
            currentNodes: 3,
            autoscale: false,
            autoscalingScaleDownUtilizationThreshold: 0.5,
        });
        expect(await plugin.read(poolType, before)).toEqual(before);
        expect(await plugin.diff(poolType, before, before.inputs)).toMatchObject({ changes: false });
        await plugin.delete(poolType, before);
        expect((await plugin.read(poolType, before)).id).toBe("");
    });

    it("is resized in place, and the number is seen when it was changed elsewhere", async () => {
        const before = await make(poolType, poolInputs(kubeId));
        const larger = { ...before.inputs, desiredNodes: 5 };
        expect(await plugin.diff(poolType, before, larger)).toMatchObject({ names: ["desiredNodes"], replaces: [] });
        expect((await plugin.update(poolType, before, larger, { preview: true })).desiredNodes).toBe(5);
        const from = cloud.requests().length;
        expect((await plugin.update(poolType, before, larger)).currentNodes).toBe(5);
        expect(calls(from, { ID: kubeId, POOL: before.id })[0]).toBe("PUT /kube/ID/nodepool/POOL");

        const refreshed = await plugin.read(poolType, before);
        expect(refreshed.inputs.desiredNodes).toBe(5);
        expect(await plugin.diff(poolType, refreshed, before.inputs)).toMatchObject({ names: ["desiredNodes"] });
        const ignoring = await plugin.diff(poolType, refreshed, before.inputs, ["desiredNodes"]);
        expect(ignoring.changes).toBe(false);
    });

    it("is left at the autoscaler's number of nodes, but for a lower maximum", async () => {
        const before = await make(poolType, { ...poolInputs(kubeId), autoscale: true, minNodes: 1, maxNodes: 6 });
        const options = { ignoreChanges: ["desiredNodes"] };
        const state = await plugin.update(
            poolType,
            before,
            { ...before.inputs, desiredNodes: 9, minNodes: 2 },
            options,
        );
        expect(state).toMatchObject({ desiredNodes: 3, minNodes: 2 });
        const capped = await plugin.update(poolType, before, { ...before.inputs, maxNodes: 2 }, options);
        expect(capped).toMatchObject({ desiredNodes: 2, maxNodes: 2 });
    });

    it("passes on labels, taints and the autoscaler's patience", async () => {
        const template = {
            metadata: { annotations: {}, finalizers: [], labels: { role: "monitoring" } },
            spec: { taints: [{ key: "role", effect: "NoSchedule", value: "monitoring" }], unschedulable: false },
        };
        const inputs = {
            ...poolInputs(kubeId),
            template,
            autoscale: true,
            autoscalingScaleDownUnneededTimeSeconds: 300,
        };
        const before = await make(poolType, inputs);
        expect(before.state).toMatchObject(inputs);
        expect(await plugin.diff(poolType, before, before.inputs)).toMatchObject({ changes: false });
        const { template: _, ...without } = before.inputs;
        expect(await plugin.diff(poolType, before, without)).toMatchObject({ names: ["template"], replaces: [] });
        expect(await plugin.update(poolType, before, without)).not.toHaveProperty("template");
    });

    it("is replaced on another flavor or cluster, also on one that is not known yet", async () => {
        const before = await make(poolType, poolInputs(kubeId));
        for (const [name, value] of Object.entries({ flavorName: "b2-30", kubeId: unknown, antiAffinity: true })) {
            const difference = await plugin.diff(poolType, before, { ...before.inputs, [name]: value });
            expect(difference).toMatchObject({ replaces: [name], deleteBeforeReplace: true });
        }
    });

    it("that a colleague's pool has the name of is refused", async () => {
        await make(poolType, poolInputs(kubeId));
        await expect(make(poolType, poolInputs(kubeId))).rejects.toThrow(/409: node pool monitoring exists already/);
    });

    it("that gets no nodes is made, in ERROR, as with the real plugin", async () => {
        mks.scale = () => Promise.reject(new Error("no quota"));
        const before = await make(poolType, poolInputs(kubeId));
        expect(before.state.status).toBe("ERROR");
        const failure = await failureOf(plugin.update(poolType, before, { ...before.inputs, desiredNodes: 4 }));
        expect(failure).toMatchObject({ id: before.id, reasons: [expect.stringMatching(/is ERROR, but should/)] });
    });
});
