import { KubeConfig } from "@kubernetes/client-node";
import type { Elsewhere } from "../run";
import { JobRunner, type ClusterPlace } from "./job-runner";
import { outputOfCluster, outputOfFiles } from "./pod-output";

/** Has pods of a cluster send. In the sandbox their output lies in files: no pod runs. */
export function inCluster(
    pods: number,
    { kubeconfig, namespace }: { kubeconfig: string; namespace: string },
): Elsewhere {
    const kubernetes = new KubeConfig();
    kubernetes.loadFromString(kubeconfig);
    const folder = process.env.OVH_SANDBOX_POD_LOGS;
    const output: ClusterPlace["output"] = (ended) =>
        folder ? outputOfFiles(folder, ended) : outputOfCluster(kubernetes, namespace);
    const log = (line: string): void => console.error(line);
    return (task, events) => new JobRunner(task, events, { kubernetes, namespace, pods, output, log });
}
