import { createHash } from "node:crypto";
import { markLabel } from "../hours/mark";
import type { Limits } from "../hours/schedule";
import { everyWanted, leaseEnded, wantedAt } from "../hours/wanted";
import type { LimitsSettings, ModelSettings } from "../settings";
import { scalingStrategy } from "./app-args";

type Strategy = ReturnType<typeof scalingStrategy>;

/** What a model's app and the controller in the cluster both know of its schedule, its lease and the limit of spend. */
export interface AppHours {
    /** Value of the app's label by which it is that controller's to keep. */
    mark: string;
    /** Every strategy that may be wanted, by its limits; the model's own `replicas` first. */
    scalings: (Limits & { strategy: Strategy })[];
}

/** Of a model that no controller has anything to do with: undefined. */
export function appHours(model: ModelSettings, { action }: LimitsSettings): AppHours | undefined {
    const { schedule, lease, replicas, desiredState } = model;
    if (schedule.length === 0 && !lease && !action) return undefined;
    const scalings = everyWanted(model, action).map((limits) => ({
        ...limits,
        strategy: scalingStrategy({ ...model, replicas: limits }),
    }));
    // A controller that has not heard yet that it is to be stopped would start it again.
    const stopped = desiredState === "STOPPED" ? [desiredState] : [];
    const settings = JSON.stringify([replicas, schedule, lease ?? null, action ?? null, scalings, ...stopped]);
    return { mark: createHash("sha256").update(settings).digest("hex").slice(0, 16), scalings };
}

/** Whether the controller keeps a model; one that is stopped on purpose it lets alone. */
export function isControlled(model: ModelSettings, limits: LimitsSettings): boolean {
    return model.desiredState !== "STOPPED" && appHours(model, limits) !== undefined;
}

/** What the app is given for them. Of the strategies the one that is wanted now comes first, for an app that has none of them. */
export function hoursArgs(model: ModelSettings, limits: LimitsSettings, now: Date) {
    const hours = appHours(model, limits);
    if (!hours) return {};
    const { mark, scalings } = hours;
    const wanted = wantedAt({ ...model, lease: undefined }, now);
    const first = scalings.find(
        (one) => wanted.state === "running" && one.min === wanted.limits.min && one.max === wanted.limits.max,
    )!;
    return {
        labels: { ...model.labels, [markLabel]: mark },
        scalingStrategy: first.strategy,
        otherScalings: scalings.filter((one) => one !== first).map(({ strategy }) => strategy),
        desiredState: leaseEnded(model.lease, now) ? ("STOPPED" as const) : model.desiredState,
        mayBeStoppedBy: limits.action === "stop" ? "limits.eurosPerMonth" : undefined,
    };
}
