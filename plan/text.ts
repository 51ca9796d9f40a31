import { styled, table } from "../machine/terminal";
import { shellPath } from "../src/settings/formats";
import type { Result } from "./evaluate";
import type { Plan } from "./plan";
import { maySleep, type Problem, type Setting } from "./problem";
import { entryText } from "./schedule";
import { peakReplicas } from "./search";

/** What the figures are worth in money: of one replica, with its GPUs, for an hour. */
export interface Price {
    perHour: number;
    currency: string;
}

/** Hours of a month, as bills count them. */
const hoursOfMonth = 730;

export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`;

const replicas = (count: number): string => `${count} replica${count === 1 ? "" : "s"}`;

export function cost({ replicaHours, hours }: Result, price: Price | undefined): string {
    const perMonth = (replicaHours / hours) * hoursOfMonth;
    return price
        ? `${Math.round(perMonth * price.perHour).toLocaleString("en")} ${price.currency}/month`
        : `${(replicaHours / hours).toFixed(2)} replicas on average`;
}

/** The change in what it costs, as a share. */
function change(result: Result, best: Result): string {
    const share = result.replicaHours / result.hours / (best.replicaHours / best.hours) - 1;
    return `${share >= 0 ? "+" : ""}${(100 * share).toFixed(0)} %`;
}

/** The settings as one pastes them. */
export function configLines(model: string, setting: Setting): string[] {
    const { metric, target, min, max, scaleDownSeconds, maxNumSeqs, cooldownSeconds, schedule = [] } = setting;
    const values: [string, string | number][] = [
        ["replicas.min", min],
        ["replicas.max", max],
        ["scaling.metric", metric],
        ["scaling.target", target],
        ["scaling.scaleDownStabilizationSeconds", scaleDownSeconds],
        ...(maySleep(setting) ? [["scaling.cooldownSeconds", cooldownSeconds] as [string, number]] : []),
        ["vllm.maxNumSeqs", maxNumSeqs],
        ...schedule.flatMap((entry, i) =>
            Object.entries(entry).map(([key, value]): [string, string | number] => [`schedule[${i}].${key}`, value]),
        ),
    ];
    return values.map(([key, value]) => `pulumi config set --path ${shellPath(`models.${model}.${key}`)} ${value}`);
}

export function sentence(setting: Setting): string {
    const { metric, target, min, max, scaleDownSeconds, maxNumSeqs, cooldownSeconds, schedule = [] } = setting;
    const signal = metric.replace("vllm:", "");
    return [
        min === max ? replicas(min) : `${min} to ${replicas(max)}`,
        ...schedule.map(entryText),
        `${signal} ${target}`,
        `down after ${scaleDownSeconds} s`,
        ...(maySleep(setting) ? [`asleep ${cooldownSeconds} s later`] : []),
        `at most ${maxNumSeqs} at once`,
    ].join(", ");
}

/** What was asked, in sentences. */
export function question({ capacity }: Plan, { targets, profile, gpus }: Problem): string[] {
    const { requests, seconds } = capacity;
    const demand = Math.max(...capacity.demand);
    const enough = capacity.rate > 0 ? replicas(peakReplicas(capacity)) : "no number of replicas";
    return [
        `${requests.toLocaleString("en")} requests in ${(seconds / 3600).toFixed(1)} h, ${demand.toFixed(2)} a second in the busiest five minutes`,
        `${percent(targets.withinTargets, 0)} of them with the first token within ${targets.timeToFirstToken} s ` +
            `and ${1000 * targets.interTokenLatency} ms between tokens`,
        `One replica (${profile.name}${gpus > 1 ? `, ${gpus} GPUs` : ""}) takes ${capacity.rate.toFixed(2)} a second, ` +
            `${capacity.running.toFixed(0)} at once: ${enough} for the busiest minutes, did requests come evenly`,
    ];
}

/** What the recommended setting comes to, in sentences. */
export function outlook({ seeds, capacity }: Plan, best: Result, price?: Price): string[] {
    const within = seeds.map((result) => result.within);
    const others =
        within.length > 0
            ? `; with other random numbers ${percent(Math.min(...within), 2)} to ${percent(Math.max(...within), 2)}`
            : "";
    return [
        `${cost(best, price)}; ${percent(best.within, 2)} within the targets, ` +
            `${percent(best.refused + best.lost, 2)} refused or cut off${others}`,
        `first token ${best.firstToken.p50.toFixed(2)} s p50, ${best.firstToken.p95.toFixed(2)} s p95; between tokens ` +
            `${(1000 * best.interToken.p50).toFixed(0)} ms p50, ${(1000 * best.interToken.p95).toFixed(0)} ms p95`,
        ...(best.wakeUps > 0
            ? [`woken up ${best.wakeUps} times in ${(capacity.seconds / 86_400).toFixed(1)} days`]
            : []),
    ];
}

/** The yardsticks and the alternatives, a row each. */
export function beside({ yardsticks, alternatives }: Plan, best: Result, price?: Price): string[][] {
    const { fixed, clairvoyant } = yardsticks;
    return [
        ...(fixed ? [row(`a fixed number: ${replicas(fixed.setting.min)}`, fixed, best, price)] : []),
        ...(clairvoyant ? [row("as few as possible, knowing what comes", clairvoyant, best, price)] : []),
        ...alternatives.map((result) => row(sentence(result.setting), result, best, price)),
    ];
}

/** What the recommended setting comes to in other worlds, a row each. */
export function hangsOn({ assumptions }: Plan, best: Result, price?: Price): string[][] {
    return assumptions.map(({ what, result }) => row(what, result, best, price));
}

function row(what: string, result: Result, best: Result, price?: Price): string[] {
    return [
        what,
        cost(result, price),
        change(result, best),
        `${percent(result.within, 2)} within`,
        result.refused + result.lost > 0 ? `${percent(result.refused + result.lost, 2)} failed` : "",
    ];
}

/** Why there is no recommendation, and what to change. */
export function refused({ closest, capacity }: Plan, { targets, maxReplicas }: Problem): string[] {
    if (capacity.rate === 0) {
        return [
            "No setting meets the targets",
            "Even one request at a time is too slow for them: a faster flavor, a smaller model or other targets are needed.",
        ];
    }
    return [
        `No setting meets the targets with at most ${replicas(maxReplicas)}`,
        ...(closest
            ? [
                  `Closest: ${sentence(closest.setting)}: ${percent(closest.within, 2)} within, ` +
                      `${percent(targets.withinTargets, 0)} were asked for`,
              ]
            : []),
        "More replicas (--max-replicas), a faster flavor, or other targets (--first-token, --between-tokens, --within) are needed.",
    ];
}

/** Everything that nobody has measured. */
export function guesses({ profile, boot, noGpu, asleep, traffic }: Problem, best?: Result, price?: Price): string[] {
    return [
        `the engine: ${profile.name}, a guess unless it was measured (--profile)`,
        `a replica serves ${boot.median.toFixed(0)} s after it is asked for (spread ${boot.spread}), a guess`,
        `${percent(noGpu.chance, 0)} of the tries find no free GPU, a guess`,
        ...("past" in traffic
            ? [
                  "lengths are drawn from the histograms of vLLM, prompts and answers apart; found prefixes are spread evenly",
              ]
            : []),
        ...(best && maySleep(best.setting) ? [`requests while it wakes up are ${asleep}: OVHcloud does not say`] : []),
        ...(best?.setting.schedule ? ["hours of the schedule are of the clock of UTC, as the traffic's are"] : []),
        ...(price ? [] : ["no price: give --price, per replica and hour, without tax"]),
    ];
}

/** The whole answer, for a terminal. */
export function planText(plan: Plan, problem: Problem, model: string, price?: Price): string {
    const { best } = plan;
    const indented = (lines: string[]): string[] => lines.map((line) => `  ${line}`);
    const rows = (cells: string[][]): string[] =>
        cells.length > 0 ? [table(cells.map(([what, ...others]) => [`  ${what}`, ...others]))] : ["  not looked at"];
    const lines = [styled("bold", "What is asked"), ...indented(question(plan, problem)), ""];
    if (best) {
        lines.push(
            styled("bold", "Recommended"),
            ...indented(configLines(model, best.setting)),
            "",
            ...indented(outlook(plan, best, price)),
            "",
            styled("bold", "Beside it"),
            ...rows(beside(plan, best, price)),
            "",
            styled("bold", "What it hangs on, the worst first"),
            ...rows(hangsOn(plan, best, price)),
        );
    } else {
        const [heading, ...others] = refused(plan, problem);
        lines.push(styled("bold", heading), ...indented(others));
    }
    lines.push("", styled("bold", "Taken for granted"), ...indented(guesses(problem, best, price)));
    return lines.join("\n");
}
