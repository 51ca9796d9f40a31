import { deserialize, serialize } from "node:v8";
import { deflateRawSync, inflateRawSync } from "node:zlib";

/**
 * Messages as lines of a pod's output, the only way out of it that a kubeconfig always opens. Each has a number: an output
 * that is read again after a broken connection tells nothing twice, and what was lost is noticed.
 */

const mark = "@loadtest ";

/** Returns what makes a line of each message, numbered from 1. */
export function frameWriter(): (message: unknown) => string {
    let number = 0;
    return (message) => `${mark}${++number} ${deflateRawSync(serialize(message)).toString("base64")}\n`;
}

/** Reads the lines of one pod's output. */
export class FrameReader<Message> {
    /** The last lines that were no messages: what the pod's program, or Node, said. */
    readonly said: string[] = [];
    private last = 0;

    /** The line's message; undefined when it is none, or was read before. Throws when one before it is missing. */
    read(line: string): Message | undefined {
        if (!line.startsWith(mark)) {
            if (line.trim() !== "" && this.said.push(line) > 10) this.said.shift();
            return undefined;
        }
        const [number, content] = line.slice(mark.length).split(" ");
        if (Number(number) <= this.last) return undefined;
        if (Number(number) !== this.last + 1) throw new Error("a part of its output was lost");
        this.last++;
        return deserialize(inflateRawSync(Buffer.from(content, "base64"))) as Message;
    }
}
