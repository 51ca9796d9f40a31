import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readProblem, readTraffic, readValues } from "../../plan/options";
import type { Setting } from "../../plan/problem";
import { configLines } from "../../plan/text";
import { UsageError } from "../../tools/loadtest/usage-error";
import { parse } from "../settings/config";
import { configSet } from "../settings/pulumi-config";

let folder: string;
beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "plan-"));
    // Ten minutes at 2 requests a second, then ten at 8.
    const rows = Array.from({ length: 6000 }, (_, i) => (i < 1200 ? i / 2 : 600 + (i - 1200) / 8));
    writeFileSync(
        join(folder, "trace.csv"),
        ["Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"]
            .concat(rows.map((at) => `${at},m,${300 + ((at * 7) % 200)},200,500,log`))
            .join("\n"),
    );
});
afterAll(() => rmSync(folder, { recursive: true }));

function plan(...options: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const command = ["--import", "tsx", "plan/cli.ts", ...options];
    return new Promise((resolve) => {
        execFile(process.execPath, command, { cwd: join(__dirname, "../..") }, (error, stdout, stderr) => {
            resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
        });
    });
}

/** Ends the command with Ctrl-C, which all of its processes get, once it has told of a setting that keeps the targets. */
async function interrupted(...options: string[]): Promise<{ code: number | null; stdout: string }> {
    const command = ["--import", "tsx", "plan/cli.ts", "--progress", ...options];
    const child = spawn(process.execPath, command, { cwd: join(__dirname, "../.."), detached: true });
    let stdout = "";
    child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
    let told = false;
    child.stderr.on("data", (data: Buffer) => {
        if (told || !data.toString().includes("best so far")) return;
        told = true;
        process.kill(-child.pid!, "SIGINT");
    });
    const [code] = (await once(child, "close")) as [number | null];
    return { code, stdout };
}

describe("npm run plan", () => {
    it("tells the best so far when it is interrupted", async () => {
        const { code, stdout } = await interrupted("--trace", join(folder, "trace.csv"));
        expect(code, stdout).toBe(130);
        expect(stdout).toMatch(/pulumi config set --path models\.ministral\.scaling\.target \d+/);
        expect(stdout).toContain("Ended early");
        // What is looked at afterwards was not.
        expect(stdout).toContain("not looked at");
    });

    it("recommends settings that keep the targets, and says what they would cost and hang on", async () => {
        const file = join(folder, "plan.json");
        const [html, svg] = [join(folder, "plan.html"), join(folder, "day.svg")];
        const files = ["--json-file", file, "--html", html, "--svg", svg];
        const options = ["--trace", join(folder, "trace.csv"), "--price", "3", ...files];
        const { code, stdout } = await plan(...options);
        expect(code, stdout).toBe(0);
        expect(stdout).toMatch(/pulumi config set --path models\.ministral\.scaling\.target \d+/);
        expect(stdout).toMatch(/[\d,]+ EUR\/month/);
        for (const heading of ["What is asked", "Recommended", "Beside it", "What it hangs on", "Taken for granted"]) {
            expect(stdout).toContain(heading);
        }
        const { best, problem, frontier, yardsticks } = JSON.parse(readFileSync(file, "utf8"));
        expect(best.within).toBeGreaterThanOrEqual(problem.targets.withinTargets);
        expect(best.refused + best.lost).toBeLessThanOrEqual(problem.targets.errorBudget);
        expect(frontier.length).toBeGreaterThan(0);
        const lines = stdout.split("\n").filter((line) => line.includes("pulumi config set"));
        const { ministral: model } = configOf(lines.map((line) => line.trim())).models;
        expect(model.scaling.target).toBe(best.setting.target);
        expect(parse({ models: { ministral: model } }).models.ministral).toMatchObject(model);
        // Both stand alone: nothing is fetched from anywhere.
        for (const picture of [html, svg]) {
            const text = readFileSync(picture, "utf8").replaceAll('xmlns="http://www.w3.org/2000/svg"', "");
            expect(text).not.toMatch(/NaN|undefined|Infinity|https?:|<script/);
            for (const shown of ["Requests", "asked for", "serving", "Time to first token"]) {
                expect(text).toContain(shown);
            }
        }
        expect(readFileSync(html, "utf8")).toContain(`scaling.target ${best.setting.target}`);
        // Nothing that knows what comes costs more than what does not.
        expect(yardsticks.clairvoyant.replicaHours).toBeLessThanOrEqual(best.replicaHours * 1.05);
    });

    it("exits with 1 when no setting meets the targets", async () => {
        const options = ["--trace", join(folder, "trace.csv"), "--first-token", "0.001"];
        const { code, stdout } = await plan(...options);
        expect(code).toBe(1);
        expect(stdout).toContain("No setting meets the targets");
        expect(stdout).toContain("6,000 requests in 0.3 h");
    });

    it("says what comes closest when all that was tried was far from the targets", async () => {
        const options = ["--trace", join(folder, "trace.csv"), "--scale", "20", "--max-replicas", "2"];
        const { code, stdout } = await plan(...options);
        expect(code).toBe(1);
        expect(stdout).toMatch(/with at most 2 replicas\n {2}Closest: 2 replicas, .* within, 95 % were asked for/);
    });

    it("refuses what it cannot do in a line", async () => {
        const { code, stderr } = await plan("--live", "--days", "90");
        expect(code).toBe(2);
        expect(stderr).toBe("--days 90: give a number from 0.041666666666666664 to 30\nSee npm run plan -- --help\n");
    });
});

it.each([
    [[], "give --trace FILE, --peak N or --live"],
    [["--peak", "3", "--live"], "give --trace FILE, --peak N or --live"],
    [["--peak", "many"], "--peak many: give a number from 0.001 to 10000"],
    [["--peak", ""], "--peak : give a number from 0.001 to 10000"],
    [["--peak", "3", "--shape", "moon"], "--shape moon: give one of flat, office, evening"],
    [["--peak", "3", "--gpu", "B9"], "--gpu B9: give one of H100, L40S, L4"],
    [["--trace", "nowhere.csv"], "nowhere.csv"],
    [["--peak", "3", "--schedule", "weekdays"], '--schedule "weekdays": give DAYS HH:MM-HH:MM MIN-MAX'],
    [
        ["--peak", "3", "--schedule", "mon 08:00-19:00 1-2", "--schedule", "mon-fri 18:00-20:00 1-2"],
        '--schedule "mon-fri 18:00-20:00 1-2" and "mon 08:00-19:00 1-2" overlap',
    ],
    [["--peak", "3", "--speed"], "--speed"],
])("refuses %j", (options, fault) => {
    const read = () => {
        const values = readValues(options);
        return readProblem(values, readTraffic(values));
    };
    expect(read).toThrow(UsageError);
    expect(read).toThrow(fault);
});

/** The config that these lines set. */
function configOf(lines: string[]): Record<string, any> {
    return lines.reduce((config, line) => configSet(config, line), {});
}

describe("prints settings that the program takes", () => {
    const office = { days: "mon-fri", from: "07:45", to: "19:00", timeZone: "UTC", min: 2, max: 4 } as const;
    const setting: Setting = {
        ...{ metric: "vllm:num_requests_running", target: 16, min: 1, max: 2, scaleDownSeconds: 300 },
        ...{ maxNumSeqs: 256, cooldownSeconds: 900 },
    };

    it("always on", () => {
        const config = configOf(configLines("ministral", setting));
        expect(config.models.ministral.scaling.cooldownSeconds).toBeUndefined();
        expect(parse(config).models.ministral).toMatchObject(config.models.ministral);
    });

    it("asleep when nobody asks, with hours", () => {
        const config = configOf(configLines("ministral", { ...setting, min: 0, schedule: [office] }));
        expect(config.models.ministral).toMatchObject({
            replicas: { min: 0, max: 2 },
            scaling: { cooldownSeconds: 900 },
            schedule: [office],
        });
        const { ministral } = parse({ ...config, appReaderKey: "made-up-key:made-up-secret:made-up-consumer" }).models;
        expect(ministral).toMatchObject(config.models.ministral);
    });
});
