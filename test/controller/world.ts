import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { AppInputs } from "../../packages/ai-deploy/src/app/args";
import { createBody } from "../../packages/ai-deploy/src/app/plan";
import { Controller, type ControllerConfig } from "../../src/controller/controller";
import type { KeptModel } from "../../src/controller/keep";
import { markLabel } from "../../src/hours/mark";
import type { Hours } from "../../src/hours/schedule";
import { appHours } from "../../src/inference/app-hours";
import type { LimitsSettings, ModelSettings } from "../../src/settings";
import { projectId, type TestCloud } from "../ai-deploy/cloud";
import { appInputs } from "../ai-deploy/app/inputs";

/** The emulated OVHcloud with an app, and a controller of it as whom a service account with a policy asks. */

export const office: Hours = { days: "mon-fri", from: "08:00", to: "19:00", timeZone: "Europe/Paris", min: 2, max: 4 };

/** The settings of a model, as far as its hours go. */
export function modelSettings(changes: Partial<ModelSettings> = {}): ModelSettings {
    return {
        replicas: { min: 1, max: 2 },
        schedule: [],
        port: 8000,
        labels: {},
        desiredState: "RUNNING",
        scaling: { metric: "vllm:num_requests_running", target: 50, aggregation: "AVERAGE" },
        ...changes,
    } as ModelSettings;
}

/** The account's own call. */
export async function asAccount<T>(cloud: TestCloud, method: string, path: string, body?: object): Promise<T> {
    const answer = await fetch(`${new URL(cloud.api.url).origin}${path}`, {
        method,
        headers: { authorization: `Bearer ${cloud.accessToken}` },
        body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return JSON.parse(text) as T;
}

export const allowed = ["get", "scalingstrategy/edit", "stop", "start"].map(
    (action) => `publicCloudProject:apiovh:ai/app/${action}`,
);

/** A service account that may do these things with the project's apps. */
export async function serviceAccount(cloud: TestCloud, actions = allowed) {
    const client = { name: "controller", description: "of the tests", flow: "CLIENT_CREDENTIALS" };
    const made = await asAccount<{ clientId: string; clientSecret: string }>(
        cloud,
        "POST",
        "/v1/me/api/oauth2/client",
        client,
    );
    const { identity } = await asAccount<{ identity: string }>(
        cloud,
        "GET",
        `/v1/me/api/oauth2/client/${made.clientId}`,
    );
    await asAccount(cloud, "POST", "/v2/iam/policy", {
        name: "controller",
        identities: [identity],
        resources: [{ urn: `urn:v1:eu:resource:publicCloudProject:${projectId}` }],
        permissions: { allow: actions.map((action) => ({ action })) },
    });
    return made;
}

export const appPath = (id: string): string => `/cloud/project/${projectId}/ai/app/${id}`;

/** Makes an app that serves, with what its hours give it. */
export async function runningApp(cloud: TestCloud, settings: ModelSettings, limits: LimitsSettings = {}) {
    const hours = appHours(settings, limits)!;
    const inputs = appInputs({
        labels: { [markLabel]: hours.mark },
        scalingStrategy: hours.scalings[0].strategy,
    });
    const path = `/v1/cloud/project/${projectId}/ai/app`;
    const { id } = await asAccount<{ id: string }>(cloud, "POST", path, createBody(inputs as AppInputs));
    await until(() => stateOf(cloud, id) === "RUNNING");
    return { id, hours };
}

export const stateOf = (cloud: TestCloud, id: string): string => cloud.api.apps().find((app) => app.id === id)!.state;

export async function until(what: () => boolean): Promise<void> {
    while (!what()) await new Promise((resolve) => setTimeout(resolve, 2));
}

export interface Kept {
    settings: ModelSettings;
    limits?: LimitsSettings & { prometheus?: string };
    price?: number;
}

/** A controller of the app whose clock stands where it is set. */
export function controllerOf(
    cloud: TestCloud,
    app: Awaited<ReturnType<typeof runningApp>>,
    credential: { clientId: string; clientSecret: string },
    { settings, limits = {}, price }: Kept,
) {
    let now = new Date("2026-11-23T12:00:00Z");
    const lines: string[] = [];
    const { replicas, schedule, lease } = settings;
    const model: KeptModel = { name: "chat", appId: app.id, ...app.hours, replicas, schedule, lease, price };
    const { eurosPerMonth, action, prometheus } = limits;
    const config: ControllerConfig = {
        api: { baseUrl: cloud.api.url, tokenUrl: `${cloud.api.url.replace(/\/v1$/, "")}/auth/oauth2/token` },
        projectId,
        period: 30,
        models: [model],
        unitPrices: [{ flavor: "h100-1-gpu", region: "GRA", eurosPerHour: 2.5 }],
        spend: eurosPerMonth && action && prometheus ? { eurosPerMonth, action, prometheus } : undefined,
    };
    // As it comes out of the ConfigMap.
    const controller = new Controller(JSON.parse(JSON.stringify(config)) as ControllerConfig, {
        readCredential: () => credential,
        log: (line) => lines.push(line),
        now: () => now,
    });
    return {
        controller,
        lines,
        /** A round at this moment. */
        at: async (iso: string): Promise<void> => {
            now = new Date(iso);
            await controller.round();
        },
        /** Value of one of its series, by the beginning of the line. */
        value: (series: string): number | undefined => {
            const line = controller
                .page()
                .split("\n")
                .find((one) => one.startsWith(`${series} `));
            return line === undefined ? undefined : Number(line.slice(series.length + 1));
        },
    };
}

/** A Prometheus that knows of replicas of `chat`, so many at all times, and of what was counted before, of a model that is gone too. */
export async function startPrometheus() {
    const state = { replicas: 1, down: false, earlier: {} as { euros?: number; until?: number; ofOthers?: number } };
    const expressions: string[] = [];
    const ofMonth = (month?: string): typeof state.earlier => {
        const { until } = state.earlier;
        return until !== undefined && new Date(until * 1000).toISOString().slice(0, 7) === month ? state.earlier : {};
    };
    const server: Server = createServer((request, answer): void => {
        const { searchParams } = new URL(request.url!, "http://localhost");
        const expression = searchParams.get("query")!;
        expressions.push(expression);
        if (state.down) return void answer.writeHead(503).end();
        const result = (value: number | undefined, metric = {}): object[] =>
            value === undefined ? [] : [{ metric, value: [Number(searchParams.get("time")), String(value)] }];
        const seconds = Number(/\[(\d+)s:1m\]/.exec(expression)?.[1]);
        const { until, euros, ofOthers } = ofMonth(/month="(.*?)"/.exec(expression)?.[1]);
        const found = expression.includes("spend_until")
            ? result(until)
            : expression.includes("spend_euros")
              ? [...result(euros, { model: "chat" }), ...result(ofOthers, { model: "of-before" })]
              : result((state.replicas * seconds) / 60, { model: "chat" });
        answer.end(JSON.stringify({ status: "success", data: { resultType: "vector", result: found } }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return { state, expressions, url: `http://127.0.0.1:${port}`, close: () => server.close() };
}
