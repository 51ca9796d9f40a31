import { readFileSync, writeFileSync } from "node:fs";
import type { StreamedAnswer } from "../../tools/find-target/calibrate";
import type { Settings } from "../fidelity/servers";

/** What a real server was asked and when it answered, so that a prediction can be compared with it again without the server. */
export interface Recording {
    /** Of vLLM, as `/version` says it. */
    version: string;
    /** The model's `config.json`, as far as its shape goes. */
    model: Record<string, unknown>;
    settings: Settings;
    /** Of each load: the prompts are those of `requestsOf(requests, seed, run)`. */
    requests: number;
    seed: number;
    /** Names of the loads. */
    loads: string[];
    /** Streams for the fit: before each round, and after the last. */
    calibrations: StreamedAnswer[][];
    /** Of each round, by load. */
    rounds: AnsweredLoad[][];
}

export interface AnsweredLoad {
    /** Which prompts. */
    run: number;
    /** Of each request, in the order in which they were planned. Times are seconds. */
    answers: { sent: number; firstToken: number; end: number; tokens: number }[];
}

export function answeredLoad(run: number, answers: StreamedAnswer[]): AnsweredLoad {
    return {
        run,
        answers: answers.map(({ sent, pieces }) => ({
            sent,
            firstToken: pieces[0].at,
            end: pieces[pieces.length - 1].at,
            tokens: pieces.reduce((sum, { tokens }) => sum + tokens, 0),
        })),
    };
}

/** Times in the file are whole hundredths of a millisecond, each counted from the one before: a token takes four characters. */
const unitsPerSecond = 1e5;
const toUnits = (seconds: number): number => Math.round(seconds * unitsPerSecond);

/** Sent, tokens of the prompt, then for each token how long after the one before it came; 0: in the same piece. */
type PackedStream = number[];

function packStream({ sent, promptTokens, pieces }: StreamedAnswer, begin: number): PackedStream {
    let before = toUnits(sent - begin);
    return [
        before,
        promptTokens,
        ...pieces.flatMap(({ at, tokens }) => {
            const now = Math.max(before + 1, toUnits(at - begin));
            const gap = now - before;
            before = now;
            return [gap, ...Array<number>(tokens - 1).fill(0)];
        }),
    ];
}

function unpackStream([sent, promptTokens, ...gaps]: PackedStream): StreamedAnswer {
    const pieces: StreamedAnswer["pieces"] = [];
    let now = sent;
    for (const gap of gaps) {
        now += gap;
        if (gap === 0) pieces[pieces.length - 1].tokens++;
        else pieces.push({ at: now / unitsPerSecond, tokens: 1 });
    }
    return { sent: sent / unitsPerSecond, promptTokens, pieces };
}

export function writeRecording(file: string, recording: Recording): void {
    const { calibrations, rounds, ...rest } = recording;
    const streams = calibrations.map((answers) => {
        const begin = Math.min(...answers.map(({ sent }) => sent));
        return answers.map((answer) => packStream(answer, begin));
    });
    const packed = rounds.map((loads) =>
        loads.map(({ run, answers }) => {
            const begin = Math.min(...answers.map(({ sent }) => sent));
            return {
                run,
                answers: answers.map(({ sent, firstToken, end, tokens }) => [
                    ...[sent - begin, firstToken - sent, end - firstToken].map(toUnits),
                    tokens,
                ]),
            };
        }),
    );
    // A line for each request, so that it can be looked at.
    const text = JSON.stringify({ ...rest, unitsPerSecond, calibrations: streams, rounds: packed });
    writeFileSync(file, `${text.replace(/,?\[(?=\d)/g, "\n$&")}\n`);
}

/** Throws when the file is none of this form. */
export function readRecording(file: string): Recording {
    const { calibrations, rounds, ...rest } = JSON.parse(readFileSync(file, "utf8")) as Omit<
        Recording,
        "calibrations" | "rounds"
    > & { calibrations: PackedStream[][]; rounds: { run: number; answers: number[][] }[][] };
    return {
        ...rest,
        calibrations: calibrations.map((answers) => answers.map(unpackStream)),
        rounds: rounds.map((loads) =>
            loads.map(({ run, answers }) => ({
                run,
                answers: answers.map(([sent, first, decode, tokens]) => ({
                    sent: sent / unitsPerSecond,
                    firstToken: (sent + first) / unitsPerSecond,
                    end: (sent + first + decode) / unitsPerSecond,
                    tokens,
                })),
            })),
        ),
    };
}
