import { readFileSync } from "node:fs";
import { table } from "../../machine/terminal";
import type { Block } from "./blocks";
import { randomOf } from "../random";
import type { Report } from "./report";
import { bucketMiddle, histogramEntries, interval95, type Interval } from "./statistics";
import { seconds } from "./text";
import { UsageError } from "./usage-error";

/** What changed from one run to another, and whether that is more than one run differs from the next. */

export interface Change {
    name: string;
    before: number;
    after: number;
    /** `after` over `before`, and between what it lies with a probability of 95 %. */
    ratio: number;
    interval: Interval;
    /** The interval leaves out 1. */
    significant: boolean;
    /** More is better, as of a rate; else less, as of a time. */
    moreIsBetter: boolean;
}

const keys = ["ttft", "tpot", "latency"] as const;
const titles = { ttft: "first token", tpot: "between tokens", latency: "latency" };
const shares = [0.5, 0.95, 0.99];
const rates = ["requests/s", "output tokens/s"];
/** In the order of `Pieces.figures`. */
const names = [...keys.flatMap((key) => shares.map((q) => `${titles[key]} p${100 * q}`)), ...rates];

/** Below, pieces are too few to tell how much they differ. */
const fewestBlocks = 8;
const resamples = 1000;

/**
 * Compares the steady parts of two runs. Noise is estimated by drawing the pieces of each run anew (bootstrap): requests in
 * a piece depend on each other, pieces hardly do. The draw is seeded: the same two runs give the same answer. Throws
 * UsageError when a run is too short.
 */
export function compareBlocks(before: Block[], after: Block[]): Change[] {
    const fewest = Math.min(before.length, after.length);
    if (fewest < fewestBlocks || [before, after].some((blocks) => blocks.every(({ ok }) => ok === 0))) {
        throw new UsageError("a run has no steady part to compare: let it go on longer");
    }
    const random = randomOf("compare");
    const [one, other] = [new Pieces(before), new Pieces(after)];
    const [was, is] = [one.figures(before.map((_, i) => i)), other.figures(after.map((_, i) => i))];
    const drawn = Array.from({ length: resamples }, () => [one.drawn(random), other.drawn(random)]);
    return names.flatMap((name, i) => {
        if (!was[i] || !is[i]) return [];
        const known = drawn.filter(([a, b]) => a[i] && b[i]);
        const interval = interval95(known.map(([a, b]) => b[i]! / a[i]!));
        const significant = interval.from > 1 || interval.to < 1;
        const moreIsBetter = rates.includes(name);
        return { name, before: was[i], after: is[i], ratio: is[i] / was[i], interval, significant, moreIsBetter };
    });
}

/** The pieces of a run, in a form from which figures are quickly got a thousand times. */
class Pieces {
    private readonly sets: Record<(typeof keys)[number], SparseHistograms>;

    constructor(private readonly blocks: Block[]) {
        this.sets = {
            ttft: new SparseHistograms(blocks.map(({ ttft }) => ttft)),
            tpot: new SparseHistograms(blocks.map(({ tpot }) => tpot)),
            latency: new SparseHistograms(blocks.map(({ latency }) => latency)),
        };
    }

    drawn(random: () => number): (number | undefined)[] {
        return this.figures(this.blocks.map(() => Math.floor(random() * this.blocks.length)));
    }

    /** Of the pieces at these places; undefined where there is nothing to be measured. */
    figures(places: number[]): (number | undefined)[] {
        const sum = (value: (block: Block) => number): number =>
            places.reduce((total, place) => total + value(this.blocks[place]), 0);
        const seconds = sum((block) => block.seconds);
        return [
            ...keys.flatMap((key) => this.sets[key].quantiles(places, shares)),
            sum(({ ok }) => ok) / seconds,
            sum(({ outputTokens }) => outputTokens) / seconds,
        ];
    }
}

/** Histograms of which any may be added up: of all buckets only those that hold something are looked at. */
class SparseHistograms {
    private readonly buckets: number[];
    private readonly parts: { place: number; count: number }[][];

    /** Of texts as `Histogram.text` writes them. */
    constructor(texts: string[]) {
        const read = texts.map(histogramEntries);
        this.buckets = [...new Set(read.flatMap((entries) => entries.map(({ bucket }) => bucket)))].sort(
            (a, b) => a - b,
        );
        const places = new Map(this.buckets.map((bucket, place) => [bucket, place]));
        this.parts = read.map((entries) => entries.map(({ bucket, count }) => ({ place: places.get(bucket)!, count })));
    }

    quantiles(which: number[], shares: number[]): (number | undefined)[] {
        const counts = new Float64Array(this.buckets.length);
        let total = 0;
        for (const one of which) {
            for (const { place, count } of this.parts[one]) {
                counts[place] += count;
                total += count;
            }
        }
        return shares.map((q) => {
            let below = 0;
            const place = counts.findIndex((count) => (below += count) > q * (total - 1));
            return place < 0 ? undefined : bucketMiddle(this.buckets[place]);
        });
    }
}

/** The comparison of two report files, as people read it. Throws UsageError. */
export function compareFiles(files: string[]): string {
    if (files.length !== 2) throw new UsageError("compare: name two reports, such as compare before.json after.json");
    const [before, after] = files.map(readReport);
    const changes = compareBlocks(before.blocks, after.blocks);
    const isRate = (name: string): boolean => name.endsWith("/s");
    const figure = (name: string, value: number): string => (isRate(name) ? value.toFixed(1) : seconds(value));
    const rows = changes.map(({ name, before: was, after: is, ratio, interval, significant, moreIsBetter }) => [
        name,
        figure(name, was),
        figure(name, is),
        change(ratio),
        `${change(interval.from)} to ${change(interval.to)}`,
        significant ? (ratio > 1 === moreIsBetter ? "better" : "worse") : "no more than noise",
    ]);
    const differing = Object.keys({ ...before.settings, ...after.settings }).filter(
        (key) => JSON.stringify(setting(before, key)) !== JSON.stringify(setting(after, key)),
    );
    const errors = [before, after].map(({ requests }) => `${requests.errors} of ${requests.total}`);
    const lines = [
        table([["steady parts", "before", "after", "change", "95 % interval", ""], ...rows]),
        `Errors: ${errors[0]} requests before, ${errors[1]} after. The times are of answers alone.`,
    ];
    for (const key of differing) {
        lines.push(
            `Not the same load: ${key} was ${JSON.stringify(setting(before, key))}, is ${JSON.stringify(setting(after, key))}.`,
        );
    }
    const [was, is] = [before, after].map(({ target }) => target?.model);
    if (was !== is) lines.push(`Not the same model: it was ${was}, is ${is}.`);
    [before, after].forEach(({ valid, clientLimits, stopped }, i) => {
        if (stopped) lines.push(`Ended early: ${files[i]} (${stopped}).`);
        if (!valid) {
            lines.push(
                `Not valid: in ${files[i]} the client or its machine was the limit (${clientLimits.join("; ")}).`,
            );
        }
    });
    return lines.join("\n");
}

function setting({ settings }: Report, key: string): unknown {
    return (settings as Record<string, unknown>)[key];
}

/** "+3.1 %" */
function change(ratio: number): string {
    return `${ratio >= 1 ? "+" : ""}${(100 * (ratio - 1)).toFixed(1)} %`;
}

function readReport(file: string): Report {
    let report: Partial<Report>;
    try {
        report = JSON.parse(readFileSync(file, "utf8")) as Partial<Report>;
    } catch (error) {
        throw new UsageError(`compare ${file}: ${(error as Error).message.split("\n")[0]}`);
    }
    if (!Array.isArray(report?.blocks)) {
        throw new UsageError(`compare ${file}: this is no report of a load test (write one with --json)`);
    }
    return report as Report;
}
