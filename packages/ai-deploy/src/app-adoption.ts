/** How a creation ends with exactly one app: the one of an interrupted run, or a new one. */
import { canBecome, couldBecome } from "./app-compare";
import {
    get,
    getSurely,
    goingStates,
    isOwned,
    labelled,
    looksAfterUnclearPost,
    oldest,
    pathOf,
    tolerate,
    withState,
} from "./app-find";
import { createBody } from "./app-plan";
import { bringDown, deadlineIn, defaultSeconds } from "./app-run";
import type { LiveApp } from "./app-spec";
import { asInitError, unresolved } from "./app-state";
import type { AppInputs } from "./args";
import { sleep } from "./cancellation";
import { isTransient } from "./client";
import type { Context } from "./context";
import { namesOf } from "./names";
import { MalformedAnswerError } from "./request-errors";

const maxPosts = 3;

/** An app to go on with. */
export interface Obtained {
    live: LiveApp;
    /** By this run, so that it is as the inputs say, in whatever form it is shown. */
    made: boolean;
    /** A POST had no clear answer: it may have made another app, which no list shows yet. */
    unclear: boolean;
}

/** The app to go on with: the one named by `adopt`, one that carries our label, or a new one. */
export async function obtain(context: Context, inputs: AppInputs, deadline: number): Promise<Obtained> {
    // What this run has deleted to replace it cannot be taken over any more.
    if (inputs.adopt && !context.run.held.has(inputs.adopt)) {
        return { live: await adopt(context, inputs, inputs.adopt), made: false, unclear: false };
    }
    let unclear = false;
    try {
        for (let posts = 1; ; posts++) {
            // After a POST without a clear answer only several looks in a row without the app mean that there is none.
            for (let look = 1; ;) {
                const choose = () => chooseOne(context, inputs, deadline);
                const found = unclear ? await tolerate(deadline, choose) : await choose();
                if (found) {
                    context.progress(`${inputs.name} (${found.id}) found from an earlier run, taken over`);
                    return { live: found, made: false, unclear };
                }
                if (!unclear || look >= looksAfterUnclearPost) break;
                if (found !== null) look++;
                await sleep(context.poller.pauseMs(look));
            }
            const made = await post(context, inputs).catch(async (error: unknown) => {
                if (isTransient(error)) unclear = true;
                if (!isTransient(error) || posts >= maxPosts) throw error;
                await sleep(context.poller.pauseMs(0));
                return undefined;
            });
            if (made) return { live: await asMade(context, inputs, made, deadline), made: true, unclear };
        }
    } catch (error) {
        if (!unclear || "id" in (error as Error)) throw error;
        throw unresolved(context, inputs, error as Error);
    }
}

/** What a POST answered: the app, or of an answer that cannot be read the id alone. */
type Made = LiveApp | { id: string };

/** Sends the POST. The answer counts if it has an id, whatever else is wrong with it. */
async function post(context: Context, inputs: AppInputs): Promise<Made> {
    const made = await context.client.post<LiveApp>(pathOf(inputs), createBody(inputs)).catch((error: unknown) => {
        const id = error instanceof MalformedAnswerError ? error.seenId : undefined;
        if (id === undefined) throw error;
        return { id };
    });
    context.progress(`${inputs.name} (${made.id}) created`);
    return made;
}

/** The app that was made, as the answer shows it or else as it can be read. */
function asMade(context: Context, inputs: AppInputs, made: Made, deadline: number): Promise<LiveApp> {
    const { name, region, image, resources } = inputs;
    const { id } = made;
    const barely: LiveApp = { id, spec: { name, region, image, resources }, status: { state: "QUEUED" } };
    return asInitError(barely, inputs, async () => {
        if ("spec" in made) return withState(made);
        return (await tolerate(deadline, () => getSurely(context, inputs, id, deadline))) ?? barely;
    });
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
        throw new Error(`${namesOf(inputs)("adopt")}: app ${id} does not exist in project ${inputs.serviceName}`);
    }
    if (!canBecome(live, inputs) && !couldBecome(live, inputs)) {
        const named = namesOf(inputs);
        const [own, region, volumes] = ["name", "region", "volumes"].map(named);
        throw new Error(
            `${named("adopt")}: app ${id} differs in what cannot be changed: give the ${own} (${live.spec.name}), ${region} (${live.spec.region}), ` +
                `${volumes}, unsecureHttp, partnerId and flavorCount that it has, and each probe and grpcPort that it has`,
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
