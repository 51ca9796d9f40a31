import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { appArgs } from "../../../src/inference/app-args";
import { createBody } from "../../../packages/ai-deploy/src/app/plan";
import type { AppInputs } from "../../../packages/ai-deploy/src/app/args";
import { projectId, startTestCloud, type TestCloud } from "../../ai-deploy/cloud";
import { OvhClient } from "../../../packages/ai-deploy/src/api/client";
import { resolveCredentials } from "../../../packages/ai-deploy/src/api/credentials";
import { costBy } from "../../prices/world";
import { parse, toSet } from "../../settings/config";
import { runCost } from "../../../tools/cost/run";

/** Answers as `pulumi` does for two stacks of this program, and writes down what it was asked. */
const pulumi = `#!/bin/bash
case "$*" in
*"stack output"*) cat "$WORLD/outputs.json" ;;
*"config"*) cat "$WORLD/config.json" ;;
*"stack ls"*) echo '[{"name": "dev", "current": true}, {"name": "prod", "current": false}]' ;;
*"stack export"*"--stack prod"*) cat "$WORLD/prod.json" ;;
*"stack export"*) echo '{"deployment": {"resources": [{"outputs": {"appId": "not-there"}}, {}]}}' ;;
*) exit 1 ;;
esac
`;

let world: string;
let cloud: TestCloud;
let appId: string;
beforeAll(async () => {
    world = mkdtempSync(join(tmpdir(), "cost-"));
    writeFileSync(join(world, "pulumi"), pulumi);
    chmodSync(join(world, "pulumi"), 0o755);
    writeFileSync(join(world, "outputs.json"), "{}");
    cloud = await startTestCloud();
    const client = new OvhClient(resolveCredentials({ config: () => undefined, env: cloud.env, files: [] }));
    const context = { name: "other", projectId, huggingFaceToken: "hf_made_up", adoptionLabel: "made-up" };
    const body = createBody(appArgs(parse({}).models.ministral, context) as AppInputs);
    ({ id: appId } = await client.post<{ id: string }>(`/cloud/project/${projectId}/ai/app`, body));
    while (cloud.api.apps().some(({ state }) => state !== "RUNNING")) await new Promise((done) => setTimeout(done, 50));
}, 60_000);
afterAll(async () => {
    await cloud?.close();
    rmSync(world, { recursive: true, force: true });
});

/** Runs the tool for a stack of this config; `owned`: the other stack's app is the one that runs. */
async function cost(options: string[], { config = {}, owned = true }: { config?: object; owned?: boolean } = {}) {
    const values = Object.entries({ ...toSet, projectId, ...config }).map(([key, value]) => [
        `ovhcloud-llm-serving:${key}`,
        { value: typeof value === "string" ? value : JSON.stringify(value), secret: key === "huggingFaceToken" },
    ]);
    writeFileSync(join(world, "config.json"), JSON.stringify(Object.fromEntries(values)));
    const resources = owned ? [{ outputs: { appId } }] : [];
    writeFileSync(join(world, "prod.json"), JSON.stringify({ deployment: { resources } }));
    for (const [name, value] of Object.entries(cloud.env)) vi.stubEnv(name, value);
    vi.stubEnv("WORLD", world);
    vi.stubEnv("PATH", `${world}:${process.env.PATH}`);
    const said = { out: "", error: "" };
    vi.spyOn(console, "log").mockImplementation((line) => void (said.out += `${line}\n`));
    vi.spyOn(console, "error").mockImplementation((line) => void (said.error += `${line}\n`));
    const code = await runCost(options);
    return { code, ...said };
}
afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
});

it("prints each part, all of it, and where the prices come from", async () => {
    const { code, out, error } = await cost([]);
    expect(error).toBe("");
    expect(out).toMatch(/ministral, replica of 1 x h100-1-gpu +1 to 3 +1\.998 +2\.00 to 5\.99/);
    expect(out).toMatch(/\nall +2\.42 to 6\.41\n/);
    expect(out).toMatch(/a month \(730 hours\): 1,765 to 4,682 EUR/);
    expect(out).toMatch(/prices: OVHcloud's public list \(FR\) of \d{4}-\d\d-\d\d\n$/);
    expect(code).toBe(0);
});

it("names an app that runs and belongs to no stack", async () => {
    const { code, out } = await cost([], { owned: false });
    expect(out).toMatch(
        new RegExp(
            `\\(${appId}\\) in GRA: RUNNING, 1 replica\\(s\\), 2\\.00 EUR an hour; made by a stack that is not here`,
        ),
    );
    expect(code).toBe(1);
});

it("as JSON, which can be compared with", async () => {
    const { out } = await cost(["--json"]);
    expect(JSON.parse(out)).toMatchObject({ ...costBy({}), unowned: [] });
    writeFileSync(join(world, "before.json"), out);
    const config = { models: { ministral: { replicas: { max: 4 } } } };
    const changed = await cost(["--against", join(world, "before.json")], { config });
    expect(changed.out).toMatch(
        /^\| EUR without tax \| now \| then \| difference \|\n[\s\S]*\| 6\.41 \| 8\.41 \| \+2\.00 \|/,
    );
    expect(changed.code).toBe(0);
});

it("says what is over a limit, and exits with 1", async () => {
    const { code, out } = await cost([], { config: { limits: { eurosPerHour: 5 } } });
    expect(out).toMatch(/limits\.eurosPerHour: the stack can cost 6\.41/);
    expect(code).toBe(1);
});

it.each([
    [["--since", "yesterday"], /--since yesterday: give a date such as 2026-11-01/],
    [["--since", "2026-02-30"], /--since 2026-02-30: give a date such as 2026-11-01/],
    [["--since", "2026-02-30T08:00"], /--since 2026-02-30T08:00: give a date such as 2026-11-01/],
    [["--since", "2026-11"], /--since 2026-11: give a date such as 2026-11-01/],
    [["--since", "2026-11-01"], /no output `kubeconfig`: run `pulumi up` first/],
    [["--against", "/nowhere"], /ENOENT/],
    [["--sense"], /--sense: no such option; did you mean --since\?/],
])("%j is an error for people", async (options, words) => {
    await expect(cost(options)).rejects.toThrow(words);
});
