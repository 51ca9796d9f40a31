import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readEvents } from "../../../tools/pipeline/events";
import { driftIssue, longestComment, marker, previewComment } from "../../../tools/pipeline/comment";
import { parseReport, reportOf, type Report } from "../../../tools/pipeline/report";
import { recordedEvents, recordedReport } from "./recordings";
import { sampleComment, sampleFile } from "./sample";

/** Consequences of a recorded change: the effect and what it is of. */
function effectsOf(name: string): string[] {
    return recordedReport(name).consequences.map(({ effect, what }) => `${effect} ${what}`);
}

describe("the plan in words, from what the real engine said", () => {
    it("nothing", () => {
        expect(effectsOf("nothing")).toEqual([]);
        expect(previewComment([recordedReport("nothing")])).toContain("Nothing changes.");
    });

    it("a new scaling target changes the app in place, and interrupts nobody", () => {
        expect(effectsOf("target")).toContain("changed App ministral: scalingStrategy");
        expect(recordedReport("target").consequences.filter(({ interrupts }) => interrupts)).toEqual([]);
        expect(previewComment([recordedReport("target")])).not.toContain("interrupts or bills");
    });

    it("what it costs, which every preview says, is nothing that interrupts", () => {
        expect(recordedEvents("nothing").remarks).toEqual([expect.stringMatching(/^cost: /)]);
        expect(recordedReport("nothing").remarks).toEqual([]);
    });

    it("another image restarts the replicas, and says what that is", () => {
        expect(effectsOf("image")).toContain("restarted App ministral: command, image");
        expect(previewComment([recordedReport("image")])).toMatch(
            /restarted: `App ministral: command, image`: .*nothing answers while/,
        );
    });

    it("another region replaces the app, and the provider's own words say for how long nothing answers", () => {
        expect(effectsOf("region")).toContain("replaced App ministral: region");
        const text = previewComment([recordedReport("region")]);
        expect(text).toMatch(/replaced: `App ministral: region`: the model gets another id and address/);
        expect(text).toMatch(/is REPLACED by this change of models\.ministral\.region/);
        expect(text).toMatch(/nothing serves for about \d+ min/);
    });

    it("another model is created, with what it may bill", () => {
        expect(effectsOf("another-model")).toContain("created App qwen");
        expect(previewComment([recordedReport("another-model")])).toMatch(/`App qwen`: bills 1 to 3 x 1 h100-1-gpu/);
    });

    it("another node flavor replaces the pool, the new one first", () => {
        expect(previewComment([recordedReport("node-flavor")])).toMatch(
            /replaced: `KubeNodePool [^`]*`: the new pool comes first and both are billed/,
        );
    });

    it("a config that is refused says why, with the key and the fix", () => {
        const report = recordedReport("refused");
        expect(report.ok).toBe(false);
        const text = previewComment([report]);
        expect(text).toMatch(/\*\*dev\*\* \*\*failed\*\*/);
        expect(text).toMatch(/models\.ministral\.replicas\.min: 9; give at most replicas\.max, which is 2/);
        expect(text).not.toContain("Nothing changes.");
    });

    it("names the advisories of the image that an app keeps", () => {
        expect(recordedReport("target").advisories[0]).toMatchObject({
            app: "ministral",
            image: "vllm/vllm-openai:v0.13.0",
        });
        expect(previewComment([recordedReport("target")])).toMatch(
            /GHSA-85xf-c7hm-whqw\]\(https:\/\/github\.com\/advisories/,
        );
    });

    it("shows no secret of the stack", () => {
        for (const name of ["first", "another-model", "region"]) {
            expect(JSON.stringify(recordedReport(name))).not.toContain("hf_sandbox_not_a_real_token");
        }
    });
});

it("the sample in docs/examples is what these say", () => {
    // Else: node --import tsx test/tools/pipeline/sample.ts
    expect(readFileSync(sampleFile, "utf8")).toBe(sampleComment());
});

describe("policies", () => {
    it("a Grafana that is open to all is refused, by the policy's name", () => {
        const text = previewComment([recordedReport("open-grafana")]);
        expect(text).toMatch(/refused by `private-grafana` at `Service monitoring-grafana`: .*whole internet/);
        expect(text).toMatch(/\*\*\d refused\*\*/);
        expect(text).toContain("A policy refuses this");
        expect(text).not.toContain("is not known");
        // It is the policy that stops it, and the plan is known all the same.
        expect(recordedReport("open-grafana").ok).toBe(false);
        expect(recordedReport("open-grafana").consequences).not.toEqual([]);
    });

    it("an advisory without an exception is a warning in dev", () => {
        const found = recordedReport("target").violations.filter(({ policy }) => policy === "advisories-warned");
        expect(found.map(({ level }) => level)).toContain("advisory");
        expect(recordedReport("target").ok).toBe(true);
    });

    it("many of one policy at one resource take one line", () => {
        const violation = { policy: "p", level: "advisory" as const, resource: "App a", message: "first" };
        const text = previewComment([{ ...recordedReport("nothing"), violations: [violation, violation, violation] }]);
        expect(text).toMatch(/^- warned by `p` at `App a`: first \(and 2 more\)$/m);
    });

    it("without a pack it says that none was asked", () => {
        const report = reportOf(recordedEvents("nothing"), { stack: "dev", policiesRun: false });
        expect(previewComment([report])).toContain("not asked");
    });
});

describe("one comment", () => {
    const report = (change: Partial<Report>): Report => ({ ...recordedReport("nothing"), ...change });

    it("begins with the marker and has a row and a part for each stack, in order of their names", () => {
        const text = previewComment([recordedReport("image", "prod"), recordedReport("target", "dev")]);
        expect(text.startsWith(`${marker}\n`)).toBe(true);
        expect([...text.matchAll(/^#### (.*)$/gm)].map(([, stack]) => stack)).toEqual(["dev", "prod"]);
    });

    it("holds the difference of the cost as it is given", () => {
        expect(previewComment([recordedReport("target", "dev", "| a | b |\n")])).toContain("**Cost**\n\n| a | b |");
    });

    it("without a stack it says so", () => expect(previewComment([])).toMatch(/No stack/));

    it("what comes from the pull request becomes no Markdown, HTML or mention", () => {
        const evil = "``` </details> <img src=x> @everyone [a](http://b) | x\n# y";
        const text = previewComment([
            report({
                stack: evil.slice(0, 90),
                ok: false,
                errors: [evil],
                warnings: [evil],
                remarks: [evil],
                consequences: [{ effect: "created", what: evil, interrupts: evil }],
                violations: [{ policy: evil, level: "mandatory", resource: evil, message: evil }],
                advisories: [{ app: evil, image: evil, ids: [evil] }],
                cost: `| ${evil} | 1 |\n| --- | ---: |\n- ${evil}\n${evil}`,
            }),
        ]);
        // Outside of blocks and code no such thing is left.
        const outside = text
            .replace(/^(`{3,})\n[^]*?^\1$/gm, "")
            .replace(/`[^`\n]*`/g, "")
            .replaceAll("<details><summary>", "")
            .replaceAll("</summary>", "")
            .replace(/^<\/details>$/gm, "")
            .replaceAll(marker, "");
        expect(outside).not.toMatch(/(?<!\\)</);
        expect(outside).not.toContain("@");
        expect(outside).not.toMatch(/(?<!\\)\[a(?<!\\)\]/);
        expect(outside).not.toMatch(/^# y/m);
    });

    it("is never longer than GitHub takes, and keeps what interrupts somebody", () => {
        const many = Array.from({ length: 1500 }, (_, i) => ({
            effect: "changed" as const,
            what: `ConfigMap number-${i}: data`,
        }));
        const loud = {
            effect: "deleted" as const,
            what: "App ministral",
            interrupts: "the model stops answering for good",
        };
        const text = previewComment([report({ consequences: [...many, loud], warnings: ["w".repeat(90_000)] })]);
        expect(text.length).toBeLessThanOrEqual(longestComment);
        expect(text).toContain("deleted: `App ministral`: the model stops answering for good");
        expect(text).toMatch(/Too long for a comment/);
    });
});

it("an issue on drift is never longer than GitHub takes", () => {
    const report = { ...recordedReport("drift"), ok: false, errors: ["e".repeat(90_000)] };
    expect(driftIssue(report)!.length).toBeLessThanOrEqual(longestComment);
});

describe("drift", () => {
    it("names what was changed outside and what the next up would do", () => {
        const body = driftIssue(recordedReport("drift"))!;
        expect(body).toMatch(/gone: `App ministral`/);
        expect(body).toMatch(/created: `App ministral`/);
        expect(body).toMatch(/bills 1 to 3 x 1 h100-1-gpu/);
    });

    it("is none where nothing differs", () => expect(driftIssue(recordedReport("nothing"))).toBeUndefined());

    it("a look that failed is one, too: nobody knows then", () => {
        expect(driftIssue(recordedReport("refused"))).toMatch(/The look at it failed/);
    });
});

describe("files", () => {
    it("a log that was cut off is an error that says so", () => {
        expect(() => readEvents('{"sequence":0}\n{"sequence')).toThrow(/line 2 .*run it again/);
    });

    it("what the log holds for debugging, secrets among it, is in no report", () => {
        const said = (severity: string) =>
            JSON.stringify({ diagnosticEvent: { message: `${severity}-canary`, severity } });
        const events = readEvents(["debug", "info#err", "info", "warning", "error"].map(said).join("\n"));
        expect(JSON.stringify(events)).not.toMatch(/debug-canary|info#err-canary/);
        expect([events.remarks, events.warnings, events.errors]).toEqual([
            ["info-canary"],
            ["warning-canary"],
            ["error-canary"],
        ]);
    });

    it("a log without its end is no complete preview", () => {
        expect(readEvents('{"preludeEvent":{}}\n').complete).toBe(false);
    });

    it("a report travels as JSON, and a forged one is refused", () => {
        const whole = recordedReport("image");
        expect(parseReport(JSON.stringify(whole), "a.json")).toEqual(whole);
        expect(() => parseReport("{", "a.json")).toThrow(/a\.json is no JSON/);
        expect(() => parseReport(JSON.stringify({ ...whole, ok: "yes" }), "a.json")).toThrow(
            /a\.json is no report.*ok/,
        );
    });
});
