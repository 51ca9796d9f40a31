import { describe, expect, it } from "vitest";
import * as life from "../../../packages/ai-deploy/src/app/lifecycle";
import { answerFault } from "../../../packages/ai-deploy/src/api/answers";
import { pathOf } from "../../../packages/ai-deploy/src/app/find";
import type { AppOutputs, InitError } from "../../../packages/ai-deploy/src/app/state";
import { isUp } from "../../../packages/ai-deploy/src/app/wait";
import type { AppInputs } from "../../../packages/ai-deploy/src/app/args";
import type { Context } from "../../../packages/ai-deploy/src/process/context";
import { createBody } from "../../../packages/ai-deploy/src/app/plan";
import { MalformedAnswerError } from "../../../packages/ai-deploy/src/errors/request-errors";
import type { LiveApp } from "../../../packages/ai-deploy/src/app/live";
import { appInputs } from "./inputs";

const id = "00000000-0000-4000-8000-000000000001";
const inputs = inputsWithin(60);
/** For a wait that has to run out. One that has not to would run out too on a busy machine. */
const impatient = inputsWithin(0.05);

function inputsWithin(seconds: number): AppInputs {
    const timeouts = { createSeconds: seconds, updateSeconds: seconds };
    return appInputs({ serviceName: "p", timeouts }) as unknown as AppInputs;
}

/** The app as the platform would show it. */
function live(status: object = {}): object {
    const spec = JSON.parse(JSON.stringify(createBody(inputs))) as object;
    return { id, spec, status: { state: "RUNNING", availableReplicas: 1, url: "https://app.example.org", ...status } };
}

/** A platform that answers each kind of call with the next of its answers, the last one for ever. */
function platform(answers: { list?: unknown[]; get?: unknown[]; post?: unknown[] }) {
    const posts: object[] = [];
    /** As the real client hands answers on: none that is not as the API says. */
    const next = async (operation: string, from: unknown[] = [[]]): Promise<unknown> => {
        const answer = from.length > 1 ? from.shift() : from[0];
        const fault = answerFault(operation, answer);
        if (fault) throw new MalformedAnswerError(operation, fault, JSON.stringify(answer) ?? "", answer);
        return answer;
    };
    const look = (path: string) =>
        path.includes("labelSelector") ? next("GET /ai/app", answers.list) : next("GET /ai/app/ID", answers.get);
    const context = {
        client: {
            get: look,
            glance: look,
            post: (_path: string, body: object) => (posts.push(body), next("POST /ai/app", answers.post)),
            put: () => Promise.resolve(),
            putOnce: () => Promise.resolve(),
        },
        poller: {
            pauseMs: () => 0,
            async until<T>(look: () => Promise<T | undefined>): Promise<T> {
                for (;;) {
                    const value = await look();
                    if (value !== undefined) return value;
                    await new Promise((resolve) => setTimeout(resolve, 1));
                }
            },
        },
        progress: () => undefined,
        run: { fromState: new Set(), fromCreate: new Set(), restarts: new Map(), removed: new Set() },
    } as unknown as Context;
    return { context, posts };
}

const noApps = [undefined, {}, null, 5, "text", [null], [{}], [{ id }], { id: "../../evil" }];

async function failure(run: Promise<unknown>): Promise<InitError> {
    return run.then(
        () => Promise.reject(new Error("it should have failed")),
        (error: InitError) => error,
    );
}

describe("an answer that is not what it should be", () => {
    it.each([{}, null, { resources: null }, undefined])(
        "the id in the answer to a POST is kept, its spec being %j",
        async (spec) => {
            const { context, posts } = platform({ post: [{ id, spec }], get: [{}, null, live()] });
            const { outs } = await life.create(context, inputs);
            expect(outs).toMatchObject({ appId: id, state: "RUNNING" });
            expect(posts).toHaveLength(1);
        },
    );

    it("nor is it lost when the app can never be read", async () => {
        const { context, posts } = platform({ post: [{ id, spec: {} }], get: [{}] });
        const error = await failure(life.create(context, impatient));
        expect(error).toMatchObject({ id, properties: { appId: id, unsettled: true } });
        expect(error.message).toMatch(/creating app test-app.*OVHcloud's answer is not as its API says/);
        expect(posts).toHaveLength(1);
    });

    it.each(noApps)(
        "a POST answered with %j is followed by looks, and the app that it made is found",
        async (answer) => {
            const { context, posts } = platform({ post: [answer], list: [[], [], [live()]], get: [live()] });
            expect((await life.create(context, inputs)).outs.appId).toBe(id);
            expect(posts).toHaveLength(1);
        },
    );

    it.each([{}, null, 5, [null], [{}], undefined, [{ id, spec: {} }]])(
        "a list that is %j makes no app",
        async (list) => {
            const { context, posts } = platform({ list: [list] });
            const error = await failure(life.create(context, impatient));
            expect(error.message).toMatch(/OVHcloud's answer is not as its API says/);
            expect(error.message).not.toMatch(/TypeError|undefined|reading/);
            expect(posts).toEqual([]);
        },
    );

    it.each(noApps)("a GET answered with %j is no absence, and no TypeError", async (answer) => {
        const known = { ...impatient, appId: id } as AppOutputs;
        for (const run of [
            life.read(platform({ get: [answer] }).context, id, known),
            life.update(platform({ get: [answer] }).context, id, known, impatient),
        ]) {
            expect((await failure(run)).message).toMatch(/OVHcloud's answer is not as its API says/);
        }
        const plan = await life.diff(platform({ get: [answer] }).context, id, known, impatient);
        expect(plan).toEqual({ changes: false, replaces: [] });
    });

    it("an id is part of a path only if the contract calls it one", () => {
        expect(pathOf({ serviceName: "p" }, id)).toBe(`/cloud/project/p/ai/app/${id}`);
        for (const odd of ["../../../../evil", "", `${id}/stop`, `${id}?force=true`, "app-1"]) {
            expect(() => pathOf({ serviceName: "p" }, odd)).toThrow(/is no id of OVHcloud's API/);
        }
        expect(pathOf({ serviceName: "../evil?x" })).toBe("/cloud/project/..%2Fevil%3Fx/ai/app");
    });
});

describe("an address", () => {
    it("is waited for, also where nothing else is", async () => {
        const get = [
            live({ state: "QUEUED", url: null }),
            live({ state: "INITIALIZING", url: "" }),
            live({ state: "INITIALIZING" }),
        ];
        const { context } = platform({ post: [live({ state: "QUEUED", url: null })], get });
        const { outs } = await life.create(context, { ...inputs, waitUntilRunning: false });
        expect(outs).toMatchObject({ state: "INITIALIZING", url: "https://app.example.org" });
    });
});

describe("up", () => {
    it.each<[string, object, boolean, boolean]>([
        ["RUNNING", {}, true, true],
        ["SCALING", { availableReplicas: 1 }, true, false],
        ["SCALING", { availableReplicas: 0 }, false, false],
        ["QUEUED", { availableReplicas: 0 }, false, false],
        ["INITIALIZING", {}, false, false],
        ["STANDBY", {}, false, false],
        ["FAILED", {}, false, false],
    ])("is %s with %j: %s, and after a restart %s", (state, status, up, restarted) => {
        const app = live({ state, ...status }) as LiveApp;
        expect([isUp(app), isUp(app, true)]).toEqual([up, restarted]);
    });

    it("is STANDBY where it may scale to zero", () => {
        const app = live({ state: "STANDBY" }) as LiveApp;
        app.spec.scalingStrategy = { automatic: { replicasMin: 0 } };
        expect(isUp(app)).toBe(true);
    });

    it("a creation ends when some replicas serve, though more are wanted", async () => {
        const scaling = live({ state: "SCALING", availableReplicas: 1 });
        const { context } = platform({ post: [live({ state: "QUEUED" })], get: [scaling] });
        expect((await life.create(context, inputs)).outs).toMatchObject({ state: "SCALING", availableReplicas: 1 });
    });
});
