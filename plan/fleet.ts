import {
    askedByMetric,
    decide,
    type Asked,
    type Recommendation,
    type ScalingRule,
} from "../sandbox/ovhcloud/autoscaler";
import type { Aggregation } from "../sandbox/ovhcloud/status";
import type { EngineConfig } from "../sandbox/vllm/engine";
import { normal, seededRandom } from "../tools/random";
import { Batch } from "./batch";
import { Histogram } from "./histogram";
import { Prefixes } from "./prefixes";
import type { Request, Traffic } from "./traffic";

/** What the autoscaler reads of each replica. */
export type Signal = "vllm:num_requests_running" | "vllm:num_requests_waiting" | "vllm:kv_cache_usage_perc";

/** How many replicas there are to be. */
export type Scaling =
    | ({ metric: Signal; target: number; aggregation: Aggregation } & ScalingRule)
    /** By a list: so many from the beginning of each interval on. Knows no boot, each is there when it is asked for. */
    | { every: number; replicas: readonly number[] };

/** What one replica is, and what the platform does. Times are seconds. */
export interface World {
    engine: Pick<EngineConfig, "maxNumSeqs" | "maxNumBatchedTokens" | "blockSize" | "numBlocks" | "step">;
    prefixCaching: boolean;
    /** Added by the API server to each request. */
    requestOverhead: number;
    /** From the decision to the first request: queue, image, weights, compilation, probes. Log-normal. */
    boot: { median: number; spread: number };
    /** Chance that no GPU is free when one is asked for, and how long until the next try. */
    noGpu: { chance: number; retry: number };
    /** Requests of a replica that is to go: `lost` with vLLM 0.13.0, or answered to the end. */
    scaleDown: "lost" | "drained";
    scaling: Scaling;
}

/** What users can count on: `models.NAME.targets`. */
export interface Targets {
    timeToFirstToken: number;
    interTokenLatency: number;
}

/** Some minutes of a run. */
export interface Interval {
    /** Requests that came. */
    requests: number;
    /** Replicas that the autoscaler wanted, and those that served, at its end. */
    wanted: number;
    serving: number;
    /** Seconds to the first token, of the requests answered in it. */
    firstToken: Histogram;
}

export interface Outcome {
    /** Was given up, at a limit: the figures are of the time until then. */
    givenUp: boolean;
    requests: number;
    /** Answered, with the first token and the mean time between tokens in time. */
    within: number;
    /** Came when no replica served. */
    refused: number;
    /** Cut off by a scale-down. */
    lost: number;
    /** Longer than the KV cache or the context: refused by vLLM. Not among `requests`. */
    tooLong: number;
    preemptions: number;
    /** Billed: from the moment a replica has its GPU. */
    replicaSeconds: number;
    busySeconds: number;
    firstToken: Histogram;
    interToken: Histogram;
    intervals: Interval[];
}

/** Seconds between two looks of the autoscaler (`--horizontal-pod-autoscaler-sync-period`). */
const lookEvery = 15;
export const intervalSeconds = 300;

interface Replica {
    batch: Batch;
    prefixes: Prefixes;
    /** Infinity while there is no GPU for it. */
    billedFrom: number;
    readyAt: number;
}

/** Where a run may end early, as it cannot be of interest any more. */
export interface Limits {
    /** Requests that were late or failed. */
    late: number;
    replicaSeconds: number;
}

/** Runs traffic against the replicas of one app, in virtual time. The same for the same seed. */
export function simulateFleet(
    world: World,
    traffic: Traffic,
    targets: Targets,
    seed: number,
    limits: Limits = { late: Infinity, replicaSeconds: Infinity },
): Outcome {
    return new Fleet(world, traffic, targets, seed).run(limits);
}

class Fleet {
    private readonly outcome: Outcome;
    private readonly random: () => number;
    private replicas: Replica[] = [];
    /** Those that answer what they have, and take nothing more. */
    private draining: Replica[] = [];
    private ready: Replica[] = [];
    private readonly history: Recommendation[] = [];
    private wanted: number;
    private lastActive = 0;
    private interval: Interval;
    /** Requests that were late or failed, and replica seconds so far: what `Limits` bounds. */
    private late = 0;
    private spent = 0;

    constructor(
        private readonly world: World,
        private readonly traffic: Traffic,
        private readonly targets: Targets,
        private readonly seed: number,
    ) {
        this.random = seededRandom(seed ^ 0x5eed);
        this.interval = { requests: 0, wanted: 0, serving: 0, firstToken: new Histogram() };
        this.outcome = {
            givenUp: false,
            requests: 0,
            within: 0,
            refused: 0,
            lost: 0,
            tooLong: 0,
            preemptions: 0,
            replicaSeconds: 0,
            busySeconds: 0,
            firstToken: new Histogram(),
            interToken: new Histogram(),
            intervals: [],
        };
        const { scaling } = world;
        // The app stood before: its least number of replicas serves already.
        this.wanted = "every" in scaling ? scaling.replicas[0] : Math.max(1, scaling.replicasMin);
        for (let i = 0; i < this.wanted; i++) this.start(0, true);
        this.findReady(0);
    }

    run(limits: Limits): Outcome {
        const { outcome, traffic, capacityTokens } = this;
        let nextLook = lookEvery;
        for (const request of traffic.requests(this.seed)) {
            for (; nextLook <= request.at; nextLook += lookEvery) this.look(nextLook);
            if (this.late > limits.late || this.spent > limits.replicaSeconds) {
                outcome.givenUp = true;
                return outcome;
            }
            if (request.promptTokens + request.answerTokens > capacityTokens) outcome.tooLong++;
            else this.serve(request);
        }
        for (; nextLook <= traffic.seconds; nextLook += lookEvery) this.look(nextLook);
        for (const replica of [...this.replicas, ...this.draining]) {
            replica.batch.advance(Infinity);
            this.bill(replica, traffic.seconds);
        }
        this.endInterval();
        return outcome;
    }

    private get capacityTokens(): number {
        const { numBlocks, blockSize } = this.world.engine;
        return (numBlocks - 1) * blockSize;
    }

    private serve(request: Readonly<Request>): void {
        const { ready, outcome, world } = this;
        outcome.requests++;
        this.interval.requests++;
        if (ready.length === 0) {
            outcome.refused++;
            this.late++;
            return;
        }
        const replica = ready[ready.length === 1 ? 0 : Math.floor(this.random() * ready.length)];
        const cached = world.prefixCaching ? this.cachedTokens(replica, request) : 0;
        const { promptTokens, answerTokens } = request;
        replica.batch.add(request.at + world.requestOverhead, outcome.requests, promptTokens, answerTokens, cached);
    }

    /** Tokens of its prompt that the replica need not compute: whole blocks, and not all of it. */
    private cachedTokens(replica: Replica, { promptTokens, blocks, commonTokens }: Readonly<Request>): number {
        const { blockSize } = this.world.engine;
        let tokens = 0;
        if (blocks) tokens = replica.prefixes.look(blocks) * this.traffic.blockTokens;
        else if (commonTokens > 0 && replica.prefixes.lookCommon()) tokens = commonTokens;
        return Math.floor(Math.min(tokens, promptTokens - 1) / blockSize) * blockSize;
    }

    private start(now: number, atOnce = false): void {
        const { world, outcome, targets } = this;
        const { engine, boot, noGpu, requestOverhead } = world;
        let billedFrom = now;
        if (!atOnce) while (this.random() < noGpu.chance) billedFrom += noGpu.retry;
        const took = atOnce || "every" in world.scaling ? 0 : boot.median * Math.exp(boot.spread * normal(this.random));
        const random = engine.step.spread > 0 ? seededRandom(Math.floor(this.random() * 2 ** 31)) : undefined;
        const batch = new Batch({ ...engine, random }, (_request, arrival, firstToken, last, tokens) => {
            const first = firstToken - arrival + requestOverhead;
            outcome.firstToken.add(first);
            this.interval.firstToken.add(first);
            const between = tokens > 1 ? (last - firstToken) / (tokens - 1) : 0;
            if (tokens > 1) outcome.interToken.add(between);
            if (first <= targets.timeToFirstToken && between <= targets.interTokenLatency) outcome.within++;
            else this.late++;
        });
        const prefixes = new Prefixes(Math.floor(batch.capacityTokens / this.traffic.blockTokens));
        this.replicas.push({ batch, prefixes, billedFrom, readyAt: billedFrom + took });
    }

    private findReady(now: number): void {
        this.ready = this.replicas.filter(({ readyAt }) => readyAt <= now);
    }

    /** The autoscaler looks, and replicas that are ready by now take requests. */
    private look(now: number): void {
        this.findReady(now);
        for (const { batch } of this.replicas) batch.advance(now);
        this.spent += lookEvery * (this.replicas.length + this.draining.length);
        this.endDrained(now);
        const to = this.decide(now);
        for (; this.replicas.length < to;) this.start(now);
        while (this.replicas.length > to) this.stop(now);
        this.wanted = to;
        this.findReady(now);
        if (now % intervalSeconds === 0) this.endInterval();
    }

    private decide(now: number): number {
        const { scaling } = this.world;
        if ("every" in scaling) {
            return scaling.replicas[Math.min(scaling.replicas.length - 1, Math.floor(now / scaling.every))];
        }
        const readings = this.replicas.map((replica) => {
            const ready = replica.readyAt <= now;
            return ready ? { ready, value: read(scaling.metric, replica.batch) } : { ready };
        });
        if (readings.some(({ value = 0 }) => value > 0)) this.lastActive = now;
        let asked: Asked | undefined;
        if (this.ready.length > 0) {
            asked = askedByMetric(this.wanted, readings, scaling.target, scaling.aggregation);
        }
        // At zero, the request that wakes it is the platform's to see.
        return decide(scaling, this.wanted, asked, this.history, now, now - this.lastActive).to;
    }

    /** Those that have got the least far go first, among equals the youngest (Kubernetes' ReplicaSet). */
    private stop(now: number): void {
        const unready = this.replicas.findLastIndex(({ readyAt }) => readyAt > now);
        const [replica] = this.replicas.splice(unready >= 0 ? unready : this.replicas.length - 1, 1);
        if (this.world.scaleDown === "drained" && replica.batch.inside > 0) {
            this.draining.push(replica);
            return;
        }
        this.outcome.lost += replica.batch.inside;
        this.late += replica.batch.inside;
        this.bill(replica, now);
    }

    private endDrained(now: number): void {
        if (this.draining.length === 0) return;
        for (const replica of this.draining) {
            replica.batch.advance(now);
            if (replica.batch.inside === 0) this.bill(replica, now);
        }
        this.draining = this.draining.filter(({ batch }) => batch.inside > 0);
    }

    private bill({ batch, billedFrom }: Replica, until: number): void {
        this.outcome.replicaSeconds += Math.max(0, until - billedFrom);
        this.outcome.busySeconds += batch.busySeconds;
        this.outcome.preemptions += batch.preemptions;
    }

    private endInterval(): void {
        this.interval.wanted = this.wanted;
        this.interval.serving = this.ready.length;
        this.outcome.intervals.push(this.interval);
        this.interval = { requests: 0, wanted: 0, serving: 0, firstToken: new Histogram() };
    }
}

function read(signal: Signal, batch: Batch): number {
    switch (signal) {
        case "vllm:num_requests_running":
            return batch.running;
        case "vllm:num_requests_waiting":
            return batch.waiting;
        case "vllm:kv_cache_usage_perc":
            return batch.kvCacheUsage;
    }
}
