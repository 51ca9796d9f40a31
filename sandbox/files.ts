import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Writes a file that only its owner may read; its readers find the old text or the new one, never a part of it. */
export function writePrivate(file: string, text: string): void {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    // Of this process alone: two that write at once do not meet.
    const unfinished = `${file}.${process.pid}.new`;
    writeFileSync(unfinished, text, { mode: 0o600 });
    renameSync(unfinished, file);
}

/** What a file of our own holds; undefined when it is not there, or was left half-written by something that was killed. */
export function readJson<T>(file: string): T | undefined {
    try {
        return JSON.parse(readFileSync(file, "utf8")) as T;
    } catch (error) {
        if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
    }
}

/** The end of a program's log, for the message that tells of its end. */
export function lastLines(file: string): string {
    return readFileSync(file, "utf8").trimEnd().split("\n").slice(-5).join("\n");
}
