import { escaped, legend, page, section, wide } from "../tools/loadtest/html";
import { plot } from "../tools/loadtest/plot";
import { busiestDay, drawCurve } from "./drawing";
import type { Plan } from "./plan";
import type { Problem } from "./problem";
import { beside, configLines, guesses, hangsOn, otherHardware, outlook, question, refused } from "./text";

/** The answer as one page that needs nothing from anywhere. */
export function planPage(plan: Plan, problem: Problem, model: string, notes: string[]): string {
    const { best, capacity, intervals } = plan;
    const list = (lines: string[]): string => `<ul>${lines.map((line) => `<li>${escaped(line)}</li>`).join("")}</ul>`;
    const rows = (cells: string[][]): string =>
        cells.length > 0 ? wide([["", "cost", "", "within the targets", ""], ...cells]) : "<p>Not looked at.</p>";
    const dots = [
        ["--blue", "best for its price"],
        ["--red", "recommended"],
        ["--orange", "a fixed number"],
        ["--green", "knowing what comes"],
    ].map(([colour, name]) => ({ colour, name, points: [] }));
    const answer = best
        ? `<pre>${escaped(configLines(model, best.setting, problem).join("\n"))}</pre>${list(outlook(plan, problem, best))}`
        : `<p class="verdict bad">${escaped(refused(plan, problem).join(". "))}</p>`;
    return page(`Plan for ${capacity.traffic}`, [
        `<h1>Plan for ${escaped(capacity.traffic)}</h1>`,
        section("What is asked", list(question(plan, problem))),
        section(best ? "Recommended" : "No recommendation", answer),
        section("Share within the targets, by cost", legend("", dots) + drawCurve(plan, problem)),
        intervals.length > 1 ? section("The busiest day", dayPlots(plan, problem)) : "",
        best ? section("Beside it", rows(beside(plan, best))) : "",
        best && plan.others.length > 0 ? section("On other hardware", rows(otherHardware(plan, best))) : "",
        best ? section("What it hangs on, the worst first", rows(hangsOn(plan, best))) : "",
        section("Taken for granted", list(guesses(plan, problem, best, notes))),
    ]);
}

function dayPlots(plan: Plan, problem: Problem): string {
    const { panels, until } = busiestDay(plan, problem);
    return panels.map(({ title, unit, curves }) => legend(title, curves) + plot(curves, { unit, until })).join("\n");
}
