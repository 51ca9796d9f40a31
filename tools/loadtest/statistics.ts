/** Figures over many measurements. No clock and no I/O here. */

/** In the unit of the values. */
export interface Summary {
    /** Of the values that are known. */
    mean: number;
    min: number;
    max: number;
    p50: number;
    p95: number;
    p99: number;
    /**
     * Values of which only is known that they are longer than any known one: requests that got no answer. They count in the
     * percentiles. Absent: none.
     */
    unknown?: number;
    /** Figures that fall among the unknown ones, and of which the number given is but the least they are. */
    atLeast?: ("p50" | "p95" | "p99" | "max")[];
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

    values(): Float64Array {
        return this.block.subarray(0, this.length);
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
    return quantileOf((i) => sorted[i], sorted.length, q);
}

/** The same of `count` values in order, the one at a place given by `at`. */
function quantileOf(at: (place: number) => number, count: number, q: number): number {
    const place = q * (count - 1);
    const below = Math.floor(place);
    const above = Math.min(below + 1, count - 1);
    return place === below ? at(below) : at(below) + (place - below) * (at(above) - at(below));
}

/** Between what a figure lies with a probability of 95 %. */
export interface Interval {
    from: number;
    to: number;
}

/** The middle 95 % of values, such as those of a figure whose data were drawn anew (bootstrap); in any order, not empty. */
export function interval95(values: number[]): Interval {
    const sorted = Float64Array.from(values).sort();
    return { from: quantile(sorted, 0.025), to: quantile(sorted, 0.975) };
}

/**
 * Exact figures of all values, or null when there are none. `unknown` more are known to be longer than all of these and
 * than `least`, no more (right-censored).
 */
export function summarize(values: number[] | Samples, unknown = 0, least = 0): Summary | null {
    const sorted = values instanceof Samples ? values.sorted() : Float64Array.from(values).sort();
    const known = sorted.length;
    if (known === 0) return null;
    const top = unknown > 0 ? Math.max(sorted[known - 1], least) : sorted[known - 1];
    const atLeast: Summary["atLeast"] = [];
    const at = (name: "p50" | "p95" | "p99" | "max", q: number): number => {
        // Among the unknown, or between the last known one and the first unknown.
        if (q * (known + unknown - 1) <= known - 1) return quantileOf((i) => sorted[i], known + unknown, q);
        atLeast.push(name);
        return top;
    };
    const summary: Summary = {
        mean: sorted.reduce((sum, value) => sum + value, 0) / known,
        min: sorted[0],
        max: at("max", 1),
        p50: at("p50", 0.5),
        p95: at("p95", 0.95),
        p99: at("p99", 0.99),
    };
    return unknown > 0 ? { ...summary, unknown, atLeast } : summary;
}

/** Widths of a histogram's buckets grow by this factor: a value read from it is wrong by a quarter of a percent at most. */
const growth = 1.005;
const smallest = 1e-6;
const bucketCount = Math.ceil(Math.log(1e5 / smallest) / Math.log(growth));

/** What a histogram holds, to be sent to another process. */
export interface HistogramContent {
    counts: Float64Array;
    zeros: number;
    sum: number;
    min: number;
    max: number;
}

/** Seconds from 1 microsecond to a day in a memory that does not grow. Adding two of them loses nothing. */
export class Histogram {
    private counts = new Float64Array(bucketCount);
    private zeros = 0;
    private sum = 0;
    private min = Infinity;
    private max = 0;
    length = 0;

    push(value: number): void {
        this.length++;
        this.sum += value;
        if (value < this.min) this.min = value;
        if (value > this.max) this.max = value;
        if (value < smallest) this.zeros++;
        else this.counts[Math.min(bucketCount - 1, Math.floor(Math.log(value / smallest) / Math.log(growth)))]++;
    }

    get content(): HistogramContent {
        const { counts, zeros, sum, min, max } = this;
        return { counts, zeros, sum, min, max };
    }

    add({ counts, zeros, sum, min, max }: HistogramContent): void {
        for (let i = 0; i < bucketCount; i++) {
            this.counts[i] += counts[i];
            this.length += counts[i];
        }
        this.zeros += zeros;
        this.length += zeros;
        this.sum += sum;
        this.min = Math.min(this.min, min);
        this.max = Math.max(this.max, max);
    }

    /** "BUCKET:COUNT ..." of those that hold something; "-1" for zeros. */
    text(): string {
        const parts = this.zeros > 0 ? [`-1:${this.zeros}`] : [];
        this.counts.forEach((count, bucket) => {
            if (count > 0) parts.push(`${bucket}:${count}`);
        });
        return parts.join(" ");
    }

    /** Mean, min and max are exact. */
    summary(): Summary | null {
        const { length, min, max } = this;
        if (length === 0) return null;
        const [p50, p95, p99] = [0.5, 0.95, 0.99].map((q) => this.quantile(q));
        return { mean: this.sum / length, min, max, p50, p95, p99 };
    }

    /** As `quantile` of the values; of a histogram that is not empty. */
    quantile(q: number): number {
        return Math.min(this.max, Math.max(this.min, this.byRank(q * (this.length - 1))));
    }

    /** The value that `rank` values lie below. */
    private byRank(rank: number): number {
        let below = this.zeros;
        if (rank < below) return 0;
        for (let i = 0; i < bucketCount; i++) {
            below += this.counts[i];
            if (rank < below) return bucketMiddle(i);
        }
        return this.max;
    }
}

/** What `Histogram.text` wrote. */
export function histogramEntries(text: string): { bucket: number; count: number }[] {
    return (text === "" ? [] : text.split(" ")).map((part) => {
        const [bucket, count] = part.split(":").map(Number);
        return { bucket, count };
    });
}

/** The value that stands for all of a histogram's bucket. */
export function bucketMiddle(bucket: number): number {
    return bucket < 0 ? 0 : smallest * growth ** (bucket + 0.5);
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
