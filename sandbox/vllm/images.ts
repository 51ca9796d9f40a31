import { createHash } from "node:crypto";
import { bad } from "./refusal";

/** What an image costs. No image is looked at, and none is fetched. */

export interface ImageTokens {
    tokens: number;
    /** Equal for equal images. */
    digest: string;
}

/** Of an image that would have to be fetched, in pixels; guess. */
const remoteSize = { width: 1024, height: 1024 };
/** Pixels of an edge of what becomes one token, and the longest edge of an image, of Ministral 3. */
const [patch, longestEdge] = [28, 1540];

/** Throws a Refusal for an address that is that of no image. */
export function imageTokens(url: string): ImageTokens {
    const digest = createHash("sha1").update(url).digest("base64");
    const { width, height } = /^https?:/.test(url) ? remoteSize : dataSize(url);
    const scale = Math.max(1, width / longestEdge, height / longestEdge);
    const patches = (pixels: number): number => Math.ceil(Math.round(pixels / scale) / patch);
    // Each row ends with a token of its own.
    return { tokens: (patches(width) + 1) * patches(height), digest };
}

function dataSize(url: string): { width: number; height: number } {
    if (url.startsWith("file:")) throw bad("Cannot load local files without `--allowed-local-media-path`. None");
    if (!url.startsWith("data:")) throw bad("The URL must be either a HTTP, data or file URL. None");
    const [kind, data = ""] = url.slice(5).split(/,(.*)/s);
    if (!kind.includes(";")) throw bad("not enough values to unpack (expected 2, got 1) None");
    if (!kind.endsWith(";base64")) throw bad("Only base64 data URLs are supported for now. None");
    const size = imageSize(Buffer.from(data, "base64"));
    if (size && size.width > 0 && size.height > 0) return size;
    const message = "cannot identify image file <_io.BytesIO object at 0x7f0000000000>";
    throw bad(`${message} ${message}`);
}

/** Pixels of a PNG, GIF, JPEG or lossy WebP; undefined for anything else. */
function imageSize(bytes: Buffer): { width: number; height: number } | undefined {
    const begins = (text: string, at = 0): boolean => bytes.toString("latin1", at, at + text.length) === text;
    if (begins("\x89PNG\r\n\x1a\n") && bytes.length >= 24) {
        return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
    }
    if (begins("GIF8") && bytes.length >= 10) return { width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) };
    if (begins("RIFF") && begins("WEBPVP8 ", 8) && bytes.length >= 30) {
        return { width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff };
    }
    if (!begins("\xff\xd8")) return undefined;
    for (let at = 2; at + 9 <= bytes.length && bytes[at] === 0xff; at += 2 + bytes.readUInt16BE(at + 2)) {
        const marker = bytes[at + 1];
        const ofFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
        if (ofFrame) return { width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5) };
    }
    return undefined;
}
