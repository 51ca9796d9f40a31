/** Below this span, in seconds, ticks are less than a minute apart. */
const withSeconds = 240;

/** Pixels that a tick needs at least. */
export function clockSpace(seconds: number): number {
    return seconds < withSeconds ? 65 : 42;
}

/** How moments on the axis of this span, Unix seconds, are written: with seconds when it is short, with the day when it is long. */
export function clockFormat({ min, max }: { min?: number | null; max?: number | null }): (t: number) => string {
    const seconds = (max ?? 0) - (min ?? 0);
    if (seconds > 2 * 86_400) {
        return (t) => new Date(t * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short" });
    }
    const second = seconds < withSeconds ? "2-digit" : undefined;
    return (t) => new Date(t * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second });
}
