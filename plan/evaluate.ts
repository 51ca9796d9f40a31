import { simulateFleet } from "./fleet";
import { openTraffic, scalingOf, worldOf, type Problem, type Setting } from "./problem";
import type { Traffic } from "./traffic";
import type { Interval, Limits, Outcome, Scaling } from "./world";

/** What a setting comes to. */
export interface Result {
    setting: Setting;
    /** Share of the requests answered within the targets; those that failed are not. */
    within: number;
    /** Shares of the requests: refused for want of a replica, and cut off by a scale-down. */
    refused: number;
    lost: number;
    wakeUps: number;
    replicaHours: number;
    /** Hours of the traffic. */
    hours: number;
    mostServing: number;
    /** Seconds. */
    firstToken: { p50: number; p95: number };
    interToken: { p50: number; p95: number };
    preemptions: number;
    tooLong: number;
    requests: number;
}

/** Opened once in each process. */
const opened = new Map<string, Traffic>();

function trafficOf(problem: Problem): Traffic {
    const key = JSON.stringify(problem.traffic);
    const traffic = opened.get(key) ?? openTraffic(problem.traffic);
    opened.set(key, traffic);
    return traffic;
}

/** Runs a setting; undefined when it went beyond the limits. The same for the same seed. */
export function evaluate(problem: Problem, setting: Setting, limits?: Limits, seed = problem.seed): Result | undefined {
    const [outcome, traffic] = run(problem, scalingOf(setting), setting.maxNumSeqs, seed, limits);
    return outcome.givenUp ? undefined : summarize(setting, outcome, traffic);
}

/** The same with a number of replicas for each interval, as one would choose them who knows what comes. */
export function evaluateSchedule(problem: Problem, every: number, replicas: number[]): Result {
    const most = Math.max(...replicas);
    const setting: Setting = {
        metric: "vllm:num_requests_running",
        target: 0,
        min: Math.min(...replicas),
        max: most,
        scaleUpSeconds: 0,
        scaleDownSeconds: 0,
        maxNumSeqs: problem.profile.defaults.maxNumSeqs,
        cooldownSeconds: 300,
    };
    const drained: Problem = { ...problem, drainSeconds: Infinity };
    return summarize(setting, ...run(drained, { every, replicas }, setting.maxNumSeqs, problem.seed));
}

/** A setting's day, interval by interval. */
export function timeline(problem: Problem, setting: Setting): Interval[] {
    return run(problem, scalingOf(setting), setting.maxNumSeqs, problem.seed)[0].intervals;
}

function run(
    problem: Problem,
    scaling: Scaling,
    maxNumSeqs: number,
    seed: number,
    limits?: Limits,
): [Outcome, Traffic] {
    const traffic = trafficOf(problem);
    return [simulateFleet(worldOf(problem, scaling, maxNumSeqs), traffic, problem.targets, seed, limits), traffic];
}

function summarize(setting: Setting, outcome: Outcome, { seconds }: Traffic): Result {
    const { requests, firstToken, interToken, intervals, preemptions, tooLong, wakeUps } = outcome;
    const quantiles = (histogram: typeof firstToken) => ({
        p50: histogram.quantile(0.5),
        p95: histogram.quantile(0.95),
    });
    return {
        setting,
        within: outcome.within / requests,
        refused: outcome.refused / requests,
        lost: outcome.lost / requests,
        wakeUps,
        replicaHours: outcome.replicaSeconds / 3600,
        hours: seconds / 3600,
        mostServing: Math.max(...intervals.map(({ serving }) => serving)),
        firstToken: quantiles(firstToken),
        interToken: quantiles(interToken),
        preemptions,
        tooLong,
        requests,
    };
}
