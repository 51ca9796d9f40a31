import type { MonitoringApi } from "./monitoring-api";

export interface Sample {
    labels: Record<string, string>;
    value: number;
}

/** A series over time: Unix seconds and values. */
export interface Series {
    labels: Record<string, string>;
    points: [t: number, value: number][];
}

/** What Prometheus says of one scrape target, in part. */
export interface ScrapeTarget {
    labels: Record<string, string>;
    scrapeUrl: string;
    /** ISO 8601. */
    lastScrape: string;
    lastError: string;
    health: string;
    scrapeInterval: string;
    scrapeTimeout: string;
}

/** One rule as Prometheus evaluates it, in part. */
export interface LoadedRule {
    name: string;
    type: "alerting" | "recording";
    health: string;
    lastError?: string;
    state?: string;
}

/** A Prometheus that is asked. */
export class Prometheus {
    constructor(readonly api: MonitoringApi) {}

    /** The value of an expression now. */
    async query(expression: string): Promise<Sample[]> {
        const { result } = await this.data(`/api/v1/query?${parameters({ query: expression })}`);
        return (result as { metric: Record<string, string>; value: [number, string] }[]).map(({ metric, value }) => ({
            labels: metric,
            value: Number(value[1]),
        }));
    }

    /** The single value of an expression now; undefined when it has no result. */
    async value(expression: string): Promise<number | undefined> {
        return (await this.query(expression))[0]?.value;
    }

    /** @param span Unix seconds, and seconds between two points */
    async range(expression: string, span: { from: number; to: number; step: number }): Promise<Series[]> {
        const { from: start, to: end, step } = span;
        const asked = { query: expression, start: String(start), end: String(end), step: String(step) };
        const { result } = await this.data(`/api/v1/query_range?${parameters(asked)}`);
        return (result as { metric: Record<string, string>; values: [number, string][] }[]).map(
            ({ metric, values }) => ({ labels: metric, points: values.map(([t, value]) => [t, Number(value)]) }),
        );
    }

    async targets(): Promise<ScrapeTarget[]> {
        return (await this.data("/api/v1/targets?state=active")).activeTargets as ScrapeTarget[];
    }

    async rules(): Promise<LoadedRule[]> {
        const { groups } = await this.data("/api/v1/rules");
        return (groups as { rules: LoadedRule[] }[]).flatMap(({ rules }) => rules);
    }

    /** Addresses of the Alertmanagers that it sends alerts to. */
    async alertmanagers(): Promise<string[]> {
        const { activeAlertmanagers } = await this.data("/api/v1/alertmanagers");
        return (activeAlertmanagers as { url: string }[]).map(({ url }) => url);
    }

    /** Its configuration, YAML. */
    async config(): Promise<string> {
        return (await this.data("/api/v1/status/config")).yaml as string;
    }

    /** What it says of a target that is down. */
    async lastScrapeError(job: string): Promise<string> {
        const target = (await this.targets()).find(({ labels }) => labels.job === job);
        return target?.lastError || "no error given";
    }

    private async data(path: string): Promise<any> {
        return ((await this.api.get(path)) as { data: unknown }).data;
    }
}

function parameters(given: Record<string, string>): string {
    return new URLSearchParams(given).toString();
}
