/** JSON values: emptied of what means nothing, and compared. */

/** Without null and undefined: the API takes and gives them as absent. */
export function dropEmpty<T extends object>(value: T): T {
    return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== null && v !== undefined)) as T;
}

/** The same at every depth; lists stay as they are. */
export function deepDropEmpty(value: object): Record<string, unknown> {
    const clean = (v: unknown): unknown => (isMap(v) ? deepDropEmpty(v) : v);
    return Object.fromEntries(Object.entries(dropEmpty(value)).map(([k, v]) => [k, clean(v)]));
}

export function dropUndefined<T extends object>(value: T): T {
    return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T;
}

export function isMap(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value of a map by a name of the user's or the platform's, which may be one that every object knows, such as `toString`. */
export function entry<T>(map: Record<string, T>, name: string): T | undefined {
    return Object.hasOwn(map, name) ? map[name] : undefined;
}

/** Equality of JSON values, whatever the order of keys. */
export function same(a: unknown, b: unknown): boolean {
    if (a === b) return true;
    if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
    if (Array.isArray(a) !== Array.isArray(b)) return false;
    const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
    return [...keys].every((key) => same((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}
