import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { parse } from "yaml";

interface Workflow {
    jobs: Record<string, { steps: { run?: string; with?: Record<string, unknown> }[] }>;
}

const file = resolve(__dirname, "../../.github/workflows/preview.yml");
const { jobs } = parse(readFileSync(file, "utf8")) as Workflow;

/** GitHub's command line: lists the comments of the pull request through `jq`, and writes down what it is to change. */
const gh = `#!/bin/bash
case "$*" in
*--paginate*) while [ "$1" != --jq ]; do shift; done; jq -r "$2" comments.json ;;
*) echo "$*" >> changed ;;
esac
`;

let folder: string;
beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "preview-workflow-"));
    writeFileSync(join(folder, "gh"), gh);
    chmodSync(join(folder, "gh"), 0o755);
    writeFileSync(join(folder, "comment.md"), "no changes\n");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What the job does to a pull request that has these comments. */
function commentWith(comments: object[]): string {
    writeFileSync(join(folder, "comments.json"), JSON.stringify(comments));
    const script = jobs.comment.steps.find(({ run }) => run)!.run!;
    const env = {
        ...process.env,
        PATH: `${folder}:${process.env.PATH}`,
        GITHUB_REPOSITORY: "o/r",
        PR: "7",
        OF: "preview (sandbox)",
    };
    execFileSync("bash", ["-eo", "pipefail", "-c", script], { cwd: folder, env });
    return readFileSync(join(folder, "changed"), "utf8").trim();
}

const body = "#### preview (sandbox)\nas before";
const own = { id: 12, user: { login: "github-actions[bot]" }, body };
const others = { id: 11, user: { login: "somebody" }, body };

it("the sandbox's comment is the job's own, not one that somebody began alike", () => {
    expect(commentWith([others, own])).toMatch(/^api -X PATCH repos\/o\/r\/issues\/comments\/12 /);
});

it("without one of its own it makes one", () => {
    expect(commentWith([others, { ...own, body: "something else" }])).toMatch(/^pr comment 7 /);
});

it("Pulumi's action, which goes by the beginning alone, edits none", () => {
    const [{ with: inputs }] = jobs.ovhcloud.steps.filter((step) => step.with?.["comment-on-pr"]);
    expect(inputs!["edit-pr-comment"]).toBe(false);
});
