import { KubeConfig } from "@kubernetes/client-node";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ManagedKubernetes } from "../ovhcloud/mks";
import { endProcesses, sandboxProcesses } from "../processes";
import { startCloudController, type CloudController } from "./cloud-controller";
import { scaleNodePool } from "./node-pool";

export interface KwokOptions {
    /** Holds every cluster: its etcd, certificates and logs. */
    dir: string;
    /** Absolute paths of the programs. */
    bin: Record<"kwokctl" | "kwok" | "etcd" | "apiserver" | "controllerManager" | "scheduler", string>;
    log: (line: string) => void;
}

/** Managed Kubernetes made of real control planes, on nodes and with pods that are objects alone (kwok.sigs.k8s.io). */
export interface KwokMks extends ManagedKubernetes {
    /** Stops every control plane; their data stay. */
    close(): Promise<void>;
}

/** How long a control plane may take to answer, on a machine that is busy with other things. */
const readyWithin = "180s";
/** kwokctl does not wait for the processes that it ends. */
const graceSeconds = 15;

/** Throws an Error when control planes cannot live in this folder. */
export function requirePlainPath(dir: string): void {
    if (/\s/.test(dir)) {
        throw new Error(`${dir}: kwokctl cannot work in a path with a space; move the checkout to one without`);
    }
}

/** Throws an Error for a folder whose path has a space in it. */
export function createKwokMks({ dir, bin, log }: KwokOptions): KwokMks {
    requirePlainPath(dir);
    const controllers = new Map<string, CloudController>();
    const clusterDir = (id: string): string => join(dir, "clusters", id);

    async function kwokctl(...args: string[]): Promise<void> {
        mkdirSync(dir, { recursive: true });
        // Beside the flags: everything binds to this machine alone, and kwokctl leaves the user's own config alone.
        const config = join(dir, "kwokctl.yaml");
        const settings = ["kind: KwokctlConfiguration", "apiVersion: config.kwok.x-k8s.io/v1alpha1"];
        writeFileSync(config, [...settings, "options:", "  bindAddress: 127.0.0.1", ""].join("\n"));
        // HOME: it caches what the API server tells in ~/.kube.
        await run(bin.kwokctl, [...args, "--config", config], { ...process.env, HOME: dir, KWOK_WORKDIR: dir });
    }

    /** A client's configuration with the certificates inline, as MKS hands it out. */
    function kubeconfigOf(id: string): KubeConfig {
        const config = new KubeConfig();
        config.loadFromFile(join(clusterDir(id), "kubeconfig.yaml"));
        const base64 = (file: string): string => readFileSync(file).toString("base64");
        const user = config.getCurrentUser()!;
        const cluster = config.getCurrentCluster()!;
        const inline = new KubeConfig();
        inline.loadFromClusterAndUser(
            { name: "sandbox", server: cluster.server, skipTLSVerify: false, caData: base64(cluster.caFile!) },
            { name: "kubernetes-admin", certData: base64(user.certFile!), keyData: base64(user.keyFile!) },
        );
        return inline;
    }

    async function beginCloudController(id: string): Promise<void> {
        controllers.set(id, await startCloudController(kubeconfigOf(id), log));
    }

    async function endCloudController(id: string): Promise<void> {
        await controllers.get(id)?.stop();
        controllers.delete(id);
    }

    return {
        async create(id) {
            // What is there was interrupted before it was ready: nobody has used it.
            if (existsSync(clusterDir(id))) await kwokctl("delete", "cluster", "--name", id);
            const components = Object.entries({
                etcd: bin.etcd,
                "kube-apiserver": bin.apiserver,
                "kube-controller-manager": bin.controllerManager,
                "kube-scheduler": bin.scheduler,
                "kwok-controller": bin.kwok,
            }).flatMap(([name, path]) => [`--${name}-binary`, path]);
            const kubeconfig = join(dir, "kubeconfig-of-kwokctl");
            // Without leases on nodes: one that was killed would keep its successor from every node for minutes.
            const leases = ["--node-lease-duration-seconds", "0"];
            const common = ["--runtime", "binary", ...leases, "--kubeconfig", kubeconfig, "--wait", readyWithin];
            await kwokctl("create", "cluster", "--name", id, ...components, ...common);
            await beginCloudController(id);
        },
        async resume(id) {
            // Left by a machine that went down, these numbers may belong to other processes now.
            const pids = join(clusterDir(id), "pids");
            rmSync(pids, { recursive: true, force: true });
            mkdirSync(pids);
            await kwokctl("start", "cluster", "--name", id, "--wait", readyWithin);
            await beginCloudController(id);
        },
        kubeconfig: async (id) => kubeconfigYaml(kubeconfigOf(id)),
        scale: (id, pool) => scaleNodePool(kubeconfigOf(id), pool),
        async delete(id) {
            await endCloudController(id);
            if (existsSync(clusterDir(id))) await kwokctl("delete", "cluster", "--name", id);
            await endProcesses(sandboxProcesses(clusterDir(id)), graceSeconds);
        },
        async close() {
            for (const id of [...controllers.keys()]) {
                await endCloudController(id);
                await kwokctl("stop", "cluster", "--name", id);
                await endProcesses(sandboxProcesses(clusterDir(id)), graceSeconds);
            }
        },
    };
}

/** JSON is YAML. */
function kubeconfigYaml(config: KubeConfig): string {
    return JSON.stringify(JSON.parse(config.exportConfig()), null, 2) + "\n";
}

/** Runs a program to its end. Rejects with the end of what it said. */
function run(program: string, args: string[], env: NodeJS.ProcessEnv): Promise<void> {
    return new Promise((resolve, reject) => {
        const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
        let said = "";
        const hear = (part: Buffer): void => void (said = (said + part.toString()).slice(-4000));
        child.stdout.on("data", hear);
        child.stderr.on("data", hear);
        child.on("error", reject);
        // Not "close": the control plane that it started holds on to its output.
        child.on("exit", (code) => {
            if (code === 0) return resolve();
            const lines = said.trim().split("\n").slice(-5).join("\n");
            reject(new Error(`kwokctl ${args.slice(0, 2).join(" ")} failed (exit code ${code}): ${lines}`));
        });
    });
}
