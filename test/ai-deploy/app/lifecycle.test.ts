import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { FaultRule } from "../../../sandbox/ovhcloud/faults";
import type { LoggedRequest } from "../../../sandbox/ovhcloud/server";
import { appInputs as inputsOf, autoscaling } from "./inputs";
import { projectId, startTestCloud, type TestCloud } from "../cloud";
import { startCloudAndProvider, startEachEmpty } from "../cloud-and-provider";
import { stub } from "../../../packages/ai-deploy/src/resources";
import { InitFailed, startProvider, type Bag, type ProviderProcess } from "../provider-process";
import { Stack } from "../stack";

let cloud: TestCloud;
let provider: ProviderProcess;

startCloudAndProvider((started) => ({ cloud, provider } = started));
const label = startEachEmpty(() => cloud);

const appInputs = (changes: Bag = {}): Bag => inputsOf({ adoptionLabel: label(), ...changes });

/** An app that runs, and the stack that has it. */
async function upStack(changes: Bag = {}, deleteBeforeReplace = true): Promise<{ stack: Stack; id: string }> {
    const stack = new Stack(provider, "app", deleteBeforeReplace);
    await stack.up(appInputs(changes));
    return { stack, id: stack.resource!.id };
}

/** Makes an app as a run does that is killed before it saves. */
async function killedCreation(changes: Bag = {}): Promise<string> {
    await expect(new Stack(provider).up(appInputs(changes), { crash: true })).rejects.toThrow(/engine died/);
    return theApp().id;
}

function theApp() {
    expect(cloud.api.apps()).toHaveLength(1);
    return cloud.api.apps()[0];
}

function told(requests: LoggedRequest[]): string[] {
    return requests.map(({ method, path }) => `${method} ${path.replace(/.*\/cloud\/project\/[^/]+/, "")}`);
}

const writes = (requests: LoggedRequest[]): string[] => told(requests.filter(({ method }) => method !== "GET"));

async function failure(run: Promise<unknown>): Promise<Error> {
    return run.then(
        () => {
            throw new Error("it should have failed");
        },
        (error: Error) => error,
    );
}

describe("create", () => {
    it("brings the app up; the state holds what the platform said", async () => {
        const { stack } = await upStack();
        const app = theApp();
        expect(app.state).toBe("RUNNING");
        expect(stack.resource).toMatchObject({
            id: app.id,
            outputs: { appId: app.id, url: app.url, state: "RUNNING" },
        });
    });

    it("takes a look, a POST, polls, and a look at the end: nothing else", async () => {
        const since = cloud.mark();
        const { id } = await upStack();
        const calls = told(since()).filter((call) => !call.includes("/capabilities/"));
        const [poll, ...rest] = [`GET /ai/app/${id}`, "GET /ai/app", "POST /ai/app", "GET /ai/app"];
        expect(calls.filter((call) => call !== poll)).toEqual(rest);
    });

    it("a second up writes nothing", async () => {
        const { stack } = await upStack();
        expect(await stack.preview(appInputs())).toBe("same");
        const since = cloud.mark();
        await stack.up(appInputs());
        expect(writes(since())).toEqual([]);
    });

    it("stopped by somebody while it is waited for: the wait ends, and the next up starts it", async () => {
        const stack = new Stack(provider);
        // Not ready for longer than this test waits.
        const slow = { readinessProbe: { path: "/v1/models", port: 8000, initialDelaySeconds: 1_000_000 } };
        const waiting = failure(stack.up(appInputs(slow)));
        while (cloud.api.apps()[0]?.state !== "SCALING") await sleep(5);
        const { id } = theApp();
        await cloud.outside(id, "stop outside");
        expect((await waiting).message).toMatch(new RegExp(`${id}\\) was stopped while it was waited for`));
        expect(stack.resource!.id).toBe(id);
        await stack.up(appInputs());
        expect(theApp()).toMatchObject({ id, state: "RUNNING" });
    });

    it("one that sleeps is up: changes are taken and leave it asleep, a minimum of 1 wakes it, and it can be deleted", async () => {
        const sleepy = (changes: Bag = {}) => ({
            scalingStrategy: autoscaling({ replicasMin: 0, replicasMax: 1, cooldownPeriodSeconds: 60, ...changes }),
        });
        const { stack, id } = await upStack(sleepy());
        const until = async (state: string) => {
            while (theApp().state !== state) await sleep(5);
        };
        await until("STANDBY");
        expect(await stack.preview(appInputs(sleepy()))).toBe("same");
        await stack.up(appInputs({ ...sleepy({ cooldownPeriodSeconds: 90 }), image: "vllm/vllm-openai:v0.13.1" }));
        expect(theApp()).toMatchObject({ id, state: "STANDBY" });
        expect(stack.resource!.outputs.state).toBe("STANDBY");
        await stack.up(
            appInputs({
                ...sleepy({ replicasMin: 1, cooldownPeriodSeconds: undefined }),
                image: "vllm/vllm-openai:v0.13.1",
            }),
        );
        await until("RUNNING");
        await stack.up(appInputs({ ...sleepy(), image: "vllm/vllm-openai:v0.13.1" }));
        await until("STANDBY");
        await stack.destroy();
        expect(cloud.api.apps()).toEqual([]);
    });

    it("wanted stopped, it ends stopped", async () => {
        await upStack({ desiredState: "STOPPED" });
        expect(theApp().state).toBe("STOPPED");
    });

    it.each<[string, FaultRule]>([
        ["the answer to the POST is lost", { method: "POST", path: "/app$", kind: "commit-then-drop", times: 1 }],
        [
            "the POST is answered with 502 after it was done",
            { method: "POST", path: "/app$", kind: "commit-then-status", status: 502, times: 1 },
        ],
        ["the POST is dropped before it was done", { method: "POST", path: "/app$", kind: "drop", times: 1 }],
        ["the POST is refused with 429", { method: "POST", path: "/app$", kind: "status", status: 429, times: 2 }],
        ["the first polls fail", { method: "GET", path: "/app/", kind: "status", status: 503, times: 8 }],
        ["the young app cannot be read yet", { method: "GET", path: "/app/", kind: "status", status: 404, times: 2 }],
    ])("one app, although %s", async (_what, fault) => {
        cloud.api.faults.add(fault);
        const since = cloud.mark();
        await upStack();
        expect(theApp().state).toBe("RUNNING");
        expect(since().filter(({ method, effect }) => method === "POST" && effect)).toHaveLength(1);
    });

    it("a list that lags: two for a time, one in the end", async () => {
        cloud.api.faults.add({ method: "POST", path: "/app$", kind: "commit-then-drop", times: 1 });
        cloud.api.faults.add({ method: "GET", path: "/app$", kind: "stale", staleMs: 60_000, times: 5 });
        const { stack } = await upStack();
        expect(theApp()).toMatchObject({ id: stack.resource!.outputs.appId, state: "RUNNING" });
    });

    it("an outage from the POST on: the state keeps the creation as unresolved, and the next up goes on with it", async () => {
        cloud.api.faults.add({ method: "POST", path: "/app$", kind: "commit-then-drop", times: 1 });
        cloud.api.faults.add({ method: "GET", kind: "status", status: 503 });
        const stack = new Stack(provider);
        const args = appInputs({ timeouts: { createSeconds: 1 } });
        // The look before the POST has to work.
        cloud.api.faults.clear();
        cloud.api.faults.add({ method: "POST", path: "/app$", kind: "commit-then-drop", times: 1 });
        const outage = setInterval(() => {
            if (cloud.api.apps().length === 0) return;
            clearInterval(outage);
            cloud.api.faults.add({ kind: "status", status: 503 });
        }, 1);
        const error = await failure(stack.up(args));
        expect(error).toBeInstanceOf(InitFailed);
        expect(error.message).toMatch(/creating app test-app.*OVHcloud.*\n.*Nothing is lost/);
        expect(stack.resource).toMatchObject({
            id: `unresolved-${label()}`,
            outputs: { appId: "", state: "UNKNOWN" },
        });
        cloud.api.faults.clear();
        await stack.up(args);
        expect(stack.resource!.outputs).toMatchObject({ appId: theApp().id, state: "RUNNING" });
        await stack.refresh();
        expect(stack.resource!.id).toBe(theApp().id);
    });

    it("an outage from the POST on, then destroy: the app is found and deleted", async () => {
        const stack = new Stack(provider);
        cloud.api.faults.add({ method: "POST", path: "/app$", kind: "commit-then-drop", times: 1 });
        const outage = setInterval(() => {
            if (cloud.api.apps().length === 0) return;
            clearInterval(outage);
            cloud.api.faults.add({ kind: "status", status: 503 });
        }, 1);
        await failure(stack.up(appInputs({ timeouts: { createSeconds: 1 } })));
        cloud.api.faults.clear();
        await stack.destroy();
        expect(cloud.api.apps()).toEqual([]);
    });
});

describe("adoption", () => {
    it("an app of a killed run is taken over, whatever it became since", async () => {
        const id = await killedCreation();
        const since = cloud.mark();
        const { stack } = await upStack({ image: "vllm/vllm-openai:v0.13.1" });
        expect(stack.resource!.id).toBe(id);
        expect(writes(since())).toEqual([`PUT /ai/app/${id}`]);
    });

    it("a failed one is started again", async () => {
        cloud.script({ exitCode: 1 });
        await failure(new Stack(provider).up(appInputs(), { crash: true }));
        const { id } = theApp();
        cloud.script({});
        const { stack } = await upStack();
        expect(stack.resource!.id).toBe(id);
        expect(theApp().state).toBe("RUNNING");
    });

    it("one that has been stopped is started, though the list still says that it runs", async () => {
        const id = await killedCreation();
        await sleep(50);
        const whileItRan = Date.now();
        // Room for the look to come a little later, and still see the time before the stop.
        await sleep(2000);
        await cloud.outside(id, "stop outside");
        const staleMs = Date.now() - whileItRan;
        cloud.api.faults.add({ method: "GET", path: "/ai/app$", kind: "stale", staleMs, times: 1 });
        const { stack } = await upStack();
        expect(stack.resource!.id).toBe(id);
        expect(theApp()).toMatchObject({ id, state: "RUNNING" });
    });

    it("one that has been deleted is not taken over, though the list still shows it, and nothing is deleted for it", async () => {
        const id = await killedCreation();
        await sleep(50);
        const whileItRan = Date.now();
        await sleep(2000);
        await cloud.outside(id, "delete outside");
        const staleMs = Date.now() - whileItRan;
        cloud.api.faults.add({ method: "GET", path: "/ai/app$", kind: "stale", staleMs });
        const since = cloud.mark();
        const { stack } = await upStack();
        expect(stack.resource!.id).not.toBe(id);
        expect(theApp()).toMatchObject({ id: stack.resource!.id, state: "RUNNING" });
        expect(writes(since())).toEqual(["POST /ai/app"]);
    });

    it("one that is listed but not found by itself for a while is waited for, not doubled", async () => {
        const id = await killedCreation();
        cloud.api.faults.add({ method: "GET", path: "/ai/app/[^/]+$", kind: "status", status: 404, times: 12 });
        const since = cloud.mark();
        const { stack } = await upStack();
        expect(stack.resource!.id).toBe(id);
        expect(writes(since())).toEqual([]);
    });

    it("one that is listed but never found ends in an error that keeps it, and the next up goes on", async () => {
        const id = await killedCreation();
        cloud.api.faults.add({ method: "GET", path: "/ai/app/[^/]+$", kind: "status", status: 404 });
        const stack = new Stack(provider);
        const error = await failure(stack.up(appInputs({ timeouts: { createSeconds: 1 } })));
        expect(error.message).toMatch(/is listed but cannot be read: run the same command again/);
        expect(stack.resource!.outputs.appId).toBe(id);
        cloud.api.faults.clear();
        await stack.up(appInputs());
        expect(theApp()).toMatchObject({ id, state: "RUNNING" });
    });

    it("one that cannot become what is wanted now is deleted before another is made", async () => {
        const id = await killedCreation();
        cloud.watch(label());
        const { stack } = await upStack({ region: "BHS" });
        expect(stack.resource!.id).not.toBe(id);
        expect(theApp().id).toBe(stack.resource!.id);
        expect(cloud.mostAlive()).toBe(1);
    });

    it("nor is another made beside it while it only seems to be gone", async () => {
        await killedCreation();
        cloud.watch(label());
        cloud.api.faults.add({ method: "GET", path: "/ai/app/[^/]+$", kind: "status", status: 404, times: 3 });
        const { stack } = await upStack({ region: "BHS" });
        expect(theApp().id).toBe(stack.resource!.id);
        expect(cloud.mostAlive()).toBe(1);
    });

    it("one that is on its way out is left to go", async () => {
        const id = await killedCreation();
        const gone = cloud.api.deleteApp(id);
        const { stack } = await upStack();
        await gone;
        expect(theApp().id).toBe(stack.resource!.id);
    });

    it("two runs at once end with one app, and both know it", async () => {
        const stacks = [new Stack(provider), new Stack(provider)];
        // Neither sees the other's at first.
        cloud.api.faults.add({ method: "GET", path: "/app$", kind: "stale", staleMs: 60_000, times: 2 });
        const other = await startProvider(cloud.env);
        const second = new Stack(other);
        await Promise.all([stacks[0].up(appInputs()), second.up(appInputs())]);
        await other.close();
        expect(stacks[0].resource!.outputs.appId).toBe(theApp().id);
        expect(second.resource!.outputs.appId).toBe(theApp().id);
    });

    it("another stack's app is left alone", async () => {
        const { id } = await upStack();
        const other = new Stack(provider);
        await other.up(appInputs({ adoptionLabel: `other-${label()}` }));
        expect(other.resource!.id).not.toBe(id);
        await other.destroy();
        expect(theApp().id).toBe(id);
    });

    it("adopt takes over the app named, and labels it", async () => {
        const { id } = await upStack({ adoptionLabel: `elsewhere-${label()}` });
        const stack = new Stack(provider);
        await stack.up(appInputs({ adopt: id }));
        expect(stack.resource!.id).toBe(id);
        expect(cloud.labelled(label()).map((app) => app.id)).toEqual([id]);
        expect(await stack.preview(appInputs({ adopt: id }))).toBe("same");
        expect(await stack.preview(appInputs())).toBe("same");
    });

    it("adopt refuses what cannot become what is wanted, and changes nothing", async () => {
        const { id } = await upStack({ adoptionLabel: `elsewhere-${label()}` });
        const since = cloud.mark();
        const error = await failure(new Stack(provider).up(appInputs({ adopt: id, region: "BHS" })));
        expect(error.message).toMatch(/differs in what cannot be changed: give the name \(test-app\), region \(GRA\)/);
        expect(writes(since())).toEqual([]);
    });
});

describe("update", () => {
    it("only the calls that are needed, in an order that leaves no gap", async () => {
        const { stack, id } = await upStack();
        const since = cloud.mark();
        await stack.up(
            appInputs({
                image: "vllm/vllm-openai:v0.13.1",
                labels: { team: "ml" },
                scalingStrategy: { fixed: { replicas: 2 } },
            }),
        );
        expect(writes(since())).toEqual([
            `PUT /ai/app/${id}/label`,
            `PUT /ai/app/${id}`,
            `PUT /ai/app/${id}/scalingstrategy`,
            `PUT /ai/app/${id}/label`,
        ]);
    });

    it("goes on where it stopped", async () => {
        const { stack, id } = await upStack();
        const args = appInputs({ envVars: { A: "1" }, scalingStrategy: { fixed: { replicas: 2 } } });
        cloud.api.faults.add({ method: "PUT", path: "/scalingstrategy$", kind: "status", status: 400 });
        expect(await failure(stack.up(args))).toBeInstanceOf(InitFailed);
        cloud.api.faults.clear();
        const since = cloud.mark();
        await stack.up(args);
        expect(writes(since())).toEqual([`PUT /ai/app/${id}/scalingstrategy`]);
    });

    it("a PUT whose answer is lost is not sent again", async () => {
        const { stack, id } = await upStack();
        cloud.api.faults.add({ method: "PUT", path: "/app/[^/]+$", kind: "commit-then-drop", times: 1 });
        const since = cloud.mark();
        await stack.up(appInputs({ image: "vllm/vllm-openai:v0.13.1" }));
        expect(writes(since())).toEqual([`PUT /ai/app/${id}`]);
    });

    it("what a read that lags does not show yet is not sent again", async () => {
        const { stack, id } = await upStack();
        await new Promise((resolve) => setTimeout(resolve, 100));
        cloud.api.faults.add({ method: "GET", path: "/ai/app/", kind: "stale", staleMs: 50, times: 3 });
        const since = cloud.mark();
        await stack.up(appInputs({ image: "vllm/vllm-openai:v0.13.1" }));
        expect(writes(since())).toEqual([`PUT /ai/app/${id}`]);
    });

    it("waits for the new replicas, not for the old ones that still run", async () => {
        const { stack } = await upStack();
        cloud.script({ lines: ["api_server.py: error: unrecognized arguments: --no-such-flag"], exitCode: 2 });
        const error = await failure(stack.up(appInputs({ command: ["vllm", "serve", "--no-such-flag"] })));
        expect(error.message).toMatch(/is FAILED[^]*unrecognized arguments: --no-such-flag[^]*The command is wrong/);
    });

    it("stopped outside: an up without refresh starts it", async () => {
        const { stack, id } = await upStack();
        await cloud.outside(id, "stop outside");
        expect(await stack.preview(appInputs())).toBe("update");
        await stack.up(appInputs());
        expect(theApp()).toMatchObject({ id, state: "RUNNING" });
    });

    it("deleted outside: an up without refresh makes a new one", async () => {
        const { stack, id } = await upStack();
        await cloud.outside(id, "delete outside");
        expect(await stack.preview(appInputs())).toBe("replace");
        await stack.up(appInputs());
        expect(theApp().id).not.toBe(id);
    });

    it("an outage in a preview changes nothing of what it says", async () => {
        const { stack } = await upStack();
        cloud.api.faults.add({ kind: "status", status: 503 });
        expect(await stack.preview(appInputs())).toBe("same");
        cloud.api.faults.clear();
        cloud.api.faults.add({ method: "GET", path: "/ai/app", kind: "status", status: 404 });
        expect(await stack.preview(appInputs())).toBe("same");
    });
});

describe("a change of the scaling alone", () => {
    /** Four replicas take all the GPUs that there are: more wait for ever. */
    const scaled = (replicas: number): Bag => ({
        resources: { flavor: "h100-1-gpu", gpu: 4 },
        scalingStrategy: { fixed: { replicas } },
    });

    it("ends once it is taken, though no GPU is free for what it asks for", async () => {
        const { stack, id } = await upStack(scaled(4));
        while (stack.resource!.outputs.availableReplicas < 4) await stack.refresh();
        await stack.up(appInputs(scaled(5)));
        expect(theApp()).toMatchObject({ id, state: "SCALING" });
        expect(stack.resource!.outputs).toMatchObject({ state: "SCALING", availableReplicas: 4, revision: 1 });
        expect(await stack.preview(appInputs(scaled(5)))).toBe("same");
        await stack.up(appInputs(scaled(6)));
        expect(theApp()).toMatchObject({ id, state: "SCALING" });
        await stack.up(appInputs(scaled(4)));
        while (theApp().state !== "RUNNING") await sleep(5);
        await stack.refresh();
        expect(stack.resource!.outputs).toMatchObject({ state: "RUNNING", availableReplicas: 4, revision: 1 });
        expect(await stack.preview(appInputs(scaled(4)))).toBe("same");
    });

    it("a creation ends as soon as one of its replicas serves, a change that restarts them when all of the new ones do", async () => {
        const { stack, id } = await upStack({ scalingStrategy: { fixed: { replicas: 3 } } });
        expect(["SCALING", "RUNNING"]).toContain(stack.resource!.outputs.state);
        expect(stack.resource!.outputs.availableReplicas).toBeGreaterThanOrEqual(1);
        expect(await stack.preview(appInputs({ scalingStrategy: { fixed: { replicas: 3 } } }))).toBe("same");
        const next = { scalingStrategy: { fixed: { replicas: 3 } }, command: ["vllm", "serve", "another/model"] };
        await stack.up(appInputs(next));
        expect(theApp().id).toBe(id);
        expect(stack.resource!.outputs).toMatchObject({ state: "RUNNING", availableReplicas: 3 });
    });

    it("does not end the wait for an app that has never been up", async () => {
        const slow = { readinessProbe: { path: "/v1/models", port: 8000, initialDelaySeconds: 1_000_000 } };
        const stack = new Stack(provider);
        const short = { ...slow, timeouts: { createSeconds: 0.1, updateSeconds: 0.1 } };
        await failure(stack.up(appInputs(short)));
        const scaling = { scalingStrategy: { fixed: { replicas: 2 } } };
        expect((await failure(stack.up(appInputs({ ...short, ...scaling })))).message).toMatch(/after the time-out/);
    });
});

describe("an app that is not waited for", () => {
    const later = { waitUntilRunning: false };
    const readyArgs = (app: Stack, changes: Bag = {}): Bag => {
        const { appId, revision } = app.resource!.outputs;
        return { appId, revision, ...changes };
    };

    it("is there, with its address, before it runs; AppReady waits for the rest", async () => {
        const { stack, id } = await upStack(later);
        expect(stack.resource!.outputs).toMatchObject({ appId: id, url: theApp().url, revision: 1 });
        expect(stack.resource!.outputs.url).toMatch(/^https:/);
        const ready = new Stack(provider, "appReady", false);
        await ready.up(readyArgs(stack));
        expect(theApp().state).toBe("RUNNING");
        expect(ready.resource!.outputs.state).toBe("RUNNING");
        expect(await ready.preview(readyArgs(stack))).toBe("same");
        expect(await stack.preview(appInputs(later))).toBe("same");
        await ready.refresh();
        expect(await ready.preview(readyArgs(stack))).toBe("same");
        const since = cloud.mark();
        await ready.destroy();
        expect(since()).toEqual([]);
    });

    it("that fails fails its AppReady alone, in the words of a waiting app; the next up starts it and waits again", async () => {
        const secret = appInputs().envVars.HF_TOKEN as string;
        cloud.script({ lines: [`huggingface_hub.errors.GatedRepoError: 401, not with ${secret}`], exitCode: 1 });
        const settingNames = { HF_TOKEN: "huggingFaceToken" };
        const { stack, id } = await upStack(later);
        const ready = new Stack(provider, "appReady", false);
        const error = await failure(ready.up(readyArgs(stack, { settingNames })));
        expect(error.message).toMatch(
            /^app test-app \(.*\) is FAILED[^]*GatedRepoError[^]*the account of huggingFaceToken/,
        );
        expect(error.message).not.toContain(secret);
        expect(ready.resource).toBeUndefined();
        expect(theApp()).toMatchObject({ id, state: "FAILED" });

        cloud.script({});
        expect(await stack.preview(appInputs(later))).toBe("update");
        await stack.up(appInputs(later));
        expect(stack.resource!.outputs).toMatchObject({ appId: id, revision: 2 });
        await ready.up(readyArgs(stack));
        expect(theApp()).toMatchObject({ id, state: "RUNNING" });
    });

    it("a change that restarts replicas is waited for again, and the old replicas do not count", async () => {
        const { stack } = await upStack(later);
        const ready = new Stack(provider, "appReady", false);
        await ready.up(readyArgs(stack));
        await stack.up(appInputs({ ...later, scalingStrategy: { fixed: { replicas: 2 } } }));
        expect(await ready.preview(readyArgs(stack))).toBe("same");

        cloud.script({ lines: ["api_server.py: error: unrecognized arguments: --no-such-flag"], exitCode: 2 });
        const bad = { ...later, command: ["vllm", "serve", "--no-such-flag"] };
        await stack.up(appInputs(bad));
        expect(await ready.preview(readyArgs(stack))).toBe("update");
        expect((await failure(ready.up(readyArgs(stack)))).message).toMatch(/unrecognized arguments: --no-such-flag/);
        // Nothing of it is forgotten: it is waited for until it serves.
        cloud.script({});
        await stack.up(appInputs(later));
        await ready.up(readyArgs(stack));
        expect(theApp().state).toBe("RUNNING");
    });

    it("wanted stopped, it is waited for all the same, since it is billed until then", async () => {
        await upStack({ ...later, desiredState: "STOPPED" });
        expect(theApp().state).toBe("STOPPED");
    });

    it("a wait that is out of time says by which setting it is bound, and what the platform waits for", async () => {
        const { stack } = await upStack({
            ...later,
            readinessProbe: { path: "/v1/models", port: 8000, initialDelaySeconds: 1_000_000 },
        });
        const args = readyArgs(stack, {
            timeouts: { createSeconds: 0.1 },
            settingNames: { timeouts: "models.chat.timeouts" },
        });
        const { message } = await failure(new Stack(provider, "appReady", false).up(args));
        expect(message).toMatch(/after the time-out \(.+\): it goes on and may be billed/);
        expect(message).toMatch(
            /\(models\.chat\.timeouts\.createSeconds and models\.chat\.timeouts\.updateSeconds raise/,
        );
    });
});

describe("form", () => {
    const stored = (id: string) => cloud.api.stored().find((app) => app.id === id)!.spec;

    it("what the platform writes otherwise after an up is no drift", async () => {
        const { stack, id } = await upStack();
        const spec = stored(id);
        spec.region = "gra";
        spec.image = `docker.io/${spec.image}`;
        spec.unsecureHttp = null;
        spec.volumes = [
            { mountPath: "/platform", permission: "RO", cache: true, standalone: { name: "x" } },
            { mountPath: "/hub/", permission: "RW", volumeSource: null, standalone: { name: "volume-1" } },
        ];
        await stack.refresh();
        expect(stack.resource!.inputs).toMatchObject(appInputs({ adoptionLabel: label() }));
        expect(await stack.preview(appInputs())).toBe("same");
        const since = cloud.mark();
        await stack.up(appInputs());
        expect(writes(since())).toEqual([]);
    });

    it("not even what no call can change, and nobody understands", async () => {
        const { stack, id } = await upStack();
        Object.assign(stored(id), { name: "ovh-1", region: "EU", volumes: [], unsecureHttp: true, partnerId: "p" });
        await stack.refresh();
        expect(await stack.preview(appInputs())).toBe("same");
    });

    it("an interrupted creation never deletes its own app for it", async () => {
        const id = await killedCreation();
        Object.assign(stored(id), { name: "ovh-1", region: "EU", volumes: [], unsecureHttp: true, partnerId: "p" });
        const since = cloud.mark();
        const { stack } = await upStack();
        expect(stack.resource!.id).toBe(id);
        expect(writes(since())).toEqual([]);
    });

    it("a probe that was added since cannot be taken away by taking the app over", async () => {
        const id = await killedCreation({ readinessProbe: undefined });
        await failure(new Stack(provider).up(appInputs(), { crash: true }));
        expect(theApp().id).toBe(id);
        const { stack } = await upStack({ readinessProbe: undefined });
        expect(stack.resource!.id).not.toBe(id);
        expect(stored(stack.resource!.id).probe).toBeNull();
    });

    it("a list that writes apps otherwise than they are shown alone is no change", async () => {
        const { stack, id } = await upStack();
        await sleep(50);
        const since = Date.now();
        await sleep(1000);
        await stack.up(appInputs({ image: "vllm/vllm-openai:v0.13.1" }));
        // The list still has the image of before.
        cloud.api.faults.add({ method: "GET", path: "/ai/app$", kind: "stale", staleMs: Date.now() - since, times: 1 });
        expect(await stack.preview(appInputs({ image: "vllm/vllm-openai:v0.13.1" }))).toBe("same");
        expect(stack.resource!.id).toBe(id);
    });
});

describe("names of settings", () => {
    it("what the region does not offer is refused by the key as one types it, without a value of nothing", async () => {
        const settingNames = { "resources.flavor": "models.chat.flavor", region: "models.chat.region" };
        const args = { settingNames, resources: { flavor: "h200-1-gpu", gpu: 1 } };
        const { failures } = await provider.check({}, { ...appInputs(args), __provider: stub("app") });
        expect(failures).toEqual([
            { property: "", reason: expect.stringMatching(/^models\.chat\.flavor "h200-1-gpu" does not exist in GRA/) },
        ]);
    });
});

describe("replacement", () => {
    it("is told in words, with what it costs, by the setting that asks for it", async () => {
        const { stack, id } = await upStack();
        await stack.preview(appInputs({ region: "BHS", settingNames: { region: "models.chat.region" } }));
        const said = expect.poll(() => provider.output());
        await said.toMatch(
            new RegExp(
                `test-app \\(${id}\\) is REPLACED by this change of models\\.chat\\.region: the app is deleted before the ` +
                    "new one starts: nothing serves for about \\d+ min, as its last start took",
            ),
        );
        await stack.preview(appInputs({ name: "other", replaceFirst: true }));
        await said.toMatch(/this change of name: the new app comes up first/);
    });

    it("the other way round, the old app goes only when the new one serves, and not while that fails", async () => {
        const later = { waitUntilRunning: false };
        const { stack, id } = await upStack(later, false);
        const ready = new Stack(provider, "appReady", false);
        const before = (): Promise<void> => {
            const { appId, revision } = stack.resource!.outputs;
            return ready.up({ appId, revision });
        };
        await stack.up(appInputs(later), { before });
        cloud.script({ lines: ["torch.OutOfMemoryError: CUDA out of memory"], exitCode: 1 });
        const moved = { ...later, region: "BHS" };
        expect((await failure(stack.up(appInputs(moved), { before }))).message).toMatch(/CUDA out of memory/);
        // The old one serves on, and both are known.
        const next = stack.resource!.id;
        expect(next).not.toBe(id);
        expect(cloud.api.apps().find((app) => app.id === id)!.state).toBe("RUNNING");
        expect(stack.pending.map((one) => one.id)).toEqual([id]);
        cloud.script({});
        await stack.up(appInputs(moved), { before });
        expect(theApp()).toMatchObject({ id: next, state: "RUNNING" });
    });

    it("the other way round, a deletion of the old app that is interrupted is gone on with", async () => {
        const { stack, id } = await upStack({}, false);
        cloud.api.faults.add({ method: "DELETE", kind: "status", status: 403, times: 1 });
        await failure(stack.up(appInputs({ region: "BHS" })));
        expect(cloud.api.apps()).toHaveLength(2);
        await stack.up(appInputs({ region: "BHS" }));
        expect(theApp()).toMatchObject({ id: stack.resource!.id, state: "RUNNING" });
        expect(theApp().id).not.toBe(id);
    });

    it("deletes first: never two apps", async () => {
        const { stack, id } = await upStack();
        cloud.watch(label());
        await stack.up(appInputs({ region: "BHS" }));
        expect(theApp().id).not.toBe(id);
        expect(cloud.mostAlive()).toBe(1);
    });

    it("the other way round, the new app is not the old one, and outlives it", async () => {
        const { stack, id } = await upStack({}, false);
        await stack.up(appInputs({ readinessProbe: undefined }));
        expect(theApp().id).not.toBe(id);
        expect(theApp()).toMatchObject({ id: stack.resource!.id, state: "RUNNING" });
    });

    it("forced the other way round, without a word to the provider, the app at least stays", async () => {
        const { stack, id } = await upStack({}, false);
        await stack.up(appInputs(), { replace: true });
        expect(theApp()).toMatchObject({ id, state: "RUNNING" });
        expect(stack.resource!.id).toBe(id);
    });

    it("killed after the new app was made, it goes on with that", async () => {
        const { stack } = await upStack({}, false);
        await failure(stack.up(appInputs({ region: "BHS" }), { crash: true }));
        expect(cloud.api.apps()).toHaveLength(2);
        await stack.up(appInputs({ region: "BHS" }));
        expect(theApp().id).toBe(stack.resource!.id);
    });

    it("killed after the new app was made, then taken back: the leftover goes", async () => {
        const { stack, id } = await upStack({}, false);
        await failure(stack.up(appInputs({ region: "BHS" }), { crash: true }));
        await stack.up(appInputs());
        expect(theApp().id).toBe(id);
    });
});

describe("an engine that is killed", () => {
    it("takes the provider along: half a deletion is not finished on an app that the next run has started", async () => {
        const slow = await startTestCloud({ speed: 20 });
        const first = await startProvider(slow.env);
        const stack = new Stack(first);
        await stack.up(appInputs());
        void stack.destroy().catch(() => undefined);
        while (slow.api.apps()[0].state !== "STOPPING") await new Promise((resolve) => setTimeout(resolve, 5));
        await first.loseEngine();
        const second = await startProvider(slow.env);
        const next = new Stack(second);
        next.resource = stack.resource;
        await next.up(appInputs());
        expect(slow.api.apps()).toMatchObject([{ id: stack.resource!.id, state: "RUNNING" }]);
        await second.close();
        await slow.close();
    });
});

describe("refresh", () => {
    it("shows what drifted, and the up mends it", async () => {
        const { stack } = await upStack();
        const stored = cloud.api.stored().find(({ id }) => id === stack.resource!.id)!;
        stored.spec.image = "vllm/vllm-openai:v0.13.9";
        await stack.refresh();
        expect(stack.resource!.inputs.image).toBe("vllm/vllm-openai:v0.13.9");
        expect(await stack.preview(appInputs())).toBe("update");
        await stack.up(appInputs());
        expect(stored.spec.image).toBe("vllm/vllm-openai:v0.13.0");
    });

    it("replicas that the scaling added are no drift", async () => {
        const { stack } = await upStack({ scalingStrategy: { fixed: { replicas: 2 } } });
        await stack.refresh();
        expect(await stack.preview(appInputs({ scalingStrategy: { fixed: { replicas: 2 } } }))).toBe("same");
    });

    it.each<[string, FaultRule]>([
        ["503", { kind: "status", status: 503 }],
        ["404 on everything, as with a wrong project", { kind: "status", status: 404 }],
        ["403", { kind: "status", status: 403 }],
        ["no answer", { kind: "drop" }],
    ])("%s empties no state", async (_what, fault) => {
        const { stack, id } = await upStack();
        cloud.api.faults.add(fault);
        expect((await failure(stack.refresh())).message).toMatch(/^reading app test-app \(.*\): GET \/ai\/app/);
        expect(stack.resource!.id).toBe(id);
    });

    it("a 404 for an app that is listed empties no state", async () => {
        const { stack } = await upStack();
        cloud.api.faults.add({ method: "GET", path: "/ai/app/", kind: "status", status: 404 });
        expect((await failure(stack.refresh())).message).toMatch(/is listed but cannot be read/);
        expect(stack.resource).toBeDefined();
    });

    it("an app that is gone leaves the state", async () => {
        const { stack, id } = await upStack();
        await cloud.outside(id, "delete outside");
        await stack.refresh();
        expect(stack.resource).toBeUndefined();
    });
});

describe("delete", () => {
    it("stops, deletes, and waits for the end", async () => {
        const { stack, id } = await upStack();
        const since = cloud.mark();
        await stack.destroy();
        expect(cloud.api.apps()).toEqual([]);
        expect(writes(since())).toEqual([`PUT /ai/app/${id}/stop`, `DELETE /ai/app/${id}`]);
    });

    it.each([
        ["DELETE", "between its stop and its deletion"],
        ["GET", "between two looks"],
    ])(
        "an app that somebody starts is stopped again, not left to run until it is forced (no %s: %s)",
        async (method) => {
            const { stack, id } = await upStack();
            const since = cloud.mark();
            const destroyed = stack.destroy();
            const stops = () => writes(since()).filter((call) => call === `PUT /ai/app/${id}/stop`);
            while (stops().length === 0) await sleep(1);
            cloud.api.faults.add({ method, path: "/ai/app", kind: "status", status: 503 });
            while (theApp().state !== "STOPPED") await sleep(1);
            await fetch(`${cloud.api.url}/cloud/project/${projectId}/ai/app/${id}/start`, {
                method: "PUT",
                headers: { authorization: `Bearer ${cloud.accessToken}` },
            });
            cloud.api.faults.clear();
            await destroyed;
            expect(cloud.api.apps()).toEqual([]);
            expect(writes(since()).filter((call) => call.includes("force"))).toEqual([]);
            expect(stops()).toHaveLength(2);
        },
    );

    it("gone already is success", async () => {
        const { stack, id } = await upStack();
        await cloud.outside(id, "delete outside");
        await stack.destroy();
        expect(stack.resource).toBeUndefined();
    });

    it("an app that waits in the queue goes too", async () => {
        const slow = await startTestCloud({ speed: 20 });
        const own = await startProvider(slow.env);
        const stack = new Stack(own);
        const failed = await failure(stack.up(appInputs({ timeouts: { createSeconds: 0.05 } })));
        expect(failed.message).toMatch(
            /is QUEUED after the time-out \(the app waits for resources\): it goes on and may be billed/,
        );
        await stack.destroy();
        expect(slow.api.apps()).toEqual([]);
        await own.close();
        await slow.close();
    });

    it("a wrong project is no reason to forget an app", async () => {
        const { stack } = await upStack();
        cloud.api.faults.add({ kind: "status", status: 404 });
        expect((await failure(stack.destroy())).message).toMatch(/deleting app test-app[^]*check the project id/);
        expect(stack.resource).toBeDefined();
    });

    it("a DELETE that did not find the app is sent again", async () => {
        const { stack, id } = await upStack();
        cloud.api.faults.add({ method: "DELETE", kind: "status", status: 404, times: 1 });
        const since = cloud.mark();
        await stack.destroy();
        expect(writes(since())).toEqual([`PUT /ai/app/${id}/stop`, `DELETE /ai/app/${id}`, `DELETE /ai/app/${id}`]);
    });

    it("an app that is listed but cannot be read is not forgotten", async () => {
        const { stack } = await upStack({ timeouts: { deleteSeconds: 0.2 } });
        cloud.api.faults.add({ method: "GET", path: "/ai/app/", kind: "status", status: 404 });
        expect((await failure(stack.destroy())).message).toMatch(/is listed but cannot be read/);
        expect(stack.resource).toBeDefined();
    });

    it("a leftover beside it goes too", async () => {
        const { stack } = await upStack({}, false);
        await failure(stack.up(appInputs({ region: "BHS" }), { crash: true }));
        expect(cloud.api.apps()).toHaveLength(2);
        await stack.destroy();
        expect(cloud.api.apps()).toEqual([]);
    });
});

it("every request and answer kept to the published structure", () => {
    expect(cloud.api.violations()).toEqual([]);
});
