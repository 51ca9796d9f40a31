import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sandboxCredentials, sandboxProjectId } from "../../sandbox/credentials";
import { killWhen } from "./kill";
import { openStage, type Stage } from "./stage";

const token = "hf_engine_test_canary";

let stage: Stage;

beforeAll(async () => {
    stage = await openStage({ program: join(__dirname, "app-program"), config: {} });
    await stage.configureSecret("huggingFaceToken", token);
});
afterAll(() => stage.close());

async function succeed(run: Promise<{ code: number; stdout: string; stderr: string }>): Promise<string> {
    const { code, stdout, stderr } = await run;
    expect(code, stdout + stderr).toBe(0);
    return stdout;
}

/** The one app of the stack as the platform has it. */
function theApp() {
    const apps = stage.cloud.api.apps();
    expect(apps.map(({ id }) => id)).toHaveLength(1);
    return apps[0];
}

describe.sequential("one app, real engine", () => {
    it("up creates it and waits until it runs", async () => {
        await succeed(stage.up());
        const app = theApp();
        expect(app.state).toBe("RUNNING");
        expect((await stage.outputs()).appId).toBe(app.id);
    });

    it("a second up would change nothing, and writes nothing", async () => {
        await succeed(stage.previewNothing());
        const before = stage.writes().length;
        await succeed(stage.up());
        expect(stage.writes().slice(before)).toEqual([]);
    });

    it("a new scaling target is one PUT, in place", async () => {
        const { id } = theApp();
        const before = stage.writes().length;
        stage.configure({ target: 40 });
        await succeed(stage.up());
        expect(stage.writes().slice(before)).toEqual([`PUT /ai/app/${id}/scalingstrategy`]);
        expect(theApp().id).toBe(id);
        await succeed(stage.previewNothing());
    });

    it("limits that something else may set are no drift, any others are", async () => {
        const { id } = theApp();
        const { automatic } = stage.cloud.api.stored()[0].spec.scalingStrategy as { automatic: object };
        const strategy = (replicasMin: number, replicasMax: number) => ({
            automatic: { ...automatic, replicasMin, replicasMax },
        });
        /** As the controller of a schedule, or a colleague, does. */
        const set = async (body: object): Promise<void> => {
            const path = `/cloud/project/${sandboxProjectId}/ai/app/${id}/scalingstrategy`;
            const answer = await fetch(stage.cloud.api.url + path, {
                method: "PUT",
                headers: { authorization: `Bearer ${sandboxCredentials.accessToken}` },
                body: JSON.stringify(body),
            });
            expect(answer.status, await answer.text()).toBe(200);
        };
        stage.configure({ otherScalings: JSON.stringify([strategy(2, 4)]) });
        await succeed(stage.up());
        await set(strategy(2, 4));
        await succeed(stage.refreshNothing());
        await succeed(stage.previewNothing());
        await set(strategy(2, 5));
        expect((await stage.previewNothing()).code).not.toBe(0);
        await succeed(stage.up());
        expect(stage.cloud.api.stored()[0].spec.scalingStrategy.automatic).toMatchObject({ replicasMax: 3 });
        stage.configure({ otherScalings: undefined });
        await succeed(stage.up());
        await succeed(stage.previewNothing());
    });

    it("a new image is an update in place", async () => {
        const { id } = theApp();
        const before = stage.writes().length;
        stage.configure({ image: "vllm/vllm-openai:v0.13.1" });
        await succeed(stage.up());
        expect(stage.writes().slice(before)).toHaveLength(1);
        expect(theApp()).toMatchObject({ id, state: "RUNNING" });
        await succeed(stage.previewNothing());
    });

    it("a new region replaces it, and the old one is deleted", async () => {
        const { id } = theApp();
        stage.configure({ region: "BHS" });
        const { stdout, stderr } = await stage.preview();
        expect(stdout).toMatch(/replace/);
        expect(stdout + stderr).toMatch(
            /is REPLACED by this change of region: the app is deleted before .* about \d+ min, as its last/,
        );
        await succeed(stage.up());
        expect(theApp().id).not.toBe(id);
        expect(theApp().state).toBe("RUNNING");
        await succeed(stage.previewNothing());
    });

    it("deleted outside: refresh sees it, up makes a new one", async () => {
        const { id } = theApp();
        await stage.cloud.api.deleteApp(id);
        await succeed(stage.refresh());
        expect(stage.cloud.api.apps()).toEqual([]);
        await succeed(stage.up());
        expect(theApp().id).not.toBe(id);
        await succeed(stage.previewNothing());
    });

    it("an outage of the API during refresh empties no state", async () => {
        const { id } = theApp();
        stage.cloud.api.faults.add({ method: "GET", path: "/ai/app", kind: "status", status: 503 });
        const refresh = await stage.refresh();
        stage.cloud.api.faults.clear();
        expect(refresh.code).not.toBe(0);
        expect(stage.stateText()).toContain(id);
        await succeed(stage.previewNothing());
    });

    it("a command that vLLM refuses: the error says why, the app stays known, a mended command continues with it", async () => {
        const { id } = theApp();
        stage.configure({ command: "vllm serve mistralai/Ministral-3-14B-Instruct-2512 --no-such-flag" });
        const failed = await stage.up();
        expect(failed.code).not.toBe(0);
        expect(failed.stdout + failed.stderr).toContain("unrecognized arguments: --no-such-flag");
        expect(failed.stdout + failed.stderr).not.toContain(token);
        expect(theApp().id).toBe(id);
        stage.configure({ command: undefined });
        await succeed(stage.up());
        expect(theApp()).toMatchObject({ id, state: "RUNNING" });
        await succeed(stage.previewNothing());
    });

    it("no secret lies in clear in the state, also after a refresh, nor in what is printed for debugging", async () => {
        const { clientToken } = await stage.outputs();
        expect(clientToken).toMatch(/./);
        const refreshed = await stage.refresh();
        expect(refreshed.code, refreshed.stdout + refreshed.stderr).toBe(0);
        const debugged = await stage.preview("--debug");
        expect(debugged.stdout + debugged.stderr).toMatch(/debug:/);
        const credentials = [stage.env.OVH_APPLICATION_SECRET, stage.env.OVH_CONSUMER_KEY];
        for (const secret of [clientToken, token, ...credentials]) {
            expect(stage.stateText()).not.toContain(secret);
            expect(refreshed.stdout + refreshed.stderr).not.toContain(secret);
        }
        // Not the token: Pulumi's own SDK prints every secret output there, whoever made it. The README warns of it.
        for (const secret of [token, ...credentials]) {
            expect(debugged.stdout + debugged.stderr).not.toContain(secret);
        }
        await succeed(stage.previewNothing());
    });

    it("in a component, beside a resource that uses it, it is made all the same", async () => {
        stage.configure({ component: true });
        await succeed(stage.up());
        expect(await stage.outputs()).toMatchObject({ syncState: "DONE" });
        await succeed(stage.previewNothing());
        await succeed(stage.refresh());
        await succeed(stage.previewNothing());
        stage.configure({ component: undefined });
        await succeed(stage.up());
    });

    it("destroy leaves nothing at the platform", async () => {
        await succeed(stage.destroy());
        expect(stage.cloud.api.apps()).toEqual([]);
        expect(stage.cloud.api.tokens()).toEqual([]);
    });

    it("an up that was killed before it noted its app, and then a destroy: nothing is left", async () => {
        const isThere = () => stage.cloud.api.apps().length > 0;
        await killWhen((started) => stage.up(started), "pulumi", isThere);
        const { id } = theApp();
        expect(stage.stateText()).not.toContain(id);
        await stage.cancel();
        expect(await succeed(stage.destroy())).toContain(`${id} is a leftover of an interrupted run, deleted`);
        expect(stage.cloud.api.apps()).toEqual([]);
    });

    it("an app that fails at first is kept in the state, told with its log, and destroyed", async () => {
        stage.configure({ region: undefined, adoptionLabel: "engine-test-2" });
        await stage.configureSecret("huggingFaceToken", "invalid-engine-test-canary");
        const failed = await stage.up();
        expect(failed.code).not.toBe(0);
        const said = failed.stdout + failed.stderr;
        expect(said).toContain(theApp().id);
        expect(said).toMatch(/gated/i);
        expect(said).not.toContain("invalid-engine-test-canary");
        expect(stage.stateText()).toContain(theApp().id);
        await succeed(stage.destroy());
        expect(stage.cloud.api.apps()).toEqual([]);
    });

    it("every request and answer kept to the API's structure", () => {
        expect(stage.cloud.api.violations()).toEqual([]);
    });
});
