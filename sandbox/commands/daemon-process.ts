import { spawn, type ChildProcess } from "node:child_process";
import { openSync, readFileSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { DaemonInfo, DaemonSettings } from "../daemon";
import { readJson, writePrivate } from "../files";
import { checkout, type Layout } from "../layout";
import type { SandboxStatus } from "../ovhcloud/status";
import { endProcesses, lives, sandboxProcesses } from "../processes";
import { sandboxStatus } from "../status";
import type { Toolchain } from "../toolchain/toolchain";
import type { WantedSettings } from "./options";
import { UserError } from "./user-error";

export interface RunningDaemon {
    info: DaemonInfo;
    status: SandboxStatus;
}

/** On a machine that is busy with other things. */
const readyWithinMs = 90_000;

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
export async function ensureDaemon(layout: Layout, toolchain: Toolchain, wanted: WantedSettings): Promise<DaemonInfo> {
    const before = readJson<DaemonSettings>(layout.daemonSettings);
    const running = await runningDaemon(layout);
    const given = Object.entries(wanted).filter(([, value]) => value !== undefined);
    const settings: DaemonSettings = { speed: 60, ...before, ...Object.fromEntries(given), bin: toolchain.bin };
    const dead = running?.status.parts.filter(({ exit }) => exit !== undefined) ?? [];
    for (const { name, exit } of dead) console.log(`  ${name} has ended (${exit}): all of it is started again`);
    if (running && dead.length === 0 && isDeepStrictEqual(settings, before)) {
        console.log(`  runs already (process ${running.info.process.pid})`);
        return running.info;
    }
    await stopEverything(layout); // what a killed daemon left, or one with other settings
    rmSync(layout.daemonInfo, { force: true });
    writePrivate(layout.daemonSettings, JSON.stringify(settings, null, 4) + "\n");
    const info = await untilReady(layout, startDaemon(layout));
    console.log(`  API ${info.api}, console ${info.console}, process ${info.process.pid}`);
    return info;
}

function startDaemon(layout: Layout): ChildProcess {
    const log = openSync(layout.daemonLog, "a", 0o600);
    const child = spawn(process.execPath, ["--import", "tsx", `${checkout}/sandbox/daemon.ts`, layout.dir], {
        cwd: checkout,
        detached: true,
        stdio: ["ignore", log, log],
    });
    child.unref();
    return child;
}

async function untilReady(layout: Layout, child: ChildProcess): Promise<DaemonInfo> {
    const deadline = performance.now() + readyWithinMs;
    for (;;) {
        const info = readJson<DaemonInfo>(layout.daemonInfo);
        if (info) return info;
        if (child.exitCode !== null || performance.now() > deadline) {
            const lastLines = readFileSync(layout.daemonLog, "utf8").trimEnd().split("\n").slice(-5).join("\n");
            throw new UserError(`the local OVHcloud did not start; ${layout.daemonLog} ends with:\n${lastLines}`);
        }
        await sleep(100);
    }
}

/** Ends every process of the sandbox: the daemon first, which stops the others in good order, then what is left. */
export async function stopEverything(layout: Layout): Promise<void> {
    const daemon = readJson<DaemonInfo>(layout.daemonInfo)?.process;
    if (daemon && lives(daemon)) await endProcesses([daemon.pid], 45);
    await endProcesses(sandboxProcesses(layout.dir), 15);
}
