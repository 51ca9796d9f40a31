import { effects, type Report } from "./report";
import type { Effect } from "./effects";

/** First line of the one comment that is kept up to date. Nobody sees it. */
export const marker = "<!-- ovhcloud-llm-serving: preview -->";

/** GitHub refuses a longer comment or issue; GitLab takes a million. */
export const longestComment = 65_536;

/** A job's summary may have 1 MiB at GitHub, which counts bytes. */
export const longestSummary = 400_000;

/** Steps that a list shows before it is folded. */
const shownSteps = 10;

/** The comment of a pull request: what it changes in each stack, in words. As Markdown. */
export function previewComment(reports: Report[], shown = longestComment): string {
    const sorted = [...reports].sort((a, b) => (a.stack < b.stack ? -1 : 1));
    const head = [marker, "### What this changes", ""];
    if (sorted.length === 0) return [...head, "No stack: none of the changed files is a part of one."].join("\n");
    const text = [...head, overview(sorted), ...sorted.flatMap((report) => ["", ...section(report)])].join("\n");
    if (text.length <= shown) return text;
    // The table and what interrupts somebody is what has to be seen.
    const short = sorted.flatMap((report) => ["", ...section(report, true)]);
    const note = "_Too long for a comment: lists and warnings are in the job's summary._";
    return cut([...head, overview(sorted), "", note, ...short].join("\n"), shown);
}

function cut(text: string, most: number): string {
    const end = "\n\n_Cut here: it was too long._";
    return text.length <= most ? text : text.slice(0, most - end.length) + end;
}

const columns: Record<Effect, string> = {
    deleted: "deleted",
    replaced: "replaced",
    restarted: "restarted",
    created: "created",
    changed: "changed in place",
};

function overview(reports: Report[]): string {
    const titles = ["stack", ...effects.map((effect) => columns[effect]), "interrupts", "policies", "advisories"];
    const rows = reports.map((report) => [
        `**${inline(report.stack)}**${report.ok ? "" : isRefused(report) ? " **refused**" : " **failed**"}`,
        ...effects.map((effect) => count(report, effect)),
        report.consequences.some(({ effect, interrupts }) => interrupts && effect !== "created") ? "**yes**" : "no",
        policies(report),
        String(new Set(report.advisories.flatMap(({ ids }) => ids)).size || "none"),
    ]);
    return [titles, titles.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function count({ consequences }: Report, effect: Effect): string {
    return String(consequences.filter((one) => one.effect === effect).length || "");
}

function policies({ policiesRun, violations }: Report): string {
    if (!policiesRun) return "not asked";
    const mandatory = violations.filter(({ level }) => level === "mandatory").length;
    if (mandatory > 0) return `**${mandatory} refused**`;
    return violations.length > 0 ? `${violations.length} warned` : "kept";
}

function section(report: Report, short = false): string[] {
    const { stack, ok, consequences, cost } = report;
    const parts = [
        `#### ${inline(stack)}`,
        ...(ok ? [] : failure(report)),
        ...interruptions(report),
        ...(short ? [] : steps(report)),
        ...violations(report),
        ...advisories(report),
        ...(cost === undefined ? [] : ["**Cost**", costLines(cost)]),
        ...(short ? [] : folded("What the program warns of", report.warnings)),
    ];
    const nothing = ok && consequences.length === 0 && report.violations.length === 0;
    if (nothing) parts.splice(1, 0, "Nothing changes.");
    return parts.flatMap(spaced);
}

/** Blocks stand apart by an empty line, entries of one list do not. */
function spaced(line: string, index: number, lines: string[]): string[] {
    const isEntry = line.startsWith("- ");
    return index > 0 && !(isEntry && lines[index - 1].startsWith("- ")) ? ["", line] : [line];
}

/** Whether nothing but a policy has ended the preview: the plan is known then. */
function isRefused({ ok, errors, violations }: Report): boolean {
    return (
        !ok &&
        violations.some(({ level }) => level === "mandatory") &&
        errors.every((text) => text === "preview failed")
    );
}

function failure(report: Report): string[] {
    if (isRefused(report)) return ["A policy refuses this, and `up` would refuse it as well."];
    const said = report.errors.length > 0 ? report.errors.join("\n\n") : "It said nothing; see the job's log.";
    return ["The preview failed, so what it would change is not known:", block(said)];
}

function interruptions({ consequences, remarks }: Report): string[] {
    const lines = consequences.filter(({ interrupts }) => interrupts);
    if (lines.length + remarks.length === 0) return [];
    const order = (effect: Effect): number => effects.indexOf(effect);
    const sorted = [...lines].sort((a, b) => order(a.effect) - order(b.effect));
    return [
        "**What that interrupts or bills**",
        ...sorted.map(({ effect, what, interrupts }) => `- ${columns[effect]}: ${code(what)}: ${inline(interrupts!)}`),
        // What resources say of this very change, with what it took last time.
        ...remarks.map((remark) => `- ${inline(remark)}`),
    ];
}

function steps({ consequences }: Report): string[] {
    return effects.flatMap((effect) => {
        const lines = consequences.filter((one) => one.effect === effect).map(({ what }) => `- ${code(what)}`);
        if (lines.length === 0) return [];
        const title = `${columns[effect]}: ${lines.length}`;
        return lines.length > shownSteps ? details(title, lines.join("\n")) : [`**${title}**`, ...lines];
    });
}

function violations({ violations: found }: Report): string[] {
    if (found.length === 0) return [];
    // Of one policy at one resource the first is shown, and how many there are.
    const groups = new Map<string, typeof found>();
    for (const one of found) {
        const key = JSON.stringify([one.policy, one.level, one.resource]);
        groups.set(key, [...(groups.get(key) ?? []), one]);
    }
    return [
        "**Policies**",
        ...[...groups.values()].map(([{ policy, level, resource, message }, ...others]) => {
            const verdict = level === "mandatory" ? "refused" : "warned";
            const where = resource ? ` at ${code(resource)}` : "";
            const more = others.length > 0 ? ` (and ${others.length} more)` : "";
            return `- ${verdict} by ${code(policy)}${where}: ${inline(message)}${more}`;
        }),
    ];
}

function advisories({ advisories: found, advisoriesRead }: Report): string[] {
    if (found.length === 0) return [];
    const link = (id: string): string => `[${inline(id)}](https://github.com/advisories/${encodeURIComponent(id)})`;
    return [
        `**Security advisories of images** (as of ${inline(advisoriesRead)})`,
        ...found.map(({ app, image, ids }) => `- ${code(app)}, ${code(image)}: ${ids.map(link).join(", ")}`),
    ];
}

/** The lines of a cost as they may be: rows of a table, entries of a list, or plain text. */
function costLines(cost: string): string {
    const cellOf = (cell: string): string => (/^ *:?-+:? *$/.test(cell) ? cell : ` ${inline(cell)} `);
    const lines = cost.trim().split("\n");
    return lines
        .map((line) => {
            const [, cells] = /^\|(.*)\|\s*$/.exec(line) ?? [];
            if (cells !== undefined) return `|${cells.split("|").map(cellOf).join("|")}|`;
            return line.startsWith("- ") ? `- ${inline(line.slice(2))}` : inline(line);
        })
        .join("\n");
}

function folded(title: string, texts: string[]): string[] {
    return texts.length === 0 ? [] : details(`${title}: ${texts.length}`, block(texts.join("\n\n")));
}

function details(title: string, body: string): string[] {
    return [`<details><summary>${inline(title)}</summary>\n\n${body}\n\n</details>`];
}

/** A fenced block that its own text cannot end. */
function block(text: string): string {
    const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
    const fence = "`".repeat(longest + 1);
    return `${fence}\n${text}\n${fence}`;
}

function code(text: string): string {
    return `\`${oneLine(text).replaceAll("`", "'")}\``;
}

/** Text that cannot become Markdown, HTML or the name of somebody who is then notified. */
function inline(text: string): string {
    return oneLine(text)
        .replace(/[\\`*_{}[\]<>()#|~!]/g, "\\$&")
        .replaceAll("@", "&#64;");
}

/** As long as a sentence may be. */
const longestLine = 1000;

function oneLine(text: string): string {
    const line = text.replace(/\s+/g, " ").trim();
    return line.length > longestLine ? `${line.slice(0, longestLine - 3)}...` : line;
}

/** The body of the issue on a stack that is no longer as its last `up` left it; undefined when it is. */
export function driftIssue({ stack, ok, errors, drifted, consequences }: Report): string | undefined {
    if (ok && drifted.length === 0 && consequences.length === 0) return undefined;
    const back = consequences.filter(({ interrupts }) => interrupts);
    const parts = [
        ...(ok ? [] : ["The look at it failed:", block(errors.join("\n\n") || "It said nothing; see the job's log.")]),
        ...(drifted.length === 0 ? [] : ["**Changed outside Pulumi**"]),
        ...drifted.map(({ what, gone }) => `- ${gone ? "gone: " : ""}${code(what)}`),
        ...(consequences.length === 0 ? [] : ["**What the next `up` would do**"]),
        ...consequences.map(({ effect, what }) => `- ${columns[effect]}: ${code(what)}`),
        ...(back.length === 0 ? [] : ["**What that interrupts or bills**"]),
        ...back.map(({ what, interrupts }) => `- ${code(what)}: ${inline(interrupts!)}`),
        `Either take the change over into \`Pulumi.${inline(stack)}.yaml\`, or run \`pulumi up --refresh --stack ${inline(stack)}\`.`,
        "This issue is kept up to date nightly, and closed when nothing differs any more.",
    ];
    return cut(parts.flatMap(spaced).join("\n"), longestComment);
}
