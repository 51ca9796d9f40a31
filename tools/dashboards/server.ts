import { join } from "node:path";
import { dashboardFiles, guideDashboard } from "../../src/monitoring/dashboards/files";
import { commonFiles, htmlFile, scriptFile, styleFile, type PageFile } from "./page-files";

/** An answer to a GET. */
export interface PageAnswer {
    status: number;
    headers: Record<string, string>;
    body: string | Buffer;
}

const folder = join(__dirname, "page");
const json = "application/json";

const page = htmlFile(join(folder, "index.html"));
const files: Record<string, PageFile> = {
    ...commonFiles,
    "/dashboards.css": styleFile(join(folder, "dashboards.css")),
    "/dashboards.js": scriptFile(join(folder, "dashboards.ts")),
    "/dashboards.json": { type: json, read: allDashboards },
};

/** What the page may ask of Prometheus: data, never its configuration. */
const queries = /^\/prometheus(\/api\/v1\/(query|query_range|label\/\w+\/values))$/;
const queryTimeoutMs = 30_000;

/**
 * Everything that the page of the dashboards consists of: `/d/UID` and its files, the dashboards as Grafana loads them, and what
 * they ask of Prometheus.
 * @param prometheusUrl base URL of Prometheus; undefined while there is none
 * @returns undefined for what is none of this page's
 */
export async function answerDashboards(url: URL, prometheusUrl: string | undefined): Promise<PageAnswer | undefined> {
    const { pathname, search } = url;
    if (pathname === "/dashboards") return { status: 302, headers: { location: `/d/${guideDashboard.uid}` }, body: "" };
    const [, query] = queries.exec(pathname) ?? [];
    if (query !== undefined) return askPrometheus(query + search, prometheusUrl);
    const file = Object.hasOwn(files, pathname) ? files[pathname] : pathname.startsWith("/d/") ? page : undefined;
    return file && { status: 200, headers: { "content-type": file.type }, body: file.read() };
}

/** The answer of Prometheus as it is; one in its form, for people, where it has none. */
async function askPrometheus(target: string, prometheusUrl: string | undefined): Promise<PageAnswer> {
    if (prometheusUrl === undefined) {
        return refusal(503, "There is no Prometheus yet: it starts with the first cluster.");
    }
    try {
        const answer = await fetch(prometheusUrl + target, { signal: AbortSignal.timeout(queryTimeoutMs) });
        const body = Buffer.from(await answer.arrayBuffer());
        const type = answer.headers.get("content-type") ?? "";
        if (!type.startsWith(json)) return refusal(502, `Prometheus at ${prometheusUrl} answers ${answer.status}.`);
        return { status: answer.status, headers: { "content-type": json }, body };
    } catch (error) {
        const { message, cause } = error as Error & { cause?: Error };
        return refusal(502, `No Prometheus at ${prometheusUrl}: ${cause?.message ?? message}.`);
    }
}

function refusal(status: number, error: string): PageAnswer {
    return { status, headers: { "content-type": json }, body: JSON.stringify({ status: "error", error }) };
}

/** The committed dashboards as one list, without their indentation. */
function allDashboards(): string {
    const texts = Object.values(dashboardFiles(["ministral"]));
    return JSON.stringify(texts.map((text) => JSON.parse(text) as unknown));
}
