/** Brings an app that exists to its wanted fields and state, and down. */
import { marksOf } from "./marks";
import { get, looksWithoutApp, pathOf, tolerate } from "./find";
import { isHeldDown, planCalls, type PlannedCall } from "./plan";
import { downStates, failedStates, stoppableStates, type LiveApp } from "./live";
import { initError, outputs, type AppOutputs } from "./state";
import { isUp, waitUntil, wasDeleted, type Wait } from "./wait";
import type { AppInputs } from "./args";
import { sleep } from "../waiting/cancellation";
import { ApiError, isTransient } from "../errors/request-errors";
import type { Task } from "../process/context";

const maxRoundsOfCalls = 5;
/** Looks that may still show the time before a change that the platform has taken. */
const looksUntilShown = 3;

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
    task: Task<AppInputs>,
    first: LiveApp,
    { made = false, before }: Origin = {},
): Promise<AppOutputs> {
    const { inputs } = task;
    let live = first;
    let revision = before?.revision ?? 1;
    // One that has not been up yet is waited for, whatever is changed now. Else a change is done once it is taken.
    let unsettled = !before || before.unsettled === true || !servingStates.includes(before.state);
    try {
        const changed = made ? { live, restarts: false } : await applyPlan(task, live, before);
        live = changed.live;
        const held = isHeldDown(inputs, live.status.state, before);
        const wantsRunning = (inputs.desiredState ?? "RUNNING") === "RUNNING" && !held;
        const starts = wantsRunning && downStates.includes(live.status.state);
        if (before && (changed.restarts || starts)) revision++;
        unsettled ||= changed.restarts || starts;
        const restarts = !starts && (changed.restarts || (before?.unsettled === true && revision > 1));

        const wait: Wait = held ? { isDone: () => true } : goalOf(inputs, unsettled, restarts);
        if (starts) {
            wait.staleFailure = live.status.lastTransitionDate;
            await startAgain(task, live);
        } else if (!wantsRunning && !held && stoppableStates.includes(live.status.state)) {
            await task.client.put(`${pathOf(inputs, live.id)}/stop`);
        }
        // What a creation has of its app may come from a POST or a list, and the marks are to be those of a GET.
        if (!before || starts || wait.restarts || !wait.isDone(live, false)) {
            live = await waitUntil(task, live, wait);
        }
        return outputs(live, inputs, { revision, marks: marksOf(live) });
    } catch (error) {
        // The newest look, if one can be had: the state is to say how the app is.
        live = (await get(task, live.id).catch(() => undefined)) ?? live;
        throw initError(live, inputs, error as Error, { revision, unsettled: unsettled || undefined });
    }
}

/** What an app is waited for to be. */
function goalOf(inputs: AppInputs, unsettled: boolean, restarts: boolean): Wait {
    if (inputs.desiredState === "STOPPED") {
        // A failed app does not run either, and is not billed.
        return { isDone: ({ status }) => status.state === "STOPPED" || failedStates.includes(status.state) };
    }
    if (inputs.waitUntilRunning === false || !unsettled) return { isDone: isTaken };
    return { isDone: (live) => isUp(live, restarts), restarts };
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
    task: Task<AppInputs>,
    first: LiveApp,
    before?: AppOutputs,
): Promise<{ live: LiveApp; restarts: boolean }> {
    const { client, inputs, poller } = task;
    const done = new Set<string>();
    let live = first;
    let restarts = false;
    let looks = 0;
    for (let round = 1; ;) {
        const plan = planCalls(live, inputs, before, round > 1);
        const missing = plan.map((call) => withoutDone(call, done)).filter((call) => call !== undefined);
        if (missing.length === 0 && (plan.length === 0 || ++looks > looksUntilShown)) return { live, restarts };
        if (missing.length === 0) {
            await sleep(poller.pauseMs(0));
        } else {
            round++;
        }
        try {
            for (const call of missing) {
                if (call.path === "") restarts = true;
                await client.putOnce(pathOf(inputs, first.id) + call.path, call.body);
                for (const part of partsOf(call)) done.add(part);
            }
        } catch (error) {
            if (!isTransient(error) || round > maxRoundsOfCalls) throw error;
            await sleep(poller.pauseMs(round));
        }
        live = (await tolerate(task, () => get(task, first.id))) ?? live;
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
async function startAgain(task: Task<AppInputs>, live: LiveApp): Promise<void> {
    const { client, deadline, inputs, poller } = task;
    if (live.status.state === "STOPPING") {
        let absent = 0;
        await poller.until(async () => {
            const now = await tolerate(task, () => get(task, live.id));
            if (now === undefined && ++absent >= looksWithoutApp) throw wasDeleted(inputs, live.id);
            return (now && now.status.state !== "STOPPING") || performance.now() > deadline ? true : undefined;
        });
    }
    try {
        await client.put(`${pathOf(inputs, live.id)}/start`);
    } catch (error) {
        const refused = error instanceof ApiError && [400, 409].includes(error.status);
        const now = refused ? await get(task, live.id) : undefined;
        // Somebody else, or the change before, has started it already.
        if (!now || downStates.includes(now.status.state)) throw error;
    }
}
