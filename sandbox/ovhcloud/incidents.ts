import { randomUUID } from "node:crypto";
import { z } from "zod";
import { readSetMetric } from "../vllm/set-metrics";
import { badRequest } from "./api-error";
import type { AppFaultInput, AppFaultKind, FaultStatus, PlatformFaultInput, PlatformFaultKind } from "./status";

/**
 * Faults by command: what goes wrong with replicas and with the platform, at once or later, for a time or until it is
 * ended. (Faults of single calls of the API are in faults.ts.) Times are real seconds.
 */

/** Faults that happen once and are over. */
const momentary = new Set<string>(["crash", "oom", "token-revoked"]);

export const appFaultKinds: AppFaultKind[] = [
    "crash",
    "hang",
    "stall",
    "slow",
    "errors",
    "metrics",
    "oom",
    "image-pull",
    "hf-401",
];
/** Those that a real vLLM can have. */
export const realFaultKinds: AppFaultKind[] = ["crash", "hang", "stall", "image-pull"];
export const platformFaultKinds: PlatformFaultKind[] = ["quota", "region-outage", "api-outage", "token-revoked"];

/** A week; timers take no more than three and a half. */
const longestSeconds = 604_800;

const shareRule = "give a share of the requests above 0 and up to 1, such as 0.2";

const timing = {
    afterSeconds: z.number().min(0).max(longestSeconds).optional(),
    forSeconds: z.number().positive().max(longestSeconds).optional(),
};
const appFault = z.strictObject({
    kind: z.enum(appFaultKinds),
    replica: z.int().min(0).optional(),
    factor: z.number().min(1).max(1_000_000).optional(),
    rate: z.number().positive(shareRule).max(1, shareRule).optional(),
    status: z.int().min(400).max(599).optional(),
    metrics: z.array(z.string().superRefine(checkSetMetric)).min(1).max(100).optional(),
    ...timing,
});
const platformFault = z.strictObject({
    kind: z.enum(platformFaultKinds),
    region: z.string().optional(),
    token: z.string().optional(),
    ...timing,
});
/** The fields that only these kinds have. */
const onlyOf: Record<string, string[]> = {
    factor: ["slow"],
    rate: ["errors"],
    status: ["errors"],
    metrics: ["metrics"],
    replica: ["crash", "hang", "stall", "slow", "errors", "metrics", "oom"],
    region: ["region-outage"],
    token: ["token-revoked"],
};

function checkSetMetric(text: string, context: z.RefinementCtx): void {
    try {
        readSetMetric(text);
    } catch (error) {
        context.addIssue({ code: "custom", message: (error as Error).message, params: { typed: text } });
    }
}

/** What a fault of an app can strike. */
export interface Targets {
    /** Indexes of the replicas that the app has now, and of those among them whose container runs. */
    replicas: number[];
    running: number[];
    /** Faults that its engine can have. */
    kinds: AppFaultKind[];
    /** What it is; default: a simulated vLLM. */
    engine?: string;
}

/** Throws an ApiError 400 that names the field, and says what is possible. */
export function readAppFault(
    body: unknown,
    { replicas, running, kinds, engine = "a simulated vLLM" }: Targets,
): AppFaultInput {
    const read = checked(appFault.safeParse(body));
    const { kind, replica, afterSeconds = 0 } = read;
    if (!kinds.includes(kind)) {
        throw badRequest(`kind: ${engine} cannot be made to have "${kind}"; it can have ${kinds.join(", ")}`);
    }
    if (kind === "metrics" && !read.metrics) throw badRequest("metrics: give one at least, NAME=VALUE");
    const strikesProcess = ["crash", "oom", "hang", "stall"].includes(kind) && afterSeconds === 0;
    const possible = strikesProcess ? running : replicas;
    if (replica === undefined ? !strikesProcess || running.length > 0 : possible.includes(replica)) return read;
    const what = strikesProcess ? "running replica" : "replica";
    const there = possible.length === 0 ? "none" : possible.join(", ");
    throw badRequest(`replica: the app has no ${what}${replica === undefined ? "" : ` ${replica}`}; it has ${there}`);
}

/** Throws an ApiError 400 that names the field. */
export function readPlatformFault(body: unknown): PlatformFaultInput {
    return checked(platformFault.safeParse(body));
}

function checked<T extends AppFaultInput | PlatformFaultInput>(read: z.ZodSafeParseResult<T>): T {
    if (!read.success) {
        throw badRequest(read.error.issues.map((issue) => `${whereOf(issue)}: ${issue.message}`).join("; "));
    }
    const { kind } = read.data;
    for (const field of Object.keys(read.data)) {
        if (onlyOf[field] && !onlyOf[field].includes(kind)) throw badRequest(`${field}: ${kind} does not have it`);
    }
    if (momentary.has(kind) && read.data.forSeconds !== undefined) {
        throw badRequest(`forSeconds: ${kind} happens once, it does not last`);
    }
    return read.data;
}

/** A metric by what was typed: the place in a list says nothing to who has typed one. */
function whereOf(issue: z.core.$ZodIssue): string {
    const typed = issue.code === "custom" ? (issue.params?.typed as string | undefined) : undefined;
    return typed ?? (issue.path.join(".") || "fault");
}

export interface IncidentHooks {
    begin(fault: FaultStatus): void;
    end(fault: FaultStatus): void;
}

export class Incidents {
    private readonly faults = new Map<string, { status: FaultStatus; timer?: NodeJS.Timeout }>();

    constructor(private readonly hooks: IncidentHooks) {}

    /** Starts a fault, of this app or of the platform, or schedules it. */
    add(input: AppFaultInput | PlatformFaultInput, app?: string): FaultStatus {
        const { afterSeconds = 0, forSeconds, ...what } = input;
        const begins = Date.now() + afterSeconds * 1000;
        const status: FaultStatus = {
            id: randomUUID(),
            ...what,
            app,
            state: "scheduled",
            beginsAt: new Date(begins).toISOString(),
            endsAt: forSeconds === undefined ? undefined : new Date(begins + forSeconds * 1000).toISOString(),
        };
        if (status.kind === "slow") status.factor ??= 10;
        if (status.kind === "errors") {
            status.rate ??= 1;
            status.status ??= 500;
        }
        this.faults.set(status.id, { status });
        if (afterSeconds > 0) this.later(status, afterSeconds, () => this.begin(status, forSeconds));
        else this.begin(status, forSeconds);
        return status;
    }

    /** Faults that act now or are still to come. */
    list(): FaultStatus[] {
        return [...this.faults.values()].map(({ status }) => status);
    }

    /** The first fault of this kind that acts now and fits. */
    active(kind: FaultStatus["kind"], fits: (fault: FaultStatus) => boolean = () => true): FaultStatus | undefined {
        return this.list().find((fault) => fault.kind === kind && fault.state === "active" && fits(fault));
    }

    /** Ends the faults of an app, or those of the platform. */
    clear(app?: string): void {
        for (const status of this.list()) if (status.app === app) this.finish(status);
    }

    /** Forgets everything; nothing is told. */
    close(): void {
        for (const { timer } of this.faults.values()) clearTimeout(timer);
        this.faults.clear();
    }

    private begin(status: FaultStatus, forSeconds: number | undefined): void {
        status.state = "active";
        if (momentary.has(status.kind)) this.faults.delete(status.id);
        else if (forSeconds !== undefined) this.later(status, forSeconds, () => this.finish(status));
        this.hooks.begin(status);
    }

    private finish(status: FaultStatus): void {
        clearTimeout(this.faults.get(status.id)?.timer);
        this.faults.delete(status.id);
        if (status.state === "active") this.hooks.end(status);
    }

    private later(status: FaultStatus, seconds: number, work: () => void): void {
        this.faults.get(status.id)!.timer = setTimeout(work, seconds * 1000).unref();
    }
}
