import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The folder with the dashboards as Grafana loads them. */
export const dashboardsFolder = join(__dirname, "../../../dashboards");

/** What a dashboard is known by: `uid` in its address, `title` to its readers. */
export interface DashboardName {
    uid: string;
    /** Grafana makes the address's last part of it. */
    title: string;
}

/** The models' dashboard of the reference architecture, the one to open first; the files call it so. */
export const guideDashboard: DashboardName = {
    uid: "vllm-ministral-monitoring",
    title: "Ministral 14B vLLM metrics monitoring",
};

/** What the models' dashboard is called in a stack of these models. Its uid stays when one more comes. */
export function modelsDashboard(models: string[]): DashboardName {
    if (models.includes("ministral")) return guideDashboard;
    const which = models.length > 3 ? `${models.length} models` : [...models].sort().join(" ");
    return { uid: "vllm-models-monitoring", title: `${which} vLLM metrics monitoring` };
}

/** Path of a dashboard in Grafana. */
export function dashboardPath({ uid, title }: DashboardName): string {
    return `/d/${uid}/${slug(title)}`;
}

/** The part of an address that Grafana makes of a title of letters, digits, hyphens and spaces. */
function slug(text: string): string {
    return text.toLowerCase().replaceAll(" ", "-");
}

/** Every dashboard for a stack of these models: content by file name, in the order of names. */
export function dashboardFiles(models: string[]): Record<string, string> {
    const { uid, title } = modelsDashboard(models);
    const named = (text: string): string =>
        text.replaceAll(guideDashboard.uid, uid).replaceAll(guideDashboard.title, title);
    const names = readdirSync(dashboardsFolder)
        .filter((name) => name.endsWith(".json"))
        .sort();
    return Object.fromEntries(
        names.map((name) => [named(name), named(readFileSync(join(dashboardsFolder, name), "utf8"))]),
    );
}
