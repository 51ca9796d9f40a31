/** Finds by measuring how many requests at once a replica carries within its latency targets. No clock and no I/O here. */

/** What was measured with so many workers. Times in seconds, shares from 0 to 1. */
export interface Level {
    workers: number;
    /**
     * Requests that ran, on the average, as `vllm:num_requests_running` counts them: fewer than the workers, since requests
     * and answers are on their way, and wait for the next step.
     */
    atOnce: number;
    requests: number;
    failures: number;
    /** Share of first tokens, and of times between tokens, that were within their targets; a failed request is in neither. */
    within: Record<TargetName, number>;
    /** Mean between two tokens. */
    meanInterToken: number;
    outputTokensPerSecond: number;
}

export const targetNames = ["timeToFirstToken", "interTokenLatency"] as const;
export type TargetName = (typeof targetNames)[number];

/** The most requests at once that held a target, and the fewest that broke it; undefined: none broke it. */
export interface Limit {
    target: TargetName;
    holds: number;
    breaks?: number;
}

export interface SearchOptions {
    /** Share of first tokens and of times between tokens that is to be within their targets. */
    withinTargets: number;
    /** Not more than so many at once: what one replica runs at most. */
    most: number;
    /** How close to the limit the search goes: 0.03 is 3 %. */
    precision: number;
}

/**
 * Doubles the workers until both targets are broken, or the most is reached, then halves the distance between what held and
 * what broke. Each number of workers is measured once.
 * @returns every level, by workers, and the limit of each target
 */
export async function findLimits(
    measure: (workers: number) => Promise<Level>,
    { withinTargets, most, precision }: SearchOptions,
): Promise<{ levels: Level[]; limits: Limit[] }> {
    const measured = new Map<number, Level>();
    const limits: Limit[] = [];
    for (const target of targetNames) {
        let good = 0;
        let bad: number | undefined;
        const look = async (workers: number): Promise<void> => {
            const level = measured.get(workers) ?? (await measure(workers));
            measured.set(workers, level);
            if (level.within[target] >= withinTargets) good = workers;
            else bad = workers;
        };
        for (let workers = 1; ; workers = Math.min(most, workers * 2)) {
            await look(workers);
            if (bad !== undefined || workers === most) break;
        }
        while (bad !== undefined && bad - good > 1 && (bad - good) / bad > precision) {
            await look(Math.round((good + bad) / 2));
        }
        const atOnce = (workers: number): number => Math.max(1, Math.round(measured.get(workers)!.atOnce));
        const holds = good === 0 ? 0 : atOnce(good);
        // One worker more may be none more at the server.
        limits.push({ target, holds, breaks: bad === undefined ? undefined : Math.max(holds + 1, atOnce(bad)) });
    }
    return { levels: [...measured.values()].sort((a, b) => a.workers - b.workers), limits };
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
