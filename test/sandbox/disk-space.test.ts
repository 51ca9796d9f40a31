import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { withDaemon } from "../../sandbox/commands/daemon-process";
import type { DaemonInfo } from "../../sandbox/daemon";
import { freeMegabytes, requireSpace } from "../../sandbox/disk-space";
import { layoutOf } from "../../sandbox/layout";
import { identityOf } from "../../sandbox/processes";

const dir = mkdtempSync(join(tmpdir(), "disk-"));

it("counts what is left where a folder will be", () => {
    expect(freeMegabytes(join(dir, "not/yet"))).toBeGreaterThan(0);
    requireSpace(join(dir, "not/yet"), 1, "this test");
});

it("says how much is needed where, before anything is begun", () => {
    expect(() => requireSpace(dir, 1e9, "the sandbox")).toThrow(
        /^the sandbox needs 1000000000 MB in \/.*disk-\w+, and \d+ MB are free: make room and repeat$/,
    );
});

it("a disk that fills up in mid-run ends the run with a word", async () => {
    const daemon = { process: identityOf(process.pid)! } as DaemonInfo;
    let free = 500;
    const work = new Promise<number>(() => setTimeout(() => (free = 12), 10));
    await expect(
        withDaemon(
            layoutOf(dir),
            daemon,
            () => work,
            () => free,
        ),
    ).rejects.toThrow(`the disk is full: 12 MB are free in ${dir}; make room, then "npm run sandbox" continues`);
});
