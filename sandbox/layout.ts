import { join, resolve } from "node:path";

/** Root of the checkout: the folder of `Pulumi.yaml`. */
export const checkout = resolve(__dirname, "..");

/** Where everything of one sandbox lives. All paths are absolute. */
export interface Layout {
    /** The folder that `reset` removes. */
    dir: string;
    /** To be sourced by bash: PATH, PULUMI_*, OVH_*, KUBECONFIG. */
    env: string;
    /** Executables for PATH. */
    bin: string;
    /** State of the emulated OVHcloud: apps, tokens, clusters, certificate authority. */
    ovhcloud: string;
    /** kwok clusters. */
    kubernetes: string;
    /** What Prometheus and its operator run from. */
    prometheus: string;
    /** The ports of front doors, by model. */
    frontDoorPorts: string;
    /** Report of the last load test that the console started. */
    console: string;
    /** What the pods of load tests in the cluster mount and print. */
    loadtest: string;
    /** The Helm chart that Pulumi.sandbox.yaml names. */
    chart: string;
    /** PULUMI_HOME: plugins. */
    pulumiHome: string;
    /** The `file://` backend: stack state. */
    pulumiState: string;
    kubeconfig: string;
    /** What the daemon is told (`DaemonSettings`), what it tells (`DaemonInfo`), and what it logs. */
    daemonSettings: string;
    daemonInfo: string;
    daemonLog: string;
    /** All that the last `up` has said. */
    upLog: string;
    /** The exit code of the last daemon, once it has ended. */
    daemonExit: string;
    /** The ports of the daemon, chosen when it started first. */
    ports: string;
    /** What the last `up` found: chart, plugins, toolchain. */
    installed: string;
    /** `ProcessIdentity` of the CLI that is changing the sandbox now. */
    lock: string;
}

/** The layout of the sandbox in `dir`; by default `.sandbox` in the checkout. */
export function layoutOf(dir = join(checkout, ".sandbox")): Layout {
    return {
        dir,
        env: join(dir, "env"),
        bin: join(dir, "bin"),
        ovhcloud: join(dir, "ovhcloud"),
        kubernetes: join(dir, "kubernetes"),
        prometheus: join(dir, "prometheus"),
        frontDoorPorts: join(dir, "prometheus/front-doors/ports.json"),
        console: join(dir, "console"),
        loadtest: join(dir, "loadtest"),
        chart: join(dir, "chart/kube-prometheus-stack"),
        pulumiHome: join(dir, "pulumi/home"),
        pulumiState: join(dir, "pulumi/state"),
        kubeconfig: join(dir, "kubeconfig"),
        daemonSettings: join(dir, "daemon-settings.json"),
        daemonInfo: join(dir, "daemon.json"),
        daemonLog: join(dir, "daemon.log"),
        upLog: join(dir, "up.log"),
        daemonExit: join(dir, "daemon-exit"),
        ports: join(dir, "ports.json"),
        installed: join(dir, "installed.json"),
        lock: join(dir, "lock"),
    };
}
