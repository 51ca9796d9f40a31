import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { device, fitBlis } from "../../bench/blis/fit";
import { answeredLoad, readRecording, writeRecording, type Recording } from "../../bench/prediction/recording";
import type { StreamedAnswer } from "../../tools/find-target/calibrate";
import { seededRandom } from "../../tools/random";

const shape = {
    ...{ num_hidden_layers: 6, hidden_size: 256, intermediate_size: 1024 },
    ...{ num_attention_heads: 8, num_key_value_heads: 4 },
};

interface Running {
    answer: StreamedAnswer;
    left: number;
}

/** Streams of a server with room for everybody whose step takes what the formula of BLIS says with these coefficients. */
function streams(beta: { prefill: number; kv: number; request: number; step: number }, queueing: number) {
    const { num_hidden_layers: layers, hidden_size: hidden, intermediate_size: inner } = shape;
    const kvWidth = (hidden / shape.num_attention_heads) * shape.num_key_value_heads;
    const perToken = layers * (2 * hidden * (2 * hidden + 2 * kvWidth) + 6 * hidden * inner);
    const flops = (tokens: number): number => perToken * tokens + layers * 4 * hidden * 1.5 * tokens ** 2;
    const bytes = (context: number): number => layers * 2 * kvWidth * 2 * (context + 1);
    const random = seededRandom(1);
    const answers: StreamedAnswer[] = [];
    let [now, running] = [0, [] as Running[]];
    // Some alone, then more and more at once.
    for (let i = 0; i < 60; i++) {
        const come = i < 20 ? 1 : 1 + (i % 3);
        const fresh = Array.from({ length: come }, (): Running => {
            const promptTokens = 20 + Math.floor(400 * random());
            // Those that come while others decode wait for longer than what is found of those that come alone.
            const sent = i < 20 ? now : now - queueing - 2 * beta.step;
            return { answer: { sent, promptTokens, pieces: [] }, left: 8 + Math.floor(40 * random()) };
        });
        answers.push(...fresh.map(({ answer }) => answer));
        // Of others the engine goes on meanwhile.
        if (i < 20) now += queueing;
        for (let first = true; first || (i < 20 ? running.length > 0 : running.length > i % 12); first = false) {
            let seconds = beta.step;
            for (const { answer } of running) {
                const context = answer.promptTokens + answer.pieces.length - 1;
                seconds += beta.request + (beta.kv * bytes(context)) / (device.terabytesPerSecond * 1e12);
            }
            if (first) {
                for (const { answer } of fresh) {
                    seconds += beta.request + (beta.prefill * flops(answer.promptTokens)) / (device.tflops * 1e12);
                }
                running.push(...fresh);
            }
            now += seconds;
            for (const one of running) {
                one.answer.pieces.push({ at: now, tokens: 1 });
                one.left--;
            }
            running = running.filter(({ left }) => left > 0);
        }
        if (i < 20) now += 0.1;
    }
    return answers;
}

it("BLIS' coefficients are found again in streams that follow its formula", () => {
    const made = { prefill: 0.6, kv: 3, request: 0.0004, step: 0.003 };
    const { alpha, beta } = fitBlis([streams(made, 0.002)], 100_000, shape);
    const close = (found: number, wanted: number): void => expect(Math.abs(found / wanted - 1)).toBeLessThan(0.05);
    close(alpha[0], 2000);
    close(beta[0], 0.6);
    close(beta[9], 3);
    close(beta[5], 400);
    close(beta[6], 3000);
    expect(beta).toHaveLength(10);
});

it("a recording is read as it was written, to a hundredth of a millisecond", () => {
    const folder = mkdtempSync(join(tmpdir(), "recording-"));
    try {
        const stream = {
            sent: 0,
            promptTokens: 30,
            pieces: [1, 2, 1].map((tokens, i) => ({ at: 0.01 * (i + 1), tokens })),
        };
        const recording: Recording = {
            ...{ version: "0.13.0", model: shape, requests: 1, seed: 1, loads: ["a load"] },
            settings: { maxNumSeqs: 16, maxNumBatchedTokens: 512, maxModelLen: 2048, blockSize: 16, blocks: 192 },
            calibrations: [[stream, { ...stream, sent: 0.5, pieces: [{ at: 0.500004, tokens: 1 }] }]],
            rounds: [[answeredLoad(3, [stream])]],
        };
        const file = join(folder, "recording.json");
        writeRecording(file, recording);
        const read = readRecording(file);
        expect(read.rounds[0][0]).toEqual({ run: 3, answers: [{ sent: 0, firstToken: 0.01, end: 0.03, tokens: 4 }] });
        expect(read.calibrations[0][0]).toEqual(stream);
        // Never before it was sent.
        expect(read.calibrations[0][1].pieces).toEqual([{ at: 0.50001, tokens: 1 }]);
        expect(read.settings).toEqual(recording.settings);
    } finally {
        rmSync(folder, { recursive: true });
    }
});
