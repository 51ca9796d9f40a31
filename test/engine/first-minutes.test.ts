import { execFile, type ExecFileException } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkout, layoutOf } from "../../sandbox/layout";
import { endProcesses, sandboxProcesses } from "../../sandbox/processes";

/** What the README's "Try it" does, in a copy of the checkout: up, the tour, down, reset. */
const folder = mkdtempSync(join(tmpdir(), "first-minutes-"));
const layout = layoutOf(join(folder, ".sandbox"));

beforeAll(() => {
    const leftOut = ["node_modules", ".git", ".sandbox", "coverage"];
    cpSync(checkout, folder, { recursive: true, filter: (file) => !leftOut.includes(basename(file)) });
    // A folder of its own, said to be installed: nothing that runs here may install into the checkout's.
    const modules = join(folder, "node_modules");
    mkdirSync(modules);
    for (const name of readdirSync(join(checkout, "node_modules"))) {
        symlinkSync(join(checkout, "node_modules", name), join(modules, name));
    }
});
afterAll(async () => {
    await endProcesses(sandboxProcesses(layout.dir), 15);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** Runs bash as a person does, without a terminal. */
function run(command: string): Promise<{ code: number; said: string }> {
    return new Promise((resolve) => {
        const options = { cwd: folder, maxBuffer: 1e8, env: { ...process.env, FORCE_COLOR: undefined } };
        execFile("bash", ["--norc", "-c", command], options, (error: ExecFileException | null, stdout, stderr) => {
            resolve({ code: error ? Number(error.code) : 0, said: stdout + stderr });
        });
    });
}

describe.sequential("the first minutes", () => {
    it("the sandbox comes up, and says so on one screen", async () => {
        const { code, said } = await run("npm run sandbox");
        expect(code, said).toBe(0);
        const lines = said.trimEnd().split("\n");
        expect(lines.length, said).toBeLessThanOrEqual(40);
        for (const line of lines.filter((text) => !text.includes(folder))) expect(line.length, line).toBeLessThan(81);
        expect(said).not.toMatch(/\u001b|warning:/);
        for (const phase of ["Tools", "Helm chart", "Pulumi plugins", "Local OVHcloud", "pulumi up", "Proof"]) {
            expect(said).toMatch(new RegExp(`^✓ ${phase} +[\\d.]+ (s|min)`, "m"));
        }
        expect(said).toMatch(/all \d+ promises hold/);
        expect(said).toMatch(/Three things to do next[\s\S]+ 1 [\s\S]+ 2 [\s\S]+ 3 /);
        const log = readFileSync(layout.upLog, "utf8");
        expect(log).toMatch(/✓ pulumi preview is empty/);
        const token = await run("source .sandbox/env && pulumi stack output clientToken --show-secrets");
        expect(token.said.trim()).toMatch(/./);
        expect(log).not.toContain(token.said.trim());
    });

    it("each of the tour's ten steps shows what it is to show", async () => {
        const token = await run("source .sandbox/env && pulumi stack output clientToken --show-secrets");
        const committed = readFileSync(join(folder, "Pulumi.sandbox.yaml"), "utf8");
        const { code, said } = await run("npm run --silent sandbox -- tour --yes");
        expect(code, said).toBe(0);
        expect(said.match(/^ {2}✓ /gm), said).toHaveLength(10);
        expect(said).not.toContain(token.said.trim());
        expect(readFileSync(join(folder, "Pulumi.sandbox.yaml"), "utf8")).toBe(committed);
    });

    it("after the tearing down there is nothing to look at, and it says what brings it back", async () => {
        const { code, said } = await run("npm run --silent sandbox -- tour --yes");
        expect([code, said]).toEqual([2, 'error: there is no stack to look at: bring it up with "npm run sandbox"\n']);
    });

    it("reset leaves nothing", async () => {
        expect((await run("npm run sandbox -- reset")).code).toBe(0);
        expect(existsSync(layout.dir)).toBe(false);
        expect(sandboxProcesses(layout.dir)).toEqual([]);
    });
});
