import type { Profile } from "./profiles";

/**
 * vLLM's V1 scheduler, without the arithmetic of a model: continuous batching with a token budget, chunked prefill, KV
 * blocks with prefix caching, preemption by recompute. Pure: it has no clock and no timers; its caller begins a step,
 * waits for the time that it says, and ends it.
 */

export interface EngineConfig {
    maxNumSeqs: number;
    maxNumBatchedTokens: number;
    prefixCaching: boolean;
    profile: Profile;
}

export interface NewRequest {
    id: string;
    promptTokens: number;
    /** One hash for each whole block of the prompt; a hash stands for everything before it, too. */
    promptBlocks: string[];
    /** Tokens after which the model would stop by itself. */
    naturalTokens: number;
    /** Tokens after which the request stops anyway. */
    maxTokens: number;
    /** When it arrived, in seconds. */
    arrival: number;
}

export interface Sequence extends NewRequest {
    /** Tokens whose keys and values are in the cache. */
    computed: number;
    generated: number;
    cachedTokens: number;
    scheduledAt?: number;
    firstTokenAt?: number;
    lastTokenAt?: number;
    /** Hashes of shared blocks held, and the number of blocks of its own. */
    shared: string[];
    own: number;
}

export type FinishReason = "stop" | "length";

/** One token of one request. */
export interface Output {
    sequence: Sequence;
    first: boolean;
    /** Since the token before; only when not the first. */
    sinceLast?: number;
    finished?: FinishReason;
}

export interface StepResult {
    outputs: Output[];
    prefillTokens: number;
    decodeTokens: number;
}

export interface Counters {
    preemptions: number;
    prefixQueries: number;
    prefixHits: number;
}

export class Engine {
    readonly waiting: Sequence[] = [];
    readonly running: Sequence[] = [];
    readonly counters: Counters = { preemptions: 0, prefixQueries: 0, prefixHits: 0 };
    private readonly blocks: BlockPool;
    private scheduled = new Map<Sequence, number>();

    constructor(private readonly config: EngineConfig) {
        this.blocks = new BlockPool(config.profile.numBlocks);
    }

    /** Share of KV blocks in use, 0 to 1; blocks kept only for reuse count as free. */
    get kvCacheUsage(): number {
        return this.blocks.inUse / this.blocks.capacity;
    }

    get idle(): boolean {
        return this.waiting.length === 0 && this.running.length === 0;
    }

    /** Queues a request. Throws a RangeError for one that could never fit. */
    add(request: NewRequest): Sequence {
        const most = (this.blocks.capacity - 1) * this.config.profile.blockSize;
        if (request.promptTokens + request.maxTokens > most) {
            throw new RangeError(`a request of ${request.promptTokens + request.maxTokens} tokens can never fit into the KV cache of ${most} tokens`);
        }
        const sequence: Sequence = { ...request, computed: 0, generated: 0, cachedTokens: 0, shared: [], own: 0 };
        this.waiting.push(sequence);
        return sequence;
    }

    /** Drops a request, wherever it is. */
    abort(id: string): void {
        for (const list of [this.waiting, this.running]) {
            const at = list.findIndex((sequence) => sequence.id === id);
            if (at >= 0) {
                const [sequence] = list.splice(at, 1);
                this.scheduled.delete(sequence);
                this.release(sequence);
            }
        }
    }

    /** Schedules a step. Returns how long it takes in seconds; `undefined` when there is nothing to do. */
    beginStep(now: number): number | undefined {
        const { profile, maxNumSeqs, maxNumBatchedTokens } = this.config;
        this.scheduled = new Map();
        let budget = maxNumBatchedTokens;
        let preempted = false;

        for (let i = 0; i < this.running.length && budget > 0; i++) {
            const sequence = this.running[i];
            const tokens = Math.min(pending(sequence), budget);
            while (!this.reserve(sequence, tokens)) {
                // The youngest gives way and will be computed again.
                const victim = this.running.pop()!;
                budget += this.scheduled.get(victim) ?? 0;
                this.scheduled.delete(victim);
                this.preempt(victim);
                preempted = true;
                if (victim === sequence) break;
            }
            if (this.running[i] !== sequence) break;
            this.scheduled.set(sequence, tokens);
            budget -= tokens;
        }
        while (!preempted && this.waiting.length > 0 && this.running.length < maxNumSeqs && budget > 0) {
            const sequence = this.waiting[0];
            if (sequence.computed === 0) this.reuse(sequence);
            const tokens = Math.min(pending(sequence), budget);
            if (!this.reserve(sequence, tokens)) {
                this.release(sequence);
                break;
            }
            this.waiting.shift();
            this.running.push(sequence);
            sequence.scheduledAt ??= now;
            this.scheduled.set(sequence, tokens);
            budget -= tokens;
        }
        if (this.scheduled.size === 0) return undefined;
        let prefill = 0;
        let decoding = 0;
        for (const [sequence, tokens] of this.scheduled) {
            if (sequence.generated > 0 && tokens === 1) decoding++;
            else prefill += tokens;
        }
        return profile.stepSeconds + prefill * profile.prefillSecondsPerToken + decoding * profile.decodeSecondsPerSequence;
    }

    /** Ends the step that was begun: tokens come out, finished requests leave. */
    endStep(now: number): StepResult {
        const result: StepResult = { outputs: [], prefillTokens: 0, decodeTokens: 0 };
        for (const [sequence, tokens] of this.scheduled) {
            sequence.computed += tokens;
            this.share(sequence);
            if (sequence.generated > 0 && tokens === 1) result.decodeTokens++;
            else result.prefillTokens += tokens;
            if (pending(sequence) > 0) continue;
            sequence.generated++;
            const first = sequence.generated === 1;
            const sinceLast = sequence.lastTokenAt === undefined ? undefined : now - sequence.lastTokenAt;
            if (first) sequence.firstTokenAt = now;
            sequence.lastTokenAt = now;
            const finished = sequence.generated >= sequence.naturalTokens ? "stop" : sequence.generated >= sequence.maxTokens ? "length" : undefined;
            if (finished) {
                this.running.splice(this.running.indexOf(sequence), 1);
                this.release(sequence);
            }
            result.outputs.push({ sequence, first, sinceLast, finished });
        }
        this.scheduled = new Map();
        return result;
    }

    /** Takes over blocks of the prompt that are in the prefix cache; at least one token is always computed. */
    private reuse(sequence: Sequence): void {
        if (!this.config.prefixCaching) return;
        const { blockSize } = this.config.profile;
        const usable = sequence.promptBlocks.slice(0, Math.floor((sequence.promptTokens - 1) / blockSize));
        const missing = usable.findIndex((hash) => !this.blocks.has(hash));
        const found = missing < 0 ? usable : usable.slice(0, missing);
        for (const hash of found) this.blocks.hold(hash);
        sequence.shared = [...found];
        sequence.computed = found.length * blockSize;
        if (sequence.scheduledAt === undefined) {
            this.counters.prefixQueries += sequence.promptTokens;
            this.counters.prefixHits += sequence.computed;
            sequence.cachedTokens = sequence.computed;
        }
    }

    /** Gives a sequence the blocks that it needs for so many more tokens; false when there are not enough. */
    private reserve(sequence: Sequence, tokens: number): boolean {
        const needed = Math.ceil((sequence.computed + tokens) / this.config.profile.blockSize);
        const more = needed - sequence.shared.length - sequence.own;
        if (more <= 0) return true;
        if (!this.blocks.take(more)) return false;
        sequence.own += more;
        return true;
    }

    /** Whole blocks of a prompt, once computed, are there for others. */
    private share(sequence: Sequence): void {
        if (!this.config.prefixCaching) return;
        const whole = Math.min(sequence.promptBlocks.length, Math.floor(sequence.computed / this.config.profile.blockSize));
        while (sequence.shared.length < whole && sequence.own > 0) {
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
        this.counters.preemptions++;
        this.waiting.unshift(sequence);
    }

    private release(sequence: Sequence): void {
        for (const hash of sequence.shared) this.blocks.drop(hash);
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

/** KV blocks: in use, or free; free ones may still hold a prefix until they are needed, least recently used first. */
class BlockPool {
    inUse = 0;
    private readonly holders = new Map<string, number>();
    private readonly idle = new Set<string>();

    constructor(readonly capacity: number) {}

    has(hash: string): boolean {
        return this.holders.has(hash) || this.idle.has(hash);
    }

    hold(hash: string): void {
        if (this.idle.delete(hash)) this.inUse++;
        this.holders.set(hash, (this.holders.get(hash) ?? 0) + 1);
    }

    /** Turns a block that its caller owns into a shared one that it holds. */
    publish(hash: string): void {
        this.holders.set(hash, 1);
    }

    drop(hash: string): void {
        const left = this.holders.get(hash)! - 1;
        if (left > 0) {
            this.holders.set(hash, left);
        } else {
            this.holders.delete(hash);
            this.idle.add(hash);
            this.inUse--;
        }
    }

    take(count: number): boolean {
        if (this.inUse + count > this.capacity) return false;
        this.inUse += count;
        for (const hash of this.idle) {
            if (this.inUse + this.idle.size <= this.capacity) break;
            this.idle.delete(hash);
        }
        return true;
    }

    give(count: number): void {
        this.inUse -= count;
    }
}
