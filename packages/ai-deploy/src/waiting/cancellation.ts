/**
 * Pulumi tells its plugins when a person has pressed Ctrl-C, and waits for what they are at. Its provider process for
 * Node takes that call and does nothing with it, so a wait for a GPU would go on to its end, half an hour later.
 */
import type { Http2Server, IncomingHttpHeaders } from "http2";

const cancelCall = "/pulumirpc.ResourceProvider/Cancel";
/** What ends each wait that is under way. */
const waits = new Set<() => void>();
let cancelled = false;
let listening = false;

/** A wait was ended by the person who asked for it. What it waited for goes on. */
export class CancelledError extends Error {
    constructor() {
        super("stopped waiting, as asked: nothing is lost, the same command goes on from here");
    }
}

/** Listens for the engine's call in Pulumi's provider process; anywhere else there is none to hear. */
export function endWaitsOnCancel(): void {
    if (listening) return;
    listening = true;
    const servers = (process as unknown as { _getActiveHandles(): object[] })
        ._getActiveHandles()
        .filter((handle): handle is Http2Server => handle.constructor.name === "Http2Server");
    for (const server of servers) {
        server.on("stream", (_stream: unknown, headers: IncomingHttpHeaders) => {
            if (headers[":path"] === cancelCall) endWaits();
        });
    }
}

/** Ends each wait that is under way, and those to come. */
export function endWaits(): void {
    cancelled = true;
    for (const stop of waits) stop();
}

/** @throws CancelledError at once when waits have been ended, or as soon as they are. */
export function sleep(milliseconds: number): Promise<void> {
    if (cancelled) return Promise.reject(new CancelledError());
    return new Promise((resolve, reject) => {
        const stop = (): void => {
            clearTimeout(timer);
            reject(new CancelledError());
        };
        const timer = setTimeout(() => {
            waits.delete(stop);
            resolve();
        }, milliseconds);
        waits.add(stop);
    });
}
