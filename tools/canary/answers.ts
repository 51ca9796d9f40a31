import { readFileSync } from "node:fs";
import { ask } from "../http";
import type { Interval } from "../loadtest/statistics";
import { drawnInterval } from "./drawn";
import { questions, type Question } from "./questions";

/** One of the two apps, as its clients reach it. */
export interface Asked {
    /** With `/v1`. */
    baseUrl: string;
    token: string;
    /** What requests name as their model. */
    model: string;
    /** Certificate authorities (PEM) to trust in place of Node's own. */
    ca?: string[];
}

/** Both apps' answers to the fixed questions. */
export interface AnswersCompared {
    questions: number;
    /** Answers that hold what is expected. */
    right: { first: number; canary: number };
    /** Share of right ones, the canary's less the first's, and between what that lies with a probability of 95 %. */
    difference: number;
    interval: Interval;
    /** Answers that are the same, word by word. */
    same: number;
    /** Questions that the first answers rightly and the canary does not. */
    lost: string[];
}

const mostTokens = 48;

/** The questions of a file, or those that come with the tool. Throws an Error for people. */
export function readQuestions(file: string | undefined): Question[] {
    if (file === undefined) return questions;
    const lines = readFileSync(file, "utf8").split("\n");
    const read = lines.flatMap((line, i) => (line.trim() === "" ? [] : [questionOf(line, `${file}, line ${i + 1}`)]));
    if (read.length === 0) throw new Error(`--answers ${file} is empty`);
    return read;
}

function questionOf(line: string, where: string): Question {
    try {
        const { prompt, expect } = JSON.parse(line) as Partial<Question>;
        if (typeof prompt === "string" && typeof expect === "string" && new RegExp(expect)) return { prompt, expect };
    } catch {
        // Said below, with what is right.
    }
    throw new Error(`--answers ${where}: give {"prompt": "...", "expect": "a regular expression"}`);
}

/** Asks both the same, one question after the other, at temperature 0. Throws an Error for people when the first does not answer. */
export async function compareAnswers(
    first: Asked,
    canary: Asked,
    asked: Question[],
    signal: AbortSignal,
): Promise<AnswersCompared> {
    const answers: { first: string; canary: string }[] = [];
    for (const { prompt } of asked) {
        signal.throwIfAborted();
        const [one, other] = await Promise.all([answerOf(first, prompt), answerOf(canary, prompt)]);
        if (one instanceof Error) throw one;
        // Of the canary no answer is a wrong one.
        answers.push({ first: one, canary: other instanceof Error ? "" : other });
    }
    return compared(asked, answers);
}

/** What the answers to these questions come to. */
export function compared(asked: Question[], answers: { first: string; canary: string }[]): AnswersCompared {
    const right = asked.map(({ expect }, i) => {
        const isRight = (text: string): number => (new RegExp(expect, "i").test(text) ? 1 : 0);
        return { first: isRight(answers[i].first), canary: isRight(answers[i].canary) };
    });
    const sum = (places: number[], of: (one: (typeof right)[number]) => number): number =>
        places.reduce((total, place) => total + of(right[place]), 0);
    const difference = (places: number[]): number => sum(places, (one) => one.canary - one.first) / asked.length;
    const all = asked.map((_, i) => i);
    return {
        questions: asked.length,
        right: { first: sum(all, (one) => one.first), canary: sum(all, (one) => one.canary) },
        difference: difference(all),
        // A question is drawn with both of its answers.
        interval: drawnInterval([asked.length], ([places]) => difference(places)),
        same: answers.filter((answer) => answer.first === answer.canary).length,
        lost: asked.filter((_, i) => right[i].first > right[i].canary).map(({ prompt }) => prompt),
    };
}

async function answerOf({ baseUrl, token, model, ca }: Asked, prompt: string): Promise<string | Error> {
    const messages = [{ role: "user", content: prompt }];
    const body = { model, messages, max_tokens: mostTokens, temperature: 0, seed: 1 };
    try {
        const answer = await ask(`${baseUrl}/chat/completions`, {
            ...{ token, body, timeoutSeconds: 120 },
            ca: ca?.join("\n"),
        });
        if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.body.slice(0, 200)}`);
        const { choices } = JSON.parse(answer.body) as { choices: { message: { content?: string | null } }[] };
        return choices[0].message.content ?? "";
    } catch (error) {
        return new Error(`${baseUrl} did not answer a question: ${(error as Error).message}`);
    }
}
