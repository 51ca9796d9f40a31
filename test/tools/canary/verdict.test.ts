import { describe, expect, it } from "vitest";
import type { LiveApp } from "../../../packages/ai-deploy/src/app/live";
import { compared } from "../../../tools/canary/answers";
import { labelsOf, markOf } from "../../../tools/canary/marks";
import { compareReports } from "../../../tools/canary/measure";
import { questions } from "../../../tools/canary/questions";
import { judge } from "../../../tools/canary/verdict";
import { reportOf, type Run } from "./reports";

const margins = { slower: 0.1, failing: 0.01 };
const asked = Array.from({ length: 24 }, (_, i) => ({ prompt: `question ${i}`, expect: "^yes$" }));

/** Of 24 questions the first answers all rightly, but for `lostByFirst`, and the canary all but `lost`. */
function answersOf(lost: number, lostByFirst = 0) {
    const answers = asked.map((_, i) => ({
        first: i >= 24 - lostByFirst ? "no" : "yes",
        canary: i < lost ? "no" : "Yes",
    }));
    return compared(asked, answers);
}

const verdict = (canary: Run, { lost = 0, lostByFirst = 0 } = {}, first: Run = { seed: 1 }) =>
    judge(compareReports(reportOf(first), reportOf({ seed: 2, ...canary })), answersOf(lost, lostByFirst), margins);
const levels = (found: ReturnType<typeof verdict>) =>
    Object.fromEntries(found.findings.map(({ what, level }) => [what, level]));

describe("the verdict", () => {
    it("promotes what is shown to be as good", () => {
        expect(verdict({}).decision).toBe("promote");
    });

    it("refuses what is slower by more than the margin, for certain", () => {
        const found = verdict({ slower: 1.5 });
        expect(found.decision).toBe("refuse");
        expect(levels(found)).toMatchObject({ "first token p50": "worse", "latency p95": "worse", errors: "fine" });
    });

    it("takes a faster one", () => {
        expect(verdict({ slower: 0.5 }).decision).toBe("promote");
    });

    it("does not take what a short run could not tell from worse", () => {
        const found = verdict({ slower: 1.06, rate: 0.7 }, {}, { seed: 1, rate: 0.7 });
        expect(found.decision).toBe("undecided");
        expect(found.findings.filter(({ level }) => level === "unsure")[0].why).toMatch(/at most \+10\.0 % is allowed/);
    });

    it("refuses errors, above what the model may have", () => {
        expect(levels(verdict({ failing: 0.05 })).errors).toBe("worse");
        expect(verdict({ failing: 0.002 }).decision).toBe("promote");
    });

    it("refuses one that answers nothing, whatever its times", () => {
        const found = verdict({ failing: 1 });
        expect(found.decision).toBe("refuse");
        expect(levels(found)).toMatchObject({ errors: "worse", times: "unsure" });
    });

    it("refuses wrong answers, but not one or two of them, nor others than the first has wrong", () => {
        expect(verdict({}, { lost: 6 }).decision).toBe("refuse");
        expect(verdict({}, { lost: 2 }).decision).toBe("promote");
        expect(verdict({}, { lost: 3, lostByFirst: 3 }).decision).toBe("promote");
    });

    it("decides nothing where the client was the limit: it hides every difference", () => {
        const found = verdict({ clientLimits: ["the CPU was busy"] });
        expect(found.decision).toBe("undecided");
        expect(found.findings.at(-2)!.why).toMatch(/at the canary the client .* was the limit: the CPU was busy/);
    });
});

describe("answers", () => {
    it("are compared by question: the interval holds the difference, the lost ones are named", () => {
        const found = answersOf(6);
        expect(found).toMatchObject({ right: { first: 24, canary: 18 }, difference: -0.25, same: 0 });
        expect(found.interval.from).toBeLessThan(-0.25);
        expect(found.interval.to).toBeGreaterThan(-0.25);
        expect(found.lost).toEqual(asked.slice(0, 6).map(({ prompt }) => prompt));
    });

    it("of the questions that come with the tool: each expression can be read, none fits every answer", () => {
        for (const { expect: pattern } of questions) expect(new RegExp(pattern, "i").test("I do know it.")).toBe(false);
    });
});

describe("the labels", () => {
    const mark = { id: "0123456789abcdef", of: "ministral", until: new Date("2026-11-26T12:15:00Z") };
    const app = (labels: Record<string, string>) => ({ spec: { labels } }) as unknown as LiveApp;

    it("come back as they were, and an end that cannot be read is past", () => {
        const labels = { ...labelsOf(mark), "pulumi-adoption-id": "canary-0123456789abcdef" };
        expect(markOf(app(labels))).toEqual(mark);
        expect(markOf(app({ ...labels, "canary-until": "soon" }))!.until.getTime()).toBe(0);
        for (const value of Object.values(labels)) expect(value).toMatch(/^[\w.-]{1,63}$/);
    });

    it("make no canary, to be removed, of an app of a stack that somebody gave them", () => {
        expect(markOf(app({ ...labelsOf(mark), "pulumi-adoption-id": "fedcba9876543210" }))).toBeUndefined();
        expect(markOf(app(labelsOf(mark)))).toBeUndefined();
    });
});
