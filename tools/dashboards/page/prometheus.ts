import { gridOf, rateInterval, type Span } from "./time-range";

/** A series over a grid of moments; null where it has no value. */
export interface Series {
    labels: Record<string, string>;
    values: (number | null)[];
}

/** Prometheus or the way to it failed; the message is for people. */
export class QueryError extends Error {}

/** Asks Prometheus through the server of this page, for one look at a span of time. */
export class Prometheus {
    /** Moments of all lines, Unix seconds. */
    readonly times: number[];

    constructor(
        readonly span: Span,
        /** Seconds between the points of a line. */
        readonly step: number,
        /** What stands for each variable, ready to be put into an expression. */
        readonly variables: Record<string, string>,
        private readonly signal: AbortSignal,
    ) {
        this.times = gridOf(span, step);
    }

    /** The same expression with the variables, and the intervals as Grafana sets them, in their places. */
    interpolate(expr: string): string {
        const values: Record<string, string> = {
            ...this.variables,
            __rate_interval: `${rateInterval(this.step)}s`,
            __range: `${Math.round(this.span.to - this.span.from)}s`,
        };
        return interpolate(expr, values);
    }

    /** @param step seconds; default: that of the lines */
    async range(expr: string, times = this.times, step = this.step): Promise<Series[]> {
        const { result } = await this.ask<{ result: { metric: Series["labels"]; values: [number, string][] }[] }>(
            "query_range",
            {
                query: this.interpolate(expr),
                start: String(times[0]),
                end: String(times.at(-1)),
                step: String(step),
            },
        );
        return result.map(({ metric, values }) => {
            const byTime = new Map(values.map(([t, value]) => [t, finite(value)]));
            return { labels: metric, values: times.map((t) => byTime.get(t) ?? null) };
        });
    }

    /** The values at the end of the span. */
    async instant(expr: string): Promise<Series[]> {
        const { result } = await this.ask<{ result: { metric: Series["labels"]; value: [number, string] }[] }>(
            "query",
            { query: this.interpolate(expr), time: String(this.span.to) },
        );
        return result.map(({ metric, value: [, value] }) => ({ labels: metric, values: [finite(value)] }));
    }

    /** The values that a label has in these series within the span, sorted. */
    async labelValues(series: string, label: string): Promise<string[]> {
        const { from, to } = this.span;
        const values = await this.ask<string[]>(`label/${encodeURIComponent(label)}/values`, {
            "match[]": this.interpolate(series),
            start: String(from),
            end: String(to),
        });
        return values.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    }

    private async ask<T>(path: string, parameters: Record<string, string>): Promise<T> {
        const query = new URLSearchParams(parameters).toString();
        let answer: Response;
        try {
            answer = await fetch(`/prometheus/api/v1/${path}?${query}`, { signal: this.signal });
        } catch (error) {
            if (this.signal.aborted) throw error;
            throw new QueryError("the server of this page does not answer");
        }
        const body = (await answer.json().catch(() => ({}))) as { status?: string; data?: T; error?: string };
        if (body.status !== "success") throw new QueryError(body.error ?? `Prometheus answers ${answer.status}`);
        return body.data as T;
    }
}

function finite(text: string): number | null {
    const value = Number(text);
    return Number.isFinite(value) ? value : null;
}

/** Puts values in the places of `$name`, `${name}` and `${name:format}`; an unknown name stays. */
export function interpolate(text: string, values: Record<string, string>): string {
    return text.replaceAll(/\$(?:(\w+)|\{(\w+)(?::\w+)?\})/g, (all, bare?: string, braced?: string) => {
        return values[bare ?? braced ?? ""] ?? all;
    });
}

/** A name made of a series' labels, as `{{label}}` says; all its labels when the format is empty. */
export function legendOf(format: string, labels: Record<string, string>): string {
    if (format !== "") {
        return format.replaceAll(/\{\{\s*(\w+)\s*\}\}/g, (_, label: string) => labels[label] ?? "").trim();
    }
    const { __name__: name = "", ...rest } = labels;
    const texts = Object.entries(rest).map(([label, value]) => `${label}="${value}"`);
    return texts.length > 0 ? `${name}{${texts.join(", ")}}` : name;
}
