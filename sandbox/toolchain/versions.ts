/** The first `1.2.3` in a text. */
export function versionIn(text: string): string | undefined {
    return /(\d+\.\d+\.\d+)/.exec(text)?.[1] ?? /\bgo(\d+\.\d+)\b/.exec(text)?.[1].concat(".0");
}

/** Below 0, 0 or above 0, as `a` is older than, the same as or newer than `b`. */
export function compareVersions(a: string, b: string): number {
    const [left, right] = [a, b].map((version) => version.split(".").map(Number));
    return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}
