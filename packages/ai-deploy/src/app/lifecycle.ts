/** What Pulumi asks of an app: what would change, and to create, update, read and delete it. */
import { marksOf } from "./marks";
import { chooseOne, obtain } from "./adoption";
import { bringDown, clearLeftovers, discard } from "./removal";
import {
    findUnresolved,
    get,
    getSurely,
    glance,
    isOurs,
    isOwned,
    labelled,
    looksAfterUnclearPost,
    tolerate,
} from "./find";
import { diffApp, driftedFields, inputsFromLive, isHeldDown, restartsReplicas, type AppDiff } from "./plan";
import { settle } from "./settle";
import { downStates, goingStates, type LiveApp } from "./live";
import { appIdOf, asInitError, inputsOf, outputs, secretsOf, type AppOutputs } from "./state";
import { defaultTimeouts, type AppInputs } from "./args";
import { sleep } from "../waiting/cancellation";
import { beginTask, type Context, type Task } from "../process/context";
import { say } from "../process/say";
import { explain } from "../errors/explain";
import { namesOf, wayToReplaceFirst } from "../errors/setting-names";

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
    context?.run.fromState.add(known);
    const seen = context && known !== "" ? await glance(context, known, olds) : undefined;
    if (!context || !seen) return announceReplacement(context, diffApp(olds, news), olds, news);
    const { app, listed } = seen;
    if (!app || goingStates.includes(app.status.state)) {
        context.progress(
            `${olds.name} (${known}) does not exist any more; if it is protected, \`pulumi refresh\` takes it out of the state`,
        );
        return { changes: true, replaces: ["appId"] };
    }
    const { state } = app.status;
    const plan = diffApp(olds, news, state);
    if (isHeldDown(news, state, olds)) {
        context.progress(
            `${olds.name} (${known}) is ${state} and stays so: ${news.mayBeStoppedBy} may have stopped it`,
        );
    } else if (downStates.includes(state) && plan.changes) context.progress(`${olds.name} (${known}) is ${state}`);
    const leftovers = listed.filter((other) => other.id !== known && isOurs(other, olds) && !isOwned(context, other));
    for (const { id: leftover } of leftovers) {
        context.progress(`${olds.name}: ${leftover} is a leftover of an interrupted run`);
    }
    // Without marks a difference may be one of form, except where there are no two forms of the same.
    const drifted = driftedFields(app, inputsOf(olds), olds).filter(
        (field) => olds.marks || field === "labels" || field === "envVars",
    );
    if (drifted.length > 0) {
        const what = drifted.map(namesOf(news)).join(", ");
        context.progress(`${olds.name} (${known}) was changed since, by an interrupted run or by hand: ${what}`);
    }
    const changes = plan.changes || leftovers.length > 0 || drifted.length > 0;
    if (plan.replaces.length === 0) context.run.restarts.set(known, restartsReplicas(olds, news, drifted, state));
    return announceReplacement(context, { ...plan, changes }, olds, news, app);
}

/** Says what a replacement means for those who use the app, since a preview shows it as one line among many. */
function announceReplacement(
    context: Context | undefined,
    plan: AppDiff,
    olds: AppOutputs,
    news: AppInputs,
    live?: LiveApp,
): AppDiff {
    if (plan.replaces.length === 0) return plan;
    const named = namesOf(news);
    const why = plan.replaces.map(named).join(", ");
    const start = startMinutes(live, news);
    const consequence = news.replaceFirst
        ? `the new app comes up first (${start}), with an address of its own; until then both are billed and need quota`
        : `the app is deleted before the new one starts: nothing serves for ${start}, and its address changes. ` +
          `${wayToReplaceFirst(news)} brings the new one up first, if the quota allows both`;
    (context?.progress ?? say)(
        `${olds.name} (${appIdOf("", olds)}) is REPLACED by this change of ${why}: ${consequence}`,
    );
    return plan;
}

/** How long a start takes: as long as the app's last one, or else what its probe waits for at least. */
function startMinutes(live: LiveApp | undefined, inputs: AppInputs): string {
    const history = live?.status.history ?? [];
    const queued = history.map(({ state }) => state).lastIndexOf("QUEUED");
    const began = history[queued]?.date ?? live?.createdAt;
    const served = history.find(({ state }, i) => i > queued && state === "RUNNING")?.date;
    const seconds = (Date.parse(served ?? "") - Date.parse(began ?? "")) / 1000;
    if (seconds >= 0) return `about ${Math.max(1, Math.round(seconds / 60))} min, as its last start took`;
    const delay = inputs.readinessProbe?.initialDelaySeconds ?? 0;
    return `${Math.max(1, Math.ceil(delay / 60))} min at least`;
}

/** Finds or makes the app, then brings it up. Whatever fails once the app exists is thrown as an `InitError`. */
export async function create(context: Context, inputs: AppInputs): Promise<{ id: string; outs: AppOutputs }> {
    try {
        const seconds = inputs.timeouts?.createSeconds ?? defaultTimeouts.createSeconds;
        const outs = await bringUp(beginTask(context, inputs, seconds));
        return { id: outs.appId, outs };
    } catch (error) {
        throw explain(error, `creating app ${inputs.name}`, secretsOf(inputs), namesOf(inputs));
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
        const seconds = inputs.timeouts?.updateSeconds ?? defaultTimeouts.updateSeconds;
        const task = beginTask(context, inputs, seconds);
        if (known === "") {
            for (const other of olds.owned ?? []) task.run.fromState.add(other);
            return { outs: await bringUp(task) };
        }
        task.run.fromState.add(known);
        const live = await get(task, known);
        if (!live || live.status.state === "DELETING") {
            throw new Error(
                `app ${inputs.name} (${known}) does not exist any more: run \`pulumi up\` again, it makes a new one`,
            );
        }
        const outs = await settle(task, live, { before: olds });
        await asInitError(task, live, () => clearLeftovers(task), { revision: outs.revision });
        return { outs };
    } catch (error) {
        throw explain(
            error,
            `updating app ${inputs.name} (${known || "id unknown"})`,
            secretsOf(inputs),
            namesOf(inputs),
        );
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
        const task = beginTask(context, known, 0);
        task.run.fromState.add(appId);
        const live = appId === "" ? await findUnresolved(task) : await getSurely(task, appId);
        // One that is on its way out will not come back.
        if (!live || live.status.state === "DELETING") return undefined;
        const { revision, marks, unsettled, __provider } = known;
        const inputs = inputsFromLive(live, inputsOf(known), { marks });
        // Found by its label, it has not been brought to what is wanted yet.
        const bookkeeping = appId === "" ? { unsettled: true } : { revision, marks: marks && marksOf(live), unsettled };
        return { id: live.id, outs: outputs(live, inputs, { ...bookkeeping, __provider }), inputs };
    } catch (error) {
        throw explain(error, `reading app ${known.name} (${appId || "id unknown"})`, secretsOf(known), namesOf(known));
    }
}

/**
 * Stops the app, deletes it, and waits until the platform says that it is gone: billing runs until then. Whatever else
 * carries its label and belongs to nobody goes too.
 */
export async function remove(context: Context, id: string, known: AppOutputs): Promise<void> {
    let appId = appIdOf(id, known);
    if (context.run.fromCreate.has(appId)) {
        context.progress(`${known.name} (${appId}) stays: another resource of this run has taken it over`);
        return;
    }
    try {
        const task = beginTask(context, known, known.timeouts?.deleteSeconds ?? defaultTimeouts.deleteSeconds);
        if (appId === "") appId = (await findUnresolved(task))?.id ?? "";
        task.run.fromState.add(appId);
        const others = appId === "" ? await labelled(task) : await bringDown(task, appId);
        for (const app of others) {
            if (!isOwned(task, app)) await discard(task, app);
        }
        task.run.removed.add(known.adoptionLabel);
    } catch (error) {
        throw explain(error, `deleting app ${known.name} (${appId || "id unknown"})`, secretsOf(known), namesOf(known));
    }
}

/** From nothing that is known to the one app, as wanted. */
async function bringUp(task: Task<AppInputs>): Promise<AppOutputs> {
    const { inputs } = task;
    for (let { live, made, unclear } = await obtain(task); ; made = false) {
        task.run.fromCreate.add(live.id);
        const outs = await settle(task, live, { made });
        if (inputs.adopt) return outs;
        // A look again, now that time has passed: an app that the first look could not see yet, or another run made at
        // the same time, must not stay beside this one. Every run comes to the same choice.
        const own = live;
        let chosen: LiveApp | null | undefined = own;
        const looks = unclear && inputs.waitUntilRunning === false ? looksAfterUnclearPost : 1;
        for (let look = 1; look <= looks && chosen?.id === own.id; look++) {
            // Not much time has passed where the app was not waited for.
            if (look > 1) await sleep(task.poller.pauseMs(look));
            const choose = () => chooseOne(task, own);
            chosen = await asInitError(task, own, () => tolerate({ deadline: Infinity }, choose));
        }
        // No answer now: the look of the next run tells.
        if (!chosen || chosen.id === own.id) return outs;
        live = chosen;
    }
}
