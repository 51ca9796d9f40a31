import { styled, table } from "../machine/terminal";
import type { Result } from "./evaluate";
import type { Plan } from "./plan";
import type { Problem, Setting } from "./problem";
import { peakReplicas } from "./search";

/** What the figures are worth in money: of one replica, with its GPUs, for an hour. */
export interface Price {
    perHour: number;
    currency: string;
}

/** Hours of a month, as bills count them. */
const hoursOfMonth = 730;

const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`;

function cost({ replicaHours, hours }: Result, price: Price | undefined): string {
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
export function configLines(
    model: string,
    { metric, target, min, max, scaleDownSeconds, maxNumSeqs }: Setting,
): string[] {
    const values: [string, string | number][] = [
        ["replicas.min", min],
        ["replicas.max", max],
        ["scaling.metric", metric],
        ["scaling.target", target],
        ["scaling.scaleDownStabilizationSeconds", scaleDownSeconds],
        ["vllm.maxNumSeqs", maxNumSeqs],
    ];
    return values.map(([key, value]) => `pulumi config set --path models.${model}.${key} ${value}`);
}

function sentence({ metric, target, min, max, scaleDownSeconds, maxNumSeqs }: Setting): string {
    const signal = metric.replace("vllm:", "");
    return `${min} to ${max} replicas, ${signal} ${target}, down after ${scaleDownSeconds} s, at most ${maxNumSeqs} at once`;
}

/** The whole answer, for a terminal. */
export function planText(plan: Plan, problem: Problem, model: string, price?: Price): string {
    const { capacity, best, closest } = plan;
    const { targets, profile } = problem;
    const demand = Math.max(...capacity.demand);
    const lines = [
        styled("bold", "What is asked"),
        `  ${(best ?? closest)?.requests.toLocaleString("en") ?? 0} requests in ${((best ?? closest)?.hours ?? 0).toFixed(1)} h, ` +
            `${demand.toFixed(2)} a second in the busiest five minutes`,
        `  ${percent(targets.withinTargets, 0)} of them with the first token within ${targets.timeToFirstToken} s ` +
            `and ${1000 * targets.interTokenLatency} ms between tokens`,
        `  One replica (${profile.name}) takes ${capacity.rate.toFixed(2)} a second, ` +
            `${capacity.running.toFixed(0)} at once: ${capacity.rate > 0 ? peakReplicas(capacity) : "no number of"} replicas for the busiest minutes`,
        "",
    ];
    if (best) lines.push(...recommended(plan, best, model, price));
    else lines.push(...refused(plan, problem));
    lines.push("", ...guesses(problem, price));
    return lines.join("\n");
}

function recommended(plan: Plan, best: Result, model: string, price?: Price): string[] {
    const { yardsticks, seeds, assumptions, alternatives } = plan;
    const within = seeds.map((result) => result.within);
    return [
        styled("bold", "Recommended"),
        ...configLines(model, best.setting).map((line) => `  ${line}`),
        "",
        `  ${cost(best, price)}; ${percent(best.within, 2)} within the targets, ` +
            `${percent(best.refused + best.lost, 2)} refused or cut off; with other random numbers ` +
            `${percent(Math.min(...within), 2)} to ${percent(Math.max(...within), 2)}`,
        `  first token ${best.firstToken.p50.toFixed(2)} s p50, ${best.firstToken.p95.toFixed(2)} s p95; between tokens ` +
            `${(1000 * best.interToken.p50).toFixed(0)} ms p50, ${(1000 * best.interToken.p95).toFixed(0)} ms p95`,
        "",
        styled("bold", "Beside it"),
        table([
            ...(yardsticks.fixed
                ? [row(`a fixed number: ${yardsticks.fixed.setting.min} replicas`, yardsticks.fixed, best, price)]
                : []),
            ...(yardsticks.clairvoyant
                ? [row("as few as possible, knowing what comes", yardsticks.clairvoyant, best, price)]
                : []),
            ...alternatives.map((result) => row(sentence(result.setting), result, best, price)),
        ]),
        "",
        styled("bold", "What it hangs on, the worst first"),
        table(assumptions.map(({ what, result }) => row(what, result, best, price))),
    ];
}

function row(what: string, result: Result, best: Result, price?: Price): string[] {
    return [
        `  ${what}`,
        cost(result, price),
        change(result, best),
        `${percent(result.within, 2)} within`,
        result.refused + result.lost > 0 ? `${percent(result.refused + result.lost, 2)} failed` : "",
    ];
}

function refused({ closest, capacity }: Plan, { targets, maxReplicas }: Problem): string[] {
    if (capacity.rate === 0) {
        return [
            styled("bold", "No setting meets the targets"),
            "  Even one request at a time is too slow for them: a faster flavor, a smaller model or other targets are needed.",
        ];
    }
    return [
        styled("bold", `No setting meets the targets with at most ${maxReplicas} replicas`),
        ...(closest
            ? [
                  `  Closest: ${sentence(closest.setting)}: ${percent(closest.within, 2)} within, ` +
                      `${percent(targets.withinTargets, 0)} were asked for`,
              ]
            : []),
        "  More replicas (--max-replicas), a faster flavor, or other targets (--first-token, --between-tokens, --within) are needed.",
    ];
}

/** Everything that nobody has measured. */
function guesses({ profile, boot, noGpu }: Problem, price?: Price): string[] {
    return [
        styled("bold", "Taken for granted"),
        `  the engine: ${profile.name}, a guess unless it was measured (--profile)`,
        `  a replica serves ${boot.median.toFixed(0)} s after it is asked for (spread ${boot.spread}), a guess`,
        `  ${percent(noGpu.chance, 0)} of the tries find no free GPU, a guess`,
        ...(price ? [] : ["  no price: give --price, per replica and hour, without tax"]),
    ];
}
