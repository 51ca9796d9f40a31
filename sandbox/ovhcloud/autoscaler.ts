/**
 * The arithmetic of Kubernetes' HorizontalPodAutoscaler, which AI Deploy is taken to follow (it builds on KEDA; OVHcloud
 * does not publish the algorithm): https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/
 */

/** A ratio this close to 1 changes nothing (`--horizontal-pod-autoscaler-tolerance`). */
const tolerance = 0.1;

export interface ScalingLimits {
    replicasMin: number;
    replicasMax: number;
    targetValue: number;
    scaleUpStabilizationWindowSeconds: number;
    scaleDownStabilizationWindowSeconds: number;
}

export interface Recommendation {
    /** Platform time, in seconds. */
    at: number;
    replicas: number;
}

export type Aggregation = "AVERAGE" | "MAX" | "MIN" | "SUM";

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

/** How many replicas the metric asks for, before limits and windows. `value` is compared with the target as it is. */
export function recommend(current: number, value: number, target: number): number {
    const ratio = value / target;
    return Math.abs(ratio - 1) <= tolerance ? current : Math.ceil(current * ratio);
}

/**
 * The number of replicas to have now: the newest recommendation, held back by the windows (down to the highest of the
 * scale-down window, up to the lowest of the scale-up window), within the limits. `history` includes the newest.
 */
export function stabilize(current: number, history: Recommendation[], now: number, limits: ScalingLimits): number {
    const within = (seconds: number): number[] =>
        history.filter(({ at }) => at >= now - seconds).map(({ replicas }) => replicas);
    const newest = history[history.length - 1].replicas;
    let wanted = newest;
    if (newest > current) {
        wanted = Math.max(current, Math.min(newest, ...within(limits.scaleUpStabilizationWindowSeconds)));
    } else if (newest < current) {
        wanted = Math.min(current, Math.max(newest, ...within(limits.scaleDownStabilizationWindowSeconds)));
    }
    return Math.min(limits.replicasMax, Math.max(limits.replicasMin, wanted));
}

/** The value of a metric on a Prometheus page; the sum when it has several series. `undefined` when it is not there. */
export function valueOnPage(page: string, metric: string): number | undefined {
    const lines = page
        .split("\n")
        .filter((line) => line.startsWith(metric) && /^[\s{]/.test(line.slice(metric.length)));
    if (lines.length === 0) return undefined;
    return lines.reduce((sum, line) => sum + Number(/\s(\S+)(\s+\d+)?$/.exec(line)?.[1]), 0);
}
