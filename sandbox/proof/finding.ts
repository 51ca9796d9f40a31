import { setTimeout as sleep } from "node:timers/promises";

/** One promise of the stack, checked against what runs. */
export interface Finding {
    promise: string;
    ok: boolean;
    /** What was seen, or what is wrong and where to look. */
    seen: string;
}

/** Looks whether a promise holds: `look` says what it saw, or throws what is wrong. */
export type Check = (promise: string, look: () => Promise<string>) => Promise<void>;

export function expect(condition: unknown, message: string): asserts condition {
    if (!condition) throw new Error(message);
}

/** Tries for so long, by default 45 s: three scrape intervals. */
export async function eventually<T>(look: () => Promise<T>, seconds = 45): Promise<T> {
    const end = performance.now() + seconds * 1000;
    for (;;) {
        try {
            return await look();
        } catch (error) {
            if (performance.now() > end) throw error;
            await sleep(500);
        }
    }
}
