import { hoursPerMonth } from "../../prices/cost";
import { recordedMetrics as recorded } from "../metrics";
import { gauge } from "../promql";
import { alertsOf, type AlertRule } from "./rule";

/** What a stack may cost, and what of it does not depend on replicas. */
export interface Spend {
    eurosPerMonth?: number;
    /** Euros per hour of all that is no replica; undefined: not known, and taken for nothing. */
    fixedPrice?: number;
}

/** Samples of a day, and the minutes between them. */
const [samples, minutes] = [288, 5];

/** Alerts on what the whole stack costs. */
export function spendAlerts({ eurosPerMonth, fixedPrice = 0 }: Spend, runbooks: string): AlertRule[] {
    if (eurosPerMonth === undefined) return [];
    const alert = alertsOf(undefined, runbooks);
    // Where there are no replicas there is no sample, so that of the sum over a day's samples they take nothing. Of a stack that is
    // younger than a day less is summed up than it will cost: a peak of its first hours is no month's pace.
    const replicas = `${gauge(recorded.replicas, {})} * on (model) ${gauge(recorded.replicaPrice, {})}`;
    const meanPerHour = `sum(sum_over_time((${replicas})[1d:${minutes}m])) / ${samples}`;
    return [
        alert("SpendAbovePace", "ticket", {
            expr: `${hoursPerMonth} * (${meanPerHour} + ${fixedPrice}) > ${eurosPerMonth}`,
            for: "1h",
            summary: `The stack costs more than it may: at the pace of the last day, over ${eurosPerMonth} euros a month.`,
            description:
                "Kept up for a month, the last day's replicas, with cluster and volumes, come to {{ $value | humanize }} euros " +
                "without tax.",
        }),
    ];
}
