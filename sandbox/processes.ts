import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Programs that a sandbox starts with its files. Others that merely have one of them open are left alone. */
const ownPrograms = new Set([
    "node",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
    "kwok-controller",
    "prometheus",
    "prometheus-operator",
    "alertmanager",
]);

interface Process {
    pid: number;
    argv: string[];
}

/** Every process of this machine that can be seen, with its arguments. */
function processes(): Process[] {
    if (process.platform === "linux") {
        return readdirSync("/proc")
            .filter((name) => /^\d+$/.test(name))
            .flatMap((name) => {
                try {
                    const argv = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0").filter(Boolean);
                    return argv.length > 0 ? [{ pid: Number(name), argv }] : [];
                } catch {
                    return []; // ended meanwhile
                }
            });
    }
    return execFileSync("ps", ["-axo", "pid=,command="], { encoding: "utf8" })
        .split("\n")
        .flatMap((line) => {
            const [, pid, command] = /^\s*(\d+)\s+(.*)$/.exec(line) ?? [];
            return pid ? [{ pid: Number(pid), argv: command.split(" ") }] : [];
        });
}

/**
 * The processes of the sandbox in `dir`: programs that lie in it (Pulumi's plugins outlive a `pulumi` that was killed),
 * and those of its own that have a path in it among their arguments.
 */
export function sandboxProcesses(dir: string): number[] {
    return processes()
        .filter(({ pid, argv: [program, ...args] }) => {
            const named = args.some((arg) => arg === dir || arg.includes(`${dir}/`));
            const own = program.startsWith(`${dir}/`) || (named && ownPrograms.has(basename(program)));
            return own && pid !== process.pid;
        })
        .map(({ pid }) => pid);
}

/** Whether a process with this id lives. */
export function isAlive(pid: number): boolean {
    try {
        process.kill(pid, 0);
        return true;
    } catch (error) {
        return (error as NodeJS.ErrnoException).code === "EPERM";
    }
}

/** Asks processes to end, waits, and kills what is left. Throws when one cannot be ended. */
export async function endProcesses(pids: number[], graceSeconds: number): Promise<void> {
    signal(pids, "SIGTERM");
    if (await gone(pids, graceSeconds)) return;
    signal(pids.filter(isAlive), "SIGKILL");
    if (await gone(pids, 10)) return;
    throw new Error(`processes ${pids.filter(isAlive).join(", ")} do not end; stop them by hand and repeat`);
}

function signal(pids: number[], name: NodeJS.Signals): void {
    for (const pid of pids) {
        try {
            process.kill(pid, name);
        } catch {
            // ended meanwhile
        }
    }
}

async function gone(pids: number[], seconds: number): Promise<boolean> {
    const end = Date.now() + seconds * 1000;
    while (pids.some(isAlive)) {
        if (Date.now() > end) return false;
        await sleep(100);
    }
    return true;
}
