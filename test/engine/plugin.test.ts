import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { version } from "../../packages/ai-deploy/package.json";
import { sandboxProjectId } from "../../sandbox/credentials";
import { installPlugin, noClusters, openStage, pluginExecutable, type Stage } from "./plugin-stage";

const hfToken = "hf_plugin_test_canary";

let stage: Stage;

beforeAll(async () => {
    stage = await openStage({ program: join(__dirname, "plugin-program"), config: {}, mks: noClusters });
    await stage.configureSecret("huggingFaceToken", hfToken);
    installPlugin(stage);
});
afterAll(() => stage.close());

async function succeed(run: Promise<{ code: number; stdout: string; stderr: string }>): Promise<string> {
    const { code, stdout, stderr } = await run;
    expect(code, stdout + stderr).toBe(0);
    return stdout + stderr;
}

const writesOf = async (run: () => Promise<unknown>): Promise<string[]> => {
    const before = stage.writes().length;
    await run();
    return stage.writes().slice(before);
};

describe.sequential("the plugin, real engine", () => {
    it("its schema is valid to Pulumi, which reads it from the executable", async () => {
        const schema = JSON.parse(await succeed(stage.pulumi(["package", "get-schema", pluginExecutable]))) as object;
        expect(schema).toMatchObject({ name: "ovh-ai-deploy", version });
    });

    it("a state of the dynamic resources moves over: nothing is replaced, deleted or written", async () => {
        await succeed(stage.up());
        const before = await stage.outputs();
        const { stdout: exported } = await stage.pulumi(["stack", "export", "--stack", "test"]);
        const moved = spawnSync(pluginExecutable, ["move-state"], { input: exported, encoding: "utf8" });
        expect(moved.stderr).toBe("");
        const file = join(stage.layout.dir, "moved.json");
        writeFileSync(file, moved.stdout);
        await succeed(stage.pulumi(["stack", "import", "--file", file, "--stack", "test"]));
        stage.configure({ plugin: true });
        await succeed(stage.previewNothing());
        expect(await writesOf(() => succeed(stage.up()))).toEqual([]);
        expect(await stage.outputs()).toEqual(before);
        expect(stage.stateText()).not.toMatch(/pulumi-nodejs:dynamic|__provider/);
        await succeed(stage.refreshNothing());
    });

    it("a change is made in place, a preview knows what stays, and its lines show", async () => {
        const { appId, url } = await stage.outputs();
        stage.configure({ replicas: 2 });
        const preview = await succeed(stage.preview());
        expect(preview).not.toMatch(/output<string>|replace/);
        const path = `PUT /ai/app/${appId}/scalingstrategy`;
        expect(await writesOf(() => succeed(stage.up()))).toEqual([path]);
        expect(await stage.outputs()).toMatchObject({ appId, url });
        stage.configure({ region: "BHS" });
        expect(await succeed(stage.preview())).toMatch(
            /is REPLACED by this change of region: the app is deleted before/,
        );
        stage.configure({ region: undefined });
    });

    it("an app that the state has lost is imported, and nothing is written", async () => {
        const { appId } = await stage.outputs();
        await stage.forget("ovh-ai-deploy:index:App");
        stage.configure({ import: `${sandboxProjectId}/${appId}` });
        expect(await writesOf(() => succeed(stage.up()))).toEqual([]);
        expect((await stage.outputs()).appId).toBe(appId);
        stage.configure({ import: undefined });
        await succeed(stage.previewNothing());
        expect(stage.cloud.api.apps().map(({ id }) => id)).toEqual([appId]);
    });

    it("no secret lies in clear in the state, though the program marks none", async () => {
        await succeed(stage.refresh());
        const { clientToken } = await stage.outputs();
        expect(clientToken).toMatch(/./);
        for (const secret of [clientToken, hfToken, stage.env.OVH_APPLICATION_SECRET, stage.env.OVH_CONSUMER_KEY]) {
            expect(stage.stateText()).not.toContain(secret);
        }
    });

    it("destroy leaves nothing at the platform", async () => {
        await succeed(stage.destroy());
        expect(stage.cloud.api.apps()).toEqual([]);
        expect(stage.cloud.api.tokens()).toEqual([]);
        expect(stage.cloud.api.violations()).toEqual([]);
    });
});
