import { serverMetrics, vllmMetrics } from "../../src/vllm/metrics";
import { get } from "./client";
import { Connection, Connector, type Endpoint } from "./connection";

/** What vLLM's own metrics say of the time of a run: the other view of the same requests. */
export interface ServerFigures {
    /** Replicas that were seen twice at least. */
    replicas: number;
    /** Requests that they finished meanwhile; fewer than the client's where replicas came or went between two looks. */
    requests: number;
    ttftSeconds: ServerSummary | null;
    interTokenSeconds: ServerSummary | null;
    latencySeconds: ServerSummary | null;
}

/** Percentiles of a histogram: interpolated within a bucket, as Prometheus does. */
export interface ServerSummary {
    mean: number;
    p50: number;
    p95: number;
    p99: number;
}

const histograms = {
    ttftSeconds: vllmMetrics.timeToFirstToken.name,
    interTokenSeconds: vllmMetrics.interTokenLatency.name,
    latencySeconds: vllmMetrics.e2eRequestLatency.name,
};
const processStart = serverMetrics.processStartTime.name;

/** Cumulative buckets of one histogram, summed over its labels. */
export interface Buckets {
    sum: number;
    count: number;
    /** By upper bound, ascending; the last is Infinity. */
    counts: Map<number, number>;
}

/** vLLM's histograms as they were at one moment. */
export type ServerPage = Record<keyof typeof histograms, Buckets>;

const periodMs = 2000;

/**
 * Reads `/metrics` again and again, each time over a connection of its own: the address is that of a load balancer, and each
 * look meets one replica. Replicas are told apart by the start of their process.
 */
export class ServerWatch {
    private readonly connector: Connector;
    private readonly first = new Map<string, ServerPage>();
    private readonly last = new Map<string, ServerPage>();
    private timer?: NodeJS.Timeout;
    private stopped = false;

    constructor(endpoint: Endpoint) {
        this.connector = metricsConnector(endpoint);
    }

    /** Looks at once, then a period after each look. Never rejects: what has no metrics has no figures. */
    async begin(): Promise<void> {
        await this.look();
        if (!this.stopped) this.timer = setTimeout(() => void this.begin(), periodMs);
    }

    /** Looks a few times more, for what the last requests did; then the figures, undefined when there are none. */
    async end(): Promise<ServerFigures | undefined> {
        this.stopped = true;
        clearTimeout(this.timer);
        let looks = 3 * this.first.size;
        while (looks-- > 0 && (await this.look()));
        const pairs = [...this.last].map(([start, last]) => ({ first: this.first.get(start)!, last }));
        const seen = pairs.filter(({ first, last }) => first !== last);
        if (seen.length === 0) return undefined;
        const grown = (name: keyof ServerPage): Buckets =>
            addBuckets(seen.map(({ first, last }) => difference(first[name], last[name])));
        return {
            replicas: seen.length,
            requests: grown("latencySeconds").count,
            ttftSeconds: serverSummary(grown("ttftSeconds")),
            interTokenSeconds: serverSummary(grown("interTokenSeconds")),
            latencySeconds: serverSummary(grown("latencySeconds")),
        };
    }

    /** Whether there was a page to be seen. */
    private async look(): Promise<boolean> {
        try {
            const { start, page } = await serverPage(this.connector);
            if (!this.first.has(start)) this.first.set(start, page);
            this.last.set(start, page);
            return true;
        } catch {
            // An app without metrics, or one that just now does not answer: the report then has no such figures.
            return false;
        }
    }
}

/** Leads to the metrics of an app: they lie beside /v1, not under it. */
export function metricsConnector(endpoint: Endpoint): Connector {
    const url = new URL(endpoint.baseUrl);
    return new Connector({ ...endpoint, baseUrl: url.origin + url.pathname.replace(/\/v1$/, "") });
}

/**
 * The page of whichever replica is met, over a connection of its own; `start` tells it from others, and from itself after a
 * restart. Throws an Error for people when there is none.
 */
export async function serverPage(connector: Connector): Promise<{ start: string; page: ServerPage }> {
    const connection = new Connection(connector, 0);
    try {
        const { status, text } = await get(connector, connection, "/metrics", 5000);
        if (status !== 200) throw new Error(`${connector.endpoint.baseUrl}/metrics answers ${status}`);
        const start = new RegExp(`^${processStart} (\\S+)`, "m").exec(text)?.[1];
        if (start === undefined) throw new Error(`${connector.endpoint.baseUrl}/metrics is no page of vLLM's metrics`);
        return { start, page: readPage(text) };
    } finally {
        connection.close();
    }
}

function readPage(text: string): ServerPage {
    const page = Object.fromEntries(
        Object.keys(histograms).map((key) => [key, { sum: 0, count: 0, counts: new Map() }]),
    ) as unknown as ServerPage;
    const keys = new Map<string, keyof ServerPage>(
        Object.entries(histograms).map(([key, name]) => [name, key as keyof ServerPage]),
    );
    for (const line of text.split("\n")) {
        const match = /^([\w:]+)_(sum|count|bucket)\{([^}]*)\} (\S+)/.exec(line);
        const key = match && keys.get(match[1]);
        if (!key) continue;
        const value = Number(match[4]);
        if (match[2] !== "bucket") page[key][match[2] as "sum" | "count"] += value;
        else {
            const text = /le="([^"]+)"/.exec(match[3])?.[1] ?? "NaN";
            const bound = text === "+Inf" ? Infinity : Number(text);
            page[key].counts.set(bound, (page[key].counts.get(bound) ?? 0) + value);
        }
    }
    return page;
}

/** What was counted between two looks at the same replica. */
export function difference(first: Buckets, last: Buckets): Buckets {
    return {
        sum: last.sum - first.sum,
        count: last.count - first.count,
        counts: new Map([...last.counts].map(([bound, count]) => [bound, count - (first.counts.get(bound) ?? 0)])),
    };
}

function addBuckets(all: Buckets[]): Buckets {
    const total: Buckets = { sum: 0, count: 0, counts: new Map() };
    for (const { sum, count, counts } of all) {
        total.sum += sum;
        total.count += count;
        for (const [bound, value] of counts) total.counts.set(bound, (total.counts.get(bound) ?? 0) + value);
    }
    return total;
}

/** Null when nothing was counted. A value above the last bound counts as that bound. */
export function serverSummary({ sum, count, counts }: Buckets): ServerSummary | null {
    if (count === 0) return null;
    const bounds = [...counts].sort(([a], [b]) => a - b);
    const at = (q: number): number => {
        const rank = q * count;
        const place = bounds.findIndex(([, below]) => below >= rank);
        const [bound, below] = bounds[Math.max(0, place)];
        const [lower, before] = place > 0 ? bounds[place - 1] : [0, 0];
        if (bound === Infinity) return lower;
        return lower + ((bound - lower) * (rank - before)) / Math.max(1, below - before);
    };
    return { mean: sum / count, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
