import { execFileSync } from "node:child_process";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { changedFiles } from "../../../tools/pipeline/changed-files";
import { changedStacks, deletedStacks, stacksIn } from "../../../tools/pipeline/stacks";

const stacks = ["dev", "prod"];

describe("the stacks that a change can change", () => {
    it.each([
        ["nothing", [], []],
        ["words alone", ["README.md", "docs/cost.md", "src/README.md"], []],
        ["tools and tests", ["tools/cost/run.ts", "test/docs.test.ts", ".github/workflows/test.yml"], []],
        ["one stack's config", ["Pulumi.prod.yaml", "docs/cost.md"], ["prod"]],
        ["the program", ["src/cluster/cluster.ts"], stacks],
        ["packages that it installs", ["package-lock.json"], stacks],
        ["the project's own file", ["Pulumi.yaml"], stacks],
        ["a file that nobody knows", ["something-new"], stacks],
        ["the sandbox's config", ["Pulumi.sandbox.yaml"], []],
    ])("%s", (_, files, changed) => expect(changedStacks(files, stacks)).toEqual(changed));

    it("a new one, also with a dot in its name", () => {
        const files = ["Pulumi.eu.staging.yaml"];
        expect(changedStacks(files, [...stacks, "eu.staging"])).toEqual(["eu.staging"]);
        expect(stacksIn([...files, "Pulumi.yaml", "Pulumi.sandbox.yaml", "Pulumi.dev.yaml"])).toEqual([
            "dev",
            "eu.staging",
        ]);
    });

    it("those whose config is deleted: they are not among those that there are, and are billed on", () => {
        const files = ["Pulumi.staging.yaml", "Pulumi.dev.yaml"];
        expect(deletedStacks(files, stacks)).toEqual(["staging"]);
        expect(changedStacks(files, stacks)).toEqual(["dev"]);
    });
});

describe("what the commits since another one have changed", () => {
    let folder: string;
    const git = (...args: string[]): string => execFileSync("git", args, { cwd: folder, encoding: "utf8" }).trim();
    const commit = (): string => {
        git("add", "--all");
        git("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "--message", "made up");
        return git("rev-parse", "HEAD");
    };
    let base: string;

    beforeAll(() => {
        folder = mkdtempSync(join(tmpdir(), "changed-files-"));
        git("init", "--quiet", "--initial-branch", "main");
        writeFileSync(
            join(folder, "Pulumi.staging.yaml"),
            "config: {}\n# long enough to be recognized after a renaming\n",
        );
        writeFileSync(join(folder, "näme with\nlines.md"), "");
        base = commit();
        git("checkout", "--quiet", "-b", "pull-request");
        renameSync(join(folder, "Pulumi.staging.yaml"), join(folder, "Pulumi.test.yaml"));
        rmSync(join(folder, "näme with\nlines.md"));
        commit();
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    it("names a file that was renamed twice, and one that is gone, whatever it is called", () => {
        expect(changedFiles(folder, base)).toEqual(["Pulumi.staging.yaml", "Pulumi.test.yaml", "näme with\nlines.md"]);
    });

    it("leaves out what came onto the other branch meanwhile", () => {
        git("checkout", "--quiet", "main");
        writeFileSync(join(folder, "later"), "");
        commit();
        git("checkout", "--quiet", "pull-request");
        expect(changedFiles(folder, "main")).not.toContain("later");
    });

    it("is not known of a commit that is none here, as after a push by force", () => {
        expect(changedFiles(folder, "0".repeat(40))).toBeUndefined();
        expect(changedFiles(folder, "no-such-branch")).toBeUndefined();
        expect(changedFiles(folder, "--output=made-up")).toBeUndefined();
    });
});
