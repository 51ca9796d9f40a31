import { findCapacity, type Capacity } from "./capacity";
import { timeline, type Result } from "./evaluate";
import { Pool } from "./pool";
import { maySleep, openTraffic, type Problem, type Setting } from "./problem";
import { leastPerHour, type Hardware } from "./hardware";
import { bestOf, frontier, keeps, mayIdle, neighbours, peakReplicas, search, type Found } from "./search";
import { surest } from "./seeds";
import type { Interval } from "./world";

/** What is recommended for a problem, and what to make of it. */
export interface Plan {
    /** What the recommended replicas run on. */
    hardware: Hardware;
    /** What else they could run on, and what was found there; absent: not searched, or nothing as cheap that keeps the targets. */
    others: (Pick<Tried, "hardware" | "leastPerHour"> & { rate: number; searched: boolean; best?: Result })[];
    capacity: Capacity;
    /** Settings run, those included that were given up on the way. */
    run: number;
    /** All runs, those included that say what to make of it. */
    runs: number;
    /** Absent when no setting keeps the targets. */
    best?: Result;
    /** What comes closest, when none does. */
    closest?: Result;
    /** The best results for their price, the cheapest first. */
    frontier: Result[];
    /** The same with other random numbers: how sure it is. */
    seeds: Result[];
    /** One value changed each. */
    alternatives: Result[];
    yardsticks: {
        /** The fewest replicas that keep the targets without any scaling; absent when the most allowed do not. */
        fixed?: Result;
        /** Replicas as one would choose them who knows what comes and waits for no boot. */
        clairvoyant?: Result;
    };
    /** The recommended setting in a world that differs from the assumed one, the one that hurts most first. */
    assumptions: { what: string; result: Result }[];
    intervals: Interval[];
}

/** What a traffic comes to on some hardware. */
interface Tried {
    hardware: Hardware;
    capacity: Capacity;
    /** About the least that it can cost, per hour; Infinity: one request at a time is too slow for the targets. */
    leastPerHour: number;
    /** What was found; absent: not searched, since it cannot be cheaper than what was found before. */
    found?: Found;
}

/** How far it is. */
export interface Progress {
    /** Runs that have ended, and how many there will be by now, roughly. */
    done: number;
    expected: number;
    best?: Result;
}

/** Runs beside those of the search: seeds, alternatives, yardsticks, assumptions. */
const besides = 50;

/**
 * Searches, and looks at what was found from all sides. `signal` ends it with what there is by then: the best so far.
 * @param hardware that is compared, that of the settings first; all have a price, or there is but one
 */
export async function plan(
    asked: Problem,
    hardware: Hardware[],
    tell: (progress: Progress) => void = () => undefined,
    signal?: AbortSignal,
): Promise<Plan> {
    const progress: Progress = { done: 0, expected: besides };
    const pool = new Pool(asked, signal, () => {
        progress.done++;
        tell(progress);
    });
    try {
        const all = await tryHardware(asked, hardware, pool, ({ best, expected }) =>
            Object.assign(progress, { best, expected: expected + besides }),
        );
        const tried = cheapest(all);
        const problem: Problem = { ...asked, ...tried.hardware };
        pool.change = tried.hardware;
        const { capacity } = tried;
        const { results } = tried.found;
        const { best, seeds } = await surest(problem, results, (tasks) => pool.run(tasks));
        const run = all.reduce((sum, { found }) => sum + (found?.run ?? 0), 0);
        // When all were given up, what all the replicas there may be come to.
        const given =
            results.length > 0 ? results : await pool.runAll([{ setting: always(problem, problem.maxReplicas) }]);
        const chosen = best ?? [...given].sort((a, b) => b.within - a.within).at(0);
        return {
            hardware: tried.hardware,
            others: all
                .filter((one) => one !== tried)
                .map(({ hardware, leastPerHour, capacity: { rate }, found }) => {
                    return { hardware, leastPerHour, rate, searched: found !== undefined, best: found?.best };
                }),
            capacity,
            run,
            best,
            closest: best ? undefined : chosen,
            frontier: frontier(results),
            seeds,
            alternatives: best ? await alternatives(problem, capacity, best.setting, results, pool) : [],
            yardsticks: {
                fixed: await fixed(problem, capacity, pool),
                clairvoyant: await clairvoyant(problem, capacity, pool),
            },
            assumptions: best ? await questioned(problem, best.setting, pool) : [],
            intervals: chosen ? timeline(problem, chosen.setting) : [],
            runs: progress.done,
        };
    } finally {
        pool.close();
    }
}

/** What is asked costs so much more than this on hardware that is not searched. */
const farDearer = 1.2;

/** Searches on each hardware, that which can be the cheapest first; what can only be dearer than what was found is left out. */
async function tryHardware(
    asked: Problem,
    hardware: Hardware[],
    pool: Pool,
    tell: (known: { best?: Result; expected: number }) => void,
): Promise<Tried[]> {
    const traffic = openTraffic(asked.traffic);
    const all = hardware.map((one): Tried => {
        const capacity = findCapacity({ ...asked, ...one }, traffic);
        return { hardware: one, capacity, leastPerHour: leastPerHour(one, capacity, mayIdle(capacity) ? 0 : 1) };
    });
    let [before, least] = [0, Infinity];
    for (const tried of [...all].sort((a, b) => a.leastPerHour - b.leastPerHour)) {
        const own = tried === all[0];
        if (!own && (tried.leastPerHour === Infinity || tried.leastPerHour > farDearer * least)) continue;
        const { capacity } = tried;
        const perHour = tried.hardware.price?.perHour ?? 1;
        pool.change = tried.hardware;
        tried.found = await search(
            { ...asked, ...tried.hardware },
            capacity,
            (settings, limits) => pool.runAll(settings.map((setting) => ({ setting, limits }))),
            ({ best, expected }) => tell({ best, expected: before + expected }),
            own ? Infinity : (farDearer * least * capacity.seconds) / perHour,
        );
        before += tried.found.run;
        const { best } = tried.found;
        if (best) least = Math.min(least, costPerHour(best, tried.hardware));
    }
    return all;
}

function costPerHour({ replicaHours, hours }: Result, { price }: Hardware): number {
    return (replicaHours / hours) * (price?.perHour ?? 1);
}

/** The one with the cheapest setting that keeps the targets; that of the settings when none does. */
function cheapest(all: Tried[]): Tried & { found: Found } {
    const searched = all.filter((one): one is Tried & { found: Found } => one.found !== undefined);
    const cost = ({ found: { best }, hardware }: (typeof searched)[number]): number =>
        best ? costPerHour(best, hardware) : Infinity;
    return searched.reduce(
        (one, other) => (cost(other) < cost(one) ? other : one),
        searched.find((one) => one === all[0])!,
    );
}

/** What the neighbours come to; those that the search gave up are run to their end. */
async function alternatives(
    problem: Problem,
    capacity: Capacity,
    setting: Setting,
    results: Result[],
    pool: Pool,
): Promise<Result[]> {
    const known = new Map(results.map((result) => [JSON.stringify(result.setting), result]));
    const others = neighbours(problem, capacity, setting);
    const unknown = others.filter((other) => !known.has(JSON.stringify(other)));
    return [
        ...others.flatMap((other) => known.get(JSON.stringify(other)) ?? []),
        ...(await pool.runAll(unknown.map((other) => ({ setting: other })))),
    ];
}

/** So many replicas, whatever is asked. */
function always({ profile }: Problem, count: number): Setting {
    const { maxNumSeqs } = profile.defaults;
    return {
        metric: "vllm:num_requests_running",
        target: maxNumSeqs - 1,
        min: count,
        max: count,
        scaleUpSeconds: 0,
        scaleDownSeconds: 300,
        maxNumSeqs,
        cooldownSeconds: 300,
    };
}

/** The fewest that keep the targets; four counts at a time, since bursts may need many more than the mean tells. */
async function fixed(problem: Problem, capacity: Capacity, pool: Pool): Promise<Result | undefined> {
    for (let from = Math.max(1, peakReplicas(capacity) - 1); from <= problem.maxReplicas; from += 4) {
        const counts = [from, from + 1, from + 2, from + 3].filter((count) => count <= problem.maxReplicas);
        const results = await pool.runAll(counts.map((count) => ({ setting: always(problem, count) })));
        const kept = bestOf(problem, results);
        if (kept) return kept;
    }
    return undefined;
}

/** Head rooms over the demand that are tried, in this order; two at a time, since most often an early one will do. */
const rooms = [0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2];

/** The least head room over the demand of each interval that keeps the targets. */
async function clairvoyant(
    problem: Problem,
    { demand, demandEvery, rate }: Capacity,
    pool: Pool,
): Promise<Result | undefined> {
    if (rate === 0) return undefined;
    const replicas = (room: number): number[] =>
        demand.map((now, i) => {
            const most = Math.max(now, demand[i + 1] ?? 0);
            return Math.min(problem.maxReplicas, Math.ceil((room * most) / rate));
        });
    for (let i = 0; i < rooms.length; i += 2) {
        const tasks = rooms.slice(i, i + 2).map((room) => ({ every: demandEvery, replicas: replicas(room) }));
        const results = await pool.runAll(tasks);
        const kept = results.find((result) => keeps(problem, result));
        if (kept) return kept;
    }
    return undefined;
}

/** What the answer hangs on: each assumption changed by as much as it may well be wrong. */
async function questioned(problem: Problem, setting: Setting, pool: Pool): Promise<Plan["assumptions"]> {
    const { boot, traffic, profile, asleep } = problem;
    const slower = { ...profile.step };
    for (const key of ["base", "prefillToken", "decodeSequence", "contextToken"] as const) slower[key] *= 1.15;
    const worlds: [string, Partial<Problem>][] = [
        ["replicas take twice as long to start", { boot: { ...boot, median: 2 * boot.median } }],
        ["answers are 30 % longer", { traffic: { ...traffic, answers: 1.3 * (traffic.answers ?? 1) } }],
        ["no prefix is found again", { prefixCaching: false }],
        ["the engine is 15 % slower", { profile: { ...profile, step: slower } }],
        ["every other try finds no free GPU", { noGpu: { chance: 0.5, retry: problem.noGpu.retry } }],
        ...(maySleep(setting) ? [asleepOtherwise(asleep)] : []),
    ];
    const results = await pool.run(worlds.map(([, change]) => ({ setting, change })));
    return worlds
        .flatMap(([what], i) => (results[i] ? [{ what, result: results[i] }] : []))
        .sort((a, b) => a.result.within - b.result.within);
}

function asleepOtherwise(asleep: Problem["asleep"]): [string, Partial<Problem>] {
    return asleep === "held"
        ? ["requests are refused until it has woken up", { asleep: "refused" }]
        : ["requests are held until it has woken up", { asleep: "held" }];
}
