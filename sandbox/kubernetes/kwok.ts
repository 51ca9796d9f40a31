import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CoreV1Api, type KubeConfig } from "@kubernetes/client-node";
import type { ManagedKubernetes } from "../ovhcloud/mks";
import type { PartStatus } from "../ovhcloud/status";
import { endProcesses, sandboxProcesses } from "../processes";
import { startCloudController, type CloudController, type FloatingIps } from "./cloud-controller";
import {
    kubeconfigOf,
    kubeconfigYaml,
    startControlPlane,
    writeCredentials,
    type ControlPlane,
    type ControlPlaneBin,
} from "./control-plane";
import { scaleNodePool } from "./node-pool";

export interface KwokOptions {
    /** Holds every cluster: its etcd, certificates and logs. */
    dir: string;
    bin: ControlPlaneBin;
    /** Default: the project has none. */
    floatingIps?: FloatingIps;
    log: (line: string) => void;
}

/** Managed Kubernetes made of real control planes, on nodes and with pods that are objects alone (kwok.sigs.k8s.io). */
export interface KwokMks extends ManagedKubernetes {
    /** The parts of every control plane. */
    parts(): PartStatus[];
    /** Stops every control plane; their data stay. */
    close(): Promise<void>;
}

/** For what a daemon that was killed has left behind. */
const graceSeconds = 15;
/** Until the controllers have made what pods need. */
const usableWithinMs = 60_000;

export function createKwokMks({ dir, bin, floatingIps, log }: KwokOptions): KwokMks {
    const running = new Map<string, { plane: ControlPlane; controller?: CloudController }>();
    const clusterDir = (id: string): string => join(dir, "clusters", id);

    async function start(id: string): Promise<void> {
        const one: { plane: ControlPlane; controller?: CloudController } = {
            plane: await startControlPlane({ dir: clusterDir(id), bin, log }),
        };
        running.set(id, one);
        const config = kubeconfigOf(clusterDir(id));
        await usable(config);
        one.controller = await startCloudController(config, log, floatingIps);
    }

    async function stop(id: string): Promise<void> {
        const one = running.get(id);
        running.delete(id);
        await one?.controller?.stop();
        await one?.plane.stop();
        await endProcesses(sandboxProcesses(clusterDir(id)), graceSeconds);
    }

    return {
        async create(id) {
            // What is there was interrupted before it was ready: nobody has used it.
            await stop(id);
            rmSync(clusterDir(id), { recursive: true, force: true });
            await start(id);
        },
        async resume(id) {
            if (!existsSync(clusterDir(id))) throw new Error(`${clusterDir(id)} is not there any more`);
            await stop(id);
            await start(id);
        },
        kubeconfig: async (id) => kubeconfigYaml(kubeconfigOf(clusterDir(id))),
        async resetKubeconfig(id) {
            await stop(id);
            await writeCredentials(clusterDir(id));
            await start(id);
        },
        scale: (id, pool) => scaleNodePool(kubeconfigOf(clusterDir(id)), pool),
        async delete(id) {
            await stop(id);
            rmSync(clusterDir(id), { recursive: true, force: true });
        },
        parts: () => [...running.values()].flatMap(({ plane }) => plane.parts()),
        async close() {
            for (const id of [...running.keys()]) await stop(id);
        },
    };
}

/** Waits for the service account that every pod of the default namespace is given. */
async function usable(config: KubeConfig): Promise<void> {
    const core = config.makeApiClient(CoreV1Api);
    const end = performance.now() + usableWithinMs;
    for (;;) {
        try {
            await core.readNamespacedServiceAccount({ name: "default", namespace: "default" });
            return;
        } catch (error) {
            if (performance.now() > end) throw error;
            await sleep(200);
        }
    }
}
