import type { Aggregation } from "./status";

/**
 * The arithmetic of Kubernetes' HorizontalPodAutoscaler, which AI Deploy is taken to follow (it builds on KEDA; OVHcloud
 * does not publish the algorithm): https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/
 * Pure: the platform reads the metric and has the clock.
 */

/** A ratio this close to 1 changes nothing (`--horizontal-pod-autoscaler-tolerance`). */
const tolerance = 0.1;

/** What is to be held, and within which limits. */
export interface ScalingRule {
    replicasMin: number;
    replicasMax: number;
    targetValue: number;
    aggregation: Aggregation;
    scaleUpStabilizationWindowSeconds: number;
    scaleDownStabilizationWindowSeconds: number;
    /** Idle seconds, beyond the scale-down window, before the last replica goes. Only with `replicasMin` 0. */
    cooldownPeriodSeconds: number;
}

/** One replica that is not being ended. */
export interface Reading {
    /** A container that does not run yet has nothing to measure; one that runs and gives no value is missing. */
    started: boolean;
    /** Whether it is ready for traffic. */
    ready: boolean;
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

/**
 * How many replicas the metric asks for, before windows and limits; undefined when no replica gave a value.
 *
 * An average allows for the replicas that gave none: one that gives none although it runs is taken to be on target when
 * the others ask for fewer and idle when they ask for more, one that has not started is taken to be idle when they ask for
 * more. If that turns the direction round, nothing changes. The other aggregations are compared as they are.
 */
export function recommend(
    current: number,
    readings: Reading[],
    target: number,
    how: Aggregation,
): { value: number; ratio: number; replicas: number } | undefined {
    const values = readings.flatMap(({ value }) => (value === undefined ? [] : [value]));
    if (values.length === 0) return undefined;
    const value = aggregate(values, how);
    const ratio = value / target;
    const scaled = (by: number, count: number): number =>
        Math.abs(by - 1) <= tolerance ? current : Math.ceil(roundedOff(by * count));
    if (how !== "AVERAGE") {
        return { value, ratio, replicas: scaled(ratio, readings.filter(({ ready }) => ready).length) };
    }
    const without = readings.filter((reading) => reading.value === undefined);
    const missing = without.filter(({ started }) => started).map(() => (ratio < 1 ? target : 0));
    const unready = ratio > 1 ? without.filter(({ started }) => !started).map(() => 0) : [];
    const allowedFor = [...values, ...missing, ...unready];
    const again = aggregate(allowedFor, how) / target;
    const turned = (ratio < 1 && again > 1) || (ratio > 1 && again < 1);
    const replicas = turned ? current : scaled(again, allowedFor.length);
    const opposite = (again < 1 && replicas > current) || (again > 1 && replicas < current);
    return { value, ratio: again, replicas: opposite ? current : replicas };
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
 * One look at an app that has at least one replica. `history` is of earlier looks, oldest first; the new recommendation is
 * added to it and what no window reaches any more is dropped. `idleSeconds` is how long there has been nothing to do.
 */
export function decide(
    rule: ScalingRule,
    current: number,
    readings: Reading[],
    history: Recommendation[],
    now: number,
    idleSeconds: number,
): Outcome {
    const { replicasMin, replicasMax } = rule;
    const least = Math.max(1, replicasMin);
    const asked = recommend(current, readings, rule.targetValue, rule.aggregation);
    const idleLimit = rule.scaleDownStabilizationWindowSeconds + rule.cooldownPeriodSeconds;
    if (replicasMin === 0 && current === least && idleSeconds >= idleLimit) {
        const reason = `idle for ${Math.round(idleSeconds)} s, ${idleLimit} s were to pass: scaled to zero`;
        return { value: asked?.value, ratio: asked?.ratio, recommended: 0, to: 0, reason };
    }
    if (asked === undefined) {
        const to = clamp(current, least, replicasMax);
        return { to, reason: "no replica gave a value: nothing is changed" };
    }
    const { value, ratio, replicas: recommended } = asked;
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
