import { entry } from "../../packages/ai-deploy/src/values/json";
import { badRequest } from "./api-error";
import type { StoredApp } from "./store";

/** Apps on a page unless the call says otherwise; OVHcloud does not publish its number. */
const defaultPageSize = 50;

/** What to sort by: a path in the app as the API shows it. */
const sortable = ["id", "createdAt", "updatedAt", "user", "spec.name", "spec.region", "status.state"];

/** The account that makes everything in the sandbox. */
export const user = "sandbox";

/** `GET /ai/app`: one page of the apps that the query asks for. Throws an ApiError 400. */
export function listApps(apps: StoredApp[], query: URLSearchParams): StoredApp[] {
    const states = query.getAll("statusState");
    const after = dateOf(query, "updatedAfter") ?? -Infinity;
    const before = dateOf(query, "updatedBefore") ?? Infinity;
    const userName = query.get("userName") ?? user;
    const selected = apps
        .filter(() => userName === user)
        .filter(({ spec }) => matches(spec.labels as Record<string, string>, query.get("labelSelector")))
        .filter(({ state }) => states.length === 0 || states.includes(state))
        .filter(({ updatedAt }) => Date.parse(updatedAt) > after && Date.parse(updatedAt) < before);
    const field = sortField(query.get("sort") ?? "createdAt");
    const sign = query.get("order") === "desc" ? -1 : 1;
    const size = positive(query, "size") ?? defaultPageSize;
    const page = positive(query, "page") ?? 1;
    return selected.sort((a, b) => sign * field(a).localeCompare(field(b))).slice((page - 1) * size, page * size);
}

/** Whether labels satisfy a selector `key=value[,key=value]`. */
function matches(labels: Record<string, string>, selector: string | null): boolean {
    return (selector ?? "")
        .split(",")
        .filter(Boolean)
        .every((part) => {
            const at = part.indexOf("=");
            return entry(labels, part.slice(0, at)) === part.slice(at + 1);
        });
}

function sortField(name: string): (app: StoredApp) => string {
    if (!sortable.includes(name)) {
        throw badRequest(`sort: there is no field ${name}; give one of ${sortable.join(", ")}`);
    }
    const path = name.split(".");
    return ({ id, createdAt, updatedAt, spec, state }) => {
        const shown: Record<string, any> = { id, createdAt, updatedAt, user, spec, status: { state } };
        return String(path.reduce((value: any, key) => value[key], shown));
    };
}

function dateOf(query: URLSearchParams, name: string): number | undefined {
    const text = query.get(name);
    if (text === null) return undefined;
    const date = Date.parse(text);
    if (!/^\d{4}-\d\d-\d\dT/.test(text) || Number.isNaN(date)) {
        throw badRequest(`${name} is ${JSON.stringify(text)}: give a date and time such as 2026-01-31T12:00:00Z`);
    }
    return date;
}

/** A number of the query from 1 on. */
export function positive(query: URLSearchParams, name: string): number | undefined {
    const text = query.get(name);
    if (text === null) return undefined;
    if (Number(text) >= 1) return Number(text);
    throw badRequest(`${name} is ${text}: give a number from 1 on`);
}
