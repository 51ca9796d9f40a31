import { z } from "zod";
import { costLineBegins } from "../../src/prices/text";
import { advisoriesOf, advisoriesRead } from "../../src/vllm/advisories";
import { consequenceOf, type Effect } from "./effects";
import { label, type Events } from "./events";

/**
 * What is to be said of the preview of one stack. It travels as a file from the job that ran code of the pull request to the one
 * that may write comments, so whoever reads it takes it for input that somebody may have forged.
 */
export const reportSchema = z.object({
    stack: z.string().max(100),
    /** Whether the preview came to its end. */
    ok: z.boolean(),
    consequences: z
        .array(
            z.object({
                effect: z.enum(["created", "replaced", "restarted", "changed", "deleted"]),
                what: z.string(),
                interrupts: z.string().optional(),
            }),
        )
        .max(2000),
    drifted: z.array(z.object({ what: z.string(), gone: z.boolean() })).max(2000),
    violations: z
        .array(
            z.object({
                policy: z.string(),
                level: z.enum(["mandatory", "advisory"]),
                resource: z.string().optional(),
                message: z.string(),
            }),
        )
        .max(2000),
    /** Security advisories by app, of the image that it would have. */
    advisories: z.array(z.object({ app: z.string(), image: z.string(), ids: z.array(z.string()) })).max(500),
    /** Date of the table of advisories. */
    advisoriesRead: z.string(),
    errors: z.array(z.string()).max(200),
    warnings: z.array(z.string()).max(200),
    remarks: z.array(z.string()).max(200),
    /** Difference of the cost, as `npm run cost -- --against` prints it. */
    cost: z.string().optional(),
    /** Whether policies were asked. */
    policiesRun: z.boolean(),
});

export type Report = z.infer<typeof reportSchema>;

export interface ReportOptions {
    stack: string;
    policiesRun: boolean;
    cost?: string;
}

/** In the order in which a reader wants to know of them. */
export const effects: readonly Effect[] = ["deleted", "replaced", "restarted", "created", "changed"];

export function reportOf(events: Events, { stack, policiesRun, cost }: ReportOptions): Report {
    return {
        stack,
        ok: events.complete,
        consequences: events.steps.map(consequenceOf),
        drifted: events.drifted.map(({ op, urn, changed }) => ({
            what: label(urn) + (changed.length > 0 ? `: ${changed.join(", ")}` : ""),
            gone: op === "delete",
        })),
        violations: events.violations.map(({ policy, level, resource, message }) => ({
            policy,
            level,
            message,
            ...(resource && { resource }),
        })),
        advisories: Object.entries(events.images)
            .map(([app, image]) => ({ app, image, ids: advisoriesOf(image).map(({ id }) => id) }))
            .filter(({ ids }) => ids.length > 0),
        advisoriesRead,
        errors: events.errors,
        warnings: events.warnings,
        // What it costs is said of every preview, and what changes of that has a place of its own.
        remarks: events.remarks.filter((remark) => !remark.startsWith(costLineBegins)),
        policiesRun,
        ...(cost !== undefined && { cost }),
    };
}

/** Of a preview that has not begun, so that nothing is known of what would change. */
export function failedReport(stack: string, errors: string[]): Report {
    const nothing = { consequences: [], drifted: [], violations: [], advisories: [], warnings: [], remarks: [] };
    return { stack, ok: false, ...nothing, advisoriesRead, errors, policiesRun: false };
}

/** @throws Error that says what is wrong with a report's file */
export function parseReport(text: string, file: string): Report {
    let value: unknown;
    try {
        value = JSON.parse(text);
    } catch {
        throw new Error(`${file} is no JSON: run \`npm run pipeline -- preview\` again`);
    }
    const parsed = reportSchema.safeParse(value);
    if (parsed.success) return parsed.data;
    const [{ path, message }] = parsed.error.issues;
    throw new Error(`${file} is no report of a preview (${path.join(".")}: ${message})`);
}
