import { dayNames, overlap, type Hours } from "../../hours/schedule";
import { leaseEnded } from "../../hours/wanted";
import { isMap } from "../defaults";
import type { ModelSettings } from "../schema";
import type { Config, CrossFault, ReadModel } from "./config";

/** Of a model's schedule: limits the wrong way round, and entries that overlap. */
export function hoursFaults({ settings: { schedule = [] }, at }: ReadModel): CrossFault[] {
    const now = new Date();
    return schedule.flatMap((entry, index) => {
        if (entry.min > entry.max) {
            return [{ path: at("schedule", index, "min"), fix: `give at most its max, which is ${entry.max}` }];
        }
        for (const [other, earlier] of schedule.slice(0, index).entries()) {
            const both = overlap(earlier, entry, now);
            if (!both) continue;
            const fix =
                `end one where the other begins: on ${clock(both.start)} ${earlier.timeZone} schedule[${other}] ` +
                `(${text(earlier)}) holds too`;
            return [{ path: at("schedule", index), found: text(entry), fix }];
        }
        return [];
    });
}

function text({ days, from, to, timeZone }: Hours): string {
    return `${days} ${from}-${to} ${timeZone}`;
}

function clock(minute: number): string {
    const time = [Math.floor(minute / 60) % 24, minute % 60].map((part) => String(part).padStart(2, "0")).join(":");
    return `${dayNames[Math.floor(minute / 1440)]} ${time}`;
}

/** An action without a limit, and half a credential. */
export function controllerFaults({ limits, controllerClientId, controllerClientSecret }: Config): CrossFault[] {
    const faults: CrossFault[] = [];
    if (isMap(limits) && limits.action !== undefined && limits.eurosPerMonth === undefined) {
        const fix = "say of what: pulumi config set --path limits.eurosPerMonth 4000";
        faults.push({ path: ["limits", "action"], fix });
    }
    if (controllerClientId !== undefined && controllerClientSecret === undefined) {
        const fix = "give its secret: pulumi config set --secret controllerClientSecret (it asks for it)";
        faults.push({ path: ["controllerClientSecret"], found: "(not set)", fix });
    }
    if (controllerClientSecret !== undefined && controllerClientId === undefined) {
        const fix = "name whose it is: pulumi config set controllerClientId <id>";
        faults.push({ path: ["controllerClientId"], found: "(not set)", fix });
    }
    return faults;
}

/** A lease that has ended. */
export function hoursWarnings(models: Record<string, ModelSettings>, now: Date): string[] {
    return Object.entries(models).flatMap(([name, { lease }]) =>
        lease && leaseEnded(lease, now)
            ? [
                  `models.${name}.lease.until: it ended at ${lease.until}, so the app is stopped and stays so. To have it ` +
                      `again: pulumi config set --path models.${name}.lease.until ${inAWeek(now)}`,
              ]
            : [],
    );
}

function inAWeek(now: Date): string {
    return new Date(now.getTime() + 7 * 86_400_000).toISOString().replace(/:\d\d\.\d+Z$/, ":00Z");
}
