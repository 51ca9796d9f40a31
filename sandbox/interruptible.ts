import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

/** The programs that this one has begun and that want to be asked before they end: each is the first of its process group. */
const running = new Map<ChildProcess, { ended: Promise<void>; asked: "alone" | "group" }>();

/** Counts a program among them until it has ended. `asked`: whether its whole group is told of Ctrl-C, as by a terminal. */
export function watchOver(child: ChildProcess, asked: "alone" | "group"): void {
    const ended = new Promise<void>((resolve) => {
        child.once("close", () => {
            running.delete(child);
            resolve();
        });
    });
    running.set(child, { ended, asked });
}

/**
 * Asks each to end what it is at and save what exists, as Ctrl-C does; asked again, `pulumi` drops it. Gives how many there
 * are.
 */
export function interruptPrograms(): number {
    for (const [child, { asked }] of running) {
        if (asked === "alone") child.kill("SIGINT");
        else signalGroup(child, "SIGINT");
    }
    return running.size;
}

/** Ends each, although nobody answers what it asks any more: asked, asked again, killed. */
export async function endPrograms(graceMs = 5000): Promise<void> {
    for (const end of [interruptPrograms, interruptPrograms, killPrograms]) {
        if (end() === 0) return;
        const ended = Promise.all([...running.values()].map((program) => program.ended));
        await Promise.race([ended, sleep(graceMs, undefined, { ref: false })]);
    }
}

function killPrograms(): number {
    for (const child of running.keys()) signalGroup(child, "SIGKILL");
    return running.size;
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
    if (pid === undefined) return;
    try {
        process.kill(-pid, signal);
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
}
