import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** BLIS (inference-sim/inference-sim) on a trace, with one instance. */

export interface BlisRequest {
    /** Seconds after the begin. */
    at: number;
    promptTokens: number;
    answerTokens: number;
    /** Requests of a group begin with the same so many tokens. */
    prefix?: { group: string; tokens: number };
}

/** The columns of its TraceV2. */
const columns =
    "request_id,client_id,tenant_id,slo_class,session_id,round_index,prefix_group,prefix_length,streaming," +
    "input_tokens,output_tokens,text_tokens,image_tokens,audio_tokens,video_tokens,reason_ratio,model,deadline_us," +
    "server_input_tokens,arrival_time_us,send_time_us,first_chunk_time_us,last_chunk_time_us,num_chunks,status," +
    "error_message,finish_reason";

/** Tokens that are the group's are not among its input tokens. */
function row({ at, promptTokens, answerTokens, prefix }: BlisRequest, i: number): string {
    const [group, common] = [prefix?.group ?? "", prefix?.tokens ?? 0];
    const [input, time] = [promptTokens - common, Math.round(at * 1e6)];
    const all = prefix ? 0 : promptTokens;
    return `${i},c,,standard,,0,${group},${common},true,${input},${answerTokens},${input},0,0,0,0,,0,${all},${time},${time},0,0,0,ok,,`;
}

/**
 * Runs `blis replay` on the requests, in a folder that is removed afterwards.
 * @param flags beside those that name the trace
 * @param read called with the folder before it is removed
 * @throws Error with its last lines if it fails
 */
export function replayWithBlis<Read>(
    { program, checkout }: { program: string; checkout: string },
    requests: BlisRequest[],
    flags: (folder: string) => Record<string, string | number>,
    read: (folder: string) => Read,
): { cpuSeconds: number; read: Read } {
    const folder = mkdtempSync(join(tmpdir(), "blis-"));
    try {
        const [header, data] = [join(folder, "header.yaml"), join(folder, "data.csv")];
        writeFileSync(header, "trace_version: 2\ntime_unit: microseconds\nmode: generated\nwarm_up_requests: 0\n");
        writeFileSync(data, [columns, ...requests.map(row), ""].join("\n"));
        const given = { "trace-header": header, "trace-data": data, ...flags(folder) };
        const options = Object.entries(given).flatMap(([name, value]) => [`--${name}`, String(value)]);
        return { cpuSeconds: cpuOf([program, "replay", ...options], checkout), read: read(folder) };
    } finally {
        rmSync(folder, { recursive: true });
    }
}

/** Seconds of CPU of a command and its processes, their start included. Throws with its last lines if it fails. */
export function cpuOf(command: string[], cwd: string): number {
    const script = 'TIMEFORMAT="%U %S"; time "$@" > /dev/null';
    const { status, stderr } = spawnSync("bash", ["-c", script, "-", ...command], { cwd, encoding: "utf8" });
    if (status !== 0) throw new Error(`${command[0]} ended with ${status}:\n${stderr.slice(-2000)}`);
    const times = stderr.trim().split("\n").at(-1)!.split(" ").map(Number);
    return times[0] + times[1];
}
