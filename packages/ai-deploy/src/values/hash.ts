import { createHash } from "crypto";
import { dropEmpty, isMap } from "./json";

/** The first hexadecimal digits of a text's SHA-256. */
export function shortDigest(text: string, digits = 8): string {
    return createHash("sha256").update(text).digest("hex").slice(0, digits);
}

/** Eight hexadecimal digits that stand for a JSON value: the same for the same value, whatever the order of its keys. */
export function shortHash(value: unknown): string {
    return shortDigest(JSON.stringify(canonical(value)) ?? "");
}

/** Without empty values, keys in order. */
function canonical(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(canonical);
    if (!isMap(value)) return value ?? null;
    const entries = Object.entries(dropEmpty(value)).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(entries.map(([key, inner]) => [key, canonical(inner)]));
}
