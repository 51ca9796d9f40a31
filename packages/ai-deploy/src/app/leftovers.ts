/**
 * What Pulumi asks of `AppLeftovers`. It makes nothing, and is there before its app so that a state has it when a run is
 * killed between the app's POST and the first save: a `destroy` then deletes this, and with it the app that no state knows.
 */
import { checkProject, collectFailures, type CheckFailure } from "../errors/check-failure";
import { explain } from "../errors/explain";
import { namesOf } from "../errors/setting-names";
import { beginTask, type Context } from "../process/context";
import { same } from "../values/json";
import { hasUnknown } from "../values/unknown";
import { sleep } from "../waiting/cancellation";
import { defaultTimeouts, type AppLeftoversInputs } from "./args";
import { isOwned, labelled, looksAfterUnclearPost } from "./find";
import { discard } from "./removal";

export interface AppLeftoversOutputs extends AppLeftoversInputs {
    __provider?: string;
}

export function check(inputs: AppLeftoversInputs): CheckFailure[] {
    return collectFailures((fail) => {
        checkProject(inputs.serviceName, fail);
        for (const property of ["name", "adoptionLabel"] as const) {
            if (!hasUnknown(inputs[property]) && !inputs[property]) fail(property, "is missing: give that of the App");
        }
    });
}

export function diff(olds: AppLeftoversInputs, news: AppLeftoversInputs): { changes: boolean; replaces: string[] } {
    const replaces = olds.serviceName === news.serviceName ? [] : ["serviceName"];
    const changed = (["name", "adoptionLabel", "timeouts", "settingNames"] as const).some(
        (property) => !same(olds[property], news[property]),
    );
    return { changes: replaces.length > 0 || changed, replaces };
}

/** Deletes the apps that carry the label and are in no state, and waits until the platform says that they are gone. */
export async function remove(context: Context, known: AppLeftoversOutputs): Promise<void> {
    const { name, timeouts } = known;
    const task = beginTask(context, known, timeouts?.deleteSeconds ?? defaultTimeouts.deleteSeconds);
    // Where this run has deleted the app of the state, its list was current. Else there may be one that no list shows yet.
    const looks = task.run.removed.has(known.adoptionLabel) ? 1 : looksAfterUnclearPost;
    try {
        for (let look = 1; ; look++) {
            const left = (await labelled(task)).filter((app) => !isOwned(task, app));
            for (const app of left) await discard(task, app);
            if (left.length > 0 || look >= looks) return;
            await sleep(task.poller.pauseMs(look));
        }
    } catch (error) {
        throw explain(error, `deleting what is left of app ${name}`, [], namesOf(known));
    }
}
