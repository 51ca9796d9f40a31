import { CancelledError, sleep } from "pulumi-ovh-ai-deploy/dist/waiting/cancellation";
import type { OvhClient } from "pulumi-ovh-ai-deploy/dist/api/client";
import { isTransient } from "pulumi-ovh-ai-deploy/dist/errors/request-errors";
import { KubernetesApi, KubernetesError, UnreachableError } from "./kubernetes-api";

export interface ClusterContentsInputs {
    /** Public Cloud project. */
    serviceName: string;
    /** Id of the cluster. Another one replaces. */
    kubeId: string;
    /** Where the load balancers and volumes of the stack are: it is deleted with all that is in it. */
    namespace: string;
    /** Longest wait for all to be given back. Default 300. */
    timeoutSeconds?: number;
}

export interface Surroundings {
    client: Pick<OvhClient, "get" | "post">;
    /** A line for the person who waits. */
    progress: (line: string) => void;
    /** Between two looks. */
    pauseMs: number;
    /** Milliseconds from any start, never going back. */
    now: () => number;
}

const defaultTimeoutSeconds = 300;
/** Calls in a row without an answer after which the cluster counts as one that gives none. */
const callsInVain = 3;

/** What is billed apart from the cluster, and stays when the cluster goes without having given it back. */
export interface Billed {
    loadBalancers: string[];
    volumes: string[];
}

/**
 * Deletes the namespace and waits until the cloud has taken back its load balancers and volumes, so that they do not
 * outlive the cluster and go on being billed. It never keeps the cluster from being deleted, nor what is deleted beside
 * it: a cluster that is gone, does not answer or does not finish in time is told of, with what may be left.
 */
export async function giveBack(inputs: ClusterContentsInputs, surroundings: Surroundings): Promise<void> {
    const { progress } = surroundings;
    const api = await reach(inputs, surroundings);
    if (!api) return;
    let left: Billed | undefined;
    try {
        const look = () => billedIn((path) => patiently(surroundings, () => api.get(path)), inputs.namespace);
        left = await look();
        const path = `/api/v1/namespaces/${inputs.namespace}`;
        if (!(await patiently(surroundings, () => api.delete(path))) && isEmpty(left)) return;
        const end = surroundings.now() + (inputs.timeoutSeconds ?? defaultTimeoutSeconds) * 1000;
        progress(`namespace ${inputs.namespace}: giving back ${describe(left)}`);
        while (!isEmpty(left)) {
            if (surroundings.now() > end) {
                progress(warning(inputs, `did not give back all of it in time`, left));
                return;
            }
            await sleep(surroundings.pauseMs);
            left = await look();
        }
        progress(`namespace ${inputs.namespace}: load balancers and volumes are given back`);
    } catch (error) {
        if (error instanceof CancelledError) throw error;
        progress(warning(inputs, (error as Error).message, left));
    }
}

/** Makes a call again that may be made twice: one answer that is lost among a hundred must leave nothing billed. */
async function patiently<T>({ pauseMs }: Surroundings, call: () => Promise<T>): Promise<T> {
    for (let calls = 1; ; calls++) {
        try {
            return await call();
        } catch (error) {
            if (!isForNow(error) || calls >= callsInVain) throw error;
            await sleep(pauseMs);
        }
    }
}

/** Whether the same call may be answered in a moment. */
function isForNow(error: unknown): boolean {
    const isIll = error instanceof KubernetesError && (error.status === 429 || error.status >= 500);
    return isIll || error instanceof UnreachableError || isTransient(error);
}

/** The cluster's API by a kubeconfig of today; undefined when there is nothing to talk to, which is told. */
async function reach(inputs: ClusterContentsInputs, surroundings: Surroundings): Promise<KubernetesApi | undefined> {
    const { client, progress } = surroundings;
    const path = `/cloud/project/${encodeURIComponent(inputs.serviceName)}/kube/${encodeURIComponent(inputs.kubeId)}`;
    let status: string | undefined;
    try {
        ({ status } = await client.get<{ status: string }>(path));
    } catch (error) {
        if ((error as { status?: number }).status !== 404) throw error;
        progress(`cluster ${inputs.kubeId} is gone already`);
        return undefined;
    }
    try {
        // Not the one of the state: it may have been renewed or revoked since.
        const post = () => client.post<{ content: string }>(`${path}/kubeconfig`);
        const { content } = await patiently(surroundings, post);
        return new KubernetesApi(content);
    } catch (error) {
        progress(warning(inputs, `is ${status} and gave no kubeconfig (${(error as Error).message})`));
        return undefined;
    }
}

interface List {
    items: Record<string, any>[];
}

/** Load balancers of the namespace's Services, and the volumes that its claims hold and that go with them. */
async function billedIn(get: (path: string) => Promise<List>, namespace: string): Promise<Billed> {
    const services = await absentAsEmpty(get(`/api/v1/namespaces/${namespace}/services`));
    const volumes = await get("/api/v1/persistentvolumes");
    return {
        loadBalancers: services.items
            .filter(({ spec }) => spec.type === "LoadBalancer")
            .map(({ metadata, status }) => {
                const [ingress] = (status?.loadBalancer?.ingress ?? []) as { ip?: string; hostname?: string }[];
                const address = ingress?.ip ?? ingress?.hostname;
                return `${metadata.name}${address ? ` (${address})` : ""}`;
            }),
        volumes: volumes.items
            .filter(({ spec }) => spec.claimRef?.namespace === namespace)
            .filter(({ spec }) => spec.persistentVolumeReclaimPolicy === "Delete")
            .map(({ metadata, spec }) => `${metadata.name} (${spec.claimRef.name})`),
    };
}

async function absentAsEmpty(list: Promise<List>): Promise<List> {
    return list.catch((error: unknown) => {
        if (error instanceof KubernetesError && error.status === 404) return { items: [] };
        throw error;
    });
}

function isEmpty({ loadBalancers, volumes }: Billed): boolean {
    return loadBalancers.length + volumes.length === 0;
}

function describe({ loadBalancers, volumes }: Billed): string {
    const parts = [
        ...(loadBalancers.length > 0 ? [`load balancers ${loadBalancers.join(", ")}`] : []),
        ...(volumes.length > 0 ? [`volumes ${volumes.join(", ")}`] : []),
    ];
    return parts.join("; ") || "nothing that is billed";
}

function warning({ kubeId, namespace }: ClusterContentsInputs, what: string, left?: Billed): string {
    const known = left && !isEmpty(left) ? describe(left) : `load balancers and volumes of namespace ${namespace}`;
    return (
        `warning: cluster ${kubeId}: ${what}. What may be left and go on being billed: ${known}. ` +
        "Look in the control panel under Load Balancer and Block Storage of the project, and delete what is of this cluster."
    );
}
