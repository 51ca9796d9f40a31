/**
 * What the publishers of the tools have built themselves, per platform: where it lies, and where they say its sha256.
 * None of these addresses could be fetched where they were written down: names and forms are those of the publishers'
 * documentation and scripts. What cannot be had is built from Go, and a line says why.
 */
import { version as kubernetesPlugin } from "@pulumi/kubernetes/package.json";
import { envoyVersions, recipes, type Tool } from "./recipes";

/** One publication: its files make up one folder, in which the tools lie by their names. */
export interface Release<Program extends string = Tool> {
    /** For people. */
    name: string;
    version: string;
    tools: Program[];
    files: ReleaseFile[];
}

export interface ReleaseFile {
    url: string;
    /**
     * Where its publisher says its sha256: a file of lines `SHA256  NAME`, or of the hash alone, or the description of a
     * release by GitHub's API. Absent: `url` is that of an image, `docker://HOST/NAME:TAG`, whose layers are named by theirs.
     */
    checksums?: string;
    /** Where in the archive (or in the image's last layer) lies what is taken; `""`: the file itself. By name in the folder. */
    take: Record<string, string>;
}

/** Releases for a platform and an architecture, as Node calls them. Empty where nobody publishes any. */
export function releasesFor(platform: string, arch: string): Release[] {
    const cpu = { x64: "amd64", arm64: "arm64" }[arch];
    if (!cpu || !["linux", "darwin"].includes(platform)) return [];
    const target = `${platform}-${cpu}`;
    return [
        etcd(platform, target),
        kwok(target),
        pulumi(platform, arch),
        // Of macOS, Kubernetes publishes kubectl alone; the operator is published as an image for Linux.
        ...(platform === "linux"
            ? (["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"] as const)
            : (["kubectl"] as const)
        ).map((tool) => kubernetes(tool, platform, cpu)),
        prometheusProject(["prometheus", "promtool"], target),
        prometheusProject(["alertmanager", "amtool"], target),
        ...(platform === "linux" ? [prometheusOperator()] : []),
        kubernetesProvider(target),
    ];
}

function etcd(platform: string, target: string): Release {
    const { version } = recipes.etcd;
    const base = `https://github.com/etcd-io/etcd/releases/download/v${version}`;
    const folder = `etcd-v${version}-${target}`;
    return {
        name: "etcd",
        version,
        tools: ["etcd"],
        files: [
            {
                url: `${base}/${folder}.${platform === "linux" ? "tar.gz" : "zip"}`,
                checksums: `${base}/SHA256SUMS`,
                take: { etcd: `${folder}/etcd` },
            },
        ],
    };
}

function kwok(target: string): Release {
    const { version } = recipes.kwok;
    return {
        name: "kwok",
        version,
        tools: ["kwok"],
        files: [githubAsset("kubernetes-sigs/kwok", `v${version}`, `kwok-${target}`, { kwok: "" })],
    };
}

/** With its hosts of Node.js programs and of dynamic resources, which it looks for beside itself. */
function pulumi(platform: string, arch: string): Release {
    const { version } = recipes.pulumi;
    const base = "https://get.pulumi.com/releases/sdk";
    const names = ["pulumi", "pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"];
    return {
        name: "pulumi",
        version,
        tools: ["pulumi"],
        files: [
            {
                url: `${base}/pulumi-v${version}-${platform}-${arch}.tar.gz`,
                checksums: `${base}/pulumi-${version}-checksums.txt`,
                take: Object.fromEntries(names.map((name) => [name, `pulumi/${name}`])),
            },
        ],
    };
}

function kubernetes(tool: Tool, platform: string, cpu: string): Release {
    const { version } = recipes[tool];
    const url = `https://dl.k8s.io/release/v${version}/bin/${platform}/${cpu}/${tool}`;
    return {
        name: tool,
        version,
        tools: [tool],
        files: [{ url, checksums: `${url}.sha256`, take: { [tool]: "" } }],
    };
}

function prometheusProject(tools: ["prometheus" | "alertmanager", Tool], target: string): Release {
    const [name] = tools;
    const { version } = recipes[name];
    const base = `https://github.com/prometheus/${name}/releases/download/v${version}`;
    const folder = `${name}-${version}.${target}`;
    return {
        name,
        version,
        tools,
        files: [
            {
                url: `${base}/${folder}.tar.gz`,
                checksums: `${base}/sha256sums.txt`,
                take: Object.fromEntries(tools.map((tool) => [tool, `${folder}/${tool}`])),
            },
        ],
    };
}

/** The image has the program alone; its CRDs are published beside it, without their descriptions. */
function prometheusOperator(): Release {
    const { version } = recipes["prometheus-operator"];
    const repository = "prometheus-operator/prometheus-operator";
    return {
        name: "prometheus-operator",
        version,
        tools: ["prometheus-operator"],
        files: [
            {
                url: `docker://quay.io/${repository}:v${version}`,
                take: { "prometheus-operator": "bin/operator" },
            },
            githubAsset(repository, `v${version}`, "stripped-down-crds.yaml", {
                "prometheus-operator-crd/crds.yaml": "",
            }),
        ],
    };
}

/** Of the version that the SDK asks for, which is newer than what can be built. */
function kubernetesProvider(target: string): Release {
    const tag = `v${kubernetesPlugin}`;
    const file = `pulumi-resource-kubernetes-${tag}-${target}.tar.gz`;
    const take = { "pulumi-resource-kubernetes": "pulumi-resource-kubernetes" };
    return {
        name: "pulumi-resource-kubernetes",
        version: kubernetesPlugin,
        tools: ["pulumi-resource-kubernetes"],
        files: [githubAsset("pulumi/pulumi-kubernetes", tag, file, take)],
    };
}

/** For Linux alone. */
export function envoyRelease(platform: string, arch: string): Release<"envoy"> | undefined {
    const cpu = { x64: "x86_64", arm64: "aarch_64" }[arch];
    if (!cpu || platform !== "linux") return undefined;
    const { version } = envoyVersions;
    const file = githubAsset("envoyproxy/envoy", `v${version}`, `envoy-${version}-linux-${cpu}`, { envoy: "" });
    return { name: "envoy", version, tools: ["envoy"], files: [file] };
}

function githubAsset(repository: string, tag: string, file: string, take: ReleaseFile["take"]): ReleaseFile {
    return {
        url: `https://github.com/${repository}/releases/download/${tag}/${file}`,
        checksums: `https://api.github.com/repos/${repository}/releases/tags/${tag}`,
        take,
    };
}
