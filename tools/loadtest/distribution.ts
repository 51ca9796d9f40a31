import { exponential, normal } from "../random";

/** A whole number that is always the same, or one that is drawn each time. */
export type Distribution =
    | { kind: "fixed"; value: number }
    | { kind: "uniform"; least: number; most: number }
    | { kind: "normal" | "lognormal"; mean: number; deviation: number }
    | { kind: "exponential"; mean: number };

export const distributionForms =
    "N, uniform:LEAST:MOST, normal:MEAN:DEVIATION, lognormal:MEAN:DEVIATION or exponential:MEAN";

/** Reads one of `distributionForms`; undefined for any other text. */
export function parseDistribution(text: string): Distribution | undefined {
    const [kind, ...rest] = text.trim().split(":");
    const [a, b] = rest.map(Number);
    if (rest.some((part) => part.trim() === "" || !(Number(part) >= 0))) return undefined;
    if (/^\d+$/.test(kind) && rest.length === 0) return { kind: "fixed", value: Number(kind) };
    if (kind === "uniform" && rest.length === 2 && a <= b) return { kind, least: a, most: b };
    if ((kind === "normal" || kind === "lognormal") && rest.length === 2 && a > 0) {
        return { kind, mean: a, deviation: b };
    }
    if (kind === "exponential" && rest.length === 1 && a > 0) return { kind, mean: a };
    return undefined;
}

/** Draws a whole number that is not below `least`. */
export function draw(distribution: Distribution, random: () => number, least: number): number {
    return Math.max(least, Math.round(drawReal(distribution, random)));
}

function drawReal(distribution: Distribution, random: () => number): number {
    switch (distribution.kind) {
        case "fixed":
            return distribution.value;
        case "uniform":
            // Each whole number from the least to the most equally often.
            return Math.floor(distribution.least + random() * (distribution.most - distribution.least + 1));
        case "normal":
            return distribution.mean + distribution.deviation * normal(random);
        case "lognormal": {
            // Mean and deviation are those of the numbers drawn, not of their logarithm.
            const variance = Math.log(1 + (distribution.deviation / distribution.mean) ** 2);
            return Math.exp(Math.log(distribution.mean) - variance / 2 + Math.sqrt(variance) * normal(random));
        }
        case "exponential":
            return distribution.mean * exponential(random);
    }
}
