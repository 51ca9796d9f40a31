import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { actionPrefix, actions } from "../../access/actors";
import type { AppInputs } from "../../packages/ai-deploy/src/app/args";
import { createBody } from "../../packages/ai-deploy/src/app/plan";
import { appHours } from "../../src/inference/app-hours";
import { OvhApi } from "../../src/monitoring/pod-api";
import type { LimitsSettings, ModelSettings } from "../../src/settings";
import { appInputs } from "../ai-deploy/app/inputs";
import { startTestCloud, type TestCloud } from "../ai-deploy/cloud";
import {
    appPath,
    asAccount,
    controllerOf,
    modelSettings,
    office,
    runningApp,
    serviceAccount,
    startPrometheus,
    stateOf,
    until,
} from "./world";

let cloud: TestCloud;
let credential: { clientId: string; clientSecret: string };

beforeAll(async () => {
    cloud = await startTestCloud();
    credential = await serviceAccount(cloud);
});
afterAll(() => cloud.close());
afterEach(() => cloud.reset());

async function world(
    settings: Partial<ModelSettings>,
    limits: LimitsSettings & { prometheus?: string } = {},
    price = 2.5,
) {
    const model = modelSettings(settings);
    const app = await runningApp(cloud, model, limits);
    const kept = { settings: model, limits, price };
    return {
        ...app,
        ...controllerOf(cloud, app, credential, kept),
        again: () => controllerOf(cloud, app, credential, kept),
    };
}

const limitsOf = (id: string): number[] => {
    const { replicasMin, replicasMax } = cloud.api.stored().find((app) => app.id === id)!.spec.scalingStrategy
        .automatic;
    return [replicasMin as number, replicasMax as number];
};
const writes = (since: () => { method: string; path: string }[]): string[] =>
    since()
        .filter(({ method, path }) => method !== "GET" && !path.endsWith("/token"))
        .map(({ method, path }) => `${method} ${path.replace(/.*\/ai\/app\/[^/]+/, "")}`);

describe("hours", () => {
    it("an entry's limits from its first minute to its last, the model's own outside; each round after does nothing", async () => {
        const { id, at, value } = await world({ schedule: [office] });
        const seen: [string, number[]][] = [
            ["2026-11-23T06:59:59Z", [1, 2]],
            ["2026-11-23T07:00:00Z", [2, 4]],
            ["2026-11-23T17:59:59Z", [2, 4]],
            ["2026-11-23T18:00:00Z", [1, 2]],
            ["2026-11-28T12:00:00Z", [1, 2]],
        ];
        for (const [when, limits] of seen) {
            await at(when);
            expect(limitsOf(id), when).toEqual(limits);
            const since = cloud.mark();
            await at(when);
            expect(writes(since)).toEqual([]);
            expect(value('vllm_controller_applied{model="chat"}')).toBe(1);
        }
        expect(value('vllm_controller_changes_total{model="chat",kind="scale"}')).toBe(2);
    });

    it("one that was down does on its first round what it has missed", async () => {
        const { id, again } = await world({ schedule: [office] });
        await again().at("2026-11-23T12:00:00Z");
        expect(limitsOf(id)).toEqual([2, 4]);
        await again().at("2026-11-24T03:00:00Z");
        expect(limitsOf(id)).toEqual([1, 2]);
    });

    it("whatever else has set the limits, they are set back", async () => {
        const { id, at, hours } = await world({ schedule: [office] });
        const { strategy } = hours.scalings[0];
        await asAccount(cloud, "PUT", `/v1${appPath(id)}/scalingstrategy`, {
            automatic: { ...strategy.automatic, replicasMin: 3, replicasMax: 9 },
        });
        await at("2026-11-23T12:00:00Z");
        expect(limitsOf(id)).toEqual([2, 4]);
    });

    it("an app that other settings keep is left alone, and is told not to be as wanted", async () => {
        const { id, at, value, lines } = await world({ schedule: [office] });
        await asAccount(cloud, "PUT", `/v1${appPath(id)}/label`, { name: "pulumi-hours", value: "0123456789abcdef" });
        await at("2026-11-23T12:00:00Z");
        expect(limitsOf(id)).toEqual([1, 2]);
        expect(value('vllm_controller_applied{model="chat"}')).toBe(0);
        expect(lines.join()).toMatch(/left alone/);
    });

    it("an app that is stopped is neither scaled nor started", async () => {
        const { id, at } = await world({ schedule: [office] });
        await asAccount(cloud, "PUT", `/v1${appPath(id)}/stop`);
        await until(() => stateOf(cloud, id) === "STOPPED");
        await at("2026-11-23T12:00:00Z");
        expect(stateOf(cloud, id)).toBe("STOPPED");
    });
});

describe("leases", () => {
    const lease = { until: "2026-11-27T18:00:00+01:00" };

    it("the app runs up to the end, is stopped then, and keeps its address", async () => {
        const { id, at, value } = await world({ lease });
        const { url } = cloud.api.apps()[0];
        await at("2026-11-27T16:59:59Z");
        expect(stateOf(cloud, id)).toBe("RUNNING");
        await at("2026-11-27T17:00:00Z");
        await until(() => stateOf(cloud, id) === "STOPPED");
        await at("2026-11-27T17:00:30Z");
        expect(value('vllm_controller_applied{model="chat"}')).toBe(1);
        expect(value('vllm_controller_stopped{model="chat",why="lease"}')).toBe(1);
        expect(value('vllm_controller_lease_end_timestamp_seconds{model="chat"}')).toBe(Date.parse(lease.until) / 1000);
        const since = cloud.mark();
        await at("2026-11-27T17:01:00Z");
        expect(writes(since)).toEqual([]);
        expect(cloud.api.apps()[0].url).toBe(url);
    });

    it("ends though the controller was dead at the moment", async () => {
        const { id, again } = await world({ lease });
        await again().at("2026-11-27T12:00:00Z");
        await again().at("2026-11-29T08:00:00Z");
        await until(() => stateOf(cloud, id) === "STOPPED");
    });

    it("ends once the API is back after an hour, and until then tells that it is not done", async () => {
        const { id, at, value } = await world({ lease });
        cloud.api.faults.add({ path: "/ai/app", kind: "status", status: 503 });
        for (let minute = 0; minute < 60; minute++) {
            await at(`2026-11-27T17:${String(minute).padStart(2, "0")}:00Z`);
        }
        expect(stateOf(cloud, id)).toBe("RUNNING");
        expect(value('vllm_controller_failures_total{kind="server"}')).toBe(60);
        expect(value('vllm_controller_last_success_timestamp_seconds{model="chat"}')).toBeUndefined();
        cloud.api.faults.clear();
        await at("2026-11-27T18:00:00Z");
        await until(() => stateOf(cloud, id) === "STOPPED");
    });

    it("a stop whose answer is lost is not forgotten", async () => {
        const { id, at, value } = await world({ lease });
        cloud.api.faults.add({ method: "PUT", path: "/stop", kind: "drop", times: 1 });
        await at("2026-11-27T17:00:00Z");
        expect(value('vllm_controller_failures_total{kind="connection"}')).toBe(1);
        await at("2026-11-27T17:00:30Z");
        await until(() => stateOf(cloud, id) === "STOPPED");
    });
});

describe("limits of spend", () => {
    let prometheus: Awaited<ReturnType<typeof startPrometheus>>;
    beforeEach(async () => {
        prometheus = await startPrometheus();
    });
    afterEach(() => prometheus.close());

    const limit = (action: LimitsSettings["action"], eurosPerMonth = 1000) => ({
        eurosPerMonth,
        action,
        prometheus: prometheus.url,
    });
    const spent = 'vllm_controller_spend_euros{model="chat",month="2026-11"}';

    it("replica-hours times price, up to two minutes ago, and on from there", async () => {
        const { at, value } = await world({}, limit("warn"));
        await at("2026-11-11T00:02:00Z");
        expect(value(spent)).toBeCloseTo(10 * 24 * 2.5);
        prometheus.state.replicas = 3;
        await at("2026-11-11T10:02:30Z");
        expect(value(spent)).toBeCloseTo(10 * 24 * 2.5 + 10 * 3 * 2.5);
        expect(prometheus.expressions.at(-1)).toContain("[36000s:1m]");
    });

    it("one that is started anew counts on from what it finds of itself in Prometheus, which keeps less than a month", async () => {
        const { at, value } = await world({}, limit("warn"));
        prometheus.state.earlier = { euros: 700, until: Date.parse("2026-11-28T11:58:00Z") / 1000 };
        await at("2026-11-28T13:00:00Z");
        expect(value(spent)).toBeCloseTo(700 + 2.5);
    });

    it("what a model has cost that was renamed or taken away counts on to the end of the month", async () => {
        const { id, at, value } = await world({}, limit("scaleToMin", 1000));
        prometheus.state.earlier = { euros: 100, ofOthers: 950, until: Date.parse("2026-11-28T11:58:00Z") / 1000 };
        const ofBefore = 'vllm_controller_spend_euros{model="of-before",month="2026-11"}';
        for (const when of ["2026-11-28T12:00:00Z", "2026-11-28T13:00:00Z"]) {
            await at(when);
            expect(value(ofBefore), when).toBe(950);
            expect(limitsOf(id), when).toEqual([1, 1]);
        }
        await at("2026-12-01T00:30:00Z");
        expect(value(ofBefore.replace("11", "12"))).toBeUndefined();
        expect(limitsOf(id)).toEqual([1, 2]);
    });

    it("without the price of a replica it is not known what is spent, unless the rest has reached the limit", async () => {
        const settings = modelSettings();
        const limits = limit("stop", 10);
        const app = await runningApp(cloud, settings, limits);
        const unpriced = () => controllerOf(cloud, app, credential, { settings, limits });
        const { at, value, lines } = unpriced();
        await at("2026-11-23T12:00:00Z");
        expect(value("vllm_controller_spend_known")).toBe(0);
        expect(lines.join()).toContain("a replica of chat has no price");
        expect(stateOf(cloud, app.id)).toBe("RUNNING");

        prometheus.state.earlier = { ofOthers: 11, until: Date.parse("2026-11-23T11:58:00Z") / 1000 };
        const next = unpriced();
        await next.at("2026-11-23T12:00:00Z");
        expect(next.value("vllm_controller_spend_known")).toBe(1);
        await until(() => stateOf(cloud, app.id) === "STOPPED");
    });

    it("warn: nothing is done", async () => {
        const { id, at, value } = await world({}, limit("warn", 10));
        const since = cloud.mark();
        await at("2026-11-23T12:00:00Z");
        expect(writes(since)).toEqual([]);
        expect(limitsOf(id)).toEqual([1, 2]);
        expect(value("vllm_controller_spend_limit_euros")).toBe(10);
    });

    it("scaleToMin: the fewest replicas of the hour, until the next month", async () => {
        const { id, at } = await world({ schedule: [office] }, limit("scaleToMin", 10));
        await at("2026-11-23T12:00:00Z");
        expect(limitsOf(id)).toEqual([2, 2]);
        await at("2026-11-23T20:00:00Z");
        expect(limitsOf(id)).toEqual([1, 1]);
        await at("2026-12-01T00:30:00Z");
        expect(limitsOf(id)).toEqual([1, 2]);
    });

    it("stop: the app is stopped, and started again with the next month", async () => {
        const { id, at, value } = await world({}, limit("stop", 10));
        await at("2026-11-23T12:00:00Z");
        await until(() => stateOf(cloud, id) === "STOPPED");
        expect(value('vllm_controller_stopped{model="chat",why="spend"}')).toBe(1);
        await at("2026-12-01T00:30:00Z");
        await until(() => stateOf(cloud, id) === "RUNNING");
        await at("2026-12-01T00:31:00Z");
        expect(value('vllm_controller_applied{model="chat"}')).toBe(1);
    });

    it("stop: one that its settings stop is not started, though the controller has not heard of that yet", async () => {
        const limits = limit("stop", 10_000);
        const { id, at, lines } = await world({}, limits);
        await at("2026-11-23T12:00:00Z");
        // What `pulumi up` does for desiredState STOPPED, models before the cluster.
        const { mark: value } = appHours(modelSettings({ desiredState: "STOPPED" }), limits)!;
        await asAccount(cloud, "PUT", `/v1${appPath(id)}/label`, { name: "pulumi-hours", value });
        await asAccount(cloud, "PUT", `/v1${appPath(id)}/stop`);
        await until(() => stateOf(cloud, id) === "STOPPED");
        await at("2026-11-23T12:00:30Z");
        expect(stateOf(cloud, id)).toBe("STOPPED");
        expect(lines.at(-1)).toMatch(/left alone/);
    });

    it("while nobody knows what is spent, nothing is started or made larger", async () => {
        const stopping = await world({}, limit("stop", 10));
        await stopping.at("2026-11-23T12:00:00Z");
        await until(() => stateOf(cloud, stopping.id) === "STOPPED");
        prometheus.state.down = true;
        const next = stopping.again();
        await next.at("2026-11-24T12:00:00Z");
        expect(stateOf(cloud, stopping.id)).toBe("STOPPED");
        expect(next.value("vllm_controller_spend_known")).toBe(0);
        expect(next.value('vllm_controller_failures_total{kind="prometheus"}')).toBe(1);

        prometheus.state.down = false;
        const lowering = await world({ schedule: [office] }, limit("scaleToMin", 10));
        await lowering.at("2026-11-23T12:00:00Z");
        prometheus.state.down = true;
        await lowering.again().at("2026-11-24T12:00:00Z");
        expect(limitsOf(lowering.id)).toEqual([2, 2]);
        // Its hours go on.
        await lowering.again().at("2026-11-24T20:00:00Z");
        expect(limitsOf(lowering.id)).toEqual([1, 2]);
    });
});

describe("apps of the project that no stack has made", () => {
    /** One that somebody made by hand, or with the label of a stack. */
    async function madeBeside(name: string, adoptionLabel?: string): Promise<string> {
        const body = createBody(appInputs({ name, adoptionLabel: adoptionLabel ?? "" }) as AppInputs) as any;
        if (adoptionLabel === undefined) delete body.labels["pulumi-adoption-id"];
        const { id } = await asAccount<{ id: string }>(cloud, "POST", `/v1${appPath("x").replace("/x", "")}`, body);
        await until(() => stateOf(cloud, id) === "RUNNING");
        return id;
    }

    it("are told with their replicas and price, as long as they are billed; those of other stacks are not", async () => {
        const { at, controller, value, lines } = await world({ schedule: [office] });
        await madeBeside("of-another-stack", "other-0123abcd");
        await at("2026-11-23T12:00:00Z");
        expect(controller.page()).not.toContain("unowned_app");
        expect(lines).toContain("apps of no stack: none");

        const id = await madeBeside('by "hand"');
        const labels = `{app="${id}",name="by \\"hand\\"",region="GRA",flavor="h100-1-gpu"}`;
        // Not before five minutes are over.
        await at("2026-11-23T12:04:30Z");
        expect(controller.page()).not.toContain("unowned_app");
        await at("2026-11-23T12:05:00Z");
        expect(value(`vllm_controller_unowned_app_replicas${labels}`)).toBe(1);
        expect(value(`vllm_controller_unowned_app_euros_per_hour${labels}`)).toBe(2.5);

        await asAccount(cloud, "PUT", `/v1${appPath(id)}/stop`);
        await until(() => stateOf(cloud, id) === "STOPPED");
        await at("2026-11-23T12:10:00Z");
        expect(controller.page()).not.toContain("unowned_app");
    });

    it("are not forgotten while the list cannot be had, for an hour at most", async () => {
        const { at, controller, value } = await world({ schedule: [office] });
        await madeBeside("by-hand");
        await at("2026-11-23T12:00:00Z");
        cloud.api.faults.add({ path: "/ai/app$", kind: "status", status: 503 });
        await at("2026-11-23T12:30:00Z");
        expect(value('vllm_controller_failures_total{kind="server"}')).toBe(1);
        expect(controller.page()).toContain("unowned_app_replicas{");
        // Its models are kept all the same.
        expect(value('vllm_controller_applied{model="chat"}')).toBe(1);
        await at("2026-11-23T13:00:01Z");
        expect(controller.page()).not.toContain("unowned_app");
        cloud.api.faults.clear();
        await at("2026-11-23T13:05:01Z");
        expect(controller.page()).toContain("unowned_app_replicas{");
    });
});

describe("its credential", () => {
    const addresses = () => ({
        baseUrl: cloud.api.url,
        tokenUrl: `${new URL(cloud.api.url).origin}/auth/oauth2/token`,
    });

    it("opens the four calls and nothing else of the project", async () => {
        const { id } = await runningApp(cloud, modelSettings({ schedule: [office] }));
        const api = new OvhApi(addresses(), () => credential);
        await api.get(appPath(id));
        const refused = [
            ["PUT", `${appPath(id)}/label`],
            ["PUT", appPath(id)],
            ["PUT", `${appPath(id)}/image`],
            ["GET", `${appPath(id)}/log`],
            ["DELETE", appPath(id)],
            ["POST", appPath("x").replace("/x", "")],
            ["GET", appPath("x").replace("/app/x", "/token")],
            ["GET", "/me/api/oauth2/client/any"],
            ["GET", appPath("x").replace(/\/ai.*/, "/kube")],
        ];
        for (const [method, path] of refused) {
            const call = (api as any).call(method, path, method === "GET" ? undefined : {}) as Promise<unknown>;
            await expect(call, `${method} ${path}`).rejects.toThrow(/403 User not granted/);
        }
    });

    it("uses all four of them, which is what the stack access gives to the schedule", () => {
        const made = cloud.api.requests().filter(({ account, status }) => account !== undefined && status < 400);
        const seen = new Set(made.flatMap((call) => call.actions));
        expect([...seen].sort()).toEqual(actions.schedule.map((action) => actionPrefix + action).sort());
    });

    it("is in no line of the log and on no page, whatever fails", async () => {
        const canary = { clientId: credential.clientId, clientSecret: "canary-client-secret" };
        const app = await runningApp(cloud, modelSettings({ schedule: [office] }));
        const kept = controllerOf(cloud, app, canary, { settings: modelSettings({ schedule: [office] }) });
        await kept.at("2026-11-23T12:00:00Z");
        expect(kept.value('vllm_controller_failures_total{kind="unauthorized"}')).toBe(1);
        expect(kept.lines.join("\n")).toMatch(/OAuth2 token: 401/);
        expect([...kept.lines, kept.controller.page()].join("\n")).not.toContain(canary.clientSecret);
    });

    it("a token that was taken back is replaced in the next round", async () => {
        const { id, at, value, controller } = await world({ schedule: [office] });
        await at("2026-11-23T06:00:00Z");
        (controller as any).api.bearer.value = "ended";
        await at("2026-11-23T12:00:00Z");
        expect(value('vllm_controller_failures_total{kind="unauthorized"}')).toBe(1);
        await at("2026-11-23T12:00:30Z");
        expect(limitsOf(id)).toEqual([2, 4]);
    });
});
