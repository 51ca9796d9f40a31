import type { LiveApp } from "./live";
import { aiPath } from "../api/paths";

/** The API does not say how long a page is, nor whether the first is 0 or 1; no page is shorter than this. */
const shortestPage = 10;
/** Thousands of apps; a list that goes on is not one that ends. */
const mostPages = 200;

/** The apps of a project whose labels fit a selector such as `key=value`, or all, over all pages. `get` asks for one path. */
export async function listApps(
    get: (path: string) => Promise<LiveApp[]>,
    serviceName: string | undefined,
    labelSelector = "",
): Promise<LiveApp[]> {
    const path = `${aiPath(serviceName, "app")}?labelSelector=${encodeURIComponent(labelSelector)}`;
    let answer = await get(path);
    const apps = new Map(answer.map((app) => [app.id, app]));
    for (let page = 1; answer.length >= shortestPage; page++) {
        if (page > mostPages) {
            throw new Error(`the list of apps with ${labelSelector} does not end (${mostPages} pages)`);
        }
        const before = apps.size;
        answer = await get(`${path}&page=${page}`);
        for (const app of answer) apps.set(app.id, app);
        if (apps.size === before && page > 1) break;
    }
    return [...apps.values()];
}
