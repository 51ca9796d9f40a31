import type { AppInputs } from "./args";
import { checkApp, type CheckFailure } from "./app-check";
import { canBecome, diffApp, inputsFromLive, planCalls, type AppDiff } from "./app-plan";
import { adoptionLabelName, createBody, type AppState, type LiveApp } from "./app-spec";
import { ApiError, isTransient, sleep, type OvhClient } from "./client";
import { hintFor, mask } from "./failure";

/** What the state keeps of an app. `__provider` is Pulumi's, and must survive errors too. */
export interface AppOutputs extends AppInputs {
    appId: string;
    url: string;
    monitoringUrl: string;
    state: AppState;
    availableReplicas: number;
    __provider?: string;
}

/** What a lifecycle needs from its surroundings. */
export interface Context {
    client: OvhClient;
    /** Fixed pause between polls; absent: dense at first, later wide. */
    pollMs?: number;
    /** A line for the person who waits. */
    progress: (line: string) => void;
}

/** Pulumi's contract for "it exists, but is not well": the engine saves `id` and `properties`, and shows `reasons`. */
export interface InitError extends Error {
    id: string;
    properties: AppOutputs;
    reasons: string[];
}

const defaultSeconds = { create: 1800, update: 1800, delete: 600 };
const firstPollMs = 2000;
const widestPollMs = 15_000;
/** Looks for an app whose POST had no clear answer, before another is sent. */
const looksAfterUnclearPost = 4;
const maxPosts = 3;
const logLines = 20;

const stoppable: AppState[] = ["RUNNING", "SCALING", "INITIALIZING", "QUEUED", "STANDBY"];

export function check(inputs: AppInputs): CheckFailure[] {
    return checkApp(inputs);
}

export function diff(olds: AppOutputs, news: AppInputs): AppDiff {
    return diffApp(olds, news);
}

/** Finds or makes the app, then brings it up. Whatever fails once the app exists is thrown as an `InitError`. */
export async function create(context: Context, inputs: AppInputs): Promise<{ id: string; outs: AppOutputs }> {
    const deadline = deadlineIn(inputs.timeouts?.createSeconds ?? defaultSeconds.create);
    const live = (await findExisting(context, inputs)) ?? (await post(context, inputs));
    return { id: live.id, outs: await settle(context, live, inputs, deadline) };
}

/** Brings an app that exists to what is wanted. Also called without a change, to go on waiting. */
export async function update(context: Context, id: string, inputs: AppInputs): Promise<{ outs: AppOutputs }> {
    const deadline = deadlineIn(inputs.timeouts?.updateSeconds ?? defaultSeconds.update);
    const live = await get(context, inputs, id);
    if (!live || live.status.state === "DELETING") {
        throw new Error(
            `app ${inputs.name} (${id}) does not exist any more: run \`pulumi refresh\`, then \`pulumi up\` makes a new one`,
        );
    }
    return { outs: await settle(context, live, inputs, deadline) };
}

/** The app as it is, `undefined` when it is gone. Any other failure throws, so that an outage empties no state. */
export async function read(
    context: Context,
    id: string,
    known: AppOutputs,
): Promise<{ outs: AppOutputs; inputs: AppInputs } | undefined> {
    const live = await get(context, known, id);
    // One that is on its way out will not come back.
    if (!live || live.status.state === "DELETING") return undefined;
    const inputs = inputsFromLive(live, inputsOf(known));
    return { outs: outputs(live, inputs, known.__provider), inputs };
}

/** Stops the app, deletes it, and waits until the platform says that it is gone: billing runs until then. */
export async function remove(context: Context, id: string, known: AppOutputs): Promise<void> {
    const seconds = known.timeouts?.deleteSeconds ?? defaultSeconds.delete;
    const deadline = deadlineIn(seconds);
    const forceAfter = Date.now() + (seconds * 1000) / 2;
    const base = pathOf(known, id);
    const poll = poller(context);
    const told = teller(context, known.name, id);
    let stopped = false;
    let deleted = false;
    for (;;) {
        const live = await tolerate(deadline, () => get(context, known, id));
        if (live === undefined) return;
        if (live) {
            const { state } = live.status;
            told(state);
            try {
                if (stoppable.includes(state) && !stopped) {
                    await context.client.put(`${base}/stop`);
                    stopped = true;
                } else if (["STOPPED", "FAILED", "ERROR"].includes(state) && !deleted) {
                    await context.client.delete(base);
                    deleted = true;
                } else if (Date.now() > forceAfter && state !== "DELETING") {
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
                `app ${known.name} (${id}) is still there after ${seconds} s (state ${live?.status.state ?? "unknown"}) and may be billed: ` +
                    "run `pulumi destroy` again, or delete it in the OVHcloud control panel",
            );
        }
        await poll();
    }
}

/** The app to take over: the one named by `adopt`, or the one that carries our label. */
async function findExisting(context: Context, inputs: AppInputs): Promise<LiveApp | undefined> {
    if (inputs.adopt) {
        const live = await get(context, inputs, inputs.adopt);
        if (!live) throw new Error(`adopt: app ${inputs.adopt} does not exist in project ${inputs.serviceName}`);
        if (!canBecome(live, inputs)) {
            throw new Error(
                `adopt: app ${inputs.adopt} differs in name, region, volumes, unsecureHttp, partnerId or flavorCount, which cannot be changed: ` +
                    `give the values it has (name ${live.spec.name}, region ${live.spec.region})`,
            );
        }
        context.progress(`${inputs.name} (${live.id}) taken over`);
        return live;
    }
    const selector = encodeURIComponent(`${adoptionLabelName}=${inputs.adoptionLabel}`);
    const found = await context.client.get<LiveApp[]>(
        `/cloud/project/${inputs.serviceName}/ai/app?labelSelector=${selector}`,
    );
    const ours = found.filter(
        (app) =>
            app.spec.labels?.[adoptionLabelName] === inputs.adoptionLabel &&
            !["DELETING", "DELETED"].includes(app.status.state) &&
            // An app that cannot become ours is the generation that a replacement is about to delete.
            canBecome(app, inputs),
    );
    if (ours.length > 1) {
        const ids = ours.map(({ id }) => id).join(", ");
        throw new Error(
            `${ours.length} apps carry the label ${adoptionLabelName}=${inputs.adoptionLabel} (${ids}): delete all but one, each is billed`,
        );
    }
    if (ours.length === 1) context.progress(`${inputs.name} (${ours[0].id}) found from an earlier run, taken over`);
    return ours[0];
}

/** Creates the app. When an answer is missing or unclear, looks whether it was created before sending another POST. */
async function post(context: Context, inputs: AppInputs): Promise<LiveApp> {
    for (let attempt = 1; ; attempt++) {
        try {
            const live = await context.client.post<LiveApp>(
                `/cloud/project/${inputs.serviceName}/ai/app`,
                createBody(inputs),
            );
            context.progress(`${inputs.name} (${live.id}) created`);
            return live;
        } catch (error) {
            if (!isTransient(error)) throw withHint(error as Error);
            const poll = poller(context);
            for (let look = 0; look < looksAfterUnclearPost; look++) {
                const found = await findExisting(context, inputs);
                if (found) return found;
                await poll();
            }
            if (attempt >= maxPosts) throw error;
        }
    }
}

/** Brings an app that exists to its wanted fields and state, and waits for it. */
async function settle(context: Context, first: LiveApp, inputs: AppInputs, deadline: number): Promise<AppOutputs> {
    let live = first;
    try {
        const base = pathOf(inputs, live.id);
        const calls = planCalls(live, inputs);
        for (const { path, body } of calls) await context.client.put(base + path, body);
        if (calls.length > 0) live = (await get(context, inputs, live.id)) ?? live;

        const before = live.status.lastTransitionDate;
        const wantsRunning = (inputs.desiredState ?? "RUNNING") === "RUNNING";
        const restarted = wantsRunning && ["STOPPED", "STOPPING", "FAILED", "ERROR"].includes(live.status.state);
        if (restarted) await startAgain(context, live, inputs, deadline);
        else if (!wantsRunning && stoppable.includes(live.status.state)) await context.client.put(`${base}/stop`);
        else if (isThere(live, inputs)) return outputs(live, inputs);

        live = await waitUntilThere(context, live, inputs, deadline, restarted ? before : undefined);
        return outputs(live, inputs);
    } catch (error) {
        // The newest look, if one can be had: the state is to say how the app is.
        live = (await get(context, inputs, live.id).catch(() => undefined)) ?? live;
        throw initError(live, inputs, error as Error);
    }
}

/** An app that was brought down can be started once it is down. */
async function startAgain(context: Context, live: LiveApp, inputs: AppInputs, deadline: number): Promise<void> {
    const poll = poller(context);
    let { state } = live.status;
    while (state === "STOPPING" && Date.now() < deadline) {
        await poll();
        state = (await tolerate(deadline, () => get(context, inputs, live.id)))?.status.state ?? state;
    }
    await context.client.put(`${pathOf(inputs, live.id)}/start`);
}

/** Polls until the app is as wanted. `staleFailure`: a failure of this date is the old one, still shown. */
async function waitUntilThere(
    context: Context,
    first: LiveApp,
    inputs: AppInputs,
    deadline: number,
    staleFailure?: string | null,
): Promise<LiveApp> {
    const poll = poller(context);
    const told = teller(context, inputs.name, first.id);
    told(first.status.state);
    let last = first;
    for (;;) {
        await poll();
        const live = await tolerate(deadline, () => get(context, inputs, first.id));
        if (live === undefined) throw new Error(`app ${inputs.name} (${first.id}) was deleted while it was waited for`);
        if (live) {
            last = live;
            told(live.status.state);
            if (isThere(live, inputs)) return live;
            const failed = live.status.state === "FAILED" || live.status.state === "ERROR";
            const stale = staleFailure !== undefined && live.status.lastTransitionDate === staleFailure;
            if (failed && !stale) throw await appFailure(context, live, inputs);
        }
        if (Date.now() > deadline) {
            throw new Error(
                `app ${inputs.name} (${first.id}) is ${last.status.state} after the time-out: it goes on and may be billed. ` +
                    "Run `pulumi up` again to go on waiting (timeouts.createSeconds raises the bound), or `pulumi destroy`",
            );
        }
    }
}

function isThere(live: LiveApp, inputs: AppInputs): boolean {
    const { state } = live.status;
    if (inputs.desiredState === "STOPPED") return state === "STOPPED";
    return state === "RUNNING" || (state === "STANDBY" && inputs.scalingStrategy?.automatic?.replicasMin === 0);
}

/** FAILED or ERROR: the platform's words, the last lines of the log without secrets, and what to do. */
async function appFailure(context: Context, live: LiveApp, inputs: AppInputs): Promise<Error> {
    const { state, info } = live.status;
    const secrets = Object.values(inputs.envVars ?? {});
    const log = await context.client
        .get<{ logs: { content: string }[] }>(`${pathOf(inputs, live.id)}/log?size=${logLines}`)
        .then(({ logs }) => logs.map(({ content }) => `    ${content}`).join("\n"))
        .catch((error: Error) => `    (the log cannot be read: ${error.message})`);
    const said = `${info?.code ?? ""} ${info?.message ?? "no message"}`.trim();
    const hint = hintFor(`${said}\n${log}`);
    const text = [
        `app ${inputs.name} (${live.id}) is ${state}: ${said}`,
        "  last lines of its log:",
        log || "    (empty)",
        hint && `  ${hint}`,
    ];
    return new Error(mask(text.filter(Boolean).join("\n"), secrets));
}

function initError(live: LiveApp, inputs: AppInputs, error: Error): InitError {
    const { message } = withHint(error);
    return Object.assign(new Error(message), { id: live.id, properties: outputs(live, inputs), reasons: [message] });
}

function withHint(error: Error): Error {
    const hint = error instanceof ApiError ? hintFor(error.said) : undefined;
    return hint ? new Error(`${error.message}\n  ${hint}`) : error;
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
    };
}

function inputsOf(known: AppOutputs): AppInputs {
    const {
        appId: _id,
        url: _url,
        monitoringUrl: _monitoring,
        state: _state,
        availableReplicas: _replicas,
        __provider: _provider,
        ...inputs
    } = known;
    return inputs;
}

function pathOf({ serviceName }: AppInputs, id: string): string {
    return `/cloud/project/${serviceName}/ai/app/${id}`;
}

function deadlineIn(seconds: number): number {
    return Date.now() + seconds * 1000;
}

/** Pauses between polls: short at first, so that a quick change is seen soon, then wider, to spare the rate limit. */
function poller({ pollMs }: Context): () => Promise<void> {
    let pause = firstPollMs;
    return () => {
        const now = pollMs ?? pause;
        pause = Math.min(widestPollMs, pause * 1.3);
        return sleep(now);
    };
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
