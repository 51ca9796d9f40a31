import { findCapacity, type Capacity } from "./capacity";
import { evaluateSchedule, timeline, type Result } from "./evaluate";
import type { Interval } from "./fleet";
import { Pool, type Task } from "./pool";
import { openTraffic, type Problem, type Setting } from "./problem";
import { cheapest, frontier, keeps, neighbours, peakReplicas, search } from "./search";

/** What is recommended for a problem, and what to make of it. */
export interface Plan {
    capacity: Capacity;
    /** Settings run, those included that were given up on the way. */
    run: number;
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

const seeds = 5;

/** Searches, and looks at what was found from all sides. `at` is told how far it is; `signal` ends the search with the best so far. */
export async function plan(
    problem: Problem,
    at: (run: number, best?: Result) => void = () => undefined,
    signal?: AbortSignal,
): Promise<Plan> {
    const capacity = findCapacity(problem, openTraffic(problem.traffic));
    const pool = new Pool(problem);
    try {
        const found = await search(
            problem,
            capacity,
            async (settings, limits) => {
                if (signal?.aborted) return [];
                const results = await pool.run(settings.map((setting) => ({ setting, limits })));
                return results.filter((result) => result !== undefined);
            },
            at,
        );
        const { results, run, best } = found;
        const chosen = best ?? [...results].sort((a, b) => b.within - a.within).at(0);
        const all = async (tasks: Task[]): Promise<Result[]> =>
            (await pool.run(tasks)).filter((result) => result !== undefined);
        const known = new Map(results.map((result) => [JSON.stringify(result.setting), result]));
        const others = chosen ? neighbours(problem, chosen.setting) : [];
        return {
            capacity,
            run,
            best,
            closest: best ? undefined : chosen,
            frontier: frontier(results),
            seeds: best
                ? await all(
                      Array.from({ length: seeds }, (_, i) => ({ setting: best.setting, seed: problem.seed + 1 + i })),
                  )
                : [],
            alternatives: best
                ? [
                      ...others.flatMap((setting) => known.get(JSON.stringify(setting)) ?? []),
                      ...(await all(
                          others
                              .filter((setting) => !known.has(JSON.stringify(setting)))
                              .map((setting) => ({ setting })),
                      )),
                  ]
                : [],
            yardsticks: { fixed: await fixed(problem, capacity, all), clairvoyant: clairvoyant(problem, capacity) },
            assumptions: best ? await questioned(problem, best.setting) : [],
            intervals: chosen ? timeline(problem, chosen.setting) : [],
        };
    } finally {
        pool.close();
    }
}

async function fixed(
    problem: Problem,
    capacity: Capacity,
    all: (tasks: Task[]) => Promise<Result[]>,
): Promise<Result | undefined> {
    const { maxNumSeqs } = problem.profile.defaults;
    const from = Math.max(1, peakReplicas(capacity) - 1);
    const counts = Array.from({ length: Math.max(0, problem.maxReplicas - from + 1) }, (_, i) => from + i).slice(0, 4);
    const settings = counts.map((count): Setting => ({
        metric: "vllm:num_requests_running",
        target: maxNumSeqs - 1,
        min: count,
        max: count,
        scaleDownSeconds: 300,
        maxNumSeqs,
    }));
    return cheapest(problem, await all(settings.map((setting) => ({ setting }))));
}

/** The least head room over the demand of each interval, in steps, that keeps the targets. */
function clairvoyant(problem: Problem, { demand, demandEvery, rate }: Capacity): Result | undefined {
    if (rate === 0) return undefined;
    for (let room = 0.7; room <= 2; room += 0.1) {
        const replicas = demand.map((now, i) => {
            const most = Math.max(now, demand[i + 1] ?? 0);
            return Math.min(problem.maxReplicas, Math.max(1, Math.ceil((room * most) / rate)));
        });
        const result = evaluateSchedule(problem, demandEvery, replicas);
        if (keeps(problem, result)) return result;
    }
    return undefined;
}

/** What the answer hangs on: each assumption changed by as much as it may well be wrong. */
async function questioned(problem: Problem, setting: Setting): Promise<Plan["assumptions"]> {
    const { boot, traffic, profile } = problem;
    const slower = { ...profile.step };
    for (const key of ["base", "prefillToken", "decodeSequence", "contextToken"] as const) slower[key] *= 1.15;
    const worlds: [string, Problem][] = [
        ["replicas take twice as long to start", { ...problem, boot: { ...boot, median: 2 * boot.median } }],
        ["answers are 30 % longer", { ...problem, traffic: { ...traffic, answers: 1.3 * (traffic.answers ?? 1) } }],
        ["no prefix is found again", { ...problem, prefixCaching: false }],
        ["the engine is 15 % slower", { ...problem, profile: { ...profile, step: slower } }],
        ["every other try finds no free GPU", { ...problem, noGpu: { chance: 0.5, retry: problem.noGpu.retry } }],
    ];
    const results = await Promise.all(
        worlds.map(async ([what, world]) => {
            const pool = new Pool(world, 1);
            const [result] = await pool.run([{ setting }]).finally(() => pool.close());
            return { what, result: result! };
        }),
    );
    return results.sort((a, b) => a.result.within - b.result.within);
}
