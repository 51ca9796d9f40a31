import type { AnswersCompared } from "./answers";
import type { LoadCompared } from "./measure";

/** How much worse the canary may be and still be promoted. */
export interface Margins {
    /** Of times, as a share: 0.1 is a tenth slower. */
    slower: number;
    /** Of failed requests, as a share of all: the model's `targets.errorBudget`. */
    failing: number;
}

/** One thing that was compared. */
export interface Finding {
    what: string;
    /** `worse` refuses the canary, `unsure` keeps it from being promoted: the interval reaches over the margin. */
    level: "fine" | "worse" | "unsure";
    why: string;
}

export interface Verdict {
    /** `undecided`: nothing is worse for certain, and nothing shows that it is not. */
    decision: "promote" | "refuse" | "undecided";
    findings: Finding[];
}

/** The 99th percentiles are those of a few requests, and rates follow from times and lengths: shown, not judged. */
const judged = /^(first token|between tokens|latency) p(50|95)$/;

/**
 * Not "no difference was seen", which a short run always says: promoted is what is shown to be within the margins, whole
 * interval included. Answers are the exception: a few dozen questions cannot show so much, so that there only a loss for
 * certain counts.
 */
export function judge(load: LoadCompared, answers: AnswersCompared, margins: Margins): Verdict {
    const findings = [...loadFindings(load, margins), answersFinding(answers)];
    const has = (level: Finding["level"]): boolean => findings.some((finding) => finding.level === level);
    return { decision: has("worse") ? "refuse" : has("unsure") ? "undecided" : "promote", findings };
}

function loadFindings({ changes, errors, reports }: LoadCompared, { slower, failing }: Margins): Finding[] {
    const findings: Finding[] = [
        {
            what: "errors",
            level: levelOf(errors.interval, failing),
            why: `${percent(errors.first)} of the requests failed at the first, ${percent(errors.canary)} at the canary`,
        },
    ];
    for (const { name, interval } of changes.filter((change) => judged.test(change.name))) {
        const between = `${signed(interval.from - 1)} to ${signed(interval.to - 1)}`;
        findings.push({
            what: name,
            level: levelOf({ from: interval.from - 1, to: interval.to - 1 }, slower),
            why: `${between}, at most ${signed(slower)} is allowed`,
        });
    }
    if (changes.length === 0) {
        findings.push({ what: "times", level: "unsure", why: "too little was answered to compare" });
    }
    for (const [which, { valid, clientLimits }] of Object.entries(reports)) {
        if (valid) continue;
        const why = `at the ${which} the client or its machine was the limit: ${clientLimits.join("; ")}`;
        findings.push({ what: "client", level: "unsure", why });
    }
    return findings;
}

function answersFinding({ questions, right, interval, lost }: AnswersCompared): Finding {
    const why = `${right.first} of ${questions} right at the first, ${right.canary} at the canary`;
    return {
        what: "answers",
        level: interval.to < 0 ? "worse" : "fine",
        why: lost.length === 0 ? why : `${why}; no longer right: ${lost.map((one) => JSON.stringify(one)).join(", ")}`,
    };
}

function levelOf({ from, to }: { from: number; to: number }, margin: number): Finding["level"] {
    if (from > margin) return "worse";
    return to <= margin ? "fine" : "unsure";
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const signed = (share: number): string => `${share >= 0 ? "+" : ""}${percent(share)}`;
