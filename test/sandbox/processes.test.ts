import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { endProcesses, identityOf, lives, sandboxProcesses, takeLock } from "../../sandbox/processes";

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
    expect([inside, own].map(identityOf)).toEqual([undefined, undefined]);
});

it("leaves alone what merely has one of its files open, and sandboxes of other folders", async () => {
    await start("/usr/bin/tail", "-f", "/dev/null", join(dir, "daemon.log"));
    await start(process.execPath, "-e", "setTimeout(() => {}, 600_000)", `${dir}-other/settings.json`);
    expect(sandboxProcesses(dir)).toEqual([]);
});

describe("a process is told by what it is", () => {
    it("one that has ended is none, even when its parent has not looked", async () => {
        // The shell's child ends; the program that takes the shell's place never asks for it.
        const parent = spawn("sh", ["-c", "sleep 0.05 & echo $!; exec sleep 60"], {
            stdio: ["ignore", "pipe", "ignore"],
        });
        const child = Number(await new Promise<Buffer>((resolve) => parent.stdout.once("data", resolve)));
        expect(identityOf(child)).toBeDefined();
        await expect.poll(() => identityOf(child)).toBeUndefined();
        if (process.platform === "linux") process.kill(child, 0); // its number is still taken
        await endProcesses([child, parent.pid!], 5);
        expect(identityOf(parent.pid!)).toBeUndefined();
    });

    it("not by its number", () => {
        const own = identityOf(process.pid)!;
        expect(lives(own)).toBe(true);
        expect(lives({ ...own, started: `${own.started}0` })).toBe(false);
        expect(lives({ ...own, pid: 2 ** 30 })).toBe(false);
    });
});

describe("a lock", () => {
    const file = join(mkdtempSync(join(tmpdir(), "lock-")), "lock");

    it("is held by a process that lives", () => {
        expect(takeLock(file)).toBeUndefined();
        expect(takeLock(file)).toEqual(identityOf(process.pid));
        expect(statSync(file).mode & 0o777).toBe(0o600);
        rmSync(file);
    });

    it.each([
        ["an empty file", ""],
        ["half a file", '{"pid": 1, "sta'],
        ["what an older version wrote", "1"],
        ["one whose process has ended", JSON.stringify({ pid: 2 ** 30, started: "1" })],
        ["one whose number another process has now", JSON.stringify({ pid: process.pid, started: "1" })],
    ])("is not %s", (_, text) => {
        writeFileSync(file, text);
        expect(takeLock(file)).toBeUndefined();
        expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(identityOf(process.pid));
        rmSync(file);
    });

    it("goes to one of several that want it at once", async () => {
        const program = `const { takeLock } = require("./sandbox/processes.ts"); console.log(takeLock(process.argv[1]) === undefined); setTimeout(() => undefined, 5000);`;
        writeFileSync(file, "");
        const contenders = [1, 2, 3].map(() =>
            spawn(process.execPath, ["--import", "tsx", "--input-type=commonjs", "-e", program, file], {
                stdio: ["ignore", "pipe", "inherit"],
            }),
        );
        const said = await Promise.all(
            contenders.map(
                ({ stdout }) =>
                    new Promise<string>((resolve) => stdout.once("data", (text) => resolve(String(text).trim()))),
            ),
        );
        for (const one of contenders) one.kill();
        expect(said.sort()).toEqual(["false", "false", "true"]);
    });
});
