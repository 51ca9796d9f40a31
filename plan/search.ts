import type { Capacity } from "./capacity";
import type { Result } from "./evaluate";
import type { Limits } from "./fleet";
import type { Problem, Setting } from "./problem";

/** Runs many settings, side by side where there are cores. Those that go beyond the limits are left out. */
export type Evaluate = (settings: Setting[], limits: Limits) => Promise<Result[]>;

/** How much dearer than the best may be what is looked at still, and how much more of it late: the curve shows these, too. */
const margin = { cost: 1.6, late: 4 };

export interface Found {
    /** All that was run to its end, each once. */
    results: Result[];
    /** Settings run, those included that were given up. */
    run: number;
    /** The cheapest that keeps the targets; absent when none does. */
    best?: Result;
}

/** Whether a result keeps what users were promised. */
export function keeps({ targets }: Problem, { within, refused, lost }: Result): boolean {
    return within >= targets.withinTargets && refused + lost <= targets.errorBudget;
}

/** The cheapest first; among those that cost the same, the one that serves more in time. */
export function cheapest(problem: Problem, results: Result[]): Result | undefined {
    return results
        .filter((result) => keeps(problem, result))
        .sort((a, b) => a.replicaHours - b.replicaHours || b.within - a.within)[0];
}

/** Results that nothing else beats in both: dearer ones serve more in time. The cheapest first. */
export function frontier(results: Result[]): Result[] {
    const sorted = [...results].sort((a, b) => a.replicaHours - b.replicaHours || b.within - a.within);
    let most = -1;
    return sorted.filter(({ within }) => within > most && ((most = within), true));
}

/**
 * A grid first, the cheap end before the dear one, then the neighbours of the best until none is better: each value a step up
 * and down. The grid follows from what one replica can take. What is clearly too late or too dear is given up on the way.
 * @param at told how far it is: settings run, and the best so far
 */
export async function search(
    problem: Problem,
    capacity: Capacity,
    evaluate: Evaluate,
    at: (run: number, best?: Result) => void = () => undefined,
): Promise<Found> {
    const results: Result[] = [];
    const run = new Set<string>();
    let best: Result | undefined;
    const late = margin.late * (1 - problem.targets.withinTargets) * requestsOf(capacity);
    const add = async (settings: Setting[]): Promise<void> => {
        const fresh = settings.filter((setting) => !run.has(JSON.stringify(setting)));
        for (const setting of fresh) run.add(JSON.stringify(setting));
        const replicaSeconds = best ? margin.cost * 3600 * best.replicaHours : Infinity;
        results.push(...(await evaluate(fresh, { late, replicaSeconds })));
        best = cheapest(problem, results);
        at(run.size, best);
    };
    const settings = grid(problem, capacity);
    for (let i = 0; i < settings.length; i += atOnce) await add(settings.slice(i, i + atOnce));
    for (let before: Result | undefined; best && best !== before;) {
        before = best;
        await add(neighbours(problem, best.setting));
    }
    return { results, best, run: run.size };
}

/** Settings of the grid that are run under the same limits. */
const atOnce = 8;

function requestsOf({ demand, demandEvery }: Capacity): number {
    return demand.reduce((sum, rate) => sum + rate * demandEvery, 0);
}

/** Replicas that the busiest interval needs, one at least. */
export function peakReplicas({ demand, rate }: Capacity): number {
    return Math.max(1, Math.ceil(Math.max(...demand) / rate));
}

function grid(problem: Problem, capacity: Capacity): Setting[] {
    const peak = Math.min(problem.maxReplicas, peakReplicas(capacity));
    const { maxNumSeqs } = problem.profile.defaults;
    const least = spaced(1, peak, 4);
    const most = unique([peak, Math.min(problem.maxReplicas, Math.ceil(1.5 * peak) + 1)]);
    const signals: Pick<Setting, "metric" | "target">[] = [
        ...unique(
            [0.25, 0.4, 0.55, 0.7, 0.85, 1].map((share) => Math.max(1, Math.round(share * capacity.running))),
        ).map((target) => ({ metric: "vllm:num_requests_running" as const, target })),
        ...[1, 5].map((target) => ({ metric: "vllm:num_requests_waiting" as const, target })),
    ];
    return least.flatMap((min) =>
        most.flatMap((max) => signals.map((signal) => ({ ...signal, min, max, scaleDownSeconds: 300, maxNumSeqs }))),
    );
}

/** The same with one value changed. */
export function neighbours({ maxReplicas }: Problem, setting: Setting): Setting[] {
    const { target, min, max, maxNumSeqs } = setting;
    const others: Partial<Setting>[] = [
        { target: Math.max(1, Math.round(target * 0.85)) },
        { target: Math.max(target + 1, Math.round(target * 1.15)) },
        { min: min - 1 },
        { min: min + 1 },
        { max: max - 1 },
        { max: max + 1 },
        ...[60, 300, 900, 1800].map((seconds) => ({ scaleDownSeconds: seconds })),
        { maxNumSeqs: Math.round(maxNumSeqs / 2) },
        { maxNumSeqs: maxNumSeqs * 2 },
    ];
    return others
        .map((other) => ({ ...setting, ...other }))
        .filter(
            (one) =>
                one.min >= 1 &&
                one.min <= one.max &&
                one.max <= maxReplicas &&
                one.maxNumSeqs >= 8 &&
                one.maxNumSeqs <= 1024 &&
                // A target that cannot be reached would never scale.
                (one.metric !== "vllm:num_requests_running" || one.target < one.maxNumSeqs) &&
                JSON.stringify(one) !== JSON.stringify(setting),
        );
}

function unique(values: number[]): number[] {
    return [...new Set(values)];
}

/** So many whole numbers from one to another, or fewer. */
function spaced(from: number, to: number, count: number): number[] {
    return unique(Array.from({ length: count }, (_, i) => Math.round(from + ((to - from) * i) / (count - 1))));
}
