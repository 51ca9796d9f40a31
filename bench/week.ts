// What a week of office hours costs, and who waits, by what keeps the replicas: a fixed number, the autoscaler alone, hours of a
// schedule, and sleep outside of them. In virtual time. `npm run bench -- week`
import { parseArgs } from "node:util";
import { simulateFleet } from "../plan/fleet";
import { readProblem } from "../plan/options";
import { openTraffic, scalingOf, worldOf, type Problem, type Setting } from "../plan/problem";
import { parseEntry } from "../plan/schedule";
import { percent } from "../plan/text";
import { weekOf, type Traffic } from "../plan/traffic";
import type { Outcome } from "../plan/world";

const help = `usage: npm run bench -- week [OPTIONS]

  --price EUROS   of a replica for an hour (3)
  --peak N        requests a second in the busiest hour (20)
  --strays N      requests an hour while nobody is at work (0.25)`;

/** The working hours of the week below, a quarter of an hour early: a replica takes seven minutes to boot. */
const working = "mon-fri 05:45-20:00";

/** What keeps the replicas. */
interface Way {
    what: string;
    min: number;
    schedule?: string[];
}
const max = 4;
const ways: Way[] = [
    { what: `${max} replicas, always`, min: max },
    { what: `2 to ${max}, always`, min: 2 },
    { what: `2 to ${max} in working hours, else 1 to ${max}`, min: 1, schedule: [`${working} 2-${max}`] },
    { what: `2 to ${max} in working hours, else 0 to ${max}`, min: 0, schedule: [`${working} 2-${max}`] },
    { what: `0 to ${max}, always`, min: 0 },
];

interface Options {
    price: number;
    peak: number;
    strays: number;
}

/** Throws an Error that says what is wrong with them. */
function readOptions(): Options {
    const text = { type: "string" } as const;
    const {
        price = "3",
        peak = "20",
        strays = "0.25",
    } = parseArgs({
        options: { price: text, peak: text, strays: text },
    }).values;
    const values = Object.entries({ price, peak, strays }).map(([name, value]) => {
        if (!(Number(value) > 0)) throw new Error(`--${name} ${value}: give a number above 0`);
        return [name, Number(value)];
    });
    return Object.fromEntries(values) as Options;
}

/** A week of an office: people come from 06:00 on and are gone at 20:00, and hardly anybody is there at other times. */
function officeWeek({ peak, strays }: Options): number[] {
    const nobody = strays / 3600 / peak;
    return weekOf("office").map((share, hour) => (hour >= 5 * 24 || hour % 24 < 7 || hour % 24 >= 20 ? nobody : share));
}

function run(problem: Problem, traffic: Traffic, { min, schedule }: Way): Outcome {
    const setting: Setting = {
        ...{ metric: "vllm:num_requests_running", target: 50, min, max },
        ...{ scaleUpSeconds: 0, scaleDownSeconds: 300, cooldownSeconds: 300 },
        maxNumSeqs: problem.profile.defaults.maxNumSeqs,
        schedule: schedule?.map(parseEntry),
    };
    return simulateFleet(worldOf(problem, scalingOf(setting)), traffic, problem.targets, problem.seed);
}

/** Longer than a replica that serves takes for any prompt here: whoever waits for more waits for a boot. */
const patience = 10;

/** Of the requests whose first token came later than that: how many, and after how many seconds, median and 95 % of them. */
function waited({ firstToken }: Outcome): string[] {
    const share = firstToken.shareAbove(patience);
    if (share === 0) return ["0", "", ""];
    const after = (part: number): string => `${firstToken.quantile(1 - part * share).toFixed(0)} s`;
    return [Math.round(share * firstToken.count).toLocaleString("en"), after(0.5), after(0.05)];
}

function main(): number {
    let options: Options;
    try {
        options = readOptions();
    } catch (error) {
        console.error(`${(error as Error).message}\n${help}`);
        return 2;
    }
    const { price, peak } = options;
    const week = officeWeek(options);
    const shape = { name: "a week", peak, week, promptTokens: 900, answerTokens: 250, seconds: 7 * 86_400 };
    const problem = readProblem({ held: true }, { shape });
    const traffic = openTraffic(problem.traffic);
    let requests = 0;
    for (const _ of traffic.requests(problem.seed)) requests++;
    console.log(`${requests.toLocaleString("en")} requests, ${price} euros for a replica and hour\n`);
    console.log(
        `| replicas | euros | of the first | within the targets | woken | waited over ${patience} s | p50 | p95 | refused instead |`,
    );
    console.log("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let first: number | undefined;
    for (const way of ways) {
        const outcome = run(problem, traffic, way);
        const euros = (price * outcome.replicaSeconds) / 3600;
        first ??= euros;
        const refused = outcome.wakeUps > 0 ? run({ ...problem, asleep: "refused" }, traffic, way).refused : 0;
        const columns = [
            way.what,
            Math.round(euros).toLocaleString("en"),
            percent(euros / first, 0),
            percent(outcome.within / outcome.requests, 2),
            outcome.wakeUps,
            ...waited(outcome),
            refused.toLocaleString("en"),
        ];
        console.log(`| ${columns.join(" | ")} |`);
    }
    return 0;
}

process.exitCode = main();
