/** What Pulumi asks of a wait for an app. It makes nothing, so there is nothing to undo, and it stays as it was. */
import { checkProject, collectFailures, type CheckFailure } from "../errors/check-failure";
import { get, isAppId, looksWithoutApp, tolerate } from "./find";
import type { AppState, LiveApp } from "./live";
import { isHeldDown } from "./plan";
import { isUp, waitUntil, type Awaited } from "./wait";
import { defaultTimeouts, type AppReadyInputs } from "./args";
import { beginTask, type Context, type Task } from "../process/context";
import { explain } from "../errors/explain";
import { namesOf } from "../errors/setting-names";
import { hasUnknown } from "../values/unknown";

/** What the state keeps of a wait that has ended well. */
export interface AppReadyOutputs extends AppReadyInputs {
    /** At the end of the wait. */
    state: AppState;
    __provider?: string;
}

const replacing = ["serviceName", "appId"] as const;

export function check(inputs: AppReadyInputs): CheckFailure[] {
    return collectFailures((fail) => {
        checkProject(inputs.serviceName, fail);
        if (!hasUnknown(inputs.appId) && !isAppId(inputs.appId)) {
            fail("appId", `is "${inputs.appId}": give the appId of an App`);
        }
    });
}

/**
 * What would change. In a preview every output of an app that changes is unknown: then what is planned for the app, by its
 * id, tells whether it stays, and whether there will be replicas to wait for.
 */
export function diff(
    olds: AppReadyInputs,
    news: AppReadyInputs,
    restarts: ReadonlyMap<string, boolean> = new Map(),
): { changes: boolean; replaces: string[] } {
    const planned = restarts.get(olds.appId);
    const replaces = replacing.filter(
        (property) =>
            olds[property] !== news[property] &&
            !(property === "appId" && planned !== undefined && hasUnknown(news.appId)),
    );
    const isRevised =
        planned !== undefined && hasUnknown(news.revision) ? planned : (olds.revision ?? 1) !== (news.revision ?? 1);
    return { changes: replaces.length > 0 || isRevised, replaces: [...replaces] };
}

export async function create(context: Context, inputs: AppReadyInputs): Promise<{ id: string; outs: AppReadyOutputs }> {
    const seconds = inputs.timeouts?.createSeconds ?? defaultTimeouts.createSeconds;
    return { id: inputs.appId, outs: await awaitApp(context, inputs, seconds) };
}

export async function update(context: Context, inputs: AppReadyInputs): Promise<{ outs: AppReadyOutputs }> {
    return { outs: await awaitApp(context, inputs, inputs.timeouts?.updateSeconds ?? defaultTimeouts.updateSeconds) };
}

async function awaitApp(context: Context, inputs: AppReadyInputs, seconds: number): Promise<AppReadyOutputs> {
    const { serviceName, appId, settingNames } = inputs;
    const task = beginTask(context, inputs, seconds);
    try {
        const first = await firstLook(task);
        const app: Awaited = { serviceName, name: first.spec.name, settingNames };
        const restarts = (inputs.revision ?? 1) > 1;
        const isDone = (live: LiveApp): boolean => isUp(live, restarts) || isHeldDown(inputs, live.status.state);
        const isReady = isHeldDown(inputs, first.status.state) || (isDone(first) && !restarts);
        const live = isReady ? first : await waitUntil({ ...task, inputs: app }, first, { isDone, restarts });
        return { ...inputs, state: live.status.state };
    } catch (error) {
        throw explain(error, `waiting for app ${appId}`, [], namesOf(inputs));
    }
}

function firstLook(task: Task<AppReadyInputs>): Promise<LiveApp> {
    const { appId } = task.inputs;
    let absent = 0;
    return task.poller.until(async () => {
        const live = await tolerate(task, () => get(task, appId));
        if (live === undefined && ++absent >= looksWithoutApp) {
            throw new Error(`app ${appId} does not exist any more: run \`pulumi up\` again, it makes a new one`);
        }
        return live ?? undefined;
    });
}
