import type { Before, Properties } from "../engine";
import { projectId, type Session } from "./session";

/** What is recorded: each is a file of its own. Errors that are meant are noted, and end nothing. */
export type Scenario = (session: Session) => Promise<void>;

const kubeType = "ovh:CloudProject/kube:Kube";
const poolType = "ovh:CloudProject/kubeNodePool:KubeNodePool";
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

const kube = { serviceName: projectId, name: "metrics", region: "GRA11", plan: "free", version: "1.33" };
const privateKube = {
    ...kube,
    privateNetworkId: "00000000-0000-4000-8000-00000000000a",
    nodesSubnetId: "00000000-0000-4000-8000-00000000000b",
    privateNetworkConfiguration: { defaultVrackGateway: "", privateNetworkRoutingAsDefault: true },
};
const pool = (kubeId: string) => ({
    serviceName: projectId,
    kubeId,
    name: "monitoring",
    flavorName: "b2-15",
    desiredNodes: 3,
});
const autoscaled = (kubeId: string) => ({ ...pool(kubeId), autoscale: true, minNodes: 1, maxNodes: 9 });
const template = {
    metadata: { annotations: {}, finalizers: [], labels: { role: "monitoring" } },
    spec: { taints: [{ key: "role", effect: "NoSchedule", value: "monitoring" }], unschedulable: false },
};

/** Inputs without one of them. */
function without(inputs: Properties, name: string): Properties {
    const { [name]: _, ...rest } = inputs;
    return rest;
}

const failing = (work: Promise<unknown>): Promise<unknown> => work.catch(() => undefined);

/** A cluster that is not part of what is recorded. */
async function someCluster({ elsewhere }: Session): Promise<string> {
    const { id } = await elsewhere("POST", "/kube", { region: "GRA11", name: "metrics" });
    return id as string;
}

/** Lets a cluster take until the plugin has looked at it so often. */
function readyAfter(session: Session, looks: number): void {
    session.mks.create = () => session.called(/^GET \/kube\/[^/]+$/, looks);
}

const kubeScenarios: Record<string, Scenario> = {
    async "kube-create"(session) {
        readyAfter(session, 3);
        const before = await session.make(kubeType, kube);
        await session.plugin.read(kubeType, before);
        await session.plugin.diff(kubeType, before, before.inputs);
    },
    async "kube-create-named-by-the-plugin"(session) {
        await session.make(kubeType, { serviceName: projectId, region: "GRA11" });
    },
    async "kube-create-private"(session) {
        const before = await session.make(kubeType, privateKube);
        await session.plugin.read(kubeType, before);
        await session.plugin.diff(kubeType, before, before.inputs);
    },
    async "kube-preview"({ plugin }) {
        const { inputs } = await plugin.check(kubeType, { ...kube, privateNetworkId: unknown });
        await plugin.create(kubeType, inputs, { preview: true });
    },
    async "kube-check"({ plugin }) {
        await plugin.check(kubeType, { ...kube, nodesSubnetId: "b" });
        await plugin.check(kubeType, without(kube, "serviceName"));
        await plugin.check(kubeType, { ...kube, plan: "huge" });
        await plugin.check(kubeType, { serviceName: projectId, size: 3 });
    },
    async "kube-create-refused"(session) {
        await failing(session.make(kubeType, { ...kube, region: "MARS1" }));
        await failing(session.make(kubeType, { ...privateKube, privateNetworkId: "pn-1_2" }));
    },
    async "kube-create-503-on-order"(session) {
        session.cloud.faults.add({ kind: "commit-then-status", status: 503, method: "POST", path: "/kube$", times: 1 });
        await failing(session.make(kubeType, kube));
    },
    async "kube-create-503-in-wait"(session) {
        session.mks.create = async () => {
            await session.called(/^GET \/kube\/[^/]+$/, 1);
            session.cloud.faults.add({ kind: "status", status: 503, method: "GET", path: "/kube/", times: 1 });
        };
        await failing(session.make(kubeType, kube));
    },
    async "kube-create-not-there-at-first"(session) {
        session.cloud.faults.add({ kind: "status", status: 404, method: "GET", path: "/kube/", times: 1 });
        await session.make(kubeType, kube);
    },
    async "kube-create-not-there-in-wait"(session) {
        session.mks.create = async () => {
            await session.called(/^GET \/kube\/[^/]+$/, 1);
            session.cloud.faults.add({ kind: "status", status: 404, method: "GET", path: "/kube/", times: 1 });
        };
        await failing(session.make(kubeType, kube));
    },
    async "kube-create-in-error"(session) {
        session.mks.create = () => Promise.reject(new Error("no capacity"));
        await failing(session.make(kubeType, kube));
    },
    async "kube-create-too-long"(session) {
        session.mks.create = () => new Promise(() => undefined);
        const { inputs } = await session.plugin.check(kubeType, kube);
        await failing(session.plugin.create(kubeType, inputs, { timeoutSeconds: 7 }));
    },
    async "kube-create-without-kubeconfig"(session) {
        session.cloud.faults.add({ kind: "status", status: 403, method: "POST", path: "/kubeconfig$", times: 1 });
        const { inputs } = await session.plugin.check(kubeType, kube);
        const error = await session.plugin.create(kubeType, inputs).catch((reason: unknown) => reason);
        const before = { ...(error as { failure: Before }).failure, inputs };
        await session.plugin.diff(kubeType, before, inputs);
        await session.plugin.update(kubeType, before, inputs);
        await session.plugin.read(kubeType, before);
    },
    async "kube-create-with-custom-timeouts"(session) {
        const { inputs } = await session.plugin.check(kubeType, kube);
        await session.plugin.create(kubeType, inputs, { timeoutSeconds: 1800 });
    },
    async "kube-create-killed"(session) {
        session.mks.create = () => new Promise(() => undefined);
        const { inputs } = await session.plugin.check(kubeType, kube);
        const creating = failing(session.plugin.create(kubeType, inputs));
        await session.called(/^GET \/kube\/[^/]+$/, 2);
        await session.kill();
        await creating;
    },
    async "kube-create-cancelled"(session) {
        session.mks.create = () => session.called(/^GET \/kube\/[^/]+$/, 2);
        const { inputs } = await session.plugin.check(kubeType, kube);
        const creating = session.plugin.create(kubeType, inputs);
        await session.called(/^POST \/kube$/, 1);
        await session.plugin.cancel();
        await creating;
    },
    async "kube-update"(session) {
        let before = await session.make(kubeType, privateKube);
        before = await session.change(kubeType, before, { name: "other" });
        before = await session.change(kubeType, before, { updatePolicy: "MINIMAL_DOWNTIME" });
        before = await session.change(kubeType, before, { version: "1.34" });
        before = await session.change(kubeType, before, {
            privateNetworkConfiguration: { defaultVrackGateway: "10.0.0.1", privateNetworkRoutingAsDefault: false },
        });
        before = await session.change(kubeType, before, {
            loadBalancersSubnetId: "00000000-0000-4000-8000-00000000000c",
        });
        await session.plugin.read(kubeType, before);
    },
    async "kube-update-everything-at-once"(session) {
        const before = await session.make(kubeType, privateKube);
        await session.change(kubeType, before, {
            name: "other",
            updatePolicy: "MINIMAL_DOWNTIME",
            version: "1.34",
            privateNetworkConfiguration: { defaultVrackGateway: "10.0.0.1", privateNetworkRoutingAsDefault: false },
        });
    },
    async "kube-update-preview"(session) {
        const before = await session.make(kubeType, kube);
        await session.plugin.update(kubeType, before, { ...before.inputs, name: "other" }, { preview: true });
    },
    async "kube-update-of-something-left-out"(session) {
        const before = await session.make(kubeType, { ...privateKube, updatePolicy: "MINIMAL_DOWNTIME" });
        for (const name of [
            "plan",
            "version",
            "updatePolicy",
            "nodesSubnetId",
            "privateNetworkConfiguration",
            "name",
        ]) {
            await session.plugin.diff(kubeType, before, without(before.inputs, name));
        }
    },
    async "kube-update-503-on-updatePolicy"(session) {
        let before = await session.make(kubeType, kube);
        session.cloud.faults.add({ kind: "status", status: 503, method: "PUT", path: "/updatePolicy$", times: 1 });
        before = await failedChange(session, before, { updatePolicy: "MINIMAL_DOWNTIME", name: "other" });
        await session.plugin.diff(kubeType, before, before.inputs);
        await session.plugin.update(kubeType, before, before.inputs);
        await session.plugin.read(kubeType, before);
    },
    async "kube-update-503-in-wait-for-version"(session) {
        let before = await session.make(kubeType, kube);
        session.cloud.faults.add({ kind: "status", status: 503, method: "GET", path: "/kube/", times: 1 });
        before = await failedChange(session, before, { version: "1.34" });
        await session.plugin.update(kubeType, before, before.inputs);
        await session.plugin.read(kubeType, before);
    },
    async "kube-update-version-refused"(session) {
        const before = await session.make(kubeType, { ...kube, version: "1.32", updatePolicy: "NEVER_UPDATE" });
        await failedChange(session, before, { version: "1.33" });
        await failedChange(session, before, { version: "1.34" });
        await failedChange(session, before, { version: "1.31" });
        await failedChange(session, before, { plan: "standard" });
    },
    async "kube-update-network-of-a-public-cluster"(session) {
        const before = await session.make(kubeType, kube);
        const { privateNetworkConfiguration } = privateKube;
        await failedChange(session, before, { privateNetworkConfiguration });
    },
    async "kube-replace"(session) {
        const before = await session.make(kubeType, privateKube);
        for (const change of [
            { region: "BHS5" },
            { region: unknown },
            { privateNetworkId: "00000000-0000-4000-8000-00000000000d" },
            { nodesSubnetId: "00000000-0000-4000-8000-00000000000d" },
            { kubeProxyMode: "ipvs" },
            { serviceName: "0000beef0000beef0000beef0000beef" },
            { ipAllocationPolicy: { podsIpv4Cidr: "172.16.0.0/12", servicesIpv4Cidr: "10.100.0.0/16" } },
        ]) {
            session.note(`\nwith ${JSON.stringify(change)}`);
            await session.plugin.diff(kubeType, before, { ...before.inputs, ...change });
        }
        await session.plugin.diff(
            kubeType,
            before,
            without(without(before.inputs, "privateNetworkId"), "nodesSubnetId"),
        );
    },
    async "kube-read"(session) {
        const before = await session.make(kubeType, kube);
        await session.elsewhere("PUT", `/kube/${before.id}`, { name: "renamed", updatePolicy: "NEVER_UPDATE" });
        const { id, state, inputs } = await session.plugin.read(kubeType, before);
        await session.plugin.diff(kubeType, { id, state, inputs }, before.inputs);
        session.cloud.faults.add({ kind: "status", status: 403, method: "GET", path: "/kube/", times: 1 });
        await failing(session.plugin.read(kubeType, before));
        session.cloud.faults.add({ kind: "status", status: 404, method: "GET", path: "/kube/", times: 1 });
        await session.plugin.read(kubeType, before);
    },
    async "kube-import"(session) {
        const id = await someCluster(session);
        const read = (what: string) => session.plugin.read(kubeType, { id: what, inputs: {}, state: {} });
        const { inputs, ...rest } = await read(`${projectId}/${id}`);
        await session.plugin.diff(kubeType, { inputs, ...rest }, { ...inputs, name: "other" });
        await failing(read(id));
        await failing(read(`${projectId}/00000000-0000-4000-8000-000000000000`));
    },
    async "kube-import-private"(session) {
        const { id } = await session.elsewhere("POST", "/kube", without(without(privateKube, "serviceName"), "plan"));
        const read = await session.plugin.read(kubeType, { id: `${projectId}/${id}`, inputs: {}, state: {} });
        const { inputs } = await session.plugin.check(kubeType, privateKube);
        await session.plugin.diff(kubeType, read, inputs);
    },
    async "kube-import-while-it-installs"(session) {
        session.mks.create = () => new Promise(() => undefined);
        const id = await someCluster(session);
        await failing(session.plugin.read(kubeType, { id: `${projectId}/${id}`, inputs: {}, state: {} }));
    },
    async "kube-delete"(session) {
        const before = await session.make(kubeType, kube);
        session.mks.delete = () => session.called(/^GET \/kube\/[^/]+$/, 4);
        await session.plugin.delete(kubeType, before);
        await session.plugin.delete(kubeType, before);
    },
    async "kube-delete-503"(session) {
        const before = await session.make(kubeType, kube);
        session.cloud.faults.add({ kind: "status", status: 503, method: "DELETE", path: "/kube/", times: 1 });
        await failing(session.plugin.delete(kubeType, before));
        session.cloud.faults.add({ kind: "status", status: 503, method: "GET", path: "/kube/", times: 1 });
        await failing(session.plugin.delete(kubeType, before));
    },
    async "kube-delete-in-error"(session) {
        const before = await session.make(kubeType, kube);
        session.mks.delete = () => Promise.reject(new Error("a node hangs"));
        await failing(session.plugin.delete(kubeType, before));
    },
};

/** A change that fails: what the engine keeps of it. */
async function failedChange(session: Session, before: Before, changes: object, type = kubeType): Promise<Before> {
    const { inputs } = await session.plugin.check(type, { ...before.inputs, ...changes }, before.inputs);
    const error = await session.plugin.update(type, before, inputs).catch((reason: unknown) => reason);
    const { failure } = error as { failure?: Before };
    return { ...before, ...failure, inputs };
}

const poolScenarios: Record<string, Scenario> = {
    async "pool-create"(session) {
        const kubeId = await someCluster(session);
        session.mks.scale = () => session.called(/^GET .*\/nodepool\/[^/]+$/, 2);
        const before = await session.make(poolType, pool(kubeId));
        await session.plugin.read(poolType, before);
        await session.plugin.diff(poolType, before, before.inputs);
    },
    async "pool-create-with-all-settings"(session) {
        const kubeId = await someCluster(session);
        const before = await session.make(poolType, {
            ...autoscaled(kubeId),
            template,
            availabilityZones: ["eu-west-par-a"],
            attachFloatingIps: { enabled: true },
            autoscalingScaleDownUnneededTimeSeconds: 300,
            autoscalingScaleDownUtilizationThreshold: 0.25,
        });
        await session.plugin.read(poolType, before);
        await session.plugin.diff(poolType, before, before.inputs);
    },
    async "pool-preview"(session) {
        const { inputs } = await session.plugin.check(poolType, pool(unknown));
        await session.plugin.create(poolType, inputs, { preview: true });
    },
    async "pool-create-refused"(session) {
        const kubeId = await someCluster(session);
        await failing(session.make(poolType, { ...pool(kubeId), flavorName: "b2-16" }));
        await failing(session.make(poolType, { ...autoscaled(kubeId), maxNodes: 2 }));
        await session.make(poolType, pool(kubeId));
        await failing(session.make(poolType, pool(kubeId)));
    },
    async "pool-create-503-in-wait"(session) {
        const kubeId = await someCluster(session);
        session.mks.scale = async () => {
            await session.called(/^GET .*\/nodepool\/[^/]+$/, 1);
            session.cloud.faults.add({ kind: "status", status: 503, method: "GET", path: "/nodepool/", times: 1 });
        };
        await failing(session.make(poolType, pool(kubeId)));
        await failing(session.make(poolType, pool(kubeId)));
    },
    async "pool-create-in-error"(session) {
        const kubeId = await someCluster(session);
        session.mks.scale = () => Promise.reject(new Error("no quota"));
        await session.make(poolType, pool(kubeId));
    },
    async "pool-create-killed"(session) {
        const kubeId = await someCluster(session);
        session.mks.scale = () => new Promise(() => undefined);
        const { inputs } = await session.plugin.check(poolType, pool(kubeId));
        const creating = failing(session.plugin.create(poolType, inputs));
        await session.called(/^GET .*\/nodepool\/[^/]+$/, 1);
        await session.kill();
        await creating;
    },
    async "pool-update"(session) {
        const kubeId = await someCluster(session);
        let before = await session.make(poolType, pool(kubeId));
        before = await session.change(poolType, before, { desiredNodes: 4 });
        before = await session.change(poolType, before, { autoscale: true, minNodes: 2, maxNodes: 6 });
        before = await session.change(poolType, before, { autoscalingScaleDownUnneededTimeSeconds: 300 });
        before = await session.change(poolType, before, { attachFloatingIps: { enabled: true } });
        before = await session.change(poolType, before, { template });
        before = await session.change(poolType, { ...before, inputs: without(before.inputs, "template") }, {});
        await session.plugin.read(poolType, before);
    },
    async "pool-update-without-autoscaling"(session) {
        const kubeId = await someCluster(session);
        let before = await session.make(poolType, autoscaled(kubeId));
        const { minNodes: _, maxNodes: __, ...inputs } = before.inputs;
        before = await session.change(poolType, { ...before, inputs }, { autoscale: false });
        await session.plugin.read(poolType, before);
    },
    async "pool-update-of-one-that-has-grown"(session) {
        const kubeId = await someCluster(session);
        const before = await session.make(poolType, autoscaled(kubeId));
        await session.elsewhere("PUT", `/kube/${kubeId}/nodepool/${before.id}`, { desiredNodes: 6 });
        await session.change(poolType, before, { minNodes: 2 }, ["desiredNodes"]);
        await session.plugin.read(poolType, before);
    },
    async "pool-update-of-one-that-was-refreshed"(session) {
        const kubeId = await someCluster(session);
        const made = await session.make(poolType, autoscaled(kubeId));
        await session.elsewhere("PUT", `/kube/${kubeId}/nodepool/${made.id}`, { desiredNodes: 6 });
        const before = await session.plugin.read(poolType, made);
        await session.plugin.diff(poolType, before, made.inputs);
        await session.plugin.diff(poolType, before, made.inputs, ["desiredNodes"]);
        await session.change(poolType, before, { minNodes: 2 }, ["desiredNodes"]);
        await failing(session.change(poolType, before, { maxNodes: 4, desiredNodes: 3 }, ["desiredNodes"]));
    },
    async "pool-update-503"(session) {
        const kubeId = await someCluster(session);
        let before = await session.make(poolType, pool(kubeId));
        session.cloud.faults.add({ kind: "status", status: 503, method: "PUT", path: "/nodepool/", times: 1 });
        before = await failedChange(session, before, { desiredNodes: 5 }, poolType);
        await session.plugin.diff(poolType, before, before.inputs);
        await session.plugin.update(poolType, before, before.inputs);
        session.cloud.faults.add({ kind: "status", status: 503, method: "GET", path: "/nodepool/", times: 1 });
        before = await failedChange(session, before, { desiredNodes: 4 }, poolType);
        await session.plugin.read(poolType, before);
    },
    async "pool-update-in-error"(session) {
        const kubeId = await someCluster(session);
        const before = await session.make(poolType, pool(kubeId));
        session.mks.scale = () => Promise.reject(new Error("no quota"));
        await failedChange(session, before, { desiredNodes: 5 }, poolType);
    },
    async "pool-replace"(session) {
        const kubeId = await someCluster(session);
        const before = await session.make(poolType, pool(kubeId));
        for (const change of [
            { flavorName: "b2-30" },
            { kubeId: unknown },
            { antiAffinity: true },
            { monthlyBilled: true },
            { name: "other" },
            { availabilityZones: ["eu-west-par-b"] },
        ]) {
            session.note(`\nwith ${JSON.stringify(change)}`);
            await session.plugin.diff(poolType, before, { ...before.inputs, ...change });
        }
    },
    async "pool-import"(session) {
        const kubeId = await someCluster(session);
        const { id } = await session.elsewhere("POST", `/kube/${kubeId}/nodepool`, {
            name: "monitoring",
            flavorName: "b2-15",
            desiredNodes: 3,
        });
        const read = (what: string) => session.plugin.read(poolType, { id: what, inputs: {}, state: {} });
        await read(`${projectId}/${kubeId}/${id}`);
        await failing(read(`${kubeId}/${id}`));
        await failing(read(`${projectId}/${kubeId}/00000000-0000-4000-8000-000000000000`));
    },
    async "pool-read"(session) {
        const kubeId = await someCluster(session);
        const before = await session.make(poolType, pool(kubeId));
        session.cloud.faults.add({ kind: "status", status: 403, method: "GET", path: "/nodepool/", times: 1 });
        await failing(session.plugin.read(poolType, before));
        session.cloud.faults.add({ kind: "status", status: 404, method: "GET", path: "/nodepool/", times: 1 });
        await session.plugin.read(poolType, before);
    },
    async "pool-delete"(session) {
        const kubeId = await someCluster(session);
        const before = await session.make(poolType, pool(kubeId));
        session.cloud.faults.add({ kind: "status", status: 503, method: "DELETE", path: "/nodepool/", times: 1 });
        await failing(session.plugin.delete(poolType, before));
        await session.plugin.delete(poolType, before);
        await session.plugin.delete(poolType, before);
    },
};

const functionScenarios: Record<string, Scenario> = {
    async functions(session) {
        const kubeId = await someCluster(session);
        const { plugin } = session;
        const { id } = await session.elsewhere("POST", `/kube/${kubeId}/nodepool`, {
            name: "monitoring",
            flavorName: "b2-15",
            desiredNodes: 1,
        });
        session.note(`the pool is ${id}`);
        const of = { serviceName: projectId, kubeId };
        await plugin.invoke("ovh:CloudProject/getKube:getKube", of);
        await plugin.invoke("ovh:CloudProject/getKubeNodePool:getKubeNodePool", { ...of, name: "monitoring" });
        await failing(plugin.invoke("ovh:CloudProject/getKubeNodePool:getKubeNodePool", { ...of, name: "other" }));
        await failing(plugin.invoke("ovh:CloudProject/getKube:getKube", { ...of, kubeId: "none" }));
    },
};

export const scenarios: Record<string, Scenario> = { ...kubeScenarios, ...poolScenarios, ...functionScenarios };

/** Those in which the pauses between looks are seen: a stand-in must make them as long as the real one does. */
export const withRealPauses = ["kube-create-too-long"];
