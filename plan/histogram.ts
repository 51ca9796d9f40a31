/**
 * Counts of seconds in buckets 2 % wide, from 1 ms to a day: what a year of traffic needs to tell its percentiles, in a few
 * kilobytes.
 */
const least = 0.001;
const growth = Math.log(1.02);
const buckets = Math.ceil(Math.log(86_400 / least) / growth) + 2;

function bucketOf(seconds: number): number {
    return seconds <= least ? 0 : Math.min(buckets - 1, 1 + Math.floor(Math.log(seconds / least) / growth));
}

export class Histogram {
    count = 0;
    private readonly counts = new Float64Array(buckets);

    add(seconds: number): void {
        this.counts[bucketOf(seconds)]++;
        this.count++;
    }

    clear(): void {
        this.count = 0;
        this.counts.fill(0);
    }

    /** Share of the values above this one, within 1 % of it; NaN of nothing. */
    shareAbove(seconds: number): number {
        return this.counts.subarray(bucketOf(seconds) + 1).reduce((sum, count) => sum + count, 0) / this.count;
    }

    /** The value below which this share lies, within 1 %; NaN of nothing. */
    quantile(share: number): number {
        if (this.count === 0) return NaN;
        let left = share * this.count;
        for (let i = 0; i < buckets; i++) {
            left -= this.counts[i];
            if (left <= 0) return i === 0 ? least : least * Math.exp((i - 0.5) * growth);
        }
        return Infinity;
    }
}
