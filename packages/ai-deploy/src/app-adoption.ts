/** How a creation ends with exactly one app: the one of an interrupted run, or a new one. */
import { get, getSurely, goingStates, isOwned, labelled, looksAfterUnclearPost, oldest, tolerate } from "./app-find";
import { canBecome } from "./app-plan";
import { bringDown, deadlineIn, defaultSeconds } from "./app-run";
import { createBody, type LiveApp } from "./app-spec";
import { asInitError, unresolved } from "./app-state";
import type { AppInputs } from "./args";
import { sleep } from "./cancellation";
import { ApiError, isTransient } from "./client";
import type { Context } from "./context";

const maxPosts = 3;

/** The app to go on with: the one named by `adopt`, one that carries our label, or a new one. */
export async function obtain(context: Context, inputs: AppInputs, deadline: number): Promise<LiveApp> {
    // What this run has deleted to replace it cannot be taken over any more.
    if (inputs.adopt && !context.run.held.has(inputs.adopt)) return adopt(context, inputs, inputs.adopt);
    let unclear = false;
    try {
        for (let posts = 1; ; posts++) {
            // After a POST without a clear answer only several looks in a row without the app mean that there is none.
            for (let look = 1; ;) {
                const choose = () => chooseOne(context, inputs, deadline);
                const found = unclear ? await tolerate(deadline, choose) : await choose();
                if (found) {
                    context.progress(`${inputs.name} (${found.id}) found from an earlier run, taken over`);
                    return found;
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
 * stopped or is gone (`undefined`). Without an answer it counts as listed, for it must not be lost.
 */
function asItIs(context: Context, listed: LiveApp, inputs: AppInputs, deadline: number): Promise<LiveApp | undefined> {
    return asInitError(listed, inputs, async () => {
        const live = await tolerate(deadline, () => getSurely(context, inputs, listed.id, deadline));
        if (live === null) return listed;
        return live && !goingStates.includes(live.status.state) ? live : undefined;
    });
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
 * or `own`. The others go, since each is billed; but none for one that only a list still shows.
 */
export async function chooseOne(
    context: Context,
    inputs: AppInputs,
    deadline: number,
    own?: LiveApp,
): Promise<LiveApp | undefined> {
    const others = (await labelled(context, inputs)).filter((app) => app.id !== own?.id && !isOwned(context, app));
    for (let found = own ? [own, ...others] : others; ;) {
        const chosen = oldest(found.filter((app) => app === own || canBecome(app, inputs)));
        const live = chosen && chosen !== own ? await asItIs(context, chosen, inputs, deadline) : chosen;
        if (chosen && !live) {
            found = found.filter((app) => app !== chosen);
            continue;
        }
        for (const app of found) {
            if (app === chosen) continue;
            context.run.given.delete(app.id);
            await discard(context, inputs, app);
        }
        return live;
    }
}

/** Deletes what carries our label and belongs to nobody. Without an answer now, the look of the next run tells. */
export async function clearLeftovers(context: Context, inputs: AppInputs): Promise<void> {
    for (const app of (await tolerate(Infinity, () => labelled(context, inputs))) ?? []) {
        if (!isOwned(context, app)) await discard(context, inputs, app);
    }
}

export async function discard(context: Context, inputs: AppInputs, { id }: LiveApp): Promise<void> {
    context.progress(`${inputs.name}: ${id} is a leftover of an interrupted run, deleted`);
    await bringDown(context, inputs, id, deadlineIn(inputs.timeouts?.deleteSeconds ?? defaultSeconds.delete));
}
