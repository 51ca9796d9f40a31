/** `pulumi.runtime.unknownValue`, which stands for a value that a preview cannot know yet. */
export const unknownValue = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Whether a value is unknown, or holds one that is. */
export function hasUnknown(value: unknown): boolean {
    if (typeof value === "string") return value === unknownValue;
    if (typeof value === "object" && value !== null) return Object.values(value).some(hasUnknown);
    return false;
}
