import { ApiException, CoreV1Api, type KubeConfig, type V1Pod } from "@kubernetes/client-node";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { loadtestApp } from "../../tools/loadtest/in-cluster/manifests";
import { writePrivate } from "../files";
import { freePort } from "../http-server";
import { startChild, type Child } from "../prometheus/child";

export interface LoadtestPodsOptions {
    /** Holds what the pods mount, and their output as `POD.log`. */
    dir: string;
    /** The authority of the app gateways. */
    caFile: string;
}

/**
 * Does for the pods of `npm run loadtest -- --in-cluster` what a kubelet would: runs each as a process of this machine, from
 * what it mounts, tells the cluster how it ended, and ends it before a deleted one goes. kwok leaves both to it.
 */
export class LoadtestPods {
    private readonly core: CoreV1Api;
    private readonly running = new Map<string, Child>();
    /** Exit codes of those that have ended, until the cluster has them no more: it may not know of it yet. */
    private readonly exitCodes = new Map<string, number>();
    /** Of the pods of each Job: where their first one listens. */
    private readonly ports = new Map<string, number>();

    constructor(
        cluster: KubeConfig,
        private readonly options: LoadtestPodsOptions,
    ) {
        this.core = cluster.makeApiClient(CoreV1Api);
    }

    /** One look: starts what is new, ends what is to go. */
    async look(): Promise<void> {
        const { items } = await this.core.listPodForAllNamespaces({ labelSelector: `app=${loadtestApp}` });
        const there = new Set(items.map(({ metadata }) => metadata!.name!));
        for (const [name, child] of this.running) if (!there.has(name)) await child.stop();
        for (const name of this.exitCodes.keys()) if (!there.has(name)) this.exitCodes.delete(name);
        for (const pod of items) {
            const name = pod.metadata!.name!;
            if (pod.metadata!.deletionTimestamp) await this.end(pod);
            else if (pod.status?.phase !== "Running" || this.running.has(name)) continue;
            else if (this.exitCodes.has(name)) await this.tellEnd(pod, this.exitCodes.get(name)!);
            else await this.start(pod);
        }
    }

    async stop(): Promise<void> {
        await Promise.all([...this.running.values()].map((child) => child.stop()));
    }

    private async start(pod: V1Pod): Promise<void> {
        const { name, labels, annotations } = pod.metadata!;
        const { dir, caFile } = this.options;
        const logFile = join(dir, `${name}.log`);
        // One of a sandbox that was stopped meanwhile.
        if (existsSync(logFile)) return this.tellEnd(pod, 1, "the machine was restarted");
        const mounts = await this.mount(pod);
        if (!mounts) return; // it waits for its volumes
        const job = labels!["job-name"];
        const port = this.ports.get(job) ?? (await freePort());
        if (!this.ports.has(job)) this.removeOutputs(job);
        this.ports.set(job, port);
        const container = pod.spec!.containers[0];
        const [, ...args] = [...container.command!, ...container.args!].map((arg) =>
            arg.replace(/^(--(?:listen|first)=).*/, `$1127.0.0.1:${port}`).replace(/\/etc\/[^/]+/, mounts),
        );
        const child = await startChild({
            program: process.execPath,
            args,
            env: {
                NODE_EXTRA_CA_CERTS: caFile,
                JOB_COMPLETION_INDEX: annotations!["batch.kubernetes.io/job-completion-index"],
            },
            logFile,
        });
        this.running.set(name!, child);
        void child.ended.then(async () => {
            const code = child.exit === "exit code 0" ? 0 : Number(/\d+$/.exec(child.exit!)?.[0] ?? 137);
            this.exitCodes.set(name!, code);
            this.running.delete(name!);
            rmSync(mounts, { recursive: true, force: true });
            // What cannot be told now, the next look tells.
            await this.tellEnd(pod, code).catch(() => undefined);
        });
    }

    /** Lays out the Secret and the ConfigMap, each in a folder of the volume's name. Undefined while one is missing. */
    private async mount(pod: V1Pod): Promise<string | undefined> {
        const { name, namespace } = pod.metadata as { name: string; namespace: string };
        const folder = join(this.options.dir, name);
        const read = async (secret?: string, configMap?: string): Promise<Record<string, string>> => {
            if (secret !== undefined) {
                const { data } = await this.core.readNamespacedSecret({ name: secret, namespace });
                const decoded = Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64")]);
                return Object.fromEntries(decoded.map(([key, value]) => [key, value.toString()]));
            }
            return (await this.core.readNamespacedConfigMap({ name: configMap!, namespace })).data ?? {};
        };
        try {
            for (const { name: volume, secret, configMap } of pod.spec!.volumes ?? []) {
                const files = await read(secret?.secretName, configMap?.name);
                mkdirSync(join(folder, volume), { recursive: true, mode: 0o700 });
                for (const [file, text] of Object.entries(files)) writePrivate(join(folder, volume, file), text);
            }
            return folder;
        } catch (error) {
            if (error instanceof ApiException && error.code === 404) return undefined;
            throw error;
        }
    }

    /** A pod that is deleted goes once its process has ended. */
    private async end(pod: V1Pod): Promise<void> {
        const { name, namespace } = pod.metadata as { name: string; namespace: string };
        await this.running.get(name)?.stop();
        await this.core
            .deleteNamespacedPod({ name, namespace, gracePeriodSeconds: 0 })
            .catch((error: unknown) => orGone(error));
    }

    private async tellEnd(
        pod: V1Pod,
        exitCode: number,
        reason = exitCode === 0 ? "Completed" : "Error",
    ): Promise<void> {
        const { name, namespace } = pod.metadata as { name: string; namespace: string };
        const finishedAt = new Date().toISOString();
        const terminated = { exitCode, reason, finishedAt, startedAt: pod.metadata!.creationTimestamp };
        const body = [
            { op: "replace", path: "/status/phase", value: exitCode === 0 ? "Succeeded" : "Failed" },
            { op: "replace", path: "/status/containerStatuses/0/ready", value: false },
            { op: "replace", path: "/status/containerStatuses/0/state", value: { terminated } },
        ];
        await this.core.patchNamespacedPodStatus({ name, namespace, body }).catch((error: unknown) => orGone(error));
    }

    /** Of Jobs before: their clients have read them. */
    private removeOutputs(job: string): void {
        mkdirSync(this.options.dir, { recursive: true });
        for (const file of readdirSync(this.options.dir)) {
            if (file.endsWith(".log") && !file.startsWith(job)) rmSync(join(this.options.dir, file));
        }
    }
}

function orGone(error: unknown): void {
    if (!(error instanceof ApiException && error.code === 404)) throw error;
}
