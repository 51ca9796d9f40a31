import { describeWeek } from "../hours/week";
import type { ModelSettings } from "./schema";

/** The week of each model that has a schedule, as `pulumi preview` shows it. */
export function scheduledWeeks(models: Record<string, ModelSettings>, now: Date): string[] {
    return Object.entries(models)
        .filter(([, { schedule }]) => schedule.length > 0)
        .map(([name, model]) => describeWeek(name, model, now, model.replicaPrice));
}
