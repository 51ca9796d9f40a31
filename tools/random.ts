import { createHash } from "node:crypto";

/** A seeded generator of uniform numbers in [0, 1): mulberry32. */
export function seededRandom(seed: number): () => number {
    let state = seed | 0;
    return () => {
        state = (state + 0x6d2b79f5) | 0;
        let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
        mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
}

/** Numbers from 0 up to 1 that follow from these parts alone: the same ones in every run, process and order. */
export function randomOf(...parts: (string | number)[]): () => number {
    return seededRandom(createHash("sha256").update(parts.join(" ")).digest().readUInt32BE(0));
}

/** Of mean 0 and standard deviation 1 (Box and Muller). */
export function normal(random: () => number): number {
    return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** A factor of mean 1 whose logarithm has this standard deviation. */
export function logNormal(random: () => number, deviation: number): number {
    return Math.exp(deviation * normal(random) - deviation ** 2 / 2);
}

/** Of mean 1: the time between two arrivals of a Poisson process of rate 1. */
export function exponential(random: () => number): number {
    return -Math.log(1 - random());
}
