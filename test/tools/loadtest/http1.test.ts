import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AnswerReader, ProtocolError } from "../../../tools/loadtest/http1";

interface Seen {
    status?: number;
    type?: string;
    body: string;
    ended: boolean;
    reusable: boolean;
}

/** What is read of an answer that comes in these pieces, and whether the connection then closes. */
function read(pieces: Buffer[], closes = false): Seen {
    const seen: Seen = { body: "", ended: false, reusable: false };
    const reader = new AnswerReader({
        head: ({ status, headers }) => Object.assign(seen, { status, type: headers.get("content-type") }),
        body: (bytes) => (seen.body += bytes.toString("latin1")),
        end: () => (seen.ended = true),
    });
    for (const piece of pieces) reader.read(piece);
    if (closes) reader.close();
    seen.reusable = reader.reusable;
    return seen;
}

const chunk = (text: string): string => `${text.length.toString(16)};x=1\r\n${text}\r\n`;
const answers: [string, string, Omit<Seen, "ended">, boolean][] = [
    [
        "chunks",
        `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n${chunk("data: a\n\n")}${chunk("0\r\n\r\n")}0\r\nTrailer: x\r\n\r\n`,
        { status: 200, type: "text/event-stream", body: "data: a\n\n0\r\n\r\n", reusable: true },
        false,
    ],
    [
        "a length, after 100 Continue",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy",
        { status: 503, type: undefined, body: "busy", reusable: false },
        false,
    ],
    ["no body", "HTTP/1.1 204 No Content\r\n\r\n", { status: 204, type: undefined, body: "", reusable: true }, false],
    [
        "neither, up to the close",
        "HTTP/1.0 200 OK\ncontent-type: text/plain\n\nall of it",
        { status: 200, type: "text/plain", body: "all of it", reusable: false },
        true,
    ],
];

describe("an answer", () => {
    it.each(answers)("with %s is the same in whatever pieces it comes", (_, text, expected, closes) => {
        const bytes = Buffer.from(text, "latin1");
        const cuts = fc.uniqueArray(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 12 });
        fc.assert(
            fc.property(cuts, (places) => {
                const sorted = [0, ...places.sort((a, b) => a - b), bytes.length];
                const pieces = sorted.slice(1).map((to, i) => bytes.subarray(sorted[i], to));
                expect(read(pieces, closes)).toEqual({ ...expected, ended: true });
            }),
        );
    });

    it("that breaks off is not complete", () => {
        for (const [, text, , closes] of answers) {
            if (closes) continue;
            expect(read([Buffer.from(text.slice(0, -2), "latin1")], true).ended).toBe(false);
        }
    });

    it("with bytes behind it leaves a connection that is not used again", () => {
        expect(read([Buffer.from("HTTP/1.1 204 No Content\r\n\r\nmore")])).toMatchObject({
            ended: true,
            reusable: false,
        });
    });
});

it.each([
    ["another protocol", "SSH-2.0-OpenSSH_9.6\r\n\r\n"],
    ["a length that is none", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"],
    ["a header without a name", "HTTP/1.1 200 OK\r\n: x\r\n\r\n"],
    ["a chunk without a length", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"],
    ["a chunk longer than it says", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n"],
    ["endless headers", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(70_000)}`],
])("%s is refused", (_, text) => {
    expect(() => read([Buffer.from(text, "latin1")])).toThrow(ProtocolError);
});
