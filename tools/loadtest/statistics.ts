/** Figures over many measurements. No clock and no I/O here. */

/** In the unit of the values. */
export interface Summary {
    mean: number;
    min: number;
    max: number;
    p50: number;
    p95: number;
    p99: number;
}

/** Numbers in the order in which they came, in one growing block: a run has millions of gaps between tokens. */
export class Samples {
    private block = new Float64Array(1024);
    length = 0;

    push(value: number): void {
        if (this.length === this.block.length) {
            const larger = new Float64Array(2 * this.length);
            larger.set(this.block);
            this.block = larger;
        }
        this.block[this.length++] = value;
    }

    sorted(): Float64Array {
        return this.block.slice(0, this.length).sort();
    }
}

/**
 * The value below which a share `q` (0 to 1) of the values lies, interpolated between the two nearest ones: what numpy's
 * percentile does, and thereby vLLM's own benchmark. `sorted` is ascending and not empty.
 */
export function quantile(sorted: ArrayLike<number>, q: number): number {
    const place = q * (sorted.length - 1);
    const below = Math.floor(place);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

/** Exact figures of all values, or null when there are none. */
export function summarize(values: number[] | Samples): Summary | null {
    const sorted = values instanceof Samples ? values.sorted() : Float64Array.from(values).sort();
    if (sorted.length === 0) return null;
    return {
        mean: sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
        min: sorted[0],
        max: sorted[sorted.length - 1],
        p50: quantile(sorted, 0.5),
        p95: quantile(sorted, 0.95),
        p99: quantile(sorted, 0.99),
    };
}

/** How many times each text occurs, the most frequent first. */
export function countEach(texts: string[]): Record<string, number> {
    const counts = new Map<string, number>();
    for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
    return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
}

/** A round width, in seconds, that divides a run of this length into at most `most` buckets. */
export function bucketSeconds(wallSeconds: number, most: number): number {
    const round = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
    return round.find((width) => wallSeconds / width <= most) ?? Math.ceil(wallSeconds / most);
}
