import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { scripts } from "../../package.json";
import { recipes } from "../../sandbox/toolchain/recipes";
import { checkout } from "../../sandbox/layout";

interface Job {
    if?: string;
    needs?: string | string[];
    environment?: string;
    permissions?: Record<string, string>;
    steps: { run?: string; uses?: string; with?: Record<string, unknown>; env?: Record<string, string> }[];
}

interface Workflow {
    permissions?: Record<string, string>;
    jobs: Record<string, Job>;
}

const folder = join(checkout, ".github/workflows");
const read = (file: string): Workflow => parse(readFileSync(join(folder, file), "utf8")) as Workflow;
const files = readdirSync(folder);
const usage = readFileSync(join(checkout, "tools/pipeline/run.ts"), "utf8");

/** Commands and options of the pipeline that a text calls and that do not exist. */
function unknownCalls(text: string): string[] {
    const known = new Set([...usage.matchAll(/^ {2}(\w+)(?: |$)/gm)].map(([, command]) => command));
    return [...text.matchAll(/npm run -s pipeline -- (\w+)([^\n|>)]*)/g)].flatMap(([, command, rest]) => [
        ...(known.has(command) ? [] : [command]),
        ...[...rest.matchAll(/--[\w-]+/g)].map(([option]) => option).filter((option) => !usage.includes(option)),
    ]);
}

describe.each(files)("%s", (file) => {
    const { permissions, jobs } = read(file);
    const all = Object.entries(jobs);

    it("calls what exists", () => {
        const text = readFileSync(join(folder, file), "utf8");
        expect(unknownCalls(text)).toEqual([]);
        for (const [, name] of text.matchAll(/npm run (?:-s )?([\w:-]+)/g)) {
            expect(Object.keys(scripts)).toContain(name);
        }
    });

    it("pins each action by its commit", () => {
        const uses = all.flatMap(([, job]) => job.steps.flatMap((step) => step.uses ?? []));
        expect(uses.filter((action) => !/@[0-9a-f]{40}$/.test(action))).toEqual([]);
    });

    it("gives nothing that is not asked for, and no job a write that runs code of a pull request", () => {
        expect(Object.values(permissions ?? { all: "default" }).filter((right) => right !== "read")).toEqual([]);
        for (const [name, job] of all) {
            const writes = Object.values(job.permissions ?? {}).includes("write");
            const refs = job.steps
                .filter(({ uses }) => uses?.startsWith("actions/checkout@"))
                .map((step) => step.with?.ref);
            const isPullRequest = file === "preview.yml";
            if (writes && isPullRequest) expect(refs, name).toEqual(["${{ github.event.pull_request.base.sha }}"]);
        }
    });

    it("hands secrets only to jobs of an environment, and never to a fork's pull request", () => {
        for (const [name, job] of all) {
            if (!/secrets\./.test(JSON.stringify(job))) continue;
            expect(job.environment, name).toMatch(/\$\{\{ matrix\.stack \}\}/);
            if (file === "preview.yml") expect(job.if, name).toContain("head.repo.full_name == github.repository");
        }
    });

    it("hides no failure of a script in the text of another command", () => {
        const runs = all.flatMap(([, job]) => job.steps.flatMap(({ run }) => run ?? []));
        expect(runs.filter((run) => /^\s*echo .*\$\(/m.test(run))).toEqual([]);
    });

    it("knows the stacks from the script, not by heart", () => {
        const text = readFileSync(join(folder, file), "utf8");
        expect(text).not.toMatch(/stack: \[/);
    });

    it("writes no text of others into a script", () => {
        const runs = all.flatMap(([, job]) => job.steps.flatMap(({ run }) => run ?? []));
        expect(runs.filter((run) => run.includes("${{"))).toEqual([]);
    });
});

describe("deploy.yml", () => {
    const { jobs } = read("deploy.yml");

    it("brings up what any run before has left, not what the last push changed", () => {
        const runs = jobs.stacks.steps.flatMap(({ run }) => run ?? []).join("\n");
        expect(runs).toContain("stacks --deployed");
        expect(readFileSync(join(folder, "deploy.yml"), "utf8")).not.toContain("event.before");
        expect(jobs.stacks.permissions).toEqual({ contents: "read", actions: "read" });
    });

    it("plans with the account that looks, and only then brings up, in the environment that asks for approval", () => {
        expect(jobs.plan.environment).toBe("${{ matrix.stack }}-preview");
        expect(jobs.up.environment).toBe("${{ matrix.stack }}");
        expect(jobs.up.needs).toContain("plan");
        expect(jobs.up.steps.filter(({ run }) => run?.startsWith("pulumi up "))).toHaveLength(1);
        const plans = jobs.plan.steps.flatMap(({ run }) => run ?? []).join("\n");
        expect(plans).not.toMatch(/pulumi (up|destroy|refresh)/);
    });
});

describe("release.yml", () => {
    const { jobs } = read("release.yml");
    const [job] = Object.values(jobs);

    it("publishes by who the run is, after an approval, and never with a token", () => {
        expect(job).toMatchObject({ environment: "npm", permissions: { contents: "read", "id-token": "write" } });
        expect(JSON.stringify(jobs)).not.toMatch(/secrets\.|NODE_AUTH_TOKEN/);
    });

    it("tests and checks before it publishes, and takes nothing from another run's cache", () => {
        const runs = job.steps.flatMap(({ run }) => run ?? []);
        const places = ["npm test", "supply-chain -- release", "npm publish"].map((call) =>
            runs.findIndex((run) => run.includes(call)),
        );
        expect(places).toEqual([...places].sort((a, b) => a - b));
        expect(places[0]).toBeGreaterThan(0);
        expect(JSON.stringify(job.steps)).not.toMatch(/"cache"|actions\/cache/);
    });
});

it("the CLI of the jobs is the sandbox's", () => {
    expect(readFileSync(join(checkout, ".pulumi.version"), "utf8").trim()).toBe(recipes.pulumi.version);
});

describe("the example for GitLab CI", () => {
    const text = readFileSync(join(checkout, "docs/examples/.gitlab-ci.yml"), "utf8");
    const example = parse(text) as Record<string, any>;
    const jobs = Object.entries(example).filter(
        ([name, value]) => !name.startsWith(".") && typeof value === "object" && "stage" in (value as object),
    ) as [string, { stage: string; script: string[]; needs?: (string | { job: string })[]; extends?: string }][];

    it("calls the same scripts", () => {
        expect(unknownCalls(text)).toEqual([]);
        expect([...text.matchAll(/pipeline -- (\w+)/g)].map(([, command]) => command).sort()).toEqual(
            ["comment", "comment", "drift", "preview", "preview", "preview", "preview", "stacks"].sort(),
        );
    });

    it("swallows no failure of a script that says which stacks there are", () => {
        const scripts = jobs.flatMap(([, { script }]) => script);
        expect(scripts.filter((line) => /pipeline -- stacks.*\|/.test(line))).toEqual([]);
        expect(example.variables.GIT_DEPTH).toBe("0");
    });

    it("has jobs of stages that there are, which need jobs that there are", () => {
        expect(jobs.length).toBeGreaterThan(4);
        for (const [name, job] of jobs) {
            expect(example.stages, name).toContain(job.stage);
            for (const need of job.needs ?? []) {
                const needed = typeof need === "string" ? need : need.job;
                expect(
                    jobs.map(([other]) => other),
                    name,
                ).toContain(needed);
            }
            if (job.extends) expect(Object.keys(example)).toContain(job.extends);
        }
    });

    it("brings up by hand only", () => {
        expect(example.up).toMatchObject({ rules: [{ when: "manual" }], resource_group: "$STACK" });
    });
});
