/**
 * Reads HTTP/1.1 answers from the bytes of a connection, whatever the pieces they come in (RFC 9112). No I/O here. Node's
 * own client and undici read through a stream for each socket, which costs a load test 40 % of its CPU and, in a burst,
 * the exactness of its times.
 */

export interface Head {
    status: number;
    /** By name in lower case; of a name that comes twice the last. */
    headers: Map<string, string>;
}

export interface AnswerHandler {
    head(head: Head): void;
    /** A piece of the body; the bytes are only valid during the call. */
    body(bytes: Buffer): void;
    /** The answer is complete. */
    end(): void;
}

/** The server sent what is no HTTP. */
export class ProtocolError extends Error {}

/** Bytes of a status line and headers, and of the line before a chunk. */
const longestHead = 64 * 1024;

type State = "head" | "sized" | "chunk size" | "chunk" | "chunk end" | "trailers" | "until close" | "done";

/** Reads one answer. */
export class AnswerReader {
    private state: State = "head";
    private line = "";
    private lines: string[] = [];
    private headLength = 0;
    /** Bytes of the body, or of its present chunk, that are still to come. */
    private left = 0;
    /** Whether the connection may be used again once the answer is complete. */
    reusable = true;

    constructor(private readonly handler: AnswerHandler) {}

    get done(): boolean {
        return this.state === "done";
    }

    /** Takes the next bytes. Throws ProtocolError. */
    read(bytes: Buffer): void {
        let at = 0;
        while (at < bytes.length) {
            switch (this.state) {
                case "sized":
                case "chunk":
                    at = this.readSized(bytes, at);
                    break;
                case "until close":
                    this.handler.body(bytes.subarray(at));
                    return;
                case "done":
                    // Bytes that nobody asked for: what follows on this connection could not be trusted.
                    this.reusable = false;
                    return;
                default:
                    at = this.readLine(bytes, at);
            }
        }
    }

    /** The connection has ended. True when the answer was complete or is so thereby. */
    close(): boolean {
        if (this.state === "until close") this.end();
        return this.done;
    }

    private readSized(bytes: Buffer, at: number): number {
        const until = Math.min(bytes.length, at + this.left);
        this.left -= until - at;
        this.handler.body(bytes.subarray(at, until));
        if (this.left === 0) {
            if (this.state === "sized") this.end();
            else this.state = "chunk end";
        }
        return until;
    }

    /** Reads up to the end of a line, and heeds the line when it is complete. */
    private readLine(bytes: Buffer, at: number): number {
        const newline = bytes.indexOf(10, at);
        const until = newline < 0 ? bytes.length : newline;
        this.headLength += until - at;
        if (this.headLength > longestHead) throw new ProtocolError("headers of more than 64 KB");
        this.line += bytes.toString("latin1", at, until);
        if (newline < 0) return bytes.length;
        const line = this.line.endsWith("\r") ? this.line.slice(0, -1) : this.line;
        this.line = "";
        this.heed(line);
        return newline + 1;
    }

    private heed(line: string): void {
        switch (this.state) {
            case "chunk end":
                if (line !== "") throw new ProtocolError("a chunk is longer than it says");
                this.state = "chunk size";
                return;
            case "chunk size":
                this.headLength = 0;
                if (!/^[0-9a-f]{1,8}\s*(;.*)?$/i.test(line)) throw new ProtocolError("a chunk without its length");
                this.left = parseInt(line, 16);
                this.state = this.left === 0 ? "trailers" : "chunk";
                return;
            case "trailers":
                if (line === "") this.end();
                return;
            default:
                // An empty line before the status line is to be passed over.
                if (line !== "") this.lines.push(line);
                else if (this.lines.length > 0) this.readHead();
        }
    }

    private readHead(): void {
        const [first, ...rest] = this.lines;
        this.lines = [];
        this.headLength = 0;
        const match = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(first);
        if (!match) throw new ProtocolError("no HTTP/1.1 status line");
        const status = Number(match[2]);
        // 1xx come before the answer proper.
        if (status < 200) return;
        const headers = new Map<string, string>();
        for (const line of rest) {
            const colon = line.indexOf(":");
            if (colon < 1) throw new ProtocolError("a header without a name");
            headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
        }
        const connection = headers.get("connection")?.toLowerCase() ?? "";
        this.reusable = match[1] === "1" ? connection !== "close" : connection === "keep-alive";
        this.handler.head({ status, headers });
        this.beginBody(status, headers);
    }

    private beginBody(status: number, headers: Map<string, string>): void {
        const length = headers.get("content-length");
        if (status === 204 || status === 304) this.end();
        else if (/(^|,)\s*chunked\s*$/i.test(headers.get("transfer-encoding") ?? "")) this.state = "chunk size";
        else if (length === undefined) {
            this.state = "until close";
            this.reusable = false;
        } else {
            if (!/^\d{1,15}$/.test(length)) throw new ProtocolError("a content-length that is no number");
            this.left = Number(length);
            this.state = "sized";
            if (this.left === 0) this.end();
        }
    }

    private end(): void {
        this.state = "done";
        this.handler.end();
    }
}
