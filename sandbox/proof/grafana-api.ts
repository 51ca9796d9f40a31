import { dashboardFiles } from "../../src/monitoring/dashboards/files";
import { eventually, expect, type Check } from "../../tools/verify/check";

/** A Grafana that runs, and what it is to show. */
interface GrafanaInput {
    url: string;
    /** Of its administrator, `admin`. */
    password: string;
    models: string[];
    /** Seconds that it may take to start, since it makes its database first, and to load a dashboard. */
    patience?: number;
}

interface Target {
    refId: string;
    expr: string;
    instant?: boolean;
}

/** The data source, as the chart provisions it. */
const datasource = { type: "prometheus", uid: "prometheus" };

/** What Grafana's own API says of what the stack has provisioned. */
export async function checkGrafana(
    check: Check,
    { url, password, models, patience = 120 }: GrafanaInput,
): Promise<void> {
    const ask = asAdministrator(url, password);
    await check("Grafana reaches Prometheus by its data source", () =>
        eventually(async () => {
            const { status, message } = await ask<{ status: string; message: string }>(
                `/api/datasources/uid/${datasource.uid}/health`,
            );
            expect(status === "OK", `the data source is ${status}: ${message}`);
            return message;
        }, patience),
    );
    const expected = Object.values(dashboardFiles(models)).map((text) => JSON.parse(text) as DashboardFile);
    await check("Grafana has the dashboards, provisioned", () =>
        eventually(async () => {
            for (const { uid, title, panels } of expected) {
                const { dashboard, meta } = await ask<{ dashboard: DashboardFile; meta: { provisioned: boolean } }>(
                    `/api/dashboards/uid/${uid}`,
                );
                expect(meta.provisioned, `${uid} is there, but not from a file`);
                expect(dashboard.title === title, `${uid} is called "${dashboard.title}"`);
                const count = dashboard.panels.length;
                expect(count === panels.length, `${uid} has ${count} panels and rows, not ${panels.length}`);
            }
            return expected.map(({ title }) => title).join(", ");
        }, patience),
    );
    await check("Grafana asks what each panel asks, without an error", async () => {
        const panels = expected.flatMap(({ uid, panels: all }) => all.map((panel) => ({ uid, ...panel })));
        const asking = panels.filter((panel) => panel.targets !== undefined);
        let filled = 0;
        for (const { uid, title, targets = [] } of asking) {
            const results = await askPanel(ask, targets, models).catch((error: Error) => {
                throw new Error(`${uid}, ${title}: ${error.message}`);
            });
            if (results.some(({ frames }) => frames?.some(hasValues))) filled++;
        }
        return `${asking.length} panels, ${filled} with data`;
    });
}

interface DashboardFile {
    uid: string;
    title: string;
    panels: { title: string; targets?: Target[] }[];
}

/** An answer of `/api/ds/query` for one query; a frame holds a time series in columns. */
interface QueryResult {
    error?: string;
    frames?: { data?: { values?: unknown[][] } }[];
}

function hasValues({ data }: NonNullable<QueryResult["frames"]>[number]): boolean {
    return (data?.values ?? []).some((column) => column.length > 0);
}

/** As the page of Grafana does, which puts the choices in before it asks. */
async function askPanel(ask: Ask, targets: Target[], models: string[]): Promise<QueryResult[]> {
    const choices: Record<string, string> = {
        model: models.length > 1 ? `(${models.join("|")})` : models[0],
        replica: ".*",
    };
    const queries = targets.map(({ refId, expr, instant = false }) => ({
        refId,
        datasource,
        expr: expr.replaceAll(/\$(\w+)/g, (all, name: string) => choices[name] ?? all),
        instant,
        range: !instant,
        intervalMs: 15_000,
        maxDataPoints: 100,
    }));
    const { results } = await ask<{ results: Record<string, QueryResult> }>("/api/ds/query", {
        queries,
        from: "now-15m",
        to: "now",
    });
    return targets.map(({ refId }) => {
        const result = results[refId];
        expect(result, `no result for query ${refId}`);
        expect(result.error === undefined, `${result.error}`);
        return result;
    });
}

type Ask = <T>(path: string, body?: object) => Promise<T>;

function asAdministrator(url: string, password: string): Ask {
    const authorization = `Basic ${Buffer.from(`admin:${password}`).toString("base64")}`;
    return async <T>(path: string, body?: object) => {
        const answer = await fetch(url + path, {
            method: body ? "POST" : "GET",
            headers: { authorization, ...(body && { "content-type": "application/json" }) },
            body: body && JSON.stringify(body),
            signal: AbortSignal.timeout(30_000),
        }).catch((error: Error & { cause?: Error }) => {
            throw new Error(`Grafana at ${url} does not answer: ${error.cause?.message ?? error.message}`);
        });
        const text = await answer.text();
        expect(answer.ok, `Grafana answers ${answer.status} to ${path}: ${text.slice(0, 200)}`);
        return JSON.parse(text) as T;
    };
}
