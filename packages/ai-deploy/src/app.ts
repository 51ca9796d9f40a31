/** What Pulumi asks of an app: what would change, and to create, update, read and delete it. */
import { chooseOne, clearLeftovers, discard, obtain } from "./app-adoption";
import { findUnresolved, get, getSurely, glance, goingStates, isOurs, isOwned, labelled, tolerate } from "./app-find";
import { diffApp, downStates, inputsFromLive, type AppDiff } from "./app-plan";
import { bringDown, deadlineIn, defaultSeconds, settle } from "./app-run";
import { fingerprint, sameEnv } from "./app-spec";
import { appIdOf, asInitError, inputsOf, outputs, secretsOf, type AppOutputs } from "./app-state";
import type { AppInputs } from "./args";
import type { Context } from "./context";
import { explain } from "./failure";

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
        const others = appId === "" ? await labelled(context, known) : await bringDown(context, known, appId, deadline);
        for (const app of others) {
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
        const choose = () => chooseOne(context, inputs, deadline, own);
        const chosen = await asInitError(own, inputs, () => tolerate(Infinity, choose));
        // No answer now: the look of the next run tells.
        if (!chosen || chosen.id === own.id) return outs;
        live = chosen;
    }
}
