import { z } from "zod";
import { spendActions } from "../../hours/wanted";
import { decimal } from "./values";

/** What the models may cost at most. */
export const limitsSchema = z.strictObject({
    /**
     * What the replicas of all models may cost in a calendar month (UTC).
     * @unit euros
     * @default none: no limit
     * @example
     * pulumi config set --path limits.eurosPerMonth 4000
     * pulumi config set --path models.ministral.replicaPrice 2.5
     * @change live
     */
    eurosPerMonth: decimal(z.number().gt(0)).optional(),
    /**
     * What is done in the cluster once so much is spent this month: `warn` raises an alert; `scaleToMin` also has each model
     * run no more than its fewest replicas; `stop` also stops the apps, which keep their addresses and start again with the
     * next month or a higher limit.
     * @default none: nothing
     * @example
     * pulumi config set --path limits.eurosPerMonth 4000
     * pulumi config set --path models.ministral.replicaPrice 2.5
     * pulumi config set --path limits.action scaleToMin
     * @change live
     */
    action: z.enum(spendActions).optional(),
});

export type LimitsSettings = z.output<typeof limitsSchema>;
