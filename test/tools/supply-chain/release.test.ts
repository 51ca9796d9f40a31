import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkout } from "../../../sandbox/layout";
import { releaseFaults, withRepository, type Manifest } from "../../../tools/supply-chain/release";

const packed = [
    ...["package.json", "README.md", "LICENSE", "CHANGELOG.md", "dist/index.js", "plugin/schema.json"],
    "plugin/pulumi-resource-ovh-ai-deploy",
];
const manifest = JSON.parse(readFileSync(join(checkout, "packages/ai-deploy/package.json"), "utf8")) as Manifest;
const { version } = manifest;
const whole = { manifest, changelog: `# Changelog\n\n## ${version} - 2026-11-26\n\n- Made up.\n`, packed };
const tag = `ai-deploy-v${version}`;

describe("a release", () => {
    it("of the package as it stands passes, with a changelog of its version", () => {
        expect(releaseFaults(tag, whole)).toEqual([]);
    });

    it.each([
        ["another version in its tag", "ai-deploy-v9.9.9", {}, /the tag is ai-deploy-v9\.9\.9, and package\.json has/],
        ["no such section", tag, { changelog: "## Unreleased\n\n- Made up.\n" }, /says nothing under/],
        ["an empty section", tag, { changelog: `## ${version}\n\n## 0.0.1\n\n- Made up.\n` }, /says nothing under/],
        ["a longer version alone", tag, { changelog: `## ${version}0\n\n- Made up.\n` }, /says nothing under/],
        ["no signature", tag, { manifest: { ...manifest, publishConfig: {} } }, /no publishConfig\.provenance/],
        ["nothing built", tag, { packed: packed.filter((file) => !file.startsWith("dist")) }, /no dist\/index\.js/],
    ])("with %s is refused", (_, named, change, why) => {
        expect(releaseFaults(named, { ...whole, ...change })).toEqual([expect.stringMatching(why)]);
    });

    it("names the repository as npm compares it", () => {
        const from = { server: "https://github.com", repository: "example/llm-serving" };
        expect(withRepository(manifest, from)).toEqual({
            ...manifest,
            repository: {
                type: "git",
                url: "git+https://github.com/example/llm-serving.git",
                directory: "packages/ai-deploy",
            },
        });
    });
});
