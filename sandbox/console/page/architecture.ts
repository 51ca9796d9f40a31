import type { ReplicaStatus } from "../../ovhcloud/status";
import type { AlertView, AppView, PartState, Update } from "../state";
import { clock, element, figure, type Child } from "../../../tools/dashboards/page/element";

/** The parts of the stack with their state, in the order in which a request meets them. */
export function architecture(update: Update, chosen: string | undefined): Child[] {
    const { cloud, api, clusters, prometheus, alertmanager, grafana } = update;
    const apps = [...cloud.apps].sort((a, b) => Number(b.id === chosen) - Number(a.id === chosen));
    return [
        element(
            "div",
            { class: "column" },
            columnTitle("Pulumi's side"),
            part("OVHcloud API", api, [
                line(`${cloud.violations} calls broke the published structure`, cloud.violations > 0 ? "bad" : ""),
                line(`platform time runs ${figure(cloud.speed)} times as fast`),
            ]),
        ),
        arrow("creates, asks for replicas", "→"),
        element(
            "div",
            { class: "column" },
            columnTitle("AI Deploy"),
            ...(apps.length === 0 ? [part("No app", { state: "absent", detail: "pulumi up creates one" }, [])] : []),
            ...apps.map((app) => appPart(app)),
        ),
        arrow("scrapes /metrics", "←"),
        element(
            "div",
            { class: "column" },
            columnTitle("Managed Kubernetes"),
            ...(clusters.length === 0
                ? [part("No cluster", { state: "absent", detail: "pulumi up creates one" }, [])]
                : []),
            ...clusters.map(({ name, version, status, pools }) =>
                part(name, { state: status === "READY" ? "up" : "down", detail: status }, [
                    line(`Kubernetes ${version}`),
                    ...pools.map((pool) => line(`${pool.name}: ${pool.nodes} of ${pool.desired} x ${pool.flavor}`)),
                ]),
            ),
            part("Prometheus", prometheus, []),
            alertsPart(update),
            part("Alertmanager", alertmanager, []),
            part("Grafana", grafana, [
                element("p", {}, element("a", { href: "/dashboards" }, "Its dashboards, without it")),
            ]),
        ),
    ];
}

function columnTitle(text: string): Child {
    return element("h3", {}, text);
}

function arrow(does: string, points: string): Child {
    return element("p", { class: "arrow" }, does, element("span", { "aria-hidden": "true" }, points));
}

function part(title: string, state: PartState, lines: Child[]): HTMLElement {
    return element(
        "article",
        { class: `part ${state.state}` },
        element("h4", {}, dot(state.state), title),
        line(state.detail, state.state === "down" ? "bad" : ""),
        ...lines,
    );
}

function dot(state: string): Child {
    const words: Record<string, string> = { up: "up", down: "down", absent: "not there", pending: "on its way" };
    return element("span", { class: `dot ${state}`, role: "img", "aria-label": words[state] ?? state });
}

function line(text: string, kind = ""): Child {
    return element("p", kind ? { class: kind } : {}, text);
}

function appPart(app: AppView): HTMLElement {
    const { scaling, gateway } = app;
    const running = ["RUNNING", "SCALING"].includes(app.state) && app.availableReplicas > 0;
    const failed = ["FAILED", "ERROR"].includes(app.state);
    const state = running ? "up" : failed ? "down" : "pending";
    const refused = Object.entries(gateway.answers).filter(([status]) => Number(status) >= 400);
    return element(
        "article",
        { class: `part app ${state}`, "data-app": app.id },
        element("h4", {}, dot(state), app.name, element("span", { class: "state" }, app.state)),
        line(app.message, failed ? "bad" : ""),
        line(app.model, "dim"),
        line(
            `gateway: ${gateway.open} open requests, ${gateway.balancing}` +
                (refused.length > 0 ? `; ${refused.map(([status, count]) => `${count} x ${status}`).join(", ")}` : ""),
        ),
        line(scalingText(app)),
        element(
            "ul",
            { class: "replicas" },
            ...app.replicas.map((replica) => replicaTile(replica, scaling.target)),
            ...missing(app),
        ),
    );
}

function scalingText({ scaling, availableReplicas }: AppView): string {
    const { mode, min, max, wanted, metric, current, target } = scaling;
    const count = `${availableReplicas} of ${wanted} replicas ready`;
    if (mode === "fixed") return `${count}, fixed`;
    const value = current === undefined ? "no value yet" : figure(current);
    return `${count} (${min} to ${max}); ${metric} ${value}, target ${target}`;
}

/** Places of replicas that the limits allow and nobody wants now. */
function missing({ scaling, replicas }: AppView): Child[] {
    const free = Math.max(0, scaling.max - replicas.length);
    return free === 0 || free > 10
        ? []
        : Array.from({ length: free }, () => element("li", { class: "replica free" }, element("p", {}, "free")));
}

function replicaTile(replica: ReplicaStatus, target: number | undefined): HTMLElement {
    const { index, phase, ready, running, waiting, kvUsage, startedAt } = replica;
    const serving = phase === "serving";
    const kind = serving && ready ? "ready" : ["hanging", "stalled", "ended"].includes(phase) ? "broken" : "booting";
    const scale = Math.max(target ?? 0, running, 1);
    return element(
        "li",
        { class: `replica ${kind}`, title: `since ${clock(startedAt)}` },
        element("p", { class: "name" }, `#${index}`, element("span", { class: "phase" }, phase)),
        element("p", {}, serving ? `${running} running, ${waiting} waiting` : ready ? "ready" : "not ready"),
        meter("running, of the target", running / scale, running > (target ?? Infinity)),
        element("p", { class: "dim" }, `KV cache ${Math.round(kvUsage * 100)} %`),
        meter("KV cache", kvUsage, kvUsage > 0.9),
    );
}

function meter(label: string, share: number, high: boolean): Child {
    const percent = Math.round(Math.min(1, share) * 100);
    // A progress element needs no style attribute, which the page's security policy forbids.
    return element("progress", {
        max: "100",
        value: String(percent),
        "aria-label": label,
        ...(high ? { class: "high" } : {}),
    });
}

/** The alerts that somebody would be told of now. */
export function alarms(alerts: AlertView[]): AlertView[] {
    return alerts.filter(({ state, severity }) => state === "firing" && severity !== "none");
}

function alertsPart({ prometheus: { alerts, state } }: Update): HTMLElement {
    const firing = alarms(alerts);
    const title =
        firing.length === 0 ? "No alert fires" : `${firing.length} alert${firing.length === 1 ? "" : "s"} firing`;
    return element(
        "article",
        { class: `part ${firing.length > 0 ? "down" : state === "up" ? "up" : "absent"}` },
        element("h4", {}, dot(firing.length > 0 ? "down" : state === "up" ? "up" : "absent"), title),
        element(
            "ul",
            { class: "alerts" },
            ...alerts.map(({ name, severity, state: alertState, summary, since }) =>
                element(
                    "li",
                    { class: severity === "none" ? "dim" : alertState },
                    element("strong", {}, name),
                    ` ${alertState} (${severity}) since ${clock(since)}. ${summary}`,
                ),
            ),
        ),
    );
}
