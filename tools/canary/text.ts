import { styled, table } from "../../machine/terminal";
import { money } from "../../src/prices/text";
import type { AnswersCompared } from "./answers";
import type { LoadCompared } from "./measure";
import type { Verdict } from "./verdict";

/** Everything that was found, as people read it. */
export function resultText(load: LoadCompared, answers: AnswersCompared, { decision, findings }: Verdict): string {
    const { errors, tokens } = load;
    const share = (value: number): string => `${(100 * value).toFixed(1)} %`;
    const between = (from: number, to: number, text: (value: number) => string): string =>
        `${text(from)} to ${text(to)}`;
    const change = (ratio: number): string => `${ratio >= 1 ? "+" : ""}${share(ratio - 1)}`;
    const amount = (name: string, value: number): string =>
        name.endsWith("/s") ? value.toFixed(1) : `${(1000 * value).toFixed(value < 0.1 ? 1 : 0)} ms`;
    const level = new Map(findings.map((finding) => [finding.what, finding.level]));
    const rows = load.changes.map(({ name, before, after, ratio, interval }) => [
        ...[name, amount(name, before), amount(name, after), change(ratio)],
        ...[between(interval.from, interval.to, change), level.get(name) ?? ""],
    ]);
    if (tokens) {
        const { first, canary, interval } = tokens;
        const what = ["tokens an answer", first.toFixed(1), canary.toFixed(1), change(canary / first)];
        rows.push([...what, between(interval.from, interval.to, change), ""]);
    }
    const failed = ["errors", share(errors.first), share(errors.canary), share(errors.canary - errors.first)];
    rows.push([...failed, between(errors.interval.from, errors.interval.to, share), level.get("errors") ?? ""]);
    const { right, questions, difference, interval, same } = answers;
    const asked = [
        "right answers",
        `${right.first} of ${questions}`,
        `${right.canary} of ${questions}`,
        share(difference),
    ];
    rows.push([...asked, between(interval.from, interval.to, share), level.get("answers") ?? ""]);
    const reasons = findings.filter((finding) => finding.level !== "fine");
    return [
        table([["", "first", "canary", "change", "95 % interval", ""], ...rows]),
        `${same} of ${questions} answers are the same, word by word.`,
        ...reasons.map(({ what, level, why }) =>
            styled(level === "worse" ? "red" : "yellow", `${level}: ${what}: ${why}`),
        ),
        "",
        headline(decision),
    ].join("\n");
}

function headline(decision: Verdict["decision"]): string {
    if (decision === "promote") return styled("green", "promoted: nothing is worse by more than is allowed");
    if (decision === "refuse") return styled("red", "refused: it is worse for certain");
    return styled("yellow", "undecided: it may be worse by more than is allowed; a longer run (--seconds) tells more");
}

/** What it costs at most, said before anything is made. */
export function costText(replicas: number, flavor: string, price: number | undefined, seconds: number): string {
    const minutes = Math.ceil(seconds / 60);
    const most =
        price === undefined ? "no price is known" : `at most ${money((replicas * price * seconds) / 3600)} EUR`;
    const each = price === undefined ? "" : ` at ${money(price)} EUR an hour each`;
    return `${replicas} replica(s) more of ${flavor}${each}, for ${minutes} min at the longest: ${most}`;
}
