import type { AppStatus } from "../ovhcloud/status";
import type { AppHistory, Point } from "./state";

/** Points kept of each app: a quarter of an hour. */
export const mostPoints = 900;

/** Remembers what each app did, one point per second, for pages that are opened later. */
export class History {
    private readonly apps = new Map<string, AppHistory & { gateway: AppStatus["gateway"]; at: number }>();

    /** Takes down what is so at `t`, Unix seconds. Apps that are gone are forgotten. */
    record(apps: AppStatus[], t: number): void {
        for (const id of this.apps.keys()) if (!apps.some((app) => app.id === id)) this.apps.delete(id);
        for (const app of apps) {
            const before = this.apps.get(app.id);
            const history = before ?? { points: [], changes: [], gateway: app.gateway, at: t - 1 };
            history.points.push(pointOf(app, t, history.gateway, t - history.at));
            if (history.points.length > mostPoints) history.points.shift();
            history.gateway = app.gateway;
            history.at = t;
            this.noteChanges(app, history);
            this.apps.set(app.id, history);
        }
    }

    private noteChanges(app: AppStatus, history: AppHistory): void {
        const last = history.changes.at(-1)?.t ?? 0;
        for (const { at, from, to } of app.decisions) {
            const t = Date.parse(at) / 1000;
            if (to !== from && t > last) history.changes.push({ t, from, to });
        }
        const oldest = history.points[0].t;
        history.changes = history.changes.filter(({ t }) => t >= oldest - 60);
    }

    all(): Record<string, AppHistory> {
        return Object.fromEntries([...this.apps].map(([id, { points, changes }]) => [id, { points, changes }]));
    }

    newest(): Record<string, Point> {
        return Object.fromEntries([...this.apps].map(([id, { points }]) => [id, points[points.length - 1]]));
    }
}

/** One point; `before` is what the gateway had counted `seconds` ago. One that was opened anew counts from zero. */
function pointOf(app: AppStatus, t: number, before: AppStatus["gateway"], seconds: number): Point {
    const sum = (value: (replica: AppStatus["replicas"][number]) => number): number =>
        app.replicas.reduce((total, replica) => total + value(replica), 0);
    const rate = (wanted: (status: number) => boolean): number => {
        const since = Object.entries(app.gateway.answers)
            .filter(([status]) => wanted(Number(status)))
            .reduce((total, [status, count]) => total + Math.max(0, count - (before.answers[status] ?? 0)), 0);
        return seconds > 0 ? since / seconds : 0;
    };
    const { served } = app.gateway;
    const requests = served.requests - before.served.requests;
    const mean = (of: "firstSeconds" | "seconds"): number | null =>
        requests > 0 ? (served[of] - before.served[of]) / requests : null;
    return {
        t,
        ready: app.availableReplicas,
        wanted: app.scaling.wanted,
        running: sum(({ running }) => running),
        waiting: sum(({ waiting }) => waiting),
        value: app.scaling.current ?? null,
        ok: rate((status) => status < 400),
        failed: rate((status) => status >= 400),
        first: mean("firstSeconds"),
        latency: mean("seconds"),
    };
}
