/** Finds by measuring how many requests at once a replica carries within its latency targets. No clock and no I/O here. */

/** What was measured with so many requests at once. Times in seconds. */
export interface Level {
    concurrency: number;
    requests: number;
    failures: number;
    /** The share of first tokens, and of tokens, that is to be within targets came within these. */
    timeToFirstToken: number;
    interTokenLatency: number;
    /** Mean between two tokens. */
    meanInterToken: number;
    outputTokensPerSecond: number;
}

/** Seconds. */
export interface LatencyTargets {
    timeToFirstToken: number;
    interTokenLatency: number;
}

export type TargetName = keyof LatencyTargets;

/** The highest concurrency that held a target, and the lowest that broke it; undefined: none broke it. */
export interface Limit {
    target: TargetName;
    holds: number;
    breaks?: number;
}

export interface SearchOptions {
    targets: LatencyTargets;
    /** Not more than so many at once: what one replica runs at most. */
    most: number;
    /** How close to the limit the search goes: 0.03 is 3 %. */
    precision: number;
}

/**
 * Doubles the concurrency until both targets are broken, or the most is reached, then halves the distance between what held
 * and what broke. Each concurrency is measured once.
 * @returns every level, by concurrency, and the limit of each target
 */
export async function findLimits(
    measure: (concurrency: number) => Promise<Level>,
    { targets, most, precision }: SearchOptions,
): Promise<{ levels: Level[]; limits: Limit[] }> {
    const measured = new Map<number, Level>();
    const at = async (concurrency: number): Promise<Level> => {
        let level = measured.get(concurrency);
        if (!level) measured.set(concurrency, (level = await measure(concurrency)));
        return level;
    };
    const names = ["timeToFirstToken", "interTokenLatency"] as const;
    const holds = (level: Level, name: TargetName): boolean => level[name] <= targets[name];
    const limits: Limit[] = [];
    for (const target of names) {
        let good = 0;
        let bad: number | undefined;
        for (let concurrency = 1; ; concurrency = Math.min(most, concurrency * 2)) {
            if (holds(await at(concurrency), target)) good = concurrency;
            else bad = concurrency;
            if (bad !== undefined || concurrency === most) break;
        }
        while (bad !== undefined && bad - good > 1 && (bad - good) / bad > precision) {
            const middle = Math.round((good + bad) / 2);
            if (holds(await at(middle), target)) good = middle;
            else bad = middle;
        }
        limits.push({ target, holds: good, breaks: bad });
    }
    return { levels: [...measured.values()].sort((a, b) => a.concurrency - b.concurrency), limits };
}

export interface Recommendation {
    /** Requests at once that one replica carries within both targets. */
    limit: number;
    /** Which target ends it; undefined: none does, up to the most that was tried. */
    bound?: TargetName;
    scalingTarget: number;
    maxNumSeqs: number;
    /** Replicas for the peak; undefined: no peak was given. */
    replicasMax?: number;
}

/** A Kubernetes autoscaler acts only beyond so much over its target. */
const tolerance = 0.1;

/**
 * What to set. The scaling target lies a margin below the limit, since a new replica takes minutes, in which load goes on
 * growing; the limit itself is max-num-seqs: what comes beyond it waits, instead of slowing down all that run.
 * @param margin 0 to 1
 * @param peak requests at once at the busiest time
 * @throws RangeError when not even one request at a time is within the targets
 */
export function recommend(limits: Limit[], margin: number, peak?: number): Recommendation {
    const least = limits.reduce((a, b) => (b.holds < a.holds ? b : a));
    if (least.holds < 1) {
        throw new RangeError(
            `one request at a time is already over the target ${least.target}: a faster flavor, or another target, is needed`,
        );
    }
    const limit = least.holds;
    // It must lie below max-num-seqs by more than the autoscaler's tolerance, or it is never passed.
    const scalingTarget = Math.max(1, Math.floor(limit * (1 - Math.max(margin, tolerance + 0.02))));
    return {
        limit,
        bound: least.breaks === undefined ? undefined : least.target,
        scalingTarget,
        maxNumSeqs: Math.max(limit, scalingTarget + 1),
        ...(peak !== undefined && { replicasMax: Math.max(1, Math.ceil(peak / scalingTarget)) }),
    };
}

/** The recommendation as commands. */
export function configLines(model: string, { scalingTarget, maxNumSeqs, replicasMax }: Recommendation): string[] {
    const set = (key: string, value: number): string => `pulumi config set --path models.${model}.${key} ${value}`;
    return [
        set("scaling.target", scalingTarget),
        set("vllm.maxNumSeqs", maxNumSeqs),
        ...(replicasMax === undefined ? [] : [set("replicas.max", replicasMax)]),
    ];
}
