import { execFileSync } from "node:child_process";
import { linkSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readJson, writePrivate } from "./files";

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
    "grafana",
    "envoy",
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

const mark = "OVH_SANDBOX_ENGINE";

/** Environment by which processes that neither lie in `dir` nor name it, and all that they start, are known as its own. */
export function markOf(dir: string): Record<string, string> {
    return { [mark]: dir };
}

/** Whether a process has the mark. Its environment can be read on Linux alone, the only place where it is needed. */
function isMarked(pid: number, dir: string): boolean {
    try {
        return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`${mark}=${dir}`);
    } catch {
        return false; // ended meanwhile, or another user's
    }
}

/**
 * The processes of the sandbox in `dir`: programs that lie in it (Pulumi's plugins outlive a `pulumi` that was killed),
 * those of its own that have a path in it among their arguments, and those that are marked as its own.
 */
export function sandboxProcesses(dir: string): number[] {
    return processes()
        .filter(({ pid, argv: [program, ...args] }) => {
            const named = args.some((arg) => arg === dir || arg.includes(`${dir}/`));
            const own = program.startsWith(`${dir}/`) || (named && ownPrograms.has(basename(program)));
            return pid !== process.pid && (own || isMarked(pid, dir));
        })
        .map(({ pid }) => pid);
}

/** A process of this machine, and not a later one that was given its number. */
export interface ProcessIdentity {
    pid: number;
    /** When it began, in the words of this system. */
    started: string;
}

/** Undefined when there is no such process, or it has ended and only its parent has not looked yet. */
export function identityOf(pid: number): ProcessIdentity | undefined {
    try {
        if (process.platform === "linux") {
            // After the name, which may hold anything: state, 18 more, start in clock ticks since the machine's.
            const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
            return fields[0] === "Z" || fields[0] === "X" ? undefined : { pid, started: fields[19] };
        }
        const [, state, started] =
            /^(\S+)\s+(.*\S)/.exec(
                execFileSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { encoding: "utf8" }),
            ) ?? [];
        return state === undefined || state.startsWith("Z") ? undefined : { pid, started };
    } catch {
        return undefined; // both fail for a process that is not there
    }
}

/** Whether it still is the same process. */
export function lives({ pid, started }: ProcessIdentity): boolean {
    const now = identityOf(pid);
    return now !== undefined && now.started === started;
}

/**
 * Takes a lock for this process, unless a process holds it that still lives: that one is returned. A file that says nothing,
 * as a full disk or a power cut leaves it, is no lock.
 */
export function takeLock(file: string): ProcessIdentity | undefined {
    const unfinished = `${file}.${process.pid}`;
    writePrivate(unfinished, JSON.stringify(identityOf(process.pid)));
    try {
        for (;;) {
            try {
                // Whole from the first moment, and only if there is none: of two that begin at once, one does.
                linkSync(unfinished, file);
                return undefined;
            } catch (error) {
                if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
            }
            const holder = readJson<ProcessIdentity>(file);
            if (holder && lives(holder)) return holder;
            putAside(file, `${unfinished}.stale`);
        }
    } finally {
        rmSync(unfinished, { force: true });
    }
}

/** Removes a lock that nobody holds, and not the one that another process has put in its place just now. */
function putAside(file: string, aside: string): void {
    try {
        renameSync(file, aside);
        const holder = readJson<ProcessIdentity>(aside);
        if (holder && lives(holder)) linkSync(aside, file);
    } catch (error) {
        // Somebody else was faster with the one or the other.
        if (!["ENOENT", "EEXIST"].includes((error as NodeJS.ErrnoException).code!)) throw error;
    } finally {
        rmSync(aside, { force: true });
    }
}

/** Asks processes to end, waits, and kills what is left. Throws when one cannot be ended. */
export async function endProcesses(pids: number[], graceSeconds: number): Promise<void> {
    // By what they are: the number of one that has ended may be another's at the next look.
    const all = pids.map(identityOf).filter((one) => one !== undefined);
    signal(all, "SIGTERM");
    if (await gone(all, graceSeconds)) return;
    signal(all.filter(lives), "SIGKILL");
    if (await gone(all, 10)) return;
    const left = all.filter(lives).map(({ pid }) => pid);
    throw new Error(`processes ${left.join(", ")} do not end; stop them by hand and repeat`);
}

function signal(processes: ProcessIdentity[], name: NodeJS.Signals): void {
    for (const { pid } of processes) {
        try {
            process.kill(pid, name);
        } catch {
            // ended meanwhile
        }
    }
}

async function gone(processes: ProcessIdentity[], seconds: number): Promise<boolean> {
    const end = performance.now() + seconds * 1000;
    while (processes.some(lives)) {
        if (performance.now() > end) return false;
        await sleep(100);
    }
    return true;
}
