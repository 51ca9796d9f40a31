import type { DataSyncInputs } from "./args";
import { checkProject, collectFailures, type CheckFailure } from "../errors/check-failure";
import { isAppId } from "../app/find";
import type { Context } from "../process/context";
import { ApiError, isTransient } from "../errors/request-errors";
import { explain } from "../errors/explain";
import { aiPath, idPart } from "../api/paths";
import { hasUnknown } from "../values/unknown";

export type DataSyncState = "QUEUED" | "RUNNING" | "DONE" | "FAILED" | "ERROR" | "INTERRUPTED";

/** What the state keeps of a synchronization. */
export interface DataSyncOutputs extends DataSyncInputs {
    syncId: string;
    state: DataSyncState;
    __provider?: string;
}

interface LiveSync {
    id: string;
    /** `manual`: false for those that the platform runs of itself. */
    spec: { direction: DataSyncInputs["direction"]; volume?: string | null; manual?: boolean };
    status: { state: DataSyncState; info?: { code: string; message: string } };
}

const defaultSeconds = 3600;
const maxPosts = 3;
const looksAfterUnclearPost = 3;
/** A read may be of a moment ago, when the app was not there yet. */
const looksUntilGone = 3;
const replacing = ["serviceName", "appId", "direction", "volume", "trigger"] as const;

export function check(inputs: DataSyncInputs): CheckFailure[] {
    return collectFailures((fail) => {
        checkProject(inputs.serviceName, fail);
        if (!inputs.appId) fail("appId", "is required: give the appId of an App");
        else if (!hasUnknown(inputs.appId) && !isAppId(inputs.appId)) {
            fail("appId", `is "${inputs.appId}": give the appId of an App`);
        }
        if (!hasUnknown(inputs.direction) && !["pull", "push"].includes(inputs.direction)) {
            fail("direction", `is "${inputs.direction}": use pull (storage to app) or push (app to storage)`);
        }
    });
}

/** A synchronization that was run cannot be changed: any change runs another. */
export function diff(olds: DataSyncInputs, news: DataSyncInputs): { changes: boolean; replaces: string[] } {
    const replaces = replacing.filter((property) => (olds[property] ?? undefined) !== (news[property] ?? undefined));
    return { changes: replaces.length > 0, replaces: [...replaces] };
}

/** Starts a synchronization and waits for its end. */
export async function create(context: Context, inputs: DataSyncInputs): Promise<{ id: string; outs: DataSyncOutputs }> {
    const deadline = performance.now() + (inputs.timeouts?.createSeconds ?? defaultSeconds) * 1000;
    try {
        const { id } = await start(context, inputs);
        let absences = 0;
        const done = await context.poller.until(async () => {
            const syncs = await listSyncs(context, inputs).catch((error: unknown) => {
                if (isTransient(error)) return [];
                throw error;
            });
            if (!syncs && ++absences === looksUntilGone) {
                throw new Error(`app ${inputs.appId} is gone, and synchronization ${id} with it`);
            }
            const sync = syncs?.find((listed) => listed.id === id);
            if (sync?.status.state === "DONE") return sync;
            if (sync && ["FAILED", "ERROR", "INTERRUPTED"].includes(sync.status.state)) {
                const { code, message } = sync.status.info ?? { code: "", message: "no message" };
                throw new Error(
                    `synchronization ${id} of app ${inputs.appId} is ${sync.status.state}: ${code} ${message}\n` +
                        "  Check the volumes' alias, container and credentials, then run `pulumi up` again: it starts another.",
                );
            }
            if (performance.now() < deadline) return undefined;
            throw new Error(
                `synchronization ${id} of app ${inputs.appId} is ${sync?.status.state ?? "not shown"} after the time-out and goes on: ` +
                    "run `pulumi up` again to start another (timeouts.createSeconds raises the bound)",
            );
        });
        return { id, outs: { ...inputs, syncId: id, state: done.status.state } };
    } catch (error) {
        throw explain(error, `synchronizing app ${inputs.appId}`, []);
    }
}

/** What was run stays as it was; it is gone when its app is. */
export async function read(context: Context, known: DataSyncOutputs): Promise<DataSyncOutputs | undefined> {
    try {
        return (await listSyncs(context, known)) === undefined ? undefined : known;
    } catch (error) {
        throw explain(error, `reading the synchronizations of app ${known.appId}`, []);
    }
}

/** Sends the POST. After one without a clear answer, the synchronization that it may have started is looked for. */
async function start(context: Context, inputs: DataSyncInputs): Promise<{ id: string }> {
    const known = new Set(((await listSyncs(context, inputs)) ?? []).map(({ id }) => id));
    const { direction, volume } = inputs;
    // Others run beside it: those of other volumes, and the platform's own.
    const asAsked = ({ spec }: LiveSync): boolean =>
        spec.direction === direction && (spec.volume ?? undefined) === volume && spec.manual !== false;
    for (let posts = 1; ; posts++) {
        try {
            const body = volume === undefined ? { direction } : { direction, volume };
            return await context.client.post<{ id: string }>(`${appPath(inputs)}/datasync`, body);
        } catch (error) {
            if (!isTransient(error)) throw error;
            let looks = 0;
            const found = await context.poller.until(async () => {
                const syncs = (await listSyncs(context, inputs)) ?? [];
                const ours = syncs.find((sync) => !known.has(sync.id) && asAsked(sync));
                return ours ?? (++looks < looksAfterUnclearPost ? undefined : null);
            });
            if (found) return found;
            if (posts >= maxPosts) throw error;
        }
    }
}

/** The API shows synchronizations only in their app. `undefined`: there is no such app. */
async function listSyncs(context: Context, inputs: DataSyncInputs): Promise<LiveSync[] | undefined> {
    try {
        const app = await context.client.get<{ status: { state: string; dataSync?: LiveSync[] } }>(appPath(inputs));
        return app.status.state === "DELETED" ? undefined : (app.status.dataSync ?? []);
    } catch (error) {
        if (!(error instanceof ApiError && error.gone)) throw error;
        // Not when it is the project that is not found.
        await context.client.get(aiPath(inputs.serviceName, "authorization"));
        return undefined;
    }
}

function appPath({ serviceName, appId }: DataSyncInputs): string {
    return aiPath(serviceName, "app", idPart(appId));
}
