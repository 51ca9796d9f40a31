import type { Aggregation } from "./status";

/**
 * The arithmetic of Kubernetes' HorizontalPodAutoscaler, which AI Deploy is taken to follow (its guide names KEDA, which
 * drives one; OVHcloud does not publish the algorithm): https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/
 * A custom metric is an external one to it, with a target of type Value, since the guide says that the aggregated value is
 * compared with the target. CPU and RAM are resource metrics. Pure: the platform reads the metric and has the clock.
 */

/** A ratio this close to 1 changes nothing (`--horizontal-pod-autoscaler-tolerance`). */
const tolerance = 0.1;

/** Limits and windows. */
export interface ScalingRule {
    replicasMin: number;
    replicasMax: number;
    scaleUpStabilizationWindowSeconds: number;
    scaleDownStabilizationWindowSeconds: number;
    /** Idle seconds, beyond the scale-down window, before the last replica goes. Only with `replicasMin` 0. */
    cooldownPeriodSeconds: number;
}

/** One replica that is not being ended. */
export interface Reading {
    /** Whether it is ready for traffic. */
    ready: boolean;
    /** Absent when it is not ready, and when it gave none. */
    value?: number;
}

export interface Recommendation {
    /** Platform time, in seconds. */
    at: number;
    replicas: number;
}

/** What one look has led to; the fields of the same names in `Decision`. */
export interface Outcome {
    value?: number;
    ratio?: number;
    recommended?: number;
    to: number;
    reason: string;
}

/** One figure out of one value per replica. */
export function aggregate(values: number[], how: Aggregation): number {
    const sum = values.reduce((a, b) => a + b, 0);
    switch (how) {
        case "AVERAGE":
            return sum / values.length;
        case "SUM":
            return sum;
        case "MAX":
            return Math.max(...values);
        case "MIN":
            return Math.min(...values);
    }
}

/** What the metric asks for, before windows and limits. */
export interface Asked {
    value: number;
    ratio: number;
    replicas: number;
}

/**
 * Of an external metric: the ratio to the target times the replicas that are ready. Replicas without a value are left out of
 * the aggregation, and nothing is corrected for them. Undefined when none gave a value.
 */
export function askedByMetric(
    current: number,
    readings: Reading[],
    target: number,
    how: Aggregation,
): Asked | undefined {
    const values = valuesOf(readings);
    if (values.length === 0) return undefined;
    const value = aggregate(values, how);
    const ratio = value / target;
    const replicas = scaled(current, ratio, readings.filter(({ ready }) => ready).length);
    return { value, ratio, replicas };
}

/**
 * Of CPU or RAM: the average over the replicas, allowing for those without a value. A ready one without is taken to be on
 * target when the others ask for fewer and idle when they ask for more; one that is not ready to be idle when they ask for
 * more. If that turns the direction round, nothing changes. Undefined when none gave a value.
 */
export function askedByResource(current: number, readings: Reading[], target: number): Asked | undefined {
    const values = valuesOf(readings);
    if (values.length === 0) return undefined;
    const value = aggregate(values, "AVERAGE");
    const ratio = value / target;
    const without = readings.filter((reading) => reading.value === undefined);
    const missing = without.filter(({ ready }) => ready).map(() => (ratio < 1 ? target : 0));
    const unready = ratio > 1 ? without.filter(({ ready }) => !ready).map(() => 0) : [];
    const allowedFor = [...values, ...missing, ...unready];
    const again = aggregate(allowedFor, "AVERAGE") / target;
    const turned = (ratio < 1 && again > 1) || (ratio > 1 && again < 1);
    const replicas = turned ? current : scaled(current, again, allowedFor.length);
    const opposite = (again < 1 && replicas > current) || (again > 1 && replicas < current);
    return { value, ratio: again, replicas: opposite ? current : replicas };
}

function valuesOf(readings: Reading[]): number[] {
    return readings.flatMap(({ value }) => (value === undefined ? [] : [value]));
}

function scaled(current: number, ratio: number, count: number): number {
    return Math.abs(ratio - 1) <= tolerance ? current : Math.ceil(roundedOff(ratio * count));
}

/** Without the dust of binary fractions: 3 x 1.1 is 3.3000000000000003, which must not round up to more than 3.3 does. */
function roundedOff(count: number): number {
    return Number(count.toPrecision(12));
}

/**
 * The number of replicas to have now: the newest recommendation, held back by the windows (down to the highest of the
 * scale-down window, up to the lowest of the scale-up window). `history` includes the newest.
 */
export function stabilize(
    current: number,
    history: Recommendation[],
    now: number,
    windows: Pick<ScalingRule, "scaleUpStabilizationWindowSeconds" | "scaleDownStabilizationWindowSeconds">,
): number {
    const within = (seconds: number): number[] =>
        history.filter(({ at }) => at >= now - seconds).map(({ replicas }) => replicas);
    const newest = history[history.length - 1].replicas;
    if (newest > current) {
        return Math.max(current, Math.min(newest, ...within(windows.scaleUpStabilizationWindowSeconds)));
    }
    if (newest < current) {
        return Math.min(current, Math.max(newest, ...within(windows.scaleDownStabilizationWindowSeconds)));
    }
    return current;
}

/** What may be added in one period: four replicas or as many as there are, whichever is more (the HPA's default policies). */
export function mostAfterOnePeriod(current: number): number {
    return Math.max(current + 4, 2 * current);
}

/**
 * One look at an app that has at least one replica. `asked` is what its metric asks for. `history` is of earlier looks, oldest first; the new recommendation is
 * added to it and what no window reaches any more is dropped. `idleSeconds` is how long there has been nothing to do.
 */
export function decide(
    rule: ScalingRule,
    current: number,
    asked: Asked | undefined,
    history: Recommendation[],
    now: number,
    idleSeconds: number,
): Outcome {
    const { replicasMin, replicasMax } = rule;
    const least = Math.max(1, replicasMin);
    const idleLimit = rule.scaleDownStabilizationWindowSeconds + rule.cooldownPeriodSeconds;
    if (asked === undefined) {
        // Nor to zero: KEDA from 2.6.1 on (pkg/scaling/executor) takes an error without a fallback for no reason to scale.
        const to = clamp(current, least, replicasMax);
        return { to, reason: "no replica gave a value: nothing is changed" };
    }
    const { value, ratio, replicas: recommended } = asked;
    if (replicasMin === 0 && current === least && idleSeconds >= idleLimit) {
        const reason = `idle for ${Math.round(idleSeconds)} s, ${idleLimit} s were to pass: scaled to zero`;
        return { value, ratio, recommended: 0, to: 0, reason };
    }
    const longest = Math.max(rule.scaleUpStabilizationWindowSeconds, rule.scaleDownStabilizationWindowSeconds);
    const old = history.findIndex(({ at }) => at >= now - longest);
    history.splice(0, old < 0 ? history.length : old);
    history.push({ at: now, replicas: recommended });
    const stable = stabilize(current, history, now, rule);
    const paced = Math.min(stable, mostAfterOnePeriod(current));
    const to = clamp(paced, least, replicasMax);
    return { value, ratio, recommended, to, reason: explain(rule, current, recommended, stable, paced, to) };
}

function explain(
    rule: ScalingRule,
    current: number,
    recommended: number,
    stable: number,
    paced: number,
    to: number,
): string {
    if (to > paced) return `${stable} are asked for, the minimum is ${to}`;
    if (to < paced) return `${stable} are asked for, the maximum is ${to}`;
    if (paced < stable) return `at most ${paced} after one period, ${stable} are asked for`;
    if (stable > recommended) {
        return `held at ${stable}: asked for within the scale-down window of ${rule.scaleDownStabilizationWindowSeconds} s`;
    }
    if (stable < recommended) {
        return `held at ${stable}: asked for within the scale-up window of ${rule.scaleUpStabilizationWindowSeconds} s`;
    }
    return to === current ? "as many as are asked for" : `the metric asks for ${to}`;
}

function clamp(value: number, least: number, most: number): number {
    return Math.min(most, Math.max(least, value));
}
