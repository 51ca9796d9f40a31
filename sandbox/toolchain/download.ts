import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";
import { setTimeout as sleep } from "node:timers/promises";
import type { Response } from "undici";
import { get, mirrored, reasonOf } from "./web";

export interface Progress {
    have: number;
    total?: number;
}

export interface DownloadOptions {
    /** What the file's sha256 has to be, in hex. */
    sha256: string;
    headers?: Record<string, string>;
    /** Told with each part of how many bytes have come, and of how many in all, if the server says it. */
    onProgress?: (progress: Progress) => void;
    limits?: Partial<Limits>;
}

export interface Limits {
    /** Attempts in a row that give not a byte. */
    attempts: number;
    /** Before another attempt. */
    pauseMilliseconds: number;
    /** A server that gives less in such a time is given up: building is quicker then. */
    slow: { bytes: number; milliseconds: number };
}

const defaultLimits: Limits = {
    attempts: 4,
    pauseMilliseconds: 1000,
    slow: { bytes: 1_000_000, milliseconds: 30_000 },
};

/** What no other attempt will change. */
class FinalError extends Error {}

/**
 * Downloads what is published at a URL into `file`, which is there, whole and verified, or not at all. A part that an
 * earlier attempt or process has left at `file.part` is gone on with.
 * @throws Error that names the address and says what is wrong; what has come stays for the next time, unless it is wrong
 */
export async function download(url: string, file: string, options: DownloadOptions): Promise<void> {
    const part = `${file}.part`;
    mkdirSync(dirname(file), { recursive: true });
    const resumed = sizeOf(part) > 0;
    await fetchWhole(url, part, options);
    let found = await sha256Of(part);
    if (found !== options.sha256 && resumed) {
        // The part may have been of another file.
        rmSync(part);
        await fetchWhole(url, part, options);
        found = await sha256Of(part);
    }
    if (found !== options.sha256) {
        rmSync(part);
        throw new Error(`${mirrored(url)} has the sha256 ${found}, and should have ${options.sha256}`);
    }
    renameSync(part, file);
}

/** In as many attempts as it takes: those that give something do not count, as long as it is enough in all. */
async function fetchWhole(url: string, part: string, options: DownloadOptions): Promise<void> {
    const { attempts, pauseMilliseconds, slow } = { ...defaultLimits, ...options.limits };
    const tooSlow = new AbortController();
    let inTime = 0;
    const watch = setInterval(() => {
        if (inTime < slow.bytes) tooSlow.abort();
        inTime = 0;
    }, slow.milliseconds);
    const attempt = { signal: tooSlow.signal, onBytes: (bytes: number) => (inTime += bytes) };
    try {
        for (let inVain = 0; ;) {
            const before = sizeOf(part);
            try {
                return await fetchRest(url, part, options, attempt);
            } catch (error) {
                inVain = sizeOf(part) > before ? 0 : inVain + 1;
                if (tooSlow.signal.aborted || error instanceof FinalError || inVain >= attempts) throw error;
            }
            await sleep(pauseMilliseconds, undefined, { signal: tooSlow.signal });
        }
    } catch (error) {
        if (!tooSlow.signal.aborted) throw error;
        const kilobytes = Math.round((slow.bytes / slow.milliseconds) * 10) / 10;
        throw new Error(`${new URL(mirrored(url)).host} gives less than ${kilobytes} kB a second`, { cause: error });
    } finally {
        clearInterval(watch);
    }
}

interface Attempt {
    signal: AbortSignal;
    onBytes: (bytes: number) => void;
}

/** One attempt: what is missing of a file, or all of it where the server does not do parts. */
async function fetchRest(
    url: string,
    part: string,
    options: DownloadOptions,
    { signal, onBytes }: Attempt,
): Promise<void> {
    const before = sizeOf(part);
    const headers = { ...options.headers, ...(before > 0 ? { range: `bytes=${before}-` } : {}) };
    const response = await get(url, { headers, signal });
    const append = await startsAt(response, before, part, url);
    let have = append ? before : 0;
    const length = response.headers.get("content-length");
    const total = length === null ? undefined : have + Number(length);
    const file = await open(part, append ? "a" : "w");
    try {
        // Each part is written before the next is read: what has come is there to go on with.
        for await (const bytes of response.body as ReadableStream<Uint8Array>) {
            await file.write(bytes);
            onBytes(bytes.length);
            options.onProgress?.({ have: (have += bytes.length), total });
        }
    } catch (error) {
        throw new Error(`${mirrored(url)} broke off: ${reasonOf(error as Error)}`, { cause: error });
    } finally {
        await file.close();
    }
}

/** Whether an answer goes on where a part ends; otherwise it is the whole file. Throws when it is neither. */
async function startsAt(response: Response, have: number, part: string, url: string): Promise<boolean> {
    if (response.status === 200 && response.body) return false;
    if (response.status === 206 && response.headers.get("content-range")?.startsWith(`bytes ${have}-`)) return true;
    await response.body?.cancel();
    // There is no such rest: the part is longer than the file, or whole. It is fetched anew.
    if (response.status === 416 || response.status === 206) {
        rmSync(part);
        throw new Error(`${mirrored(url)} does not go on at byte ${have}`);
    }
    const message = `${mirrored(url)} answers ${response.status}`;
    if (response.status >= 500 || response.status === 429) throw new Error(message);
    throw new FinalError(message);
}

function sizeOf(file: string): number {
    return existsSync(file) ? statSync(file).size : 0;
}

async function sha256Of(file: string): Promise<string> {
    const hash = createHash("sha256");
    await pipeline(createReadStream(file), hash);
    return hash.digest("hex");
}
