import { mkdirSync } from "node:fs";
import { dashboards } from "../../src/monitoring/dashboards/all";
import { seriesNames } from "../../src/vllm/metrics";
import { takePictures } from "./pictures";

export interface RenderOptions {
    /** `http://host:port` of a Prometheus, with a path if it has one. */
    prometheus: string;
    /** Gets a picture of each dashboard. */
    out: string;
    /** Seconds up to now. */
    range: number;
    log: (line: string) => void;
}

/**
 * Draws every panel of every dashboard from a live Prometheus, on the page that the sandbox's console has. Returns what is
 * wrong: a line for each query that failed or has no data; none when all panels show something, those aside that need what the
 * stack does not have.
 * @throws Error when Prometheus cannot be asked
 */
export async function render({ prometheus: url, out, range, log }: RenderOptions): Promise<string[]> {
    const prometheus = url.replace(/\/$/, "");
    const known = await metricNames(prometheus);
    mkdirSync(out, { recursive: true });
    const uids = dashboards.map(({ uid }) => uid);
    const pictures = await takePictures({ uids, prometheus, range, out, log });
    const panels = pictures.flatMap((picture) => picture.panels.map((panel) => ({ uid: picture.uid, ...panel })));
    const lacking = panels.filter(({ uid, title }) => {
        const needs = specOf(uid, title).needs;
        if (needs === undefined || known.has(seriesNames([needs])[0])) return false;
        log(`left out: ${uid}, ${title}: this Prometheus has no ${needs.name}`);
        return true;
    });
    const faulty = panels.filter((panel) => panel.faults.length > 0 && !lacking.includes(panel));
    for (const { path } of pictures) log(`wrote ${path}`);
    log(`${panels.length - lacking.length - faulty.length} of ${panels.length} panels drawn`);
    return faulty.flatMap(({ uid, title, faults }) => faults.map((fault) => `${uid}, ${title}: ${fault}`));
}

function specOf(uid: string, title: string) {
    const { rows } = dashboards.find((one) => one.uid === uid)!;
    return rows.flatMap(({ panels }) => panels).find((panel) => panel.title === title)!;
}

/** Every metric that a Prometheus has. */
async function metricNames(prometheus: string): Promise<Set<string>> {
    let answer: Response;
    try {
        answer = await fetch(`${prometheus}/api/v1/label/__name__/values`, { signal: AbortSignal.timeout(30_000) });
    } catch (error) {
        const { cause, message } = error as Error & { cause?: Error };
        throw new Error(
            `no Prometheus at ${prometheus} (${cause?.message ?? message}); give its address with --prometheus`,
        );
    }
    const body = (await answer.json().catch(() => ({}))) as { data?: string[]; error?: string };
    if (!body.data) throw new Error(`${prometheus} answers ${answer.status}: ${body.error ?? "is it a Prometheus?"}`);
    return new Set(body.data);
}
