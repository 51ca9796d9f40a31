import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Engine, type Sequence } from "../../../sandbox/vllm/engine";

/** The engine replays what vLLM's own scheduler did, step by step. `recordings/scheduler/record.py` says how to read a file. */

const folder = join(__dirname, "recordings", "scheduler");
const recordings = readdirSync(folder).filter((file) => file.endsWith(".txt"));

/** Recordings that the engine does not follow, each with its reason. One that it does follow must not stand here. */
const differences: Record<string, string> = {
    "prefix-second-turn.txt":
        "the engine does not know what an answer says, so the next prompt does not find its blocks",
};

/** The words of a line as `key=value`, and those without a key. */
function read(line: string): { words: string[]; values: Record<string, string> } {
    const parts = line.split(" ");
    const values = Object.fromEntries(parts.filter((part) => part.includes("=")).map((part) => part.split("=")));
    return { words: parts.filter((part) => !part.includes("=")), values };
}

/** The tokens of a prompt written as `X40+y3`. */
function promptOf(parts: string): string[] {
    return parts
        .split("+")
        .flatMap((part) => Array.from({ length: Number(part.slice(1)) }, (_, i) => `${part[0]}${i}`));
}

class Replay {
    private readonly engine: Engine;
    private readonly blockSize: number;
    private readonly numBlocks: number;
    private readonly sequences: Sequence[] = [];
    private readonly during: string[] = [];
    private steps = 0;

    constructor(settings: Record<string, string>) {
        this.blockSize = Number(settings["block-size"]);
        this.numBlocks = Number(settings.blocks);
        this.engine = new Engine({
            maxNumSeqs: Number(settings["max-num-seqs"]),
            maxNumBatchedTokens: Number(settings["max-num-batched-tokens"]),
            longPrefillTokenThreshold: Number(settings["long-prefill-token-threshold"]),
            prefixCaching: settings["prefix-caching"] === "on",
            blockSize: this.blockSize,
            numBlocks: this.numBlocks,
            step: { base: 1, prefillToken: 0, decodeSequence: 0, contextToken: 0, spread: 0 },
        });
    }

    /** Does what a line says; returns the line that the engine makes of it. */
    follow(line: string): string {
        const { words, values } = read(line);
        if (words[0] === "step") return this.step();
        if (words[0] === "add") this.add(words[1], values);
        else if (words[0] !== "abort") throw new Error(`not a line of a recording: ${line}`);
        else if (words[2] === "during") this.during.push(words[1]);
        else this.engine.abort(words[1]);
        return line;
    }

    private add(id: string, values: Record<string, string>): void {
        const prompt = promptOf(values.prompt);
        const whole = Math.floor(prompt.length / this.blockSize);
        const sequence = this.engine.add({
            id,
            promptTokens: prompt.length,
            promptBlocks: Array.from({ length: whole }, (_, i) => prompt.slice(0, (i + 1) * this.blockSize).join(" ")),
            naturalTokens: Number(values.answer),
            maxTokens: Number(values.max),
            arrival: this.steps,
        });
        this.sequences.push(sequence);
    }

    private step(): string {
        const { engine } = this;
        const before = new Map(this.sequences.map((sequence) => [sequence, sequence.preemptions]));
        engine.beginStep(this.steps);
        const scheduled = engine.running.filter(({ inStep }) => inStep > 0).map(({ id, inStep }) => `${id}:${inStep}`);
        for (const id of this.during.splice(0)) engine.abort(id);
        const { outputs } = engine.endStep(++this.steps);
        const preempted = this.sequences.filter((sequence) => sequence.preemptions > before.get(sequence)!);
        // The last one preempted waits at the head.
        const order = engine.waiting.filter((sequence) => preempted.includes(sequence)).reverse();
        const finished = outputs.filter((output) => output.finished);
        const list = (items: string[]): string => items.join(",") || "-";
        const ids = (sequences: readonly Sequence[]): string => list(sequences.map(({ id }) => id));
        return (
            `step scheduled=${list(scheduled)} preempted=${ids(order)} running=${ids(engine.running)} ` +
            `waiting=${ids(engine.waiting)} ` +
            `finished=${list(finished.map((output) => `${output.sequence.id}:${output.finished}`))} ` +
            `queries=${engine.totals.prefixQueries} hits=${engine.totals.prefixHits} ` +
            `used=${Math.round(engine.kvCacheUsage * (this.numBlocks - 1))}`
        );
    }
}

describe("vLLM's scheduler, recorded", () => {
    it.each(recordings)("%s", (file) => {
        const [, settings, ...lines] = readFileSync(join(folder, file), "utf8").trimEnd().split("\n");
        const replay = new Replay(read(settings).values);
        const replayed = lines.map((line) => replay.follow(line));
        if (differences[file]) expect(replayed, `${file} is followed now`).not.toEqual(lines);
        else expect(replayed).toEqual(lines);
    });

    it("has the recordings that differ", () => {
        expect(recordings).toEqual(expect.arrayContaining(Object.keys(differences)));
        expect(recordings.length).toBeGreaterThan(30);
    });
});
