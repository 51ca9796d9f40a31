import { expect, it } from "vitest";
import type { Result } from "../../plan/evaluate";
import type { Problem, Setting } from "../../plan/problem";
import { surest } from "../../plan/seeds";

const problem = { seed: 1, targets: { withinTargets: 0.95, errorBudget: 0.01 } } as Problem;

/** A setting that comes to this with seed 1. */
const found = (target: number, replicaHours: number, within: number): Result =>
    ({ setting: { target } as Setting, replicaHours, within, hours: 1, refused: 0, lost: 0 }) as Result;

/** With other seeds each has these shares within the targets, in turn. */
function withShares(results: Result[], shares: Record<number, number[]>) {
    const run: number[] = [];
    return {
        run,
        tasks: (tasks: { setting: Setting; seed: number }[]) => {
            run.push(...tasks.map(({ setting }) => setting.target));
            return Promise.resolve(
                tasks.map(({ setting, seed }) => {
                    const of = shares[setting.target];
                    const result = results.find((one) => one.setting === setting)!;
                    return of && { ...result, within: of[seed % of.length] };
                }),
            );
        },
    };
}

it("what keeps the targets with one seed only is not recommended", async () => {
    const results = [found(30, 100, 0.952), found(25, 108, 0.97), found(20, 130, 0.99), found(40, 90, 0.9)];
    const { tasks, run } = withShares(results, { 30: [0.93, 0.955], 25: [0.96, 0.975], 20: [0.99] });
    const { best, seeds } = await surest(problem, results, tasks);
    expect(best).toBe(results[1]);
    expect(seeds.map(({ within }) => within)).toEqual([0.96, 0.975, 0.96, 0.975, 0.96]);
    // What does not keep them with the first seed is not looked at.
    expect(new Set(run)).toEqual(new Set([30, 25, 20]));
});

it("of near ties the one that serves the most in time over all seeds is recommended", async () => {
    const results = [found(30, 100, 0.985), found(28, 101, 0.98)];
    const { tasks } = withShares(results, { 30: [0.955], 28: [0.98] });
    expect((await surest(problem, results, tasks)).best).toBe(results[1]);
});

it("dearer ones are looked at until one keeps the targets, and each result once", async () => {
    const results = Array.from({ length: 7 }, (_, i) => found(30 - i, 100 + 3 * i, 0.951 + 0.001 * i));
    const shares = Object.fromEntries(results.map(({ setting }, i) => [setting.target, [i < 5 ? 0.9 : 0.96]]));
    const same = { ...results[0], setting: { target: 99 } as Setting };
    const { tasks, run } = withShares(results, shares);
    expect((await surest(problem, [...results, same], tasks)).best).toBe(results[5]);
    expect(run).toHaveLength(5 * 7);
});

it("without a closer look, or one that any of them stands, the one seed decides", async () => {
    const results = [found(30, 100, 0.96), found(25, 140, 0.99)];
    const interrupted = withShares(results, {});
    expect(await surest(problem, results, interrupted.tasks)).toEqual({ best: results[0], seeds: [] });
    const { tasks } = withShares(results, { 30: [0.9], 25: [0.8] });
    const { best, seeds } = await surest(problem, results, tasks);
    expect(best).toBe(results[0]);
    expect(seeds).toHaveLength(5);
    expect(await surest(problem, [found(30, 100, 0.5)], tasks)).toEqual({ best: undefined, seeds: [] });
});
