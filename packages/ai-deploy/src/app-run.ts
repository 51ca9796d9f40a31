/** Brings an app that exists up, to its wanted fields and state, and down. */
import { contradictory, get, labelled, looksWithoutApp, pathOf, tolerate } from "./app-find";
import { downStates, planCalls } from "./app-plan";
import type { AppState, LiveApp } from "./app-spec";
import { initError, outputs, type AppOutputs } from "./app-state";
import type { AppInputs } from "./args";
import { sleep } from "./cancellation";
import { ApiError, isTransient } from "./client";
import type { Context } from "./context";
import { hintFor } from "./failure";

export const defaultSeconds = { create: 1800, update: 1800, delete: 600 };
const maxRoundsOfCalls = 5;
/** Looks in a row that must say STOPPED before a wait for RUNNING ends: one that lags may still show the time before. */
const looksStopped = 3;
/** Looks in a row that must say RUNNING after a change that restarts replicas, if nothing else shows that it began. */
const looksAfterRestart = 3;
const logLines = 20;

const stoppable: AppState[] = ["RUNNING", "SCALING", "INITIALIZING", "QUEUED", "STANDBY"];
const failedStates: AppState[] = ["FAILED", "ERROR"];

/** Brings an app that exists to its wanted fields and state, and waits for it. `before`: what the state says of it. */
export async function settle(
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
        let absent = 0;
        await context.poller.until(async () => {
            const now = await tolerate(deadline, () => get(context, inputs, live.id));
            if (now === undefined && ++absent >= looksWithoutApp) throw wasDeleted(inputs, live.id);
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

function wasDeleted({ name }: AppInputs, id: string): Error {
    return new Error(
        `app ${name} (${id}) was deleted while it was waited for: run \`pulumi up\` again, it makes a new one`,
    );
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
        if (live === undefined && ++absent >= looksWithoutApp) throw wasDeleted(inputs, first.id);
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

/**
 * Stops an app, deletes it, and waits until it is neither found by itself nor listed. Returns what else is listed under
 * its label. Not found may also mean that the project is not: then this throws.
 */
export async function bringDown(context: Context, inputs: AppInputs, id: string, deadline: number): Promise<LiveApp[]> {
    for (;;) {
        await deleteOne(context, inputs, id, deadline);
        const listed = await tolerate(deadline, () => labelled(context, inputs));
        if (listed && !listed.some((app) => app.id === id)) return listed;
        if (Date.now() > deadline) throw contradictory(inputs, id);
        await sleep(context.poller.pauseMs(0));
    }
}

/** Stops an app, deletes it, and waits until it is not found any more. */
async function deleteOne(context: Context, inputs: AppInputs, id: string, deadline: number): Promise<void> {
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

export function deadlineIn(seconds: number): number {
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
