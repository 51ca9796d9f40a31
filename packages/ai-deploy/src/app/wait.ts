/** Waits for an app, and says why it does not come up. Shared by `App` and `AppReady`. */
import { get, looksWithoutApp, pathOf, tolerate } from "./find";
import { downStates, failedStates, type AppState, type LiveApp } from "./live";
import type { AppInputs } from "./args";
import type { Task } from "../process/context";
import { hintFor } from "../errors/explain";
import { mask } from "../errors/mask";
import { namesOf } from "../errors/setting-names";

/** Looks in a row that must say STOPPED or FAILED unless the app was seen alive: one that lags may show the time before. */
const looksDown = 3;
/** Looks in a row that must say RUNNING after a change that restarts replicas, if nothing else shows that it began. */
const looksAfterRestart = 3;
const logLines = 20;

/** The app that is waited for, as messages name it. */
export type Awaited = Pick<AppInputs, "serviceName" | "name" | "settingNames">;

export interface Wait {
    /** Whether the app is as it should be. `stale`: a failure that it shows is one from before. */
    isDone: (live: LiveApp, stale: boolean) => boolean;
    /** A failure of this date is the one from before the start, still shown. */
    staleFailure?: string | null;
    /** Replicas are being restarted: RUNNING may be the time before that. */
    restarts?: boolean;
}

/** Polls until the app is as it should be. A failed or stopped app, or none, ends the wait with an error. */
export async function waitUntil(task: Task<Awaited>, first: LiveApp, wait: Wait): Promise<LiveApp> {
    const app = task.inputs;
    const reportState = stateReporter(task, first.id);
    reportState(first.status.state);
    let last = first;
    let alive = !downStates.includes(first.status.state);
    let moved = !wait.restarts;
    let [absent, down, quiet] = [0, 0, 0];
    return task.poller.until(async () => {
        const live = await tolerate(task, () => get(task, first.id));
        if (live === undefined && ++absent >= looksWithoutApp) throw wasDeleted(app, first.id);
        if (live) {
            absent = 0;
            last = live;
            const { state, lastTransitionDate } = live.status;
            reportState(state);
            moved ||= state !== "RUNNING" || lastTransitionDate !== first.status.lastTransitionDate;
            const stale = wait.staleFailure !== undefined && lastTransitionDate === wait.staleFailure;
            if (wait.isDone(live, stale) && (moved || ++quiet >= looksAfterRestart)) return live;
            alive ||= !downStates.includes(state);
            down = downStates.includes(state) && !stale ? down + 1 : 0;
            if (failedStates.includes(state) && !stale && (alive || down >= looksDown)) {
                throw await appFailure(task, live);
            }
            if (state === "STOPPED" && down >= looksDown) throw wasStopped(app, first.id);
        }
        if (performance.now() > task.deadline) throw outOfTime(app, last);
        return undefined;
    });
}

/** Whether requests are served. While replicas are added an app is SCALING and those it has go on serving. */
export function isUp({ spec, status }: LiveApp, restarts = false): boolean {
    switch (status.state) {
        case "RUNNING":
            return true;
        case "STANDBY":
            return spec.scalingStrategy?.automatic?.replicasMin === 0;
        case "SCALING":
            // Those of before the restart say nothing about those of after.
            return !restarts && (status.availableReplicas ?? 0) >= 1;
        default:
            return false;
    }
}

export function wasDeleted({ name }: Awaited, id: string): Error {
    return new Error(
        `app ${name} (${id}) was deleted while it was waited for: run \`pulumi up\` again, it makes a new one`,
    );
}

function wasStopped({ name }: Awaited, id: string): Error {
    return new Error(`app ${name} (${id}) was stopped while it was waited for: run \`pulumi up\` again, it starts it`);
}

function outOfTime(app: Awaited, { id, status }: LiveApp): Error {
    const named = namesOf(app);
    const why = status.info?.message ? ` (${status.info.message})` : "";
    return new Error(
        `app ${app.name} (${id}) is ${status.state} after the time-out${why}: it goes on and may be billed. ` +
            `Run \`pulumi up\` again to go on waiting (${named("timeouts.createSeconds")} and ` +
            `${named("timeouts.updateSeconds")} raise the bound), or \`pulumi destroy\``,
    );
}

/** FAILED or ERROR: the platform's words, the last lines of the log, and what to do. */
async function appFailure({ client, inputs: app }: Task<Awaited>, { id, spec, status }: LiveApp): Promise<Error> {
    const { state, info } = status;
    const log = await client
        .get<{ logs?: { content?: string }[] } | undefined>(`${pathOf(app, id)}/log?size=${logLines}`)
        .then((answer) => (answer?.logs ?? []).slice(-logLines).map((line) => `    ${line?.content ?? ""}`))
        .catch((error: Error) => [`    (the log cannot be read: ${error.message})`]);
    const said = `${info?.code ?? ""} ${info?.message ?? "no message"}`.trim();
    const hint = hintFor(`${said}\n${log.join("\n")}`, namesOf(app));
    const message = [
        `app ${app.name} (${id}) is ${state}: ${said}`,
        `  last lines of its log:${log.length === 0 ? " (empty)" : ""}`,
        ...log,
        `  ${hint ?? "The log above says why. Correct it, then run `pulumi up` again: it goes on with this app."}`,
    ].join("\n");
    return new Error(
        mask(
            message,
            (spec.envVars ?? []).map(({ value }) => value ?? ""),
        ),
    );
}

/** Tells each state once, with the time since the first. */
export function stateReporter({ progress, inputs }: Task<Awaited>, id: string): (state: AppState) => void {
    const started = performance.now();
    let last: AppState | undefined;
    return (state) => {
        if (state !== last) {
            progress(`${inputs.name} (${id}) ${state} after ${Math.round((performance.now() - started) / 1000)} s`);
        }
        last = state;
    };
}
