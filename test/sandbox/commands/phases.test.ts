import { mkdtempSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { openCommandLog } from "../../../sandbox/commands/command-log";
import { Phases } from "../../../sandbox/commands/phases";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function screen(isTTY: boolean) {
    let text = "";
    const out = { isTTY, columns: 60, write: (part: string) => ((text += part), true) };
    const log: string[] = [];
    return { phases: new Phases({ log: (line) => log.push(line), out }), log, text: () => text };
}

/** What a terminal shows in the end. */
const rendered = (text: string): string[] => text.replace(/[^\n]*\r\u001b\[2K/g, "").split("\n");

it("a phase is one line with its time and what has come of it, everything else is in the log", async () => {
    const { phases, log, text } = screen(false);
    const value = await phases.run("Helm chart", async ({ log, say }) => {
        log("looked up");
        say("downloading");
        return { value: 7, seen: "88.5.3, downloaded" };
    });
    expect(value).toBe(7);
    expect(text()).toMatch(/^✓ Helm chart +0\.0 s {2}88\.5\.3, downloaded\n$/);
    expect(log.slice(0, 3)).toEqual(["● Helm chart", "  looked up", "  downloading"]);
});

it("without a terminal a long phase says now and then what it is at, in plain lines", async () => {
    const { phases, text } = screen(false);
    await phases.run("pulumi up", async ({ show }) => {
        for (let second = 0; second < 40; second++) {
            show(
                `${second} done${second === 14 ? "; Release monitoring, Service ministral-relay, Secret monitoring" : ""}`,
            );
            await vi.advanceTimersByTimeAsync(1000);
        }
        return { value: undefined, seen: "40 created" };
    });
    expect(text().split("\n")).toEqual([
        "  pulumi up, 15 s: 14 done; Release monitoring, Service ministral-relay, Secret…",
        "  pulumi up, 30 s: 29 done",
        expect.stringMatching(/^✓ pulumi up +40 s {2}40 created$/),
        "",
    ]);
});

it("on a terminal the line lives, fits the width, and only the last one stays", async () => {
    const { phases, text } = screen(true);
    await phases.run("pulumi up", async ({ show }) => {
        show("1 done; " + "Kube cluster, ".repeat(20));
        await vi.advanceTimersByTimeAsync(1200);
        return { value: undefined, seen: "33 created" };
    });
    expect(text()).toContain("1.0 s  1 done; Kube");
    for (const line of text().split(/\r\u001b\[2K|\n/)) expect(line.length).toBeLessThan(60);
    expect(rendered(text())).toEqual([expect.stringMatching(/✓ pulumi up +1\.2 s {2}33 created$/), ""]);
});

it("a phase that fails keeps its line, and its error goes on", async () => {
    const { phases, text } = screen(false);
    await expect(phases.run("Tools", () => Promise.reject(new Error("no Go")))).rejects.toThrow("no Go");
    expect(text()).toMatch(/^✗ Tools +0\.0 s\n$/);
    await phases.run("Proof", async () => ({ value: undefined, seen: "14 of 15 promises hold", ok: false }));
    expect(text()).toMatch(/✗ Proof +0\.0 s {2}14 of 15 promises hold\n$/);
});

it("the log is its owner's, and begins anew with each command", () => {
    const file = join(mkdtempSync(join(tmpdir(), "log-")), "new/up.log");
    openCommandLog(file)("one");
    openCommandLog(file)("two");
    expect(readFileSync(file, "utf8")).toMatch(/^\d\d:\d\d:\d\d\.\d{3} two\n$/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
});
