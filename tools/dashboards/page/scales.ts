/** How far a plot reaches, and where its axis has ticks. */

/** Steps between ticks that people count in: round figures, and of durations seconds, minutes, hours, days. */
export function incrementsOf(unit: string): number[] {
    if (unit === "bytes") return Array.from({ length: 50 }, (_, power) => 2 ** power);
    if (unit !== "s") return decimals(-12, 18);
    const clock = [60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800, 43_200];
    const days = decimals(0, 6).map((count) => count * 86_400);
    return [...decimals(-12, 2).filter((step) => step < 60), ...clock, ...days];
}

/** 1, 2 and 5 of each power of ten. */
function decimals(from: number, to: number): number[] {
    const powers = Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index));
    return powers.flatMap((power) => [power, 2 * power, 5 * power]);
}

/** Where an axis from 0 ends: a little above what is there; 1 when there is nothing above 0. */
export function topOf(values: number[]): number {
    return (Math.max(0, ...values) || 1) * 1.08;
}

/** Powers of ten around what is there. */
export function logRange(values: number[]): { min: number; max: number } {
    const positive = values.filter((value) => value > 0);
    if (positive.length === 0) return { min: 0.1, max: 1 };
    const from = Math.floor(Math.log10(Math.min(...positive)) + 1e-9);
    const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(...positive)) - 1e-9));
    return { min: 10 ** from, max: 10 ** to };
}

/** Each line on top of those before it. */
export function cumulated(lines: (number | null)[][]): (number | null)[][] {
    const sums: number[] = [];
    return lines.map((line) =>
        line.map((value, index) => {
            if (value === null) return null;
            sums[index] = (sums[index] ?? 0) + value;
            return sums[index];
        }),
    );
}

/** Of stacked lines: each is filled down to the one before it. */
export function fillBands(count: number): { series: [number, number] }[] {
    return Array.from({ length: Math.max(0, count - 1) }, (_, index) => ({ series: [index + 2, index + 1] }));
}

/** Places of values that have none beside them. */
export function isolated(values: (number | null)[]): number[] {
    return values.flatMap((value, index) => {
        const alone = value != null && values[index - 1] == null && values[index + 1] == null;
        return alone ? [index] : [];
    });
}
