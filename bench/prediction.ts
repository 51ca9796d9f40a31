// How far off a prediction is: the planner's engine, and BLIS (inference-sim/inference-sim), against what a real vLLM was
// recorded doing (`npm run bench -- fidelity --record FILE`). Both are fitted to the same streams of that server.
// `npm run bench -- prediction [--recording FILE] [--blis PROGRAM --blis-folder CHECKOUT]`
import { join } from "node:path";
import { parseArgs } from "node:util";
import { table } from "../machine/terminal";
import { calibrate, measure } from "../tools/find-target/calibrate";
import { fitBlis, type ModelShape } from "./blis/fit";
import { predictWithBlis } from "./blis/predict";
import { requestsOf } from "./fidelity/load";
import { quantile } from "./fidelity/quantile";
import { predictOurs, type PredictedRequest, type Prediction } from "./prediction/ours";
import { readRecording, type AnsweredLoad, type Recording } from "./prediction/recording";

const rows = ["TTFT p50", "TTFT p95", "TPOT p50", "TPOT p95", "e2e p50", "e2e p95", "tokens/s"] as const;
type Figures = Record<(typeof rows)[number], number>;

/** The figures of a load whose requests were sent, and asked for tokens, like this. */
function figuresOf(load: AnsweredLoad, answers: Prediction[]): Figures {
    const { answers: sent } = load;
    const of = (value: (answer: Prediction, tokens: number) => number): number[] =>
        answers.map((answer, i) => value(answer, sent[i].tokens));
    const first = of(({ timeToFirstToken }) => timeToFirstToken);
    const between = of(({ timeToFirstToken, duration }, tokens) => (duration - timeToFirstToken) / (tokens - 1));
    const whole = of(({ duration }) => duration);
    const end = Math.max(...answers.map(({ duration }, i) => sent[i].sent + duration));
    const tokens = sent.reduce((sum, one) => sum + one.tokens, 0);
    return {
        "TTFT p50": quantile(first, 0.5),
        "TTFT p95": quantile(first, 0.95),
        "TPOT p50": quantile(between, 0.5),
        "TPOT p95": quantile(between, 0.95),
        "e2e p50": quantile(whole, 0.5),
        "e2e p95": quantile(whole, 0.95),
        "tokens/s": tokens / (end - Math.min(...sent.map((one) => one.sent))),
    };
}

/** The requests of a recorded load: its prompts are made again, the times are those at which they were sent. */
function requestsOfLoad({ settings, requests, seed }: Recording, { run, answers }: AnsweredLoad): PredictedRequest[] {
    const numbers = new Map<string, number>();
    return requestsOf(requests, seed, run).map(({ prompt, maxTokens }, i) => ({
        at: answers[i].sent,
        promptTokens: prompt.length,
        answerTokens: maxTokens,
        blocks: Array.from({ length: Math.floor(prompt.length / settings.blockSize) }, (_, block) => {
            const key = prompt.slice(0, (block + 1) * settings.blockSize).join();
            if (!numbers.has(key)) numbers.set(key, numbers.size);
            return numbers.get(key)!;
        }),
    }));
}

/** Of steps whose times are spread at random, one run is one of many that could be. */
const seeds = Array.from({ length: 51 }, (_, i) => i + 1);

function medians(runs: Figures[]): Figures {
    return Object.fromEntries(rows.map((row) => [row, median(runs.map((run) => run[row]))])) as Figures;
}

function median(values: number[]): number {
    return quantile(values, 0.5);
}

interface Compared {
    real: Figures;
    predicted: Record<string, Figures>;
}

/** Each round of a recording, by load. */
function compare(recording: Recording, blis?: { program: string; checkout: string }): Compared[][] {
    const { settings, calibrations, rounds, model } = recording;
    return rounds.map((loads, round) => {
        const streams = [calibrations[round], calibrations[round + 1]];
        const fit = calibrate(streams.flatMap((some) => measure(some, settings.maxNumBatchedTokens)));
        const coefficients = fitBlis(streams, settings.maxNumBatchedTokens, model as unknown as ModelShape);
        return loads.map((load) => {
            const requests = requestsOfLoad(recording, load);
            const real = load.answers.map(({ sent, firstToken, end }) => ({
                timeToFirstToken: firstToken - sent,
                duration: end - sent,
            }));
            return {
                real: figuresOf(load, real),
                predicted: {
                    ours: medians(seeds.map((seed) => figuresOf(load, predictOurs(requests, fit, settings, seed)))),
                    ...(blis && {
                        BLIS: figuresOf(load, predictWithBlis(requests, coefficients, model, settings, blis)),
                    }),
                },
            };
        });
    });
}

/** By how much a prediction is off, as a share; the median of the rounds. */
function error(rounds: Compared[], who: string, row: keyof Figures): number {
    return median(rounds.map(({ real, predicted }) => predicted[who][row] / real[row] - 1));
}

function shown(row: keyof Figures, value: number): string {
    return row === "tokens/s" ? value.toFixed(0) : `${(1000 * value).toFixed(1)} ms`;
}

const percent = (share: number): string =>
    `${share > -0.005 ? "+" : ""}${Math.abs(share) < 0.005 ? 0 : (100 * share).toFixed(0)} %`;

function print(recording: Recording, compared: Compared[][]): void {
    const { version, loads, requests } = recording;
    const who = Object.keys(compared[0][0].predicted);
    console.log(
        `vLLM ${version} on a CPU, ${requests} requests a load, ${compared.length} rounds; medians of the rounds`,
    );
    loads.forEach((name, i) => {
        const rounds = compared.map((round) => round[i]);
        const cell = (row: keyof Figures, of: (one: Compared) => Figures): string =>
            shown(row, median(rounds.map((one) => of(one)[row])));
        const lines = rows.map((row) => [
            row,
            cell(row, ({ real }) => real),
            difference(rounds.map(({ real }) => real[row])),
            ...who.flatMap((one) => [cell(row, ({ predicted }) => predicted[one]), percent(error(rounds, one, row))]),
        ]);
        const means = who.flatMap((one) => {
            const errors = rows.map((row) => Math.abs(error(rounds, one, row)));
            return ["", `${((100 * errors.reduce((sum, value) => sum + value, 0)) / errors.length).toFixed(1)} %`];
        });
        const head = [name, "real", "rounds differ by", ...who.flatMap((one) => [one, "off by"])];
        console.log(`\n${table([head, ...lines, ["mean, absolute", "", "", ...means]])}`);
    });
}

/** By how much the values lie apart, as a share of their median. */
function difference(values: number[]): string {
    return `${((100 * (Math.max(...values) - Math.min(...values))) / median(values)).toFixed(0)} %`;
}

function main(): void {
    const text = { type: "string" } as const;
    const { values } = parseArgs({ options: { recording: text, blis: text, "blis-folder": text } });
    const recording = readRecording(values.recording ?? join(__dirname, "prediction", "cpu.json"));
    const blis = values.blis ? { program: values.blis, checkout: values["blis-folder"] ?? "." } : undefined;
    print(recording, compare(recording, blis));
}

main();
