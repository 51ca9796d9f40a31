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
