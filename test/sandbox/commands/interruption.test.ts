import { spawn, type ChildProcess } from "node:child_process";
import {
    chmodSync,
    copyFileSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readFileSync,
    rmSync,
    symlinkSync,
    writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkout, layoutOf, type Layout } from "../../../sandbox/layout";
import { endProcesses, identityOf, sandboxProcesses } from "../../../sandbox/processes";

/**
 * The command as people end it, with a `pulumi` that notes what it is told and, asked for an end, takes its time to save.
 * What a real `pulumi` leaves after these signals and the next one makes of it: test/engine/interrupted.test.ts.
 */
const standIn = `#!${process.execPath}
const { appendFileSync } = require("node:fs");
const note = (line) => appendFileSync(__filename + ".notes", line + "\\n");
if (process.argv[2] === "up") {
    let asked = 0;
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {
        note(signal);
        if (process.env.STAND_IN_HANGS) return;
        if (++asked > 1) process.exit(255);
        setTimeout(() => { note("saved"); process.exit(255); }, Number(process.env.STAND_IN_SAVES_MS ?? 300));
    });
    setInterval(() => undefined, 1000);
    note("up");
} else if (process.argv[2] === "stack" && process.argv[3] === "output") process.exit(255);
`;

let dir: string;
let layout: Layout;
let api: Server;
let daemon: ChildProcess;
let command: ChildProcess;
let said: string;

beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), "interruption-"));
    layout = layoutOf(join(dir, ".sandbox"));
    mkdirSync(layout.bin, { recursive: true });
    writeFileSync(join(layout.bin, "pulumi"), standIn);
    chmodSync(join(layout.bin, "pulumi"), 0o755);
    api = createServer((_, answer) => answer.end(JSON.stringify({ apps: [] })));
    await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
    daemon = spawn("sleep", ["600"], { stdio: "ignore" });
    layOutCheckout();
});
afterEach(async () => {
    const left = [command, daemon].map(({ pid }) => pid!);
    await endProcesses([...left, ...sandboxProcesses(layout.dir)], 0);
    await new Promise((resolve) => api.close(resolve));
    rmSync(dir, { recursive: true });
});

/** The way in, start.mjs, as it is, before a command without the parts that are real processes. */
function layOutCheckout(): void {
    for (const file of [
        "sandbox/start.mjs",
        "machine/npm-packages.mjs",
        "package-lock.json",
        "node_modules/.package-lock.json",
    ]) {
        mkdirSync(join(dir, file, ".."), { recursive: true });
        copyFileSync(join(checkout, file), join(dir, file));
    }
    mkdirSync(join(dir, "packages"));
    symlinkSync(join(checkout, "node_modules/tsx"), join(dir, "node_modules/tsx"));
    writeFileSync(join(dir, "sandbox/cli.ts"), `import "${join(__dirname, "interrupted-command.ts")}";\n`);
}

/** Begins the command, in a process group of its own as a terminal's job is, and waits for `pulumi up`. */
async function begin(env: Record<string, string> = {}): Promise<void> {
    const url = `http://127.0.0.1:${(api.address() as AddressInfo).port}/v1`;
    command = spawn(process.execPath, ["sandbox/start.mjs", layout.dir, url, String(daemon.pid)], {
        cwd: dir,
        env: { ...process.env, ...env },
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
    });
    said = "";
    for (const stream of [command.stdout!, command.stderr!]) stream.on("data", (text) => (said += String(text)));
    await expect.poll(notes, { timeout: 50_000 }).toEqual(["up"]);
}

function notes(): string[] {
    const file = join(layout.bin, "pulumi.notes");
    if (command.exitCode !== null) throw new Error(`the command has ended:\n${said}`);
    return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
}

/** What `pulumi` was told until the command's end, and the command's exit code. */
async function end(): Promise<[string[], number | null]> {
    const code = await new Promise<number | null>((resolve) => command.once("close", resolve));
    const told = readFileSync(join(layout.bin, "pulumi.notes"), "utf8").trim().split("\n").slice(1);
    return [told, code];
}

describe("an end asked of the command while pulumi works", () => {
    it.each(["SIGINT", "SIGHUP", "SIGTERM"] as const)(
        "%s of the whole group, as a terminal or an init sends it",
        async (signal) => {
            await begin();
            process.kill(-command.pid!, signal);
            expect(await end()).toEqual([["SIGINT", "saved"], 255]);
            expect(said).toContain("ending: pulumi saves what exists");
            expect(existsSync(layout.lock)).toBe(false);
        },
    );

    it("SIGTERM of the first process alone, as a supervisor sends it", async () => {
        await begin();
        command.kill("SIGTERM");
        expect(await end()).toEqual([["SIGINT", "saved"], 255]);
    });

    it("twice: what it is at is dropped", async () => {
        await begin({ STAND_IN_SAVES_MS: "600000" });
        process.kill(-command.pid!, "SIGINT");
        await expect.poll(notes).toEqual(["up", "SIGINT"]);
        await sleep(1200); // a person's second Ctrl-C, and not the first by another way
        process.kill(-command.pid!, "SIGINT");
        expect(await end()).toEqual([["SIGINT", "SIGINT"], 255]);
    });

    it("a terminal that is gone takes no more output", async () => {
        await begin();
        for (const stream of [command.stdout!, command.stderr!]) stream.destroy();
        process.kill(-command.pid!, "SIGHUP");
        expect(await end()).toEqual([["SIGINT", "saved"], 255]);
    });
});

describe("an end of the daemon while pulumi works", () => {
    it("ends pulumi, and says how it ended and how to go on", async () => {
        await begin();
        writeFileSync(layout.daemonExit, "137\n");
        daemon.kill("SIGKILL");
        expect(await end()).toEqual([["SIGINT", "saved"], 1]);
        expect(said.trim().split("\n")).toEqual([
            `the local OVHcloud has ended (SIGKILL), see ${layout.daemonLog}: "npm run sandbox" starts it again and continues`,
        ]);
        expect(existsSync(layout.lock)).toBe(false);
    });

    it("ends a pulumi that does not listen, too", async () => {
        await begin({ STAND_IN_HANGS: "1" });
        const [hanging] = sandboxProcesses(layout.bin);
        daemon.kill("SIGKILL");
        expect(await end()).toEqual([["SIGINT", "SIGINT"], 1]);
        expect(identityOf(hanging)).toBeUndefined();
    });
});
