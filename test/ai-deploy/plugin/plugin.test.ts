import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { pluginSchema } from "../../../tools/docs/plugin-schema";
import { secret, unknown, type InitFailure, type Plugin, type Properties } from "../../sandbox/plugins/engine";
import { appInputs, autoscaling } from "../app/inputs";
import { canary, projectId, startTestCloud, type TestCloud } from "../cloud";
import { executable, startPluginProcess, types, type PluginProcess } from "./plugin-process";

const root = join(__dirname, "../../..");
const variables = appInputs().envVars as Record<string, string>;

let cloud: TestCloud;
let started: PluginProcess;
let plugin: Plugin;
let labels = 0;

beforeAll(async () => {
    cloud = await startTestCloud();
    started = await startPluginProcess(cloud.env);
    ({ plugin } = started);
});
afterEach(() => cloud.reset());
afterAll(async () => {
    await started.close();
    await cloud.close();
});

/** What an app's creation has told the process counts for the run of Pulumi that it was in. */
const newRun = (): Promise<void> => plugin.configure({});

/** An app's inputs as the engine has them after the check. */
async function checkedInputs(changes: Properties = {}, before?: Properties): Promise<Properties> {
    const news = appInputs({ adoptionLabel: `label-${++labels}`, ...changes });
    const { inputs, failures } = await plugin.check(types.app, news, before);
    expect(failures).toEqual([]);
    return inputs;
}

async function created(changes: Properties = {}) {
    const inputs = await checkedInputs(changes);
    const { id, state } = await plugin.create(types.app, inputs);
    return { id, inputs, state };
}

type Failed = Error & { failure?: InitFailure };

const failing = (call: Promise<unknown>): Promise<Failed> =>
    call.then(
        () => Object.assign(new Error("it should have failed")),
        (error: Failed) => error,
    );

describe("what the plugin says of itself", () => {
    const { version } = JSON.parse(readFileSync(join(root, "packages/ai-deploy/package.json"), "utf8")) as {
        version: string;
    };

    it("its version and schema are those of the package, and of the types of the dynamic resources", async () => {
        expect(await plugin.version()).toBe(version);
        const committed = readFileSync(join(root, "packages/ai-deploy/plugin/schema.json"), "utf8");
        expect(committed, "run `npm run docs`").toBe(`${JSON.stringify(pluginSchema(), undefined, 4)}\n`);
        expect(JSON.parse(await plugin.schema())).toEqual({ ...(JSON.parse(committed) as object), version });
    });

    it("the schema names every output, and marks the secrets", async () => {
        const { resources, config } = JSON.parse(await plugin.schema()) as {
            resources: Record<string, { properties: Record<string, { secret?: boolean }>; requiredInputs: string[] }>;
            config: { variables: Record<string, { secret?: boolean }> };
        };
        expect(Object.keys(resources)).toEqual(Object.values(types));
        const { properties, requiredInputs } = resources[types.app];
        expect(requiredInputs).toEqual(["name", "region", "image", "resources", "adoptionLabel"]);
        const { state } = await created();
        expect(Object.keys(properties)).toEqual(
            expect.arrayContaining(Object.keys(state).filter((name) => name !== "marks")),
        );
        const secretsOf = (all: Record<string, { secret?: boolean }>): string[] =>
            Object.keys(all).filter((name) => all[name].secret);
        expect(secretsOf(properties)).toEqual(["envVars"]);
        expect(secretsOf(resources[types.token].properties)).toEqual(["value"]);
        expect(secretsOf(config.variables)).toEqual([
            "clientSecret",
            "applicationSecret",
            "consumerKey",
            "accessToken",
        ]);
    });

    it("runs from its folder as well, by Pulumi's own runner of plugins in Node", async () => {
        const engine = createServer();
        await new Promise<void>((resolve) => engine.listen(0, "127.0.0.1", resolve));
        const address = `127.0.0.1:${(engine.address() as AddressInfo).port}`;
        const runner = join(root, "node_modules/@pulumi/pulumi/cmd/run-plugin");
        const child = spawn(process.execPath, [runner, dirname(executable), address], { cwd: root });
        try {
            const [port] = (await once(child.stdout, "data")) as [Buffer];
            expect(String(port)).toMatch(/^\d+\n$/);
        } finally {
            child.kill();
            engine.close();
        }
    });

    it("a resource that it does not have is told by name, with those there are", async () => {
        expect((await failing(plugin.check("ovh-ai-deploy:index:Job", {}))).message).toMatch(
            /no resource ovh-ai-deploy:index:Job: there are App, AppReady, AppLeftovers, Token, Authorization, DataSync/,
        );
    });
});

describe("the life of an app", () => {
    it("is checked, foreseen, made, changed in place, replaced, refreshed and deleted", async () => {
        const inputs = await checkedInputs();
        expect(inputs).toMatchObject({ serviceName: projectId, envVars: secret(variables) });
        expect(inputs.adoptionLabel).toMatch(/^label-\d+-[0-9a-f]{8}$/);
        const preview = await plugin.create(types.app, inputs, { preview: true });
        expect(preview).toMatchObject({ id: "", state: { name: "test-app", appId: unknown, url: unknown } });
        expect(cloud.api.apps()).toEqual([]);

        const { id, state } = await plugin.create(types.app, inputs);
        const app = { id, inputs, state };
        expect(state).toMatchObject({ appId: id, state: "RUNNING", envVars: secret(variables) });
        expect(await plugin.diff(types.app, app, inputs)).toMatchObject({ changes: false, replaces: [] });

        const more = await checkedInputs({ adoptionLabel: `label-${labels}`, scalingStrategy: autoscaling() }, inputs);
        expect(more.adoptionLabel).toBe(inputs.adoptionLabel);
        expect(await plugin.diff(types.app, app, more)).toMatchObject({ changes: true, replaces: [] });
        const planned = await plugin.update(types.app, app, more, { preview: true });
        expect(planned).toMatchObject({ appId: id, url: state.url, revision: 1, availableReplicas: unknown });
        const since = cloud.mark();
        app.state = await plugin.update(types.app, app, more);
        const writes = since().filter(({ method }) => method !== "GET");
        expect(writes.map(({ method, path }) => `${method} ${path.split("/ai/")[1]}`)).toEqual([
            `PUT app/${id}/scalingstrategy`,
        ]);

        const image = { ...more, image: "vllm/vllm-openai:v0.13.1" };
        expect(await plugin.diff(types.app, app, image)).toMatchObject({ changes: true, replaces: [] });
        expect(await plugin.update(types.app, app, image, { preview: true })).toMatchObject({
            appId: id,
            revision: unknown,
        });

        const elsewhere = { ...more, region: "BHS" };
        expect(await plugin.diff(types.app, app, elsewhere)).toMatchObject({
            replaces: ["region"],
            deleteBeforeReplace: true,
        });
        expect(await plugin.diff(types.app, app, { ...elsewhere, replaceFirst: true })).toMatchObject({
            replaces: ["region"],
            deleteBeforeReplace: false,
        });
        expect(started.lines.map(({ message }) => message).join("\n")).toMatch(
            /is REPLACED by this change of region: .*The input replaceFirst: true brings the new one up first/,
        );

        const refreshed = await plugin.read(types.app, app);
        expect(refreshed).toMatchObject({ id, inputs: { envVars: secret(variables) } });
        expect(await plugin.diff(types.app, { ...app, state: refreshed.state }, refreshed.inputs)).toMatchObject({
            changes: false,
        });
        await newRun();
        await plugin.delete(types.app, app);
        expect(cloud.api.apps()).toEqual([]);
        expect(await plugin.read(types.app, app)).toMatchObject({ id: "" });
    });

    it("lines about it go to the engine, beside the resource", async () => {
        const { id } = await created();
        const line = started.lines.find(({ message }) => message.includes(`(${id}) created`));
        expect(line?.urn).toBe(`urn:pulumi:test::project::component$${types.app}::logical-name`);
    });

    it("a preview asks nothing of values that are unknown yet", async () => {
        const inputs = await checkedInputs({ adoptionLabel: unknown, envVars: { HF_TOKEN: unknown } });
        expect(inputs.adoptionLabel).toBe(unknown);
        const { state } = await plugin.create(types.app, inputs, { preview: true });
        expect(state).toMatchObject({ adoptionLabel: unknown, appId: unknown });
    });

    it("nothing that is null counts as given, as Python writes what is left out", async () => {
        const inputs = await checkedInputs({ command: null, readinessProbe: { path: "/x", port: null } });
        expect(inputs).not.toHaveProperty("command");
        expect(inputs.readinessProbe).toEqual({ path: "/x" });
    });
});

describe("an app whose creation is interrupted", () => {
    it("is found again by the next creation, after a POST that was cut off", async () => {
        const inputs = await checkedInputs();
        cloud.watch(inputs.adoptionLabel as string);
        cloud.api.faults.add({ method: "POST", path: "/ai/app", kind: "commit-then-drop", times: 1 });
        const { id } = await plugin.create(types.app, inputs);
        expect(cloud.labelled(inputs.adoptionLabel as string)).toMatchObject([{ id }]);
        // The engine died before it saved: the next run starts with nothing.
        await newRun();
        expect(await plugin.create(types.app, inputs)).toMatchObject({ id });
        expect(cloud.mostAlive()).toBe(1);
    });

    it("is kept in the state with its id when it fails, without a variable in clear, and goes on", async () => {
        const inputs = await checkedInputs();
        cloud.script({ lines: [`got ${variables.HF_TOKEN}`], exitCode: 1, reason: `bad ${variables.HF_TOKEN}` });
        const { failure, message } = await failing(plugin.create(types.app, inputs));
        const [{ id }] = cloud.api.apps();
        expect(failure).toMatchObject({ id, state: { appId: id, envVars: secret(variables) } });
        expect(failure!.reasons.join()).toMatch(/is FAILED[^]*\[secret\]/);
        for (const text of [message, failure!.reasons.join(), JSON.stringify(started.lines)]) {
            expect(text).not.toContain(variables.HF_TOKEN);
        }
        cloud.script({});
        const state = await plugin.update(types.app, { id, inputs, state: failure!.state }, inputs);
        expect(state).toMatchObject({ appId: id, state: "RUNNING" });
    });

    it("an outage empties no state", async () => {
        const app = await created();
        cloud.api.faults.add({ method: "GET", path: "/ai/app", kind: "status", status: 503 });
        expect((await failing(plugin.read(types.app, app))).message).toMatch(/answered 503/);
    });
});

describe("import and get", () => {
    it("takes an app as it is by PROJECT/APP, or by its id alone, and a program that says the same changes nothing", async () => {
        const strategy = { scalingStrategy: autoscaling(), deploymentStrategy: { maxSurge: "1" } };
        const { id, inputs } = await created(strategy);
        const since = cloud.mark();
        for (const text of [`${projectId}/${id}`, id]) {
            const found = await plugin.read(types.app, { id: text, inputs: {}, state: {} });
            expect(found).toMatchObject({
                id,
                state: { appId: id, url: expect.stringMatching(/^https/) as string, envVars: secret(variables) },
                inputs: { name: "test-app", region: "GRA", envVars: secret(variables), labels: { group: "test" } },
            });
            const again = await plugin.check(types.app, found.inputs, found.inputs);
            expect(again.failures).toEqual([]);
            for (const news of [again.inputs, inputs]) {
                expect(await plugin.diff(types.app, { id, inputs, state: found.state }, news)).toMatchObject({
                    changes: false,
                    replaces: [],
                });
            }
        }
        expect(since().filter(({ method }) => method !== "GET")).toEqual([]);
    });

    it("an app that somebody made by hand, with nothing but what it needs, is not replaced", async () => {
        const answer = await fetch(`${cloud.api.url}/cloud/project/${projectId}/ai/app`, {
            method: "POST",
            headers: { authorization: `Bearer ${cloud.accessToken}` },
            body: JSON.stringify({
                name: "by-hand",
                region: "GRA",
                image: "vllm/vllm-openai:v0.13.0",
                resources: { flavor: "ai1-1-cpu", cpu: 2 },
            }),
        });
        const { id } = (await answer.json()) as { id: string };
        const found = await plugin.read(types.app, { id: `${projectId}/${id}`, inputs: {}, state: {} });
        expect(found.inputs).toMatchObject({ resources: { flavor: "ai1-1-cpu", cpu: 2 } });
        const given = {
            name: "by-hand",
            region: "GRA",
            image: "vllm/vllm-openai:v0.13.0",
            resources: { flavor: "ai1-1-cpu", cpu: 2 },
            adoptionLabel: "by-hand",
        };
        const { inputs } = await plugin.check(types.app, given, found.inputs);
        const diff = await plugin.diff(types.app, { id, inputs: found.inputs, state: found.state }, inputs);
        expect(diff).toMatchObject({ changes: true, replaces: [] });
        const since = cloud.mark();
        const state = await plugin.update(types.app, { id, inputs: found.inputs, state: found.state }, inputs);
        expect(state).toMatchObject({ appId: id });
        const writes = since().filter(({ method }) => method !== "GET");
        expect(writes.map(({ path }) => path.split("/").pop())).toEqual(["label"]);
    });

    it("says what to do where there is no such thing, or nothing to import", async () => {
        const by = (type: string, id: string) => plugin.read(type, { id, inputs: {}, state: {} });
        const absent = "00000000-0000-4000-8000-000000000000";
        expect(await by(types.app, `${projectId}/${absent}`)).toMatchObject({ id: "" });
        expect((await failing(by(types.app, "my-app"))).message).toMatch(/"my-app" is no app: give PROJECT\/APP/);
        expect((await failing(by(types.token, absent))).message).toMatch(/shows its value only once/);
        expect((await failing(by(types.dataSync, absent))).message).toMatch(/cannot be imported/);
        expect((await failing(by(types.appReady, absent))).message).toMatch(/cannot be imported/);
    });
});

describe("the other resources", () => {
    it("what a killed creation left goes with the leftovers of the same name", async () => {
        const { inputs } = await created();
        const given = { name: "test-app", adoptionLabel: `label-${labels}` };
        const { inputs: leftovers, failures } = await plugin.check(types.appLeftovers, given);
        expect(failures).toEqual([]);
        expect(leftovers.adoptionLabel).toBe(inputs.adoptionLabel);
        // No state has the app, and another run knows of none.
        await newRun();
        const { id, state } = await plugin.create(types.appLeftovers, leftovers);
        await plugin.delete(types.appLeftovers, { id, inputs: leftovers, state });
        expect(cloud.api.apps()).toEqual([]);
    });

    it("a token is made with a secret value, foreseen, renewed and deleted", async () => {
        const given = { name: "t", region: "GRA", role: "ai_training_read", labelSelector: "group=test" };
        const { inputs } = await plugin.check(types.token, given);
        const { id, state } = await plugin.create(types.token, inputs);
        const value = (state.value as Properties).value as string;
        expect(state.value).toEqual(secret(value));
        const token = { id, inputs, state };
        const kept = await plugin.update(types.token, token, { ...inputs, overlapSeconds: 60 }, { preview: true });
        expect(kept.value).toEqual(secret(value));
        const rotated = { ...inputs, rotation: "2" };
        const preview = await plugin.update(types.token, token, rotated, { preview: true });
        expect(preview).toMatchObject({ value: secret(unknown), version: unknown });
        token.state = await plugin.update(types.token, token, rotated);
        expect(token.state.value).not.toEqual(secret(value));
        expect((await plugin.read(types.token, token)).state.value).toEqual(token.state.value);
        await plugin.delete(types.token, token);
        expect(cloud.api.tokens()).toEqual([]);
    });

    it("the authorization, and a wait for an app", async () => {
        const { inputs } = await plugin.check(types.authorization, {});
        const made = await plugin.create(types.authorization, inputs);
        expect(made).toMatchObject({ id: projectId, state: { authorized: true } });
        const imported = await plugin.read(types.authorization, { id: projectId, inputs: {}, state: {} });
        expect(imported).toMatchObject({ id: projectId, inputs: { serviceName: projectId } });
        const { id } = await created({ waitUntilRunning: false });
        const ready = await plugin.check(types.appReady, { appId: id, revision: 1 });
        expect(await plugin.create(types.appReady, ready.inputs)).toMatchObject({ id, state: { state: "RUNNING" } });
    });
});

describe("messages are for who writes the program", () => {
    it.each([
        ["runtime: python", "readiness_probe.initial_delay_seconds"],
        ["runtime:\n    name: python\n    options:\n        virtualenv: venv", "readiness_probe.initial_delay_seconds"],
        ["runtime: go", "ReadinessProbe.InitialDelaySeconds"],
        ["runtime: dotnet", "ReadinessProbe.InitialDelaySeconds"],
        ["runtime: yaml", "readinessProbe.initialDelaySeconds"],
        ["runtime: java", "readinessProbe.initialDelaySeconds"],
    ])("%s: %s", async (runtime, name) => {
        const other = await startPluginProcess(cloud.env, { runtime });
        try {
            const news = appInputs({ readinessProbe: { initialDelaySeconds: -1 }, labels: { "ovh/own": "x" } });
            const { failures } = await other.plugin.check(types.app, news);
            const reasons = failures.map(({ reason }) => reason.split(" ")[0]);
            expect(reasons).toContain(name);
            // Names of the user's own stay as they are.
            expect(reasons.join()).toMatch(/abels.*ovh\/own/);
        } finally {
            await other.close();
        }
    });

    it("credentials and project come from the provider's config as well, and errors name its keys", async () => {
        const { OVH_ENDPOINT: endpoint, ...rest } = cloud.env;
        const unset = { OVH_APPLICATION_KEY: "", OVH_APPLICATION_SECRET: "", OVH_CONSUMER_KEY: "" };
        const env = { ...rest, ...unset, OVH_ENDPOINT: "", OVH_CLOUD_PROJECT_SERVICE: "" };
        const config = { endpoint, accessToken: canary.accessToken, serviceName: projectId };
        const good = await startPluginProcess(env, { config });
        const bad = await startPluginProcess(env, { config: { endpoint, applicationKey: canary.applicationKey } });
        try {
            const { inputs } = await good.plugin.check(types.authorization, {});
            expect(await good.plugin.create(types.authorization, inputs)).toMatchObject({ id: projectId });
            const { message } = await failing(bad.plugin.check(types.app, appInputs({ serviceName: projectId })));
            expect(message).toMatch(
                /beside ovh-ai-deploy:applicationKey \(stack config\), set .*ovh-ai-deploy:consumerKey/,
            );
            expect((await bad.plugin.check(types.authorization, {})).failures[0].reason).toMatch(
                /as stack config ovh-ai-deploy:serviceName/,
            );
        } finally {
            await good.close();
            await bad.close();
        }
    });
});

describe("the end of the plugin", () => {
    it("Ctrl-C ends a wait at once, and what exists is kept", async () => {
        // In real time, so that the app boots for minutes.
        const slow = await startTestCloud({ speed: 1 });
        const other = await startPluginProcess(slow.env);
        try {
            const { inputs } = await other.plugin.check(types.app, appInputs());
            const creation = failing(other.plugin.create(types.app, inputs));
            while (slow.api.apps().length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
            const [{ id }] = slow.api.apps();
            await other.plugin.cancel();
            const { failure } = await creation;
            expect(failure).toMatchObject({ id, state: { appId: id } });
            expect(failure!.reasons.join()).toMatch(/stopped waiting, as asked: nothing is lost/);
            expect(slow.api.apps()).toHaveLength(1);
        } finally {
            await other.close();
            await slow.close();
        }
    });

    it("it does not outlive its engine", async () => {
        const other = await startPluginProcess(cloud.env);
        await other.loseEngine();
        expect(other.plugin.process.exitCode).toBe(1);
    });
});

it("every request and answer kept to the API's structure", () => {
    expect(cloud.api.violations()).toEqual([]);
});
