import { choices, marks, type DashboardSpec, type PanelSpec, type Query } from "../../src/monitoring/dashboards/panels";
import { seriesNames } from "../../src/vllm/metrics";

/** A line of a panel. */
export interface Line {
    label: string;
    /** Whether it is there to compare with. */
    reference: boolean;
    /** Unix seconds and value, in the order of time; only finite values. */
    points: [t: number, value: number][];
}

/** A panel with what a Prometheus has for it. */
export interface FilledPanel {
    spec: PanelSpec;
    lines: Line[];
    /** What is wrong with it: a query that failed, or one without data. */
    faults: string[];
    /** Name of the metric that this Prometheus does not have and the panel needs; then it has no faults. */
    lacks?: string;
}

export interface FilledDashboard {
    spec: DashboardSpec;
    rows: { title: string; panels: FilledPanel[] }[];
}

/** A moment that is marked in every graph. */
export interface Mark {
    t: number;
    color: string;
}

/** A span of time, in Unix seconds. */
export interface Span {
    from: number;
    to: number;
}

/** Points that a line has at most. */
const points = 240;
/** Prometheus' scrape interval as the data source in Grafana knows it, in seconds. */
const scrapeInterval = 15;

/** Asks a Prometheus for everything that the dashboards show, as Grafana would with "All" in each choice. */
export class DashboardQueries {
    private readonly step: number;
    private values: Record<string, string> = {};
    private readonly known = new Map<string, Promise<boolean>>();

    constructor(
        /** `http://host:port`, with a path if it has one. */
        private readonly url: string,
        private readonly span: Span,
    ) {
        this.step = Math.max(5, Math.ceil((span.to - span.from) / points));
    }

    /** @throws Error when Prometheus cannot be reached */
    async fill(specs: DashboardSpec[]): Promise<FilledDashboard[]> {
        for (const { name, series, of, all } of choices) {
            const found = all ? [] : await this.labelValues(this.interpolate(series), of);
            this.values[name] = all ?? (found.length > 1 ? `(${found.map(escapeRegex).join("|")})` : escapeRegex(found[0] ?? ""));
        }
        const filled: FilledDashboard[] = [];
        for (const spec of specs) {
            const rows = [];
            for (const { title, panels } of spec.rows) {
                rows.push({ title, panels: await Promise.all(panels.map((panel) => this.panel(panel))) });
            }
            filled.push({ spec, rows });
        }
        return filled;
    }

    /** When alerts began to fire, and when the number of replicas changed. */
    async marks(): Promise<Mark[]> {
        const found = await Promise.all(
            marks.map(async ({ expr, color }) => {
                const lines = await this.lines({ expr, legend: "" });
                return lines.flatMap(({ points }) =>
                    points
                        .filter(([t], index) => index === 0 || t - points[index - 1][0] > 1.5 * this.step)
                        .map(([t]) => ({ t, color })),
                );
            }),
        );
        return found.flat();
    }

    private async panel(spec: PanelSpec): Promise<FilledPanel> {
        if (spec.needs && !(await this.has(seriesNames([spec.needs])[0]))) {
            return { spec, lines: [], faults: [], lacks: spec.needs.name };
        }
        const lines: Line[] = [];
        const faults: string[] = [];
        for (const query of spec.queries) {
            try {
                const found = await (spec.kind === "stat" ? this.present(query) : this.lines(query));
                if (found.length === 0) faults.push(`no data for ${query.expr}`);
                lines.push(...found);
            } catch (error) {
                faults.push(`${(error as Error).message}, for ${query.expr}`);
            }
        }
        return { spec, lines, faults };
    }

    /** The values at the end of the span, as Grafana asks for those of a stat. */
    private async present({ expr }: Query): Promise<Line[]> {
        const instant = { query: this.interpolate(expr), time: String(this.span.to) };
        const { result } = (await this.ask("/api/v1/query", instant)) as { result: { value: [number, string] }[] };
        return result
            .map(({ value: [t, value] }): Line => ({ label: "", reference: false, points: [[t, Number(value)]] }))
            .filter(({ points: [[, value]] }) => Number.isFinite(value));
    }

    private async lines({ expr, legend, reference }: Query): Promise<Line[]> {
        const { from, to } = this.span;
        const query = this.interpolate(expr);
        const range = { query, start: String(from), end: String(to), step: String(this.step) };
        const { result } = (await this.ask("/api/v1/query_range", range)) as {
            result: { metric: Record<string, string>; values: [number, string][] }[];
        };
        return result
            .map(({ metric, values }) => ({
                label: legend.replaceAll(/{{(\w+)}}/g, (_, label: string) => metric[label] ?? "").trim(),
                reference: reference ?? false,
                points: values
                    .map(([t, value]): [number, number] => [t, Number(value)])
                    .filter(([, value]) => Number.isFinite(value)),
            }))
            .filter((line) => line.points.length > 0)
            .sort((a, b) => a.label.localeCompare(b.label));
    }

    /** Puts the choices in, and the intervals as Grafana does: a rate spans at least four scrapes. */
    private interpolate(expr: string): string {
        const rate = Math.max(4 * scrapeInterval, this.step + scrapeInterval);
        const values: Record<string, string> = {
            ...this.values,
            __rate_interval: `${rate}s`,
            __range: `${Math.round(this.span.to - this.span.from)}s`,
        };
        return expr.replaceAll(/\$(\w+)/g, (_, name: string) => values[name] ?? `$${name}`);
    }

    private has(name: string): Promise<boolean> {
        let answer = this.known.get(name);
        if (!answer) {
            answer = this.labelValues(name, "__name__").then((values) => values.length > 0);
            this.known.set(name, answer);
        }
        return answer;
    }

    private async labelValues(series: string, label: string): Promise<string[]> {
        const { from, to } = this.span;
        return (await this.ask(`/api/v1/label/${label}/values`, {
            "match[]": series,
            start: String(from),
            end: String(to),
        })) as string[];
    }

    private async ask(path: string, parameters: Record<string, string>): Promise<unknown> {
        const query = new URLSearchParams(parameters);
        let response: Response;
        try {
            response = await fetch(`${this.url}${path}?${query.toString()}`, { signal: AbortSignal.timeout(30_000) });
        } catch (error) {
            const { cause, message } = error as Error & { cause?: Error };
            throw new Error(`no Prometheus at ${this.url} (${cause?.message ?? message}); give its address with --prometheus`);
        }
        const body = (await response.json().catch(() => ({}))) as { status?: string; data?: unknown; error?: string };
        if (body.status !== "success") throw new Error(body.error ?? `status ${response.status} from ${this.url}`);
        return body.data;
    }
}

function escapeRegex(text: string): string {
    return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\\\$&");
}
