import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it, vi } from "vitest";
import { OvhClient } from "../../../packages/ai-deploy/src/api/client";
import { resolveCredentials } from "../../../packages/ai-deploy/src/api/credentials";
import type { AppInputs } from "../../../packages/ai-deploy/src/app/args";
import { createBody } from "../../../packages/ai-deploy/src/app/plan";
import { appArgs } from "../../../src/inference/app-args";
import { compareReports } from "../../../tools/canary/measure";
import { canaryLabels, labelsOf } from "../../../tools/canary/marks";
import { runCanary, type Surroundings } from "../../../tools/canary/run";
import { unownedApps } from "../../../tools/cost/unowned";
import { accessToken, projectId, startTestCloud, type TestCloud } from "../../sandbox/ovhcloud/cloud";
import { parse, toSet } from "../../settings/config";
import { reportOf } from "./reports";

/** Answers as `pulumi` does for a stack of one model, and writes down what it is told to set. */
const pulumi = `#!/bin/bash
case "$*" in
*"stack output"*) cat "$WORLD/outputs.json" ;;
*"config set"*) echo "$*" >> "$WORLD/set" ;;
*"config"*) cat "$WORLD/config.json" ;;
*) exit 1 ;;
esac
`;

let world: string;
let test: TestCloud;
let firstId: string;

async function begin(options: { gpuQuota?: number; createSeconds?: number } = {}): Promise<void> {
    world = mkdtempSync(join(tmpdir(), "canary-"));
    test = await startTestCloud({ callsPerMinute: Infinity, gpuQuota: options.gpuQuota ?? 16 });
    const models = { ministral: { timeouts: { createSeconds: options.createSeconds ?? 60 } } };
    const settings = parse({ models }).models.ministral;
    const context = { name: "ministral", projectId, huggingFaceToken: "hf_made_up", adoptionLabel: "first" };
    await test.api("POST", "/ai/authorization");
    ({ id: firstId } = await test.api("POST", "/ai/app", createBody(appArgs(settings, context) as AppInputs)));
    const { url } = await test.until(firstId, "running", ({ state }) => state === "RUNNING");
    const token = await test.api("POST", "/ai/token", {
        ...{ name: "t", region: "GRA", role: "ai_training_read" },
        labelSelector: "ai_deploy_token=my_operator_token",
    });
    const output = {
        model: settings.model,
        appId: firstId,
        openAiBaseUrl: `${url}/v1`,
        clientToken: token.status.value,
    };
    const config = Object.entries({ ...toSet, projectId, models }).map(([key, value]) => [
        `ovhcloud-llm-serving:${key}`,
        { value: typeof value === "string" ? value : JSON.stringify(value), secret: key === "huggingFaceToken" },
    ]);
    writeFileSync(join(world, "outputs.json"), JSON.stringify({ models: { ministral: output } }));
    writeFileSync(join(world, "config.json"), JSON.stringify(Object.fromEntries(config)));
    writeFileSync(join(world, "set"), "");
    writeFileSync(join(world, "answers.jsonl"), '{"prompt": "Who are you?", "expect": "simulated"}\n');
    writeFileSync(join(world, "pulumi"), pulumi);
    chmodSync(join(world, "pulumi"), 0o755);
    for (const [name, value] of Object.entries(environment())) vi.stubEnv(name, value);
}

const environment = (): Record<string, string> => ({
    ...{ OVH_ENDPOINT: test.cloud.url, OVH_ACCESS_TOKEN: accessToken },
    ...{ OVH_AI_DEPLOY_POLL_MS: "20", OVH_AI_DEPLOY_REQUESTS_PER_MINUTE: "60000" },
    ...{ WORLD: world, PATH: `${world}:${process.env.PATH}` },
});

afterEach(async () => {
    vi.unstubAllEnvs();
    await test.close();
    rmSync(world, { recursive: true, force: true });
});

const options = (): string[] => [
    ...["--image", "vllm/vllm-openai:v0.14.0", "--seconds", "5", "--workers", "2", "--ca", test.cloud.caFile],
    ...["--answers", join(world, "answers.jsonl")],
];

/** The load of a canary that is as good as the first, in place of a real one, whose figures this machine decides. */
const evenLoad = () => Promise.resolve(compareReports(reportOf({}), reportOf({})));

async function canary(args: string[], more: Partial<Surroundings> = {}): Promise<{ code: number; said: string }> {
    let said = "";
    const surroundings = { signal: new AbortController().signal, asks: () => Promise.resolve(false), ...more };
    const code = await runCanary(args, { log: (line) => void (said += `${line}\n`), ...surroundings });
    return { code, said };
}

/** Apps and tokens beside those of the stack. */
function leftBehind(): string[] {
    return [
        ...test.cloud
            .apps()
            .filter(({ id }) => id !== firstId)
            .map(({ id }) => id),
        ...test.cloud.tokens().slice(1),
    ];
}

/** A canary that some run has left behind, with this end. */
async function leaveBehind(until: Date): Promise<string> {
    const mark = { id: "0123456789abcdef", of: "ministral", until };
    const context = {
        name: "ministral",
        projectId,
        huggingFaceToken: "hf_made_up",
        adoptionLabel: `canary-${mark.id}`,
    };
    const body = createBody({ ...(appArgs(parse({}).models.ministral, context) as AppInputs), labels: labelsOf(mark) });
    const { id } = await test.api("POST", "/ai/app", body);
    await test.api("POST", "/ai/token", {
        ...{ name: "c", region: "GRA", role: "ai_training_read" },
        labelSelector: `${canaryLabels.id}=${mark.id}`,
    });
    await test.until(id, "running", ({ state }) => state === "RUNNING");
    return id;
}

it("one that is as good is promoted: the config is set, the app is gone", async () => {
    await begin();
    let seen: Record<string, string> = {};
    const measure: Surroundings["measure"] = ({ first, canary: other }) => {
        expect(other.config).toEqual(first.config);
        seen = test.cloud.stored().find(({ id }) => id !== firstId)!.spec.labels;
        return evenLoad();
    };
    const { code, said } = await canary([...options(), "--yes"], { measure });
    expect(said).toMatch(
        /1 replica\(s\) more of 1 x h100-1-gpu at 2\.00 EUR an hour each, for 17 min .*: at most 0\.\d+ EUR/,
    );
    expect(said).toMatch(/promoted/);
    expect(code).toBe(0);
    // No token of the model opens it, and it says what it is.
    expect(seen).toMatchObject({
        [canaryLabels.of]: "ministral",
        "pulumi-adoption-id": `canary-${seen[canaryLabels.id]}`,
    });
    expect(seen).not.toHaveProperty("ai_deploy_token");
    expect(readFileSync(join(world, "set"), "utf8")).toMatch(
        /^config set --path ovhcloud-llm-serving:models\.ministral\.image vllm\/vllm-openai:v0\.14\.0 --non-interactive/,
    );
    expect(leftBehind()).toEqual([]);
});

it("one that answers with errors is refused by the real load, and gone", async () => {
    await begin();
    const breaking = (async () => {
        while (test.cloud.apps().length < 2) await sleep(5);
        const { id } = test.cloud.apps().find((app) => app.id !== firstId)!;
        await test.control("POST", `apps/${id}/faults`, { kind: "errors", rate: 1, status: 500 });
    })();
    const { code, said } = await canary([...options(), "--yes"]);
    await breaking;
    expect(said).toMatch(/worse: errors: 0\.0 % of the requests failed at the first, 100\.0 % at the canary/);
    expect(said).toMatch(
        /worse: answers: 1 of 1 right at the first, 0 at the canary; no longer right: "Who are you\?"/,
    );
    expect(code).toBe(1);
    expect(readFileSync(join(world, "set"), "utf8")).toBe("");
    expect(leftBehind()).toEqual([]);
});

it("who says no has nothing made", async () => {
    await begin();
    const since = test.cloud.requests().length;
    expect((await canary(options())).code).toBe(2);
    expect(
        test.cloud
            .requests()
            .slice(since)
            .every(({ method }) => method === "GET"),
    ).toBe(true);
});

it("without a free GPU, where the platform refuses the app at once, nothing is left", async () => {
    await begin({ gpuQuota: 1 });
    await expect(canary([...options(), "--yes"])).rejects.toThrow(/GPU quota exceeded: 1 of 1 in use/);
    expect(leftBehind()).toEqual([]);
});

it("without a free GPU, where the platform lets the app wait, the time-out ends it, and nothing is left", async () => {
    await begin({ createSeconds: 2 });
    const log = (line: string): void => {
        if (line.includes("created")) void test.control("POST", "platform/faults", { kind: "quota" });
    };
    await expect(canary([...options(), "--yes"], { log })).rejects.toThrow(
        /did not serve within 2 s \(models\.ministral\.timeouts\.createSeconds raises the bound\), it is .*no GPU is left/,
    );
    expect(leftBehind()).toEqual([]);
});

it("that fails half-way, after the app was made, leaves nothing", async () => {
    await begin();
    test.cloud.faults.add({ method: "POST", path: "/ai/token$", kind: "status", status: 400 });
    await expect(canary([...options(), "--yes"])).rejects.toThrow(/creating token/);
    expect(leftBehind()).toEqual([]);
});

it("Ctrl-C while it boots leaves nothing", async () => {
    await begin();
    const interruption = new AbortController();
    const interrupted = canary([...options(), "--yes"], { signal: interruption.signal });
    const outcome = expect(interrupted).rejects.toThrow("interrupted");
    while (test.cloud.apps().length < 2) await sleep(5);
    interruption.abort(new Error("interrupted"));
    await outcome;
    expect(leftBehind()).toEqual([]);
});

it("kill -9 leaves nothing: the keeper outlives it", async () => {
    await begin();
    const root = resolve(__dirname, "../../..");
    const child = spawn(process.execPath, ["--import", "tsx", "tools/canary/cli.ts", ...options(), "--yes"], {
        ...{ cwd: root, env: { ...process.env, ...environment() }, stdio: ["ignore", "pipe", "ignore"] },
    });
    while (test.cloud.apps().length < 2) {
        expect(child.exitCode).toBeNull();
        await sleep(5);
    }
    child.kill("SIGKILL");
    // The keeper writes to the same pipe: it ends with the later of the two.
    let said = "";
    for await (const part of child.stdout) said += (part as Buffer).toString();
    expect(said).toMatch(/-canary is removed\n$/);
    expect(leftBehind()).toEqual([]);
    expect(test.cloud.apps().map(({ id }) => id)).toEqual([firstId]);
});

it("one whose end has come goes before the next is made; one that still runs keeps it from being made", async () => {
    await begin();
    const left = await leaveBehind(new Date(Date.now() - 1000));
    const { said } = await canary([...options(), "--yes"], { measure: evenLoad });
    expect(said).toMatch(new RegExp(`\\(${left}\\) is a canary of ministral that was left behind: it is removed`));
    expect(leftBehind()).toEqual([]);

    const running = await leaveBehind(new Date(Date.now() + 600_000));
    await expect(canary([...options(), "--yes"])).rejects.toThrow(
        new RegExp(`a canary of ministral stands already \\(${running}\\), until .*npm run canary -- --clean-up`),
    );
    const client = new OvhClient(resolveCredentials({ config: () => undefined, env: environment(), files: [] }));
    const none = { source: "none", find: () => undefined, remarks: [] };
    const unowned = await unownedApps(
        (path) => client.get(path),
        projectId,
        () => Promise.resolve(new Set([firstId])),
        none,
    );
    expect(unowned).toMatchObject([{ id: running, canary: { of: "ministral" } }]);

    expect((await canary(["--clean-up"])).code).toBe(0);
    expect(leftBehind()).toEqual([]);
});

it.each([
    [[], /--image IMAGE, --revision REVISION/],
    [["--image", "vllm/vllm-openai:v0.13.0"], /has this image and revision already/],
    [["--image", "vllm/vllm-openai:latest"], /name an exact version/],
    [["--revision", "x", "--seconds", "1"], /--seconds 1: give a number from 5/],
    [["--revision", "x", "--answers", "/nowhere"], /ENOENT/],
    [["--revision", "x", "--model", "qwen"], /no model "qwen"/],
])("%j is an error for people, before anything is made", async (args, words) => {
    await begin();
    await expect(canary(args)).rejects.toThrow(words);
});
