/**
 * Stands in for OVHcloud's Pulumi plugin: a Managed Kubernetes cluster and its node pools, with the calls, states and
 * rules of the real one (terraform-provider-ovh 2.19), spoken to the emulated API only.
 */
import { version } from "@ovhcloud/pulumi-ovh/package.json";
import { isDeepStrictEqual } from "node:util";
import { sleep } from "../../packages/ai-deploy/src/cancellation";
import { ApiError, NoAnswerError, OvhClient } from "../../packages/ai-deploy/src/client";
import { configFiles, resolveCredentials } from "../../packages/ai-deploy/src/credentials";
import { parse } from "yaml";
import {
    InitFailed,
    serveProvider,
    type CheckFailure,
    type Properties,
    type ResourceType,
    type Waiting,
} from "./provider-server";

let client: OvhClient;

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
    // The emulated API has no rate limit.
    client = new OvhClient(credentials, { requestsPerMinute: 60_000 });
    await client.get("/auth/details");
}

const cluster: ResourceType = {
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
    secrets: ["kubeconfig", "kubeconfigAttributes"],
    chosen: ["ipAllocationPolicy", "kubeProxyMode", "nodesSubnetId", "plan", "updatePolicy", "version"],
    replaceOn: ["ipAllocationPolicy", "kubeProxyMode", "privateNetworkId", "region", "serviceName"],
    autonamed: true,
    check(inputs) {
        const failures = checkProject(inputs);
        for (const property of ["loadBalancersSubnetId", "nodesSubnetId"]) {
            if (inputs[property] !== undefined && inputs.privateNetworkId === undefined) {
                failures.push({ property, reason: `${property} needs privateNetworkId as well` });
            }
        }
        for (const property of Object.keys(inputs).filter((name) => name.startsWith("customization"))) {
            failures.push({ property, reason: `${property} is not simulated in the sandbox: leave it out there` });
        }
        return failures;
    },
    async create(inputs, waiting) {
        const { serviceName, __defaults: _, ...order } = inputs;
        const made = await post(`/cloud/project/${serviceName}/kube`, order);
        const id = made.id as string;
        const path = clusterPath(id, inputs);
        const stateOf = (found: Properties): Properties => clusterState(inputs, found);
        const state = await onExisting(id, path, stateOf(made), stateOf, async () => {
            const wait = { ...waiting, defaultSeconds: 15 * 60, pending: [undefined, "INSTALLING", "UNKNOWN"] };
            const ready = await waitFor(path, `cluster ${id}`, { ...wait, target: ["READY"] });
            return { ...stateOf(ready!), ...(await kubeconfig(path)) };
        });
        return { id, state };
    },
    async read(id, old) {
        checkProject(old);
        const path = clusterPath(id, old);
        const found = await find(path);
        if (!found) return undefined;
        const state = clusterState(old, found);
        // A kubeconfig is a credential, made on demand: like the real plugin, not a new one with each refresh.
        return state.kubeconfig === undefined && found.status === "READY"
            ? { ...state, ...(await kubeconfig(path)) }
            : state;
    },
    async update(id, { old, inputs, changed }, waiting) {
        const others = changed.filter((name) => !["name", "updatePolicy"].includes(name));
        if (others.length > 0) {
            throw new Error(
                `cluster ${id}: a new ${others.join(", ")} is not simulated in the sandbox; take the change back there`,
            );
        }
        const path = clusterPath(id, old);
        if (changed.length > 0) await client.put(path, pick(inputs, changed));
        const stateOf = (found: Properties): Properties => clusterState({ ...old, ...inputs }, found);
        return onExisting(id, path, old, stateOf, async () => {
            // Also goes on with a creation that did not end well.
            const pending = ["INSTALLING", "REDEPLOYING", "RESETTING", "UNKNOWN", "UPDATING"];
            const wait = { ...waiting, defaultSeconds: 60 * 60, pending, target: ["READY"] };
            const state = stateOf((await waitFor(path, `cluster ${id}`, wait))!);
            return state.kubeconfig === undefined ? { ...state, ...(await kubeconfig(path)) } : state;
        });
    },
    async delete(id, old, waiting) {
        const path = clusterPath(id, old);
        await client.delete(path);
        const wait = { ...waiting, defaultSeconds: 10 * 60, pending: ["DELETING"], target: [undefined, "DELETED"] };
        await waitFor(path, `cluster ${id}`, wait);
    },
};

function clusterPath(id: string, { serviceName }: Properties): string {
    return `/cloud/project/${serviceName}/kube/${id}`;
}

/** From what is known of the cluster already, inputs or the state before, and what the API says now. */
function clusterState(known: Properties, found: Properties): Properties {
    const names = ["controlPlaneIsUpToDate", "ipAllocationPolicy", "isUpToDate", "kubeProxyMode"];
    names.push("loadBalancersSubnetId", "name", "nextUpgradeVersions", "nodesSubnetId", "nodesUrl", "plan");
    names.push("privateNetworkId", "region", "status", "updatePolicy", "url");
    // `1.34.4-0` is the minor version 1.34, which is what can be ordered.
    const minor = /^\d+\.\d+/.exec(found.version as string)?.[0];
    return { ...known, ...pick(found, names), version: minor };
}

async function kubeconfig(path: string): Promise<Properties> {
    const { content } = await client.post<{ content: string }>(`${path}/kubeconfig`);
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

/** Inputs of a node pool that the API takes under the same name, in an order as well as in a change. */
const poolSettings = ["attachFloatingIps", "autoscale", "desiredNodes", "maxNodes", "minNodes"];

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

const nodePool: ResourceType = {
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
    chosen: [...poolSettings, ...Object.keys(autoscaling), "antiAffinity", "monthlyBilled"],
    replaceOn: ["antiAffinity", "availabilityZones", "flavorName", "kubeId", "monthlyBilled", "name", "serviceName"],
    autonamed: true,
    check: checkProject,
    async create(inputs, waiting) {
        const fixed = pick(inputs, ["antiAffinity", "availabilityZones", "flavorName", "monthlyBilled", "name"]);
        const made = await post(`${clusterPath(inputs.kubeId as string, inputs)}/nodepool`, {
            ...fixed,
            ...poolBody(inputs),
        });
        const id = made.id as string;
        const path = poolPath(id, inputs);
        const stateOf = (found: Properties): Properties => poolState(inputs, found);
        const state = await onExisting(id, path, stateOf(made), stateOf, async () => {
            const wait = { ...waiting, defaultSeconds: 60 * 60, pending: [undefined, ...poolPending] };
            // The real plugin takes a pool in ERROR as made, too: some of its nodes may run. It is seen in `status`.
            return stateOf((await waitFor(path, `node pool ${id}`, { ...wait, target: ["READY", "ERROR"] }))!);
        });
        return { id, state };
    },
    async read(id, old) {
        checkProject(old);
        const found = await find(poolPath(id, old));
        return found && poolState(old, found);
    },
    async update(id, { old, inputs, changed }, waiting) {
        const path = poolPath(id, old);
        if (changed.length > 0) {
            const body = poolBody(changed.includes("template") ? { template: emptyTemplate, ...inputs } : inputs);
            // The autoscaler's number may be above the new maximum, and then the API would refuse the change.
            if (body.maxNodes !== undefined && body.desiredNodes === undefined) {
                const { desiredNodes } = await get(path);
                if (desiredNodes > body.maxNodes) body.desiredNodes = body.maxNodes as number;
            }
            await client.put(path, body);
        }
        const stateOf = (found: Properties): Properties => poolState({ ...old, ...inputs }, found);
        return onExisting(id, path, old, stateOf, async () => {
            const wait = { ...waiting, defaultSeconds: 60 * 60, pending: poolPending, target: ["READY"] };
            return stateOf((await waitFor(path, `node pool ${id}`, wait))!);
        });
    },
    async delete(id, old, waiting) {
        const path = poolPath(id, old);
        await client.delete(path);
        const wait = { ...waiting, defaultSeconds: 60 * 60, pending: ["DELETING"], target: [undefined, "DELETED"] };
        await waitFor(path, `node pool ${id}`, wait);
    },
};

const poolPending = ["DOWNSCALING", "INSTALLING", "REDEPLOYING", "RESIZING", "UNKNOWN", "UPDATING", "UPSCALING"];

function poolPath(id: string, known: Properties): string {
    return `${clusterPath(known.kubeId as string, known)}/nodepool/${id}`;
}

function poolBody(inputs: Properties): Properties {
    const parts = Object.entries(autoscaling).map(([input, name]) => [name, inputs[input] as unknown]);
    const scaling = pick(Object.fromEntries(parts) as Properties, Object.values(autoscaling));
    const body = pick(inputs, poolSettings);
    if (Object.keys(scaling).length > 0) body.autoscaling = scaling;
    if (inputs.template) {
        const { metadata, spec } = inputs.template as Properties;
        const taints = (spec.taints as Properties[]).map((taint) => ({ value: "", ...taint }));
        body.template = { metadata: metadata as unknown, spec: { ...spec, taints } };
    }
    return body;
}

function poolState(known: Properties, found: Properties): Properties {
    const names = ["antiAffinity", "availabilityZones", "monthlyBilled", "name"];
    const state = { ...known, ...pick(found, [...poolSettings, ...names, ...nodePool.outputs]) };
    state.flavorName = found.flavor as string;
    for (const [input, name] of Object.entries(autoscaling)) state[input] = found.autoscaling[name] as unknown;
    if (isDeepStrictEqual(found.template, emptyTemplate)) delete state.template;
    else state.template = found.template as unknown;
    return state;
}

/** The project is that of the resource, else the environment's. */
function checkProject(inputs: Properties): CheckFailure[] {
    inputs.serviceName ??= process.env.OVH_CLOUD_PROJECT_SERVICE;
    if (inputs.serviceName) return [];
    return [
        { property: "serviceName", reason: "the project is not known: set serviceName or OVH_CLOUD_PROJECT_SERVICE" },
    ];
}

/** Of these properties, those that are set. */
function pick(properties: Properties, names: string[]): Properties {
    const found = names.filter((name) => properties[name] !== undefined);
    return Object.fromEntries(found.map((name) => [name, properties[name] as unknown]));
}

/** What the API answers, without its nulls: they mean that there is nothing. */
async function get(path: string): Promise<Properties> {
    return withoutNulls(await client.get<Properties>(path));
}

/** As `get`; `undefined` on 404, and only then. */
async function find(path: string): Promise<Properties | undefined> {
    try {
        return await get(path);
    } catch (error) {
        if (error instanceof ApiError && error.gone) return undefined;
        throw error;
    }
}

async function post(path: string, body: Properties): Promise<Properties> {
    try {
        return withoutNulls(await client.post<Properties>(path, body));
    } catch (error) {
        const unclear =
            (error instanceof NoAnswerError && !error.neverSent) || (error instanceof ApiError && error.status >= 500);
        if (!unclear) throw error;
        throw new Error(`${(error as Error).message}; whether it was made is not known: look before the next up`);
    }
}

function withoutNulls(answer: Properties): Properties {
    return Object.fromEntries(Object.entries(answer).filter(([, value]) => value !== null));
}

interface Wait extends Waiting {
    /** Unless the resource has a timeout of its own. */
    defaultSeconds: number;
    /** States to go on waiting in; `undefined`: not there. Any that is neither pending nor target is a failure. */
    pending: (string | undefined)[];
    target: (string | undefined)[];
}

/** Looks again and again until the object is in a target state. */
async function waitFor(path: string, what: string, wait: Wait): Promise<Properties | undefined> {
    const poll = process.env.OVH_SANDBOX_POLL_MS;
    const seconds = wait.timeoutSeconds ?? wait.defaultSeconds;
    const deadline = Date.now() + seconds * 1000;
    const wanted = wait.target.map((state) => state ?? "gone").join(" or ");
    // The first look is late, since after a call the state is the one before for a moment.
    await sleep(Number(poll ?? 5000));
    for (;;) {
        const found = await find(path);
        const state = found?.status as string | undefined;
        if (wait.target.includes(state)) return found;
        const seen = `${what} is ${state ?? "not there"}`;
        if (!wait.pending.includes(state)) throw new Error(`${seen}, but should become ${wanted}`);
        if (wait.cancelled.aborted) throw new Error(`${seen}; the wait for ${wanted} was cancelled`);
        if (Date.now() > deadline) throw new Error(`${seen} after ${seconds} s of waiting for ${wanted}`);
        await sleep(Number(poll ?? 3000));
    }
}

/** Works on something that exists: when that fails, the state keeps the id, so that nothing is left behind unknown. */
async function onExisting(
    id: string,
    path: string,
    known: Properties,
    stateOf: (found: Properties) => Properties,
    work: () => Promise<Properties>,
): Promise<Properties> {
    try {
        return await work();
    } catch (error) {
        // The newest state that can be had; what failed above is the news, not that this fails as well.
        const found = await find(path).catch(() => undefined);
        throw new InitFailed((error as Error).message, id, found ? stateOf(found) : known);
    }
}

serveProvider({
    name: "ovh",
    version,
    configure,
    resources: {
        "ovh:CloudProject/kube:Kube": cluster,
        "ovh:CloudProject/kubeNodePool:KubeNodePool": nodePool,
    },
});
