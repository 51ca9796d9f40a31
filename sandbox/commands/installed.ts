import { table } from "../../machine/terminal";
import type { PreparedChart } from "../chart/chart";
import type { GrafanaProgram } from "../grafana/program";
import type { InstalledPlugins } from "../plugins/install";
import type { Toolchain } from "../toolchain/toolchain";

/** What `up` found and installed, kept in `Layout.installed` for `status`. */
export interface Installed {
    chart: PreparedChart;
    plugins: InstalledPlugins;
    toolchain: Toolchain["source"];
    grafana: GrafanaProgram | null;
}

/** Says of each part whether it is the real one. */
export function sourcesTable(
    { chart, plugins, toolchain, grafana }: Installed,
    realEngine: string | undefined,
): string {
    const rows = [
        ["chart", chart.source, chart.version],
        ...Object.entries(plugins).map(([name, { source, version }]) => [`plugin ${name}`, source, version]),
        ...Object.entries(toolchain).map(([name, { from, version }]) => [name, from, version]),
        ...(realEngine === undefined
            ? [["GPUs, vLLM, AI Deploy, OVHcloud API", "simulated", ""]]
            : [
                  ["vLLM", realEngine, ""],
                  ["AI Deploy, OVHcloud API", "simulated", ""],
              ]),
        grafana ? ["Grafana", "path", grafana.version] : ["Grafana", "objects only: none on PATH", ""],
        ["exporters", "objects only, their pods do not run", ""],
    ];
    return table(rows.map((row) => ["  " + row[0], ...row.slice(1)]));
}
