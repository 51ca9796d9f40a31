import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = join(__dirname, "../..");
const source = join(root, "packages/ai-deploy");
let folder: string;
/** The package as npm would install it. */
let installed: string;
let files: string[];

beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "ai-deploy-package-"));
    const packed = execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], {
        cwd: source,
        encoding: "utf8",
    });
    const [{ filename, files: list }] = JSON.parse(packed) as [{ filename: string; files: { path: string }[] }];
    files = list.map(({ path }) => path).sort();
    mkdirSync(join(folder, "node_modules"));
    installed = join(folder, "node_modules/pulumi-ovh-ai-deploy");
    execFileSync("tar", ["-xzf", join(folder, filename), "-C", folder]);
    execFileSync("mv", [join(folder, "package"), installed]);
    for (const name of ["@grpc", "@pulumi", "@types", "google-protobuf", "undici"]) {
        symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
    }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (program: string): string =>
    execFileSync(process.execPath, ["-e", program], { cwd: folder, encoding: "utf8" }).trim();

describe("the published package", () => {
    it("holds the compiled code with its types, the documents, and nothing else", () => {
        expect(files.filter((file) => !file.startsWith("dist/"))).toEqual([
            "CHANGELOG.md",
            "LICENSE",
            "README.md",
            "package.json",
            "plugin/PulumiPlugin.yaml",
            "plugin/package.json",
            "plugin/pulumi-resource-ovh-ai-deploy",
            "plugin/schema.json",
        ]);
        const code = files.filter((file) => file.startsWith("dist/"));
        expect(code.filter((file) => !/\.(js|d\.ts)$/.test(file))).toEqual([]);
        const sources = readdirSync(join(source, "src"), { encoding: "utf8", recursive: true }).filter((file) =>
            file.endsWith(".ts"),
        );
        expect(code).toHaveLength(sources.length * 2);
    });

    it("loads by its name, and shows what its documents say", () => {
        expect(run('console.log(Object.keys(require("pulumi-ovh-ai-deploy")).sort().join())')).toBe(
            "ApiError,App,AppLeftovers,AppReady,Authorization,DataSync,Token,checkCredentials,connect,endpoint,getApp,getAppOutput,getFlavors,getFlavorsOutput,getPublic,getQuota,getQuotaOutput,getRegions,getRegionsOutput",
        );
    });

    it("has the provider where the stub in every state looks for it", () => {
        expect(run('console.log(Object.keys(require("pulumi-ovh-ai-deploy/dist/provider")).join())')).toBe(
            "app,appReady,appLeftovers,token,authorization,dataSync",
        );
    });

    it("has the plugin, which runs from where npm puts it", () => {
        const executable = join(installed, "plugin/pulumi-resource-ovh-ai-deploy");
        const said = spawnSync(executable, ["move-state"], { input: "{", encoding: "utf8" });
        expect(said).toMatchObject({ status: 1, stderr: expect.stringMatching(/^The state was not moved/) as string });
    });

    it("needs nothing but Pulumi, what Pulumi itself speaks with, and an HTTP client that knows proxies", () => {
        const { dependencies, peerDependencies } = JSON.parse(
            readFileSync(join(installed, "package.json"), "utf8"),
        ) as {
            dependencies: object;
            peerDependencies: object;
        };
        expect(Object.keys(dependencies)).toEqual(["@grpc/grpc-js", "google-protobuf", "undici"]);
        expect(Object.keys(peerDependencies)).toEqual(["@pulumi/pulumi"]);
        const required = files
            .filter((file) => file.endsWith(".js"))
            .flatMap((file) => [...readFileSync(join(installed, file), "utf8").matchAll(/require\("([^".][^"]*)"\)/g)])
            .map(([, name]) => name);
        expect([...new Set(required)].sort()).toEqual(
            [
                "@grpc/grpc-js",
                "@pulumi/pulumi",
                ...["engine_grpc_pb", "engine_pb", "plugin_pb", "provider_grpc_pb", "provider_pb", "status_pb"].map(
                    (file) => `@pulumi/pulumi/proto/${file}`,
                ),
                ...["any_pb", "empty_pb", "struct_pb"].map((file) => `google-protobuf/google/protobuf/${file}`),
                "async_hooks",
                "crypto",
                "fs",
                "net",
                "os",
                "path",
                "pulumi-ovh-ai-deploy/dist/provider",
                "querystring",
                "undici",
            ].sort(),
        );
    });

    it("its types check a program", () => {
        const program = join(folder, "program.ts");
        const config = { strict: true, module: "commonjs", moduleResolution: "node16", target: "es2022", noEmit: true };
        execFileSync("cp", [join(root, "test/engine/example-program/index.ts"), program]);
        const args = Object.entries({ ...config, module: "node16", skipLibCheck: true }).flatMap(([k, v]) => [
            `--${k}`,
            String(v),
        ]);
        expect(
            execFileSync(join(root, "node_modules/.bin/tsc"), [...args, program], { cwd: folder, encoding: "utf8" }),
        ).toBe("");
    });
});

describe("README", () => {
    const readme = readFileSync(join(source, "README.md"), "utf8");

    it.each(["yaml/Pulumi.yaml", "python/__main__.py", "go/main.go"])("shows the example %s", (example) => {
        expect(readme).toContain(readFileSync(join(source, "examples", example), "utf8"));
    });

    it("names every input and output there is", () => {
        const inputs = ["app", "token", "authorization", "data-sync"].flatMap((resource) => [
            ...readFileSync(join(source, "src", resource, "args.ts"), "utf8").matchAll(/^\s+(\w+)\??: /gm),
        ]);
        const outputs = readFileSync(join(source, "src/resources.ts"), "utf8").matchAll(/readonly (\w+)!: /g);
        const missing = [...inputs, ...outputs]
            .map(([, name]) => name)
            .filter((name) => !readme.includes(`\`${name}\``));
        expect(missing).toEqual([]);
    });
});
