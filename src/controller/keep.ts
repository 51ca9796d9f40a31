/** One look at a model's app, and the one call that brings it closer to what its hours, lease and the limit of spend want. */
import { markLabel } from "../hours/mark";
import type { Limits } from "../hours/schedule";
import { wantedAt, type Bounded, type SpendAction, type Wanted } from "../hours/wanted";
import type { OvhApi } from "../monitoring/pod-api";

/** A model that is kept. */
export interface KeptModel extends Bounded {
    /** Name in the stack. */
    name: string;
    appId: string;
    /** Value of the app's label by which it is this controller's to keep. */
    mark: string;
    /** What is sent for each pair of limits, so that nothing is put together here. */
    scalings: Scaling[];
    /** Euros per hour of one replica. */
    price?: number;
}

/** A scaling strategy as the API takes it, and its limits. */
export interface Scaling extends Limits {
    strategy: object;
}

/** What is spent this month. */
export type Spent =
    /** The action to be taken, none while the limit is not reached. */
    | { known: true; action?: SpendAction }
    /** Nothing is made larger and nothing is started then. */
    | { known: false; action?: undefined };

export type Change = "scale" | "stop" | "start";

/** What a look came to. */
export interface Kept {
    wanted: Wanted;
    /** Whether the app was found as wanted. */
    applied: boolean;
    /** Replicas that run, as the platform says. */
    replicas: number;
    /** The call that was made. */
    change?: Change;
    /** Why nothing was done, where something is not as wanted. */
    reason?: string;
}

/** The app as far as it is read here. */
interface LiveApp {
    spec: {
        labels?: Record<string, string> | null;
        scalingStrategy?: { automatic?: { replicasMin?: number; replicasMax?: number } | null } | null;
    };
    status: { state: string; availableReplicas?: number | null };
}

/** States in which replicas run, or will by themselves. */
const runningStates = ["RUNNING", "SCALING", "INITIALIZING", "QUEUED", "STANDBY"];

/**
 * Looks at the app and makes at most one call. What it has done counts as applied once a later look has seen it.
 * @param mayStart whether this controller is also the one that starts what the limit of spend has stopped
 * @throws ApiFailure
 */
export async function keepModel(
    api: Pick<OvhApi, "get" | "put">,
    project: string,
    model: KeptModel,
    { now, spent, mayStart }: { now: Date; spent: Spent; mayStart: boolean },
): Promise<Kept> {
    const path = `/cloud/project/${project}/ai/app/${model.appId}`;
    const { spec, status } = readApp(await api.get(path));
    const wanted = wantedAt(model, now, spent.action);
    const replicas = status.availableReplicas ?? 0;
    const runs = runningStates.includes(status.state);
    if (spec.labels?.[markLabel] !== model.mark) {
        return { wanted, applied: false, replicas, reason: "the app is kept by other settings than these" };
    }
    if (wanted.state === "stopped") {
        if (!runs) return { wanted, applied: true, replicas };
        await api.put(`${path}/stop`);
        return { wanted, applied: false, replicas, change: "stop" };
    }
    if (status.state === "STOPPED" && mayStart) {
        if (!spent.known) return { wanted, applied: false, replicas, reason: "what is spent is not known" };
        await api.put(`${path}/start`);
        return { wanted, applied: false, replicas, change: "start" };
    }
    const live = limitsOf(spec);
    const fits = ({ min, max }: Limits): boolean => live?.min === min && live.max === max;
    // What a limit of spend has lowered stays so while nobody knows whether it still holds.
    const lowered = spent.known ? undefined : wantedAt(model, now, "scaleToMin");
    if (fits(wanted.limits) || (lowered?.state === "running" && fits(lowered.limits))) {
        return { wanted, applied: true, replicas };
    }
    const scaling = model.scalings.find(({ min, max }) => min === wanted.limits.min && max === wanted.limits.max);
    if (!scaling) throw new Error(`no scaling strategy is given for ${JSON.stringify(wanted.limits)}`);
    await api.put(`${path}/scalingstrategy`, scaling.strategy);
    return { wanted, applied: false, replicas, change: "scale" };
}

function readApp(answer: unknown): LiveApp {
    const { spec, status } = (answer ?? {}) as Partial<LiveApp>;
    if (typeof spec !== "object" || typeof status?.state !== "string") throw new Error("the answer is no app");
    return { spec, status };
}

function limitsOf({ scalingStrategy }: LiveApp["spec"]): Limits | undefined {
    const { replicasMin, replicasMax } = scalingStrategy?.automatic ?? {};
    // The API may leave out a number that is 0.
    return replicasMax === undefined ? undefined : { min: replicasMin ?? 0, max: replicasMax };
}
