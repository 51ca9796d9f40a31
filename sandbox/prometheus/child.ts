import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";

/** A program of the sandbox that is to run for as long as it is wanted. */
export interface Child {
    pid: number;
    /** How it ended, such as `exit code 1` or `SIGKILL`; undefined while it runs. */
    readonly exit: string | undefined;
    /** Resolves when it has ended, by itself or not. */
    ended: Promise<void>;
    stop(): Promise<void>;
}

export interface ChildOptions {
    program: string;
    args: string[];
    /** Beside this process' own; undefined takes one away. */
    env?: Record<string, string | undefined>;
    /** Where it runs; default: here. */
    cwd?: string;
    /** Gets what it prints, appended. */
    logFile: string;
}

/** How long a program may take to end before it is killed. */
const graceMs = 15_000;

/** Starts a program. Rejects when it cannot be started at all. */
export async function startChild({ program, args, env, cwd, logFile }: ChildOptions): Promise<Child> {
    const out = openSync(logFile, "a", 0o600);
    let child: ChildProcess;
    try {
        child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", out, out] });
        await new Promise<void>((resolve, reject) => child.once("spawn", resolve).once("error", reject));
    } finally {
        closeSync(out);
    }
    const exit = (): string | undefined =>
        child.signalCode ?? (child.exitCode === null ? undefined : `exit code ${child.exitCode}`);
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    return {
        pid: child.pid!,
        get exit() {
            return exit();
        },
        ended,
        async stop() {
            if (exit() !== undefined) return;
            child.kill("SIGTERM");
            const kill = setTimeout(() => child.kill("SIGKILL"), graceMs);
            await ended;
            clearTimeout(kill);
        },
    };
}
