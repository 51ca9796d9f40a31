import { appendFileSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";

/**
 * The log of one command, begun anew, which its owner alone may read. Gives what notes a line with the time of day; it is
 * written at once, so that a command that is killed leaves all that it knew.
 */
export function openCommandLog(file: string): (line: string) => void {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    rmSync(file, { force: true });
    return (line) => appendFileSync(file, `${new Date().toISOString().slice(11, 23)} ${line}\n`, { mode: 0o600 });
}
