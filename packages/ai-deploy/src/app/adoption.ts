/** How a creation ends with exactly one app: the one of an interrupted run, or a new one. */
import { canBecome, couldBecome } from "./made-as";
import { get, getSurely, isOwned, labelled, looksAfterUnclearPost, oldest, pathOf, tolerate, withState } from "./find";
import { createBody } from "./plan";
import { discard } from "./removal";
import { goingStates, type LiveApp } from "./live";
import { asInitError, unresolved } from "./state";
import type { AppInputs } from "./args";
import { sleep } from "../waiting/cancellation";
import { isTransient } from "../errors/request-errors";
import type { Task } from "../process/context";
import { namesOf } from "../errors/setting-names";
import { MalformedAnswerError } from "../errors/request-errors";

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
export async function obtain(task: Task<AppInputs>): Promise<Obtained> {
    const { inputs, poller, progress, run } = task;
    // What this run has deleted to replace it cannot be taken over any more.
    if (inputs.adopt && !run.fromState.has(inputs.adopt)) {
        return { live: await adopt(task, inputs.adopt), made: false, unclear: false };
    }
    let unclear = false;
    try {
        for (let posts = 1; ; posts++) {
            // After a POST without a clear answer only several looks in a row without the app mean that there is none.
            for (let look = 1; ;) {
                const found = unclear ? await tolerate(task, () => chooseOne(task)) : await chooseOne(task);
                if (found) {
                    progress(`${inputs.name} (${found.id}) found from an earlier run, taken over`);
                    return { live: found, made: false, unclear };
                }
                if (!unclear || look >= looksAfterUnclearPost) break;
                if (found !== null) look++;
                await sleep(poller.pauseMs(look));
            }
            const made = await post(task).catch(async (error: unknown) => {
                if (isTransient(error)) unclear = true;
                if (!isTransient(error) || posts >= maxPosts) throw error;
                await sleep(poller.pauseMs(0));
                return undefined;
            });
            if (made) return { live: await asMade(task, made), made: true, unclear };
        }
    } catch (error) {
        if (!unclear || "id" in (error as Error)) throw error;
        throw unresolved(task, error as Error);
    }
}

/** What a POST answered: the app, or of an answer that cannot be read the id alone. */
type Made = LiveApp | { id: string };

/** Sends the POST. The answer counts if it has an id, whatever else is wrong with it. */
async function post({ client, inputs, progress }: Task<AppInputs>): Promise<Made> {
    const made = await client.post<LiveApp>(pathOf(inputs), createBody(inputs)).catch((error: unknown) => {
        const id = error instanceof MalformedAnswerError ? error.seenId : undefined;
        if (id === undefined) throw error;
        return { id };
    });
    progress(`${inputs.name} (${made.id}) created`);
    return made;
}

/** The app that was made, as the answer shows it or else as it can be read. */
function asMade(task: Task<AppInputs>, made: Made): Promise<LiveApp> {
    const { name, region, image, resources } = task.inputs;
    const { id } = made;
    const barely: LiveApp = { id, spec: { name, region, image, resources }, status: { state: "QUEUED" } };
    return asInitError(task, barely, async () => {
        if ("spec" in made) return withState(made);
        return (await tolerate(task, () => getSurely(task, id))) ?? barely;
    });
}

/**
 * An app that a list showed, looked at by itself: a list that lags may say that it runs, or is about to, when it has been
 * stopped or is gone (`undefined`). Without an answer it counts as listed, for it must not be lost.
 */
function asItIs(task: Task<AppInputs>, listed: LiveApp): Promise<LiveApp | undefined> {
    return asInitError(task, listed, async () => {
        const live = await tolerate(task, () => getSurely(task, listed.id));
        if (live === null) return listed;
        return live && !goingStates.includes(live.status.state) ? live : undefined;
    });
}

async function adopt(task: Task<AppInputs>, id: string): Promise<LiveApp> {
    const { inputs } = task;
    const live = await get(task, id);
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
    task.progress(`${inputs.name} (${id}) taken over`);
    return live;
}

/**
 * Of all apps with our label that nobody owns, the one that stays, if any: the oldest that can become what is wanted,
 * or `own`. The others go, since each is billed; but none for one that only a list still shows.
 */
export async function chooseOne(task: Task<AppInputs>, own?: LiveApp): Promise<LiveApp | undefined> {
    const others = (await labelled(task)).filter((app) => app.id !== own?.id && !isOwned(task, app));
    for (let found = own ? [own, ...others] : others; ;) {
        const chosen = oldest(found.filter((app) => app === own || canBecome(app, task.inputs)));
        const live = chosen && chosen !== own ? await asItIs(task, chosen) : chosen;
        if (chosen && !live) {
            found = found.filter((app) => app !== chosen);
            continue;
        }
        for (const app of found) {
            if (app === chosen) continue;
            task.run.fromCreate.delete(app.id);
            await discard(task, app);
        }
        return live;
    }
}
