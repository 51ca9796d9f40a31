import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The folder with the dashboards as Grafana loads them. */
export const dashboardsFolder = join(__dirname, "../../../dashboards");

/** The models' dashboard, the one to open first. */
export const modelsDashboard = {
    uid: "vllm-ministral-monitoring",
    /** Grafana makes the address's last part of it. */
    title: "Ministral 14B vLLM metrics monitoring",
};

/** Path of a dashboard in Grafana. */
export function dashboardPath({ uid, title }: { uid: string; title: string }): string {
    return `/d/${uid}/${slug(title)}`;
}

/** The part of an address that Grafana makes of a title of letters, digits and spaces. */
function slug(text: string): string {
    return text.toLowerCase().replaceAll(" ", "-");
}

/** Every dashboard of the folder: content by file name, in the order of names. */
export function dashboardFiles(folder: string = dashboardsFolder): Record<string, string> {
    const names = readdirSync(folder)
        .filter((name) => name.endsWith(".json"))
        .sort();
    return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}
