import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dashboards } from "../../src/monitoring/dashboards/all";
import { dashboardsPage } from "./page";
import { takePictures } from "./pictures";
import { DashboardQueries } from "./query";

export interface RenderOptions {
    /** `http://host:port` of a Prometheus. */
    prometheus: string;
    /** Gets index.html and a picture of each dashboard. */
    out: string;
    /** Seconds up to now. */
    range: number;
    log: (line: string) => void;
}

/**
 * Draws every panel of every dashboard from a live Prometheus. Returns what is wrong: a line for each query that failed
 * or has no data; none when all panels show something, those aside that need what the stack does not have.
 */
export async function render({ prometheus, out, range, log }: RenderOptions): Promise<string[]> {
    const now = Math.floor(Date.now() / 1000);
    const span = { from: now - range, to: now };
    const queries = new DashboardQueries(prometheus.replace(/\/$/, ""), span);
    const filled = await queries.fill(dashboards);
    const marks = await queries.marks();
    mkdirSync(out, { recursive: true });
    const page = join(out, "index.html");
    writeFileSync(page, dashboardsPage(filled, marks, span));
    const uids = dashboards.map(({ uid }) => uid);
    for (const path of [page, ...(await takePictures(page, uids, out, log))]) log(`wrote ${path}`);
    const panels = filled.flatMap(({ spec, rows }) =>
        rows.flatMap((row) => row.panels.map((panel) => ({ uid: spec.uid, ...panel }))),
    );
    for (const { uid, spec, lacks } of panels) {
        if (lacks) log(`left out: ${uid}, ${spec.title}: this Prometheus has no ${lacks}`);
    }
    const drawn = panels.filter(({ lacks, faults }) => !lacks && faults.length === 0);
    log(`${drawn.length} of ${panels.length} panels drawn`);
    return panels.flatMap(({ uid, spec, faults }) => faults.map((fault) => `${uid}, ${spec.title}: ${fault}`));
}
