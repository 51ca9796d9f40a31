import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { endProcesses, isAlive, sandboxProcesses } from "../../sandbox/processes";

let dir: string;
let started: number[];

beforeEach(() => {
    dir = realpathSync(mkdtempSync(join(tmpdir(), "processes-test-")));
    started = [];
});
afterEach(async () => {
    await endProcesses(started, 5);
    rmSync(dir, { recursive: true });
});

function start(program: string, ...args: string[]): Promise<number> {
    const child = spawn(program, args, { stdio: "ignore" });
    return new Promise((resolve, reject) => {
        child.on("error", reject);
        child.on("spawn", () => {
            started.push(child.pid!);
            resolve(child.pid!);
        });
    });
}

it("finds programs that lie in the folder, and its own programs with a path in it", async () => {
    const plugin = join(dir, "plugin");
    copyFileSync("/bin/sleep", plugin);
    const inside = await start(plugin, "600");
    const own = await start(process.execPath, "-e", "setTimeout(() => {}, 600_000)", join(dir, "settings.json"));
    expect(sandboxProcesses(dir).sort()).toEqual([inside, own].sort());

    await endProcesses(sandboxProcesses(dir), 5);
    expect([isAlive(inside), isAlive(own)]).toEqual([false, false]);
});

it("leaves alone what merely has one of its files open, and sandboxes of other folders", async () => {
    await start("/usr/bin/tail", "-f", "/dev/null", join(dir, "daemon.log"));
    await start(process.execPath, "-e", "setTimeout(() => {}, 600_000)", `${dir}-other/settings.json`);
    expect(sandboxProcesses(dir)).toEqual([]);
});
