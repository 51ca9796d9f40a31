import { ApiError } from "./api-error";

/** OVHcloud's fair use, per credential. */
export const callsPerMinute = 60;

/** Refuses the calls of a credential that are too many in any minute. Those that it refuses do not count. */
export class RateLimit {
    private readonly taken = new Map<string, number[]>();

    /**
     * @param calls in a minute
     * @param minuteMs how long the minute is, in real milliseconds
     */
    constructor(
        private readonly calls: number,
        private readonly minuteMs: number,
    ) {}

    /** Throws an ApiError 429 with `Retry-After`. */
    take(credential: string): void {
        const now = performance.now();
        const recent = (this.taken.get(credential) ?? []).filter((at) => at > now - this.minuteMs);
        if (recent.length >= this.calls) {
            const seconds = Math.ceil((recent[0] + this.minuteMs - now) / 1000);
            throw new ApiError(429, "Client::TooManyRequests", `more than ${this.calls} calls in a minute`, {
                "retry-after": String(seconds),
            });
        }
        this.taken.set(credential, [...recent, now]);
    }
}
