import { readFileSync } from "node:fs";
import { UsageError } from "./usage-error";

/** Requests of the past, as published traces hold them. */

export interface TraceRequest {
    /** Seconds from the first one. */
    t: number;
    inputTokens: number;
    outputTokens: number;
    /** Ids of the prompt's blocks of 512 tokens: two prompts that begin with the same ids begin with the same text. */
    blocks?: number[];
}

/** Tokens of a block in Mooncake's traces. */
export const traceBlockTokens = 512;

const forms =
    "TIMESTAMP,ContextTokens,GeneratedTokens (Azure), Timestamp,Request tokens,Response tokens (BurstGPT), or lines of JSON " +
    "with timestamp, input_length and output_length (Mooncake)";

/** The requests of a trace file in the order of their times. Throws UsageError that names the line. */
export function readTrace(file: string): TraceRequest[] {
    let text: string;
    try {
        text = readFileSync(file, "utf8");
    } catch (error) {
        throw new UsageError(`--trace ${file}: ${(error as Error).message}`);
    }
    return parseTrace(text, `--trace ${file}`);
}

/** The same of a file's text; `name` is how errors call it. */
export function parseTrace(text: string, name: string): TraceRequest[] {
    const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
    const read = lines[0].startsWith("{") ? mooncake : csvReader(lines[0], name);
    const requests: TraceRequest[] = [];
    for (let i = lines[0].startsWith("{") ? 0 : 1; i < lines.length; i++) {
        if (lines[i].trim() === "") continue;
        const request = read(lines[i]);
        const numbers = request && [request.t, request.inputTokens, request.outputTokens];
        if (!numbers?.every((value) => Number.isFinite(value) && value >= 0)) {
            throw new UsageError(`${name}: line ${i + 1} is no request: ${lines[i].slice(0, 100)}`);
        }
        // BurstGPT writes 0 tokens of answer for a request that failed: nothing that could be asked again.
        if (request!.outputTokens > 0 && request!.inputTokens > 0) requests.push(request!);
    }
    if (requests.length === 0) throw new UsageError(`${name} has no request`);
    requests.sort((a, b) => a.t - b.t);
    const first = requests[0].t;
    return requests.map((request) => ({ ...request, t: request.t - first }));
}

function mooncake(line: string): TraceRequest | undefined {
    try {
        const { timestamp, input_length, output_length, hash_ids } = JSON.parse(line) as Record<string, unknown>;
        const blocks = Array.isArray(hash_ids) ? hash_ids.map(Number) : undefined;
        return {
            t: Number(timestamp) / 1000,
            inputTokens: Number(input_length),
            outputTokens: Number(output_length),
            blocks,
        };
    } catch {
        return undefined;
    }
}

function csvReader(header: string, name: string): (line: string) => TraceRequest | undefined {
    const columns = header.split(",").map((column) => column.trim().toLowerCase());
    const place = (...names: string[]): number => columns.findIndex((column) => names.includes(column));
    const time = place("timestamp");
    const input = place("contexttokens", "request tokens");
    const output = place("generatedtokens", "response tokens");
    if (time < 0 || input < 0 || output < 0) throw new UsageError(`${name}: its columns are none of ${forms}`);
    return (line) => {
        const cells = line.split(",").map((cell) => cell.trim());
        const [inputTokens, outputTokens] = [input, output].map((at) => (cells[at] ? Number(cells[at]) : NaN));
        return { t: secondsOf(cells[time]), inputTokens, outputTokens };
    };
}

/** A number of seconds, or Azure's date with seven places of a second, of which Date keeps three. */
function secondsOf(text: string | undefined): number {
    if (!text) return NaN;
    if (!isNaN(Number(text))) return Number(text);
    const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)?(?:\+00:00)?$/.exec(text);
    if (!match) return NaN;
    return Date.parse(`${match[1]}T${match[2]}Z`) / 1000 + Number(match[3] ?? 0);
}
