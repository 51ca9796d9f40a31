import { readFileSync } from "node:fs";
import type { Message } from "./client";
import type { LoadConfig } from "./config";
import { draw, type Distribution } from "./distribution";
import { noiseImage } from "./images";
import { randomOf } from "../random";
import { traceBlockTokens, type TraceRequest } from "./trace";
import { drawPrompt } from "./workload";
import { UsageError } from "./usage-error";

/** One question of a conversation. */
export interface Question {
    /** What goes before the earlier questions and answers is only in the first: a dataset's system message. */
    messages: Message[];
    maxTokens: number;
    /** Prompts of about the same length are reported together. */
    lengthClass: string;
}

/** What one after the other is asked; an answer is to go between two questions. Never empty. */
export type Conversation = Question[];

/** Tokens of a common English word with the space before it, in the vocabularies of current models. */
const commonWords = (
    "the of and to in is that for it as was with be by on not he this are or his from at which but have an had they you " +
    "were their one all we can her has there been if more when will would who so no out up into than them its time only " +
    "some could these two may then do first any my now such like our over man me even most made after also did many"
).split(" ");

/** Draws what is asked. The draw depends on config and place alone: a seed asks the same in whatever order answers come. */
export class RequestSource {
    private readonly dataset?: { messages: Message[]; maxTokens?: number }[];
    private readonly blocks = new Map<number, string>();
    private readonly size: number[];

    /** Reads the dataset, where there is one. Throws UsageError. */
    constructor(
        private readonly config: LoadConfig,
        private readonly trace?: TraceRequest[],
    ) {
        if (config.dataset !== undefined) this.dataset = readDataset(config.dataset);
        this.size = config.imageSize.split("x").map(Number);
    }

    /** The conversation `index` of a worker; of an open loop, worker is 0 and index the arrival's. */
    conversation(worker: number, index: number): Conversation {
        const { seed, turns } = this.config;
        const random = randomOf(seed, "conversation", worker, index);
        const count = turns.kind === "fixed" ? turns.value : draw(turns, random, 1);
        return Array.from({ length: count }, (_, turn) => {
            // A second question of a dataset is another line's, without its system message.
            const question = this.question(worker, index, turn, random);
            return this.config.images > 0 ? this.withImages(question, random) : question;
        });
    }

    private question(worker: number, index: number, turn: number, random: () => number): Question {
        const { inputTokens, maxTokens, seed } = this.config;
        if (this.trace) {
            const request = this.trace[index];
            return made(this.traceText(request, index), request.inputTokens, request.outputTokens);
        }
        const most = drawMost(maxTokens, random);
        if (this.dataset) {
            const line = this.dataset[Math.floor(random() * this.dataset.length)];
            const messages = turn === 0 ? line.messages : line.messages.slice(-1);
            return { messages, maxTokens: line.maxTokens ?? most, lengthClass: lengthClass(lengthOf(messages) / 4) };
        }
        if (inputTokens) {
            const tokens = draw(inputTokens, random, 1);
            return made(this.text(tokens, random), tokens, most);
        }
        const { text, length } = drawPrompt(seed, worker, index + turn * 1_000_003);
        return { messages: [{ role: "user", content: text }], maxTokens: most, lengthClass: length };
    }

    private text(tokens: number, random: () => number): string {
        const common = Math.round(tokens * this.config.prefixShare);
        const prefix = common > 0 ? [wordsOf(common, randomOf(this.config.seed, "prefix"))] : [];
        const own = tokens > common ? [wordsOf(tokens - common, random)] : [];
        return [...prefix, ...own].join(" ");
    }

    private traceText({ inputTokens, blocks }: TraceRequest, index: number): string {
        if (!blocks) return wordsOf(inputTokens, randomOf(this.config.seed, "trace", index));
        const whole = blocks.map((block) => this.block(block)).join(" ");
        return whole.split(" ").slice(0, inputTokens).join(" ");
    }

    private block(id: number): string {
        let text = this.blocks.get(id);
        if (text === undefined) {
            text = wordsOf(traceBlockTokens, randomOf(this.config.seed, "block", id));
            // Blocks that come again do so soon; what is forgotten is made again, the same.
            if (this.blocks.size >= 2000) this.blocks.delete(this.blocks.keys().next().value!);
            this.blocks.set(id, text);
        }
        return text;
    }

    private withImages(question: Question, random: () => number): Question {
        const images = Array.from({ length: this.config.images }, () => ({
            type: "image_url",
            image_url: { url: noiseImage(this.size[0], this.size[1], random) },
        }));
        const messages = question.messages.map((message, i) =>
            i < question.messages.length - 1 || typeof message.content !== "string"
                ? message
                : { ...message, content: [{ type: "text", text: message.content }, ...images] },
        );
        return { ...question, messages };
    }
}

function drawMost(maxTokens: Distribution, random: () => number): number {
    return maxTokens.kind === "fixed" ? maxTokens.value : draw(maxTokens, random, 1);
}

function made(text: string, tokens: number, maxTokens: number): Question {
    return { messages: [{ role: "user", content: text }], maxTokens, lengthClass: lengthClass(tokens) };
}

/** About so many tokens of text: one word each. */
function wordsOf(tokens: number, random: () => number): string {
    return Array.from({ length: tokens }, () => commonWords[Math.floor(random() * commonWords.length)]).join(" ");
}

/** In powers of four, as text. */
export function lengthClass(tokens: number): string {
    const bound = [32, 128, 512, 2048, 8192, 32_768].find((most) => tokens <= most);
    return bound === undefined ? "over 32768 tokens" : `up to ${bound} tokens`;
}

function lengthOf(messages: Message[]): number {
    return messages.reduce((sum, { content }) => sum + (typeof content === "string" ? content.length : 0), 0);
}

function readDataset(file: string): { messages: Message[]; maxTokens?: number }[] {
    let text: string;
    try {
        text = readFileSync(file, "utf8");
    } catch (error) {
        throw new UsageError(`--dataset ${file}: ${(error as Error).message}`);
    }
    const lines = text.split("\n").flatMap((line, i) => (line.trim() === "" ? [] : [{ line, number: i + 1 }]));
    if (lines.length === 0) throw new UsageError(`--dataset ${file} is empty`);
    return lines.map(({ line, number }) => {
        const found = datasetLine(line);
        if (!found) {
            throw new UsageError(
                `--dataset ${file}: line ${number} is neither {"messages": [{"role": ..., "content": ...}]}, the last of the user, nor {"prompt": "..."}`,
            );
        }
        return found;
    });
}

function datasetLine(line: string): { messages: Message[]; maxTokens?: number } | undefined {
    let value: { messages?: unknown; prompt?: unknown; max_tokens?: unknown } | null;
    try {
        value = JSON.parse(line);
    } catch {
        return undefined;
    }
    const messages =
        typeof value?.prompt === "string" ? [{ role: "user", content: value.prompt }] : (value?.messages as Message[]);
    if (!Array.isArray(messages) || messages.at(-1)?.role !== "user") return undefined;
    const roles = ["system", "user", "assistant"];
    const fits = (message: Message): boolean =>
        roles.includes(message?.role) && (typeof message.content === "string" || Array.isArray(message.content));
    if (!messages.every((message) => fits(message as Message))) return undefined;
    const most = value?.max_tokens;
    if (most !== undefined && !(Number.isInteger(most) && (most as number) > 0)) return undefined;
    return { messages: messages as Message[], maxTokens: most as number | undefined };
}
