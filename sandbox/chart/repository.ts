import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { parse } from "yaml";

/** Whoever is offline should not wait long to be told. */
const answerWithin = 5_000;
/** For all of one download, in ms: the index is some 10 MB. */
const doneWithin = 60_000;

export interface ChartDownload {
    /** URL of a Helm repository: the folder of its index.yaml. */
    repository: string;
    chart: string;
    version: string;
    /** File to write. */
    archive: string;
}

/**
 * Downloads a chart archive and checks it against the digest in the repository's index.
 * @throws Error of one line: the repository is out of reach, does not have the chart, or sends something else.
 */
export async function downloadChart({ repository, chart, version, archive }: ChartDownload): Promise<void> {
    const index = await get(`${repository}/index.yaml`);
    const entry = findEntry(index.toString("utf8"), chart, version);
    if (!entry?.digest || !entry.urls?.[0]) throw new Error(`its index has no ${chart} ${version} with URL and digest`);
    const url = new URL(entry.urls[0], `${repository}/`).href;
    const content = await get(url);
    const digest = createHash("sha256").update(content).digest("hex");
    if (digest !== entry.digest) {
        throw new Error(`${url} has digest ${digest}, the index says ${entry.digest}: not used`);
    }
    writeFileSync(archive, content);
}

interface IndexEntry {
    urls?: string[];
    digest?: string;
}

/**
 * The entry of one version. An index holds thousands, which take a parser many seconds: this reads the lines that Helm
 * writes, indented by two spaces for a chart and by four for the fields of a version, and parses only what it looks for.
 */
function findEntry(index: string, chart: string, version: string): IndexEntry | undefined {
    const lines = index.split("\n");
    const start = lines.indexOf(`  ${chart}:`);
    if (start === -1) return undefined;
    const rest = lines.slice(start + 1);
    const end = rest.findIndex((line) => /^( {2})?[^\s-]/.test(line));
    const versions = `\n${rest.slice(0, end === -1 ? undefined : end).join("\n")}`.split("\n  - ").slice(1);
    const found = versions.find((text) =>
        new RegExp(`^ {4}version: ["']?${version.replace(/\./g, "\\.")}["']?$`, "m").test(text),
    );
    return found === undefined ? undefined : (parse(`    ${found}`) as IndexEntry);
}

async function get(url: string): Promise<Buffer> {
    const unreached = new AbortController();
    const timer = setTimeout(
        () => unreached.abort(new Error(`no answer within ${answerWithin / 1000} s`)),
        answerWithin,
    );
    try {
        const response = await fetch(url, {
            signal: AbortSignal.any([unreached.signal, AbortSignal.timeout(doneWithin)]),
        });
        clearTimeout(timer);
        if (!response.ok) throw new Error(`${url} answers ${response.status}`);
        return Buffer.from(await response.arrayBuffer());
    } catch (error) {
        // What fetch says of itself is "fetch failed": the cause knows more.
        const { message, cause } = error as Error & { cause?: Error };
        throw new Error(cause ? `${url}: ${cause.message}` : message, { cause: error });
    } finally {
        clearTimeout(timer);
    }
}
