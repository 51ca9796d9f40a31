/** A range as Grafana's addresses write it: each end `now`, `now-1h`, Unix milliseconds or an ISO 8601 time. */
export interface TimeRange {
    from: string;
    to: string;
}

/** Unix seconds. */
export interface Span {
    from: number;
    to: number;
}

/** The ranges that the page offers, by their address; each ends now. */
export const quickRanges: Record<string, string> = {
    "now-5m": "Last 5 minutes",
    "now-15m": "Last 15 minutes",
    "now-30m": "Last 30 minutes",
    "now-1h": "Last 1 hour",
    "now-3h": "Last 3 hours",
    "now-6h": "Last 6 hours",
    "now-12h": "Last 12 hours",
    "now-24h": "Last 24 hours",
    "now-2d": "Last 2 days",
    "now-7d": "Last 7 days",
};

const unitSeconds: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Seconds of a duration such as `15s` or `1h`; undefined for anything else. */
export function secondsOf(duration: string): number | undefined {
    const [, count, unit] = /^(\d+)([smhdw])$/.exec(duration) ?? [];
    return unit === undefined ? undefined : Number(count) * unitSeconds[unit];
}

/** The span that a range is at `now`, Unix seconds; undefined for a range that is none. */
export function spanOf({ from, to }: TimeRange, now: number): Span | undefined {
    const span = { from: momentOf(from, now), to: momentOf(to, now) };
    if (span.from === undefined || span.to === undefined || span.from >= span.to) return undefined;
    return span as Span;
}

function momentOf(text: string, now: number): number | undefined {
    if (text === "now") return now;
    if (text.startsWith("now-")) {
        const ago = secondsOf(text.slice(4));
        return ago === undefined ? undefined : now - ago;
    }
    const milliseconds = /^\d+$/.test(text) ? Number(text) : /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : NaN;
    return Number.isFinite(milliseconds) ? milliseconds / 1000 : undefined;
}

/** What a range is called. */
export function rangeTitle(range: TimeRange, now: number): string {
    const quick = range.to === "now" ? quickRanges[range.from] : undefined;
    if (quick !== undefined) return quick;
    const span = spanOf(range, now);
    if (!span) return `${range.from} to ${range.to}`;
    const [from, to] = [span.from, span.to].map((t) => dayAndClock(t));
    // The day is said once when both are of the same.
    const [day] = from.split(", ");
    return `${from} to ${to.startsWith(`${day}, `) ? to.slice(day.length + 2) : to}`;
}

function dayAndClock(t: number): string {
    const time = new Date(t * 1000);
    const day = time.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
    return `${day}, ${time.toLocaleTimeString("en-GB")}`;
}

/** Points that a line has at most. */
const mostPoints = 240;
/** Prometheus' scrape interval as the data source in Grafana knows it, in seconds: no line has points that are closer. */
export const scrapeInterval = 15;

/** Distance of the points of lines over this span, in seconds. */
export function stepOf({ from, to }: Span): number {
    return Math.max(scrapeInterval, Math.ceil((to - from) / mostPoints));
}

/** The moments at which lines have their points: multiples of the step, so that a later look asks for the same ones. */
export function gridOf(span: Span, step: number): number[] {
    const first = Math.floor(span.from / step) * step;
    const count = Math.floor((span.to - first) / step) + 1;
    return Array.from({ length: count }, (_, index) => first + index * step);
}

/** The window of a rate, as Grafana's `$__rate_interval`: at least four scrapes. */
export function rateInterval(step: number): number {
    return Math.max(4 * scrapeInterval, step + scrapeInterval);
}
