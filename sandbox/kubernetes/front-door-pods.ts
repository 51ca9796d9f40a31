import { ApiException, CoreV1Api, type KubeConfig, type V1Pod } from "@kubernetes/client-node";
import { join } from "node:path";
import { doorApp, doorMetricsName, doorName } from "../../src/front-door/manifests";
import { readJson, writePrivate } from "../files";
import { startDoor, type DoorMounts, type LocalDoor } from "../front-door/local-door";
import { freePort } from "../http-server";
import type { PartStatus } from "../ovhcloud/status";

export interface FrontDoorPodsOptions {
    /** Holds what the pods mount, their logs and their ports. */
    dir: string;
    /** The authority of the app gateways. */
    caFile: string;
    /** Platform seconds per second. Default 1. */
    speed?: number;
    /** Finds or gets Envoy, whose path it gives; rejects with what is missing. Asked only when there is a front door. */
    envoy: () => Promise<string>;
    /** Until what failed is tried again. Default: a minute. */
    retryMs?: number;
    log: (line: string) => void;
}

/** An address of the documentation's (RFC 5737), so that the Service has an endpoint. */
const podAddress = "192.0.2.1";

/**
 * Does for the pods of front doors what a kubelet would: runs Envoy as a process of this machine, from what the pod mounts, keeps
 * those files as they are in the cluster, and tells the cluster that it is ready, or why it is not. kwok leaves them to it.
 * Of several pods of one door, as while a change rolls, the newest runs: both would want the one port.
 */
export class FrontDoorPods {
    private readonly core: CoreV1Api;
    private readonly running = new Map<string, { model: string; door: LocalDoor }>();
    private envoy?: { path?: string; failure?: string; retryAt: number };
    private getting = false;

    constructor(
        cluster: KubeConfig,
        private readonly options: FrontDoorPodsOptions,
    ) {
        this.core = cluster.makeApiClient(CoreV1Api);
    }

    parts(): PartStatus[] {
        return [...this.running.values()].map(({ model, door }) => ({
            name: doorName(model),
            exit: door.exit,
            log: door.logFile,
            url: `${door.url}/v1`,
        }));
    }

    /** Host and port of the metrics of each that runs, by the name of their Service. */
    addresses(): Record<string, string> {
        return Object.fromEntries(
            [...this.running.values()].map(({ model, door }) => [doorMetricsName(model), door.metrics]),
        );
    }

    /** One look: starts what is new, passes on what has changed, ends what is to go. */
    async look(): Promise<void> {
        const { items } = await this.core.listPodForAllNamespaces({ labelSelector: `app=${doorApp}` });
        const going = items.filter(({ metadata }) => metadata!.deletionTimestamp);
        const staying = items.filter((pod) => !going.includes(pod));
        const wanted = newestOfEach(staying);
        for (const [name, { door }] of this.running) {
            if (wanted.some(({ metadata }) => metadata!.name === name) && door.exit === undefined) continue;
            this.running.delete(name);
            await door.stop();
        }
        for (const { metadata } of going) await this.remove(metadata!.name!, metadata!.namespace!);
        for (const pod of wanted) await this.keep(pod);
    }

    async stop(): Promise<void> {
        await Promise.all([...this.running.values()].map(({ door }) => door.stop()));
        this.running.clear();
    }

    private async keep(pod: V1Pod): Promise<void> {
        const name = pod.metadata!.name!;
        const running = this.running.get(name);
        const mounts = await this.mounts(pod);
        if (!mounts) return; // it waits for its volumes
        if (running) return running.door.update(mounts);
        const program = this.program();
        if (program === undefined) return this.tell(pod, waiting(pod, this.envoy?.failure));
        try {
            await this.start(pod, program, mounts);
        } catch (error) {
            this.envoy = {
                path: program,
                failure: (error as Error).message,
                retryAt: performance.now() + this.retryMs,
            };
            this.options.log(`front door: ${(error as Error).message}`);
            return this.tell(pod, waiting(pod, (error as Error).message));
        }
        await this.tell(pod, ready(pod));
    }

    private get retryMs(): number {
        return this.options.retryMs ?? 60_000;
    }

    private async start(pod: V1Pod, program: string, mounts: DoorMounts): Promise<void> {
        const { dir, caFile, speed } = this.options;
        const { name, labels } = pod.metadata!;
        const { model } = labels!;
        const port = await this.port(model);
        const door = await startDoor({ dir: join(dir, model), program, port, mounts, caFile, speed });
        this.running.set(name!, { model, door });
        this.options.log(`the front door of ${model} is at ${door.url}/v1`);
    }

    /** That of before, since it is in people's settings. */
    private async port(model: string): Promise<number> {
        const file = join(this.options.dir, "ports.json");
        const known = readJson<Record<string, number>>(file) ?? {};
        const port = await freePort(known[model]);
        writePrivate(file, JSON.stringify({ ...known, [model]: port }));
        return port;
    }

    /** Envoy, once it is there. Getting it takes a while, in which other pods are looked after. */
    private program(): string | undefined {
        const { envoy } = this;
        const due = !envoy || (envoy.failure !== undefined && performance.now() >= envoy.retryAt);
        if (due && !this.getting) {
            this.getting = true;
            this.options
                .envoy()
                .then(
                    (path) => (this.envoy = { path, retryAt: 0 }),
                    (error: Error) => {
                        this.options.log(error.message);
                        this.envoy = { failure: error.message, retryAt: performance.now() + this.retryMs };
                    },
                )
                .finally(() => (this.getting = false));
        }
        return this.envoy?.failure === undefined ? this.envoy?.path : undefined;
    }

    /** What the pod mounts; undefined while one of them is missing. */
    private async mounts({ metadata, spec }: V1Pod): Promise<DoorMounts | undefined> {
        const { namespace } = metadata as { namespace: string };
        const volumes = spec!.volumes!;
        const configMap = volumes.find((one) => one.configMap)!.configMap!.name!;
        const { secretName } = volumes.find((one) => one.secret)!.secret!;
        try {
            const files = await this.core.readNamespacedConfigMap({ name: configMap, namespace });
            const secret = await this.core.readNamespacedSecret({ name: secretName!, namespace });
            const secrets = Object.entries(secret.data ?? {}).map(([file, value]) => [
                file,
                Buffer.from(value, "base64").toString(),
            ]);
            return { files: files.data ?? {}, secrets: Object.fromEntries(secrets) as Record<string, string> };
        } catch (error) {
            if (isGone(error)) return undefined;
            throw error;
        }
    }

    private async remove(name: string, namespace: string): Promise<void> {
        try {
            await this.core.deleteNamespacedPod({ name, namespace, gracePeriodSeconds: 0 });
        } catch (error) {
            if (!isGone(error)) throw error;
        }
    }

    private async tell({ metadata, status }: V1Pod, told: object): Promise<void> {
        const { name, namespace } = metadata as { name: string; namespace: string };
        const body = Object.entries(told).map(([key, value]) => ({
            op: "add",
            path: `/status/${key}`,
            value: value as unknown,
        }));
        // Once: the cluster need not hear every second that nothing has changed.
        const same = JSON.stringify(status?.containerStatuses?.[0]?.state?.waiting?.message);
        if (same !== undefined && JSON.stringify(body).includes(same)) return;
        await this.core.patchNamespacedPodStatus({ name, namespace, body }).catch((error: unknown) => {
            if (!isGone(error)) throw error;
        });
    }
}

function isGone(error: unknown): boolean {
    return error instanceof ApiException && error.code === 404;
}

/** Of the pods of one model the one that was made last. */
function newestOfEach(pods: V1Pod[]): V1Pod[] {
    const made = ({ metadata }: V1Pod): number => new Date(metadata!.creationTimestamp!).getTime();
    const newest = new Map<string, V1Pod>();
    for (const pod of pods.filter(({ spec }) => spec?.nodeName)) {
        const { model } = pod.metadata!.labels!;
        const other = newest.get(model);
        if (!other || made(pod) > made(other)) newest.set(model, pod);
    }
    return [...newest.values()];
}

function container({ spec }: V1Pod) {
    const [{ name, image }] = spec!.containers;
    return { name, image, imageID: "", restartCount: 0 };
}

function condition(type: string, status: "True" | "False", message?: string) {
    return { type, status, message, lastTransitionTime: new Date().toISOString() };
}

/** @param message why; undefined while Envoy is being got */
function waiting(pod: V1Pod, message = "Envoy is being got for this machine") {
    const state = { waiting: { reason: "ErrImagePull", message } };
    return {
        phase: "Pending",
        conditions: [condition("PodScheduled", "True"), condition("Ready", "False", message)],
        containerStatuses: [{ ...container(pod), ready: false, state }],
    };
}

function ready(pod: V1Pod) {
    const startedAt = new Date().toISOString();
    const conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map((type) =>
        condition(type, "True"),
    );
    return {
        phase: "Running",
        startTime: startedAt,
        podIP: podAddress,
        podIPs: [{ ip: podAddress }],
        conditions,
        containerStatuses: [{ ...container(pod), ready: true, started: true, state: { running: { startedAt } } }],
    };
}
