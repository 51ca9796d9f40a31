import { beforeAll, describe, expect, it } from "vitest";
import type { WatchedModel } from "../../src/monitoring/rules";
import { AlertWorld, growing, steady } from "./alert-world";
import { deliveries, timelines, type Timeline } from "./alerts-in-time";
import type { InputSeries } from "./promtool";
import { allRules, kept, keptSleeper, relayed, single, sleeper } from "./watched-models";

/**
 * What people are told, in its order, when something happens to a model: rules evaluated by promtool, minute by minute, and
 * what fires given to a real Alertmanager with the stack's configuration.
 */
interface Story {
    what: string;
    model?: WatchedModel;
    series: InputSeries;
    /** Minute at which it begins; by default a little before the onset. */
    from?: number;
    /** Alerts in the order in which people hear of them; none: nobody is told. */
    told: string[];
    /** Minutes after the onset by which the first page fires; then half a minute passes, in which others may join. */
    paged?: number;
}

/** Minute at which it happens, after an hour and more in which the model served. */
const onset = 70;
const until = onset + 50;

const chat = { handler: "/v1/chat/completions" };
const busy = (model = relayed, replicas = 2) =>
    new AlertWorld(model, replicas).traffic().set("vllm:num_requests_running", steady(20));
/** A request now and then. */
const quiet = (model = relayed, replicas = 1) => new AlertWorld(model, replicas).traffic({ requests: 0.1 });
const stopped: WatchedModel = { ...relayed, desiredState: "STOPPED" };
const twoAtLeast: WatchedModel = { ...relayed, replicas: { min: 2, max: 3 } };
/** Calls that are answered so at a replica, so many a minute, for so long, in a quiet hour. */
const calls = (status: string, perMinute: number, length: number) =>
    quiet()
        .set("http_requests_total", steady(0), { ...chat, status: "2xx" })
        .set("vllm:request_success_total", steady(0))
        .set("http_requests_total", `0x${onset} 0+${perMinute}x${length} ${perMinute * length}x400`, {
            ...chat,
            status,
        });
/** The model at a new address, where it answers after so many minutes. */
const replaced = (serves: number) => ({
    ...busy().unscraped(onset).series,
    ...new AlertWorld(relayed, 2, undefined, "new.example.net").traffic().begins(onset, serves).series,
});
/** A queue comes up only when the batch is full. */
const stalled = (world: AlertWorld) => world.stalled(onset).set("vllm:num_requests_waiting", `0x${onset + 5} 5x400`);
const relayRestarts = busy()
    .set("up", `1x${onset} 0 1x400`, { job: "vllm-ministral" })
    .set("up", `1x${onset} 0 1x400`, { job: "replica-relay" })
    .set("vllm_relay_blind", `0x${onset} stale 0x400`);

/** It has slept for twenty minutes when its lease ends, and serves again after so many. */
const stoppedAsleep = (extended: number, serves: number) => {
    const world = new AlertWorld(keptSleeper, 1).traffic().sleeps(onset - 20, serves - 1, serves);
    return world
        .set("vllm_relay_phase", `0x${onset - 20} 1x19 0x400`, { phase: "asleep" })
        .set("vllm_relay_phase", steady(0), { phase: "waking" })
        .set("vllm_relay_phase", `0x${onset} 1x${serves - onset - 1} 0x400`, { phase: "down" })
        .set("up", `1x${onset} 0x${serves - onset - 1} 1x400`, { job: "vllm-kept-sleeper" })
        .set("vllm_controller_stopped", `0x${onset} 1x${extended - onset - 1} stale 0x400`, { why: "lease" });
};

const stories: Story[] = [
    {
        what: "a lease ends, is extended a quarter of an hour later, and the app loads for eight minutes",
        model: kept,
        series: busy(kept).leaseEnds(onset, onset + 15, onset + 23).series,
        told: ["info: VllmStoppedByController", "info over"],
    },
    {
        what: "... of a model that may sleep, and is awake",
        model: keptSleeper,
        series: busy(keptSleeper, 1).leaseEnds(onset, onset + 15, onset + 23).series,
        told: ["info: VllmStoppedByController", "info over"],
    },
    {
        what: "... of one that sleeps",
        model: keptSleeper,
        series: stoppedAsleep(onset + 15, onset + 23).series,
        told: ["info: VllmStoppedByController", "info over"],
    },
    {
        what: "a lease that ended is extended, the app comes up and goes down ten minutes later",
        model: keptSleeper,
        series: busy(keptSleeper, 1)
            .leaseEnds(onset - 20, onset, onset + 8)
            .set("up", `1x${onset - 20} 0x27 1x10 0x400`, { job: "vllm-kept-sleeper" }).series,
        told: ["info: VllmStoppedByController", "info over", "page: VllmEndpointDown"],
    },
    {
        what: "the scrape token is revoked",
        series: busy().unreachable(onset, undefined, "unauthorized").series,
        told: ["page: VllmTokenRejected"],
        paged: 7,
    },
    {
        what: "the scrape token is rotated without overlap, and the cluster takes two minutes to pass it on",
        series: busy().unreachable(onset, onset + 2, "unauthorized").series,
        told: [],
    },
    {
        what: "the scrape token of a model without relay is revoked: its page says that it may be that",
        model: single,
        series: busy(single, 1).unreachable(onset).series,
        told: ["page: VllmEndpointDown"],
        paged: 5,
    },
    {
        what: "the certificate ends",
        series: busy()
            .unreachable(onset, undefined, "certificate")
            .set("vllm_relay_certificate_expiry_timestamp_seconds", steady(onset * 60)).series,
        told: ["ticket: VllmCertificateExpiring", "page: VllmEndpointDown"],
        paged: 5,
    },
    {
        what: "the app is deleted by hand, or its region is out",
        series: busy().unreachable(onset, undefined, "status").series,
        told: ["page: VllmEndpointDown"],
        paged: 5,
    },
    {
        what: "the same in a quiet hour",
        series: quiet().unreachable(onset, undefined, "status").series,
        told: ["page: VllmEndpointDown"],
        paged: 5,
    },
    {
        // Nothing here asks the API, and the apps serve on.
        what: "the region's API is out",
        series: busy().series,
        told: [],
    },
    {
        what: "the engine of the only replica dies, and its process is started anew",
        model: single,
        series: busy(single, 1).unreachable(onset, onset + 8, "connection").series,
        told: ["page: VllmEndpointDown", "page over"],
        paged: 5,
    },
    {
        what: "a model falls asleep, is woken ten minutes later and serves after eight more",
        model: sleeper,
        series: new AlertWorld(sleeper, 1).traffic().sleeps(onset, onset + 10, onset + 18).series,
        told: [],
    },
    {
        what: "a model that slept is asked, and no GPU is free",
        model: sleeper,
        series: new AlertWorld(sleeper, 1).traffic().sleeps(onset - 10, onset, onset + 200).series,
        told: ["page: VllmNotWaking"],
        paged: 17,
    },
    {
        what: "one of two replicas goes, and one is enough",
        series: busy().unreachableReplica(1, onset).series,
        told: [],
    },
    {
        what: "one of two replicas goes, and there are to be two",
        model: twoAtLeast,
        series: busy(twoAtLeast).unreachableReplica(1, onset).set("vllm_relay_blind", `0x${onset} 1x400`).series,
        told: ["ticket: VllmRelayBlind"],
    },
    {
        what: "the engine of the only replica stalls under load",
        series: stalled(busy(relayed, 1)).series,
        told: ["page: VllmNoSuccessfulRequest", "ticket: VllmReplicaStuck", "ticket: VllmQueueNotDraining"],
        paged: 7,
    },
    {
        what: "... of a model without relay",
        model: single,
        series: stalled(busy(single, 1)).series,
        told: ["page: VllmNoSuccessfulRequest", "ticket: VllmReplicaStuck", "ticket: VllmQueueNotDraining"],
        paged: 7,
    },
    {
        what: "... and in a quiet hour, with one request under way",
        series: quiet()
            .stalled(onset)
            .set("vllm:num_requests_running", `0x${onset} 1x400`)
            .set("vllm:num_requests_waiting", steady(0)).series,
        told: ["page: VllmNoSuccessfulRequest", "ticket: VllmReplicaStuck"],
        paged: 8,
    },
    {
        what: "a long answer in a quiet hour: tokens come, and it does not end",
        series: quiet()
            .set("vllm:num_requests_running", `0x${onset} 1x400`)
            .set("vllm:generation_tokens_total", growing(2000)).series,
        told: [],
    },
    {
        what: "half of the requests fail under load",
        series: busy()
            .set("http_requests_total", `0+60x${onset} ${60 * onset}+30x400`, { ...chat, status: "2xx" })
            .set("http_requests_total", `0x${onset} 0+30x400`, { ...chat, status: "5xx" }).series,
        told: ["ticket: VllmErrorBudgetBurn", "page: VllmErrorBudgetBurn"],
        paged: 20,
    },
    {
        what: "a client's retries fail in a quiet hour, six in two minutes",
        series: calls("5xx", 3, 2).series,
        told: [],
    },
    {
        what: "every request fails in a quiet hour, two a minute",
        series: calls("5xx", 2, 60).series,
        told: ["page: VllmErrorBudgetBurn", "page: VllmNoSuccessfulRequest"],
        paged: 10,
    },
    {
        what: "a user stops eight answers in a quiet hour, one a minute",
        series: calls("2xx", 1, 8).series,
        told: [],
    },
    {
        what: "a user stops thirty answers within three minutes of a quiet hour",
        series: calls("2xx", 10, 3).series,
        told: [],
    },
    {
        what: "not one answer is whole, two calls a minute, for half an hour",
        series: calls("2xx", 2, 30).series,
        told: ["page: VllmNoSuccessfulRequest", "page over"],
        paged: 13,
    },
    {
        what: "Prometheus begins anew, without anything of before, under load",
        series: busy().series,
        from: 0,
        told: [],
    },
    {
        what: "Prometheus begins anew, and the app is down: that may be a start, for half an hour",
        series: busy().unreachable(0).series,
        from: 0,
        told: ["page: VllmEndpointDown"],
    },
    {
        what: "Prometheus is away for eight minutes, under load",
        series: busy().unrecorded(onset, onset + 8).series,
        told: [],
    },
    {
        what: "Prometheus is away for eight minutes, and the app goes meanwhile",
        series: busy()
            .unrecorded(onset - 10, onset - 2)
            .set("up", `1x${onset - 10} _x7 0x400`, { job: "vllm-ministral" })
            .set("up", `1x${onset - 10} _x7 0x400`, { job: "vllm-ministral-direct" }).series,
        told: ["page: VllmEndpointDown"],
    },
    { what: "the relay is restarted", series: relayRestarts.series, told: [] },
    {
        what: "the model is rolled out: new replicas beside the old ones, then instead of them",
        series: busy(relayed, 4)
            .startsReplica(2, onset)
            .startsReplica(3, onset)
            .unreachableReplica(0, onset + 2)
            .unreachableReplica(1, onset + 2).series,
        told: [],
    },
    {
        what: "the model is replaced: its new app has another address and loads for a quarter of an hour",
        series: replaced(onset + 15),
        told: [],
    },
    {
        what: "the model is replaced, and its new app answers no more after ten minutes",
        series: {
            ...busy().unscraped(onset).series,
            ...new AlertWorld(relayed, 2, undefined, "new.example.net")
                .begins(onset, onset + 6)
                .set("up", `_x${onset} 0x5 1x4 0x400`, { job: "vllm-ministral" })
                .set("up", `_x${onset} 0x5 1x4 0x400`, { job: "vllm-ministral-direct" }).series,
        },
        told: ["page: VllmEndpointDown"],
    },
    {
        what: "the model is replaced, and its new app never comes up",
        series: replaced(400),
        told: ["page: VllmEndpointDown"],
    },
    {
        what: "the model is stopped on purpose: its jobs go",
        model: stopped,
        series: busy().unscraped(onset).series,
        told: [],
    },
    {
        what: "... and in the minutes before they do",
        model: stopped,
        series: busy().unreachable(onset).series,
        told: [],
    },
    {
        what: "a stopped model is started again after a quarter of an hour, and loads for ten minutes",
        series: busy()
            .set("up", `1x${onset - 15} stale _x15 0x9 1x400`, { job: "vllm-ministral" })
            .set("up", `1x${onset - 15} stale _x15 0x9 1x400`, { job: "vllm-ministral-direct" }).series,
        // Its rules come back with its jobs.
        from: onset + 3,
        told: [],
    },
];

/** Latency budgets are spent slowly: these go on for longer, after six hours. */
const slowOnset = 365;
const slowUntil = 418;
const slow = (bucket: string) => {
    const world = busy();
    // What comes within the target from then on: nothing.
    for (const key of Object.keys(world.series).filter((series) => series.startsWith(bucket))) {
        const bound = Number(/le="([^"]+)"/.exec(key)![1].replace("+Inf", "Infinity"));
        const [, perMinute] = /^0\+([\d.]+)x/.exec(world.series[key]) ?? [];
        if (perMinute && bound < 80) {
            world.series[key] = `0+${perMinute}x${slowOnset} ${Number(perMinute) * slowOnset}x400`;
        }
    }
    return world.series;
};
const slowStories: Story[] = [
    {
        what: "answers begin late, all of them",
        series: slow("vllm:time_to_first_token_seconds_bucket"),
        told: ["page: VllmFirstTokenSlow"],
    },
    {
        what: "answers flow slowly, all of them",
        series: slow("vllm:inter_token_latency_seconds_bucket"),
        told: ["page: VllmTokensSlow"],
    },
    {
        what: "answers begin late and flow slowly in quiet hours, each of five an hour: nobody is woken",
        series: quiet().traffic({ requests: 1 / 12, firstTokenSlow: 1, tokensSlow: 1 }).series,
        told: ["ticket: VllmFirstTokenSlow", "ticket: VllmTokensSlow"],
    },
];

let told: Record<string, string[]>;
let fired: Record<string, Timeline>;
beforeAll(async () => {
    const played = async (among: Story[], start: number, to: number): Promise<Record<string, Timeline>> => {
        const parts: Record<string, Timeline>[] = [];
        for (const model of new Set(among.map((story) => story.model ?? relayed))) {
            const own = among.filter((story) => (story.model ?? relayed) === model);
            const told = own.map(({ what, series, from = start }) => ({ what, series, from }));
            parts.push(await timelines(allRules([model]), told, to));
        }
        return Object.assign({}, ...parts) as Record<string, Timeline>;
    };
    fired = {
        ...(await played(stories, onset - 5, until)),
        ...(await played(slowStories, slowOnset, slowUntil)),
    };
    told = await deliveries(fired);
}, 600_000);

describe("what people are told when", () => {
    it.each([...stories, ...slowStories].map((story): [string, Story] => [story.what, story]))("%s", (what, story) => {
        expect(told[what]).toEqual(story.told);
    });

    it.each(stories.filter(({ paged }) => paged).map((story): [number, string] => [story.paged!, story.what]))(
        "a page within %i minutes: %s",
        (paged, what) => {
            const first = fired[what].findIndex((alerts) => alerts.some(({ severity }) => severity === "page"));
            expect(first).toBeGreaterThanOrEqual(0);
            expect(first - 5).toBeLessThanOrEqual(paged);
        },
    );
});
