import type { AppInputs } from "./args";
import { canBecome, diffApp, downStates, inputsFromLive, planCalls, type AppDiff } from "./app-plan";
import { adoptionLabelName, createBody, fingerprint, sameEnv, type AppState, type LiveApp } from "./app-spec";
import { ApiError, isTransient, sleep, type OvhClient } from "./client";
import { explain, hintFor } from "./failure";
import type { Poller } from "./poller";

/** What the state keeps of an app. `__provider` is Pulumi's, and must survive errors too. */
export interface AppOutputs extends AppInputs {
    /** Empty while a creation has had no clear answer. */
    appId: string;
    url: string;
    monitoringUrl: string;
    /** UNKNOWN while a creation has had no clear answer. */
    state: AppState | "UNKNOWN";
    availableReplicas: number;
    /** Of the app's fields when last looked at; absent in states of before. */
    fingerprint?: string;
    /** Only while UNKNOWN: apps that had an owner when the creation was tried, so none of them came of it. */
    owned?: string[];
    __provider?: string;
}

/** What a lifecycle needs from its surroundings. */
export interface Context {
    client: OvhClient;
    poller: Poller;
    /** A line for the person who waits. */
    progress: (line: string) => void;
    run: Run;
}

/** What has been learnt in this run of Pulumi about who owns which app. */
export interface Run {
    /** Ids that came from a state: they have an owner, and no other resource takes them over or clears them away. */
    held: Set<string>;
    /** Ids that `create` gave to a resource: not deleted in this run in the name of an older one. */
    given: Set<string>;
}

/** Pulumi's contract for "it exists, but is not well": the engine saves `id` and `properties`, and shows `reasons`. */
export interface InitError extends Error {
    id: string;
    properties: AppOutputs;
    reasons: string[];
}

const defaultSeconds = { create: 1800, update: 1800, delete: 600 };
/** Looks for an app whose POST had no clear answer, before another is sent. */
const looksAfterUnclearPost = 4;
const maxPosts = 3;
const maxRoundsOfCalls = 5;
/** Answers in a row without the app after which it counts as deleted: a young app may not be everywhere yet. */
const looksWithoutApp = 3;
/** Looks in a row that must say STOPPED before a wait for RUNNING ends: one that lags may still show the time before. */
const looksStopped = 3;
/** Looks in a row that must say RUNNING after a change that restarts replicas, if nothing else shows that it began. */
const looksAfterRestart = 3;
const logLines = 20;

const stoppable: AppState[] = ["RUNNING", "SCALING", "INITIALIZING", "QUEUED", "STANDBY"];
const failedStates: AppState[] = ["FAILED", "ERROR"];
const goingStates: AppState[] = ["DELETING", "DELETED"];

/**
 * What would change. With a context the app is looked at first: one that was changed, stopped, failed or deleted behind
 * Pulumi's back, or a leftover beside it, is then told and mended without a refresh. A look that fails leaves what the state says.
 */
export async function diff(
    context: Context | undefined,
    id: string,
    olds: AppOutputs,
    news: AppInputs,
): Promise<AppDiff> {
    const known = appIdOf(id, olds);
    context?.run.held.add(known);
    if (!context || known === "") return diffApp(olds, news);
    const seen = await glance(context, known, olds);
    if (seen === undefined) return diffApp(olds, news);
    const found = seen.apps.find((app) => app.id === known);
    if (!found || goingStates.includes(found.status.state)) {
        context.progress(`${olds.name} (${known}) does not exist any more`);
        return { changes: true, replaces: ["appId"] };
    }
    const { state } = found.status;
    const plan = diffApp(olds, news, state);
    if (downStates.includes(state) && plan.changes) context.progress(`${olds.name} (${known}) is ${state}`);
    const leftovers = seen.apps.filter((app) => isOurs(app, olds) && !isOwned(context, app));
    for (const app of leftovers) context.progress(`${olds.name}: ${app.id} is a leftover of an interrupted run`);
    const tampered = olds.fingerprint !== undefined && olds.fingerprint !== fingerprint(found);
    const drifted = tampered || !isOurs(found, olds) || !sameEnv(found, olds.envVars);
    if (drifted) context.progress(`${olds.name} (${known}) was changed since: by an interrupted run, or by hand`);
    return { ...plan, changes: plan.changes || leftovers.length > 0 || drifted };
}

/** Finds or makes the app, then brings it up. Whatever fails once the app exists is thrown as an `InitError`. */
export async function create(context: Context, inputs: AppInputs): Promise<{ id: string; outs: AppOutputs }> {
    try {
        const deadline = deadlineIn(inputs.timeouts?.createSeconds ?? defaultSeconds.create);
        const outs = await bringUp(context, inputs, deadline);
        return { id: outs.appId, outs };
    } catch (error) {
        throw explain(error, `creating app ${inputs.name}`, secretsOf(inputs));
    }
}

/** Brings an app that exists to what is wanted. Also called without a change, to go on waiting. */
export async function update(
    context: Context,
    id: string,
    olds: AppOutputs,
    inputs: AppInputs,
): Promise<{ outs: AppOutputs }> {
    const known = appIdOf(id, olds);
    try {
        const deadline = deadlineIn(inputs.timeouts?.updateSeconds ?? defaultSeconds.update);
        if (known === "") {
            for (const other of olds.owned ?? []) context.run.held.add(other);
            return { outs: await bringUp(context, inputs, deadline) };
        }
        context.run.held.add(known);
        const live = await get(context, inputs, known);
        if (!live || live.status.state === "DELETING") {
            throw new Error(
                `app ${inputs.name} (${known}) does not exist any more: run \`pulumi up\` again, it makes a new one`,
            );
        }
        const outs = await settle(context, live, inputs, deadline, olds);
        await asInitError(live, inputs, () => clearLeftovers(context, inputs));
        return { outs };
    } catch (error) {
        throw explain(error, `updating app ${inputs.name} (${known || "id unknown"})`, secretsOf(inputs));
    }
}

/** The app as it is, `undefined` when it is gone. Any other failure throws, so that an outage empties no state. */
export async function read(
    context: Context,
    id: string,
    known: AppOutputs,
): Promise<{ id: string; outs: AppOutputs; inputs: AppInputs } | undefined> {
    const appId = appIdOf(id, known);
    try {
        context.run.held.add(appId);
        const live = appId === "" ? await findUnresolved(context, known) : await getSurely(context, known, appId);
        // One that is on its way out will not come back.
        if (!live || live.status.state === "DELETING") return undefined;
        const inputs = inputsFromLive(live, inputsOf(known));
        return { id: live.id, outs: outputs(live, inputs, known.__provider), inputs };
    } catch (error) {
        throw explain(error, `reading app ${known.name} (${appId || "id unknown"})`, secretsOf(known));
    }
}

/**
 * Stops the app, deletes it, and waits until the platform says that it is gone: billing runs until then. Whatever else
 * carries its label and belongs to nobody goes too.
 */
export async function remove(context: Context, id: string, known: AppOutputs): Promise<void> {
    let appId = appIdOf(id, known);
    if (context.run.given.has(appId)) {
        context.progress(`${known.name} (${appId}) stays: another resource of this run has taken it over`);
        return;
    }
    try {
        if (appId === "") appId = (await findUnresolved(context, known))?.id ?? "";
        context.run.held.add(appId);
        const deadline = deadlineIn(known.timeouts?.deleteSeconds ?? defaultSeconds.delete);
        if (appId !== "") {
            await bringDown(context, known, appId, deadline);
            // Not found may also mean that the project is not: then this throws, and the state keeps the app.
            while ((await labelled(context, known)).some((app) => app.id === appId)) {
                if (Date.now() > deadline) throw contradictory(known, appId);
                await sleep(context.poller.pauseMs(0));
                await bringDown(context, known, appId, deadline);
            }
        }
        for (const app of await labelled(context, known)) {
            if (!isOwned(context, app)) await discard(context, known, app);
        }
    } catch (error) {
        throw explain(error, `deleting app ${known.name} (${appId || "id unknown"})`, secretsOf(known));
    }
}

/** From nothing that is known to the one app, as wanted. */
async function bringUp(context: Context, inputs: AppInputs, deadline: number): Promise<AppOutputs> {
    for (let live = await obtain(context, inputs, deadline); ;) {
        context.run.given.add(live.id);
        const outs = await settle(context, live, inputs, deadline);
        if (inputs.adopt) return outs;
        // A look again, now that time has passed: an app that the first look could not see yet, or another run made at
        // the same time, must not stay beside this one. Every run comes to the same choice.
        const own = live;
        const chosen = await asInitError(own, inputs, () => tolerate(Infinity, () => chooseOne(context, inputs, own)));
        // No answer now: the look of the next run tells.
        if (!chosen || chosen.id === own.id) return outs;
        live = await asItIs(context, chosen, inputs, deadline);
    }
}

/** The app to go on with: the one named by `adopt`, one that carries our label, or a new one. */
async function obtain(context: Context, inputs: AppInputs, deadline: number): Promise<LiveApp> {
    // What this run has deleted to replace it cannot be taken over any more.
    if (inputs.adopt && !context.run.held.has(inputs.adopt)) return adopt(context, inputs, inputs.adopt);
    let unclear = false;
    try {
        for (let posts = 1; ; posts++) {
            // After a POST without a clear answer only several looks in a row without the app mean that there is none.
            for (let look = 1; ;) {
                const found = unclear
                    ? await tolerate(deadline, () => chooseOne(context, inputs))
                    : await chooseOne(context, inputs);
                if (found) {
                    context.progress(`${inputs.name} (${found.id}) found from an earlier run, taken over`);
                    return await asItIs(context, found, inputs, deadline);
                }
                if (!unclear || look >= looksAfterUnclearPost) break;
                if (found !== null) look++;
                await sleep(context.poller.pauseMs(look));
            }
            try {
                const path = `/cloud/project/${inputs.serviceName}/ai/app`;
                const live = await context.client.post<LiveApp | undefined>(path, createBody(inputs));
                if (!live?.id) throw new ApiError("POST /ai/app", 500, "an answer without the app", undefined);
                context.progress(`${inputs.name} (${live.id}) created`);
                return live;
            } catch (error) {
                if (isTransient(error)) unclear = true;
                if (!isTransient(error) || posts >= maxPosts) throw error;
                await sleep(context.poller.pauseMs(0));
            }
        }
    } catch (error) {
        if (!unclear || "id" in (error as Error)) throw error;
        throw unresolved(context, inputs, error as Error);
    }
}

/**
 * An app that a list showed, looked at by itself: a list that lags may say that it runs, or is about to, when it has been
 * stopped. Whatever the look says, the app is there and must not be lost.
 */
function asItIs(context: Context, listed: LiveApp, inputs: AppInputs, deadline: number): Promise<LiveApp> {
    return asInitError(
        listed,
        inputs,
        async () => (await tolerate(deadline, () => get(context, inputs, listed.id))) ?? listed,
    );
}

async function adopt(context: Context, inputs: AppInputs, id: string): Promise<LiveApp> {
    const live = await get(context, inputs, id);
    if (!live || live.status.state === "DELETING") {
        throw new Error(`adopt: app ${id} does not exist in project ${inputs.serviceName}`);
    }
    if (!canBecome(live, inputs)) {
        throw new Error(
            `adopt: app ${id} differs in what cannot be changed: give the name (${live.spec.name}), region (${live.spec.region}), ` +
                "volumes, unsecureHttp, partnerId and flavorCount that it has, and each probe and grpcPort that it has",
        );
    }
    context.progress(`${inputs.name} (${id}) taken over`);
    return live;
}

/**
 * Of all apps with our label that nobody owns, the one that stays, if any: the oldest that can become what is wanted,
 * or `own`. The others go, since each is billed.
 */
async function chooseOne(context: Context, inputs: AppInputs, own?: LiveApp): Promise<LiveApp | undefined> {
    const found = (await labelled(context, inputs)).filter((app) => app.id === own?.id || !isOwned(context, app));
    const chosen = oldest([...found.filter((app) => canBecome(app, inputs)), ...(own ? [own] : [])]);
    for (const app of [...found, ...(own ? [own] : [])]) {
        if (app.id === chosen?.id) continue;
        context.run.given.delete(app.id);
        await discard(context, inputs, app);
    }
    return chosen;
}

/** Deletes what carries our label and belongs to nobody. Without an answer now, the look of the next run tells. */
async function clearLeftovers(context: Context, inputs: AppInputs): Promise<void> {
    for (const app of (await tolerate(Infinity, () => labelled(context, inputs))) ?? []) {
        if (!isOwned(context, app)) await discard(context, inputs, app);
    }
}

/** The app of a creation that had no clear answer. */
async function findUnresolved(context: Context, known: AppOutputs): Promise<LiveApp | undefined> {
    for (let look = 1; ; look++) {
        const ours = (await labelled(context, known)).filter((app) => !known.owned?.includes(app.id));
        const found = oldest(ours.filter((app) => !isOwned(context, app)));
        if (found || look >= looksAfterUnclearPost) return found;
        await sleep(context.poller.pauseMs(look));
    }
}

function isOwned({ run }: Context, app: LiveApp): boolean {
    return run.held.has(app.id) || run.given.has(app.id);
}

function isOurs({ spec, status }: LiveApp, { adoptionLabel }: AppInputs): boolean {
    // Never by an empty label: a state may hold one after somebody took the label off.
    const carries = adoptionLabel !== "" && spec.labels?.[adoptionLabelName] === adoptionLabel;
    return carries && !goingStates.includes(status.state);
}

/** Every app that carries our label and is not on its way out. Throws unless the platform answers for the project. */
async function labelled(context: Context, inputs: AppInputs): Promise<LiveApp[]> {
    return (await listLabelled((path) => context.client.get(path), inputs)).filter((app) => isOurs(app, inputs));
}

/** What the platform lists under our label, over all pages. */
async function listLabelled(
    get: (path: string) => Promise<LiveApp[]>,
    { serviceName, adoptionLabel }: AppInputs,
): Promise<LiveApp[]> {
    const selector = encodeURIComponent(`${adoptionLabelName}=${adoptionLabel}`);
    const path = `/cloud/project/${serviceName}/ai/app?labelSelector=${selector}`;
    // The API does not say how long a page is, nor whether the first is 0 or 1; no page is shorter than this.
    const shortestPage = 10;
    let answer = await get(path);
    const apps = new Map(answer.map((app) => [app.id, app]));
    for (let page = 1; answer.length >= shortestPage; page++) {
        const before = apps.size;
        answer = await get(`${path}&page=${page}`);
        for (const app of answer) apps.set(app.id, app);
        if (apps.size === before && page > 1) break;
    }
    return [...apps.values()];
}

/** The app and its neighbours under the label, for a preview: `undefined` if that cannot be had quickly. */
async function glance(context: Context, id: string, olds: AppOutputs): Promise<{ apps: LiveApp[] } | undefined> {
    try {
        const apps = await listLabelled((path) => context.client.glance(path), olds);
        if (apps.some((app) => app.id === id)) return { apps };
        // Not listed: the label may have been taken off, or the list lag behind.
        for (let look = 0; look < looksWithoutApp; look++) {
            try {
                const live = await context.client.glance<LiveApp>(pathOf(olds, id));
                return { apps: live.status.state === "DELETED" ? apps : [...apps, live] };
            } catch (error) {
                if (!(error instanceof ApiError && error.gone)) throw error;
                await sleep(context.poller.pauseMs(0));
            }
        }
        return { apps };
    } catch {
        return undefined; // as the state says; whatever is wrong shows when it is needed
    }
}

function oldest(apps: LiveApp[]): LiveApp | undefined {
    const age = (app: LiveApp): string => `${app.createdAt ?? ""} ${app.id}`;
    return [...apps].sort((a, b) => (age(a) < age(b) ? -1 : 1))[0];
}

async function discard(context: Context, inputs: AppInputs, { id }: LiveApp): Promise<void> {
    context.progress(`${inputs.name}: ${id} is a leftover of an interrupted run, deleted`);
    await bringDown(context, inputs, id, deadlineIn(inputs.timeouts?.deleteSeconds ?? defaultSeconds.delete));
}

/** Stops an app, deletes it, and waits until it is not found any more. */
async function bringDown(context: Context, inputs: AppInputs, id: string, deadline: number): Promise<void> {
    const forceAt = (Date.now() + deadline) / 2;
    const base = pathOf(inputs, id);
    const told = teller(context, inputs.name, id);
    let stopped = false;
    let deleted = false;
    const step = async (): Promise<true | undefined> => {
        const live = await tolerate(deadline, () => get(context, inputs, id));
        if (live === undefined) return true;
        if (live) {
            const { state } = live.status;
            told(state);
            try {
                if (stoppable.includes(state) && !stopped) {
                    await context.client.put(`${base}/stop`);
                    stopped = true;
                } else if (["STOPPED", "FAILED", "ERROR"].includes(state) && !deleted) {
                    // Not found, though it was seen just now: the next look tells.
                    deleted = await context.client.delete(base);
                } else if (Date.now() > forceAt && state !== "DELETING") {
                    await context.client.delete(`${base}?force=true`);
                }
            } catch (error) {
                // The state may have moved on between the look and the call; the next look tells.
                if (!(isTransient(error) || (error instanceof ApiError && [400, 404, 409].includes(error.status)))) {
                    throw error;
                }
            }
        }
        if (Date.now() > deadline) {
            throw new Error(
                `app ${inputs.name} (${id}) is still there after the time-out (state ${live?.status.state ?? "unknown"}) and may be billed: ` +
                    "run the same command again (timeouts.deleteSeconds raises the bound), or delete it in the OVHcloud control panel",
            );
        }
        return undefined;
    };
    if (!(await step())) await context.poller.until(step);
}

/** Brings an app that exists to its wanted fields and state, and waits for it. `before`: what the state says of it. */
async function settle(
    context: Context,
    first: LiveApp,
    inputs: AppInputs,
    deadline: number,
    before?: AppInputs,
): Promise<AppOutputs> {
    let live = first;
    try {
        const base = pathOf(inputs, live.id);
        const changed = await applyPlan(context, live, inputs, deadline, before);
        live = changed.live;

        const wantsRunning = (inputs.desiredState ?? "RUNNING") === "RUNNING";
        if (wantsRunning && downStates.includes(live.status.state)) {
            const failure = live.status.lastTransitionDate;
            await startAgain(context, live, inputs, deadline);
            live = await waitUntilThere(context, live, inputs, deadline, { staleFailure: failure });
        } else if (!wantsRunning && stoppable.includes(live.status.state)) {
            await context.client.put(`${base}/stop`);
            live = await waitUntilThere(context, live, inputs, deadline);
        } else if (changed.restarts || !isThere(live, inputs)) {
            live = await waitUntilThere(context, live, inputs, deadline, { restarts: changed.restarts });
        }
        return outputs(live, inputs);
    } catch (error) {
        // The newest look, if one can be had: the state is to say how the app is.
        live = (await get(context, inputs, live.id).catch(() => undefined)) ?? live;
        throw initError(live, inputs, error as Error);
    }
}

/**
 * Sends the calls that are needed, each once. After one without a clear answer the app is looked at, and only what it
 * still lacks is sent.
 */
async function applyPlan(
    context: Context,
    first: LiveApp,
    inputs: AppInputs,
    deadline: number,
    before?: AppInputs,
): Promise<{ live: LiveApp; restarts: boolean }> {
    const done = new Set<string>();
    let live = first;
    let restarts = false;
    for (let round = 1; ; round++) {
        const missing = planCalls(live, inputs, round === 1 ? before : undefined).filter(
            (call) => !done.has(JSON.stringify(call)),
        );
        if (missing.length === 0) return { live, restarts };
        try {
            for (const call of missing) {
                if (call.path === "") restarts = true;
                await context.client.putOnce(pathOf(inputs, first.id) + call.path, call.body);
                done.add(JSON.stringify(call));
            }
        } catch (error) {
            if (!isTransient(error) || round >= maxRoundsOfCalls) throw error;
            await sleep(context.poller.pauseMs(round));
        }
        live = (await tolerate(deadline, () => get(context, inputs, first.id))) ?? live;
    }
}

/** An app that was brought down can be started once it is down. */
async function startAgain(context: Context, live: LiveApp, inputs: AppInputs, deadline: number): Promise<void> {
    if (live.status.state === "STOPPING") {
        await context.poller.until(async () => {
            const now = await tolerate(deadline, () => get(context, inputs, live.id));
            return (now && now.status.state !== "STOPPING") || Date.now() > deadline ? true : undefined;
        });
    }
    try {
        await context.client.put(`${pathOf(inputs, live.id)}/start`);
    } catch (error) {
        const refused = error instanceof ApiError && [400, 409].includes(error.status);
        const now = refused ? await get(context, inputs, live.id) : undefined;
        // Somebody else, or the change before, has started it already.
        if (!now || downStates.includes(now.status.state)) throw error;
    }
}

interface WaitOptions {
    /** A failure of this date is the one from before the start, still shown. */
    staleFailure?: string | null;
    /** Replicas are restarted by what was sent just now: RUNNING may be the time before that. */
    restarts?: boolean;
}

/** Polls until the app is as wanted. */
async function waitUntilThere(
    context: Context,
    first: LiveApp,
    inputs: AppInputs,
    deadline: number,
    { staleFailure, restarts }: WaitOptions = {},
): Promise<LiveApp> {
    const told = teller(context, inputs.name, first.id);
    told(first.status.state);
    let last = first;
    let absent = 0;
    let stopped = 0;
    let quiet = 0;
    let moved = !restarts;
    return context.poller.until(async () => {
        const live = await tolerate(deadline, () => get(context, inputs, first.id));
        if (live === undefined && ++absent >= looksWithoutApp) {
            throw new Error(
                `app ${inputs.name} (${first.id}) was deleted while it was waited for: run \`pulumi up\` again, it makes a new one`,
            );
        }
        if (live) {
            absent = 0;
            last = live;
            told(live.status.state);
            moved ||= live.status.lastTransitionDate !== first.status.lastTransitionDate;
            moved ||= live.status.state !== "RUNNING";
            if (isThere(live, inputs) && (moved || ++quiet >= looksAfterRestart)) return live;
            const stale = staleFailure !== undefined && live.status.lastTransitionDate === staleFailure;
            if (failedStates.includes(live.status.state) && !stale) throw await appFailure(context, live, inputs);
            stopped = live.status.state === "STOPPED" && !stale ? stopped + 1 : 0;
            if (stopped >= looksStopped) {
                throw new Error(
                    `app ${inputs.name} (${first.id}) was stopped while it was waited for: run \`pulumi up\` again, it starts it`,
                );
            }
        }
        if (Date.now() > deadline) {
            throw new Error(
                `app ${inputs.name} (${first.id}) is ${last.status.state} after the time-out: it goes on and may be billed. ` +
                    "Run `pulumi up` again to go on waiting (timeouts.createSeconds and updateSeconds raise the bound), or `pulumi destroy`",
            );
        }
        return undefined;
    });
}

function isThere(live: LiveApp, inputs: AppInputs): boolean {
    const { state } = live.status;
    // A failed app does not run either, and is not billed.
    if (inputs.desiredState === "STOPPED") return state === "STOPPED" || failedStates.includes(state);
    return state === "RUNNING" || (state === "STANDBY" && inputs.scalingStrategy?.automatic?.replicasMin === 0);
}

/** FAILED or ERROR: the platform's words, the last lines of the log, and what to do. */
async function appFailure(context: Context, live: LiveApp, inputs: AppInputs): Promise<Error> {
    const { state, info } = live.status;
    const log = await context.client
        .get<{ logs: { content: string }[] }>(`${pathOf(inputs, live.id)}/log?size=${logLines}`)
        .then(({ logs }) => logs.slice(-logLines).map(({ content }) => `    ${content}`))
        .catch((error: Error) => [`    (the log cannot be read: ${error.message})`]);
    const said = `${info?.code ?? ""} ${info?.message ?? "no message"}`.trim();
    const hint = hintFor(`${said}\n${log.join("\n")}`);
    return new Error(
        [
            `app ${inputs.name} (${live.id}) is ${state}: ${said}`,
            `  last lines of its log:${log.length === 0 ? " (empty)" : ""}`,
            ...log,
            `  ${hint ?? "The log above says why. Correct it, then run `pulumi up` again: it goes on with this app."}`,
        ].join("\n"),
    );
}

/** Runs what comes after an app is known to exist: its failure must not lose the app. */
async function asInitError<T>(live: LiveApp, inputs: AppInputs, work: () => Promise<T>): Promise<T> {
    try {
        return await work();
    } catch (error) {
        throw initError(live, inputs, error as Error);
    }
}

function initError(live: LiveApp, inputs: AppInputs, error: Error): Error {
    return "id" in error ? error : Object.assign(error, { id: live.id, properties: outputs(live, inputs) });
}

/** A creation whose outcome cannot be learnt now. It is kept in the state, so that the next command looks again. */
function unresolved({ run }: Context, inputs: AppInputs, error: Error): Error {
    const properties: AppOutputs = {
        ...inputs,
        appId: "",
        url: "",
        monitoringUrl: "",
        state: "UNKNOWN",
        availableReplicas: 0,
        owned: [...run.held],
    };
    return Object.assign(error, { id: `unresolved-${inputs.adoptionLabel}`, properties });
}

/** The app; `undefined` for 404 and DELETED, and for nothing else. */
async function get(context: Context, inputs: AppInputs, id: string): Promise<LiveApp | undefined> {
    try {
        const live = await context.client.get<LiveApp>(pathOf(inputs, id));
        return live.status.state === "DELETED" ? undefined : live;
    } catch (error) {
        if (error instanceof ApiError && error.gone) return undefined;
        throw error;
    }
}

/** The same, sure of an absence: not found several times, in a project that is found, and not listed there either. */
async function getSurely(context: Context, known: AppOutputs, id: string): Promise<LiveApp | undefined> {
    for (let look = 1; ; look++) {
        const live = await get(context, known, id);
        if (live) return live;
        const listed = (await labelled(context, known)).some((app) => app.id === id);
        if (!listed && look >= looksWithoutApp) return undefined;
        if (look >= looksWithoutApp * 2) {
            throw contradictory(known, id);
        }
        await sleep(context.poller.pauseMs(0));
    }
}

function contradictory({ name }: AppInputs, id: string): Error {
    return new Error(`app ${name} (${id}) is listed but cannot be read: run the same command again in a minute`);
}

/** Within the deadline, an answer that fails for now is no answer (null), not the end. */
async function tolerate<T>(deadline: number, look: () => Promise<T>): Promise<T | null> {
    try {
        return await look();
    } catch (error) {
        if (isTransient(error) && Date.now() < deadline) return null;
        throw error;
    }
}

function outputs(live: LiveApp, inputs: AppInputs, provider?: string): AppOutputs {
    return {
        ...inputs,
        ...(provider === undefined ? {} : { __provider: provider }),
        appId: live.id,
        url: live.status.url ?? "",
        monitoringUrl: live.status.monitoringUrl ?? "",
        state: live.status.state,
        availableReplicas: live.status.availableReplicas ?? 0,
        fingerprint: fingerprint(live),
    };
}

function inputsOf(known: AppOutputs): AppInputs {
    const {
        appId: _id,
        url: _url,
        monitoringUrl: _monitoring,
        state: _state,
        availableReplicas: _replicas,
        owned: _owned,
        fingerprint: _fingerprint,
        __provider: _provider,
        ...inputs
    } = known;
    return inputs;
}

/** The platform's id. The resource's id differs when the creation had no clear answer at first. */
function appIdOf(id: string, known: Pick<AppOutputs, "appId">): string {
    return known.appId ?? id;
}

function secretsOf(inputs: AppInputs): string[] {
    return Object.values(inputs.envVars ?? {});
}

function pathOf({ serviceName }: AppInputs, id: string): string {
    return `/cloud/project/${serviceName}/ai/app/${id}`;
}

function deadlineIn(seconds: number): number {
    return Date.now() + seconds * 1000;
}

/** Tells each state once, with the time since the first. */
function teller({ progress }: Context, name: string, id: string): (state: AppState) => void {
    const started = Date.now();
    let last: AppState | undefined;
    return (state) => {
        if (state !== last) progress(`${name} (${id}) ${state} after ${Math.round((Date.now() - started) / 1000)} s`);
        last = state;
    };
}
