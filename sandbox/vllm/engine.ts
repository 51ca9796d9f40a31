import type { Profile } from "./profiles";

/**
 * vLLM's V1 scheduler without the arithmetic of a model: continuous batching with a token budget, chunked prefill, KV
 * blocks with prefix caching, preemption by recompute.
 *
 * Pure: no clock, no timer, no randomness. Its driver begins a step, lets pass the time that the step takes (on the wall
 * or in virtual time) and ends it. Differences from vLLM: tokens of answers are not kept for reuse, equal blocks computed
 * at the same time are stored once, and one step does not overlap the next.
 */
export interface EngineConfig {
    maxNumSeqs: number;
    maxNumBatchedTokens: number;
    prefixCaching: boolean;
    blockSize: number;
    /** KV blocks on the GPU; one of them is vLLM's null block and holds nothing. */
    numBlocks: number;
    step: Profile["step"];
}

export interface NewRequest {
    id: string;
    promptTokens: number;
    /** One hash for each whole block of the prompt; a hash stands for everything before it, too. */
    promptBlocks: string[];
    /** Tokens after which the model stops by itself; Infinity: never. */
    naturalTokens: number;
    /** Tokens after which the request ends anyway. */
    maxTokens: number;
    /** When it arrived, in seconds on the driver's clock. */
    arrival: number;
}

export type FinishReason = "stop" | "length";

/** A request inside the engine. Times are seconds on the driver's clock. */
export interface Sequence extends Readonly<NewRequest> {
    /** Tokens whose keys and values are in the cache. */
    computed: number;
    generated: number;
    /** Prompt tokens found in the prefix cache when it was scheduled first. */
    cachedTokens: number;
    preemptions: number;
    scheduledAt: number | undefined;
    firstTokenAt: number | undefined;
    lastTokenAt: number | undefined;
    /** Tokens that the step under way computes. */
    inStep: number;
    /** Hashes of the shared blocks held, in order. */
    shared: string[];
    /** Number of blocks of its own. */
    own: number;
    ended: boolean;
}

/** One token of one request. */
export interface Output {
    sequence: Sequence;
    /** Seconds since its token before; undefined for the first. */
    sinceLast?: number;
    finished?: FinishReason;
}

export interface StepResult {
    outputs: Output[];
    /** Prompt tokens computed, recomputed ones included. */
    prefillTokens: number;
    /** Sequences that decoded. */
    decoded: number;
}

export class Engine {
    /** Totals since the start. Queries and hits are counted in tokens, at each attempt to schedule a new request. */
    readonly totals = { preemptions: 0, prefixQueries: 0, prefixHits: 0 };
    private readonly waitingQueue: Sequence[] = [];
    private runningList: Sequence[] = [];
    private readonly blocks: BlockPool;
    private scheduled: Sequence[] = [];

    constructor(private readonly config: EngineConfig) {
        this.blocks = new BlockPool(config.numBlocks - 1);
    }

    get waiting(): readonly Sequence[] {
        return this.waitingQueue;
    }

    get running(): readonly Sequence[] {
        return this.runningList;
    }

    /** Share of the KV blocks in use, 0 to 1; blocks kept only for reuse count as free. */
    get kvCacheUsage(): number {
        return this.blocks.inUse / this.blocks.capacity;
    }

    /** Tokens that the KV cache holds, which is the longest request it can ever serve. */
    get capacityTokens(): number {
        return this.blocks.capacity * this.config.blockSize;
    }

    get idle(): boolean {
        return this.waitingQueue.length === 0 && this.runningList.length === 0;
    }

    /** Queues a request. Throws a RangeError for one that could never fit or would generate nothing. */
    add(request: NewRequest): Sequence {
        const most = request.promptTokens + Math.min(request.maxTokens, request.naturalTokens);
        if (most > this.capacityTokens) {
            throw new RangeError(
                `a request of ${most} tokens can never fit into the KV cache of ${this.capacityTokens}`,
            );
        }
        if (!(request.promptTokens >= 1 && request.maxTokens >= 1 && request.naturalTokens >= 1)) {
            throw new RangeError("a request needs a prompt and an answer of at least one token each");
        }
        // Written out, so that all have one shape: that is what makes an hour of traffic a matter of seconds.
        const sequence: Sequence = {
            id: request.id,
            promptTokens: request.promptTokens,
            promptBlocks: request.promptBlocks,
            naturalTokens: request.naturalTokens,
            maxTokens: request.maxTokens,
            arrival: request.arrival,
            computed: 0,
            generated: 0,
            cachedTokens: 0,
            preemptions: 0,
            scheduledAt: undefined,
            firstTokenAt: undefined,
            lastTokenAt: undefined,
            inStep: 0,
            shared: [],
            own: 0,
            ended: false,
        };
        this.waitingQueue.push(sequence);
        return sequence;
    }

    /** Drops a request, wherever it is. Unknown ids are ignored: it may have ended just now. */
    abort(id: string): void {
        for (const list of [this.waitingQueue, this.runningList]) {
            const at = list.findIndex((sequence) => sequence.id === id);
            if (at < 0) continue;
            const [sequence] = list.splice(at, 1);
            sequence.inStep = 0;
            this.release(sequence);
        }
    }

    /** Schedules a step. Returns how many seconds it takes; undefined when there is nothing to do. */
    beginStep(now: number): number | undefined {
        const { maxNumSeqs, maxNumBatchedTokens } = this.config;
        const scheduled: Sequence[] = [];
        let budget = maxNumBatchedTokens;
        let preempted = false;

        for (let i = 0; i < this.runningList.length && budget > 0; i++) {
            const sequence = this.runningList[i];
            const tokens = Math.min(pending(sequence), budget);
            while (!this.reserve(sequence, tokens)) {
                // The youngest gives way: it is at the end, so nothing of it is scheduled yet.
                const victim = this.runningList.pop()!;
                this.preempt(victim);
                preempted = true;
                if (victim === sequence) break;
            }
            if (this.runningList[i] !== sequence) break;
            sequence.inStep = tokens;
            scheduled.push(sequence);
            budget -= tokens;
        }
        // vLLM admits nothing in a step that had to preempt.
        while (!preempted && this.waitingQueue.length > 0 && this.runningList.length < maxNumSeqs && budget > 0) {
            const sequence = this.waitingQueue[0];
            this.reuse(sequence);
            const tokens = Math.min(pending(sequence), budget);
            if (!this.reserve(sequence, tokens)) {
                this.release(sequence);
                break;
            }
            this.waitingQueue.shift();
            this.runningList.push(sequence);
            sequence.scheduledAt ??= now;
            sequence.inStep = tokens;
            scheduled.push(sequence);
            budget -= tokens;
        }
        this.scheduled = scheduled;
        return scheduled.length > 0 ? this.stepSeconds(scheduled) : undefined;
    }

    /** Ends the step that was begun: tokens come out, finished requests leave. */
    endStep(now: number): StepResult {
        const result: StepResult = { outputs: [], prefillTokens: 0, decoded: 0 };
        let gone = false;
        for (const sequence of this.scheduled) {
            const tokens = sequence.inStep;
            if (tokens === 0) continue;
            sequence.inStep = 0;
            if (decodes(sequence)) result.decoded++;
            else result.prefillTokens += tokens;
            sequence.computed += tokens;
            this.share(sequence);
            if (pending(sequence) > 0) continue;
            sequence.generated++;
            const sinceLast = sequence.lastTokenAt === undefined ? undefined : now - sequence.lastTokenAt;
            sequence.firstTokenAt ??= now;
            sequence.lastTokenAt = now;
            const finished =
                sequence.generated >= sequence.naturalTokens
                    ? "stop"
                    : sequence.generated >= sequence.maxTokens
                      ? "length"
                      : undefined;
            if (finished) {
                this.release(sequence);
                sequence.ended = true;
                gone = true;
            }
            result.outputs.push({ sequence, sinceLast, finished });
        }
        if (gone) this.runningList = this.runningList.filter(({ ended }) => !ended);
        this.scheduled = [];
        return result;
    }

    private stepSeconds(scheduled: Sequence[]): number {
        const { base, prefillToken, decodeSequence, contextToken } = this.config.step;
        let seconds = base;
        for (const sequence of scheduled) {
            seconds += decodes(sequence)
                ? decodeSequence + sequence.computed * contextToken
                : sequence.inStep * prefillToken;
        }
        return seconds;
    }

    /** Takes over the blocks of a prompt that the prefix cache holds; at least one token is always computed. */
    private reuse(sequence: Sequence): void {
        if (!this.config.prefixCaching) return;
        const { blockSize } = this.config;
        const most = Math.floor((sequence.promptTokens - 1) / blockSize);
        for (const hash of sequence.promptBlocks.slice(0, most)) {
            if (!this.blocks.has(hash)) break;
            this.blocks.hold(hash);
            sequence.shared.push(hash);
        }
        sequence.computed = sequence.shared.length * blockSize;
        if (sequence.scheduledAt !== undefined) return;
        this.totals.prefixQueries += sequence.promptTokens;
        this.totals.prefixHits += sequence.computed;
        sequence.cachedTokens = sequence.computed;
    }

    /** Gives a sequence the blocks it needs for so many more tokens; false when there are not enough. */
    private reserve(sequence: Sequence, tokens: number): boolean {
        const needed = Math.ceil((sequence.computed + tokens) / this.config.blockSize);
        const more = needed - sequence.shared.length - sequence.own;
        if (more <= 0) return true;
        if (!this.blocks.take(more)) return false;
        sequence.own += more;
        return true;
    }

    /** Whole blocks of a prompt are there for others once they are computed. */
    private share(sequence: Sequence): void {
        if (!this.config.prefixCaching) return;
        const computed = Math.floor(sequence.computed / this.config.blockSize);
        const whole = Math.min(sequence.promptBlocks.length, computed);
        while (sequence.shared.length < whole) {
            const hash = sequence.promptBlocks[sequence.shared.length];
            if (this.blocks.has(hash)) {
                this.blocks.hold(hash);
                this.blocks.give(1);
            } else {
                this.blocks.publish(hash);
            }
            sequence.own--;
            sequence.shared.push(hash);
        }
    }

    private preempt(sequence: Sequence): void {
        this.release(sequence);
        sequence.preemptions++;
        this.totals.preemptions++;
        this.waitingQueue.unshift(sequence);
    }

    private release(sequence: Sequence): void {
        // The end of a prefix is of use to fewer requests than its beginning, so it is to be evicted first.
        for (const hash of sequence.shared.reverse()) this.blocks.drop(hash);
        this.blocks.give(sequence.own);
        sequence.shared = [];
        sequence.own = 0;
        sequence.computed = 0;
    }
}

/** Tokens that must be computed before the next one comes out. */
function pending(sequence: Sequence): number {
    return sequence.promptTokens + sequence.generated - sequence.computed;
}

/** Whether the next step computes just the token that came out last. */
function decodes(sequence: Sequence): boolean {
    return sequence.generated > 0 && pending(sequence) === 1;
}

/** KV blocks: in use, or free; a free one may still hold a prefix until it is needed, least recently used first. */
class BlockPool {
    inUse = 0;
    private readonly holders = new Map<string, number>();
    private readonly reusable = new Set<string>();

    constructor(readonly capacity: number) {}

    has(hash: string): boolean {
        return this.holders.has(hash) || this.reusable.has(hash);
    }

    hold(hash: string): void {
        if (this.reusable.delete(hash)) this.inUse++;
        this.holders.set(hash, (this.holders.get(hash) ?? 0) + 1);
    }

    /** Turns a block of one holder into a shared one with that holder. */
    publish(hash: string): void {
        this.holders.set(hash, 1);
    }

    drop(hash: string): void {
        const left = this.holders.get(hash)! - 1;
        if (left > 0) {
            this.holders.set(hash, left);
            return;
        }
        this.holders.delete(hash);
        this.reusable.add(hash);
        this.inUse--;
    }

    take(count: number): boolean {
        if (this.inUse + count > this.capacity) return false;
        this.inUse += count;
        for (const hash of this.reusable) {
            if (this.inUse + this.reusable.size <= this.capacity) break;
            this.reusable.delete(hash);
        }
        return true;
    }

    give(count: number): void {
        this.inUse -= count;
    }
}
