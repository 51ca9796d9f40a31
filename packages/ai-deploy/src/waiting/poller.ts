import { sleep } from "./cancellation";

const firstPauseMs = 2000;
const widestPauseMs = 15_000;
const growth = 1.3;

export interface PollerOptions {
    requestsPerMinute: number;
    /** Every pause, in place of the growing ones. */
    fixedMs?: number;
}

/**
 * Paces the looks at things that take minutes. Pauses are short at first, so that a quick change is seen soon, then grow
 * to 15 s: at most 250 looks in an hour of waiting. When many wait at once their pauses grow with their number, so that
 * all looks together take no more than half of the rate limit.
 */
export class Poller {
    private waiting = 0;

    constructor(private readonly options: PollerOptions) {}

    /** Looks, after a pause each, until there is a value. The look itself has to end a wait that takes too long. */
    async until<T>(look: () => Promise<T | undefined>): Promise<T> {
        this.waiting++;
        try {
            for (let n = 0; ; n++) {
                await sleep(this.pauseMs(n));
                const value = await look();
                if (value !== undefined) return value;
            }
        } finally {
            this.waiting--;
        }
    }

    /** Milliseconds before look number `n`, from 0. */
    pauseMs(n: number): number {
        const own = this.options.fixedMs ?? Math.min(widestPauseMs, firstPauseMs * growth ** n);
        return Math.max(own, (this.waiting * 60_000) / (this.options.requestsPerMinute / 2));
    }
}
