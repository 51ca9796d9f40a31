/**
 * What the sandbox and the tests need, which versions fit, and how each is built from pinned Go modules
 * (sandbox/toolchain/go) where it cannot be downloaded (releases.ts).
 */

export const tools = [
    "etcd",
    "kwok",
    "pulumi",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "prometheus",
    "promtool",
    "prometheus-operator",
    "alertmanager",
    "amtool",
    "pulumi-resource-kubernetes",
] as const;

export type Tool = (typeof tools)[number];

export interface Recipe {
    /** Folder below `go/` that holds the module. */
    module: string;
    /** Package to build; its last part is how Go names the program. */
    package: string;
    /** The version that the module pins. */
    version: string;
    /** Arguments that make the program print its version; absent: it is never taken from PATH. */
    versionArgs?: string[];
    /** Versions from PATH that fit: at least `from`, below `below`. */
    from: string;
    below: string;
    /** The same for all of a module. */
    tags: string;
    /** Linker's `-X` settings. */
    set?: Record<string, string>;
    /** Files to copy beside the package's main.go before the build, from a module of the build list. */
    copy?: { module: string; files: string[] };
    /** Folder to keep beside the program, from a module of the build list. */
    keep?: { module: string; folder: string };
    /** CPU seconds of it in a build of all with empty caches: roughly, from the times of 2026-11. */
    cpuSeconds: number;
}

/** What is built of Kubernetes, or of its client: of all that they share, Go compiles one version once. */
const cluster = {
    module: "cluster",
    // Prometheus refuses the operator's config without Kubernetes discovery; the other kinds are not needed.
    tags: "remove_all_sd,enable_kubernetes_sd,grpcnotrace",
    versionArgs: ["--version"],
};

/** Those that do not compile with all that `cluster` needs. What they share with it is of the same versions. */
const apart = { ...cluster, module: "apart" };

const kubernetes = {
    ...cluster,
    version: "1.34.4",
    from: "1.31.0",
    below: "2.0.0",
    // Without a version Helm refuses charts: "kubeVersion ... incompatible with v0.0.0-master".
    set: {
        "k8s.io/component-base/version.gitVersion": "v1.34.4",
        "k8s.io/component-base/version.gitMajor": "1",
        "k8s.io/component-base/version.gitMinor": "34",
    },
};

const prometheus = {
    ...cluster,
    version: "3.16.0",
    from: "3.5.0",
    below: "4.0.0",
    set: { "github.com/prometheus/common/version.Version": "3.16.0" },
};

const alertmanager = {
    ...apart,
    // The newest whose module holds the pages of its web interface, without which it does not compile. Debian's 0.25 is
    // too old: it does not read a webhook's address from a file.
    version: "0.31.1",
    from: "0.27.0",
    below: "1.0.0",
    set: { "github.com/prometheus/common/version.Version": "0.31.1" },
};

export const recipes: Record<Tool, Recipe> = {
    etcd: {
        ...cluster,
        package: "./etcd",
        version: "3.7.3",
        from: "3.5.0",
        below: "4.0.0",
        cpuSeconds: 60,
    },
    kwok: {
        ...apart,
        package: "sigs.k8s.io/kwok/cmd/kwok",
        version: "0.8.0",
        from: "0.7.0",
        below: "1.0.0",
        set: { "sigs.k8s.io/kwok/pkg/consts.Version": "v0.8.0" },
        cpuSeconds: 15,
    },
    pulumi: {
        module: "pulumi",
        package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        version: "3.274.1",
        versionArgs: ["version"],
        from: "3.216.0",
        below: "4.0.0",
        tags: "osusergo,grpcnotrace",
        set: { "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": "v3.274.1" },
        cpuSeconds: 310,
    },
    "kube-apiserver": { ...kubernetes, package: "k8s.io/kubernetes/cmd/kube-apiserver", cpuSeconds: 290 },
    "kube-controller-manager": {
        ...kubernetes,
        package: "k8s.io/kubernetes/cmd/kube-controller-manager",
        cpuSeconds: 90,
    },
    "kube-scheduler": { ...kubernetes, package: "k8s.io/kubernetes/cmd/kube-scheduler", cpuSeconds: 10 },
    kubectl: {
        ...kubernetes,
        versionArgs: ["version", "--client"],
        package: "k8s.io/kubernetes/cmd/kubectl",
        cpuSeconds: 40,
    },
    prometheus: { ...prometheus, package: "github.com/prometheus/prometheus/cmd/prometheus", cpuSeconds: 110 },
    promtool: { ...prometheus, package: "github.com/prometheus/prometheus/cmd/promtool", cpuSeconds: 10 },
    "prometheus-operator": {
        ...apart,
        package: "github.com/prometheus-operator/prometheus-operator/cmd/operator",
        // The newest that the module proxies serve. Never from PATH, since the CRDs must be of the same version.
        version: "0.85.0",
        versionArgs: undefined,
        from: "0.85.0",
        below: "0.86.0",
        set: { "github.com/prometheus/common/version.Version": "0.85.0" },
        keep: {
            module: "github.com/prometheus-operator/prometheus-operator",
            folder: "example/prometheus-operator-crd",
        },
        cpuSeconds: 25,
    },
    alertmanager: { ...alertmanager, package: "github.com/prometheus/alertmanager/cmd/alertmanager", cpuSeconds: 25 },
    amtool: { ...alertmanager, package: "github.com/prometheus/alertmanager/cmd/amtool", cpuSeconds: 10 },
    "pulumi-resource-kubernetes": {
        ...cluster,
        package: "./pulumi-resource-kubernetes",
        // A commit of January 2026, the newest that builds as a module.
        version: "4.25.0",
        versionArgs: undefined,
        from: "4.25.0",
        below: "5.0.0",
        set: { "main.version": "4.25.0" },
        copy: {
            module: "github.com/pulumi/pulumi-kubernetes/provider/v4",
            files: [
                "cmd/pulumi-resource-kubernetes/schema.json",
                "cmd/pulumi-resource-kubernetes/terraform-mapping.json",
            ],
        },
        cpuSeconds: 110,
    },
};

/** Of the front doors' proxy, which is run for stacks that have one: the version that the program deploys, and those that fit. */
export const envoyVersions = { version: "1.40.0", versionArgs: ["--version"], from: "1.40.0", below: "2.0.0" };

/** The oldest Go that can build all of them. */
export const oldestGo = "1.26.0";

/** What the sandbox runs or gives to people; the rest is for tests. */
export const sandboxTools = tools.filter((tool) => tool !== "amtool");
