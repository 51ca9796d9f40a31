import { createHash } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { nodeImage } from "../../../src/monitoring/pod";
import { namedImages, readReference, resolveDigest } from "../../../tools/supply-chain/digests";
import { printDigests } from "../../../tools/supply-chain/digests-cli";

/** What a registry holds: manifests by path and tag, or digest. */
const manifest = '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}';
const digest = `sha256:${createHash("sha256").update(manifest).digest("hex")}`;
const other = `sha256:${"0".repeat(64)}`;

let registry: Server;
let host: string;
let login: "none" | "token" | "basic";
let headerSays: string | undefined;
let asked: { path: string; accept?: string }[];

/** A registry as the distribution specification has it, with a token for anybody, as Docker Hub's. */
beforeAll(async () => {
    registry = createServer((request, answer) => {
        const { pathname, searchParams } = new URL(request.url!, "http://registry");
        if (pathname === "/token") {
            const granted = searchParams.get("service") === "made-up" && searchParams.get("scope") === "pull";
            return void answer.writeHead(granted ? 200 : 400).end(JSON.stringify({ token: "made-up-token" }));
        }
        asked.push({ path: pathname, accept: request.headers.accept });
        if (login !== "none" && request.headers.authorization !== "Bearer made-up-token") {
            const challenge = `Bearer realm="http://${host}/token",service="made-up",scope="pull"`;
            const header = login === "basic" ? 'Basic realm="made-up"' : challenge;
            return void answer.writeHead(401, { "www-authenticate": header }).end();
        }
        const held = [
            "/v2/team/server/manifests/v1.0",
            `/v2/team/server/manifests/${digest}`,
            `/v2/team/server/manifests/${other}`,
        ];
        if (!held.includes(pathname)) return void answer.writeHead(404).end();
        answer.writeHead(200, { "docker-content-digest": headerSays ?? digest }).end(manifest);
    });
    await new Promise<void>((done) => registry.listen(0, "127.0.0.1", done));
    host = `127.0.0.1:${(registry.address() as AddressInfo).port}`;
});
afterAll(() => registry.close());
beforeEach(() => {
    [login, headerSays, asked] = ["none", undefined, []];
});
afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
});

describe("an image's digest", () => {
    it.each(["none", "token"] as const)("is that of the manifest, an index first; login: %s", async (how) => {
        login = how;
        const image = `${host}/team/server:v1.0`;
        expect(await resolveDigest(image)).toEqual({ digest, pinned: `${image}@${digest}`, state: "not pinned" });
        expect(asked[0].accept).toMatch(/^application\/vnd\.oci\.image\.index/);
    });

    it("beside the tag is told from one that the tag has left", async () => {
        expect((await resolveDigest(`${host}/team/server:v1.0@${digest}`)).state).toBe("pinned");
        expect(await resolveDigest(`${host}/team/server:v1.0@${other}`)).toMatchObject({ state: "moved", digest });
        expect((await resolveDigest(`${host}/team/server@${digest}`)).state).toBe("pinned");
    });

    it.each<[string, () => void, string, RegExp]>([
        ["a header that says otherwise", () => (headerSays = other), "server:v1.0", /but what it sent is sha256:/],
        ["no such tag", () => undefined, "server:v9", /answered 404 for team\/server:v9/],
        [
            "another login",
            () => (login = "basic"),
            "server:v1.0",
            /asks for a login that this tool does not know: Basic/,
        ],
        ["another image for a digest", () => (headerSays = digest), `server@${other}`, /gave another image/],
        ["no image", () => undefined, "server:v 1", /is no image/],
    ])("%s is an error for people", async (_what, set, name, words) => {
        set();
        await expect(resolveDigest(`${host}/team/${name}`)).rejects.toThrow(words);
    });

    it("a registry that does not answer is one", async () => {
        await expect(resolveDigest("127.0.0.1:9/team/server:v1.0")).rejects.toThrow(/no answer from 127\.0\.0\.1:9/);
    });

    it.each([
        ["vllm/vllm-openai:v0.13.0", "registry-1.docker.io", "vllm/vllm-openai"],
        ["node:22-alpine", "registry-1.docker.io", "library/node"],
        ["docker.io/grafana/grafana:12.0.0", "registry-1.docker.io", "grafana/grafana"],
        ["quay.io/prometheus/prometheus:v3.14.0", "quay.io", "prometheus/prometheus"],
        ["localhost/a:1", "localhost", "a"],
    ])("%s is asked of %s", (image, where, path) => {
        expect(readReference(image)).toMatchObject({ host: where, path });
    });
});

describe("all images that a checkout names", () => {
    const folder = mkdtempSync(join(tmpdir(), "digests-"));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));
    const stackFile = (name: string, models: object): void =>
        writeFileSync(
            join(folder, `Pulumi.${name}.yaml`),
            JSON.stringify({ config: { "ovhcloud-llm-serving:models": models } }),
        );

    it("are those of the stacks' models, by default too, and of the program's pods", () => {
        stackFile("dev", { ministral: { replicas: { max: 2 } } });
        stackFile("prod", { ministral: null, qwen: { image: "vllm/vllm-openai:v0.33.0" } });
        expect(namedImages(folder)).toEqual([
            { image: "vllm/vllm-openai:v0.13.0", place: { stack: "dev", model: "ministral" } },
            { image: "vllm/vllm-openai:v0.33.0", place: { stack: "prod", model: "qwen" } },
            { image: nodeImage, place: { file: "src/monitoring/pod.ts" } },
        ]);
    });

    it("are pinned on demand; what cannot be asked is said, and is no success", async () => {
        stackFile("dev", { ministral: { image: `${host}/team/server:v1.0` } });
        stackFile("prod", { ministral: { image: "127.0.0.1:9/team/server:v1.0" } });
        writeFileSync(join(folder, "pulumi"), `#!/bin/bash\necho "$*" >> ${folder}/set\n`);
        chmodSync(join(folder, "pulumi"), 0o755);
        vi.stubEnv("PATH", `${folder}:${process.env.PATH}`);
        // The one of the pods is at Docker Hub.
        const real = fetch;
        vi.spyOn(globalThis, "fetch").mockImplementation((url, options) =>
            (url as string).includes("docker.io") ? Promise.reject(new Error("not from a test")) : real(url, options),
        );
        let said = "";
        vi.spyOn(console, "log").mockImplementation((line) => void (said += `${line}\n`));
        expect(await printDigests([], true, folder)).toBe(2);
        expect(said).toMatch(/no answer from 127\.0\.0\.1:9/);
        expect(readFileSync(join(folder, "set"), "utf8")).toContain(
            `config set --path ovhcloud-llm-serving:models.ministral.image ${host}/team/server:v1.0@${digest} --stack dev`,
        );
    });

    it("one whose tag has moved is told by the exit code", async () => {
        vi.spyOn(console, "log").mockImplementation(() => undefined);
        expect(await printDigests([`${host}/team/server:v1.0@${other}`], false)).toBe(1);
        expect(await printDigests([`${host}/team/server:v1.0@${digest}`], false)).toBe(0);
    });
});
