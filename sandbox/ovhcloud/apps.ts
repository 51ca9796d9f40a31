import { randomUUID } from "node:crypto";
import { entry } from "../../packages/ai-deploy/src/values/json";
import { badRequest, conflict, notFound } from "./api-error";
import { checkProbes, checkScaling } from "./app-limits";
import { listApps, positive, user } from "./app-list";
import { region, resourcesOf } from "./capabilities";
import { newSync } from "./data-sync";
import { writtenAs, type Form } from "./forms";
import type { Platform } from "./platform";
import { completeProbe } from "./probe";
import type { Store, StoredApp } from "./store";

/** What a handler of the emulated API is given. */
export interface Call {
    path: Record<string, string>;
    query: URLSearchParams;
    body: any;
}

export type Handlers = Record<string, (call: Call) => unknown>;

const stoppable = new Set(["RUNNING", "SCALING", "INITIALIZING", "QUEUED"]);
const deletable = new Set(["STOPPED", "FAILED", "ERROR"]);

function find(apps: Record<string, StoredApp>, id: string): StoredApp {
    const app = entry(apps, id);
    if (!app) throw notFound(`app ${id} does not exist`);
    return app;
}

/** How apps are written now. */
export interface Writing {
    form: Form;
}

/** The reads of apps as they are, or as they were if `apps` gives an older state. */
export function appReads(
    apps: () => Record<string, StoredApp>,
    available: (app: StoredApp) => number,
    writing: Writing,
): Handlers {
    const show = (app: StoredApp, inList: boolean): object =>
        writtenAs(view(app, available(app)), writing.form, inList);
    return {
        "GET /ai/app": ({ query }) => listApps(Object.values(apps()), query).map((app) => show(app, true)),
        "GET /ai/app/{appId}": ({ path }) => show(find(apps(), path.appId), false),
    };
}

/** The AI Deploy operations of the API, by method and path below the project. */
export function appHandlers(store: Store, platform: Platform, projectId: string, writing: Writing): Handlers {
    const touch = (app: StoredApp): void => {
        app.updatedAt = new Date().toISOString();
        store.save();
    };
    const show = (app: StoredApp): object => writtenAs(view(app, platform.run(app).available), writing.form, false);
    /** What changes the containers takes effect at once in an app that runs; what changes nothing has no effect. */
    const change = (app: StoredApp, work: () => void): void => {
        const before = JSON.stringify(app.spec);
        work();
        if (JSON.stringify(app.spec) === before) return;
        touch(app);
        if (app.wanted === "running" && stoppable.has(app.state)) platform.run(app).restart();
    };

    return {
        ...appReads(
            () => store.state.apps,
            (app) => platform.run(app).available,
            writing,
        ),
        "POST /ai/app": async ({ body }) => {
            const app = newApp(body as Record<string, any>, projectId);
            const used = Object.values(store.state.apps)
                .filter(({ state }) => stoppable.has(state))
                .reduce((sum, other) => sum + gpusAtFewest(other), 0);
            if (used + gpusAtFewest(app) > platform.gpuQuota) {
                throw conflict(
                    `GPU quota exceeded: ${used} of ${platform.gpuQuota} in use, ${gpusAtFewest(app)} more asked for`,
                );
            }
            store.state.apps[app.id] = app;
            await platform.run(app).start();
            return show(app);
        },
        "POST /ai/app/command": ({ body }) => {
            const { spec } = newApp(body as Record<string, any>, projectId);
            const parts = ["ovhai app run", `--name ${spec.name}`, `--flavor ${spec.resources.flavor}`, spec.image];
            if (spec.command?.length > 0) parts.push("--", ...spec.command.map((part: string) => JSON.stringify(part)));
            return { command: parts.join(" ") };
        },
        "PUT /ai/app/{appId}": (call) => {
            const app = find(store.state.apps, call.path.appId);
            refuseWhenGoing(app);
            change(app, () => update(app, call.body as Record<string, any>));
            return show(app);
        },
        "PUT /ai/app/{appId}/image": (call) => {
            const app = find(store.state.apps, call.path.appId);
            refuseWhenGoing(app);
            change(app, () => (app.spec.image = call.body.url));
            return { message: `image of ${app.id} is now ${app.spec.image}` };
        },
        "PUT /ai/app/{appId}/label": (call) => {
            const app = find(store.state.apps, call.path.appId);
            const { name, value } = call.body as { name: string; value?: string | null };
            if (name.startsWith("ovh/")) {
                throw badRequest(`label ${name}: labels beginning with ovh/ belong to the platform`);
            }
            const { [name]: _, ...others } = app.spec.labels as Record<string, string>;
            app.spec.labels = value === null || value === undefined ? others : { ...others, [name]: value };
            touch(app);
        },
        "PUT /ai/app/{appId}/scalingstrategy": (call) => {
            const app = find(store.state.apps, call.path.appId);
            refuseWhenGoing(app);
            app.spec.scalingStrategy = scalingOf(call.body as Record<string, any>);
            touch(app);
            platform.run(app).reconcile();
        },
        "PUT /ai/app/{appId}/start": async (call) => {
            const app = find(store.state.apps, call.path.appId);
            refuseWhenGoing(app);
            if (!stoppable.has(app.state)) await platform.run(app).start();
        },
        "PUT /ai/app/{appId}/stop": (call) => {
            const app = find(store.state.apps, call.path.appId);
            refuseWhenGoing(app);
            platform.run(app).stop();
        },
        "POST /ai/app/{appId}/datasync": (call) => {
            const app = find(store.state.apps, call.path.appId);
            refuseWhenGoing(app);
            const sync = newSync(call.body as { direction: string; volume?: string | null });
            app.dataSync.push(sync);
            touch(app);
            platform.run(app).synchronize(sync);
            return sync;
        },
        "GET /ai/app/{appId}/log": (call) => {
            const app = find(store.state.apps, call.path.appId);
            const replica = call.query.get("replica");
            const size = positive(call.query, "size") ?? 100;
            const page = positive(call.query, "page") ?? 1;
            const lines = app.logs.filter((line) => replica === null || String(line.replica) === replica);
            const end = lines.length - (page - 1) * size;
            return {
                lastActivity: lines.at(-1)?.timestamp ?? null,
                logs: lines
                    .slice(Math.max(0, end - size), Math.max(0, end))
                    .map(({ timestamp, content }) => ({ timestamp, content })),
            };
        },
        "DELETE /ai/app/{appId}": (call) => {
            const app = find(store.state.apps, call.path.appId);
            if (app.wanted === "deleted") return;
            if (!deletable.has(app.state) && call.query.get("force") !== "true") {
                throw badRequest(`app ${app.id} is ${app.state}: stop it first, or use force`);
            }
            platform.delete(app);
        },
    };
}

function refuseWhenGoing(app: StoredApp): void {
    if (app.wanted === "deleted") throw conflict(`app ${app.id} is being deleted`);
}

/** With as few replicas as the app may have. */
function gpusAtFewest(app: StoredApp): number {
    const strategy = app.spec.scalingStrategy;
    return app.spec.resources.gpu * (strategy?.automatic?.replicasMin ?? strategy?.fixed?.replicas ?? 1);
}

function newApp(body: Record<string, any>, projectId: string): StoredApp {
    const now = new Date().toISOString();
    const id = randomUUID();
    region(body.region as string);
    for (const name of Object.keys((body.labels as object) ?? {})) {
        if (name.startsWith("ovh/")) {
            throw badRequest(`label ${name}: labels beginning with ovh/ belong to the platform`);
        }
    }
    const mounts = ((body.volumes ?? []) as { mountPath: string }[]).map(({ mountPath }) => mountPath);
    if (new Set(mounts).size !== mounts.length) throw badRequest("two volumes have the same mountPath");
    checkProbes(body);
    const httpPort = (body.defaultHttpPort ?? 8080) as number;
    const probeOf = (probe: object | null | undefined): object | null =>
        probe ? completeProbe(probe, httpPort) : null;
    return {
        id,
        createdAt: now,
        updatedAt: now,
        spec: {
            name: body.name ?? `app-${id.slice(0, 8)}`,
            region: body.region,
            image: body.image,
            command: body.command ?? null,
            defaultHttpPort: httpPort,
            grpcPort: body.grpcPort ?? null,
            deploymentStrategy: body.deploymentStrategy ?? null,
            envVars: body.envVars ?? [],
            labels: { ...body.labels, "ovh/id": id, "ovh/type": "app" },
            livenessProbe: probeOf(body.livenessProbe),
            probe: probeOf(body.probe),
            partnerId: body.partnerId ?? null,
            resources: resourcesOf(body.region as string, body.resources as object),
            scalingStrategy: scalingOf(body.scalingStrategy ?? { fixed: { replicas: 1 } }),
            unsecureHttp: body.unsecureHttp ?? false,
            volumes: ((body.volumes ?? []) as object[]).map((volume) => ({
                cache: false,
                ...volume,
                id: randomUUID(),
            })),
        },
        state: "QUEUED",
        info: { code: "APP_QUEUED", message: `queued in project ${projectId}` },
        history: [],
        wanted: "running",
        replicas: 0,
        port: 0,
        logs: [],
        dataSync: [],
    };
}

function scalingOf(body: Record<string, any>): object {
    checkScaling(body);
    const { automatic, fixed } = body;
    if (fixed) return { fixed, automatic: null };
    return {
        fixed: null,
        automatic: {
            averageUsageTarget: null,
            cooldownPeriodSeconds: null,
            customMetrics: null,
            resourceType: null,
            ...automatic,
            scaleDownStabilizationWindowSeconds: automatic.scaleDownStabilizationWindowSeconds ?? 300,
            scaleUpStabilizationWindowSeconds: automatic.scaleUpStabilizationWindowSeconds ?? 0,
        },
    };
}

/** Absent and null fields stay as they are, except that an empty command resets it and an empty variable goes. */
function update(app: StoredApp, input: Record<string, any>): void {
    checkProbes(input);
    const { spec } = app;
    if (input.command) spec.command = input.command.length === 0 ? null : input.command;
    if (input.url) spec.image = input.url;
    if (input.defaultHttpPort) spec.defaultHttpPort = input.defaultHttpPort;
    if (input.grpcPort) spec.grpcPort = input.grpcPort;
    if (input.deploymentStrategy) spec.deploymentStrategy = input.deploymentStrategy;
    for (const name of ["livenessProbe", "probe"]) {
        if (input[name]) spec[name] = completeProbe(input[name] as object, spec.defaultHttpPort as number);
    }
    if (input.flavor || input.gpu || input.cpu) {
        const { flavor, gpu } = { ...spec.resources, ...input };
        spec.resources = resourcesOf(spec.region as string, { flavor, gpu, cpu: input.cpu });
    }
    for (const { name, value } of (input.envVars ?? []) as { name: string; value?: string | null }[]) {
        spec.envVars = spec.envVars.filter((variable: { name: string }) => variable.name !== name);
        if (value !== null && value !== undefined && value !== "") spec.envVars.push({ name, value });
    }
}

/** `cloud.project.ai.app.App` */
function view(app: StoredApp, availableReplicas: number): Record<string, unknown> {
    return {
        id: app.id,
        createdAt: app.createdAt,
        updatedAt: app.updatedAt,
        user,
        spec: app.spec,
        status: {
            state: app.state,
            availableReplicas,
            url: `https://127.0.0.1:${app.port}`,
            grpcAddress: null,
            infoUrl: null,
            internalServiceIp: null,
            monitoringUrl: `https://monitoring.${String(app.spec.region).toLowerCase()}.ai.cloud.ovh.net/d/app/app-monitoring?var-app=${app.id}&orgId=1`,
            lastTransitionDate: app.history.at(-1)?.date ?? null,
            history: app.history,
            info: app.info,
            dataSync: app.dataSync,
            volumes: [],
        },
    };
}
