/** What Pulumi's engine says of a preview, read from the log that `--event-log` writes: one JSON object a line. */

/** One step that a preview announces. */
export interface Step {
    /** `create`, `update`, `replace`, `delete`, `import`, `refresh` and others; not `same`. */
    op: string;
    urn: string;
    /** Such as `pulumi-nodejs:dynamic/ovh-ai-deploy:App`. */
    type: string;
    /** Logical name. */
    name: string;
    /** Inputs that differ, the first part of each path, sorted. */
    changed: string[];
    /** Inputs that force a replacement. */
    replacedFor: string[];
    /** What is there before and after; of a creation or deletion one of them. Secrets are `[secret]`. */
    before?: Record<string, any>;
    after?: Record<string, any>;
    protect: boolean;
}

/** What a policy says against a resource. */
export interface Violation {
    policy: string;
    pack: string;
    /** `mandatory` stops an `up`. */
    level: "mandatory" | "advisory";
    message: string;
    /** Type and logical name; absent for the stack as a whole. */
    resource?: string;
}

/** A preview as read from its log. */
export interface Events {
    steps: Step[];
    /** Resources that a refresh has found changed or gone. */
    drifted: Step[];
    /** Image by app, also of apps that stay as they are. */
    images: Record<string, string>;
    errors: string[];
    warnings: string[];
    /** What resources say of themselves, such as what a change interrupts. */
    remarks: string[];
    violations: Violation[];
    /** False when the preview did not come to its end. */
    complete: boolean;
}

/** Steps that are a part of another one. */
const parts = ["create-replacement", "delete-replaced", "discard-replaced", "read", "read-replacement"];

/** The log of a run that was killed while it wrote. The message is for people. */
export class CutOffError extends Error {}

/** @throws CutOffError that names the line that is no JSON */
export function readEvents(log: string): Events {
    const events: Events = {
        steps: [],
        drifted: [],
        images: {},
        errors: [],
        warnings: [],
        remarks: [],
        violations: [],
        complete: false,
    };
    log.split("\n").forEach((line, index) => {
        if (line.trim() !== "") take(events, parsed(line, index + 1));
    });
    events.steps = merged(events.steps);
    return events;
}

function parsed(line: string, number: number): Record<string, any> {
    try {
        return JSON.parse(line) as Record<string, any>;
    } catch {
        throw new CutOffError(`line ${number} of the engine's log is no JSON: the preview was cut off; run it again`);
    }
}

function take(events: Events, event: Record<string, any>): void {
    const { diagnosticEvent, policyEvent, resourcePreEvent, resOutputsEvent, summaryEvent } = event;
    if (diagnosticEvent) takeDiagnostic(events, diagnosticEvent as Diagnostic);
    if (policyEvent) events.violations.push(violationOf(policyEvent as PolicyEvent));
    if (resourcePreEvent) takeStep(events, stepOf(resourcePreEvent.metadata as Metadata));
    if (resOutputsEvent?.metadata.op === "refresh") takeRefresh(events, resOutputsEvent.metadata as Metadata);
    if (summaryEvent) events.complete = summaryEvent.result !== "failed";
}

interface Diagnostic {
    urn?: string;
    message: string;
    severity: string;
}

interface PolicyEvent {
    resourceUrn?: string;
    message: string;
    policyName: string;
    policyPackName: string;
    enforcementLevel: string;
}

interface State {
    inputs?: Record<string, any>;
    outputs?: Record<string, any>;
    protect?: boolean;
}

interface Metadata {
    op: string;
    urn: string;
    type: string;
    old: State | null;
    new: State | null;
    keys?: string[] | null;
    diffs?: string[] | null;
    detailedDiff?: Record<string, object> | null;
}

function takeDiagnostic(events: Events, { message, severity }: Diagnostic): void {
    // Of others the log holds what no screen shows: the messages for debugging have secrets in clear.
    const lists: Record<string, string[]> = { error: events.errors, warning: events.warnings, info: events.remarks };
    const list = Object.hasOwn(lists, severity) ? lists[severity] : undefined;
    const text = message.trim();
    if (text !== "" && list && !list.includes(text)) list.push(text);
}

function violationOf({ resourceUrn, message, policyName, policyPackName, enforcementLevel }: PolicyEvent): Violation {
    const isStack = !resourceUrn || resourceUrn.includes("::pulumi:pulumi:Stack::");
    return {
        policy: policyName,
        pack: policyPackName,
        level: enforcementLevel === "mandatory" ? "mandatory" : "advisory",
        // The engine begins it with the policy's description.
        message: message.trim().replace(/^[^\n]*\n(?=.)/, ""),
        ...(isStack ? {} : { resource: label(resourceUrn) }),
    };
}

function stepOf({ op, urn, type, old, new: next, keys, diffs, detailedDiff }: Metadata): Step {
    const paths = Object.keys(detailedDiff ?? {}).map((path) => path.split(/[.[]/)[0]);
    return {
        op,
        urn,
        type,
        name: nameOf(urn),
        changed: [...new Set([...(diffs ?? []), ...paths, ...differing(old?.inputs, next?.inputs)])]
            .filter((key) => !key.startsWith("__"))
            .sort(),
        replacedFor: [...new Set((keys ?? []).map((key) => key.split(/[.[]/)[0]))].sort(),
        before: old?.inputs,
        after: next?.inputs,
        protect: old?.protect === true || next?.protect === true,
    };
}

/** Of an update of a dynamic resource the engine names no input: they are compared here. */
function differing(before: State["inputs"], after: State["inputs"]): string[] {
    if (!before || !after) return [];
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]));
}

function takeStep(events: Events, step: Step): void {
    const image = kindOf(step) === "App" && (step.after?.image as unknown);
    if (typeof image === "string") events.images[step.name] = image;
    if (step.op === "same" || step.op === "refresh" || parts.includes(step.op)) return;
    // Components change nothing by themselves, and of providers of a stack only the version or configuration.
    if (/^(ovhcloud-llm-serving:|pulumi:pulumi:Stack$|pulumi:providers:)/.test(step.type)) return;
    events.steps.push(step);
}

/** A refreshed resource that is no longer as the state has it; one that is gone has no `new`. */
function takeRefresh(events: Events, metadata: Metadata): void {
    const { old, new: now } = metadata;
    if (!old) return;
    const keys = now === null ? [] : differing(old.inputs, now.inputs);
    if (now !== null && keys.length === 0) return;
    events.drifted.push({ ...stepOf(metadata), op: now === null ? "delete" : "update", changed: keys });
}

/** One step for each resource: a replacement is announced in parts. */
function merged(steps: Step[]): Step[] {
    return [...new Map(steps.map((step) => [step.urn, step])).values()];
}

/** The last part of a resource's type: `App`, `Kube`, `Release`. */
export function kindOf({ type }: Pick<Step, "type">): string {
    return type.split(/[:/]/).at(-1)!;
}

export function nameOf(urn: string): string {
    return urn.split("::").slice(3).join("::");
}

/** `App ministral` */
export function label(urn: string): string {
    return `${urn.split("::")[2].split(/[:/]/).at(-1)} ${nameOf(urn)}`;
}
