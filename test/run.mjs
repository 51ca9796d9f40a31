// `npm test`: installs what is missing, then checks format, lint and types and runs every test.
// Arguments go to vitest (`npm test -- test/settings`), and then only the tests named run. Those that need programs, such as
// promtool or a control plane, have them downloaded or built first (vitest.config.mts): nothing else waits for that.
// The last line is "N passed, N failed, N skipped"; each of the four checks counts as one.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureNpmPackages, root } from "../machine/npm-packages.mjs";

ensureNpmPackages();

const bin = (name) => join(root, "node_modules/.bin", name);
const selected = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };

const env = { ...process.env, FORCE_COLOR: process.stdout.isTTY ? "1" : "0" };

function sayResult(title, ok, started) {
    console.log(`== ${title}: ${ok ? "ok" : "FAILED"} (${Math.round((Date.now() - started) / 1000)} s)`);
}

/** Runs a command with its output on this terminal, says how long it took, and tells whether it succeeded. */
function run(title, command, args) {
    console.log(`\n== ${title}`);
    const started = Date.now();
    const ok = spawnSync(command, args, { cwd: root, stdio: "inherit", env }).status === 0;
    sayResult(title, ok, started);
    return ok;
}

/** The same, beside others: its output comes when it has ended. */
async function check(title, command, args) {
    const started = Date.now();
    const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], env });
    const said = [];
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => said.push(part));
    const [code] = await once(child, "close");
    console.log(`\n== ${title}`);
    process.stdout.write(Buffer.concat(said));
    sayResult(title, code === 0, started);
    total[code === 0 ? "passed" : "failed"]++;
}

async function checkRest() {
    await check("format", bin("prettier"), ["--check", "."]);
    await check("types", bin("tsc"), ["--noEmit"]);
    await check("types of the console's page", bin("tsc"), ["-p", "sandbox/console/page"]);
}

if (selected.length === 0) {
    // The linter takes as long as all the others.
    await Promise.all([check("lint", bin("eslint"), [".", "--max-warnings", "0"]), checkRest()]);
}
const folder = mkdtempSync(join(tmpdir(), "tests-"));
const report = join(folder, "report.json");
const ok = run("tests", bin("vitest"), [
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    ...selected,
]);
try {
    const counts = JSON.parse(readFileSync(report, "utf8"));
    total.passed += counts.numPassedTests;
    total.failed += counts.numFailedTests;
    total.skipped += counts.numPendingTests + counts.numTodoTests;
    const nothingRan = counts.numTotalTests === 0;
    // A file that cannot be loaded, or an error outside of any test, fails the run without failing a test.
    if ((!ok || nothingRan) && counts.numFailedTests === 0) total.failed++;
} catch {
    total.failed++;
} finally {
    rmSync(folder, { recursive: true, force: true });
}
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 ? 0 : 1);
