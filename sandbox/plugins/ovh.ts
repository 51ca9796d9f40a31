/**
 * Stands in for OVHcloud's Pulumi plugin: a Managed Kubernetes cluster and its node pools. It makes the calls of the
 * real one (terraform-provider-ovh 2.19), gives its answers and has its faults: nothing is tried twice, what is being
 * made has no id in the state until it is READY, and a change that fails counts as made. Recordings of the real one in
 * test/sandbox/plugins/recordings hold it to that.
 */
import { version } from "@ovhcloud/pulumi-ovh/package.json";
import { isDeepStrictEqual } from "node:util";
import { parse } from "yaml";
import { sleep } from "../../packages/ai-deploy/src/waiting/cancellation";
import { configFiles, resolveCredentials } from "../../packages/ai-deploy/src/api/credentials";
import { OvhApi, OvhApiError } from "./ovh-api";
import { oauth2Client, policy } from "./ovh-iam";
import {
    fault,
    InitFailed,
    serveProvider,
    type Change,
    type CheckFailure,
    type Properties,
    type ResourceType,
} from "./provider-server";

let api: OvhApi;

async function configure(config: Record<string, string>): Promise<void> {
    const credentials = resolveCredentials({
        config: (key) => config[key.replace(/^ovh:/, "")],
        env: process.env,
        files: configFiles(),
    });
    // Where the real plugin is missing by mistake, nothing must be ordered by this one.
    if (new URL(credentials.baseUrl).hostname !== "127.0.0.1") {
        throw new Error(
            `the ovh plugin is the sandbox's stand-in here and works with the local OVHcloud only, not with ` +
                `${credentials.baseUrl}: use a shell without .sandbox/env, or remove ovh:endpoint from the stack's config`,
        );
    }
    api = new OvhApi(credentials);
    await api.get("/auth/details");
}

const minute = 60;

const cluster: ResourceType = {
    required: ["region", "serviceName"],
    optional: [
        "customizationKubeProxy",
        "loadBalancersSubnetId",
        "name",
        "privateNetworkConfiguration",
        "privateNetworkId",
    ],
    chosen: [
        "customizationApiservers",
        "customizationCilium",
        "customizations",
        "ipAllocationPolicy",
        "kubeProxyMode",
        "nodesSubnetId",
        "plan",
        "updatePolicy",
        "version",
    ],
    outputs: [
        "controlPlaneIsUpToDate",
        "isUpToDate",
        "kubeconfig",
        "kubeconfigAttributes",
        "nextUpgradeVersions",
        "nodesUrl",
        "status",
        "url",
    ],
    secrets: ["kubeconfig", "kubeconfigAttributes", "clientCertificate", "clientKey", "clusterCaCertificate"],
    replaceOn: ["ipAllocationPolicy", "kubeProxyMode", "privateNetworkId", "region", "serviceName"],
    timeouts: { create: 15, read: 5, update: 60, delete: 10, default: 10 },
    autonamed: true,
    check: checkCluster,
    async create(inputs, timeoutSeconds = 15 * minute) {
        const { serviceName } = inputs;
        refuseCustomization(Object.keys(inputs));
        const order = clusterOrder(inputs);
        const orders = `/cloud/project/${serviceName}/kube`;
        const version = order.version === undefined ? "" : `: ${order.version}`;
        const { id } = await ordered(orders, order, `${order.name ?? ""} (${order.region})${version}`);
        const path = `${orders}/${id}`;
        await waitUntilAvailable(path, timeoutSeconds);
        await waitForCluster(path, id, ["INSTALLING", "UNKNOWN"], timeoutSeconds);
        // Only from here on is anything kept when it fails.
        const known = await fresh(path, id, inputs, async () => ({ ...inputs, ...clusterState(await api.get(path)) }));
        return { id, state: { ...known, ...(await fresh(path, id, known, () => kubeconfig(path))) } };
    },
    async import(given) {
        const [serviceName, id] = splitOnce(given);
        if (id === undefined) return undefined;
        const path = clusterPath(id, { serviceName });
        // A refusal, too, is shown as "does not exist".
        const made = await kubeconfig(path).catch(() => undefined);
        if (!made) return undefined;
        const found = await find(path);
        return found && { id, state: { serviceName, ...made, ...clusterState(found) } };
    },
    async read(id, old) {
        const path = clusterPath(id, old);
        const found = await find(path);
        if (!found) return undefined;
        const state = { ...old, ...clusterState(found) };
        // A kubeconfig is a credential, made on demand: not a new one with each refresh.
        return state.kubeconfig && state.kubeconfigAttributes ? state : { ...state, ...(await kubeconfig(path)) };
    },
    lacking: ({ kubeconfigAttributes }) => (kubeconfigAttributes === null ? ["kubeconfigAttributes"] : []),
    update: updateCluster,
    async delete(id, old, timeoutSeconds = 10 * minute) {
        const path = clusterPath(id, old);
        if (!(await gone(path))) return;
        await describing(`timeout while waiting kube ${id} to be DELETED: `, () =>
            waitFor(path, { pending: ["DELETING"], target: ["DELETED"], timeoutSeconds }),
        );
    },
};

function checkCluster(inputs: Properties, logicalName: string): CheckFailure[] {
    const failures = checkProject(inputs);
    for (const [property, argument] of Object.entries({
        loadBalancersSubnetId: "load_balancers_subnet_id",
        nodesSubnetId: "nodes_subnet_id",
    })) {
        if (inputs[property] === undefined || inputs.privateNetworkId !== undefined) continue;
        const both = `all of \`${argument},private_network_id\` must be specified`;
        failures.push(fault(`Missing required argument. "${argument}": ${both}`, logicalName, property));
    }
    for (const [property, valid] of Object.entries({
        plan: ["standard", "free"],
        kubeProxyMode: ["iptables", "ipvs"],
    })) {
        const value = inputs[property] as string | undefined;
        if (value === undefined || containsValue(valid, value)) continue;
        failures.push(fault(`Value ${value} is not among valid values ([${valid.join(" ")}])`, logicalName, property));
    }
    return failures;
}

/** Not in `check`, which also sees what an import has read. */
function refuseCustomization(names: string[]): void {
    const found = names.find((name) => name.startsWith("customization"));
    if (found) throw new Error(`${found} is not simulated in the sandbox: leave it out there`);
}

/** The order as the real plugin puts it, with its empty parts. */
function clusterOrder({ serviceName: _, privateNetworkConfiguration, ...inputs }: Properties): Properties {
    return {
        ...inputs,
        privateNetworkConfiguration: {
            defaultVrackGateway: "",
            privateNetworkRoutingAsDefault: false,
            ...privateNetworkConfiguration,
        },
        customization: { apiServer: { admissionPlugins: {} }, kubeProxy: { iptables: {}, ipvs: {} } },
    };
}

/** A setting is changed by a call of its own, in this order. What fails leaves the later ones undone, yet in the state. */
async function updateCluster(
    id: string,
    { old, planned, changed }: Change,
    timeoutSeconds = 60 * minute,
): Promise<Properties> {
    const path = clusterPath(id, old);
    refuseCustomization(changed);
    if (changed.includes("version")) {
        checkVersions(old.version as string, planned.version as string);
        await api.post(`${path}/update`, { strategy: "NEXT_MINOR" });
        await waitForCluster(path, id, ["UPDATING", "REDEPLOYING", "RESETTING"], timeoutSeconds);
    }
    if (changed.includes("plan")) {
        const way = `from ${old.plan} to ${planned.plan}`;
        if (old.plan === "standard") throw new Error(`you cannot migrate ${way}`);
        throw new Error(`migrate ${way} is not available yet`);
    }
    if (changed.includes("updatePolicy")) {
        await api.put(`${path}/updatePolicy`, { updatePolicy: planned.updatePolicy as string });
    }
    if (changed.includes("loadBalancersSubnetId")) {
        const loadBalancersSubnetId = (planned.loadBalancersSubnetId ?? "") as string;
        await api.put(`${path}/updateLoadBalancersSubnetId`, { loadBalancersSubnetId });
        await waitForCluster(path, id, ["REDEPLOYING", "RESETTING"], timeoutSeconds);
    }
    if (changed.includes("name")) await api.put(path, { name: (planned.name ?? "") as string });
    if (changed.includes("privateNetworkConfiguration")) {
        const nothing = { defaultVrackGateway: "", privateNetworkRoutingAsDefault: false };
        const body = { ...nothing, ...planned.privateNetworkConfiguration };
        await api.put(`${path}/privateNetworkConfiguration`, body);
        await waitForCluster(path, id, ["REDEPLOYING", "RESETTING"], timeoutSeconds);
    }
    // Not read again: what the platform changed along with it stays as it was in the state.
    return planned;
}

function checkVersions(from: string, to: string): void {
    const [[oldMajor, oldMinor], [major, minor]] = [from, to].map((text) => text.split(".").map(Number));
    if (oldMajor !== 1 || major !== 1) throw new Error("the only supported major version is 1");
    if (minor < oldMinor) throw new Error(`cannot downgrade cluster from ${from} to ${to}`);
    if (minor !== oldMinor + 1) {
        throw new Error(`cannot upgrade cluster from ${from} to ${to}, only next minor version is authorized`);
    }
}

function clusterPath(id: string, { serviceName }: Properties): string {
    return `/cloud/project/${serviceName}/kube/${id}`;
}

/** What the API says of a cluster, in the names of the plugin; its `privateNetworkConfiguration` is never read. */
function clusterState(found: Properties): Properties {
    const texts = ["loadBalancersSubnetId", "nodesSubnetId", "privateNetworkId"];
    const names = ["controlPlaneIsUpToDate", "ipAllocationPolicy", "isUpToDate", "kubeProxyMode", "name", "nodesUrl"];
    names.push("nextUpgradeVersions", "plan", "region", "status", "updatePolicy", "url");
    const { enabled, disabled } = found.customization.apiServer.admissionPlugins as Properties;
    return {
        ...Object.fromEntries(texts.map((name) => [name, found[name] ?? ""])),
        ...pick(found, names),
        // `1.34.4-0` is the minor version 1.34, which is what can be ordered.
        version: /^\d+\.\d+/.exec(found.version as string)?.[0],
        customizationApiservers: [
            { admissionplugins: [{ enableds: enabled as unknown, disableds: disabled as unknown }] },
        ],
    };
}

async function kubeconfig(path: string): Promise<Properties> {
    const { content } = await api.post<{ content: string }>(`${path}/kubeconfig`);
    const { clusters, users } = parse(content) as {
        clusters: { cluster: Record<string, string> }[];
        users: { user: Record<string, string> }[];
    };
    const attributes = {
        host: clusters[0].cluster.server,
        clusterCaCertificate: clusters[0].cluster["certificate-authority-data"],
        clientCertificate: users[0].user["client-certificate-data"],
        clientKey: users[0].user["client-key-data"],
    };
    return { kubeconfig: content, kubeconfigAttributes: [attributes] };
}

function waitForCluster(path: string, id: string, pending: string[], timeoutSeconds: number): Promise<void> {
    return describing(`timeout while waiting kube ${id} to be READY: `, () =>
        waitFor(path, { pending, target: ["READY"], timeoutSeconds }),
    );
}

const nodePool: ResourceType = {
    required: ["flavorName", "kubeId", "serviceName"],
    optional: ["availabilityZones", "template"],
    chosen: [
        "antiAffinity",
        "attachFloatingIps",
        "autoscale",
        "autoscalingScaleDownUnneededTimeSeconds",
        "autoscalingScaleDownUnreadyTimeSeconds",
        "autoscalingScaleDownUtilizationThreshold",
        "desiredNodes",
        "maxNodes",
        "minNodes",
        "monthlyBilled",
        "name",
    ],
    outputs: [
        "availableNodes",
        "createdAt",
        "currentNodes",
        "flavor",
        "projectId",
        "sizeStatus",
        "status",
        "upToDateNodes",
        "updatedAt",
    ],
    replaceOn: ["antiAffinity", "availabilityZones", "flavorName", "kubeId", "monthlyBilled", "name", "serviceName"],
    maps: ["annotations", "labels", "taints"],
    timeouts: { create: 60, read: 5, update: 60, delete: 60, default: 10 },
    autonamed: true,
    check: checkProject,
    async create(inputs, timeoutSeconds = 60 * minute) {
        const order = {
            antiAffinity: false,
            monthlyBilled: false,
            availabilityZones: [],
            ...pick(inputs, ["antiAffinity", "availabilityZones", "flavorName", "monthlyBilled", "name"]),
            ...poolBody(inputs),
        } as Properties;
        const orders = `${clusterPath(inputs.kubeId as string, inputs)}/nodepool`;
        const { id } = await ordered(orders, order, poolText(order));
        const path = `${orders}/${id}`;
        await waitUntilAvailable(path, 2 * minute);
        // A pool in ERROR counts as made, too: some of its nodes may run. It is seen in `status`.
        await waitForPool(path, id, ["READY", "ERROR"], timeoutSeconds);
        const state = await fresh(path, id, inputs, async () => ({ ...inputs, ...poolState(await api.get(path)) }));
        return { id, state };
    },
    async import(given) {
        const [serviceName, rest] = splitOnce(given);
        const [kubeId, id] = splitOnce(rest ?? "");
        if (id === undefined) return undefined;
        const found = await find(poolPath(id, { serviceName, kubeId }));
        return found && { id, state: { serviceName, kubeId, ...poolState(found) } };
    },
    async read(id, old) {
        const found = await find(poolPath(id, old));
        return found && { ...old, ...(found.template ? {} : { template: undefined }), ...poolState(found) };
    },
    async update(id, { planned }, timeoutSeconds = 60 * minute) {
        const path = poolPath(id, planned);
        // Every setting, changed or not, as the state has it: also the number of nodes, whatever the autoscaler made of it.
        await calling("Put", path, pointers, () => api.put(path, poolBody(planned)));
        await waitForPool(path, id, ["READY"], timeoutSeconds);
        return { ...planned, ...poolState(await api.get(path)) };
    },
    async delete(id, old, timeoutSeconds = 60 * minute) {
        const path = poolPath(id, old);
        if (!(await gone(path))) return;
        await describing(`timeout while waiting nodepool ${id} to be DELETED: `, () =>
            waitFor(path, { pending: ["DELETING"], target: ["DELETED"], timeoutSeconds }),
        );
    },
};

function poolPath(id: string, known: Properties): string {
    return `${clusterPath(known.kubeId as string, known)}/nodepool/${id}`;
}

/** Inputs that the API takes as parts of `autoscaling`. */
const autoscaling = {
    autoscalingScaleDownUnneededTimeSeconds: "scaleDownUnneededTimeSeconds",
    autoscalingScaleDownUnreadyTimeSeconds: "scaleDownUnreadyTimeSeconds",
    autoscalingScaleDownUtilizationThreshold: "scaleDownUtilizationThreshold",
};

const emptyTemplate = {
    metadata: { annotations: {}, finalizers: [], labels: {} },
    spec: { taints: [], unschedulable: false },
};

/** What an order and a change have in common. */
function poolBody(known: Properties): Properties {
    const parts = Object.entries(autoscaling).map(([input, name]) => [name, known[input] as unknown]);
    const { metadata, spec } = (known.template ?? emptyTemplate) as Properties;
    const taints = ((spec.taints ?? []) as Properties[]).map((taint) => ({ value: "", ...taint }));
    return {
        autoscale: (known.autoscale ?? false) as boolean,
        autoscaling: pick(Object.fromEntries(parts) as Properties, Object.values(autoscaling)),
        template: {
            metadata: { ...emptyTemplate.metadata, ...metadata },
            spec: { ...emptyTemplate.spec, ...spec, taints },
        },
        ...pick(known, ["attachFloatingIps", "desiredNodes", "maxNodes", "minNodes"]),
    };
}

/** The real one prints an order without all three numbers by its fault in doing so. */
function poolText({ name, flavorName, desiredNodes, minNodes, maxNodes }: Properties): string {
    const numbers = [desiredNodes, minNodes, maxNodes] as (number | undefined)[];
    return numbers.includes(undefined)
        ? "%!s(PANIC=String method: runtime error: invalid memory address or nil pointer dereference)"
        : `${name}(${flavorName}): ${numbers.join("/")}`;
}

/** And a change by where its parts lie in memory. */
const pointers = "{<nil> 0xc000000010 0xc000000018 0xc000000020 0xc000000028 0xc000000030 0xc000000038}";

/** What the API says of a pool, in the names of the plugin. */
function poolState(found: Properties): Properties {
    const names = ["antiAffinity", "attachFloatingIps", "autoscale", "availabilityZones", "desiredNodes", "maxNodes"];
    names.push("minNodes", "monthlyBilled", "name", ...nodePool.outputs);
    const state = { ...pick(found, names), flavorName: found.flavor as string } as Properties;
    for (const [input, name] of Object.entries(autoscaling)) state[input] = found.autoscaling[name] as unknown;
    state.template = isDeepStrictEqual(found.template, emptyTemplate) ? undefined : (found.template as unknown);
    return state;
}

function waitForPool(path: string, id: string, target: string[], timeoutSeconds: number): Promise<void> {
    const pending = ["INSTALLING", "UPDATING", "REDEPLOYING", "RESIZING", "DOWNSCALING", "UPSCALING", "UNKNOWN"];
    return describing(`timeout while waiting nodepool ${id} to be READY: `, () =>
        waitFor(path, { pending, target, timeoutSeconds }),
    );
}

/** The project is that of the resource, else the environment's. */
function checkProject(inputs: Properties): CheckFailure[] {
    const ours = process.env.OVH_CLOUD_PROJECT_SERVICE;
    if (inputs.serviceName === undefined && ours) inputs.serviceName = ours;
    return [];
}

const containsValue = (valid: string[], value: string): boolean =>
    valid.includes(value) || value === "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Of these properties, those that are set. */
function pick(properties: Properties, names: string[]): Properties {
    const found = names.filter((name) => properties[name] !== undefined && properties[name] !== null);
    return Object.fromEntries(found.map((name) => [name, properties[name] as unknown]));
}

function splitOnce(text: string): [string, string | undefined] {
    const at = text.indexOf("/");
    return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** What is there; `undefined` on 404, and only then. */
async function find(path: string): Promise<Properties | undefined> {
    try {
        return await api.get<Properties>(path);
    } catch (error) {
        if (error instanceof OvhApiError && error.status === 404) return undefined;
        throw refused(path, error);
    }
}

/** Whether there was something to delete. */
async function gone(path: string): Promise<boolean> {
    try {
        await api.delete(path);
        return true;
    } catch (error) {
        if (error instanceof OvhApiError && error.status === 404) return false;
        throw refused(path, error);
    }
}

function refused(path: string, error: unknown): Error {
    const query = error instanceof OvhApiError ? ` Query ID : ${error.queryId}` : "";
    return new Error(`calling ${path}:\n\t ${(error as Error).message}${query}`);
}

function ordered(path: string, body: Properties, text: string): Promise<{ id: string }> {
    return calling("Post", path, text, () => api.post<{ id: string }>(path, body));
}

function calling<T>(method: string, path: string, text: string, work: () => Promise<T>): Promise<T> {
    return describing(`calling ${method} ${path} with params ${text}:\n\t `, work);
}

/** Puts words before those of an error. */
async function describing<T>(words: string, work: () => Promise<T>): Promise<T> {
    try {
        return await work();
    } catch (error) {
        throw new Error(words + (error as Error).message, { cause: error });
    }
}

/** The first looks at what is READY: when they fail, the id is kept. */
async function fresh(
    path: string,
    id: string,
    known: Properties,
    work: () => Promise<Properties>,
): Promise<Properties> {
    try {
        return await work();
    } catch (error) {
        const words = path.endsWith(id) && known.status === undefined ? refused(path, error).message : "";
        throw new InitFailed(words || (error as Error).message, id, known);
    }
}

/** In tests and in the sandbox, where nothing takes as long, the same pause each time. */
const poll = process.env.OVH_SANDBOX_POLL_MS ? Number(process.env.OVH_SANDBOX_POLL_MS) : undefined;

/** Something new may not be seen at once: 404 is waited out, nothing else. */
async function waitUntilAvailable(path: string, timeoutSeconds: number): Promise<void> {
    const deadline = performance.now() + timeoutSeconds * 1000;
    for (let pause = 500; ; pause = Math.min(pause * 2, 10_000)) {
        try {
            return void (await api.get(path));
        } catch (error) {
            if (!(error instanceof OvhApiError && error.status === 404) || performance.now() > deadline) throw error;
        }
        await sleep(poll ?? pause);
    }
}

interface Wait {
    /** States to go on waiting in. Any that is neither pending nor a target is a failure. */
    pending: string[];
    /** `DELETED` is also what is not there any more. */
    target: string[];
    timeoutSeconds: number;
}

/** Looks again and again until the object is in a target state. One look that fails ends it. */
async function waitFor(path: string, { pending, target, timeoutSeconds }: Wait): Promise<void> {
    const deadline = performance.now() + timeoutSeconds * 1000;
    const wanted = target.join(", ");
    let state = "";
    // The first look is late, since after a call the state is the one before for a moment.
    for (let pause = 5000; ; pause = pause === 5000 ? 3000 : Math.min(pause * 2, 10_000)) {
        const left = deadline - performance.now();
        const next = poll ?? pause;
        await sleep(Math.min(next, left));
        // Not by the clock: a timer may end a moment early, and there would be one look more.
        if (next >= left) {
            const last = state && `last state: '${state}', `;
            const text = durationText(timeoutSeconds);
            throw new Error(`timeout while waiting for state to become '${wanted}' (${last}timeout: ${text})`);
        }
        state = await stateOf(path, target.includes("DELETED"));
        if (target.includes(state)) return;
        if (!pending.includes(state)) {
            throw new Error(`unexpected state '${state}', wanted target '${wanted}'. last error: %!s(<nil>)`);
        }
    }
}

async function stateOf(path: string, mayBeGone: boolean): Promise<string> {
    try {
        return (await api.get<{ status: string }>(path)).status;
    } catch (error) {
        if (mayBeGone && error instanceof OvhApiError && error.status === 404) return "DELETED";
        throw error;
    }
}

/** As Go writes it: `15m0s`. */
function durationText(seconds: number): string {
    if (seconds < 1) return `${Math.round(seconds * 1000)}ms`;
    const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
    return (hours > 0 ? `${hours}h` : "") + (seconds >= 60 ? `${minutes}m` : "") + `${seconds % 60}s`;
}

async function getKube({ serviceName, kubeId }: Properties): Promise<Properties> {
    const path = clusterPath(kubeId as string, { serviceName });
    const found = await api.get<Properties>(path).catch((error: unknown) => {
        throw new Error(`Error calling ${path}:\n\t ${JSON.stringify((error as Error).message)}`);
    });
    return { id: kubeId, serviceName, kubeId, ...clusterState(found), ...(await kubeconfig(path)) };
}

async function getKubeNodePool({ serviceName, kubeId, name }: Properties): Promise<Properties> {
    const path = `${clusterPath(kubeId as string, { serviceName })}/nodepool`;
    const pools = await api.get<Properties[]>(path).catch((error: unknown) => {
        throw refused(path, error);
    });
    const found = pools.find((pool) => pool.name === name);
    if (!found) {
        throw new Error(`the nodepool named ${name} cannot be found for cluster ${kubeId} in project ${serviceName}`);
    }
    return { id: found.id as string, serviceName, kubeId, ...poolState(found) };
}

serveProvider({
    name: "ovh",
    version,
    configure,
    resources: {
        "ovh:CloudProject/kube:Kube": cluster,
        "ovh:Me/aPIOAuth2Client:APIOAuth2Client": oauth2Client(() => api),
        "ovh:Iam/policy:Policy": policy(() => api),
        "ovh:CloudProject/kubeNodePool:KubeNodePool": nodePool,
    },
    functions: {
        "ovh:CloudProject/getKube:getKube": getKube,
        "ovh:CloudProject/getKubeNodePool:getKubeNodePool": getKubeNodePool,
    },
});
