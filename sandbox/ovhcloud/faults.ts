import { z } from "zod";
import { badRequest } from "./api-error";

/** What the emulated API does wrong on purpose, per operation. */
export interface FaultRule {
    /** HTTP method; absent: any. */
    method?: string;
    /** Regular expression on the path below the project, such as `/ai/app$`; absent: any. */
    path?: string;
    kind:
        | "status" // answer with `status`, do nothing
        | "drop" // close the connection, do nothing
        | "delay" // wait `delayMs`, then go on as usual
        | "commit-then-status" // do it, but answer with `status`
        | "commit-then-drop" // do it, but close the connection
        | "commit-then-timeout" // do it, and never answer
        | "stale"; // a read of apps: answer as of `staleMs` ago; other calls go on as usual
    status?: number;
    /** Seconds for the `Retry-After` header of a `status` fault. */
    retryAfter?: number;
    delayMs?: number;
    staleMs?: number;
    /** How often it happens; absent: always. */
    times?: number;
    /** 0 to 1; absent: 1. */
    probability?: number;
}

const faultRule: z.ZodType<FaultRule> = z.strictObject({
    method: z.string().optional(),
    path: z.string().refine(isRegularExpression, "is no regular expression").optional(),
    kind: z.enum(["status", "drop", "delay", "commit-then-status", "commit-then-drop", "commit-then-timeout", "stale"]),
    status: z.int().min(200).max(599).optional(),
    retryAfter: z.number().min(0).optional(),
    delayMs: z.number().min(0).max(3_600_000).optional(),
    staleMs: z.number().min(0).optional(),
    times: z.int().min(0).optional(),
    probability: z.number().min(0).max(1).optional(),
});

function isRegularExpression(text: string): boolean {
    try {
        return new RegExp(text) !== undefined;
    } catch {
        return false;
    }
}

/** Throws an ApiError 400 that names the field. */
export function readFaultRule(body: unknown): FaultRule {
    const read = faultRule.safeParse(body);
    if (read.success) return read.data;
    const faults = read.error.issues.map(({ path, message }) => `${path.join(".") || "fault"}: ${message}`);
    throw badRequest(faults.join("; "));
}

export class Faults {
    private rules: FaultRule[] = [];

    add(rule: FaultRule): void {
        this.rules.push({ ...rule });
    }

    clear(): void {
        this.rules = [];
    }

    list(): FaultRule[] {
        return this.rules;
    }

    /** The first rule that strikes this call, its count taken down. */
    strike(method: string, path: string): FaultRule | undefined {
        const rule = this.rules.find(
            (candidate) =>
                (candidate.method === undefined || candidate.method === method) &&
                (candidate.path === undefined || new RegExp(candidate.path).test(path)) &&
                candidate.times !== 0 &&
                Math.random() < (candidate.probability ?? 1),
        );
        if (rule?.times !== undefined) rule.times--;
        return rule;
    }
}
