import { adoptionLabelName, type LiveApp } from "../../packages/ai-deploy/src/app/live";

/** The labels by which a canary says what it is, to whoever finds it. */
export const canaryLabels = {
    /** Value of its own: the canary's token is bound to it, and it is removed by it. */
    id: "canary-id",
    /** Model of the stack that it stands beside. */
    of: "canary-of",
    /** Its end, as `20261126T121500Z`: from then on anybody may remove it, and the next canary does. */
    until: "canary-until",
} as const;

/** What a canary's labels say. */
export interface CanaryMark {
    id: string;
    of: string;
    until: Date;
}

export function labelsOf({ id, of, until }: CanaryMark): Record<string, string> {
    return { [canaryLabels.id]: id, [canaryLabels.of]: of, [canaryLabels.until]: shortTime(until) };
}

/** The label by which the provider finds an app whose creation had no clear answer. */
export function adoptionLabelOf({ id }: Pick<CanaryMark, "id">): string {
    return `canary-${id}`;
}

/**
 * Undefined: it is no canary. One whose end cannot be read has ended. No app of a stack is taken for one, whatever its labels: the
 * one by which the provider finds it is its own, and cannot be configured.
 */
export function markOf({ spec }: Pick<LiveApp, "spec">): CanaryMark | undefined {
    const labels = spec.labels ?? {};
    const { [canaryLabels.id]: id, [canaryLabels.of]: of, [canaryLabels.until]: until = "" } = labels;
    if (id === undefined || of === undefined || labels[adoptionLabelName] !== adoptionLabelOf({ id })) return undefined;
    return { id, of, until: readTime(until) };
}

/** A label's value takes neither colons nor plus signs. */
function shortTime(date: Date): string {
    return date.toISOString().replace(/\.\d+/, "").replace(/[-:]/g, "");
}

function readTime(text: string): Date {
    const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
    if (!parts) return new Date(0);
    const [, year, month, day, hour, minute, second] = parts;
    return new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}
