/** What Pulumi asks of a wait for an app. It makes nothing, so there is nothing to undo, and it stays as it was. */
import { checkProject, type CheckFailure } from "./app-check";
import { get, isAppId, looksWithoutApp, tolerate } from "./app-find";
import { deadlineIn, defaultSeconds } from "./app-run";
import type { AppState, LiveApp } from "./app-spec";
import { isUp, waitUntil, type Awaited } from "./app-wait";
import type { AppReadyInputs } from "./args";
import type { Context } from "./context";
import { explain } from "./failure";
import { namesOf } from "./names";
import { hasUnknown } from "./unknown";

/** What the state keeps of a wait that has ended well. */
export interface AppReadyOutputs extends AppReadyInputs {
    /** At the end of the wait. */
    state: AppState;
    __provider?: string;
}

const replacing = ["serviceName", "appId"] as const;

export function check(inputs: AppReadyInputs): CheckFailure[] {
    const failures: CheckFailure[] = [];
    const fail = (property: string, reason: string): void => void failures.push({ property, reason });
    checkProject(inputs.serviceName, fail);
    if (!hasUnknown(inputs.appId) && !isAppId(inputs.appId)) {
        fail("appId", `is "${inputs.appId}": give the appId of an App`);
    }
    return failures;
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
    const seconds = inputs.timeouts?.createSeconds ?? defaultSeconds.create;
    return { id: inputs.appId, outs: await awaitApp(context, inputs, seconds) };
}

export async function update(context: Context, inputs: AppReadyInputs): Promise<{ outs: AppReadyOutputs }> {
    return { outs: await awaitApp(context, inputs, inputs.timeouts?.updateSeconds ?? defaultSeconds.update) };
}

async function awaitApp(context: Context, inputs: AppReadyInputs, seconds: number): Promise<AppReadyOutputs> {
    const deadline = deadlineIn(seconds);
    const { serviceName, appId, settingNames } = inputs;
    try {
        const first = await firstLook(context, inputs, deadline);
        const app: Awaited = { serviceName, name: first.spec.name, settingNames };
        const restarts = (inputs.revision ?? 1) > 1;
        const there = (live: LiveApp): boolean => isUp(live, restarts);
        const isReady = there(first) && !restarts;
        const live = isReady ? first : await waitUntil(context, app, first, { there, deadline, restarts });
        return { ...inputs, state: live.status.state };
    } catch (error) {
        throw explain(error, `waiting for app ${appId}`, [], namesOf(inputs));
    }
}

function firstLook(context: Context, inputs: AppReadyInputs, deadline: number): Promise<LiveApp> {
    let absent = 0;
    return context.poller.until(async () => {
        const live = await tolerate(deadline, () => get(context, inputs, inputs.appId));
        if (live === undefined && ++absent >= looksWithoutApp) {
            throw new Error(`app ${inputs.appId} does not exist any more: run \`pulumi up\` again, it makes a new one`);
        }
        return live ?? undefined;
    });
}
