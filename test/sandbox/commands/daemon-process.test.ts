import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, it, vi } from "vitest";
import { ensureDaemon, runningDaemon, stopEverything } from "../../../sandbox/commands/daemon-process";
import { down } from "../../../sandbox/commands/down";
import { status } from "../../../sandbox/commands/status";
import { layoutOf } from "../../../sandbox/layout";
import { identityOf } from "../../../sandbox/processes";
import type { Toolchain } from "../../../sandbox/toolchain/toolchain";

/** A real daemon. Without a cluster it starts no other program. */
const layout = layoutOf(mkdtempSync(join(tmpdir(), "daemon-")));
const toolchain = { bin: {}, source: {} } as Toolchain;
const silent = (): void => undefined;
let said = "";
vi.spyOn(console, "log").mockImplementation((line: string) => void (said += `${line}\n`));
afterEach(() => (said = ""));
afterAll(async () => {
    await stopEverything(layout);
    rmSync(layout.dir, { recursive: true, maxRetries: 5 });
});

it("starts, is found, and leaves no core file", async () => {
    const { process: daemon } = await ensureDaemon(layout, toolchain, { speed: 30 }, silent);
    expect((await runningDaemon(layout))?.status.speed).toBe(30);
    expect(await status(layout, false)).toBe(0);
    if (process.platform === "linux") {
        expect(readFileSync(`/proc/${daemon.pid}/limits`, "utf8")).toMatch(/^Max core file size +0 +0 /m);
    }
    expect((await ensureDaemon(layout, toolchain, {}, silent)).process).toEqual(daemon);
});

it("that was killed is missed by status, which says how it ended, and is started again as it was", async () => {
    const before = (await runningDaemon(layout))!;
    process.kill(before.info.process.pid, "SIGKILL");
    await expect.poll(() => readFileSync(layout.daemonExit, { encoding: "utf8", flag: "a+" })).toBe("137\n");
    expect(await status(layout, false)).toBe(1);
    expect(said).toBe(
        `The sandbox does not run. The daemon has ended by itself (SIGKILL). See ${layout.daemonLog}. ` +
            'Start it with "npm run sandbox".\n',
    );
    said = "";
    expect(await status(layout, true)).toBe(1);
    expect(JSON.parse(said)).toMatchObject({ running: false, ended: "SIGKILL" });

    const after = await ensureDaemon(layout, toolchain, {}, silent);
    expect(after).toMatchObject({ api: before.info.api, console: before.info.console });
    expect((await runningDaemon(layout))?.status.speed).toBe(30);
});

it("that was told to end is not missed", async () => {
    const { info } = (await runningDaemon(layout))!;
    expect(await down(layout)).toBe(0);
    expect(identityOf(info.process.pid)).toBeUndefined();
    said = "";
    expect(await status(layout, false)).toBe(1);
    expect(said).toBe('The sandbox does not run. Start it with "npm run sandbox".\n');
});
