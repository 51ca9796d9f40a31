import { spawnSync } from "node:child_process";
import {
    chmodSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readFileSync,
    readdirSync,
    rmSync,
    symlinkSync,
    writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { recipes, tools, type Tool } from "../../../sandbox/toolchain/recipes";
import { releasesFor, type Release } from "../../../sandbox/toolchain/releases";
import { ensureToolchain, prometheusOperatorCrds, type Toolchain } from "../../../sandbox/toolchain/toolchain";
import { archive, pathOf as path, Publisher, sha256 } from "./publisher";

vi.mock("../../../sandbox/toolchain/sha256.json", () => ({ default: {} }));

let publisher: Publisher;
let dir: string;
let log: string[];

beforeEach(async () => {
    publisher = await Publisher.start();
    dir = mkdtempSync(join(tmpdir(), "toolchain tëst-"));
    log = [];
    vi.stubEnv("OVH_SANDBOX_MIRROR", publisher.url);
    vi.stubEnv("OVH_SANDBOX_CACHE", join(dir, "cache"));
    vi.stubEnv("PATH", pathOf("sh", "tar", "gzip", "chmod", "cat", "mkdir", "cp"));
});
afterEach(async () => {
    vi.unstubAllEnvs();
    await publisher.stop();
    rmSync(dir, { recursive: true });
});

const ensure = (...wanted: Tool[]): Promise<Toolchain> =>
    ensureToolchain({ log: (line) => log.push(line), wanted: wanted.length > 0 ? wanted : undefined });

/** A PATH with these programs of this machine alone. */
function pathOf(...names: string[]): string {
    const bin = join(dir, "path");
    mkdirSync(bin);
    for (const name of names) {
        symlinkSync(spawnSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).stdout.trim(), join(bin, name));
    }
    return bin;
}

/** A program that says it is of a version. */
function program(version: string): string {
    return `#!/bin/sh\necho "it is v${version}"\n`;
}

function putOnPath(name: string, text: string): string {
    const file = join(dir, "path", name);
    writeFileSync(file, text, { mode: 0o755 });
    return file;
}

const here = (): Release[] => releasesFor(process.platform, process.arch);
const releaseOf = (tool: Tool): Release => here().find(({ tools }) => tools.includes(tool))!;

/** As if its publisher had it: programs that say its version. */
function publish(release: Release): void {
    publisher.publish(release, (name) => (name.endsWith(".yaml") ? "kind: List\n" : program(release.version)));
}

describe("a tool on PATH", () => {
    it("is taken when its version fits, and nobody is asked for it", async () => {
        const file = putOnPath("kubectl", program("1.33.0"));
        const { bin, source } = await ensure("kubectl");
        expect(bin.kubectl).toBe(file);
        expect(source.kubectl).toEqual({ from: "path", version: "1.33.0" });
        expect(publisher.asked).toEqual([]);
    });

    it("is passed over when it is too old", async () => {
        putOnPath("kubectl", program("1.19.0"));
        publish(releaseOf("kubectl"));
        expect((await ensure("kubectl")).source.kubectl!.from).toBe("downloaded");
    });
});

describe("a tool that is published for this machine", () => {
    it("is downloaded once, with what belongs beside it", async () => {
        for (const release of here()) publish(release);
        const published = here().flatMap((release) => release.tools);
        const { bin, source } = await ensure(...published);
        for (const tool of published) {
            expect(source[tool]!.from).toBe("downloaded");
            expect(spawnSync(bin[tool], { encoding: "utf8" }).stdout).toContain(source[tool]!.version);
        }
        expect(existsSync(join(dirname(bin.pulumi), "pulumi-language-nodejs"))).toBe(true);
        if (process.platform === "linux") expect(readdirSync(prometheusOperatorCrds(bin))).toEqual(["crds.yaml"]);
        expect(log.find((line) => line.startsWith("etcd-"))).toMatch(/sha256 [0-9a-f]{64}, as .*\/SHA256SUMS says$/);
        // Archives and work are gone.
        expect(readdirSync(join(dir, "cache/downloads"))).toEqual([]);
        expect(readdirSync(join(dir, "cache/work"))).toEqual([]);
        const asked = publisher.asked.length;
        await ensure(...published);
        expect(publisher.asked).toHaveLength(asked);
    });

    it("is asked for alone: nothing else is downloaded", async () => {
        for (const release of here()) publish(release);
        const { source } = await ensure("promtool");
        // It comes with its server.
        expect(Object.keys(source)).toEqual(["prometheus", "promtool"]);
    });
});

describe("a tool that cannot be downloaded", () => {
    const cannot = async (tool: Tool, reason: RegExp): Promise<void> => {
        await expect(ensure(tool)).rejects.toThrow(
            new RegExp(`^${tool}: neither on PATH nor to be downloaded, .* Go is not on PATH: install Go 1`),
        );
        expect(log.join("\n")).toMatch(reason);
        const work = join(dir, "cache/work");
        expect(existsSync(work) ? readdirSync(work) : []).toEqual([]);
    };

    it("has to be built, and the message says which needs Go for it", async () => {
        await cannot("etcd", /^downloading etcd [\d.]+\netcd [\d.]+ cannot be downloaded: .*SHA256SUMS answers 404$/m);
    });

    it("is not asked for again where a host does not answer", async () => {
        const { port } = publisher;
        await publisher.stop();
        await cannot("etcd", new RegExp(`^no downloads: 127.0.0.1:${port}: ECONNREFUSED$`));
        publisher = await Publisher.start();
    });

    it("may have no checksum", async () => {
        publish(releaseOf("etcd"));
        publisher.files[path(releaseOf("etcd").files[0].checksums!)].body = Buffer.from("<html>");
        await cannot("etcd", /SHA256SUMS names no sha256 of etcd-v/);
    });

    it("may be another file than its publisher says", async () => {
        publish(releaseOf("kubectl"));
        publisher.files[path(releaseOf("kubectl").files[0].url)].body = Buffer.from(program("1.34.4") + "# changed");
        await cannot("kubectl", /kubectl has the sha256 [0-9a-f]{64}, and should have [0-9a-f]{64}$/m);
    });

    it("may be no archive, or one without it", async () => {
        const release = releaseOf("etcd");
        publish(release);
        const { url, checksums } = release.files[0];
        const body = archive({ readme: "empty" });
        publisher.files[path(url)].body = body;
        publisher.files[path(checksums!)].body = Buffer.from(`${sha256(body)}  ${basename(url)}\n`);
        await cannot("etcd", /no etcd-v[^ ]+\/etcd could be unpacked/);
    });

    it("may not run here", async () => {
        const release = releaseOf("kubectl");
        publish(release);
        const body = Buffer.from("#!/no/such/loader\n");
        publisher.files[path(release.files[0].url)].body = body;
        publisher.files[path(release.files[0].checksums!)].body = Buffer.from(sha256(body));
        await cannot("kubectl", /it does not run here as version 1\.34\.4: kubectl says/);
    });

    it("may be an image that is not for this machine", async () => {
        if (process.platform !== "linux") return;
        const release = releaseOf("prometheus-operator");
        publish(release);
        const tagged = Object.keys(publisher.files).find((name) => name.includes("/manifests/v"))!;
        publisher.files[tagged].body = Buffer.from(JSON.stringify({ manifests: [] }));
        await cannot("prometheus-operator", /docker:\/\/quay\.io\/.* is not published for linux\//);
    });
});

describe("building", () => {
    /** Stands for `go`: notes its arguments, and makes a program for each package. */
    const go = `#!/bin/sh
case "$1" in
    env) echo go1.26.8; exit;;
    list) echo "$GO_MODULE_DIR"; exit;;
    mod) exit;;
esac
echo "$PWD: $*" >> "$GO_NOTES"
echo "a/package" >&2
while [ "$1" != -o ]; do shift; done
out="$2"; shift 2
for package; do
    echo "built with $GOGC $GOFLAGS" > "$out/\${package##*/}"
    if [ -d "$package" ]; then cat "$package"/*.json >> "$GO_NOTES"; fi
done
`;
    const notes = (): string[] => readFileSync(join(dir, "notes"), "utf8").trim().split("\n");

    beforeEach(() => {
        putOnPath("go", go);
        vi.stubEnv("GO_NOTES", join(dir, "notes"));
        vi.stubEnv("GOCACHE", join(dir, "gocache"));
        vi.stubEnv("GOFLAGS", "-mod=vendor");
        vi.stubEnv("GOGC", "77");
    });

    it("is done by module, each program with settings of its own", async () => {
        const { bin, source } = await ensure("kube-apiserver", "kubectl", "promtool", "amtool");
        expect(source).toEqual(
            Object.fromEntries(
                (["kube-apiserver", "kubectl", "promtool", "amtool"] as const).map((tool) => [
                    tool,
                    { from: "built", version: recipes[tool].version },
                ]),
            ),
        );
        expect(notes()).toHaveLength(2);
        expect(notes()[0]).toMatch(
            / k8s\.io\/kubernetes\/cmd\/kube-apiserver k8s\.io\/kubernetes\/cmd\/kubectl [^ ]+\/cmd\/promtool$/,
        );
        expect(notes()[0]).toContain("-ldflags=k8s.io/kubernetes/cmd/kubectl=-s -w -X k8s.io/component-base/version");
        // What a user has set for the collector holds; flags that would change the program do not.
        expect(readFileSync(bin.kubectl, "utf8")).toBe("built with 77 -gcflags=all=-dwarf=false\n");
        // In a copy: nothing is written into the checkout, and the copy is gone.
        expect(notes()[0]).toContain(join(dir, "cache/work/"));
        expect(readdirSync(join(dir, "cache/work"))).toEqual([]);
        await ensure("kubectl");
        expect(notes()).toHaveLength(2);
    });

    it("takes what a program embeds, and what is kept beside one, from their modules", async () => {
        const module = join(dir, "module");
        for (const { copy, keep } of Object.values(recipes)) {
            for (const file of [...(copy?.files ?? []), ...(keep ? [join(keep.folder, "kept.yaml")] : [])]) {
                mkdirSync(dirname(join(module, file)), { recursive: true });
                writeFileSync(join(module, file), `${basename(file)}\n`, { mode: 0o444 });
            }
        }
        vi.stubEnv("GO_MODULE_DIR", module);
        const { bin } = await ensure("pulumi-resource-kubernetes", "prometheus-operator");
        expect(notes()).toEqual(expect.arrayContaining(["schema.json", "terraform-mapping.json"]));
        expect(readdirSync(prometheusOperatorCrds(bin))).toEqual(["kept.yaml"]);
    });

    it("asks for a Go that is new enough", async () => {
        putOnPath("go", go.replace("go1.26.8", "go1.19"));
        await expect(ensure("etcd")).rejects.toThrow(/^etcd: .* Go 1\.19\.0 is too old: install Go 1\.26\.0 or newer/);
    });

    it("says what Go said when it fails, and leaves nothing half made", async () => {
        putOnPath("go", go.replace('echo "a/package" >&2', 'echo "no required module" >&2; exit 1'));
        await expect(ensure("kubectl")).rejects.toThrow(/go build .* failed \(exit code 1\):\nno required module/);
        expect(readdirSync(join(dir, "cache/work"))).toEqual([]);
        expect(existsSync(join(dir, "cache/lock"))).toBe(false);
    });
});

describe("releases", () => {
    it.each([
        ["linux", "x64"],
        ["linux", "arm64"],
        ["darwin", "x64"],
        ["darwin", "arm64"],
    ])("of %s on %s name each tool at most once", (platform, arch) => {
        const releases = releasesFor(platform, arch);
        const named = releases.flatMap((release) => release.tools);
        expect(new Set(named).size).toBe(named.length);
        const missing = tools.filter((tool) => !named.includes(tool));
        expect(missing).toEqual(
            platform === "linux"
                ? []
                : ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "prometheus-operator"],
        );
        for (const { url, checksums } of releases.flatMap((release) => release.files)) {
            expect(url).toMatch(/^(https|docker):\/\/[a-z0-9.]+\/\S+$/);
            expect(checksums === undefined).toBe(url.startsWith("docker:"));
        }
    });

    it("are none where nobody publishes any", () => {
        expect(releasesFor("freebsd", "x64")).toEqual([]);
        expect(releasesFor("linux", "s390x")).toEqual([]);
    });
});

it("a folder of the cache that Go has made read-only can be removed", async () => {
    const { removeFromCache } = await import("../../../sandbox/toolchain/cache");
    const module = join(dir, "cache/go-mod/module");
    mkdirSync(module, { recursive: true });
    writeFileSync(join(module, "file"), "");
    chmodSync(module, 0o555);
    removeFromCache(join(dir, "cache"));
    expect(existsSync(join(dir, "cache"))).toBe(false);
});

const goModule = (name: string): string =>
    readFileSync(join(__dirname, "../../../sandbox/toolchain/go", name, "go.mod"), "utf8");

/** Of which Go module each tool is. */
const madeOf: Record<Tool, string> = {
    etcd: "go.etcd.io/etcd/server/v3",
    kwok: "sigs.k8s.io/kwok",
    pulumi: "github.com/pulumi/pulumi/pkg/v3",
    "kube-apiserver": "k8s.io/kubernetes",
    "kube-controller-manager": "k8s.io/kubernetes",
    "kube-scheduler": "k8s.io/kubernetes",
    kubectl: "k8s.io/kubernetes",
    prometheus: "github.com/prometheus/prometheus",
    promtool: "github.com/prometheus/prometheus",
    "prometheus-operator": "github.com/prometheus-operator/prometheus-operator",
    alertmanager: "github.com/prometheus/alertmanager",
    amtool: "github.com/prometheus/alertmanager",
    "pulumi-resource-kubernetes": "github.com/pulumi/pulumi-kubernetes/provider/v4",
};

it.each(tools)("%s is downloaded and built in the version that its Go module pins", (tool) => {
    const { module, version } = recipes[tool];
    const line = goModule(module)
        .split("\n")
        .find((one) => one.includes(`${madeOf[tool]} v`))!;
    const [, pinned] = / v(\d+\.\d+\.\d+)/.exec(line)!;
    // Prometheus 3.16.0 is v0.316.0 as a module; the Kubernetes plugin has no version of its own as one.
    const asModule: Record<string, string> = {
        "github.com/prometheus/prometheus": version.replace(
            /^(\d+)\.(\d+)/,
            (_, major: string, minor: string) => `0.${major}${minor.padStart(2, "0")}`,
        ),
        "github.com/pulumi/pulumi-kubernetes/provider/v4": "4.0.0",
    };
    expect(pinned).toBe(asModule[madeOf[tool]] ?? version);
});

it("what two modules share is of one version, so that it is compiled once", () => {
    const versions = (name: string): Map<string, string> =>
        new Map([...goModule(name).matchAll(/^\t(\S+) (v\S+)/gm)].map(([, module, version]) => [module, version]));
    const [cluster, apart] = [versions("cluster"), versions("apart")];
    // What keeps the two apart.
    for (const module of ["alertmanager", "prometheus"]) apart.delete(`github.com/prometheus/${module}`);
    apart.delete("github.com/KimMachineGun/automemlimit");
    const others = [...apart].filter(([module, version]) => (cluster.get(module) ?? version) !== version);
    expect(others.map(([module]) => `in apart: go get ${module}@${cluster.get(module)}`)).toEqual([]);
    const replaced = (name: string): string[] => goModule(name).match(/^replace k8s\.io.*/gm)!;
    expect(replaced("apart")).toEqual(replaced("cluster").filter((line) => !line.includes("/cri-")));
});
