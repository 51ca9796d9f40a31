import { logNormal } from "../../tools/random";
import type { Profile } from "./profiles";

/**
 * vLLM's V1 scheduler without the arithmetic of a model: continuous batching with a token budget, chunked prefill, KV
 * blocks with prefix caching, preemption by recompute. Held to the real one step by step by the recordings under
 * test/sandbox/vllm/recordings/scheduler; the one difference is that the blocks of an answer are found again only by its
 * own request, after a preemption, as the engine does not know what an answer says.
 *
 * No clock, no timer, and no chance but what `random` brings. Its driver begins a step, lets pass the time that the step
 * takes (on the wall or in virtual time) and ends it. One step does not overlap the next, as in vLLM 0.13.0 without
 * `--async-scheduling`.
 */
export interface EngineConfig {
    maxNumSeqs: number;
    maxNumBatchedTokens: number;
    /** Tokens that a prompt may take of one step (`--long-prefill-token-threshold`); 0, the default: all of the budget. */
    longPrefillTokenThreshold?: number;
    /** Whether a step may compute a part of a prompt; default true. Without, it waits for a step that has room for all of it. */
    chunkedPrefill?: boolean;
    prefixCaching: boolean;
    blockSize: number;
    /** KV blocks on the GPU; one of them is vLLM's null block and holds nothing. */
    numBlocks: number;
    step: Profile["step"];
    /** Uniform numbers in [0, 1) for the spread of step times; absent: each takes just what the profile says. */
    random?: () => number;
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
    /** Numbers of the KV blocks held, in order. */
    blocks: number[];
    /** How many of them can be found by other requests. */
    published: number;
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
    /** Came since the last step began. vLLM's engine sees them when it begins the next one. */
    private arrived: Sequence[] = [];
    private readonly waitingQueue: Sequence[] = [];
    private runningList: Sequence[] = [];
    private readonly blocks: BlockPool;
    private scheduled: Sequence[] = [];

    constructor(private readonly config: EngineConfig) {
        this.blocks = new BlockPool(config.numBlocks);
    }

    /** The queue as the engine knows it: what came while a step is under way is not in it yet. */
    get waiting(): readonly Sequence[] {
        return this.waitingQueue;
    }

    get running(): readonly Sequence[] {
        return this.runningList;
    }

    /** Share of the KV blocks in use, 0 to 1; blocks kept only for reuse count as free. */
    get kvCacheUsage(): number {
        return 1 - this.blocks.free / this.blocks.capacity;
    }

    /** Tokens that the KV cache holds, which is the longest request it can ever serve. */
    get capacityTokens(): number {
        return this.blocks.capacity * this.config.blockSize;
    }

    get idle(): boolean {
        return this.arrived.length === 0 && this.waitingQueue.length === 0 && this.runningList.length === 0;
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
            blocks: [],
            published: 0,
            ended: false,
        };
        this.arrived.push(sequence);
        return sequence;
    }

    /** Drops a request, wherever it is. Unknown ids are ignored: it may have ended just now. */
    abort(id: string): void {
        for (const list of [this.arrived, this.waitingQueue, this.runningList]) {
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
        const { longPrefillTokenThreshold, chunkedPrefill = true } = this.config;
        const threshold = longPrefillTokenThreshold || Infinity;
        const scheduled: Sequence[] = [];
        for (const sequence of this.arrived) this.waitingQueue.push(sequence);
        this.arrived = [];
        let budget = maxNumBatchedTokens;
        let preempted = false;

        for (let i = 0; i < this.runningList.length && budget > 0; i++) {
            const sequence = this.runningList[i];
            const tokens = Math.min(pending(sequence), threshold, budget);
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
            const found = this.lookUp(sequence);
            const computed = found.length * this.config.blockSize;
            const wanted = Math.min(pending(sequence) - computed, threshold);
            if (wanted > budget && !chunkedPrefill) break;
            const tokens = Math.min(wanted, budget);
            if (!this.admit(sequence, found, tokens)) break;
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
        const { base, prefillToken, decodeSequence, contextToken, spread } = this.config.step;
        let seconds = base;
        for (const sequence of scheduled) {
            seconds += decodes(sequence)
                ? decodeSequence + sequence.computed * contextToken
                : sequence.inStep * prefillToken;
        }
        const { random } = this.config;
        return random && spread > 0 ? seconds * logNormal(random, spread) : seconds;
    }

    /** The blocks of a request that the prefix cache holds; at least one token is always computed. */
    private lookUp(sequence: Sequence): number[] {
        if (!this.config.prefixCaching) return [];
        const found: number[] = [];
        const whole = Math.floor((pending(sequence) - 1) / this.config.blockSize);
        // Blocks without a hash can only be there after a preemption.
        const most = sequence.preemptions > 0 ? whole : Math.min(whole, sequence.promptBlocks.length);
        for (let i = 0; i < most; i++) {
            const block = this.blocks.find(contentOf(sequence, i));
            if (block === undefined) break;
            found.push(block);
        }
        if (sequence.scheduledAt === undefined) {
            this.totals.prefixQueries += sequence.promptTokens;
            this.totals.prefixHits += found.length * this.config.blockSize;
        }
        return found;
    }

    /** Gives a waiting sequence the blocks found for it and those for so many tokens more; false when too few are free. */
    private admit(sequence: Sequence, found: number[], tokens: number): boolean {
        const computed = found.length * this.config.blockSize;
        const more = Math.ceil((computed + tokens) / this.config.blockSize) - found.length;
        if (more + this.blocks.idleOf(found) > this.blocks.free) return false;
        this.blocks.hold(found);
        sequence.blocks = found;
        sequence.published = found.length;
        sequence.computed = computed;
        if (sequence.scheduledAt === undefined) sequence.cachedTokens = computed;
        return this.reserve(sequence, tokens);
    }

    /** Gives a sequence the blocks it needs for so many more tokens; false when there are not enough. */
    private reserve(sequence: Sequence, tokens: number): boolean {
        const { blockSize, prefixCaching } = this.config;
        const after = sequence.computed + tokens;
        const more = Math.ceil(after / blockSize) - sequence.blocks.length;
        if (more > 0 && !this.blocks.take(more, sequence.blocks)) return false;
        // Already now, so that the next one that this step admits finds them.
        if (prefixCaching && sequence.published < sequence.promptBlocks.length) this.publish(sequence, after, false);
        return true;
    }

    /**
     * Lets full blocks be found, up to so many tokens. Those with a hash can be of use to any request; those without one,
     * the answer's, only to this one when it comes back.
     */
    private publish(sequence: Sequence, tokens: number, all: boolean): void {
        const full = Math.floor(tokens / this.config.blockSize);
        const end = all ? full : Math.min(full, sequence.promptBlocks.length);
        for (let i = sequence.published; i < end; i++) this.blocks.publish(contentOf(sequence, i), sequence.blocks[i]);
        sequence.published = Math.max(sequence.published, end);
    }

    private preempt(sequence: Sequence): void {
        if (this.config.prefixCaching) this.publish(sequence, sequence.computed, true);
        this.release(sequence);
        sequence.preemptions++;
        this.totals.preemptions++;
        this.waitingQueue.unshift(sequence);
    }

    private release(sequence: Sequence): void {
        this.blocks.release(sequence.blocks);
        sequence.blocks = [];
        sequence.published = 0;
        sequence.computed = 0;
    }
}

/** What a block of a sequence holds: the same for all sequences that are alike up to its end. */
function contentOf(sequence: Sequence, index: number): string {
    return sequence.promptBlocks[index] ?? `only ${sequence.id}: ${index}`;
}

/** Tokens that must be computed before the next one comes out. */
function pending(sequence: Sequence): number {
    return sequence.promptTokens + sequence.generated - sequence.computed;
}

/** Whether the next step computes just the token that came out last. */
function decodes(sequence: Sequence): boolean {
    return sequence.generated > 0 && pending(sequence) === 1;
}

/**
 * KV blocks by number. A free one keeps what it holds until it is taken: in the order in which they became free, never
 * used ones first. Two blocks may hold the same; then the older one is found. Block 0 is vLLM's null block, and here both
 * ends of the queue of free ones.
 */
class BlockPool {
    free: number;
    readonly capacity: number;
    private readonly next: Int32Array;
    private readonly previous: Int32Array;
    private readonly holders: Int32Array;
    /** What each block holds, when it can be found. */
    private readonly contents: (string | undefined)[] = [];
    /** The oldest block that holds this; `twins` has the one after it, or 0. */
    private readonly oldest = new Map<string, number>();
    private readonly twins: Int32Array;

    constructor(blocks: number) {
        this.capacity = this.free = blocks - 1;
        const one = (): Int32Array => new Int32Array(Math.max(1, blocks));
        [this.next, this.previous, this.holders, this.twins] = [one(), one(), one(), one()];
        for (let block = 0; block < blocks; block++) {
            this.next[block] = (block + 1) % blocks;
            this.previous[block] = (block + blocks - 1) % blocks;
        }
    }

    find(content: string): number | undefined {
        return this.oldest.get(content);
    }

    /** How many of these nobody holds. */
    idleOf(blocks: number[]): number {
        let idle = 0;
        for (const block of blocks) if (this.holders[block] === 0) idle++;
        return idle;
    }

    hold(blocks: number[]): void {
        for (const block of blocks) {
            if (this.holders[block]++ > 0) continue;
            this.unlink(block);
            this.free--;
        }
    }

    /** Takes so many free blocks and forgets what they held; false when there are not enough. */
    take(count: number, into: number[]): boolean {
        if (count > this.free) return false;
        this.free -= count;
        for (let i = 0; i < count; i++) {
            const block = this.next[0];
            this.unlink(block);
            this.forget(block);
            this.holders[block] = 1;
            into.push(block);
        }
        return true;
    }

    /** Ends one hold on each. The end of a prefix is of use to fewer requests than its beginning: it is taken first. */
    release(blocks: number[]): void {
        for (let i = blocks.length - 1; i >= 0; i--) {
            const block = blocks[i];
            if (--this.holders[block] > 0) continue;
            const last = this.previous[0];
            this.next[last] = block;
            this.previous[block] = last;
            this.next[block] = 0;
            this.previous[0] = block;
            this.free++;
        }
    }

    publish(content: string, block: number): void {
        this.contents[block] = content;
        let twin = this.oldest.get(content);
        if (twin === undefined) {
            this.oldest.set(content, block);
            return;
        }
        while (this.twins[twin] !== 0) twin = this.twins[twin];
        this.twins[twin] = block;
    }

    private forget(block: number): void {
        const content = this.contents[block];
        if (content === undefined) return;
        this.contents[block] = undefined;
        const after = this.twins[block];
        this.twins[block] = 0;
        let twin = this.oldest.get(content)!;
        if (twin !== block) {
            while (this.twins[twin] !== block) twin = this.twins[twin];
            this.twins[twin] = after;
        } else if (after !== 0) this.oldest.set(content, after);
        else this.oldest.delete(content);
    }

    private unlink(block: number): void {
        const before = this.previous[block];
        const after = this.next[block];
        this.next[before] = after;
        this.previous[after] = before;
    }
}
