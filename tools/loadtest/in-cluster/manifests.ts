import type { V1ConfigMap, V1Job, V1OwnerReference, V1Secret, V1Service } from "@kubernetes/client-node";
import { buildSync } from "esbuild";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { nodeImage } from "../../../src/monitoring/pod";
import { UsageError } from "../usage-error";
import type { PodTask } from "./messages";

/** The objects of a load test that runs in the cluster: one Job, and what its pods mount, which goes with it. */

/** Label `app` of all of them. */
export const loadtestApp = "vllm-loadtest";
/** Where the first pod listens for the others. */
export const barrierPort = 9402;
export const programFile = "pod.cjs";
const taskFile = "task.json";
const datasetFile = "dataset.jsonl";
const folder = `/etc/${loadtestApp}`;

/** So long does a Job go on whose client gives no sign of life any more: see `JobRunner`. */
export const leaseSeconds = 180;
/** So long after its end is a Job kept that nobody removes. */
const keptSeconds = 60;
/** For the requests of a pod that is told to end. */
const graceSeconds = 20;
/** Of the data of a Secret or ConfigMap. */
const mostBytes = 1024 * 1024;

export function loadtestJob(name: string, pods: number): V1Job {
    const labels = { app: loadtestApp };
    const container = {
        name: "loadtest",
        image: nodeImage,
        command: ["node", `${folder}/program/${programFile}`],
        args: [
            `--task=${folder}/task/${taskFile}`,
            `--listen=0.0.0.0:${barrierPort}`,
            // The Service gives pods of a Job their names.
            `--first=${name}-0.${name}:${barrierPort}`,
        ],
        ports: [{ name: "barrier", containerPort: barrierPort }],
        // One core is what one process can use.
        resources: { requests: { cpu: "1", memory: "256Mi" }, limits: { memory: "1Gi" } },
        securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
        },
        volumeMounts: [
            { name: "program", mountPath: `${folder}/program`, readOnly: true },
            { name: "task", mountPath: `${folder}/task`, readOnly: true },
        ],
    };
    return {
        metadata: { name, labels },
        spec: {
            completionMode: "Indexed",
            completions: pods,
            parallelism: pods,
            // A pod that is started again would come too late.
            backoffLimit: 0,
            activeDeadlineSeconds: leaseSeconds,
            ttlSecondsAfterFinished: keptSeconds,
            template: {
                metadata: { labels },
                spec: {
                    restartPolicy: "Never",
                    subdomain: name,
                    automountServiceAccountToken: false,
                    terminationGracePeriodSeconds: graceSeconds,
                    topologySpreadConstraints: [
                        {
                            maxSkew: 1,
                            topologyKey: "kubernetes.io/hostname",
                            whenUnsatisfiable: "ScheduleAnyway",
                            labelSelector: { matchLabels: { "job-name": name } },
                        },
                    ],
                    securityContext: {
                        runAsNonRoot: true,
                        runAsUser: 1000,
                        runAsGroup: 1000,
                        fsGroup: 1000,
                        seccompProfile: { type: "RuntimeDefault" },
                    },
                    containers: [container],
                    volumes: [
                        { name: "program", configMap: { name } },
                        // Readable to the group, which is the container's.
                        { name: "task", secret: { secretName: name, defaultMode: 0o440 } },
                    ],
                },
            },
        },
    };
}

/** What the Job's pods need. Throws UsageError when the task is more than a Secret holds. */
export function loadtestParts(
    job: V1Job,
    task: PodTask,
): { secret: V1Secret; configMap: V1ConfigMap; service: V1Service } {
    const { name, uid } = job.metadata!;
    const owner: V1OwnerReference = { apiVersion: "batch/v1", kind: "Job", name: name!, uid: uid! };
    const metadata = { name, labels: { app: loadtestApp }, ownerReferences: [owner] };
    return {
        secret: { metadata, stringData: taskFiles(task) },
        configMap: { metadata, data: { [programFile]: podProgram() } },
        service: {
            metadata,
            spec: {
                clusterIP: "None",
                // Pods look for each other before they are ready.
                publishNotReadyAddresses: true,
                selector: { "job-name": name! },
                ports: [{ name: "barrier", port: barrierPort }],
            },
        },
    };
}

function taskFiles(task: PodTask): Record<string, string> {
    const { config } = task;
    const files: Record<string, string> = {};
    let inPod = config;
    if (config.dataset !== undefined) {
        files[datasetFile] = readFileSync(config.dataset, "utf8");
        inPod = { ...config, dataset: datasetFile };
    }
    files[taskFile] = JSON.stringify({ ...task, config: inPod });
    const bytes = Object.values(files).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    if (bytes > mostBytes) {
        const what = config.trace !== undefined ? "--trace" : "--dataset";
        throw new UsageError(
            `--in-cluster: a Secret takes what the pods need to know to them and holds 1 MiB, and this is ${(bytes / mostBytes).toFixed(1)}: a shorter ${what}`,
        );
    }
    return files;
}

function podProgram(): string {
    const { outputFiles } = buildSync({
        entryPoints: [join(__dirname, "pod.ts")],
        bundle: true,
        minify: true,
        platform: "node",
        format: "cjs",
        target: "node22",
        write: false,
    });
    return outputFiles[0].text;
}
