import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";

const root = resolve(__dirname, "../../..");
let folder: string;
beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "report-file-"));
    writeFileSync(join(folder, "file"), "");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.each([
    ["", /^error: --json .* is a folder: name a file, such as .*report\.json/],
    ["reports/", /^error: --json .*reports\/ is a folder: name a file, such as .*reports\/report\.json/],
    ["no/report.json", /^error: --json .*no\/report\.json: make its folder first, .*\/no is none/],
    ["file/report.json", /^error: --json .*: make its folder first, .*\/file is none/],
])("a report that could not be written is refused before the run: %j", (name, message) => {
    // Nothing listens there: a run that began would say so instead.
    const args = ["--import", "tsx", "tools/loadtest/cli.ts", "--url", "http://127.0.0.1:9", "--json"];
    const { status, stderr } = spawnSync(process.execPath, [...args, join(folder, name)], {
        cwd: root,
        encoding: "utf8",
    });
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
});
