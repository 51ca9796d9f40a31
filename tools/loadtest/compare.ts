import { readFileSync } from "node:fs";
import { table } from "../../machine/terminal";
import type { Block } from "./blocks";
import { UsageError } from "./config";
import { randomOf } from "./random";
import type { Report } from "./report";
import { Histogram, quantile } from "./statistics";
import { seconds } from "./text";

/** What changed from one run to another, and whether that is more than one run differs from the next. */

export interface Change {
    name: string;
    before: number;
    after: number;
    /** `after` over `before`, and between what it lies with a probability of 95 %. */
    ratio: number;
    interval: { from: number; to: number };
    /** The interval leaves out 1. */
    significant: boolean;
    /** More is better, as of a rate; else less, as of a time. */
    moreIsBetter: boolean;
}

interface Measure {
    name: string;
    moreIsBetter: boolean;
    /** Undefined where there is nothing to be measured. */
    of: (blocks: Block[]) => number | undefined;
}

const measures: Measure[] = [
    ...(["ttft", "tpot", "latency"] as const).flatMap((key) =>
        ([0.5, 0.95, 0.99] as const).map((q): Measure => {
            const title = { ttft: "first token", tpot: "between tokens", latency: "latency" }[key];
            return { name: `${title} p${100 * q}`, moreIsBetter: false, of: (blocks) => percentile(blocks, key, q) };
        }),
    ),
    { name: "requests/s", moreIsBetter: true, of: (blocks) => rate(blocks, ({ ok }) => ok) },
    { name: "output tokens/s", moreIsBetter: true, of: (blocks) => rate(blocks, ({ outputTokens }) => outputTokens) },
];

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
    const drawn = (blocks: Prepared[]): Prepared[] =>
        Array.from({ length: blocks.length }, () => blocks[Math.floor(random() * blocks.length)]);
    const [one, other] = [before.map(prepared), after.map(prepared)];
    const pairs = Array.from({ length: resamples }, () => [drawn(one), drawn(other)]);
    return measures.flatMap(({ name, moreIsBetter, of }) => {
        const [was, is] = [of(before), of(after)];
        if (!was || !is) return [];
        const ratios = Float64Array.from(
            pairs.flatMap(([a, b]) => {
                const [x, y] = [of(a), of(b)];
                return x && y ? y / x : [];
            }),
        ).sort();
        const interval = { from: quantile(ratios, 0.025), to: quantile(ratios, 0.975) };
        const significant = interval.from > 1 || interval.to < 1;
        return { name, before: was, after: is, ratio: is / was, interval, significant, moreIsBetter };
    });
}

/** A block with its histograms read: a thousand draws read them once. */
interface Prepared extends Block {
    histograms: Record<"latency" | "ttft" | "tpot", Histogram>;
}

function prepared(block: Block): Prepared {
    return { ...block, histograms: { latency: read(block.latency), ttft: read(block.ttft), tpot: read(block.tpot) } };
}

function read(text: string): Histogram {
    const histogram = new Histogram();
    histogram.addText(text);
    return histogram;
}

function percentile(blocks: Block[], key: "latency" | "ttft" | "tpot", q: number): number | undefined {
    const sum = new Histogram();
    for (const block of blocks) sum.add(((block as Prepared).histograms?.[key] ?? read(block[key])).content);
    return sum.length === 0 ? undefined : sum.quantile(q);
}

function rate(blocks: Block[], count: (block: Block) => number): number | undefined {
    const sum = (value: (block: Block) => number): number => blocks.reduce((total, block) => total + value(block), 0);
    return sum(count) / sum((block) => block.seconds);
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
        `Errors: ${errors[0]} requests before, ${errors[1]} after.`,
    ];
    for (const key of differing) {
        lines.push(
            `Not the same load: ${key} was ${JSON.stringify(setting(before, key))}, is ${JSON.stringify(setting(after, key))}.`,
        );
    }
    [before, after].forEach(({ valid, clientLimits }, i) => {
        if (!valid) lines.push(`Not valid: in ${files[i]} the client was the limit (${clientLimits.join("; ")}).`);
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
