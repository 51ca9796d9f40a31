import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { Trace } from "./traffic";

/**
 * Reads a recorded trace, whose form its first line tells: Azure's LLM inference traces and BurstGPT's (CSV), Mooncake's
 * (JSON lines, with the blocks that prompts share). Throws an Error that names the file and the line.
 */
export function readTrace(file: string): Trace {
    const lines = readFileSync(file, "utf8").split(/\r?\n/).filter(Boolean);
    const [first = "", ...rest] = lines;
    const rows = first.startsWith("{") ? lines.map(mooncakeRow) : rest.map(csvRow(first));
    const answered = rows.filter(({ answer }) => !(answer <= 0));
    const wrong = answered.findIndex(({ at, prompt, answer }) => !(at >= 0 && prompt > 0 && answer > 0));
    if (answered.length === 0 || wrong >= 0) {
        const line = wrong < 0 ? "" : `, line ${rows.indexOf(answered[wrong]) + (first.startsWith("{") ? 1 : 2)}`;
        throw new Error(
            `${file}${line}: no trace of a known form. Known are Azure's (TIMESTAMP,ContextTokens,GeneratedTokens), ` +
                "BurstGPT's (Timestamp,Model,Request tokens,Response tokens,...) and Mooncake's (JSON lines)",
        );
    }
    answered.sort((a, b) => a.at - b.at);
    const start = answered[0].at;
    return {
        name: basename(file),
        at: Float64Array.from(answered, ({ at }) => at - start),
        promptTokens: Int32Array.from(answered, ({ prompt }) => prompt),
        answerTokens: Int32Array.from(answered, ({ answer }) => answer),
        blocks: answered[0].blocks && answered.map(({ blocks }) => blocks ?? []),
        blockTokens: 512,
    };
}

interface Row {
    /** Seconds. */
    at: number;
    prompt: number;
    /** 0 of a request that failed: left out. */
    answer: number;
    blocks?: number[];
}

function csvRow(header: string): (line: string) => Row {
    const columns = header.split(",").map((name) => name.trim().toLowerCase());
    const [time, prompt, answer] = [
        columns.indexOf("timestamp"),
        Math.max(columns.indexOf("contexttokens"), columns.indexOf("request tokens")),
        Math.max(columns.indexOf("generatedtokens"), columns.indexOf("response tokens")),
    ];
    return (line) => {
        const cells = line.split(",");
        const at = cells[time] ?? "";
        // Azure gives the date, in UTC, BurstGPT seconds.
        const seconds = /^[\d.]+$/.test(at) ? Number(at) : Date.parse(`${at.replace(" ", "T")}Z`) / 1000;
        return { at: seconds, prompt: Number(cells[prompt]), answer: Number(cells[answer]) };
    };
}

function mooncakeRow(line: string): Row {
    let row: { timestamp?: number; input_length?: number; output_length?: number; hash_ids?: number[] };
    try {
        row = JSON.parse(line) as typeof row;
    } catch {
        row = {};
    }
    const { timestamp = NaN, input_length: prompt = NaN, output_length: answer = NaN, hash_ids: blocks } = row;
    return { at: timestamp / 1000, prompt, answer, blocks };
}
