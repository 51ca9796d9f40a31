import { z } from "zod";
import { spendActions } from "../../hours/wanted";
import { decimal } from "./values";

/** What the stack may cost, without tax. Preview refuses what could cost more (docs/cost.md). */
export const limitsSchema = z.strictObject({
    /**
     * With the most replicas and nodes.
     * @unit euros per hour
     * @default none
     * @example pulumi config set --path limits.eurosPerHour 12
     * @change live
     */
    eurosPerHour: decimal(z.number().gt(0)).optional(),
    /**
     * The same for a month of 730 hours; with `limits.action` what is spent in a calendar month (UTC) in place of what could be.
     * The alert SpendAbovePace tells when the last day's spend, kept up, would exceed it.
     * @unit euros per month
     * @default none
     * @example pulumi config set --path limits.eurosPerMonth 8000
     * @change live
     */
    eurosPerMonth: decimal(z.number().gt(0)).optional(),
    /**
     * What is done in the cluster once the replicas have cost `limits.eurosPerMonth` this month: `warn` raises an alert;
     * `scaleToMin` also has each model run no more than its fewest replicas; `stop` also stops the apps, which keep their
     * addresses and start again with the next month or a higher limit.
     * @default none: nothing
     * @example
     * pulumi config set --path limits.eurosPerMonth 4000
     * pulumi config set --path limits.action scaleToMin
     * @change live
     */
    action: z.enum(spendActions).optional(),
});

export type LimitsSettings = z.output<typeof limitsSchema>;
