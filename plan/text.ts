import { styled, table } from "../machine/terminal";
import { hoursPerMonth } from "../src/prices/cost";
import { shellPath } from "../src/settings/formats";
import type { Result } from "./evaluate";
import { hardwareText, type Hardware, type Price } from "./hardware";
import type { Plan } from "./plan";
import { longestRequest, maySleep, type Problem, type Setting } from "./problem";
import { entryText } from "./schedule";
import { keeps, peakReplicas } from "./search";

export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`;

const replicas = (count: number): string => `${count} replica${count === 1 ? "" : "s"}`;

export function cost({ replicaHours, hours }: Result, price: Price | undefined): string {
    const perMonth = (replicaHours / hours) * hoursPerMonth;
    return price
        ? perMonthText(perMonth * price.perHour, price)
        : `${(replicaHours / hours).toFixed(2)} replicas on average`;
}

function perMonthText(amount: number, { currency }: Price): string {
    return `${Math.round(amount).toLocaleString("en")} ${currency}/month`;
}

/** The change in what it costs, as a share. */
function change(result: Result, best: Result): string {
    const share = result.replicaHours / result.hours / (best.replicaHours / best.hours) - 1;
    return `${share >= 0 ? "+" : ""}${(100 * share).toFixed(0)} %`;
}

/** The settings as one pastes them. */
export function configLines(
    model: string,
    setting: Setting,
    problem: Pick<Problem, "flavor" | "gpus" | "profile" | "gpuMemoryUtilization" | "maxModelLen">,
): string[] {
    const { metric, target, min, max, scaleUpSeconds, scaleDownSeconds, maxNumSeqs, cooldownSeconds } = setting;
    const { flavor, gpus, profile, maxModelLen = profile.maxModelLen } = problem;
    // What is set stays as it is, unless vLLM would not start with it.
    const context = longestRequest(problem);
    const values: [string, string | number][] = [
        ["flavor", flavor],
        ["gpus", gpus],
        ["replicas.min", min],
        ["replicas.max", max],
        ["scaling.metric", metric],
        ["scaling.target", target],
        ["scaling.scaleUpStabilizationSeconds", scaleUpSeconds],
        ["scaling.scaleDownStabilizationSeconds", scaleDownSeconds],
        ...(maySleep(setting) ? [["scaling.cooldownSeconds", cooldownSeconds] as [string, number]] : []),
        ["vllm.maxNumSeqs", maxNumSeqs],
        ...(context < maxModelLen ? [["vllm.maxModelLen", context] as [string, number]] : []),
        ...(setting.schedule ?? []).flatMap((entry, i) =>
            Object.entries(entry).map(([key, value]): [string, string | number] => [`schedule[${i}].${key}`, value]),
        ),
    ];
    return values.map(([key, value]) => `pulumi config set --path ${shellPath(`models.${model}.${key}`)} ${value}`);
}

export function sentence(setting: Setting): string {
    const { metric, target, min, max, scaleUpSeconds, scaleDownSeconds, maxNumSeqs, cooldownSeconds } = setting;
    const signal = metric.replace("vllm:", "");
    return [
        min === max ? replicas(min) : `${min} to ${replicas(max)}`,
        ...(setting.schedule ?? []).map(entryText),
        `${signal} ${target}`,
        ...(scaleUpSeconds > 0 ? [`up after ${scaleUpSeconds} s`] : []),
        `down after ${scaleDownSeconds} s`,
        ...(maySleep(setting) ? [`asleep ${cooldownSeconds} s later`] : []),
        `at most ${maxNumSeqs} at once`,
    ].join(", ");
}

/** What was asked, in sentences. */
export function question({ capacity }: Plan, problem: Problem): string[] {
    const { targets, profile, flavor, gpus } = problem;
    const { requests, seconds, tooLong } = capacity;
    const demand = Math.max(...capacity.demand);
    const enough = capacity.rate > 0 ? replicas(peakReplicas(capacity)) : "no number of replicas";
    return [
        `${requests.toLocaleString("en")} request${requests === 1 ? "" : "s"} in ${howLong(seconds)}, ` +
            `${demand < 0.1 ? demand.toPrecision(2) : demand.toFixed(2)} a second in the busiest five minutes`,
        `${percent(targets.withinTargets, 0)} of them with the first token within ${targets.timeToFirstToken} s ` +
            `and ${1000 * targets.interTokenLatency} ms between tokens`,
        `One replica (${hardwareText({ flavor, gpus })}: ${profile.name}) takes ${capacity.rate.toFixed(2)} a second, ` +
            `${capacity.running.toFixed(0)} at once: ${enough} for the busiest minutes, did requests come evenly`,
        ...(tooLong > 0
            ? [
                  `${tooLong.toLocaleString("en")} requests (${percent(tooLong / requests)}) have more than ` +
                      `${longestRequest(problem).toLocaleString("en")} tokens, prompt and answer: the engine refuses them ` +
                      "(vllm.maxModelLen), and no share below counts them",
              ]
            : []),
    ];
}

function howLong(seconds: number): string {
    return seconds < 360 ? `${seconds.toFixed(0)} s` : `${(seconds / 3600).toFixed(1)} h`;
}

/** What the recommended setting comes to, in sentences. */
export function outlook({ seeds, capacity, hardware: { price } }: Plan, problem: Problem, best: Result): string[] {
    const within = seeds.map((result) => result.within);
    const kept = seeds.filter((result) => keeps(problem, result)).length;
    const others =
        within.length > 0
            ? `; with other random numbers ${percent(Math.min(...within), 2)} to ${percent(Math.max(...within), 2)}, ` +
              `${kept} of ${within.length} keep the targets`
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
export function beside({ yardsticks, alternatives, hardware: { price } }: Plan, best: Result): string[][] {
    const { fixed, clairvoyant } = yardsticks;
    return [
        ...(fixed ? [row(`a fixed number: ${replicas(fixed.setting.min)}`, fixed, best, price)] : []),
        ...(clairvoyant ? [row("as few as possible, knowing what comes", clairvoyant, best, price)] : []),
        ...alternatives.map((result) => row(sentence(result.setting), result, best, price)),
    ];
}

/** What it comes to on other hardware, a row each, the cheapest first. */
export function otherHardware({ others, hardware }: Plan, best: Result): string[][] {
    const perHour = (result: Result, { price }: Hardware): number =>
        (result.replicaHours / result.hours) * (price?.perHour ?? 1);
    const ofBest = perHour(best, hardware);
    const costs = others.map((other) => ({
        other,
        atLeast: other.best ? perHour(other.best, other.hardware) : other.leastPerHour,
    }));
    return costs
        .sort((a, b) => a.atLeast - b.atLeast)
        .map(({ other, atLeast }) => [hardwareText(other.hardware), ...otherCells(other, atLeast, ofBest)]);
}

function otherCells(
    { hardware, rate, searched, best }: Plan["others"][number],
    perHour: number,
    ofBest: number,
): string[] {
    if (perHour === Infinity) return ["one request at a time is too slow for the targets"];
    const share = `${perHour >= ofBest ? "+" : ""}${(100 * (perHour / ofBest - 1)).toFixed(0)} %`;
    const money = perMonthText(perHour * hoursPerMonth, hardware.price!);
    if (best) return [money, share, `${percent(best.within, 2)} within`, sentence(best.setting)];
    const tried = searched ? "nothing that was tried for up to 20 % more kept the targets" : "";
    return [`at least about ${money}`, share, `one takes ${rate.toFixed(2)} a second`, tried];
}

/** What the recommended setting comes to in other worlds, a row each. */
export function hangsOn({ assumptions, hardware: { price } }: Plan, best: Result): string[][] {
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
export function refused({ closest, capacity, others }: Plan, problem: Problem): string[] {
    const { targets, maxReplicas } = problem;
    if (capacity.tooLong > 0 && capacity.tooLong === capacity.requests) {
        return [
            "No request can be served",
            `All have more than ${longestRequest(problem).toLocaleString("en")} tokens: a longer vllm.maxModelLen is needed, or more memory.`,
        ];
    }
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
        ...(others.length > 0 ? [`Nor on ${others.map(({ hardware }) => hardwareText(hardware)).join(", ")}`] : []),
        "More replicas (--max-replicas), a faster flavor, or other targets (--first-token, --between-tokens, --within) are needed.",
    ];
}

/** Everything that nobody has measured, and what there is to say of the prices. */
export function guesses({ others }: Plan, problem: Problem, best: Result | undefined, notes: string[]): string[] {
    const { profile, boot, noGpu, asleep, traffic, gpus, drainSeconds } = problem;
    return [
        `the engine: ${profile.name}, a guess unless it was measured (--profile)`,
        ...(others.length > 0 || gpus > 1 ? ["each further GPU of a replica adds 80 % of its speed, a guess"] : []),
        ...(others.length === 0
            ? [`no other flavor or number of GPUs was compared with ${hardwareText(problem)}`]
            : []),
        drainSeconds > 0
            ? `a replica that goes has ${drainSeconds} s to answer what it has (drain)`
            : "a replica that goes loses what it has (drain false)",
        `a replica serves ${boot.median.toFixed(0)} s after it is asked for (spread ${boot.spread}), a guess`,
        `${percent(noGpu.chance, 0)} of the tries find no free GPU, a guess`,
        ...("past" in traffic
            ? [
                  "lengths are drawn from the histograms of vLLM, prompts and answers apart; found prefixes are spread evenly",
              ]
            : []),
        ...(best && maySleep(best.setting) ? [`requests while it wakes up are ${asleep}: OVHcloud does not say`] : []),
        ...(best?.setting.schedule ? ["hours of the schedule are of the clock of UTC, as the traffic's are"] : []),
        ...notes,
    ];
}

/** The whole answer, for a terminal. */
export function planText(plan: Plan, problem: Problem, model: string, notes: string[]): string {
    const { best } = plan;
    const indented = (lines: string[]): string[] => lines.map((line) => `  ${line}`);
    const rows = (cells: string[][]): string[] =>
        cells.length > 0 ? [table(cells.map(([what, ...others]) => [`  ${what}`, ...others]))] : ["  not looked at"];
    const lines = [styled("bold", "What is asked"), ...indented(question(plan, problem)), ""];
    if (best) {
        lines.push(
            styled("bold", "Recommended"),
            ...indented(configLines(model, best.setting, problem)),
            "",
            ...indented(outlook(plan, problem, best)),
            "",
            styled("bold", "Beside it"),
            ...rows(beside(plan, best)),
            "",
            ...(plan.others.length > 0
                ? [styled("bold", "On other hardware"), ...rows(otherHardware(plan, best)), ""]
                : []),
            styled("bold", "What it hangs on, the worst first"),
            ...rows(hangsOn(plan, best)),
        );
    } else {
        const [heading, ...others] = refused(plan, problem);
        lines.push(styled("bold", heading), ...indented(others));
    }
    lines.push("", styled("bold", "Taken for granted"), ...indented(guesses(plan, problem, best, notes)));
    return lines.join("\n");
}
