import type { Input } from "@pulumi/pulumi";
import { serverMetrics as server, vllmMetrics as vllm } from "../../vllm/metrics";
import { relayMetrics as relay, scrapeMetrics as scrape } from "../metrics";
import { aggregate, gauge, increase, rate, selector, sumBy, type Matcher } from "../promql";
import { jobName, probeJobName } from "../scrape-jobs";

/** A model as the rules see it. */
export interface WatchedModel {
    /** Name in the stack. */
    name: string;
    /** Id of the app. */
    app: Input<string>;
    /** AI Deploy region. */
    region: string;
    image: string;
    replicas: { min: number; max: number };
    scaling: { metric: string; target: number; aggregation: "AVERAGE" | "MAX" | "MIN" | "SUM" };
    /** Requests that one replica runs at once at most. */
    maxNumSeqs: number;
    targets: {
        /** Seconds; one of the buckets of the metric. */
        timeToFirstToken: number;
        /** Seconds; one of the buckets of the metric. */
        interTokenLatency: number;
        /** Share of the observations that is to be within them, 0 to 1. */
        withinTargets: number;
        /** Share of the requests that may fail, 0 to 1. */
        errorBudget: number;
    };
    /** Euros per hour. */
    replicaPrice?: number;
    /** One that is stopped on purpose is not scraped, and nothing about it alerts. */
    desiredState: "RUNNING" | "STOPPED";
    /** There where the controller keeps it; with `lease`, until an end. */
    controlled?: { lease: boolean };
    /** Whether clients have a front door before it. */
    frontDoor?: boolean;
    /** Whether the relay scrapes it, so that every replica is seen and told apart. */
    relayed: boolean;
}

/** A replica is told by the label `replica`, which is empty without the relay. */
export const perReplica = ["instance", "replica"];

/** Calls of the model, in any of the API's forms: probes, lists of models and tokenizing are none. */
const calls = { handler: "=~/v1/.+", method: "=POST" } as const;

/** The series that its replicas tell. */
export function ofReplicas({ name }: WatchedModel) {
    return { job: `=${jobName(name)}` } as const;
}

/** The series that are told of it: recorded ones, and those of its relay. */
export function about({ name }: WatchedModel) {
    return { model: `=${name}` } as const;
}

/** `up` of every way on which it is scraped. */
export function everyScrape({ name }: WatchedModel): string {
    return gauge(scrape.up, { job: `=~${jobName(name)}|${probeJobName(name)}` });
}

/**
 * The address answers scrapes, and no real completion comes: the engine hangs. A model whose relay asks for none has no such
 * series, and so no result.
 */
export function engineHangs(model: WatchedModel): string {
    const failing = aggregate("max", [], gauge(relay.completionSuccess, about(model)));
    return `${aggregate("max", ["instance"], everyScrape(model))} == 1 and on () (${failing} == 0)`;
}

/** 1 while a model that may sleep is in one of these phases (`|` between them), else 0; no result of one that never sleeps. */
export function inPhase(model: WatchedModel, phase: string): string {
    return aggregate("max", [], gauge(relay.phase, { ...about(model), phase: `=~${phase}` }));
}

/** The expression, and 0 while the model sleeps: then nothing tells it, and nothing is what there is. */
export function orAsleep(model: WatchedModel, expr: string): string {
    return model.replicas.min > 0 ? expr : `${expr} or on () 0 * (${inPhase(model, "asleep")} == 1)`;
}

/** Most requests of the relay that failed in the last minutes did so with 401 or 403. */
export function tokenRefused(model: WatchedModel): string {
    const failures = (kind: Matcher) => sumBy([], increase(relay.failures, { ...about(model), kind }, "5m"));
    return `${failures("=unauthorized")} > ${failures("!=unauthorized")}`;
}

/** Calls of these statuses, per second. */
export function callRate(model: WatchedModel, status: Matcher, window: string): string {
    return sumBy([], rate(server.httpRequests, { ...ofReplicas(model), ...calls, status }, window));
}

/** Calls that were answered and not refused, in the window or in the same time before `offset`. */
export function answeredCalls(model: WatchedModel, window: string, offset?: string): string {
    const matchers = { ...ofReplicas(model), ...calls, status: "!=4xx" } as const;
    return sumBy([], increase(server.httpRequests, matchers, window, offset));
}

/** Tokens per second. */
export function tokenRate(model: WatchedModel, window: string, by: string[] = []): string {
    return sumBy(by, rate(vllm.generationTokens, ofReplicas(model), window));
}

/**
 * The series of the metric that scaling follows. It may be one of an image that is not vLLM's, unknown here and perhaps
 * called like a word of PromQL: so by the label that every series has its name in.
 */
export function scalingMetric(model: WatchedModel): string {
    return selector({ __name__: `=${model.scaling.metric}`, ...ofReplicas(model) });
}
