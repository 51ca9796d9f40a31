import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { recordedMetrics } from "../../src/monitoring/metrics";
import { dashboards } from "../../src/monitoring/dashboards/all";
import { alertNames, type AlertName, type AlertRule } from "../../src/monitoring/rules";
import { AlertWorld, appOfNoStack, growing, replicaName, steady } from "./alert-world";
import { described, evaluated, firingAlerts, promtool, type Firing, type InputSeries } from "./promtool";
import { allRules, direct, doored, dooredSleeper, kept, relayed, single, sleeper } from "./watched-models";

const runbooks = join(__dirname, "../../docs/operations");

/** Always there. */
const deadMansSwitch: Firing = { alertname: "DeadMansSwitch", severity: "none" };

interface Case {
    alert: AlertName;
    what: string;
    world: AlertWorld;
    /** Time of the question; half an hour into the world where nothing else is said. */
    at?: string;
    /** Every alert that fires then, besides the dead man's switch. None: the case is one of not firing. */
    fires?: Firing[];
    /** In a world of days only this alert is worked out, and what it reads. */
    alone?: true;
}

const world = (replicas = 2) => new AlertWorld(relayed, replicas);
const asleep = (from: number, wakes?: number, serves?: number) =>
    new AlertWorld(sleeper, 1).sleeps(from, wakes, serves);
const page = (alertname: AlertName, more: Firing = {}): Firing => ({ alertname, severity: "page", ...more });
const ticket = (alertname: AlertName, more: Firing = {}): Firing => ({ alertname, severity: "ticket", ...more });
const info = (alertname: AlertName, more: Firing = {}): Firing => ({ alertname, severity: "info", ...more });
const keptWorld = () => new AlertWorld(kept, 2);
const dooredWorld = () => new AlertWorld(doored, 2);
const fast = { window: "fast" };
const slow = { window: "slow" };
/** Present for 4 minutes, gone for 4, and so on. */
const comingAndGoing = Array.from({ length: 10 }, () => "0x3 stale _x3").join(" ");

const cases: Case[] = [
    {
        alert: "VllmEndpointDown",
        what: "neither the relay nor the public address brings anything",
        world: world()
            .set("up", steady(0), { job: "vllm-ministral" })
            .set("up", steady(0), { job: "vllm-ministral-direct" }),
        at: "40m",
        fires: [page("VllmEndpointDown")],
    },
    {
        alert: "VllmEndpointDown",
        what: "scrapes are answered, and no real completion comes: the engine hangs",
        world: world().set("vllm_relay_completion_success", "1x25 0x20"),
        at: "34m",
        fires: [page("VllmEndpointDown")],
    },
    {
        alert: "VllmEndpointDown",
        what: "one completion that failed is no outage",
        world: world().set("vllm_relay_completion_success", "1x28 0x1 1x60"),
        at: "34m",
    },
    {
        alert: "VllmEndpointDown",
        what: "of a model without relay its one scrape is enough",
        world: new AlertWorld(single, 1).set("up", steady(0)),
        at: "40m",
        fires: [page("VllmEndpointDown")],
    },
    {
        alert: "VllmEndpointDown",
        what: "a model that was added a quarter of an hour ago loads",
        world: world().begins(1, 400),
        at: "15m",
    },
    {
        alert: "VllmEndpointDown",
        what: "the public address answers, the relay does not",
        world: world().set("up", steady(0), { job: "vllm-ministral" }),
    },
    {
        alert: "VllmEndpointDown",
        what: "for two minutes only",
        world: world()
            .set("up", "1x28 0x400", { job: "vllm-ministral" })
            .set("up", "1x28 0x400", { job: "vllm-ministral-direct" }),
    },
    {
        alert: "VllmNoSuccessfulRequest",
        what: "calls are answered and no generation ends",
        world: world().set("http_requests_total", growing(5), { handler: "/v1/chat/completions", status: "2xx" }),
        fires: [page("VllmNoSuccessfulRequest")],
    },
    {
        alert: "VllmNoSuccessfulRequest",
        what: "generations end, by themselves or at their length",
        world: world().traffic(),
    },
    {
        alert: "VllmNoSuccessfulRequest",
        what: "the engine stalls while its API answers, and its clients wait",
        world: new AlertWorld(single, 1).traffic().stalled(30),
        at: "50m",
        fires: [page("VllmNoSuccessfulRequest"), ticket("VllmQueueNotDraining"), ticket("VllmReplicaStuck")],
    },
    {
        alert: "VllmNoSuccessfulRequest",
        what: "one answer is long: its tokens come, and no generation has ended yet",
        world: world()
            .set("vllm:num_requests_running", steady(1), { replica: replicaName(0) })
            .set("vllm:generation_tokens_total", growing(2000), { replica: replicaName(0) }),
    },
    {
        alert: "VllmNoSuccessfulRequest",
        what: "in a quiet hour three streams are aborted and none ends",
        world: world(1).set("http_requests_total", "0x22 1 2 3x400", {
            handler: "/v1/chat/completions",
            status: "2xx",
        }),
    },
    {
        alert: "VllmNoSuccessfulRequest",
        what: "calls are refused (4xx), and lists of models are fetched",
        world: world()
            .set("http_requests_total", growing(5), { handler: "/v1/chat/completions", status: "4xx" })
            .set("http_requests_total", growing(5), { handler: "/v1/models" }),
    },
    {
        alert: "VllmErrorBudgetBurn",
        what: "a fifth of the requests fails for an hour",
        world: world().traffic({ failed: 0.2 }),
        at: "70m",
        fires: [page("VllmErrorBudgetBurn", fast), ticket("VllmErrorBudgetBurn", slow)],
    },
    {
        alert: "VllmErrorBudgetBurn",
        what: "8 % fail, for hours",
        world: world().traffic({ failed: 0.08 }),
        at: "400m",
        fires: [ticket("VllmErrorBudgetBurn", slow)],
    },
    {
        alert: "VllmErrorBudgetBurn",
        what: "half a percent fails",
        world: world().traffic({ failed: 0.005 }),
        at: "400m",
    },
    {
        alert: "VllmErrorBudgetBurn",
        what: "one of two requests in an hour fails",
        world: world(1)
            .set("http_requests_total", "0x50 1x400", { handler: "/v1/chat/completions", status: "5xx" })
            .set("http_requests_total", "0x50 1x400", { handler: "/v1/chat/completions", status: "2xx" })
            .set("vllm:request_success_total", "0x50 1x400", { finished_reason: "stop" }),
        at: "60m",
    },
    {
        alert: "VllmErrorBudgetBurn",
        what: "one request fails in an hour in which dozens were refused (4xx)",
        world: world(1)
            .set("http_requests_total", "0x50 1x400", { handler: "/v1/chat/completions", status: "5xx" })
            .set("http_requests_total", growing(5), { handler: "/v1/chat/completions", status: "4xx" }),
        at: "55m",
    },
    {
        alert: "VllmErrorBudgetBurn",
        what: "they failed, and no longer do",
        world: world()
            .traffic()
            .set("http_requests_total", "0+30x60 1800x400", { handler: "/v1/chat/completions", status: "5xx" }),
        at: "100m",
    },
    {
        alert: "VllmFirstTokenSlow",
        what: "80 % of the answers begin late",
        world: world().traffic({ firstTokenSlow: 0.8 }),
        at: "70m",
        fires: [page("VllmFirstTokenSlow", fast), ticket("VllmFirstTokenSlow", slow)],
    },
    {
        alert: "VllmFirstTokenSlow",
        what: "40 % begin late, for hours",
        world: world().traffic({ firstTokenSlow: 0.4 }),
        at: "400m",
        fires: [ticket("VllmFirstTokenSlow", slow)],
    },
    {
        alert: "VllmFirstTokenSlow",
        what: "4 % begin late",
        world: world().traffic({ firstTokenSlow: 0.04 }),
        at: "400m",
    },
    {
        alert: "VllmTokensSlow",
        what: "80 % of the tokens come late",
        world: world().traffic({ tokensSlow: 0.8 }),
        at: "70m",
        fires: [page("VllmTokensSlow", fast), ticket("VllmTokensSlow", slow)],
    },
    {
        alert: "VllmTokensSlow",
        what: "40 % come late, for hours",
        world: world().traffic({ tokensSlow: 0.4 }),
        at: "400m",
        fires: [ticket("VllmTokensSlow", slow)],
    },
    { alert: "VllmTokensSlow", what: "4 % come late", world: world().traffic({ tokensSlow: 0.04 }), at: "400m" },
    {
        alert: "VllmQueueNotDraining",
        what: "requests wait all the time",
        world: world().traffic().set("vllm:num_requests_waiting", steady(5)),
        fires: [ticket("VllmQueueNotDraining")],
    },
    {
        alert: "VllmQueueNotDraining",
        what: "the queue is empty every few minutes",
        world: world()
            .traffic()
            .set("vllm:num_requests_waiting", Array.from({ length: 12 }, () => "9x4 0").join(" ")),
    },
    {
        alert: "VllmQueueNotDraining",
        what: "the engine of the only replica stalls: the queue stays, and no token is made",
        world: world(1).traffic().stalled(30),
        at: "50m",
        fires: [
            page("VllmNoSuccessfulRequest"),
            ticket("VllmQueueNotDraining"),
            ticket("VllmReplicaStuck", { replica: replicaName(0) }),
        ],
    },
    {
        alert: "VllmKvCacheExhausted",
        what: "a replica's cache is full, and requests are thrown out",
        world: world()
            .traffic()
            .set("vllm:kv_cache_usage_perc", steady(0.99), { replica: replicaName(1) })
            .set("vllm:num_preemptions_total", growing(3), { replica: replicaName(1) }),
        fires: [ticket("VllmKvCacheExhausted", { replica: replicaName(1) })],
    },
    {
        alert: "VllmKvCacheExhausted",
        what: "full, and nothing is thrown out",
        world: world().traffic().set("vllm:kv_cache_usage_perc", steady(0.99)),
    },
    {
        alert: "VllmKvCacheExhausted",
        what: "one replica is full, another one threw out",
        world: world()
            .traffic()
            .set("vllm:kv_cache_usage_perc", steady(0.99), { replica: replicaName(1) })
            .set("vllm:num_preemptions_total", growing(3), { replica: replicaName(0) }),
    },
    {
        alert: "VllmAtMaxReplicas",
        what: "three of three replicas, each over target",
        world: world(3).traffic().set("vllm:num_requests_running", steady(60)),
        fires: [ticket("VllmAtMaxReplicas")],
    },
    {
        alert: "VllmAtMaxReplicas",
        what: "one of one replica, of a model that scales on its queue",
        world: new AlertWorld(single, 1).traffic().set("vllm:num_requests_waiting", steady(6)),
        fires: [ticket("VllmAtMaxReplicas"), ticket("VllmQueueNotDraining")],
    },
    {
        alert: "VllmAtMaxReplicas",
        what: "two of three replicas, each over target",
        world: world(2).traffic().set("vllm:num_requests_running", steady(60)),
    },
    {
        alert: "VllmAtMaxReplicas",
        what: "three of three replicas, under target on average",
        world: world(3)
            .traffic()
            .set("vllm:num_requests_running", steady(40))
            .set("vllm:num_requests_running", steady(60), { replica: replicaName(1) }),
    },
    {
        alert: "VllmScalingMetricMissing",
        what: "the page has no such metric",
        world: world().set("vllm:num_requests_running", undefined),
        fires: [ticket("VllmScalingMetricMissing")],
    },
    {
        alert: "VllmScalingMetricMissing",
        what: "there is no page at all",
        world: world().set("vllm:num_requests_running", undefined).set("up", steady(0), { job: "vllm-ministral" }),
    },
    {
        alert: "VllmReplicaFlapping",
        what: "a replica comes and goes",
        world: world().set("vllm:num_requests_running", comingAndGoing, { replica: replicaName(1) }),
        at: "60m",
        fires: [{ alertname: "VllmReplicaFlapping", severity: "info" }],
    },
    {
        alert: "VllmReplicaFlapping",
        what: "one is added, and one taken away",
        world: world().set("vllm:num_requests_running", "_x9 0x20 stale", { replica: replicaName(1) }),
        at: "60m",
    },
    {
        alert: "VllmReplicaStuck",
        what: "a replica has requests and makes no token, while the other works",
        world: world()
            .traffic()
            .set("vllm:num_requests_running", steady(8))
            .set("vllm:generation_tokens_total", steady(1000), { replica: replicaName(1) }),
        fires: [ticket("VllmReplicaStuck", { replica: replicaName(1) })],
    },
    {
        alert: "VllmReplicaStuck",
        what: "both work",
        world: world().traffic().set("vllm:num_requests_running", steady(8)),
    },
    {
        alert: "VllmReplicaStuck",
        what: "the only replica is stuck, for a few minutes so far",
        world: world(1).traffic().stalled(26),
    },
    {
        alert: "VllmReplicaStuck",
        what: "all clients of a busy replica have hung up at once",
        world: world(1).traffic().set("vllm:num_requests_running", "8x20 0x400"),
    },
    {
        alert: "VllmMetricsStale",
        what: "the job is gone",
        world: world().set("up", undefined, { job: "vllm-ministral" }),
        fires: [ticket("VllmMetricsStale")],
    },
    {
        alert: "VllmMetricsStale",
        what: "the relay tells of minutes ago",
        world: world().set("vllm_relay_sample_age_seconds", steady(300), { replica: replicaName(1) }),
        fires: [ticket("VllmMetricsStale")],
    },
    {
        alert: "VllmMetricsStale",
        what: "the relay tells of a minute ago",
        world: world().set("vllm_relay_sample_age_seconds", steady(60)),
    },
    {
        alert: "VllmCertificateExpiring",
        what: "it ends in ten days",
        world: world().set("vllm_relay_certificate_expiry_timestamp_seconds", steady(10 * 86400)),
        at: "120m",
        fires: [ticket("VllmCertificateExpiring")],
    },
    {
        alert: "VllmCertificateExpiring",
        what: "it ends in twenty days",
        world: world().set("vllm_relay_certificate_expiry_timestamp_seconds", steady(20 * 86400)),
        at: "120m",
    },
    {
        alert: "VllmTokenRejected",
        what: "401, for the relay and for the probe, and that alone: what users get is not known",
        world: world().unreachable(10, undefined, "unauthorized"),
        at: "40m",
        fires: [page("VllmTokenRejected")],
    },
    {
        alert: "VllmTokenRejected",
        what: "some requests of the relay are refused, others are not",
        world: world().set("vllm_relay_failures_total", growing(4), { kind: "unauthorized" }),
    },
    {
        alert: "VllmTokenRejected",
        what: "requests time out",
        world: world().set("vllm_relay_failures_total", growing(4), { kind: "timeout" }),
    },
    {
        alert: "VllmRelayBlind",
        what: "the relay says that it misses replicas",
        world: world().set("vllm_relay_blind", steady(1)),
        fires: [ticket("VllmRelayBlind")],
    },
    {
        alert: "VllmRelayBlind",
        what: "the relay does not answer",
        world: world().set("up", steady(0), { job: "replica-relay" }),
        fires: [ticket("VllmRelayBlind")],
    },
    {
        alert: "VllmRelayBlind",
        what: "the relay's job is gone",
        world: world().set("up", undefined, { job: "replica-relay" }),
        fires: [ticket("VllmRelayBlind")],
    },
    {
        alert: "VllmRelayBlind",
        what: "it missed one for five minutes, as when a replica starts",
        world: world().set("vllm_relay_blind", "0x10 1x5 0x400"),
    },
    {
        alert: "VllmRelayBlind",
        what: "nobody answers yet: there is nothing to be seen",
        world: world().begins(1, 400),
        at: "25m",
    },
    {
        alert: "VllmNotWaking",
        what: "somebody has asked, and for a quarter of an hour no replica comes",
        world: asleep(10, 30, 60),
        at: "50m",
        fires: [page("VllmNotWaking")],
    },
    {
        alert: "VllmNotWaking",
        what: "it wakes within ten minutes",
        world: asleep(10, 30, 40),
        at: "46m",
    },
    {
        alert: "VllmSleepUnknown",
        what: "OVHcloud's API has told nothing for a quarter of an hour",
        world: asleep(10).set("vllm_relay_state_age_seconds", "5x20 0+60x400"),
        at: "37m",
        fires: [ticket("VllmSleepUnknown")],
    },
    {
        alert: "VllmSleepUnknown",
        what: "the API was out for five minutes",
        world: asleep(10).set("vllm_relay_state_age_seconds", "5x20 0+60x5 5x400"),
        at: "37m",
    },
    {
        alert: "VllmEndpointDown",
        what: "a model that may sleep is down: its relay says so",
        world: new AlertWorld(sleeper, 1).unreachable(31),
        at: "36m",
        fires: [page("VllmEndpointDown")],
    },
    {
        alert: "VllmEndpointDown",
        what: "a model sleeps, for hours",
        world: asleep(40),
        at: "400m",
    },
    {
        alert: "VllmScalingMetricMissing",
        what: "a model sleeps, and tells nothing",
        world: asleep(10),
        at: "60m",
    },
    {
        alert: "VllmFrontDoorDown",
        what: "its Envoy does not answer",
        world: dooredWorld().set("up", steady(0), { job: "front-door" }),
        fires: [page("VllmFrontDoorDown")],
    },
    {
        alert: "VllmFrontDoorDown",
        what: "its pod is gone, and so is its target",
        world: dooredWorld().set("up", undefined, { job: "front-door" }),
        fires: [page("VllmFrontDoorDown")],
    },
    {
        alert: "VllmFrontDoorDown",
        what: "it answers 503 to all, while the app serves those who ask it",
        world: dooredWorld().doorAnswers("503"),
        fires: [page("VllmFrontDoorDown")],
    },
    {
        alert: "VllmFrontDoorDown",
        what: "the app refuses the token that it has",
        world: dooredWorld().doorAnswers("401"),
        fires: [page("VllmFrontDoorDown")],
    },
    {
        alert: "VllmFrontDoorDown",
        what: "every answer is the app's own failure",
        world: dooredWorld().doorAnswers("500"),
    },
    {
        alert: "VllmFrontDoorDown",
        what: "some requests fail, others do not",
        world: dooredWorld()
            .doorAnswers("503")
            .set("envoy_http_downstream_rq_xx", growing(1), { envoy_response_code_class: "2" }),
    },
    {
        alert: "VllmFrontDoorDown",
        what: "the app is down too: that is one page",
        world: dooredWorld().doorAnswers("503").unreachable(10),
        at: "40m",
        fires: [page("VllmEndpointDown")],
    },
    {
        alert: "VllmFrontDoorDown",
        what: "the engine hangs behind a server that answers: that is one page",
        world: dooredWorld().doorAnswers("503").set("vllm_relay_completion_success", "1x25 0x20"),
        at: "34m",
        fires: [page("VllmEndpointDown")],
    },
    {
        alert: "VllmFrontDoorDown",
        what: "the app wakes, and those who could not wait got 503",
        world: new AlertWorld(dooredSleeper, 1).doorAnswers("503").sleeps(10, 25, 60),
    },
    {
        alert: "VllmFrontDoorDown",
        what: "it failed for two minutes, and nobody has asked since",
        world: dooredWorld()
            .doorAnswers("503")
            .set("envoy_http_downstream_rq_xx", "0x25 0+60x2 120x400", { envoy_response_code_class: "5" }),
        at: "31m",
    },
    {
        alert: "VllmFrontDoorRefusing",
        what: "two requests a minute find no place to wait",
        world: dooredWorld().set("envoy_vhost_route_upstream_rq_retry_overflow", growing(2)),
        fires: [ticket("VllmFrontDoorRefusing")],
    },
    {
        alert: "VllmFrontDoorRefusing",
        what: "one a minute waits in vain, and one finds no place",
        world: dooredWorld()
            .set("envoy_vhost_route_upstream_rq_retry_overflow", growing(1))
            .set("envoy_vhost_route_upstream_rq_retry_limit_exceeded", growing(1)),
        fires: [ticket("VllmFrontDoorRefusing")],
    },
    {
        alert: "VllmFrontDoorRefusing",
        what: "one now and then",
        world: dooredWorld().set("envoy_vhost_route_upstream_rq_retry_overflow", growing(0.5)),
    },
    {
        alert: "VllmControllerFailing",
        what: "the app is not as wanted",
        world: keptWorld().set("vllm_controller_applied", steady(0)),
        fires: [ticket("VllmControllerFailing")],
    },
    {
        alert: "VllmControllerFailing",
        what: "it looked at the app long ago: OVHcloud's API refuses it, or is down",
        world: keptWorld().set("vllm_controller_last_success_timestamp_seconds", steady(60)),
        fires: [ticket("VllmControllerFailing")],
    },
    {
        alert: "VllmControllerFailing",
        what: "it does not run; what is spent is not known then either",
        world: ["applied", "last_success_timestamp_seconds", "stopped", "spend_known", "spend_euros"].reduce(
            (world, name) => world.set(`vllm_controller_${name}`, "1x5 stale"),
            keptWorld(),
        ),
        at: "50m",
        fires: [ticket("VllmControllerFailing"), ticket("VllmSpendUnknown")],
    },
    {
        alert: "VllmControllerFailing",
        what: "a stop, or a change of hours, takes a few minutes",
        world: keptWorld().set("vllm_controller_applied", "1x22 0x6 1x400"),
    },
    {
        alert: "VllmLeaseEnding",
        what: "it ends today",
        world: keptWorld().set("vllm_controller_lease_end_timestamp_seconds", steady(36_000)),
        fires: [info("VllmLeaseEnding")],
    },
    {
        alert: "VllmLeaseEnding",
        what: "it has ended, and the app is stopped",
        world: keptWorld()
            .set("vllm_controller_lease_end_timestamp_seconds", steady(600))
            .set("vllm_controller_stopped", steady(0), { why: "spend" }),
    },
    {
        alert: "VllmStoppedByController",
        what: "its lease has ended",
        world: keptWorld().set("vllm_controller_stopped", steady(1), { why: "lease" }),
        fires: [info("VllmStoppedByController")],
    },
    {
        alert: "VllmStoppedByController",
        what: "the app is down, and that is nobody's wish",
        world: keptWorld().set("vllm_controller_stopped", steady(0)),
    },
    {
        alert: "VllmSpendLimitReached",
        what: "the month has cost what it may",
        world: keptWorld().set("vllm_controller_spend_euros", steady(1000)),
        fires: [ticket("VllmSpendLimitReached")],
    },
    {
        alert: "VllmSpendLimitReached",
        what: "a little is left",
        world: keptWorld().set("vllm_controller_spend_euros", steady(999)),
    },
    {
        alert: "VllmSpendUnknown",
        what: "Prometheus does not answer the controller",
        world: keptWorld().set("vllm_controller_spend_known", steady(0)),
        at: "60m",
        fires: [ticket("VllmSpendUnknown")],
    },
    {
        alert: "VllmSpendUnknown",
        what: "it did not for ten minutes",
        world: keptWorld().set("vllm_controller_spend_known", "1x15 0x10 1x400"),
    },
    {
        alert: "VllmAppOfNoStack",
        what: "an app that somebody made by hand runs for longer than a try",
        world: keptWorld().ofNoStack(`stale _x9 ${steady(2)}`),
        at: "45m",
        fires: [ticket("VllmAppOfNoStack")],
    },
    {
        alert: "VllmAppOfNoStack",
        what: "one was tried for twenty minutes",
        world: keptWorld().ofNoStack("1x20 stale"),
        at: "35m",
    },
    {
        alert: "PrometheusDiskFilling",
        what: "little is left",
        world: world().set("kubelet_volume_stats_available_bytes", steady(2e9)),
        at: "60m",
        fires: [ticket("PrometheusDiskFilling")],
    },
    {
        alert: "PrometheusDiskFilling",
        what: "a fifth is left, and gone within a day",
        world: world().set("kubelet_volume_stats_available_bytes", "9e9-1e7x420"),
        at: "300m",
        fires: [ticket("PrometheusDiskFilling")],
    },
    {
        alert: "PrometheusDiskFilling",
        what: "a fifth is left, and it hardly changes",
        world: world().set("kubelet_volume_stats_available_bytes", "9e9-1e5x420"),
        at: "300m",
    },
    {
        alert: "VllmUnused",
        what: "for three days nobody asked but the relay, whose probes are of one token",
        world: world(1).probed().lasting(80),
        at: "76h",
        fires: [ticket("VllmUnused")],
        alone: true,
    },
    {
        alert: "VllmUnused",
        what: "nobody at all, and no relay",
        world: new AlertWorld(single, 1).lasting(80),
        at: "76h",
        fires: [ticket("VllmUnused")],
        alone: true,
    },
    {
        alert: "VllmUnused",
        what: "one answer of two tokens, yesterday",
        world: world(1).lasting(80).set("vllm:request_generation_tokens_count", "0x3000 1x1800"),
        at: "76h",
        alone: true,
    },
    {
        alert: "VllmUnused",
        what: "the stack is of yesterday",
        world: world(1).probed().lasting(40),
        at: "30h",
        alone: true,
    },
    {
        alert: "VllmUnused",
        what: "its replicas have gone, and cost nothing",
        world: world(1).probed().lasting(74),
        at: "76h",
        alone: true,
    },
    {
        alert: "SpendAbovePace",
        what: "three replicas for a day, of which the limit allows two",
        world: world(3).lasting(26),
        at: "25h",
        fires: [ticket("SpendAbovePace")],
        alone: true,
    },
    {
        alert: "SpendAbovePace",
        what: "two replicas for a day",
        world: world(2).lasting(26),
        at: "25h",
        alone: true,
    },
    {
        alert: "SpendAbovePace",
        what: "three, in the first half of a day",
        world: world(3).lasting(26),
        at: "12h",
        alone: true,
    },
    { alert: "DeadMansSwitch", what: "whatever happens", world: world(), fires: [] },
];

const groups = (model = relayed) => allRules([model]);
/** Alerts that come along in any world but where one is worked out alone. */
const always = ({ alone }: Case) => (alone ? [] : [deadMansSwitch]);

/** Of days, what these alerts read and no more. */
function seriesOf({ alone, world: { series } }: Case): InputSeries {
    if (!alone) return series;
    const read = /num_requests_running|request_generation_tokens_(count|bucket.*le="1.0")/;
    return Object.fromEntries(Object.entries(series).filter(([name]) => read.test(name)));
}

function rulesOf({ alert, alone, world: { model } }: Case) {
    if (!alone) return groups(model);
    const { replicas, replicaPrice, userRequests } = recordedMetrics;
    const read: string[] = [replicas.name, replicaPrice.name, userRequests.name, alert];
    return groups(model).map(({ name, rules }) => ({
        name,
        rules: rules.filter((rule) => read.includes("alert" in rule ? rule.alert : rule.record)),
    }));
}

describe.each(alertNames)("%s", (alert) => {
    const own = cases.filter((one) => one.alert === alert);

    it.each(own.filter(({ fires }) => fires).map((one): [string, Case] => [one.what, one]))(
        "fires: %s",
        async (_, one) => {
            const { at = "30m", fires } = one;
            expect(await firingAlerts(rulesOf(one), seriesOf(one), at, [...fires!, ...always(one)])).toBeUndefined();
        },
    );

    it.each(own.filter(({ fires }) => !fires).map((one): [string, Case] => [one.what, one]))(
        "does not fire: %s",
        async (_, one) => {
            const { at = "30m" } = one;
            expect(await firingAlerts(rulesOf(one), seriesOf(one), at, always(one))).toBeUndefined();
        },
    );

    it("has cases of firing and, but for the dead man's switch, of not firing", () => {
        expect(own.filter(({ fires }) => fires?.length || alert === "DeadMansSwitch")).not.toEqual([]);
        expect(own.some(({ fires }) => !fires)).toBe(alert !== "DeadMansSwitch");
    });

    it("has a runbook that says what it means, how to look, what to do and when to wait", () => {
        const file = join(runbooks, `${alert}.md`);
        expect(existsSync(file), file).toBe(true);
        const text = readFileSync(file, "utf8");
        for (const part of [`# ${alert}`, "## Meaning", "## How to look", "## What to do", "## When to wait"]) {
            expect(text).toContain(part);
        }
    });
});

it.each([
    ["one replica, seen by the relay", relayed, 1],
    ["two replicas", relayed, 2],
    ["three replicas", relayed, 3],
    ["several behind one address", direct, 1],
    ["one, without the relay", single, 1],
    ["one that may sleep, and is kept awake", sleeper, 1],
    ["one that the controller keeps", kept, 2],
    ["one with a front door", doored, 2],
])("idle for seven hours, nothing fires: %s", async (_, model, replicas) => {
    const { series } = new AlertWorld(model, replicas);
    expect(await firingAlerts(groups(model), series, ["15m", "90m", "410m"], [deadMansSwitch])).toBeUndefined();
});

it("of a model that falls asleep, is woken and sleeps again nothing fires", async () => {
    const { series } = new AlertWorld(sleeper, 1).traffic({ requests: 1 }).sleeps(20, 90, 97);
    const times = ["15m", "25m", "60m", "89m", "93m", "99m", "120m", "410m"];
    expect(await firingAlerts(groups(sleeper), series, times, [deadMansSwitch])).toBeUndefined();
});

it("an app whose lease is extended, and that does not come up, is down for its own part half an hour later", async () => {
    const { series } = new AlertWorld(kept, 2).traffic().leaseEnds(15, 70);
    const down = page("VllmEndpointDown");
    // The one that holds back the other.
    const both = [deadMansSwitch, down, info("VllmStoppedByController")];
    expect(await firingAlerts(groups(kept), series, ["60m", "75m", "95m"], both)).toBeUndefined();
    expect(await firingAlerts(groups(kept), series, "105m", [deadMansSwitch, down])).toBeUndefined();
});

it("a model that sleeps has no replica, and no gap where its replicas are counted", async () => {
    const { series } = asleep(20, 90, 97);
    const expected = [recordedMetrics.replicas, recordedMetrics.running, recordedMetrics.scalingValue].map(
        ({ name }) => ({ expr: name, samples: [{ labels: `${name}{model="sleeper"}`, value: 0 }] }),
    );
    expect(await evaluated(groups(sleeper), series, ["30m", "89m"], expected)).toBeUndefined();
});

it.each([
    ["three replicas", relayed, 3],
    ["several behind one address", direct, 1],
    ["one, without the relay", single, 1],
])("under an ordinary load nothing fires: %s", async (_, model, replicas) => {
    const { series } = new AlertWorld(model, replicas).traffic().set("vllm:num_requests_running", steady(20));
    expect(await firingAlerts(groups(model), series, ["15m", "90m", "410m"], [deadMansSwitch])).toBeUndefined();
});

it("an app of no stack is told by its name, with what it costs where that is known", async () => {
    const text = (euros?: string): Promise<string | undefined> => {
        const { series } = keptWorld().ofNoStack(steady(2), euros);
        const what = `by-hand (${appOfNoStack.app}) in GRA runs 2 replica(s) of h100-1-gpu`;
        const said = `${what}${euros ? " for 5 euros an hour" : ""}.`;
        return described(groups(kept), series, "45m", "VllmAppOfNoStack", appOfNoStack, said);
    };
    expect(await text(steady(5))).toBeUndefined();
    expect(await text()).toBeUndefined();
});

describe("the rules of a stack", () => {
    const all = allRules([relayed, direct, single, sleeper, kept, doored], "https://runbooks.example.org");
    const alerts = all.flatMap(({ rules }) => rules).filter((rule): rule is AlertRule => "alert" in rule);

    it("are accepted by promtool, with several models", async () => {
        expect(
            await promtool({ "rules.yaml": { groups: all } }, "check", "rules", "--lint-fatal", "rules.yaml"),
        ).toBeUndefined();
    });

    it("link each alert to its runbook, and say what users feel in a sentence", () => {
        expect(new Set(alerts.map(({ alert }) => alert))).toEqual(new Set(alertNames));
        for (const { alert, annotations } of alerts) {
            expect(annotations.runbook_url).toBe(`https://runbooks.example.org/${alert}.md`);
            expect(annotations.summary, alert).toMatch(/^\S.{20,110}\.$/);
            // What differs from time to time is in the description: a summary that changes is another notification.
            if (alert !== "VllmCertificateExpiring") expect(annotations.summary, alert).not.toContain("{{");
        }
    });

    it("judge no replica that cannot be told from others", () => {
        const of = (model: string) => alerts.filter(({ labels }) => labels.model === model).map(({ alert }) => alert);
        for (const alert of ["VllmAtMaxReplicas", "VllmReplicaFlapping", "VllmReplicaStuck"]) {
            expect(of("ministral")).toContain(alert);
            expect(of("single")).toContain(alert);
            expect(of("direct")).not.toContain(alert);
        }
    });

    it("send no one to a panel, row or dashboard that does not exist", () => {
        const shown = dashboards.flatMap(({ title, rows }) => [
            title,
            ...rows.flatMap((row) => [row.title.split(":")[0], ...row.panels.map((panel) => panel.title)]),
        ]);
        // Prometheus' own pages.
        const elsewhere = ["Alerts", "Status > Target health"];
        let named = 0;
        for (const file of readdirSync(runbooks).filter((name) => name.endsWith(".md"))) {
            const text = readFileSync(join(runbooks, file), "utf8").replaceAll(/`[^`]*`/g, "");
            for (const [, emphasized] of text.matchAll(/(?<!\w)_((?:[A-Z]|vLLM)[^_]+)_(?!\w)/g)) {
                expect([...shown, ...elsewhere], file).toContain(emphasized.replaceAll(/\s+/g, " "));
                named++;
            }
        }
        expect(named).toBeGreaterThan(30);
    });

    it("put no secret on a command line, where a list of processes shows it", () => {
        const commands = readdirSync(runbooks).flatMap((file) =>
            [
                ...readFileSync(join(runbooks, file), "utf8").matchAll(
                    /(?<!`)`([^`\n]+)`(?!`)|^((?:pulumi|kubectl|curl) .+)$/gm,
                ),
            ].map(([, quoted, line]) => quoted ?? line),
        );
        const secrets = commands.filter((command) => /config set .*--secret|--show-secrets/.test(command));
        expect(secrets.length).toBeGreaterThan(5);
        for (const command of secrets) {
            // Pulumi asks for a value that is not given; what it tells goes on by a pipe.
            expect(command).toMatch(/config set (--\w+ )+\S+$|^echo [^|]*--show-secrets[^|]*\||--show-secrets \|/);
        }
    });

    it("are no alerts for a model that is stopped on purpose, and go on telling dashboards what it is", () => {
        const [{ rules }] = allRules([{ ...relayed, desiredState: "STOPPED" }]);
        expect(rules.filter((rule) => "alert" in rule)).toEqual([]);
        expect(rules.map((rule) => "record" in rule && rule.record)).toContain(recordedMetrics.info.name);
    });

    it("have no runbook without an alert", () => {
        const names = readdirSync(runbooks).map((name) => name.replace(/\.md$/, ""));
        expect(names.filter((name) => /^[A-Z]\w+$/.test(name) && name !== "README").sort()).toEqual(
            [...alertNames].sort(),
        );
    });
});
