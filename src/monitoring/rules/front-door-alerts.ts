import { frontDoorMetrics as door, scrapeMetrics as scrape } from "../metrics";
import { aggregate, gauge, increase, sumBy, type Matcher } from "../promql";
import { frontDoorJobName } from "../scrape-jobs";
import { about, engineHangs, everyScrape, inPhase, type WatchedModel } from "./model";
import { alertsOf, type AlertRule, type MakeAlert } from "./rule";

/** With fewer failed answers than this, the retries of one client would be an outage. */
const fewestFailures = 5;

/** With fewer that are turned away than this, one burst would be a ticket. */
const fewestRefused = 10;

/** Alerts on the one address that clients come to. */
export function frontDoorAlerts(model: WatchedModel, runbooks: string): AlertRule[] {
    if (!model.frontDoor) return [];
    const alert = alertsOf(model.name, runbooks);
    return [frontDoorDown(model, alert), frontDoorRefusing(model, alert)];
}

function frontDoorDown(model: WatchedModel, alert: MakeAlert): AlertRule {
    const up = gauge(scrape.up, { job: `=${frontDoorJobName}`, ...about(model) });
    return alert("VllmFrontDoorDown", "page", {
        expr:
            `${aggregate("max", [], up)} == 0 or on () absent(${up}) ` +
            `or on () ((${failsAlone(model)}) and on () ${appServes(model)})`,
        for: "3m",
        summary: `The front door of ${model.name} lets nobody through: its clients get errors, while the app's own address may work.`,
        description:
            "For 3 minutes its Envoy has not answered Prometheus, or has answered every request with an error.",
    });
}

/**
 * Requests came, none went well, and it was not for the app's own failures. Of the statuses that a route counts 401 and 403 are
 * the app's: the door's own are no route's. Over less time than the alert waits, so that what is over does not raise it.
 */
function failsAlone(model: WatchedModel): string {
    const answers = (status: Matcher) =>
        sumBy(
            [],
            increase(
                door.answers,
                { ...about(model), envoy_http_conn_manager_prefix: "=door", envoy_response_code_class: status },
                "2m",
            ),
        );
    const requests = (code: Matcher) => sumBy([], increase(door.requests, { ...about(model), code }, "2m"));
    const failing =
        `${answers("=5")} >= ${fewestFailures} unless on () ${requests("=500")} > 0 ` +
        `or on () ${requests("=~401|403")} >= ${fewestFailures}`;
    return `(${failing}) unless on () ${answers("=2")} > 0`;
}

/** The app answers whoever asks it directly, so that it is not down: that is another page. */
function appServes(model: WatchedModel): string {
    const up = `${aggregate("max", [], everyScrape(model))} == 1`;
    const hangs = `(${up}) unless on () (${engineHangs(model)})`;
    return model.replicas.min > 0 ? `(${hangs})` : `(${hangs} unless on () ${inPhase(model, "asleep|waking")} == 1)`;
}

function frontDoorRefusing(model: WatchedModel, alert: MakeAlert): AlertRule {
    const refused = (metric: typeof door.queueFull | typeof door.heldInVain) =>
        sumBy([], increase(metric, about(model), "10m"));
    return alert("VllmFrontDoorRefusing", "ticket", {
        expr: `${refused(door.queueFull)} + ${refused(door.heldInVain)} >= ${fewestRefused}`,
        for: "5m",
        summary: `The front door of ${model.name} turns clients away: too many wait for a replica, or wait too long.`,
        description: "{{ $value | humanize }} requests of the last 10 minutes got 503 from it.",
    });
}
