import type { Capacity } from "./capacity";
import type { Result } from "./evaluate";
import type { Limits } from "./world";
import { maySleep, type Problem, type Setting } from "./problem";
import { suggestSchedules, type ScheduleEntry } from "./schedule";

/** Runs many settings, side by side where there are cores. Those that go beyond the limits are left out. */
export type Evaluate = (settings: Setting[], limits: Limits) => Promise<Result[]>;

/** How much dearer than the best may be what is looked at still, and how much more of it late: the curve shows these, too. */
const margin = { cost: 1.6, late: 4 };

export interface Found {
    /** All that was run to its end, each once. */
    results: Result[];
    /** Settings run, those included that were given up. */
    run: number;
    /** By `bestOf`; absent when none keeps the targets. */
    best?: Result;
}

/** Whether a result keeps what users were promised. */
export function keeps({ targets }: Problem, { within, refused, lost }: Result): boolean {
    return within >= targets.withinTargets && refused + lost <= targets.errorBudget;
}

/** What may be paid beyond the cheapest for being further from the edge, where a little more traffic changes a lot. */
const tolerance = 1.02;

/** Of those that keep the targets and cost hardly more than the cheapest, the one that serves the most in time. */
export function bestOf(problem: Problem, results: Result[]): Result | undefined {
    const kept = results.filter((result) => keeps(problem, result));
    const least = Math.min(...kept.map(({ replicaHours }) => replicaHours));
    return kept
        .filter(({ replicaHours }) => replicaHours <= tolerance * least)
        .sort((a, b) => b.within - a.within || a.replicaHours - b.replicaHours)[0];
}

/**
 * Those that keep the targets, the one that `bestOf` names first: as cheap ones by what they serve in time, then dearer ones
 * by their cost. Of those that came to the same, the first.
 */
export function leaders(problem: Problem, results: Result[]): Result[] {
    const figures = ({ within, replicaHours }: Result): string => `${within} ${replicaHours}`;
    const distinct = new Map(results.toReversed().map((result) => [figures(result), result]));
    const left = new Set([...distinct.values()].filter((result) => keeps(problem, result)));
    const sorted: Result[] = [];
    for (let best = bestOf(problem, [...left]); best; best = bestOf(problem, [...left])) {
        sorted.push(best);
        left.delete(best);
    }
    return sorted;
}

/** Results that nothing else beats in both: dearer ones serve more in time. The cheapest first. */
export function frontier(results: Result[]): Result[] {
    const sorted = [...results].sort((a, b) => a.replicaHours - b.replicaHours || b.within - a.within);
    let most = -1;
    return sorted.filter(({ within }) => within > most && ((most = within), true));
}

/**
 * A grid first, the cheap end before the dear one, then the neighbours of the best until none is better: each value a step up
 * and down. The grid follows from what one replica can take; without a setting that will do, from twice as many replicas. What is clearly too late or too dear is given up on the way.
 * @param tell told of the best so far, and how many settings will be run, as far as that is known
 * @param mostReplicaSeconds what costs more than that is of no interest
 */
export async function search(
    problem: Problem,
    capacity: Capacity,
    evaluate: Evaluate,
    tell: (known: { best?: Result; expected: number }) => void = () => undefined,
    mostReplicaSeconds = Infinity,
): Promise<Found> {
    const results: Result[] = [];
    const run = new Set<string>();
    let best: Result | undefined;
    let peak = Math.min(problem.maxReplicas, peakReplicas(capacity));
    let all = grid(problem, capacity, peak);
    const late = margin.late * (1 - problem.targets.withinTargets) * requestsOf(capacity);
    const add = async (settings: Setting[]): Promise<void> => {
        const fresh = settings.filter((setting) => !run.has(JSON.stringify(setting)));
        tell({ best, expected: Math.max(all.length, run.size + fresh.length) + aRound });
        for (const setting of fresh) run.add(JSON.stringify(setting));
        const dear = best ? margin.cost * 3600 * best.replicaHours : Infinity;
        const replicaSeconds = Math.min(dear, mostReplicaSeconds);
        results.push(...(await evaluate(fresh, { late, replicaSeconds })));
        best = bestOf(problem, results);
    };
    for (;;) {
        for (let i = 0; i < all.length; i += atOnce) await add(all.slice(i, i + atOnce));
        if (best || peak === problem.maxReplicas) break;
        // Traffic that comes in bursts needs more than its mean tells.
        peak = Math.min(problem.maxReplicas, 2 * peak);
        all = grid(problem, capacity, peak);
    }
    for (let before: Result | undefined; best && best !== before;) {
        before = best;
        await add(neighbours(problem, capacity, best.setting));
    }
    return { results, best, run: run.size };
}

/** Settings of the grid that are run under the same limits. */
const atOnce = 8;
/** Neighbours of one setting, about. */
const aRound = 14;

function requestsOf({ demand, demandEvery }: Capacity): number {
    return demand.reduce((sum, rate) => sum + rate * demandEvery, 0);
}

/** Replicas that the busiest interval needs, one at least. */
export function peakReplicas({ demand, rate }: Capacity): number {
    return Math.max(1, Math.ceil(Math.max(...demand) / rate));
}

/** @param peak replicas that the busiest times are taken to need */
function grid(problem: Problem, capacity: Capacity, peak: number): Setting[] {
    const { maxNumSeqs } = problem.profile.defaults;
    const least = [...(mayIdle(capacity) ? [0] : []), ...spaced(1, peak, 4)];
    const most = unique([peak, Math.min(problem.maxReplicas, Math.ceil(1.5 * peak) + 1)]);
    const signals: Pick<Setting, "metric" | "target">[] = [
        ...unique(
            [0.25, 0.4, 0.55, 0.7, 0.85, 1].map((share) => Math.max(1, Math.round(share * capacity.running))),
        ).map((target) => ({ metric: "vllm:num_requests_running" as const, target })),
        ...[1, 5].map((target) => ({ metric: "vllm:num_requests_waiting" as const, target })),
    ];
    const rest = {
        scaleUpSeconds: 0,
        scaleDownSeconds: 300,
        maxNumSeqs,
        cooldownSeconds: 300,
        schedule: problem.schedule,
    };
    return least.flatMap((min) => most.flatMap((max) => signals.map((signal) => ({ ...signal, min, max, ...rest }))));
}

/** Whether there is half an hour in which hardly anything is asked: without one a replica never sleeps. */
export function mayIdle({ demand, demandEvery }: Capacity): boolean {
    const [window, few] = [Math.ceil(1800 / demandEvery), 1];
    return demand.some((_, i) => {
        const some = demand.slice(i, i + window);
        return some.length === window && some.reduce((sum, rate) => sum + rate * demandEvery, 0) <= few;
    });
}

/** The same with one value changed. */
export function neighbours(problem: Problem, capacity: Capacity, setting: Setting): Setting[] {
    const { target, min, max, maxNumSeqs, schedule } = setting;
    const least = mayIdle(capacity) ? 0 : 1;
    // Of a fixed number of replicas, target and windows change nothing.
    const whenScaling: Partial<Setting>[] = [
        { target: Math.max(1, Math.round(target * 0.85)) },
        { target: Math.max(target + 1, Math.round(target * 1.15)) },
        ...[0, 60, 180, 600].map((seconds) => ({ scaleUpSeconds: seconds })),
        ...[60, 300, 900, 1800].map((seconds) => ({ scaleDownSeconds: seconds })),
        ...(maySleep(setting) ? [0, 300, 900, 3600].map((seconds) => ({ cooldownSeconds: seconds })) : []),
    ];
    const others: Partial<Setting>[] = [
        ...(min < max || schedule ? whenScaling : []),
        { min: min - 1 },
        { min: min + 1 },
        { max: max - 1 },
        { max: max + 1 },
        { maxNumSeqs: Math.round(maxNumSeqs / 2) },
        { maxNumSeqs: maxNumSeqs * 2 },
        ...(problem.schedule ? [] : otherSchedules(problem, capacity, schedule)),
    ];
    const settings = others
        .map((other) => (problem.schedule ? { ...setting, ...other } : withinSchedule({ ...setting, ...other })))
        .filter(
            (one) =>
                one.min >= least &&
                one.min <= one.max &&
                one.max <= problem.maxReplicas &&
                one.maxNumSeqs >= 8 &&
                one.maxNumSeqs <= 1024 &&
                // A target that cannot be reached would never scale.
                (one.metric !== "vllm:num_requests_running" || one.target < one.maxNumSeqs) &&
                // Hours that want no more than the rest of the week are none.
                (!one.schedule || problem.schedule || one.schedule.some((entry) => entry.min > one.min)) &&
                JSON.stringify(one) !== JSON.stringify(setting),
        );
    return [...new Map(settings.map((one) => [JSON.stringify(one), one])).values()];
}

/** Those that the demand suggests; once there is one, the same with a replica more or less at least, and none. */
function otherSchedules(problem: Problem, capacity: Capacity, schedule?: ScheduleEntry[]): Partial<Setting>[] {
    const { boot, maxReplicas } = problem;
    if (!schedule) {
        const suggested = suggestSchedules(capacity, boot.median, maxReplicas).map((one) => ({ schedule: one }));
        // Asleep outside of its hours, where there are times to sleep.
        return mayIdle(capacity) ? [...suggested, ...suggested.map((one) => ({ ...one, min: 0 }))] : suggested;
    }
    const changed = schedule.flatMap((entry, i) =>
        [entry.min - 1, entry.min + 1]
            .filter((min) => min >= 1 && min <= entry.max)
            .map((min) => ({ schedule: schedule.with(i, { ...entry, min }) })),
    );
    return [{ schedule: undefined }, ...changed];
}

/** Entries that the search has made have the most of the rest of the week, and never less at least. */
function withinSchedule(setting: Setting): Setting {
    const { schedule, min, max } = setting;
    if (!schedule) return setting;
    const within = (count: number): number => Math.min(max, Math.max(min, count));
    return { ...setting, schedule: schedule.map((entry) => ({ ...entry, max, min: within(entry.min) })) };
}

function unique(values: number[]): number[] {
    return [...new Set(values)];
}

/** So many whole numbers from one to another, or fewer. */
function spaced(from: number, to: number, count: number): number[] {
    return unique(Array.from({ length: count }, (_, i) => Math.round(from + ((to - from) * i) / (count - 1))));
}
