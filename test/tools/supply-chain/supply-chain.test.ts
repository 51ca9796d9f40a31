import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { checkout } from "../../../sandbox/layout";
import { lockfileFaults } from "../../../tools/supply-chain/lockfile";
import { vulnerabilities } from "../../../tools/supply-chain/osv";
import { otherLicences, packagesOf } from "../../../tools/supply-chain/sbom";

const licensed = (name: string, licenses?: object[]) => ({
    name,
    version: "1.0.0",
    purl: `pkg:npm/${name}@1.0.0?a=b`,
    licenses,
});
const bom = JSON.stringify({
    bomFormat: "CycloneDX",
    components: [
        {
            ...licensed("outer", [{ license: { id: "MIT" } }]),
            components: [licensed("inner", [{ license: { id: "GPL-3.0-only" } }])],
        },
        licensed("choice", [{ expression: "(MIT OR GPL-3.0-only)" }]),
        licensed("both", [{ expression: "MIT AND GPL-3.0-only" }]),
        licensed("none"),
        { ...licensed("scoped", [{ license: { name: "Own terms" } }]), group: "@a" },
    ],
});

it("finds packages within packages, each once, and licences that are not permissive", () => {
    expect(packagesOf(bom).map(({ name }) => name)).toEqual([
        "@a/scoped@1.0.0",
        "both@1.0.0",
        "choice@1.0.0",
        "inner@1.0.0",
        "none@1.0.0",
        "outer@1.0.0",
    ]);
    expect(otherLicences(packagesOf(bom)).map(({ name, licence }) => `${name} ${licence}`)).toEqual([
        "@a/scoped@1.0.0 Own terms",
        "both@1.0.0 MIT AND GPL-3.0-only",
        "inner@1.0.0 GPL-3.0-only",
        "none@1.0.0 none",
    ]);
});

it("an empty bill, or another file, is none", () => {
    expect(() => packagesOf('{"bomFormat":"CycloneDX","components":[]}')).toThrow();
    expect(() => packagesOf('{"components":[{"name":"a"}]}')).toThrow(/bomFormat/);
});

it("the lockfile of this checkout has a strong sum of everything, from nowhere else", () => {
    expect(lockfileFaults(readFileSync(join(checkout, "package-lock.json"), "utf8"))).toEqual([]);
});

it("a lockfile without a sum, with a weak one, or with another address is not trusted", () => {
    const packages = {
        "": {},
        "packages/own": { version: "1.0.0" },
        "node_modules/own": { link: true, resolved: "packages/own" },
        "node_modules/a": {},
        "node_modules/b": { integrity: "sha1-x" },
        "node_modules/c": { integrity: "sha512-x", resolved: "https://example.invalid/c.tgz" },
        "packages/own/node_modules/d": {},
        "node_modules/e": { integrity: "sha512-x", resolved: "https://registry.npmjs.org/e/-/e-1.0.0.tgz" },
    };
    expect(lockfileFaults(JSON.stringify({ lockfileVersion: 3, packages }))).toEqual([
        "node_modules/a has no integrity",
        "node_modules/b has a weak integrity (sha1)",
        "node_modules/c comes from example.invalid",
        "packages/own/node_modules/d has no integrity",
    ]);
    expect(lockfileFaults('{"lockfileVersion":1,"packages":{}}')).toHaveLength(1);
});

it("asks OSV by package and version, and takes no missing answer for a clean one", async () => {
    let answers: object = { results: [{}, { vulns: [{ id: "GHSA-made-up" }] }, {}, {}, {}, {}] };
    let asked: { queries: { package: { purl: string } }[] } | undefined;
    const server = createServer((request, answer) => {
        let text = "";
        request.on("data", (part: Buffer) => (text += part.toString()));
        request.on("end", () => {
            asked = JSON.parse(text) as typeof asked;
            answer.end(JSON.stringify(answers));
        });
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
        expect(await vulnerabilities(packagesOf(bom), api)).toEqual([{ package: "both@1.0.0", ids: ["GHSA-made-up"] }]);
        expect(asked!.queries[1]).toEqual({ package: { purl: "pkg:npm/both@1.0.0" } });
        answers = { results: [{}] };
        await expect(vulnerabilities(packagesOf(bom), api)).rejects.toThrow(/1 of 6 questions/);
    } finally {
        server.close();
    }
    await expect(vulnerabilities(packagesOf(bom), "http://127.0.0.1:9")).rejects.toThrow(/no answer from/);
});
