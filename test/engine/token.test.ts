import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OvhClient } from "../../packages/ai-deploy/src/api/client";
import { resolveCredentials } from "../../packages/ai-deploy/src/api/credentials";
import { openStage, type Stage } from "./stage";

let stage: Stage;

beforeAll(async () => {
    stage = await openStage({ program: join(__dirname, "token-program"), config: {} });
});
afterAll(() => stage.close());

async function succeed(run: Promise<{ code: number; stdout: string; stderr: string }>): Promise<string> {
    const { code, stdout, stderr } = await run;
    expect(code, stdout + stderr).toBe(0);
    return stdout;
}

async function refused(run: Promise<{ code: number; stdout: string; stderr: string }>): Promise<string> {
    const { code, stdout, stderr } = await run;
    expect(code, stdout + stderr).not.toBe(0);
    return stdout + stderr;
}

describe.sequential("one token, real engine", () => {
    it("what is wrong is told with its property, without <nil> or a stack trace, and nothing is made", async () => {
        const credentials = resolveCredentials({ config: () => undefined, env: stage.env, files: [] });
        await new OvhClient(credentials).post(`/cloud/project/${stage.env.OVH_CLOUD_PROJECT_SERVICE}/ai/app`, {
            name: "of-somebody-else",
            region: "GRA",
            image: "vllm/vllm-openai:v0.13.0",
            resources: { flavor: "h100-1-gpu", gpu: 1 },
            labels: { group: "shared" },
        });
        const before = stage.writes().length;
        stage.configure({ group: "shared", region: "XXX" });
        const said = await refused(stage.preview());
        expect(said).toContain('region "XXX" has no AI Deploy: there are GRA, BHS');
        expect(said).toMatch(
            /labelSelector "group=shared" would open apps that are not of this stack too: of-somebody-else/,
        );
        expect(said).not.toMatch(/<nil>|value \{|^\s+at .*:\d+/m);
        expect(stage.writes().slice(before)).toEqual([]);
        stage.configure({ group: undefined, region: undefined });
    });

    it("is rotated with an overlap: another value, the old token until its time is over, no value in clear", async () => {
        await succeed(stage.up());
        const { value: first } = await stage.outputs();
        stage.configure({ rotation: "2026-12-01" });
        await succeed(stage.up());
        const { value: second } = await stage.outputs();
        expect(second).not.toBe(first);
        expect(stage.cloud.api.tokens()).toHaveLength(2);
        await succeed(stage.previewNothing());
        await succeed(stage.refresh());
        await succeed(stage.previewNothing());
        for (const value of [first, second] as string[]) expect(stage.stateText()).not.toContain(value);

        stage.configure({ overlapSeconds: 0 });
        expect(await refused(stage.previewNothing())).toMatch(
            /engine-test: the value from before .* ends with this up/,
        );
        await succeed(stage.up());
        expect(stage.cloud.api.tokens()).toHaveLength(1);
        expect((await stage.outputs()).value).toBe(second);
        await succeed(stage.previewNothing());
    });

    it("destroy leaves no token", async () => {
        stage.configure({ rotation: "2026-12-02", overlapSeconds: 3600 });
        await succeed(stage.up());
        expect(stage.cloud.api.tokens()).toHaveLength(2);
        await succeed(stage.destroy());
        expect(stage.cloud.api.tokens()).toEqual([]);
        expect(stage.cloud.api.violations()).toEqual([]);
    });
});
