import { styled } from "../../machine/terminal";
import { interruptPrograms } from "../interruptible";

let interrupted = false;

/** Whether somebody has asked this command to end. */
export function isInterrupted(): boolean {
    return interrupted;
}

/** One end that is asked for may come by several ways: from the terminal or a supervisor, through npm, through start.mjs. */
const sameEndMs = 1000;
let askedAt = -Infinity;

/** Ctrl-C, an end by `kill`, a closed terminal: all the same. `pulumi` is given the time to save what exists. */
function interrupt(): void {
    const before = askedAt;
    askedAt = performance.now();
    if (askedAt - before < sameEndMs) return;
    if (interruptPrograms() === 0) process.exit(130);
    const again = "again to drop what it is at, which the next run then takes up";
    if (!interrupted) console.error(styled("yellow", `\nending: pulumi saves what exists (${again})`));
    interrupted = true;
}

/** Lets this process end in good order, however it is asked to. */
export function awaitInterruption(): void {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, interrupt);
    // `status | head` has seen enough. A terminal that is gone takes no more either, while `pulumi` still saves what exists.
    process.stdout.on("error", (error: NodeJS.ErrnoException) => {
        if (error.code !== "EPIPE" && error.code !== "EIO") throw error;
        if (!interrupted) interrupt();
    });
    process.stderr.on("error", () => undefined);
}
