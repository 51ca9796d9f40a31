/**
 * What the requests of a batch hold in common: KV blocks that several hold are there once. A prefix is a list of numbers,
 * each for so many tokens and for all that is before them.
 */
export class SharedPrefixes {
    private readonly holders = new Map<number, number>();

    constructor(
        private readonly tokensEach: number,
        private readonly blockSize: number,
    ) {}

    /** KV blocks that the first so many fill. */
    blocksOf(count: number): number {
        return Math.floor((count * this.tokensEach) / this.blockSize);
    }

    /** How many of a prefix have all their blocks among the first so many. */
    wholeIn(blocks: number, prefix: readonly number[]): number {
        return Math.min(prefix.length, Math.ceil(((blocks + 1) * this.blockSize) / this.tokensEach) - 1);
    }

    /** How many of the first so many are held by anybody. */
    heldOf(prefix: readonly number[], count: number): number {
        let held = 0;
        while (held < count && this.holders.has(prefix[held])) held++;
        return held;
    }

    isHeld(one: number): boolean {
        return this.holders.has(one);
    }

    hold(one: number): void {
        this.holders.set(one, (this.holders.get(one) ?? 0) + 1);
    }

    letGo(one: number): void {
        const left = this.holders.get(one)! - 1;
        if (left > 0) this.holders.set(one, left);
        else this.holders.delete(one);
    }
}

/** Which blocks of prompts one replica still has: the least recently used go first, as with vLLM's. */
export class Prefixes {
    private readonly held = new Map<number, true>();
    private commonSeen = false;

    /** @param capacity blocks that it holds */
    constructor(private readonly capacity: number) {}

    /** How many of these, from the first on, are there; all are afterwards. */
    look(blocks: readonly number[]): number {
        let found = 0;
        while (found < blocks.length && this.held.has(blocks[found])) found++;
        for (const block of blocks) {
            this.held.delete(block);
            this.held.set(block, true);
        }
        for (const oldest of this.held.keys()) {
            if (this.held.size <= this.capacity) break;
            this.held.delete(oldest);
        }
        return found;
    }

    /** Whether what all prompts begin with is there; it is afterwards. */
    lookCommon(): boolean {
        const seen = this.commonSeen;
        this.commonSeen = true;
        return seen;
    }
}
