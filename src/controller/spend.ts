/** What the replicas have cost this month, from Prometheus: replica-hours times price. */

export interface Priced {
    name: string;
    /** Euros per hour of one replica. */
    price?: number;
}

/** What is spent in a month, by model, those that are gone since too, up to a minute. */
export interface MonthSpend {
    /** Such as `2026-11`, UTC. */
    month: string;
    euros: Record<string, number>;
    /** Unix time in seconds, a whole minute. */
    until: number;
}

/** Instant query: value by the series' label `model`, the empty text where it has none. */
export type Query = (expression: string, time: number) => Promise<Record<string, number>>;

/** Seconds by which what is counted lags behind: series of the last minute may not be there yet. */
const lagSeconds = 120;

/** Replicas by model, as they were seen in Prometheus or told by the API, whichever knows of more. */
const replicas = `max by (model) ({__name__=~"model:replicas:count|vllm_controller_replicas"})`;

/**
 * Counts on from what it has counted before. Prometheus keeps less than a month (15 days by default), so the total is not
 * asked for anew each time: it is this program's own series, which it finds again there when it starts.
 */
export class Spend {
    private counted?: MonthSpend;

    constructor(
        private readonly models: Priced[],
        private readonly query: Query,
    ) {}

    /** @throws when Prometheus does not answer */
    async upTo(now: Date): Promise<MonthSpend> {
        const month = monthOf(now);
        if (this.counted?.month !== month) this.counted = await this.begin(month, now);
        const { until, euros } = this.counted;
        const next = Math.max(until, floorMinute(now.getTime() / 1000 - lagSeconds));
        if (next === until) return this.counted;
        const minutes = await this.query(`sum_over_time((${replicas})[${next - until}s:1m])`, next);
        const added = this.models.map(({ name, price = 0 }): [string, number] => [
            name,
            (euros[name] ?? 0) + ((minutes[name] ?? 0) / 60) * price,
        ]);
        // A model that was renamed, or taken out of the stack, has cost what it has cost.
        return (this.counted = { month, euros: { ...euros, ...Object.fromEntries(added) }, until: next });
    }

    /** Where an earlier run of this program stopped counting this month; from the first minute on where none did. */
    private async begin(month: string, now: Date): Promise<MonthSpend> {
        const first = Date.parse(`${month}-01T00:00:00Z`) / 1000;
        const time = now.getTime() / 1000;
        const window = `${Math.max(60, Math.ceil(time - first))}s`;
        const earlier = async (metric: string): Promise<Record<string, number>> =>
            this.query(`max by (model) (max_over_time(${metric}{month="${month}"}[${window}]))`, time);
        const until = Object.values(await earlier("vllm_controller_spend_until_timestamp_seconds"))[0];
        if (until === undefined) return { month, euros: {}, until: first };
        return { month, euros: await earlier("vllm_controller_spend_euros"), until };
    }
}

export function totalOf({ euros }: MonthSpend): number {
    return Object.values(euros).reduce((sum, one) => sum + one, 0);
}

function monthOf(at: Date): string {
    return at.toISOString().slice(0, 7);
}

function floorMinute(seconds: number): number {
    return Math.floor(seconds / 60) * 60;
}

const timeoutMs = 20_000;

/** @param prometheus base URL */
export function prometheusQuery(prometheus: string): Query {
    return async (expression, time) => {
        const url = new URL("/api/v1/query", prometheus);
        url.search = new URLSearchParams({ query: expression, time: String(time) }).toString();
        const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
        if (!answer.ok) throw new Error(`Prometheus answers ${answer.status}`);
        const { data } = (await answer.json()) as {
            data: { result: { metric: { model?: string }; value: [number, string] }[] };
        };
        return Object.fromEntries(data.result.map(({ metric, value }) => [metric.model ?? "", Number(value[1])]));
    };
}
