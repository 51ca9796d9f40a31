import { shortDigest } from "../values/hash";
import { hasUnknown } from "../values/unknown";

/**
 * An adoption label that two resources never share, even where the program gives both the same text: apps of another
 * stack, or another resource, with "our" label would be taken over, or deleted as leftovers.
 */
export function markLabel(label: string, urn: string): string {
    return `${label}-${shortDigest(urn)}`;
}

/**
 * The same for a resource that the state has already: one that was imported, renamed, or moved from the dynamic provider
 * keeps the label that its app carries, as long as the program's part of it stays. `before`: the one in the state.
 */
export function keepLabel(label: unknown, urn: string, before: unknown): unknown {
    // What is no text is for the check to refuse.
    if (typeof label !== "string" || label === "" || hasUnknown(label)) return label;
    if (typeof before !== "string") return markLabel(label, urn);
    const isMarked = before.startsWith(`${label}-`) && /^[0-9a-f]{8}$/.test(before.slice(label.length + 1));
    return isMarked || before === label ? before : markLabel(label, urn);
}
