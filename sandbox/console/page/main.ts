import type { Decision } from "../../ovhcloud/status";
import type { AppHistory, AppView, Update } from "../state";
import { alarms, architecture } from "./architecture";
import { Charts } from "./charts";
import { Controls } from "./controls";
import { byId, clock, element, figure, fill, type Child } from "../../../tools/dashboards/page/element";

const charts = new Charts();
const controls = new Controls();
const choice = byId<HTMLSelectElement>("app");
let history: Record<string, AppHistory> = {};
let last: Update | undefined;

// The browser connects again by itself, and is then told the whole history anew.
const events = new EventSource("/events");
events.addEventListener("history", ({ data }) => {
    history = JSON.parse(data as string) as typeof history;
});
events.addEventListener("update", ({ data }) => {
    last = JSON.parse(data as string) as Update;
    remember(last);
    show(last);
});
events.addEventListener("open", () => connection("live", true));
events.addEventListener("error", () => connection("not connected", false));
choice.addEventListener("change", () => last && show(last));

function connection(text: string, live: boolean): void {
    const badge = byId("connection");
    badge.textContent = text;
    badge.classList.toggle("live", live);
}

/** As long as the history that the console keeps. */
const mostPoints = 900;

function remember({ points, cloud }: Update): void {
    for (const [id, point] of Object.entries(points)) {
        const app = (history[id] ??= { points: [], changes: [] });
        if ((app.points.at(-1)?.t ?? 0) < point.t) app.points.push(point);
        if (app.points.length > mostPoints) app.points.shift();
    }
    for (const { id, decisions } of cloud.apps) {
        const app = (history[id] ??= { points: [], changes: [] });
        const newest = app.changes.at(-1)?.t ?? 0;
        const fresh = decisions
            .filter(({ from, to }) => from !== to)
            .map(({ at, from, to }) => ({ t: Date.parse(at) / 1000, from, to }))
            .filter(({ t }) => t > newest);
        app.changes.push(...fresh.reverse());
    }
}

function show(update: Update): void {
    const { apps } = update.cloud;
    showChoices(apps);
    const app = apps.find(({ id }) => id === choice.value);
    const firing = alarms(update.prometheus.alerts).length;
    byId("summary").textContent = [
        `${apps.length} app${apps.length === 1 ? "" : "s"}`,
        app && `${app.availableReplicas} replica${app.availableReplicas === 1 ? "" : "s"} ready`,
        `${firing} alert${firing === 1 ? "" : "s"} firing`,
        `${update.cloud.faults.length} fault${update.cloud.faults.length === 1 ? "" : "s"} active`,
    ]
        .filter(Boolean)
        .join(" · ");
    const { realEngine } = update.cloud;
    if (realEngine !== undefined) {
        byId("simulated").textContent =
            `Replicas are real processes of ${realEngine}; AI Deploy and the OVHcloud API are simulated here.`;
    }
    fill(byId("architecture"), ...architecture(update, app?.id));
    fill(byId("decisions"), ...decisionRows(app?.decisions ?? []));
    fill(
        byId("links"),
        ...update.links.map(({ title, target, note }) =>
            element(
                "li",
                {},
                element("span", {}, title),
                /^https?:\/\//.test(target)
                    ? element("a", { href: target, rel: "noreferrer", target: "_blank" }, target)
                    : element("code", {}, target),
                note !== undefined && element("small", {}, note),
            ),
        ),
    );
    controls.show(update, app);
    if (app) charts.show(app, history[app.id] ?? { points: [], changes: [] });
}

/** Keeps the chosen app as long as it exists. */
function showChoices(apps: AppView[]): void {
    choice.parentElement!.hidden = apps.length < 2;
    const same = apps.map(({ id }) => id).join() === [...choice.options].map(({ value }) => value).join();
    if (same) return;
    const chosen = choice.value;
    choice.replaceChildren(...apps.map(({ id, name }) => new Option(name, id)));
    if (apps.some(({ id }) => id === chosen)) choice.value = chosen;
}

function decisionRows(decisions: Decision[]): Child[] {
    if (decisions.length === 0) return [element("p", { class: "dim" }, "none yet")];
    const rows = decisions.map(({ at, times, from, to, value, target, reason }) =>
        element(
            "li",
            from === to ? {} : { class: to > from ? "up" : "down" },
            element("time", { datetime: at }, clock(at)),
            element("strong", {}, from === to ? `stays ${to}` : `${from} → ${to}`),
            element(
                "span",
                { class: "dim" },
                value === undefined ? "no value" : `${figure(value)} / ${figure(target)}`,
            ),
            element("span", {}, reason + (times > 1 ? ` (${times} looks)` : "")),
        ),
    );
    return [element("ol", {}, ...rows)];
}
