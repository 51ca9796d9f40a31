import { platformMetrics as platform, relayMetrics as relay, scrapeMetrics as scrape } from "../metrics";
import { aggregate, gauge, increase, rate, ratio, sumBy } from "../promql";
import { chosenModels, interval, stat, timeseries, type DashboardSpec, type RowSpec } from "./panels";

/** The jobs of the models chosen, by the relay and by the public address, and the relay's own. */
const jobs = { job: "=~vllm-($model)(-direct)?|replica-relay" } as const;
const throughRelay = { needs: relay.replicas } as const;
const ofPrometheus = { needs: platform.headSeries } as const;
const ofAlertmanager = { needs: platform.deliveries } as const;
const ofNodes = { needs: platform.volumeAvailable } as const;

const now: RowSpec = {
    title: "Now: can the other dashboards be believed",
    height: 4,
    panels: [
        stat(
            "Targets up",
            "Share of the scrape targets of the models chosen that answered last time.",
            "percentunit",
            `avg(${gauge(scrape.up, jobs)})`,
            {
                thresholds: [
                    { from: 0, color: "red" },
                    { from: 1, color: "green" },
                ],
            },
        ),
        stat(
            "Replicas missed",
            "Chance that the relay's last round missed a replica, if the balancer spreads connections evenly.",
            "percentunit",
            aggregate("max", [], gauge(relay.unseenProbability, chosenModels)),
            {
                ...throughRelay,
                thresholds: [
                    { from: 0, color: "green" },
                    { from: 0.05, color: "orange" },
                ],
            },
        ),
        stat(
            "Certificate ends in",
            "Time until the certificate of the app's address ends; the platform renews it before.",
            "s",
            `${aggregate("min", [], gauge(relay.certificateExpiry, chosenModels))} - time()`,
            throughRelay,
        ),
        stat(
            "Alerts firing",
            "All of them, those of the cluster too; without the dead man's switch, which always is.",
            "short",
            `count(${gauge(platform.alerts, { alertstate: "=firing", severity: "!=none" })}) or vector(0)`,
        ),
        stat(
            "Notifications lost",
            "Alerts of the last hour that Prometheus gave up, or that Alertmanager could not deliver.",
            "short",
            `(${sumBy([], increase(platform.notificationsDropped, {}, "1h"))} or vector(0)) + ` +
                `(${sumBy([], increase(platform.deliveriesFailed, {}, "1h"))} or vector(0))`,
            {
                thresholds: [
                    { from: 0, color: "green" },
                    { from: 1, color: "red" },
                ],
            },
        ),
    ],
};

const scrapes: RowSpec = {
    title: "Scrapes: what Prometheus reads",
    height: 9,
    panels: [
        timeseries(
            "Targets up",
            "1 while a target answers. vllm-NAME is read for numbers; vllm-NAME-direct shows whether the public address " +
                "answers, where the relay reads the numbers; replica-relay is 1 while all relays answer.",
            "short",
            [{ expr: aggregate("min", ["job"], gauge(scrape.up, jobs)), legend: "{{job}}" }],
            { max: 1 },
        ),
        timeseries(
            "Scrape duration",
            "Time that a scrape takes. Near scrapeTimeout scrapes begin to fail.",
            "s",
            [{ expr: aggregate("max", ["job"], gauge(scrape.duration, jobs)), legend: "{{job}}" }],
        ),
        timeseries(
            "Series per scrape",
            "Series that a scrape brings in: about 350 of each replica. A sudden change: another version of vLLM, or half a page.",
            "short",
            [{ expr: aggregate("max", ["job"], gauge(scrape.samples, jobs)), legend: "{{job}}" }],
        ),
    ],
};

const relayed: RowSpec = {
    title: "Relay: whether every replica is seen",
    height: 9,
    panels: [
        timeseries(
            "Replicas known",
            relay.replicas.meaning,
            "short",
            [{ expr: gauge(relay.replicas, chosenModels), legend: "{{model}}" }],
            throughRelay,
        ),
        timeseries(
            "Age of the samples",
            `${relay.sampleAge.meaning} More than two scrape intervals: the replica is hard to reach.`,
            "s",
            [
                {
                    expr: aggregate("max", ["model", "replica"], gauge(relay.sampleAge, chosenModels)),
                    legend: "{{model}} {{replica}}",
                },
            ],
            throughRelay,
        ),
        timeseries(
            "Requests of a round",
            `${relay.roundRequests.meaning} The price of seeing all of them.`,
            "short",
            [{ expr: gauge(relay.roundRequests, chosenModels), legend: "{{model}}" }],
            throughRelay,
        ),
        timeseries(
            "Failed requests of the relay",
            relay.failures.meaning,
            "cps",
            [{ expr: sumBy(["kind"], rate(relay.failures, chosenModels, interval)), legend: "{{kind}}" }],
            throughRelay,
        ),
    ],
};

const delivery: RowSpec = {
    title: "Alert delivery: whether anyone is told",
    height: 9,
    panels: [
        timeseries(
            "Alerts firing",
            "By severity. `none` is the dead man's switch, which must always be there.",
            "short",
            [
                {
                    expr: aggregate("count", ["severity"], gauge(platform.alerts, { alertstate: "=firing" })),
                    legend: "{{severity}}",
                },
            ],
        ),
        timeseries(
            "Handed to Alertmanager",
            `${platform.notificationsSent.meaning} ${platform.notificationsDropped.meaning}`,
            "cps",
            [
                { expr: sumBy([], rate(platform.notificationsSent, {}, interval)), legend: "sent" },
                { expr: sumBy([], rate(platform.notificationsDropped, {}, interval)), legend: "dropped" },
            ],
            { needs: platform.notificationsSent },
        ),
        timeseries(
            "Delivered",
            `${platform.deliveries.meaning} The heartbeat is one every 5 minutes.`,
            "cps",
            [
                { expr: sumBy([], rate(platform.deliveries, {}, interval)), legend: "tried" },
                { expr: sumBy([], rate(platform.deliveriesFailed, {}, interval)), legend: "failed" },
            ],
            ofAlertmanager,
        ),
    ],
};

const prometheus: RowSpec = {
    title: "Prometheus: whether it lasts",
    height: 9,
    panels: [
        timeseries(
            "Series in memory",
            `${platform.headSeries.meaning} Memory grows with them.`,
            "short",
            [{ expr: sumBy([], gauge(platform.headSeries, {})), legend: "series" }],
            ofPrometheus,
        ),
        timeseries(
            "Size on disk",
            `${platform.blocksBytes.meaning} At the dashed limit the oldest block goes, before its time if need be.`,
            "bytes",
            [
                { expr: sumBy([], gauge(platform.blocksBytes, {})), legend: "blocks" },
                { expr: sumBy([], gauge(platform.retentionLimitBytes, {})), legend: "limit", reference: true },
            ],
            ofPrometheus,
        ),
        timeseries(
            "Free space of the volumes",
            "Share that is free of each volume of the monitoring. Below 20 % and falling: see PrometheusDiskFilling.",
            "percentunit",
            [
                {
                    expr: ratio(
                        aggregate("min", ["persistentvolumeclaim"], gauge(platform.volumeAvailable, {})),
                        aggregate("min", ["persistentvolumeclaim"], gauge(platform.volumeCapacity, {})),
                    ),
                    legend: "{{persistentvolumeclaim}}",
                },
            ],
            { ...ofNodes, max: 1 },
        ),
        timeseries(
            "Failed rules",
            platform.ruleFailures.meaning,
            "cps",
            [{ expr: sumBy([], rate(platform.ruleFailures, {}, interval)), legend: "failures" }],
            ofPrometheus,
        ),
    ],
};

/** The monitoring itself: whether what it says, or its silence, can be believed. */
export const monitoringPathDashboard: DashboardSpec = {
    uid: "vllm-monitoring-path",
    title: "vLLM monitoring path",
    description:
        "The way of a number from a replica to this screen and to whoever is on call: scrapes, the relay that tells replicas " +
        "apart, alert delivery, and Prometheus itself.",
    rows: [now, scrapes, relayed, delivery, prometheus],
};
