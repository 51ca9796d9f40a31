import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";
import { parse, stringify } from "yaml";
import { makeAuthority } from "../../sandbox/ovhcloud/certificates";

/** A repository of Helm charts, as `helm repo index` makes one, over HTTPS. */
export interface ChartRepository {
    url: string;
    /** Variables with which Helm trusts it, and keeps what it downloads in the repository's folder. */
    env: Record<string, string>;
    close(): Promise<void>;
}

/**
 * Serves charts of one name, each as another version.
 * @param folder what it is made of; empty or not there
 * @param charts folder of the chart by the version that it is to have
 */
export async function serveCharts(folder: string, charts: Record<string, string>): Promise<ChartRepository> {
    mkdirSync(folder, { recursive: true });
    const entries = Object.entries(charts).map(([version, chart]) => pack(folder, chart, version));
    const index = { apiVersion: "v1", entries: { [entries[0].name as string]: entries } };
    writeFileSync(join(folder, "index.yaml"), stringify(index));

    const authority = await makeAuthority("CN=an authority of this test");
    const { certificate: cert, key } = await authority.issue("CN=127.0.0.1", { names: ["127.0.0.1"] });
    const caFile = join(folder, "ca.pem");
    writeFileSync(caFile, authority.certificate);
    const server = createServer({ cert, key }, (request, answer) => {
        const file = basename(request.url ?? "");
        const isKnown = file === "index.yaml" || entries.some(({ urls }) => urls[0] === file);
        if (isKnown) answer.end(readFileSync(join(folder, file)));
        else answer.writeHead(404).end();
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return {
        url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
        env: {
            SSL_CERT_FILE: caFile,
            HELM_CACHE_HOME: join(folder, "cache"),
            HELM_CONFIG_HOME: join(folder, "config"),
        },
        close: () =>
            new Promise((done) => {
                server.close(() => done());
                server.closeAllConnections();
            }),
    };
}

/** Packs a chart as `helm package` does; gives its entry in the index. */
function pack(folder: string, chart: string, version: string): Record<string, unknown> & { urls: string[] } {
    const about = parse(readFileSync(join(chart, "Chart.yaml"), "utf8")) as { name: string };
    const work = join(folder, version);
    cpSync(chart, join(work, about.name), { recursive: true });
    const entry = { ...about, version };
    writeFileSync(join(work, about.name, "Chart.yaml"), stringify(entry));
    const archive = `${about.name}-${version}.tgz`;
    execFileSync("tar", ["-C", work, "-czf", join(folder, archive), about.name]);
    return { ...entry, urls: [archive] };
}
