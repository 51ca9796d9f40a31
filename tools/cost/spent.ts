import { recordedMetrics as recorded } from "../../src/monitoring/metrics";
import { aggregate, gauge } from "../../src/monitoring/promql";
import { fixedPerHour, type Cost } from "../../src/prices/cost";
import type { Prometheus, Series } from "../prometheus";

/** What a running stack has cost, by the prices of now. */
export interface Spent {
    /** ISO 8601: since then is counted, which is later than was asked where Prometheus knows of nothing before. */
    from: string;
    to: string;
    hours: number;
    models: SpentModel[];
    /** All that is no replica and has a price, for so many hours at the most nodes. */
    fixed: number;
    /** Undefined: some of it has no price. */
    total?: number;
}

export interface SpentModel {
    model: string;
    replicaHours: number;
    /** Hours in which no replica was seen: there was none, or it was not scraped. */
    hoursUnseen: number;
    /** Undefined: no price, or a model that the stack does not have any more. */
    cost?: number;
}

const iso = (seconds: number): string => new Date(seconds * 1000).toISOString();

/** Prometheus answers with at most 11,000 points. */
const mostPoints = 10_000;

/**
 * Counts replica-hours as the dashboards count replicas: those whose metrics were read. Those that start are billed and not seen,
 * a few minutes each.
 * @throws Error for people when there is nothing to count
 */
export async function spentSince(since: Date, now: Date, cost: Cost, prometheus: Prometheus): Promise<Spent> {
    const [asked, to] = [since, now].map((date) => Math.floor(date.getTime() / 1000));
    if (asked >= to) throw new Error(`--since ${since.toISOString()} is not past: give a date before now`);
    const step = Math.max(15, Math.ceil((to - asked) / mostPoints));
    const span = { from: asked, to, step };
    const perModel = (metric: typeof recorded.info | typeof recorded.replicas) =>
        prometheus.range(aggregate("max", ["model"], gauge(metric, {})), span);
    const [known, replicas] = await Promise.all([perModel(recorded.info), perModel(recorded.replicas)]);
    const starts = known.flatMap(({ points: [first] }) => (first ? [first[0]] : []));
    if (starts.length === 0) {
        throw new Error("Prometheus knows of no model since then: is it the stack's, and has it been up in that time?");
    }
    const from = Math.min(...starts);
    const hours = (to - from) / 3600;
    const models = known.map((series) => ofModel(series, replicas, step, cost));
    const fixed = fixedPerHour(cost) * hours;
    const parts = models.map((model) => model.cost);
    return {
        from: iso(from),
        to: iso(to),
        hours,
        models,
        fixed,
        ...(parts.every((part) => part !== undefined) && { total: parts.reduce((sum, part) => sum + part, fixed) }),
    };
}

function ofModel({ labels: { model }, points }: Series, replicas: Series[], step: number, cost: Cost): SpentModel {
    const seen = replicas.find(({ labels }) => labels.model === model)?.points ?? [];
    const replicaHours = (seen.reduce((sum, [, count]) => sum + count, 0) * step) / 3600;
    const price = cost.items.find((item) => item.model === model)?.pricePerHour;
    return {
        model,
        replicaHours,
        hoursUnseen: (Math.max(0, points.length - seen.filter(([, count]) => count > 0).length) * step) / 3600,
        ...(price !== undefined && { cost: replicaHours * price }),
    };
}
