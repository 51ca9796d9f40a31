import { setTimeout as sleep } from "node:timers/promises";
import { mask } from "../../packages/ai-deploy/src/errors/mask";
import { fixOfRefused } from "../command-line";
import { wordsOf } from "../kubernetes-error";

/** `warning`: nothing is broken, but somebody should know. `unknown`: it could not be looked at, for the reason given. */
export type Verdict = "holds" | "warning" | "broken" | "unknown";

/** One promise of the stack, checked against what runs. */
export interface Finding {
    group: string;
    promise: string;
    verdict: Verdict;
    /** False for a broken promise alone. */
    ok: boolean;
    /** What was seen, or what is wrong. */
    seen: string;
    /** What to do about it. */
    fix?: string;
}

export interface CheckOptions {
    /** Promises checked before without which this one says nothing: it is `unknown` when one of them does not hold. */
    needs?: string[];
}

/**
 * Looks whether a promise holds: `look` says what it saw, or throws what is wrong (`expect`, `caution`, `unseen`). Anything
 * else that it throws is a broken promise too, so that no failure passes for a success. Never rejects.
 */
export type Check = (promise: string, look: () => Promise<string>, options?: CheckOptions) => Promise<void>;

/** Why a promise was not seen to hold. */
class Doubt extends Error {
    constructor(
        readonly verdict: Verdict,
        message: string,
        readonly fix?: string,
    ) {
        super(message);
    }
}

/** Broken unless the condition is met. */
export function expect(condition: unknown, message: string, fix?: string): asserts condition {
    if (!condition) throw new Doubt("broken", message, fix);
}

/** A warning unless the condition is met. */
export function caution(condition: unknown, message: string, fix?: string): asserts condition {
    if (!condition) throw new Doubt("warning", message, fix);
}

/** Cannot be looked at. */
export function unseen(message: string, fix?: string): never {
    throw new Doubt("unknown", message, fix);
}

/** What has been found so far. */
export class Findings {
    readonly all: Finding[] = [];

    /**
     * @param secrets texts that must not be shown, whoever said them
     * @param onFinding called with each finding as it is made
     */
    constructor(
        private readonly secrets: string[] = [],
        private readonly onFinding: (finding: Finding) => void = () => undefined,
    ) {}

    /** Makes checks whose findings are of one group. */
    group(group: string): Check {
        return async (promise, look, { needs = [] } = {}) => {
            const missing = needs.find((need) => !this.holds(need));
            let finding: Finding;
            try {
                if (missing !== undefined) unseen(`not looked at: "${missing}" does not hold`);
                finding = { group, promise, verdict: "holds", ok: true, seen: await look() };
            } catch (error) {
                const message = wordsOf(error as Error);
                const { verdict, fix } =
                    error instanceof Doubt ? error : { verdict: "broken" as const, fix: fixOfRefused(message) };
                finding = { group, promise, verdict, ok: verdict !== "broken", seen: message, ...(fix && { fix }) };
            }
            finding.seen = mask(finding.seen, this.secrets);
            if (finding.fix) finding.fix = mask(finding.fix, this.secrets);
            this.all.push(finding);
            this.onFinding(finding);
        };
    }

    /** Whether something can be built on a promise: it was looked at, and is not broken. */
    private holds(promise: string): boolean {
        const found = this.all.find((one) => one.promise === promise);
        return found?.verdict === "holds" || found?.verdict === "warning";
    }
}

/** Tries for so long, by default 45 s: three scrape intervals. */
export async function eventually<T>(look: () => Promise<T>, seconds = 45): Promise<T> {
    const end = performance.now() + seconds * 1000;
    for (;;) {
        try {
            return await look();
        } catch (error) {
            if (performance.now() > end) throw error;
            await sleep(500);
        }
    }
}
