import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { RunningDaemon } from "../../../sandbox/commands/daemon-process";
import { tour } from "../../../sandbox/commands/tour";
import { layoutOf, type Layout } from "../../../sandbox/layout";

/**
 * How the tour asks, ends and puts back, with programs that note what they are told. What its steps do to a real stack:
 * test/engine/first-minutes.test.ts.
 */
const programs = {
    // Before a rotation and after it.
    pulumi: `case "$*" in
        *clientToken*) wc -l < "$0.notes" ;;
        preview*) echo "models.ministral.replicas.max: 0; give at least 1"; exit 1 ;;
        *) echo "App ministral updated" ;;
    esac`,
    npm: 'echo "RUNNING, no apps, Ready replicas: 1 -> 2"',
    curl: `case "$*" in *@-*) cat > /dev/null ;; esac
    case "$*" in *chat*) echo '{"completion_tokens": 1}' ;; *-H*) echo 200 ;; *) echo 401 ;; esac`,
    promtool: `echo 'vllm:num_requests_running{replica="0"} DeadMansSwitch'`,
    kubectl: "true",
};

let layout: Layout;
let said: string;

beforeEach(() => {
    layout = layoutOf(mkdtempSync(join(tmpdir(), "tour-")));
    mkdirSync(layout.bin);
    for (const [name, script] of Object.entries(programs)) {
        const file = join(layout.bin, name);
        writeFileSync(file, `#!/bin/sh\necho "$@" >> "$0.notes"\n${script}\n`);
        chmodSync(file, 0o755);
    }
    writeFileSync(layout.env, `PATH='${layout.bin}':"$PATH"\n`);
    said = "";
    const hear = (line: string): void => void (said += `${line}\n`);
    vi.spyOn(console, "log").mockImplementation(hear);
    vi.spyOn(console, "error").mockImplementation(hear);
    vi.spyOn(process.stdout, "write").mockImplementation((text) => ((said += String(text)), true));
});
afterEach(() => {
    vi.restoreAllMocks();
    rmSync(layout.dir, { recursive: true });
});

const daemon = { info: { prometheus: "http://127.0.0.1:9090" }, status: { apps: [{}] } } as unknown as RunningDaemon;
const answers = (...given: string[]) => ({ ask: async () => given.shift() ?? "q" });
const pulumiWasTold = (): string[] => {
    const notes = join(layout.bin, "pulumi.notes");
    return existsSync(notes) ? readFileSync(notes, "utf8").trim().split("\n") : [];
};
const ups = (): string[] => pulumiWasTold().filter((line) => /^(up|destroy)/.test(line));

it("runs through with --yes, the tearing down included, and puts nothing back then", async () => {
    expect(await tour(layout, daemon, { yes: true })).toBe(0);
    expect(said.match(/^ {2}✓ /gm)).toHaveLength(10);
    expect(ups().map((line) => line.split(" ")[0])).toEqual(["up", "up", "destroy"]);
    for (const line of ups()) expect(line).toContain("tour.yaml");
});

it("q ends it, having changed nothing, and says how to go on", async () => {
    expect(await tour(layout, daemon, answers("", "", ""))).toBe(0);
    expect(said.match(/^ {2}✓ /gm)).toHaveLength(3);
    expect(said).toContain("npm run sandbox -- tour 4");
    expect(ups()).toEqual([]);
});

it("what a step has changed is put back with the committed config", async () => {
    expect(await tour(layout, daemon, { from: "8", ...answers("") })).toBe(0);
    expect(ups()).toHaveLength(2);
    expect(ups()[1]).not.toContain("tour.yaml");
    expect(existsSync(join(layout.dir, "tour.yaml"))).toBe(false);
});

it("tears down only after a yes", async () => {
    expect(await tour(layout, daemon, { from: "10", ...answers("") })).toBe(0);
    expect(ups()).toEqual([]);
    expect(await tour(layout, daemon, { from: "10", ...answers("y") })).toBe(0);
    expect(ups()).toEqual([expect.stringMatching(/^destroy/)]);
});

it("a step that does not show what it is to show fails the tour", async () => {
    writeFileSync(join(layout.bin, "promtool"), "#!/bin/sh\necho nothing\n");
    expect(await tour(layout, daemon, { from: "3", ...answers("") })).toBe(1);
    expect(said).toContain("what to look for is not there");
    expect(said).toContain("step 3");
});

it("refuses what it cannot do", async () => {
    await expect(tour(layout, undefined, { yes: true })).rejects.toThrow(/npm run sandbox/);
    await expect(tour(layout, daemon, { yes: true, from: "11" })).rejects.toThrow("tour 11: give the number of a step");
    await expect(tour(layout, daemon, {})).rejects.toThrow(/--yes/);
});
