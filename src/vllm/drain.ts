import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A server that is to answer what it has before it ends, and how. */
export interface DrainedServer {
    /** What it has for that, at most. */
    seconds: number;
    /** Where its metrics are. */
    port: number;
    /** What starts it. */
    command: string[];
}

const script = readFileSync(join(__dirname, "drain.py"), "utf8");

/** The command of a server behind the few lines of Python that keep it alive after SIGTERM until it is at rest. */
export function drained({ seconds, port, command }: DrainedServer): string[] {
    return ["python3", "-c", script, String(seconds), String(port), ...command];
}

/** What such a command holds; undefined for any other. */
export function drainedServer(command: string[]): DrainedServer | undefined {
    const [program, option, given, seconds, port, ...server] = command;
    if (program !== "python3" || option !== "-c" || given !== script) return undefined;
    return { seconds: Number(seconds), port: Number(port), command: server };
}
