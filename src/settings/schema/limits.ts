import { z } from "zod";
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
     * The same for a month of 730 hours. The alert SpendAbovePace tells when the last day's spend, kept up, would exceed it.
     * @unit euros per month
     * @default none
     * @example pulumi config set --path limits.eurosPerMonth 8000
     * @change live
     */
    eurosPerMonth: decimal(z.number().gt(0)).optional(),
});

export type LimitsSettings = z.output<typeof limitsSchema>;
