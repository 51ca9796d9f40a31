// Which signal is to drive scaling? Each with several targets through the same traffic, in virtual time: of those that keep the
// share of requests within the targets, the one with the fewest replicas. `npm run bench -- signals --trace FILE`
import { parseArgs } from "node:util";
import { findCapacity, type Capacity } from "../plan/capacity";
import { simulateFleet } from "../plan/fleet";
import { readProblem } from "../plan/options";
import { openTraffic, scalingOf, worldOf, type Problem } from "../plan/problem";
import { peakReplicas } from "../plan/search";
import { percent } from "../plan/text";
import { weekOf, type Traffic } from "../plan/traffic";
import type { Outcome, RelaySignal, Scaling, Signal } from "../plan/world";
import { kvBlocks } from "../sandbox/vllm/profiles";

const help = `usage: npm run bench -- signals [OPTIONS]

  --trace FILE            a recorded trace, as the busiest hour of a day of office hours; default: a shape of such a day
  --first-token SECONDS   (1)
  --between-tokens SECONDS (0.05)
  --within SHARE          of the requests that is to be within these two (0.95)
  --peak N                replicas that the busiest five minutes need (3)`;

/** Seconds of a day: Monday. */
const seconds = 86_400;
/** Of what one replica runs at once, just within the targets. */
const shares = [0.2, 0.35, 0.5, 0.7, 0.9];
/** A change of the random numbers tells how much of a difference is chance. */
const seeds = [1, 2];

/** A way to scale, or a number of replicas that stays. */
interface Way {
    signal: string;
    target?: number;
    scaling: Scaling;
}

/**
 * Running and waiting requests of all replicas, as one number: the load, as replicas' worth of the target, times the target over
 * the replicas that serve, so that the platform asks for as many.
 * @param credit what each replica that warms up will take off the load, in replicas' worth, before more are asked for
 * @param hold replicas stay until the load is below this share of what one fewer would be there for
 */
function relaySignal(target: number, credit: number, hold: number): RelaySignal {
    return (serving, wanted) => {
        const load = serving.reduce((sum, { running, waiting }) => sum + running + waiting, 0) / target;
        const fewer = load > hold * (wanted - 1) ? wanted : load;
        const asked = load > wanted ? Math.max(wanted, load - credit * (wanted - serving.length)) : fewer;
        return (asked * target) / serving.length;
    };
}

function ways(problem: Problem, capacity: Capacity, kvAtCapacity: number): Way[] {
    const { running } = capacity;
    const rest = { min: 1, max: problem.maxReplicas, scaleUpSeconds: 0, scaleDownSeconds: 300, cooldownSeconds: 300 };
    const { maxNumSeqs } = problem.profile.defaults;
    const most = peakReplicas(capacity);
    const follow = (metric: Signal, targets: number[]): Way[] =>
        targets.map((target) => ({
            signal: metric,
            target,
            scaling: scalingOf({ ...rest, metric, target, maxNumSeqs }),
        }));
    const counts = shares.map((share) => Math.max(1, Math.round(share * running)));
    const relay = (signal: string, credit: number, hold: number): Way[] =>
        follow("vllm:num_requests_running", counts).map(({ target = 0, scaling }) => {
            const metric = relaySignal(target, credit, hold);
            return { signal, target, scaling: { ...scaling, metric } };
        });
    return [
        ...[0, 1, 2, 3].map((more) => ({
            signal: `${most + more} replicas, always`,
            scaling: { every: seconds, replicas: [most + more] },
        })),
        ...follow("vllm:num_requests_running", counts),
        ...follow("vllm:num_requests_waiting", [0.25, 1, 4]),
        ...follow(
            "vllm:kv_cache_usage_perc",
            shares.map((share) => Number((share * kvAtCapacity).toPrecision(2))),
        ),
        ...relay("relay: running + waiting", 0, 1),
        ...relay("relay: with hysteresis and credit", 1, 0.7),
    ];
}

/** Share of the KV cache that one replica has in use when it is just within the targets. */
function kvUsage({ profile, gpus, gpuMemoryUtilization, seed }: Problem, traffic: Traffic, running: number): number {
    let [requests, tokens] = [0, 0];
    for (const { promptTokens, answerTokens } of traffic.requests(seed)) {
        requests++;
        tokens += promptTokens + answerTokens / 2;
    }
    const blockSize = 16;
    return (running * tokens) / requests / (blockSize * kvBlocks(profile, gpus, gpuMemoryUtilization, blockSize));
}

interface Result {
    way: Way;
    /** Share of the requests within the targets. */
    within: number;
    /** Share of the five minutes of which 95 % of the first tokens came in time. */
    time: number;
    /** Mean over the day. */
    replicas: number;
}

function run(problem: Problem, traffic: Traffic, way: Way, seed: number): Result {
    const outcome: Outcome = simulateFleet(worldOf(problem, way.scaling), traffic, problem.targets, seed);
    const asked = outcome.intervals.flatMap(({ firstTokenP95 }) => firstTokenP95 ?? []);
    return {
        way,
        within: outcome.within / outcome.requests,
        time: asked.filter((p95) => p95 <= problem.targets.timeToFirstToken).length / asked.length,
        replicas: outcome.replicaSeconds / traffic.seconds,
    };
}

/** Of the results of one signal the one with the fewest replicas that keeps the share; if none does, the one that comes closest. */
function best(results: Result[], within: number): Result {
    const kept = results.filter((result) => result.within >= within);
    if (kept.length === 0) return results.reduce((a, b) => (b.within > a.within ? b : a));
    return kept.reduce((a, b) => (b.replicas < a.replicas ? b : a));
}

/** The day of the options, with as many requests as `peak` replicas can take in its busiest five minutes. */
function dayFor(problem: Omit<Problem, "traffic">, trace: string | undefined, peak: number): Problem {
    const week = weekOf("office");
    const traffic = (scale: number): Problem["traffic"] =>
        trace === undefined
            ? { shape: { name: "office day", peak: 10 * scale, week, promptTokens: 900, answerTokens: 250, seconds } }
            : { trace, scale, week, seconds };
    const once = { ...problem, traffic: traffic(1) };
    const { rate, demand } = findCapacity(once, openTraffic(once.traffic));
    return { ...problem, traffic: traffic((0.98 * peak * rate) / Math.max(...demand)) };
}

/** The problem of the options. Throws an Error that says what is wrong with them. */
function readOptions(): Problem {
    const text = { type: "string" } as const;
    const options = { trace: text, "first-token": text, "between-tokens": text, within: text, peak: text };
    const { trace, peak = "3", ...targets } = parseArgs({ options }).values;
    if (!/^[1-9]$/.test(peak)) throw new Error(`--peak ${peak}: give a number from 1 to 9`);
    const none = { shape: { name: "", peak: 0, week: [], promptTokens: 0, answerTokens: 0 } };
    return dayFor(readProblem(targets, none), trace, Number(peak));
}

function main(): number {
    let problem: Problem;
    try {
        problem = readOptions();
    } catch (error) {
        console.error(`${(error as Error).message}\n${help}`);
        return 2;
    }
    const traffic = openTraffic(problem.traffic);
    const capacity = findCapacity(problem, traffic);
    const { withinTargets } = problem.targets;
    console.log(
        `${traffic.name}: ${capacity.requests.toLocaleString("en")} requests; one replica takes ${capacity.rate.toFixed(2)} a ` +
            `second, ${capacity.running.toFixed(0)} at once; ${peakReplicas(capacity)} replicas for the busiest five minutes`,
    );
    const results = ways(problem, capacity, kvUsage(problem, traffic, capacity.running)).map((way) => {
        const result = run(problem, traffic, way, seeds[0]);
        console.error(line(way.signal, way.target, [result]));
        return result;
    });
    console.log(`\nfewest replicas that keep ${percent(withinTargets, 0)}:`);
    console.log(
        "| signal | target | requests within | five minutes within | replicas |\n| --- | --- | --- | --- | --- |",
    );
    const fixed = results.filter(({ way }) => way.target === undefined);
    for (const signal of new Set(results.map(({ way }) => way.signal))) {
        const own = results.filter(({ way }) => way.signal === signal);
        const chosen = fixed.includes(own[0]) ? best(fixed, withinTargets) : best(own, withinTargets);
        if (chosen.way.signal !== signal) continue;
        const again = seeds.slice(1).map((seed) => run(problem, traffic, chosen.way, seed));
        console.log(line(signal, chosen.way.target, [chosen, ...again]));
    }
    return 0;
}

/** A row of the table: of several runs the lowest and the highest. */
function line(signal: string, target: number | undefined, results: Result[]): string {
    const range = (of: (result: Result) => number, show: (value: number) => string): string => {
        const values = results.map(of);
        const [low, high] = [show(Math.min(...values)), show(Math.max(...values))];
        return low === high ? low : `${low.replace(" %", "")} to ${high}`;
    };
    const columns = [
        signal,
        target ?? "",
        range(
            ({ within }) => within,
            (share) => percent(share, 2),
        ),
        range(
            ({ time }) => time,
            (share) => percent(share, 1),
        ),
        range(
            ({ replicas }) => replicas,
            (mean) => mean.toFixed(2),
        ),
    ];
    return `| ${columns.join(" | ")} |`;
}

process.exitCode = main();
