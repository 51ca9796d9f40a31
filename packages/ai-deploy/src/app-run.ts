/** Brings an app that exists to its wanted fields and state, and down. */
import { marksOf } from "./app-compare";
import { contradictory, get, labelled, looksWithoutApp, pathOf, tolerate } from "./app-find";
import { downStates, planCalls, type PlannedCall } from "./app-plan";
import type { AppState, LiveApp } from "./app-spec";
import { initError, outputs, type AppOutputs } from "./app-state";
import { failedStates, isUp, teller, waitUntil, wasDeleted, type Wait } from "./app-wait";
import type { AppInputs } from "./args";
import { sleep } from "./cancellation";
import { ApiError, isTransient } from "./client";
import type { Context } from "./context";
import { namesOf } from "./names";

export const defaultSeconds = { create: 1800, update: 1800, delete: 600 };
const maxRoundsOfCalls = 5;
/** Looks that may still show the time before a change that the platform has taken. */
const looksUntilShown = 3;

const stoppable: AppState[] = ["RUNNING", "SCALING", "INITIALIZING", "QUEUED", "STANDBY"];
/** As the state has it: an app that was up. */
const servingStates: AppOutputs["state"][] = ["RUNNING", "SCALING", "STANDBY"];

/** Where an app comes from that is to be settled. */
export interface Origin {
    /** From this run's POST: it is as the inputs say, in whatever form it is shown. */
    made?: boolean;
    /** What the state says of it. */
    before?: AppOutputs;
}

/** Brings an app that exists to its wanted fields and state, and waits for it. */
export async function settle(
    context: Context,
    first: LiveApp,
    inputs: AppInputs,
    deadline: number,
    { made = false, before }: Origin = {},
): Promise<AppOutputs> {
    let live = first;
    let revision = before?.revision ?? 1;
    // One that has not been up yet is waited for, whatever is changed now. Else a change is done once it is taken.
    let unsettled = !before || before.unsettled === true || !servingStates.includes(before.state);
    try {
        const changed = made ? { live, restarts: false } : await applyPlan(context, live, inputs, deadline, before);
        live = changed.live;
        const wantsRunning = (inputs.desiredState ?? "RUNNING") === "RUNNING";
        const starts = wantsRunning && downStates.includes(live.status.state);
        if (before && (changed.restarts || starts)) revision++;
        unsettled ||= changed.restarts || starts;
        const restarts = !starts && (changed.restarts || (before?.unsettled === true && revision > 1));

        const wait: Wait = { ...goalOf(inputs, unsettled, restarts), deadline };
        if (starts) {
            wait.staleFailure = live.status.lastTransitionDate;
            await startAgain(context, live, inputs, deadline);
        } else if (!wantsRunning && stoppable.includes(live.status.state)) {
            await context.client.put(`${pathOf(inputs, live.id)}/stop`);
        }
        // What a creation has of its app may come from a POST or a list, and the marks are to be those of a GET.
        if (!before || starts || wait.restarts || !wait.there(live, false)) {
            live = await waitUntil(context, inputs, live, wait);
        }
        return outputs(live, inputs, { revision, marks: marksOf(live) });
    } catch (error) {
        // The newest look, if one can be had: the state is to say how the app is.
        live = (await get(context, inputs, live.id).catch(() => undefined)) ?? live;
        throw initError(live, inputs, error as Error, { revision, unsettled: unsettled || undefined });
    }
}

/** What an app is waited for to be. */
function goalOf(inputs: AppInputs, unsettled: boolean, restarts: boolean): Pick<Wait, "there" | "restarts"> {
    if (inputs.desiredState === "STOPPED") {
        // A failed app does not run either, and is not billed.
        return { there: ({ status }) => status.state === "STOPPED" || failedStates.includes(status.state) };
    }
    if (inputs.waitUntilRunning === false || !unsettled) return { there: isTaken };
    return { there: (live) => isUp(live, restarts), restarts };
}

/** Whether the platform has an address for the app and is at work on it, or has tried: that it serves is not asked. */
function isTaken({ status }: LiveApp, staleFailure: boolean): boolean {
    const tried = failedStates.includes(status.state) && !staleFailure;
    return Boolean(status.url) && (tried || !downStates.includes(status.state));
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
    before?: AppOutputs,
): Promise<{ live: LiveApp; restarts: boolean }> {
    const done = new Set<string>();
    let live = first;
    let restarts = false;
    let looks = 0;
    for (let round = 1; ;) {
        const plan = planCalls(live, inputs, before, round > 1);
        const missing = plan.map((call) => withoutDone(call, done)).filter((call) => call !== undefined);
        if (missing.length === 0 && (plan.length === 0 || ++looks > looksUntilShown)) return { live, restarts };
        if (missing.length === 0) {
            await sleep(context.poller.pauseMs(0));
        } else {
            round++;
        }
        try {
            for (const call of missing) {
                if (call.path === "") restarts = true;
                await context.client.putOnce(pathOf(inputs, first.id) + call.path, call.body);
                for (const part of partsOf(call)) done.add(part);
            }
        } catch (error) {
            if (!isTransient(error) || round > maxRoundsOfCalls) throw error;
            await sleep(context.poller.pauseMs(round));
        }
        live = (await tolerate(deadline, () => get(context, inputs, first.id))) ?? live;
    }
}

/** A call without the fields that the platform has taken already; undefined when none is left. */
function withoutDone(call: PlannedCall, done: Set<string>): PlannedCall | undefined {
    const parts = partsOf(call);
    if (call.path !== "") return parts.every((part) => done.has(part)) ? undefined : call;
    const left = Object.entries(call.body).filter((_field, i) => !done.has(parts[i]));
    return left.length === 0 ? undefined : { path: "", body: Object.fromEntries(left) };
}

/** What a call sets, each part as a text; those of a call for the fields in the order of its body. */
function partsOf({ path, body }: PlannedCall): string[] {
    if (path !== "") return [JSON.stringify([path, body])];
    return Object.entries(body).map((field) => JSON.stringify(field));
}

/** An app that was brought down can be started once it is down. */
async function startAgain(context: Context, live: LiveApp, inputs: AppInputs, deadline: number): Promise<void> {
    if (live.status.state === "STOPPING") {
        let absent = 0;
        await context.poller.until(async () => {
            const now = await tolerate(deadline, () => get(context, inputs, live.id));
            if (now === undefined && ++absent >= looksWithoutApp) throw wasDeleted(inputs, live.id);
            return (now && now.status.state !== "STOPPING") || performance.now() > deadline ? true : undefined;
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

/**
 * Stops an app, deletes it, and waits until it is neither found by itself nor listed. Returns what else is listed under
 * its label. Not found may also mean that the project is not: then this throws.
 */
export async function bringDown(context: Context, inputs: AppInputs, id: string, deadline: number): Promise<LiveApp[]> {
    for (;;) {
        await deleteOne(context, inputs, id, deadline);
        const listed = await tolerate(deadline, () => labelled(context, inputs));
        if (listed && !listed.some((app) => app.id === id)) return listed;
        if (performance.now() > deadline) throw contradictory(inputs, id);
        await sleep(context.poller.pauseMs(0));
    }
}

/** Stops an app, deletes it, and waits until it is not found any more. */
async function deleteOne(context: Context, inputs: AppInputs, id: string, deadline: number): Promise<void> {
    const forceAt = (performance.now() + deadline) / 2;
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
                } else if (performance.now() > forceAt && state !== "DELETING") {
                    await context.client.delete(`${base}?force=true`);
                }
            } catch (error) {
                // The state may have moved on between the look and the call; the next look tells.
                if (!(isTransient(error) || (error instanceof ApiError && [400, 404, 409].includes(error.status)))) {
                    throw error;
                }
            }
        }
        if (performance.now() > deadline) {
            throw new Error(
                `app ${inputs.name} (${id}) is still there after the time-out (state ${live?.status.state ?? "unknown"}) and may be billed: ` +
                    `run the same command again (${namesOf(inputs)("timeouts.deleteSeconds")} raises the bound), or delete it in the OVHcloud control panel`,
            );
        }
        return undefined;
    };
    if (!(await step())) await context.poller.until(step);
}

export function deadlineIn(seconds: number): number {
    return performance.now() + seconds * 1000;
}
