import { duration, styled } from "../../machine/terminal";
import type { Finding, Verdict } from "./check";

/** Findings as people, CI and other programs read them. */

const signs: Record<Verdict, string> = { holds: "✓", warning: "!", broken: "✗", unknown: "?" };
const colours = { holds: "green", warning: "yellow", broken: "red", unknown: "dim" } as const;

/** One finding, with what to do about it on a line of its own. */
export function findingLine({ promise, verdict, seen, fix }: Finding): string {
    const line = `  ${styled(colours[verdict], signs[verdict])} ${promise}${styled("dim", ` — ${seen}`)}`;
    return verdict === "holds" || fix === undefined ? line : `${line}\n      fix: ${fix}`;
}

/** How many promises hold, and which do not. */
export function summary(findings: Finding[], milliseconds: number): string {
    const count = (verdict: Verdict): number => findings.filter((one) => one.verdict === verdict).length;
    const parts = [
        `${count("holds")} hold`,
        ...(count("warning") > 0 ? [`${count("warning")} with a warning`] : []),
        ...(count("unknown") > 0 ? [`${count("unknown")} not to be seen`] : []),
    ];
    const broken = count("broken");
    const said = `${findings.length} promises in ${duration(milliseconds)}: ${parts.join(", ")}`;
    return broken === 0 ? styled("green", said) : styled("red", `${said}, ${broken} broken`);
}

/** As CI systems read it: a suite for each group. What is not to be seen is skipped, a warning passes and says so. */
export function junit(findings: Finding[]): string {
    const groups = [...new Set(findings.map(({ group }) => group))];
    const suites = groups.map((group) => {
        const cases = findings.filter((one) => one.group === group);
        const count = (verdict: Verdict): number => cases.filter((one) => one.verdict === verdict).length;
        const inner = cases.map((one) => testCase(one)).join("");
        return `  <testsuite name="${xml(group)}" tests="${cases.length}" failures="${count("broken")}" skipped="${count("unknown")}">\n${inner}  </testsuite>\n`;
    });
    const failures = findings.filter(({ verdict }) => verdict === "broken").length;
    return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="verify" tests="${findings.length}" failures="${failures}">\n${suites.join("")}</testsuites>\n`;
}

function testCase({ group, promise, verdict, seen, fix }: Finding): string {
    const text = fix === undefined ? seen : `${seen}\nfix: ${fix}`;
    const inner = {
        holds: `<system-out>${xml(seen)}</system-out>`,
        warning: `<system-out>warning: ${xml(text)}</system-out>`,
        broken: `<failure message="${xml(seen)}">${xml(text)}</failure>`,
        unknown: `<skipped message="${xml(text)}"/>`,
    }[verdict];
    return `    <testcase classname="verify.${xml(group)}" name="${xml(promise)}">${inner}</testcase>\n`;
}

/** A text as it may stand in XML: control characters have no place in it, not even written as entities. */
function xml(text: string): string {
    const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;" };
    return text.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "").replace(/[&<>"\n]/g, (character) => entities[character]);
}
