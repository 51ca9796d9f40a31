/** The value below which a share (0 to 1) of the values lies: one of them, in any order given. */
export function quantile(values: number[], share: number): number {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}
