import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { checkout } from "../sandbox/layout";
import { runbookSections } from "./engine/runbook";

const page = readFileSync(join(checkout, "docs/day-two.md"), "utf8");
const engine = readdirSync(__dirname + "/engine")
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => readFileSync(join(__dirname, "engine", file), "utf8"))
    .join("\n");

it("what a box marked bash holds is run by a test with the real engine", () => {
    const withCommands = runbookSections().filter(({ commands }) => commands.length > 0);
    expect(withCommands.length).toBeGreaterThan(18);
    for (const { heading } of withCommands) {
        const runs = ["followRunbook", "prepareByRunbook"].map((run) => `${run}(stage, "${heading}"`);
        expect(
            runs.filter((run) => engine.includes(run)),
            heading,
        ).not.toEqual([]);
    }
});

it("each section stands in the table, with tests that exist", () => {
    const rows = [...page.matchAll(/^\| \[(.+?)\]\(#.+?\) +\|.*?\| (.*) \|$/gm)];
    const headings = runbookSections()
        .filter(({ isPart }) => !isPart)
        .map(({ heading }) => heading);
    expect(rows.map(([, heading]) => heading)).toEqual(headings);
    for (const [, heading, tests] of rows) {
        for (const [, path] of tests.matchAll(/`(.+?)`/g)) expect(existsSync(join(checkout, path)), heading).toBe(true);
    }
});
