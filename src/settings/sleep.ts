import { replicaRange } from "../hours/schedule";
import type { ModelSettings } from "./schema";

/** Seconds. The platform's scale-down window where none is set (OVHcloud's documentation), and KEDA's cooldown. */
const defaults = { scaleDown: 300, cooldown: 300 };

/** Of a model with `replicas.min` of 0: how long its last replica stays beyond the scale-down window, in seconds. */
export function cooldownSeconds({ scaling }: Pick<ModelSettings, "scaling">): number {
    return scaling.cooldownSeconds ?? defaults.cooldown;
}

/** Of such a model: seconds without a request after which it sleeps. */
export function secondsToSleep({ scaling }: Pick<ModelSettings, "scaling">): number {
    return (scaling.scaleDownStabilizationSeconds ?? defaults.scaleDown) + cooldownSeconds({ scaling });
}

/** Whether its last replica goes when nobody asks, at some hour at least. */
export function maySleep({
    replicas,
    schedule = [],
}: Pick<ModelSettings, "replicas"> & Partial<ModelSettings>): boolean {
    return replicaRange({ replicas, schedule }).min === 0;
}
