import type { EngineConfig } from "../sandbox/vllm/engine";
import { logNormal } from "../tools/random";
import { SharedPrefixes } from "./prefixes";

/**
 * The scheduler of `sandbox/vllm/engine.ts` for planning: the same steps, but each takes the same few operations however
 * many sequences decode in it. What sequences have in common (that each gets one token a step) is kept once; what differs
 * is kept in buckets, by the step in which a sequence ends and by that in which it needs its next KV block.
 *
 * A test holds it to the engine, request by request. What it leaves out: which prompts the prefix cache still has (each
 * request says how much of its own is found) and `longPrefillTokenThreshold`.
 */
export interface BatchConfig extends Pick<
    EngineConfig,
    "maxNumSeqs" | "maxNumBatchedTokens" | "prefixCaching" | "blockSize" | "numBlocks" | "step" | "random"
> {
    /** Tokens of each number of a request's prefix. Default 1. */
    prefixTokens?: number;
}

/** What else there is to say of a request. */
interface More {
    /** Tokens of the prompt that the prefix cache holds, whole blocks. */
    cached?: number;
    /** Since when it waits, when that is longer. */
    arrival?: number;
    /** What the prompt begins with: where numbers are equal, so are the tokens, and all before them. */
    prefix?: readonly number[];
}

/** Told of a request that has got its last token. Times are seconds of virtual time. */
export type Finished = (
    request: number,
    arrival: number,
    firstToken: number,
    lastToken: number,
    answerTokens: number,
) => void;

const none = -1;
const noPrefix: readonly number[] = [];

export class Batch {
    preemptions = 0;
    /** Seconds in which a step was under way. */
    busySeconds = 0;
    /** When the step under way ends; Infinity while there is nothing to do. */
    private stepEnd = Infinity;
    /** Steps ended so far. */
    private steps = 0;

    // What decodes: how many, the sum of their contexts, and how many need a block when `steps` is this modulo the block size.
    private decoding = 0;
    private contextTokens = 0;
    private readonly needBlockAt: Int32Array;
    /** The first of the sequences that end with this step, modulo the length. */
    private endingAt = new Int32Array(1024).fill(none);
    private freeBlocks: number;
    /** Free blocks taken so far, which is how far the queue of the free ones has moved on. */
    private taken = 0;

    /** The one whose prompt is computed in part. Always the youngest. */
    private partial = none;
    /** Those that get a token by the step under way without having decoded. */
    private completing: number[] = [];
    private youngest = none;
    /** Came since the step under way began, then those that wait, and before them the preempted ones, the last one first. */
    private arrived: number[] = [];
    private queue: number[] = [];
    private queueStart = 0;
    private preempted: number[] = [];
    /** Whether the step under way had to preempt, and so let nobody in. */
    private hadToPreempt = false;

    private readonly shared: SharedPrefixes;
    // One column each; a sequence is a row, used again after it has ended.
    private rows = 256;
    private freeRows: number[] = [];
    private request = new Float64Array(this.rows);
    private arrival = new Float64Array(this.rows);
    private firstToken = new Float64Array(this.rows);
    private prompt = new Int32Array(this.rows);
    private answer = new Int32Array(this.rows);
    private cached = new Int32Array(this.rows);
    private generated = new Int32Array(this.rows);
    private computed = new Int32Array(this.rows);
    /** Of a preempted one: the tokens that its blocks held, and what `taken` is when they are next. */
    private heldTokens = new Int32Array(this.rows);
    private takenNextAt = new Float64Array(this.rows);
    /** The step in which it ends; `none` while it does not decode. */
    private endStep = new Int32Array(this.rows);
    private nextEnding = new Int32Array(this.rows);
    private previousEnding = new Int32Array(this.rows);
    private prefix: (readonly number[])[] = [];
    /** Of the prefix, how many numbers it holds where others can share them. */
    private holds = new Int32Array(this.rows);
    private older = new Int32Array(this.rows);
    private younger = new Int32Array(this.rows);

    constructor(
        private readonly config: BatchConfig,
        private readonly finished: Finished,
    ) {
        this.needBlockAt = new Int32Array(config.blockSize);
        this.freeBlocks = config.numBlocks - 1;
        this.shared = new SharedPrefixes(config.prefixTokens ?? 1, config.blockSize);
        for (let row = this.rows - 1; row >= 0; row--) this.freeRows.push(row);
    }

    get running(): number {
        return this.decoding + this.completing.length + (this.partial === none ? 0 : 1);
    }

    get waiting(): number {
        return this.preempted.length + this.queue.length - this.queueStart;
    }

    /** Requests that are not answered yet. */
    get inside(): number {
        return this.running + this.waiting + this.arrived.length;
    }

    /** Share of the KV blocks in use, 0 to 1. */
    get kvCacheUsage(): number {
        return 1 - this.freeBlocks / (this.config.numBlocks - 1);
    }

    /** Tokens of the longest request, prompt and answer, that can ever be served. */
    get capacityTokens(): number {
        return (this.config.numBlocks - 1) * this.config.blockSize;
    }

    /**
     * Queues a request at this moment, which is not before that of any call before. The caller has seen to it that it fits.
     */
    add(now: number, request: number, prompt: number, answer: number, more: More = {}): void {
        const { cached = 0, arrival = now, prefix = noPrefix } = more;
        this.advance(now);
        const row = this.freeRows.pop() ?? this.grow();
        this.request[row] = request;
        this.arrival[row] = arrival;
        this.prompt[row] = prompt;
        this.answer[row] = answer;
        this.cached[row] = cached;
        this.prefix[row] = prefix;
        this.holds[row] = 0;
        this.generated[row] = 0;
        this.endStep[row] = none;
        if (answer >= this.endingAt.length) this.growEnding(answer);
        this.arrived.push(row);
        // An empty step that ends now: all that come at this moment are seen by the step after it.
        if (this.stepEnd === Infinity) this.stepEnd = now;
    }

    /** Gives up these requests: nobody waits for them. One whose prompt the step under way computes ends with it, as if answered. */
    abort(given: ReadonlySet<number>): void {
        const kept = (row: number): boolean => {
            if (!given.has(this.request[row])) return true;
            this.freeRows.push(row);
            return false;
        };
        this.arrived = this.arrived.filter(kept);
        this.preempted = this.preempted.filter(kept);
        this.queue = this.queue.slice(this.queueStart).filter(kept);
        this.queueStart = 0;
        for (const row of [...this.completing, ...(this.partial === none ? [] : [this.partial])]) {
            if (given.has(this.request[row])) this.answer[row] = this.generated[row] + 1;
        }
        for (let row = this.youngest; row !== none;) {
            const next = this.older[row];
            if (this.endStep[row] !== none && given.has(this.request[row])) {
                this.stopDecoding(row);
                this.release(row);
                this.leave(row);
                this.freeRows.push(row);
            }
            row = next;
        }
    }

    /** Makes all steps that end before this moment. */
    advance(until: number): void {
        while (this.stepEnd < until) {
            this.decodeOnly(until);
            if (this.stepEnd >= until) return;
            this.finishStep();
            this.beginStep();
        }
    }

    /** Steps in which nothing happens but that each sequence gets a token; stops before the end of one in which more does. */
    private decodeOnly(until: number): void {
        if (this.completing.length > 0 || this.partial !== none || this.arrived.length > 0) return;
        // Otherwise those that wait found no room when the step under way began, and there has not come any since.
        if (this.hadToPreempt) return;
        const { decoding, endingAt, needBlockAt } = this;
        if (decoding === 0) return;
        const { step, blockSize, random } = this.config;
        const fixed = step.base + step.decodeSequence * decoding;
        const mask = endingAt.length - 1;
        const spread = random && step.spread > 0;
        let { steps, contextTokens, freeBlocks, stepEnd } = this;
        const began = stepEnd;
        while (stepEnd < until && endingAt[(steps + 1) & mask] === none) {
            const need = needBlockAt[(steps + 1) % blockSize];
            if (need > freeBlocks) break;
            steps++;
            freeBlocks -= need;
            contextTokens += decoding;
            const seconds = fixed + step.contextToken * contextTokens;
            stepEnd += spread ? seconds * logNormal(random, step.spread) : seconds;
        }
        this.busySeconds += stepEnd - began;
        this.steps = steps;
        this.contextTokens = contextTokens;
        this.taken += this.freeBlocks - freeBlocks;
        this.freeBlocks = freeBlocks;
        this.stepEnd = stepEnd;
    }

    private finishStep(): void {
        const now = this.stepEnd;
        const steps = ++this.steps;
        this.contextTokens += this.decoding;
        const bucket = steps & (this.endingAt.length - 1);
        for (let row = this.endingAt[bucket]; row !== none;) {
            const next = this.nextEnding[row];
            this.stopDecoding(row);
            this.end(row, now);
            row = next;
        }
        for (const row of this.completing) {
            if (++this.generated[row] === 1) this.firstToken[row] = now;
            this.computed[row] = this.prompt[row] + this.generated[row] - 1;
            if (this.generated[row] >= this.answer[row]) this.end(row, now);
            else this.startDecoding(row);
        }
        this.completing.length = 0;
    }

    private beginStep(): void {
        const { maxNumSeqs, maxNumBatchedTokens, step, random } = this.config;
        for (const row of this.arrived) this.queue.push(row);
        this.arrived.length = 0;
        const before = this.preemptions;
        this.reserveForDecoding();
        let budget = maxNumBatchedTokens - this.decoding;
        let seconds = step.decodeSequence * this.decoding + step.contextToken * this.contextTokens;
        if (this.partial !== none && budget > 0) {
            const row = this.partial;
            const tokens = Math.min(this.pending(row), budget);
            seconds += this.secondsFor(row, tokens);
            if (this.compute(row, tokens)) budget -= tokens;
            else seconds -= this.secondsFor(row, tokens);
        }
        // vLLM admits nothing in a step that had to preempt.
        this.hadToPreempt = this.preemptions > before;
        while (!this.hadToPreempt && budget > 0 && this.waiting > 0 && this.running < maxNumSeqs) {
            const row = this.firstWaiting;
            const found = this.foundTokens(row);
            this.computed[row] = found;
            const tokens = Math.min(this.pending(row), budget);
            if (this.blocks(found + tokens) - this.heldByOthers(row) > this.freeBlocks) break;
            seconds += this.secondsFor(row, tokens);
            this.admit(row, tokens);
            budget -= tokens;
        }
        if (budget === maxNumBatchedTokens) {
            this.stepEnd = Infinity;
            return;
        }
        seconds += step.base;
        if (random && step.spread > 0) seconds *= logNormal(random, step.spread);
        this.busySeconds += seconds;
        this.stepEnd += seconds;
    }

    /** A sequence that came back and lacks one token decodes, as vLLM sees it. */
    private secondsFor(row: number, tokens: number): number {
        const { prefillToken, decodeSequence, contextToken } = this.config.step;
        const decodes = this.generated[row] > 0 && this.pending(row) === 1;
        return decodes ? decodeSequence + contextToken * this.computed[row] : prefillToken * tokens;
    }

    /** Blocks for the next token of each; when there are too few, the youngest give way. */
    private reserveForDecoding(): void {
        const slot = this.steps % this.config.blockSize;
        while (this.needBlockAt[slot] > this.freeBlocks) this.preempt(this.youngest);
        this.take(this.needBlockAt[slot]);
    }

    /** Computes so many more tokens of a prompt; false when there are no blocks for them and it gave way. */
    private compute(row: number, tokens: number): boolean {
        const more = this.blocks(this.computed[row] + tokens) - this.blocks(this.computed[row]);
        if (more > this.freeBlocks) {
            this.preempt(row);
            return false;
        }
        this.take(more);
        const done = tokens === this.pending(row);
        this.computed[row] += tokens;
        this.share(row, false);
        this.partial = done ? none : row;
        if (done) this.completing.push(row);
        return true;
    }

    private get firstWaiting(): number {
        const { preempted } = this;
        return preempted.length > 0 ? preempted[preempted.length - 1] : this.queue[this.queueStart];
    }

    /** Lets in the first that waits, and computes so many tokens of it; there are blocks for them. */
    private admit(row: number, tokens: number): void {
        this.freeBlocks -= this.blocks(this.computed[row]) - this.heldByOthers(row);
        this.share(row, true);
        if (this.preempted.length > 0) this.preempted.pop();
        else if (++this.queueStart > 1024 && 2 * this.queueStart > this.queue.length) {
            this.queue = this.queue.slice(this.queueStart);
            this.queueStart = 0;
        }
        this.older[row] = this.youngest;
        this.younger[row] = none;
        if (this.youngest !== none) this.younger[this.youngest] = row;
        this.youngest = row;
        this.compute(row, tokens);
    }

    /**
     * Tokens of one that waits which need not be computed. A preempted one finds of its own blocks what is left of them: free
     * blocks are taken in the order in which they became free, and of one request the last one first.
     */
    private foundTokens(row: number): number {
        const { prefixCaching, blockSize } = this.config;
        if (!prefixCaching || this.preempted.length === 0) return this.cached[row];
        const held = this.heldTokens[row];
        const left = this.blocks(held) - Math.max(0, this.taken - this.takenNextAt[row]);
        return Math.max(this.cached[row], blockSize * Math.min(left, Math.floor(held / blockSize)));
    }

    private preempt(row: number): void {
        if (row === this.partial) this.partial = none;
        else this.stopDecoding(row);
        this.heldTokens[row] = this.computed[row];
        this.takenNextAt[row] = this.taken + this.freeBlocks;
        this.release(row);
        this.leave(row);
        this.preempted.push(row);
        this.preemptions++;
    }

    private startDecoding(row: number): void {
        const end = (this.endStep[row] = this.steps + this.answer[row] - this.generated[row]);
        const bucket = end & (this.endingAt.length - 1);
        const first = this.endingAt[bucket];
        this.nextEnding[row] = first;
        this.previousEnding[row] = none;
        if (first !== none) this.previousEnding[first] = row;
        this.endingAt[bucket] = row;
        this.decoding++;
        this.contextTokens += this.computed[row];
        this.needBlockAt[this.blockSlot(row)]++;
    }

    /** Brings the sequence's own figures up to now. */
    private stopDecoding(row: number): void {
        const { nextEnding, previousEnding } = this;
        this.generated[row] = this.answer[row] - (this.endStep[row] - this.steps);
        this.computed[row] = this.prompt[row] + this.generated[row] - 1;
        this.needBlockAt[this.blockSlot(row)]--;
        this.decoding--;
        this.contextTokens -= this.computed[row];
        const [next, previous] = [nextEnding[row], previousEnding[row]];
        if (next !== none) previousEnding[next] = previous;
        if (previous === none) this.endingAt[this.endStep[row] & (this.endingAt.length - 1)] = next;
        else nextEnding[previous] = next;
        this.endStep[row] = none;
    }

    /** The number of steps, modulo the block size, before which its context is whole blocks. */
    private blockSlot(row: number): number {
        const { blockSize } = this.config;
        return (((this.steps - this.computed[row]) % blockSize) + blockSize) % blockSize;
    }

    private end(row: number, now: number): void {
        this.release(row);
        this.leave(row);
        this.freeRows.push(row);
        this.finished(this.request[row], this.arrival[row], this.firstToken[row], now, this.answer[row]);
    }

    /** Takes it out of the order of those that run. */
    private leave(row: number): void {
        const [older, younger] = [this.older[row], this.younger[row]];
        if (older !== none) this.younger[older] = younger;
        if (younger === none) this.youngest = older;
        else this.older[younger] = older;
    }

    private pending(row: number): number {
        return this.prompt[row] + this.generated[row] - this.computed[row];
    }

    /** Blocks of one that waits which others hold. */
    private heldByOthers(row: number): number {
        const { shared, prefix, computed } = this;
        const found = shared.wholeIn(this.blocks(computed[row]), prefix[row]);
        return shared.blocksOf(shared.heldOf(prefix[row], found));
    }

    /** Lets others share what is computed of its prefix; what somebody else has computed, too, only where it was found there. */
    private share(row: number, found: boolean): void {
        const { shared, holds } = this;
        const prefix = this.prefix[row];
        if (holds[row] === prefix.length) return;
        const whole = shared.wholeIn(Math.floor(this.computed[row] / this.config.blockSize), prefix);
        for (; holds[row] < whole && (found || !shared.isHeld(prefix[holds[row]])); holds[row]++) {
            shared.hold(prefix[holds[row]]);
        }
    }

    /** Gives back its blocks but those that others hold. */
    private release(row: number): void {
        const { shared, holds } = this;
        const prefix = this.prefix[row];
        const held = holds[row];
        for (; holds[row] > 0; holds[row]--) shared.letGo(prefix[holds[row] - 1]);
        this.freeBlocks += this.blocks(this.computed[row]) - shared.blocksOf(shared.heldOf(prefix, held));
    }

    private take(blocks: number): void {
        this.freeBlocks -= blocks;
        this.taken += blocks;
    }

    private blocks(tokens: number): number {
        return Math.ceil(tokens / this.config.blockSize);
    }

    private grow(): number {
        const rows = 2 * this.rows;
        const larger = <Column extends Int32Array | Float64Array>(column: Column): Column => {
            const copy = new (column.constructor as new (length: number) => Column)(rows);
            copy.set(column);
            return copy;
        };
        this.request = larger(this.request);
        this.arrival = larger(this.arrival);
        this.firstToken = larger(this.firstToken);
        this.prompt = larger(this.prompt);
        this.answer = larger(this.answer);
        this.cached = larger(this.cached);
        this.generated = larger(this.generated);
        this.computed = larger(this.computed);
        this.heldTokens = larger(this.heldTokens);
        this.takenNextAt = larger(this.takenNextAt);
        this.endStep = larger(this.endStep);
        this.nextEnding = larger(this.nextEnding);
        this.previousEnding = larger(this.previousEnding);
        this.holds = larger(this.holds);
        this.older = larger(this.older);
        this.younger = larger(this.younger);
        for (let row = rows - 1; row >= this.rows; row--) this.freeRows.push(row);
        this.rows = rows;
        return this.freeRows.pop()!;
    }

    private growEnding(answer: number): void {
        const old = this.endingAt;
        this.endingAt = new Int32Array(2 ** Math.ceil(Math.log2(answer + 1))).fill(none);
        // No two steps of those that still run share a bucket, so each chain moves as it is.
        for (const first of old) {
            if (first !== none) this.endingAt[this.endStep[first] & (this.endingAt.length - 1)] = first;
        }
    }
}
