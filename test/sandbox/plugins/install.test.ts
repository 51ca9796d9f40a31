import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { installPlugins, type InstalledPlugins } from "../../../sandbox/plugins/install";
import type { Toolchain } from "../../../sandbox/toolchain/toolchain";
import { emptyToolchain, temporaryFolder } from "./engine";

let dir: string;
let toolchain: Toolchain;
let log: string[];

beforeEach(() => {
    dir = temporaryFolder();
    toolchain = emptyToolchain(join(dir, "tools"));
    log = [];
});
afterEach(() => {
    vi.unstubAllEnvs();
    vi.unstubAllGlobals();
    rmSync(dir, { recursive: true });
});

const install = (allowDownload = false): Promise<InstalledPlugins> =>
    installPlugins({
        pulumiHome: join(dir, "pulumi/home"),
        binDir: join(dir, "bin"),
        toolchain,
        allowDownload,
        log: (line) => log.push(line),
    });
const plugin = (name: string, version: string): string =>
    join(dir, `pulumi/home/plugins/resource-${name}-v${version}/pulumi-resource-${name}`);

const standIns = {
    ovh: { source: "stand-in", version: "2.19.1" },
    random: { source: "stand-in", version: "4.21.2" },
    openstack: { source: "stand-in", version: "3.15.2" },
};

/** A program in place of `pulumi` that does what `script` says, and that fetch finds every release. */
function releasedPlugins(script: string): void {
    writeFileSync(toolchain.bin.pulumi, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    vi.stubEnv("HTTPS_PROXY", "");
    vi.stubEnv("https_proxy", "");
    vi.stubGlobal("fetch", async () => new Response(null, { status: 200 }));
}

/** Stands for `pulumi plugin install resource NAME VERSION`: `$4` is the name, `$5` the version. */
const fetchPlugin = `
folder="$PULUMI_HOME/plugins/resource-$4-v$5"
mkdir -p "$folder" && head -c 200000 /dev/zero > "$folder/pulumi-resource-$4"
echo "$*" >> "$PULUMI_HOME/asked"`;

describe("from nothing", () => {
    it("installs stand-ins, the Kubernetes plugin of the toolchain, and the tools to type", async () => {
        const { kubernetes, ...others } = await install();
        expect(others).toEqual(standIns);
        expect(kubernetes).toEqual({
            source: "built",
            version: toolchain.source["pulumi-resource-kubernetes"]!.version,
        });
        expect(readlinkSync(plugin("kubernetes", "4.34.2"))).toBe(toolchain.bin["pulumi-resource-kubernetes"]);
        for (const tool of ["kubectl", "promtool"] as const) {
            expect(readlinkSync(join(dir, "bin", tool))).toBe(toolchain.bin[tool]);
        }
        // On PATH the engine would take it for every version, and warn.
        expect(existsSync(join(dir, "bin/pulumi-resource-kubernetes"))).toBe(false);
        expect(log).toEqual([]);
    });

    it("puts pulumi itself beside its hosts, where it takes them from without a warning", async () => {
        await install();
        for (const name of ["pulumi", "pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"]) {
            const file = lstatSync(join(dir, "bin", name));
            expect(file.isSymbolicLink()).toBe(false);
            expect(file.mode & 0o111).not.toBe(0);
        }
    });
});

describe("again", () => {
    it("leaves all as it is", async () => {
        await install();
        const files = [plugin("ovh", "2.19.1"), join(dir, "bin/pulumi"), join(dir, "bin/pulumi-language-nodejs")];
        const before = files.map((file) => statSync(file).ino);
        expect(await install(true)).toMatchObject(standIns);
        expect(files.map((file) => statSync(file).ino)).toEqual(before);
        expect(log).toEqual([]);
    });

    it("mends what was left incomplete or belongs to another checkout", async () => {
        await install();
        const random = plugin("random", "4.21.2");
        const text = readFileSync(random, "utf8");
        writeFileSync(random, "#!/bin/sh\nexec '/elsewhere/random.ts'\n");
        rmSync(plugin("openstack", "3.15.2"));
        writeFileSync(join(plugin("ovh", "2.19.1"), "../../resource-ovh-v2.19.1.partial"), "");
        mkdirSync(join(dir, "pulumi/home/random.new"));
        expect(await install()).toMatchObject(standIns);
        expect(readFileSync(random, "utf8")).toBe(text);
        expect(statSync(random).mode & 0o111).not.toBe(0);
    });

    it("follows the toolchain to another build", async () => {
        await install();
        toolchain = emptyToolchain(join(dir, "newer tools"));
        writeFileSync(toolchain.bin.pulumi, "newer");
        await install();
        expect(readFileSync(join(dir, "bin/pulumi"), "utf8")).toBe("newer");
        expect(readlinkSync(join(dir, "bin/kubectl"))).toBe(toolchain.bin.kubectl);
        expect(readlinkSync(plugin("kubernetes", "4.34.2"))).toBe(toolchain.bin["pulumi-resource-kubernetes"]);
    });

    it("uses the own host of a released CLI", async () => {
        await install();
        writeFileSync(join(dir, "tools/pulumi-language-nodejs"), "", { mode: 0o755 });
        await install();
        expect(readlinkSync(join(dir, "bin/pulumi"))).toBe(toolchain.bin.pulumi);
        expect(existsSync(join(dir, "bin/pulumi-language-nodejs"))).toBe(false);
        expect(existsSync(join(dir, "bin/pulumi-resource-pulumi-nodejs"))).toBe(false);
        rmSync(join(dir, "tools/pulumi-language-nodejs"));
        await install();
        expect(lstatSync(join(dir, "bin/pulumi")).isSymbolicLink()).toBe(false);
        expect(existsSync(join(dir, "bin/pulumi-language-nodejs"))).toBe(true);
    });
});

describe("the real plugins", () => {
    it("are downloaded where they can be had, but for OpenStack, which the sandbox does not have", async () => {
        releasedPlugins(fetchPlugin);
        expect(await install(true)).toEqual({
            ovh: { source: "downloaded", version: "2.19.1" },
            random: { source: "downloaded", version: "4.21.2" },
            openstack: standIns.openstack,
            // Of the toolchain, which has looked for the real one before.
            kubernetes: { source: "built", version: "4.25.0" },
        });
        const asked = readFileSync(join(dir, "pulumi/home/asked"), "utf8").trim().split("\n");
        expect(asked).toHaveLength(2);
        expect(asked.join("\n")).toContain("resource ovh 2.19.1 --server github://api.github.com/ovh/pulumi-ovh");
        expect(log).toEqual([]);
        // They stay, and nobody is asked again.
        expect(await install()).toMatchObject({ ovh: { source: "downloaded" } });
        expect(readFileSync(join(dir, "pulumi/home/asked"), "utf8").trim().split("\n")).toHaveLength(2);
    });

    it("are those of the toolchain, when it has downloaded one", async () => {
        toolchain.source["pulumi-resource-kubernetes"] = { from: "downloaded", version: "4.34.2" };
        expect((await install()).kubernetes).toEqual({ source: "downloaded", version: "4.34.2" });
    });

    it("give way to stand-ins when nobody answers, in one line that says so", async () => {
        releasedPlugins(fetchPlugin);
        vi.stubGlobal("fetch", async () => {
            throw Object.assign(new TypeError("fetch failed"), { cause: { code: "ENOTFOUND" } });
        });
        expect(await install(true)).toMatchObject({ ...standIns, kubernetes: { source: "built" } });
        expect(log).toEqual([expect.stringMatching(/ovh, random .*get\.pulumi\.com: ENOTFOUND.*stand-ins/)]);
        expect(existsSync(join(dir, "pulumi/home/asked"))).toBe(false);
    });

    it("give way to stand-ins when the download breaks off", async () => {
        releasedPlugins(`${fetchPlugin}\ntouch "$folder.partial"\necho "error: no space left on device" >&2; exit 255`);
        expect(await install(true)).toMatchObject({ ...standIns, kubernetes: { source: "built" } });
        expect(log).toEqual([expect.stringContaining("error: no space left on device")]);
        expect(existsSync(join(dir, "pulumi/home/plugins/resource-ovh-v2.19.1.partial"))).toBe(false);
    });
});
