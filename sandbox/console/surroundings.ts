import { OvhClient } from "../../packages/ai-deploy/src/api/client";
import type { Credentials } from "../../packages/ai-deploy/src/api/credentials";
import type { GrafanaState } from "../grafana/local-grafana";
import type { AlertView, ClusterView, PartState, PrometheusView } from "./state";

/** The parts beside the apps, asked from outside as anybody would ask them. */

const timeoutMs = 2000;

/** What runs in a cluster, before there is one. */
export const notThereYet: PartState = { state: "absent", detail: "starts with the first cluster" };

/** Whether a part at `url` answers a GET of `path` with success. */
export async function lookAt(url: string, path: string): Promise<PartState> {
    try {
        const answer = await fetch(url + path, { signal: AbortSignal.timeout(timeoutMs) });
        await answer.body?.cancel();
        if (!answer.ok) return { url, state: "down", detail: `answers ${answer.status}` };
        return { url, state: "up", detail: "answers" };
    } catch (error) {
        return { url, state: "down", detail: cause(error) };
    }
}

/** Grafana, with its version or why it does not run. */
export async function lookAtGrafana({ url, detail }: GrafanaState): Promise<PartState> {
    if (url === undefined) return { state: "absent", detail };
    const seen = await lookAt(url, "/api/health");
    return seen.state === "up" ? { ...seen, detail } : seen;
}

/** Reads the clusters of the project from the API; what cannot be read now keeps its last known state. */
export class ClusterWatch {
    private readonly client: OvhClient;
    private known = new Map<string, ClusterView>();

    constructor(
        credentials: Credentials,
        private readonly projectId: string,
    ) {
        this.client = new OvhClient(credentials, {
            requestsPerMinute: 6000,
            requestTimeoutMs: timeoutMs,
            backoffMs: 100,
        });
    }

    /** `ids` are the clusters that there are. */
    async look(ids: string[]): Promise<ClusterView[]> {
        const next = new Map<string, ClusterView>();
        for (const id of ids) {
            const view = await this.read(id).catch((error: Error) => {
                const last = this.known.get(id) ?? { id, name: id, version: "", status: "", pools: [] };
                return { ...last, status: `unknown (${error.message})` };
            });
            next.set(id, view);
        }
        this.known = next;
        return [...next.values()];
    }

    private async read(id: string): Promise<ClusterView> {
        const path = `/cloud/project/${this.projectId}/kube/${id}`;
        const cluster = await this.client.get<{ name: string; version: string; status: string }>(path);
        const pools = await this.client.get<
            { name: string; flavor: string; currentNodes: number; desiredNodes: number }[]
        >(`${path}/nodepool`);
        return {
            id,
            name: cluster.name,
            version: cluster.version,
            status: cluster.status,
            pools: pools.map(({ name, flavor, currentNodes, desiredNodes }) => {
                return { name, flavor, nodes: currentNodes, desired: desiredNodes };
            }),
        };
    }
}

/** Prometheus with its targets and its pending and firing alerts; `url` undefined: there is none yet. */
export async function lookAtPrometheus(url: string | undefined): Promise<PrometheusView> {
    const nothing = { targets: { up: 0, total: 0 }, alerts: [] };
    if (url === undefined) return { ...notThereYet, ...nothing };
    try {
        const [targets, alerts] = await Promise.all([
            get<{ activeTargets: { health: string }[] }>(`${url}/api/v1/targets?state=active`),
            get<{ alerts: PrometheusAlert[] }>(`${url}/api/v1/alerts`),
        ]);
        const up = targets.activeTargets.filter(({ health }) => health === "up").length;
        const total = targets.activeTargets.length;
        return {
            url,
            state: "up",
            detail: `${up} of ${total} targets up`,
            targets: { up, total },
            alerts: alerts.alerts.map(alertView).sort((a, b) => a.state.localeCompare(b.state)),
        };
    } catch (error) {
        return { url, state: "down", detail: cause(error), ...nothing };
    }
}

/** Of `GET /api/v1/alerts`. */
interface PrometheusAlert {
    labels: Record<string, string>;
    annotations: Record<string, string>;
    state: "pending" | "firing";
    activeAt: string;
}

function alertView({ labels, annotations, state, activeAt }: PrometheusAlert): AlertView {
    return {
        name: labels.alertname,
        severity: labels.severity ?? "none",
        state,
        summary: annotations.summary ?? annotations.description ?? "",
        since: activeAt,
    };
}

async function get<T>(url: string): Promise<T> {
    const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    if (!answer.ok) throw new Error(`answers ${answer.status}`);
    return ((await answer.json()) as { data: T }).data;
}

function cause(error: unknown): string {
    const { message, cause: inner } = error as { message: string; cause?: { code?: string } };
    return inner?.code === "ECONNREFUSED" ? "nothing listens" : (inner?.code ?? message);
}
