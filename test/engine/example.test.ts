import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Agent, request } from "node:https";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkout } from "../../sandbox/layout";
import { openStage, type Stage } from "./stage";

let stage: Stage;

beforeAll(async () => {
    stage = await openStage({ program: join(__dirname, "example-program"), config: {} });
    await stage.configureSecret("huggingFaceToken", "hf_example_canary");
});
afterAll(() => stage.close());

it("the example of the package's README runs: up, an answer with its token, an empty preview, destroy", async () => {
    const program = readFileSync(join(__dirname, "example-program/index.ts"), "utf8");
    expect(program.trimEnd().split("\n").length).toBeLessThanOrEqual(30);
    expect(readFileSync(join(checkout, "packages/ai-deploy/README.md"), "utf8")).toContain(program);

    const up = await stage.up();
    expect(up.code, up.stdout + up.stderr).toBe(0);
    const { url, token } = (await stage.outputs()) as { url: string; token: string };
    expect(await statusOf(`${url}/v1/models`, token)).toBe(200);
    expect(await statusOf(`${url}/v1/models`, "wrong")).toBe(401);
    const preview = await stage.previewNothing();
    expect(preview.code, preview.stdout).toBe(0);
    const destroy = await stage.destroy();
    expect(destroy.code, destroy.stdout + destroy.stderr).toBe(0);
    expect(stage.cloud.api.apps()).toEqual([]);
    expect(stage.cloud.api.tokens()).toEqual([]);
    expect(stage.cloud.api.violations()).toEqual([]);
});

function statusOf(url: string, token: string): Promise<number> {
    const agent = new Agent({ ca: readFileSync(stage.cloud.api.caFile) });
    return new Promise((resolve, reject) => {
        const call = request(url, { agent, headers: { authorization: `Bearer ${token}` } }, (answer) => {
            answer.resume();
            resolve(answer.statusCode ?? 0);
        });
        call.on("error", reject).end();
    });
}
