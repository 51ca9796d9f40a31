/** Looks at apps of the platform: at one by its id, and at those that carry our label. */
import { listApps } from "./list";
import { adoptionLabelName, goingStates, type LiveApp } from "./live";
import type { AppOutputs } from "./state";
import type { AppInputs } from "./args";
import { sleep } from "../waiting/cancellation";
import { ApiError, isTransient } from "../errors/request-errors";
import type { Context, Task } from "../process/context";
import { aiPath, idPart } from "../api/paths";
import { uuid } from "../errors/request-errors";

/** Looks for an app whose POST had no clear answer, before another is sent. */
export const looksAfterUnclearPost = 4;
/** Answers in a row without the app after which it counts as deleted: a young app may not be everywhere yet. */
export const looksWithoutApp = 3;

/** The app; `undefined` for 404 and DELETED, and for nothing else. */
export async function get({ client, inputs }: Task<Project>, id: string): Promise<LiveApp | undefined> {
    try {
        const live = withState(await client.get<LiveApp>(pathOf(inputs, id)));
        return live.status.state === "DELETED" ? undefined : live;
    } catch (error) {
        if (error instanceof ApiError && error.gone) return undefined;
        throw error;
    }
}

/**
 * The same, sure of an absence: not found several times, in a project that is found, and not listed there either. A list
 * that still has it is given time to agree, at least until the deadline.
 */
export async function getSurely(task: Task<AppInputs>, id: string): Promise<LiveApp | undefined> {
    for (let look = 1; ; look++) {
        const live = await get(task, id);
        if (live) return live;
        const listed = (await labelled(task)).some((app) => app.id === id);
        if (!listed && look >= looksWithoutApp) return undefined;
        if (look >= looksWithoutApp * 2 && performance.now() > task.deadline) throw contradictory(task.inputs, id);
        await sleep(task.poller.pauseMs(0));
    }
}

/** What a preview sees: the app by itself (undefined: it is gone), and what is listed under its label. */
export interface Glance {
    app?: LiveApp;
    listed: LiveApp[];
}

/** `undefined` if that cannot be had quickly, or if list and app contradict each other. */
export async function glance({ client, poller }: Context, id: string, olds: AppOutputs): Promise<Glance | undefined> {
    try {
        const listed = await listLabelled((path) => client.glance(path), olds);
        for (let look = 0; look < looksWithoutApp; look++) {
            try {
                const app = withState(await client.glance<LiveApp>(pathOf(olds, id)));
                return app.status.state === "DELETED" ? { listed } : { app, listed };
            } catch (error) {
                if (!(error instanceof ApiError && error.gone)) throw error;
                await sleep(poller.pauseMs(0));
            }
        }
        return listed.some((app) => app.id === id) ? undefined : { listed };
    } catch {
        return undefined; // as the state says; whatever is wrong shows when it is needed
    }
}

/** The app of a creation that had no clear answer. */
export async function findUnresolved(task: Task<AppOutputs>): Promise<LiveApp | undefined> {
    for (let look = 1; ; look++) {
        const ours = (await labelled(task)).filter((app) => !task.inputs.owned?.includes(app.id));
        const found = oldest(ours.filter((app) => !isOwned(task, app)));
        if (found || look >= looksAfterUnclearPost) return found;
        await sleep(task.poller.pauseMs(look));
    }
}

/** Every app that carries our label and is not on its way out. Throws unless the platform answers for the project. */
export async function labelled({ client, inputs }: Task<Labelled>): Promise<LiveApp[]> {
    return (await listLabelled((path) => client.get(path), inputs)).filter((app) => isOurs(app, inputs));
}

async function listLabelled(get: (path: string) => Promise<LiveApp[]>, inputs: Labelled): Promise<LiveApp[]> {
    const apps = await listApps(get, inputs.serviceName, `${adoptionLabelName}=${inputs.adoptionLabel}`);
    return apps.map(withState);
}

export function isOurs({ spec, status }: LiveApp, { adoptionLabel }: Labelled): boolean {
    // Never by an empty label: a state may hold one after somebody took the label off.
    const carries = adoptionLabel !== "" && spec.labels?.[adoptionLabelName] === adoptionLabel;
    return carries && !goingStates.includes(status.state);
}

export function isOwned({ run }: Context, app: LiveApp): boolean {
    return run.fromState.has(app.id) || run.fromCreate.has(app.id);
}

export function oldest(apps: LiveApp[]): LiveApp | undefined {
    const age = (app: LiveApp): string => `${app.createdAt ?? ""} ${app.id}`;
    return [...apps].sort((a, b) => (age(a) < age(b) ? -1 : 1))[0];
}

export function contradictory({ name }: Labelled, id: string): Error {
    return new Error(`app ${name} (${id}) is listed but cannot be read: run the same command again in a minute`);
}

/** Within the deadline, an answer that fails for now is no answer (null), not the end. */
export async function tolerate<T>(
    { deadline }: Pick<Task<unknown>, "deadline">,
    look: () => Promise<T>,
): Promise<T | null> {
    try {
        return await look();
    } catch (error) {
        if (isTransient(error) && performance.now() < deadline) return null;
        throw error;
    }
}

export type Project = Pick<AppInputs, "serviceName">;

/** What apps are found by, and named in messages. */
export type Labelled = Project & Pick<AppInputs, "name" | "adoptionLabel" | "settingNames">;

/** Path of the project's apps, or of one of them. */
export function pathOf({ serviceName }: Project, id?: string): string {
    return aiPath(serviceName, "app", ...(id === undefined ? [] : [idPart(id)]));
}

/** Whether a text is what the API calls the id of an app, or of a data synchronization: a UUID. */
export function isAppId(id: unknown): boolean {
    return typeof id === "string" && uuid.test(id);
}

/** An app of an answer: the contract allows a state that is not known yet. */
export function withState(app: LiveApp): LiveApp {
    return { ...app, status: { ...app.status, state: app.status.state ?? "QUEUED" } };
}
