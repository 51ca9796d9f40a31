import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { DaemonInfo, DaemonSettings } from "../daemon";
import { freeMegabytes } from "../disk-space";
import { lastLines, readJson, writePrivate } from "../files";
import { checkout, type Layout } from "../layout";
import type { SandboxStatus } from "../ovhcloud/status";
import { endProcesses, lives, sandboxProcesses } from "../processes";
import { endPrograms } from "../interruptible";
import { sandboxStatus } from "../status";
import type { Toolchain } from "../toolchain/toolchain";
import type { WantedSettings } from "./options";
import type { Say } from "./phases";
import { UserError } from "./user-error";

export interface RunningDaemon {
    info: DaemonInfo;
    status: SandboxStatus;
}

/** On a machine that is busy with other things. */
const readyWithinMs = 90_000;
/** Between two looks whether the daemon is there. */
const lookMs = 500;
/** What `pulumi` may still need to save what exists. */
const leastFreeMegabytes = 20;

/** The daemon of this sandbox, if it runs and answers. */
export async function runningDaemon(layout: Layout): Promise<RunningDaemon | undefined> {
    const info = readJson<DaemonInfo>(layout.daemonInfo);
    if (!info || !lives(info.process)) return undefined;
    try {
        const status = await sandboxStatus(info.api);
        return status.pid === info.process.pid ? { info, status } : undefined;
    } catch {
        return undefined;
    }
}

/** Starts the daemon, unless it runs as it is wanted. Throws a UserError with the end of its log. */
export async function ensureDaemon(
    layout: Layout,
    toolchain: Toolchain,
    wanted: WantedSettings & Pick<DaemonSettings, "grafana">,
    say: Say,
): Promise<DaemonInfo> {
    const before = readJson<DaemonSettings>(layout.daemonSettings);
    const running = await runningDaemon(layout);
    const given = Object.entries(wanted).filter(([, value]) => value !== undefined);
    const settings: DaemonSettings = { speed: 60, ...before, ...Object.fromEntries(given), bin: toolchain.bin };
    const dead = running?.status.parts.filter(({ exit }) => exit !== undefined) ?? [];
    for (const { name, exit } of dead) say(`${name} has ended (${exit}): all of it is started again`);
    if (running && dead.length === 0 && isDeepStrictEqual(settings, before)) {
        say(`runs already (process ${running.info.process.pid})`);
        return running.info;
    }
    await stopEverything(layout); // what a killed daemon left, or one with other settings
    forgetDaemon(layout);
    writePrivate(layout.daemonSettings, JSON.stringify(settings, null, 4) + "\n");
    const info = await untilReady(layout, startDaemon(layout));
    say(`process ${info.process.pid}`);
    return info;
}

/** Below a shell, which outlives it and notes how it ended: whoever starts it has gone long before. */
function startDaemon(layout: Layout): ChildProcess {
    const log = openSync(layout.daemonLog, "a", 0o600);
    // A core file would hold what no other file does, such as Secrets as etcd sends them.
    const script = 'ulimit -c 0; "$@"; echo $? > "$0"';
    const daemon = [process.execPath, "--import", "tsx", `${checkout}/sandbox/daemon.ts`, layout.dir];
    const child = spawn("sh", ["-c", script, layout.daemonExit, ...daemon], {
        cwd: checkout,
        detached: true,
        stdio: ["ignore", log, log],
    });
    closeSync(log);
    child.unref();
    return child;
}

async function untilReady(layout: Layout, child: ChildProcess): Promise<DaemonInfo> {
    const deadline = performance.now() + readyWithinMs;
    for (;;) {
        const info = readJson<DaemonInfo>(layout.daemonInfo);
        if (info) return info;
        if (child.exitCode !== null || performance.now() > deadline) {
            throw new UserError(
                `the local OVHcloud did not start; ${layout.daemonLog} ends with:\n${lastLines(layout.daemonLog)}`,
            );
        }
        await sleep(100);
    }
}

/** How the daemon ended that was not told to: `SIGKILL`, `exit code 1`, or that nobody has seen it. */
export function daemonEnd({ daemonExit }: Layout): string {
    // Nothing is noted when the machine went down with it.
    const code = readJson<number>(daemonExit);
    if (code === undefined) return "how is not known";
    // As a shell says it.
    const signal = Object.entries(constants.signals).find(([, number]) => code === 128 + number);
    return signal ? signal[0] : `exit code ${code}`;
}

/**
 * Does what needs the daemon. Should it end meanwhile, or the disk be full, `pulumi`, which would try in vain for minutes, is
 * ended while it can still save what exists, and this rejects.
 */
export async function withDaemon<T>(
    layout: Layout,
    daemon: DaemonInfo,
    work: () => Promise<T>,
    free = freeMegabytes,
): Promise<T> {
    const problem = (): string | undefined => {
        if (!lives(daemon.process)) {
            const how = `(${daemonEnd(layout)}), see ${layout.daemonLog}`;
            return `the local OVHcloud has ended ${how}: "npm run sandbox" starts it again and continues`;
        }
        const left = free(layout.dir);
        if (left >= leastFreeMegabytes) return undefined;
        return `the disk is full: ${left} MB are free in ${layout.dir}; make room, then "npm run sandbox" continues`;
    };
    const over = new AbortController();
    const watch = async (): Promise<never> => {
        for (;;) {
            const found = problem();
            if (found !== undefined) {
                await endPrograms();
                throw new Error(found);
            }
            await sleep(lookMs, undefined, { signal: over.signal });
        }
    };
    const watched = watch();
    watched.catch(() => undefined);
    try {
        return await Promise.race([work(), watched]);
    } finally {
        // What comes of trying in vain is neither a result nor an error of its own.
        if (problem() !== undefined) await watched;
        over.abort();
    }
}

/** Ends every process of the sandbox: the daemon first, which stops the others in good order, then what is left. */
export async function stopEverything(layout: Layout): Promise<void> {
    const daemon = readJson<DaemonInfo>(layout.daemonInfo)?.process;
    if (daemon && lives(daemon)) await endProcesses([daemon.pid], 45);
    await endProcesses(sandboxProcesses(layout.dir), 15);
}

/** One that was told to end is not missed. */
export function forgetDaemon(layout: Layout): void {
    for (const file of [layout.daemonInfo, layout.daemonExit]) rmSync(file, { force: true });
}
