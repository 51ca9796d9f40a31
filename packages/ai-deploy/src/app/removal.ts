/** How an app goes, and what an interrupted run left of one. */
import { namesOf } from "../errors/setting-names";
import { ApiError, isTransient } from "../errors/request-errors";
import { deadlineIn, type Task } from "../process/context";
import { sleep } from "../waiting/cancellation";
import { defaultTimeouts, type AppLeftoversInputs } from "./args";
import { contradictory, get, isOwned, labelled, pathOf, tolerate, type Labelled } from "./find";
import { stoppableStates, type LiveApp } from "./live";
import { stateReporter } from "./wait";

/**
 * Stops an app, deletes it, and waits until it is neither found by itself nor listed. Returns what else is listed under
 * its label. Not found may also mean that the project is not: then this throws.
 */
export async function bringDown(task: Task<Labelled>, id: string): Promise<LiveApp[]> {
    for (;;) {
        await stopAndDelete(task, id);
        const listed = await tolerate(task, () => labelled(task));
        if (listed && !listed.some((app) => app.id === id)) return listed;
        if (performance.now() > task.deadline) throw contradictory(task.inputs, id);
        await sleep(task.poller.pauseMs(0));
    }
}

/** Looks that may still show an app as it was before its stop; one that runs after them was started again between two of them. */
const looksUntilStopping = 3;

/** Stops an app, deletes it, and waits until it is not found any more. */
async function stopAndDelete(task: Task<Labelled>, id: string): Promise<void> {
    const { client, deadline, inputs } = task;
    const forceAt = (performance.now() + deadline) / 2;
    const base = pathOf(inputs, id);
    const reportState = stateReporter(task, id);
    let looksSinceStop = Infinity;
    let deleted = false;
    const step = async (): Promise<true | undefined> => {
        const live = await tolerate(task, () => get(task, id));
        if (live === undefined) return true;
        if (live) {
            const { state } = live.status;
            reportState(state);
            try {
                if (stoppableStates.includes(state) && ++looksSinceStop > looksUntilStopping) {
                    await client.put(`${base}/stop`);
                    looksSinceStop = 0;
                } else if (["STOPPED", "FAILED", "ERROR"].includes(state) && !deleted) {
                    // Whoever else may start it can do so before it is deleted: it is stopped again then.
                    looksSinceStop = Infinity;
                    // Not found, though it was seen just now: the next look tells.
                    deleted = await client.delete(base);
                } else if (performance.now() > forceAt && state !== "DELETING") {
                    await client.delete(`${base}?force=true`);
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
    if (!(await step())) await task.poller.until(step);
}

/** Deletes what carries our label and belongs to nobody. Without an answer now, the look of the next run tells. */
export async function clearLeftovers(task: Task<AppLeftoversInputs>): Promise<void> {
    for (const app of (await tolerate({ deadline: Infinity }, () => labelled(task))) ?? []) {
        if (!isOwned(task, app)) await discard(task, app);
    }
}

export async function discard(task: Task<AppLeftoversInputs>, { id }: LiveApp): Promise<void> {
    const { name, timeouts } = task.inputs;
    task.progress(`${name}: ${id} is a leftover of an interrupted run, deleted`);
    const deadline = deadlineIn(timeouts?.deleteSeconds ?? defaultTimeouts.deleteSeconds);
    await bringDown({ ...task, deadline }, id);
}
