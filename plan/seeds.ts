import type { Result } from "./evaluate";
import type { Problem, Setting } from "./problem";
import { bestOf, leaders } from "./search";

/** Runs of a setting with other random numbers. */
const seeds = 5;
/** Settings that are looked at more closely, so many at a time until one keeps the targets. */
const leadersAtOnce = 4;
const mostLeaders = 12;

interface SeededTask {
    setting: Setting;
    seed: number;
}

/**
 * What is recommended of what a search with one seed found, and what it comes to with others. A setting at the edge may keep
 * the targets by chance, and so look the cheapest: the means over all seeds decide. When no leader keeps the targets then,
 * the one seed does. Runs that are left out (Ctrl-C) count for nothing.
 */
export async function surest(
    problem: Problem,
    results: Result[],
    run: (tasks: SeededTask[]) => Promise<(Result | undefined)[]>,
): Promise<{ best?: Result; seeds: Result[] }> {
    const looked: { result: Result; runs: Result[]; mean: Result }[] = [];
    const candidates = leaders(problem, results).slice(0, mostLeaders);
    for (let i = 0; i < candidates.length; i += leadersAtOnce) {
        const some = candidates.slice(i, i + leadersAtOnce);
        const runs = await run(some.flatMap((result) => otherSeeds(problem, result.setting)));
        some.forEach((result, j) => {
            const own = runs.slice(j * seeds, (j + 1) * seeds).filter((run) => run !== undefined);
            looked.push({ result, runs: own, mean: meanOf([result, ...own]) });
        });
        const mean = bestOf(
            problem,
            looked.map((one) => one.mean),
        );
        const best = looked.find((one) => one.mean === mean);
        if (best) return { best: best.result, seeds: best.runs };
    }
    const best = bestOf(problem, results);
    return { best, seeds: looked.find(({ result }) => result === best)?.runs ?? [] };
}

/** The first with the shares and the cost of all on average. */
function meanOf(runs: Result[]): Result {
    const mean = (key: "within" | "refused" | "lost" | "replicaHours"): number =>
        runs.reduce((sum, run) => sum + run[key], 0) / runs.length;
    const [first] = runs;
    return {
        ...first,
        within: mean("within"),
        refused: mean("refused"),
        lost: mean("lost"),
        replicaHours: mean("replicaHours"),
    };
}

function otherSeeds({ seed }: Problem, setting: Setting): SeededTask[] {
    return Array.from({ length: seeds }, (_, i) => ({ setting, seed: seed + 1 + i }));
}
