import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The folder with the dashboards as Grafana loads them. */
export const dashboardsFolder = join(__dirname, "../../../dashboards");

/** Every dashboard of the folder: content by file name, in the order of names. */
export function dashboardFiles(folder: string = dashboardsFolder): Record<string, string> {
    const names = readdirSync(folder)
        .filter((name) => name.endsWith(".json"))
        .sort();
    return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}
