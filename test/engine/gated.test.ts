import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSandboxStage, type Stage } from "./stage";

let stage: Stage;

/** The sandbox's stack with a second model that needs no token, and a token that the first is refused with. */
beforeAll(async () => {
    stage = await openSandboxStage();
    stage.configure({
        models: { ministral: {}, open: { model: "Qwen/Qwen3-8B" } },
    });
    await stage.configureSecret("huggingFaceToken", "hf_invalid_engine_test_canary");
});
afterAll(() => stage.close());

interface Resource {
    type: string;
    urn: string;
    initErrors?: string[];
}

const resources = (): Resource[] =>
    (JSON.parse(stage.stateText()) as { checkpoint: { latest: { resources?: Resource[] } } }).checkpoint.latest
        .resources ?? [];
const ofType = (type: string): string[] =>
    resources()
        .filter((one) => one.type.endsWith(`:${type}`))
        .map(({ urn }) => urn.split("::").pop()!);
const stateOf = (part: string) => stage.cloud.api.apps().find(({ name }) => name.includes(part))!.state;

describe.sequential("a gated model beside a healthy one, real engine", () => {
    it("keeps nothing else from being there and watched, and fails the run at its end", async () => {
        const { code, stdout, stderr } = await stage.up();
        const said = stdout + stderr;
        expect(code).not.toBe(0);
        expect(said).toMatch(/is FAILED[^]*gated/i);
        expect(said).toMatch(/accept the model's terms with the account of huggingFaceToken/);
        expect(said).not.toContain("hf_invalid_engine_test_canary");
        // Its progress was shown, from its creation on.
        expect(said).toMatch(/\) (QUEUED|INITIALIZING|SCALING) after \d+ s/);
        expect([stateOf("ministral"), stateOf("open")]).toEqual(["FAILED", "RUNNING"]);
        expect(ofType("App").sort()).toEqual(["ministral", "open"]);
        expect(ofType("AppReady")).toEqual(["open"]);
        expect(ofType("Release")).toHaveLength(1);
        expect(resources().filter(({ initErrors }) => initErrors?.length)).toEqual([]);
        // What is to be known of the stack is known.
        const outputs = await stage.outputs();
        expect(outputs.grafanaUrl).toMatch(/^http/);
        expect(Object.keys(outputs.models as object).sort()).toEqual(["ministral", "open"]);
    });

    it("without a mend the next up tries it again, and leaves the others alone", async () => {
        const before = stage.writes().length;
        const { code, stdout, stderr } = await stage.up();
        expect(code).not.toBe(0);
        expect(stdout + stderr).toMatch(/is FAILED[^]*gated/i);
        const writes = stage
            .writes()
            .slice(before)
            .filter((call) => !call.startsWith("POST /kube/"));
        expect(writes).toEqual([expect.stringMatching(/^PUT \/ai\/app\/[^/]+\/start$/)]);
    });

    it("once it is mended the next up brings it up", async () => {
        await stage.configureSecret("huggingFaceToken", "hf_engine_test_canary");
        const { code, stdout, stderr } = await stage.up();
        expect(code, stdout + stderr).toBe(0);
        expect([stateOf("ministral"), stateOf("open")]).toEqual(["RUNNING", "RUNNING"]);
        expect(ofType("AppReady").sort()).toEqual(["ministral", "open"]);
        const again = await stage.previewNothing();
        expect(again.code, again.stdout).toBe(0);
    });

    it("destroy leaves nothing", async () => {
        const { code, stdout, stderr } = await stage.destroy();
        expect(code, stdout + stderr).toBe(0);
        expect([stage.cloud.api.apps(), stage.cloud.api.clusters()]).toEqual([[], []]);
        expect(stage.cloud.api.violations()).toEqual([]);
    });
});
