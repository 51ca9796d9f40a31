import {
    askedByMetric,
    decide,
    type Asked,
    type Recommendation,
    type ScalingRule,
} from "../sandbox/ovhcloud/autoscaler";
import { normal, seededRandom } from "../tools/random";
import { Batch } from "./batch";
import { Histogram } from "./histogram";
import { Prefixes } from "./prefixes";
import { entryAt } from "./schedule";
import type { Answered, Answers, Request, Traffic } from "./traffic";
import type { Limits, Outcome, Scaling, Signal, Targets, World } from "./world";

/** Seconds between two looks of the autoscaler (`--horizontal-pod-autoscaler-sync-period`). */
const defaultLookEvery = 15;
export const intervalSeconds = 300;

type Rule = Exclude<Scaling, { every: number }>;

interface Replica {
    batch: Batch;
    prefixes: Prefixes;
    /** Infinity while there is no GPU for it. */
    billedFrom: number;
    readyAt: number;
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

class Fleet implements Answers {
    private readonly outcome: Outcome;
    private readonly random: () => number;
    private all: Replica[] = [];
    /** Those that answer what they have, and take nothing more, each until its time is over. */
    private draining: (Replica & { endsAt: number })[] = [];
    private ready: Replica[] = [];
    private readonly history: Recommendation[] = [];
    private wanted: number;
    private lastActive = 0;
    /** Came while there was no replica, and wait for one. */
    private held: Request[] = [];
    /** Of the interval under way: requests, and the times to first token. */
    private came = 0;
    private firstToken = new Histogram();
    /** Requests that were late or failed, and replica seconds so far: what `Limits` bounds. */
    private late = 0;
    private spent = 0;
    private readonly lookEvery: number;
    private nextLook: number;
    /** For a traffic that waits for them. */
    private answered: Answered[] = [];

    constructor(
        private readonly world: World,
        private readonly traffic: Traffic,
        private readonly targets: Targets,
        private readonly seed: number,
    ) {
        this.random = seededRandom(seed ^ 0x5eed);
        this.lookEvery = this.nextLook = world.lookEvery ?? defaultLookEvery;
        this.outcome = {
            givenUp: false,
            requests: 0,
            within: 0,
            refused: 0,
            lost: 0,
            tooLong: 0,
            wakeUps: 0,
            preemptions: 0,
            replicaSeconds: 0,
            busySeconds: 0,
            firstToken: new Histogram(),
            interToken: new Histogram(),
            intervals: [],
        };
        const { scaling } = world;
        // The app stood before: its least number of replicas serves already, and one that may sleep has just been asked.
        this.wanted = "every" in scaling ? scaling.replicas[0] : Math.max(1, this.ruleAt(scaling, 0).replicasMin);
        for (let i = 0; i < this.wanted; i++) this.start(0, true);
        this.findReady(0);
    }

    run(limits: Limits): Outcome {
        const { outcome, traffic, longestRequest } = this;
        for (const request of traffic.requests(this.seed, this)) {
            this.lookUntil(request.at);
            if (this.late > limits.late || this.spent > limits.replicaSeconds) {
                outcome.givenUp = true;
                return outcome;
            }
            if (request.promptTokens + request.answerTokens > longestRequest) outcome.tooLong++;
            else this.serve(request);
        }
        this.lookUntil(traffic.seconds);
        this.endDrained(Infinity);
        for (const replica of this.all) {
            replica.batch.advance(Infinity);
            this.bill(replica, traffic.seconds);
        }
        outcome.refused += this.held.length;
        this.endInterval();
        return outcome;
    }

    until(moment: number): Answered[] {
        this.lookUntil(moment);
        this.findReady(moment);
        for (const { batch } of this.all) batch.advance(moment);
        this.endDrained(moment);
        const answered = this.answered;
        this.answered = [];
        return answered;
    }

    replicas(): { wanted: number; going: number; values: number[] } {
        const { scaling } = this.world;
        const signal = "every" in scaling ? undefined : scaling.metric;
        const batches = this.ready.map(({ batch }) => batch);
        const valueOf = (batch: Batch): number =>
            typeof signal === "function" ? signal(batches, this.wanted) : read(signal!, batch);
        return { wanted: this.wanted, going: this.draining.length, values: signal ? batches.map(valueOf) : [] };
    }

    abort(given: ReadonlySet<number>): void {
        for (const { batch } of [...this.all, ...this.draining]) batch.abort(given);
    }

    private lookUntil(moment: number): void {
        for (; this.nextLook <= moment; this.nextLook += this.lookEvery) this.look(this.nextLook);
    }

    private get longestRequest(): number {
        const { engine, maxModelLen = Infinity } = this.world;
        return Math.min(maxModelLen, (engine.numBlocks - 1) * engine.blockSize);
    }

    private serve(request: Readonly<Request>): void {
        const { ready, outcome } = this;
        outcome.requests++;
        this.came++;
        if (ready.length === 0) {
            this.callAsleep(request);
            return;
        }
        this.pass(request, request.at);
    }

    /** Gives a request to one of the replicas that serve. */
    private pass(request: Readonly<Request>, now: number): void {
        const { ready, outcome, world } = this;
        const replica = ready[ready.length === 1 ? 0 : Math.floor(this.random() * ready.length)];
        const cached = world.prefixCaching ? this.cachedTokens(replica, request) : 0;
        const { promptTokens, answerTokens, blocks: prefix } = request;
        const { requestOverhead } = world;
        const arrival = request.at + requestOverhead;
        const more = { cached, arrival, prefix };
        replica.batch.add(now + requestOverhead, outcome.requests, promptTokens, answerTokens, more);
    }

    /** A request while nothing serves: the first one has a replica started, as AI Deploy does for a minimum of 0. */
    private callAsleep(request: Readonly<Request>): void {
        const { outcome, world } = this;
        if (this.wanted === 0) {
            outcome.wakeUps++;
            this.wanted = 1;
            this.start(request.at);
        }
        if (world.asleep === "held") {
            this.held.push({ ...request });
            return;
        }
        outcome.refused++;
        this.late++;
        if (this.traffic.waits) {
            this.answered.push({ request: outcome.requests, start: request.at, firstToken: Infinity, end: request.at });
        }
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
        const { prefixCaching } = world;
        const prefixTokens = this.traffic.blockTokens;
        const batch = new Batch(
            { ...engine, prefixCaching, prefixTokens, random },
            (request, arrival, firstToken, last, tokens) => {
                const first = firstToken - arrival + requestOverhead;
                if (this.traffic.waits) {
                    this.answered.push({ request, start: arrival - requestOverhead, firstToken, end: last });
                }
                outcome.firstToken.add(first);
                this.firstToken.add(first);
                const between = tokens > 1 ? (last - firstToken) / (tokens - 1) : 0;
                if (tokens > 1) outcome.interToken.add(between);
                if (first <= targets.timeToFirstToken && between <= targets.interTokenLatency) outcome.within++;
                else this.late++;
            },
        );
        const prefixes = new Prefixes(Math.floor(batch.capacityTokens / this.traffic.blockTokens));
        this.all.push({ batch, prefixes, billedFrom, readyAt: billedFrom + took });
    }

    private findReady(now: number): void {
        this.ready = this.all.filter(({ readyAt }) => readyAt <= now);
        if (this.ready.length === 0 || this.held.length === 0) return;
        for (const request of this.held) this.pass(request, now);
        this.held = [];
    }

    /** The autoscaler looks, and replicas that are ready by now take requests. */
    private look(now: number): void {
        this.findReady(now);
        for (const { batch } of this.all) batch.advance(now);
        this.spent += this.lookEvery * (this.all.length + this.draining.length);
        this.endDrained(now);
        const to = this.decide(now);
        for (; this.all.length < to;) this.start(now);
        while (this.all.length > to) this.stop(now);
        this.wanted = to;
        this.findReady(now);
        if (now % intervalSeconds === 0) this.endInterval();
    }

    private decide(now: number): number {
        const { scaling } = this.world;
        if ("every" in scaling) {
            return scaling.replicas[Math.min(scaling.replicas.length - 1, Math.floor(now / scaling.every))];
        }
        const { metric } = scaling;
        const serving = this.ready.map(({ batch }) => batch);
        const readings = this.all.map(({ readyAt, batch }) => {
            const ready = readyAt <= now;
            const value = typeof metric === "function" ? () => metric(serving, this.wanted) : () => read(metric, batch);
            return ready ? { ready, value: value() } : { ready };
        });
        // One that boots is not idle.
        if (this.ready.length === 0 || readings.some(({ value = 0 }) => value > 0)) this.lastActive = now;
        const rule = this.ruleAt(scaling, now);
        // Without a replica there is no metric: a request wakes it, or an hour of the schedule that wants some.
        if (this.wanted === 0) return rule.replicasMin;
        let asked: Asked | undefined;
        if (this.ready.length > 0) {
            asked = askedByMetric(this.wanted, readings, scaling.target, scaling.aggregation);
        }
        return decide(rule, this.wanted, asked, this.history, now, now - this.lastActive).to;
    }

    /** The limits and windows of a moment. */
    private ruleAt(scaling: Rule, now: number): ScalingRule {
        const { schedule } = scaling;
        const entry = schedule && entryAt(schedule, this.traffic.begins + now);
        return entry ? { ...scaling, replicasMin: entry.min, replicasMax: entry.max } : scaling;
    }

    /** Those that have got the least far go first, among equals the youngest (Kubernetes' ReplicaSet). */
    private stop(now: number): void {
        const unready = this.all.findLastIndex(({ readyAt }) => readyAt > now);
        const [replica] = this.all.splice(unready >= 0 ? unready : this.all.length - 1, 1);
        this.draining.push({ ...replica, endsAt: now + this.world.drainSeconds });
        this.endDrained(now);
    }

    private endDrained(now: number): void {
        if (this.draining.length === 0) return;
        this.draining = this.draining.filter((replica) => {
            const { batch, endsAt } = replica;
            batch.advance(Math.min(now, endsAt));
            if (batch.inside > 0 && now < endsAt) return true;
            this.outcome.lost += batch.inside;
            this.late += batch.inside;
            this.bill(replica, Math.min(now, endsAt, this.traffic.seconds));
            return false;
        });
    }

    private bill({ batch, billedFrom }: Replica, until: number): void {
        this.outcome.replicaSeconds += Math.max(0, until - billedFrom);
        this.outcome.busySeconds += batch.busySeconds;
        this.outcome.preemptions += batch.preemptions;
    }

    private endInterval(): void {
        const { firstToken, outcome } = this;
        outcome.intervals.push({
            requests: this.came,
            wanted: this.wanted,
            serving: this.ready.length,
            ...(firstToken.count > 0 && { firstTokenP95: firstToken.quantile(0.95) }),
        });
        this.came = 0;
        firstToken.clear();
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
