import { KubeConfig } from "@kubernetes/client-node";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import { lastLines, writePrivate } from "../files";
import { freePort } from "../http-server";
import { makeAuthority } from "../ovhcloud/certificates";
import type { PartStatus } from "../ovhcloud/status";
import { startChild, type Child } from "../prometheus/child";
import { stages } from "./stages";

/** Absolute paths of the programs. */
export type ControlPlaneBin = Record<"kwok" | "etcd" | "apiserver" | "controllerManager" | "scheduler", string>;

export interface ControlPlaneOptions {
    /** Holds etcd's data, certificates, kubeconfig and logs; made when it is not there. */
    dir: string;
    bin: ControlPlaneBin;
    log: (line: string) => void;
}

/**
 * A real control plane as processes of this machine, with kwok for its nodes. Nothing but the API server listens on a port,
 * and it answers those alone who have a certificate: etcd, which would give every Secret to whoever asks, has sockets.
 */
export interface ControlPlane {
    /** Its parts, those that ended by themselves too. */
    parts(): PartStatus[];
    /** Ends every part; the data stay. */
    stop(): Promise<void>;
}

/** How long it may take to answer, on a machine that is busy with other things. */
const readyWithinMs = 180_000;
/** How many ports may turn out to be taken by others between the choice and the start. */
const portTries = 5;

/** Sockets in the folder where both ends run: the path of one may not be long. The form, with a port, is etcd's own. */
const etcdSocket = "unix://etcd:1";
const etcdPeerSocket = "unix://etcd-peer:1";

/** Starts one, or goes on with what the folder holds. Resolves when it answers; rejects with the end of the log that says why not. */
export async function startControlPlane({ dir, bin, log }: ControlPlaneOptions): Promise<ControlPlane> {
    const file = (name: string): string => join(dir, name);
    const parts = new Map<string, Child>();
    const start = async (name: string, program: string, args: string[]): Promise<Child> => {
        const child = await startChild({ program, args, cwd: dir, logFile: file(`${name}.log`) });
        parts.set(name, child);
        return child;
    };
    const stop = async (): Promise<void> => {
        // etcd last: the others would complain that it has gone.
        for (const [name, part] of [...parts].reverse()) {
            await part.stop();
            parts.delete(name);
        }
    };

    mkdirSync(dir, { recursive: true, mode: 0o700 });
    if (!existsSync(file("kubeconfig.yaml"))) await writeCredentials(dir);
    try {
        await start("etcd", bin.etcd, etcdArgs(dir));
        await startApiServer();
        const kubeconfig = file("kubeconfig.yaml");
        // One of each: nobody to elect, and no lease of a predecessor to wait for.
        const client = [`--kubeconfig=${kubeconfig}`, "--secure-port=0", "--leader-elect=false"];
        await start("kube-controller-manager", bin.controllerManager, [
            ...client,
            `--root-ca-file=${file("ca.crt")}`,
            `--service-account-private-key-file=${file("service-accounts.key")}`,
            // A machine that is busy, or was asleep, has lost no node.
            "--node-monitor-grace-period=300s",
        ]);
        await start("kube-scheduler", bin.scheduler, client);
        writePrivate(file("kwok.yaml"), stages.map((one) => stringify(one)).join("---\n"));
        await start("kwok", bin.kwok, [
            `--kubeconfig=${kubeconfig}`,
            `--config=${file("kwok.yaml")}`,
            "--manage-all-nodes=true",
            "--node-ip=10.0.0.1",
            // Without leases on nodes: one that was killed would keep its successor from every node for minutes.
            "--node-lease-duration-seconds=0",
        ]);
    } catch (error) {
        await stop();
        throw error;
    }

    /** At the port of before, so that kubeconfigs that were handed out stay valid, unless somebody else has it now. */
    async function startApiServer(): Promise<void> {
        for (let tries = 1; ; tries++) {
            const port = portOf(dir) ?? (await freePort());
            writeKubeconfig(dir, port);
            const child = await start("kube-apiserver", bin.apiserver, apiServerArgs(dir, port));
            if (await answers(dir, port, child, parts.get("etcd")!)) return;
            const said = lastLines(file(child.exit === undefined ? "etcd.log" : "kube-apiserver.log"));
            if (tries === portTries || !said.includes("address already in use")) {
                throw new Error(`the control plane does not start: ${said}`);
            }
            log(`port ${port} of the Kubernetes API is taken by another program: it gets another one`);
            writeKubeconfig(dir, undefined);
        }
    }

    return {
        parts: () => [...parts].map(([name, { exit }]) => ({ name, exit, log: file(`${name}.log`) })),
        stop,
    };
}

/** A client's configuration with the certificates inline, as MKS hands it out. */
export function kubeconfigOf(dir: string): KubeConfig {
    const config = new KubeConfig();
    config.loadFromFile(join(dir, "kubeconfig.yaml"));
    return config;
}

function etcdArgs(dir: string): string[] {
    return [
        "--name=default",
        `--data-dir=${join(dir, "etcd")}`,
        `--listen-client-urls=${etcdSocket}`,
        `--advertise-client-urls=${etcdSocket}`,
        `--listen-peer-urls=${etcdPeerSocket}`,
        `--initial-advertise-peer-urls=${etcdPeerSocket}`,
        `--initial-cluster=default=${etcdPeerSocket}`,
        "--auto-compaction-retention=1",
        "--log-level=warn",
    ];
}

function apiServerArgs(dir: string, port: number): string[] {
    const file = (name: string): string => join(dir, name);
    return [
        `--etcd-servers=${etcdSocket}`,
        "--bind-address=127.0.0.1",
        `--secure-port=${port}`,
        // Of RFC 5737, for documentation: it asks for one that is not a loopback, and a laptop without a network has none.
        "--advertise-address=192.0.2.1",
        `--tls-cert-file=${file("server.crt")}`,
        `--tls-private-key-file=${file("server.key")}`,
        `--client-ca-file=${file("ca.crt")}`,
        "--anonymous-auth=false",
        "--authorization-mode=Node,RBAC",
        `--service-account-key-file=${file("service-accounts.key")}`,
        `--service-account-signing-key-file=${file("service-accounts.key")}`,
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--allow-privileged=true",
    ];
}

/** Makes authority and certificates anew; what was signed before opens nothing from the next start on. */
export async function writeCredentials(dir: string): Promise<void> {
    const authority = await makeAuthority("CN=Kubernetes of the sandbox on this machine");
    writePrivate(join(dir, "ca.crt"), authority.certificate);
    const service = "kubernetes.default.svc.cluster.local".split(".");
    const names = ["127.0.0.1", "localhost", ...[1, 2, 3, 5].map((parts) => service.slice(0, parts).join("."))];
    const server = await authority.issue("CN=kube-apiserver", { names });
    const admin = await authority.issue("O=system:masters, CN=kubernetes-admin", { client: true });
    const serviceAccounts = await authority.issue("CN=service-accounts", {});
    writePrivate(join(dir, "server.crt"), server.certificate);
    writePrivate(join(dir, "server.key"), server.key);
    writePrivate(join(dir, "admin.crt"), admin.certificate);
    writePrivate(join(dir, "admin.key"), admin.key);
    writePrivate(join(dir, "service-accounts.key"), serviceAccounts.key);
}

function writeKubeconfig(dir: string, port: number | undefined): void {
    const base64 = (name: string): string => readFileSync(join(dir, name)).toString("base64");
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
        {
            name: "sandbox",
            server: `https://127.0.0.1:${port ?? 0}`,
            skipTLSVerify: false,
            caData: base64("ca.crt"),
        },
        { name: "kubernetes-admin", certData: base64("admin.crt"), keyData: base64("admin.key") },
    );
    writePrivate(join(dir, "kubeconfig.yaml"), kubeconfigYaml(config));
}

/** JSON is YAML. */
export function kubeconfigYaml(config: KubeConfig): string {
    return JSON.stringify(JSON.parse(config.exportConfig()), null, 2) + "\n";
}

/** The port that was chosen before. */
function portOf(dir: string): number | undefined {
    if (!existsSync(join(dir, "kubeconfig.yaml"))) return undefined;
    return Number(new URL(kubeconfigOf(dir).getCurrentCluster()!.server).port) || undefined;
}

/** Whether the API server gets ready before one of the two ends. Its certificate proves that it is this one. */
async function answers(dir: string, port: number, ...children: Child[]): Promise<boolean> {
    const [ca, cert, key] = ["ca.crt", "admin.crt", "admin.key"].map((name) => readFileSync(join(dir, name)));
    const ready = (): Promise<boolean> =>
        new Promise((resolve) => {
            const call = request(
                { host: "127.0.0.1", port, path: "/readyz", ca, cert, key, agent: false },
                (answer) => {
                    answer.resume();
                    resolve(answer.statusCode === 200);
                },
            );
            call.setTimeout(2000, () => call.destroy());
            call.on("error", () => resolve(false));
            call.on("close", () => resolve(false));
            call.end();
        });
    const end = performance.now() + readyWithinMs;
    while (performance.now() < end && children.every(({ exit }) => exit === undefined)) {
        if (await ready()) return true;
        await sleep(200);
    }
    return false;
}
