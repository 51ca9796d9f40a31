import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { findCapacity } from "../../plan/capacity";
import type { Plan } from "../../plan/plan";
import { readProblem, readTraffic, readValues } from "../../plan/options";
import { openTraffic, type Setting } from "../../plan/problem";
import { defaultServed } from "../../plan/served";
import { configLines, question, refused } from "../../plan/text";
import { ministral14bOnH100, ministral14bOnL40s } from "../../sandbox/vllm/profiles";
import { UsageError } from "../../tools/loadtest/usage-error";
import { catalogueText } from "../prices/world";
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

/** An OVHcloud that tells its price list, without some of its plans. Where it answers is set for the commands below. */
async function ovhcloudWithout(without: RegExp): Promise<() => void> {
    const list = JSON.parse(catalogueText()) as { addons: { planCode: string }[] };
    const addons = list.addons.filter(({ planCode }) => !without.test(planCode));
    const server = createServer((_, answer) => answer.end(JSON.stringify({ ...list, addons }))).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    vi.stubEnv("OVH_ENDPOINT", `http://127.0.0.1:${port}/v1`);
    return () => server.close();
}

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
    let close: (() => void) | undefined;
    afterEach(() => {
        vi.unstubAllEnvs();
        close?.();
        close = undefined;
    });

    it("tells the best so far when it is interrupted", async () => {
        const { code, stdout } = await interrupted("--trace", join(folder, "trace.csv"), "--price", "3");
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

    it("takes prices from OVHcloud's list, and compares the flavors that have one and a profile", async () => {
        close = await ovhcloudWithout(/^ai-app.l4-/);
        const file = join(folder, "prices.json");
        const { code, stdout } = await plan("--trace", join(folder, "trace.csv"), "--json-file", file);
        expect(code, stdout).toBe(0);
        const { hardware, others, best } = JSON.parse(readFileSync(file, "utf8"));
        const perHour = Object.fromEntries(
            [hardware, ...others.map((one: any) => one.hardware)].map(({ flavor, gpus, price }) => [
                `${gpus} ${flavor}`,
                price,
            ]),
        );
        // As the emulated list has them, per minute: 0.0333 and 0.0222.
        expect(perHour["1 h100-1-gpu"]).toEqual({ perHour: 1.998, currency: "EUR" });
        expect(perHour["2 l40s-1-gpu"]).toEqual({ perHour: 2.664, currency: "EUR" });
        expect(Object.keys(perHour).filter((name) => name.includes("l4-"))).toEqual([]);
        expect(stdout).toMatch(
            /no price found of ai-app\.l4-1-gpu\.minute\.consumption in GRA: give --price or prices\.file/,
        );
        expect(stdout).toMatch(/prices: OVHcloud's public list \(FR\) of \d{4}-\d\d-\d\d/);
        expect(stdout).toContain("On other hardware");
        // Nothing else that keeps the targets is cheaper.
        const cost = (result: any, { price }: any): number => result.replicaHours * price.perHour;
        for (const other of others.filter((one: any) => one.best)) {
            expect(cost(other.best, other.hardware)).toBeGreaterThanOrEqual(cost(best, hardware));
        }
    });

    it("names a price that is not found, and tells no euros then", async () => {
        close = await ovhcloudWithout(/^ai-app\.h100/);
        const { stdout } = await plan("--trace", join(folder, "trace.csv"));
        expect(stdout).toMatch(/no price found of ai-app\.h100-1-gpu\.minute\.consumption in GRA/);
        expect(stdout).toContain("no other flavor or number of GPUs was compared with 1 x h100-1-gpu");
        expect(stdout).toMatch(/[\d.]+ replicas on average/);
        expect(stdout).not.toContain("EUR");
    });

    it("exits with 1 when no setting meets the targets", async () => {
        const options = ["--trace", join(folder, "trace.csv"), "--first-token", "0.001", "--price", "3"];
        const { code, stdout } = await plan(...options);
        expect(code).toBe(1);
        expect(stdout).toContain("No setting meets the targets");
        expect(stdout).toContain("6,000 requests in 0.3 h");
    });

    it("says what comes closest when all that was tried was far from the targets", async () => {
        const options = ["--trace", join(folder, "trace.csv"), "--scale", "20", "--max-replicas", "2", "--price", "3"];
        const { code, stdout } = await plan(...options);
        expect(code).toBe(1);
        expect(stdout).toMatch(/with at most 2 replicas\n {2}Closest: 2 replicas, .* within, 95 % were asked for/);
    });

    it("refuses what it cannot do in a line", async () => {
        const { code, stderr } = await plan("--live", "--days", "90");
        expect(code).toBe(2);
        expect(stderr).toBe("--days 90: give a number from 0.05 to 30\nSee npm run plan -- --help\n");
    });
});

it.each([
    [[], "give --trace FILE, --peak N or --live"],
    [["--peak", "3", "--live"], "give --trace FILE, --peak N or --live"],
    [["--peak", "many"], "--peak many: give a number from 0.001 to 10000"],
    [["--peak", ""], "--peak : give a number from 0.001 to 10000"],
    [["--peak", "3", "--shape", "moon"], "--shape moon: give one of flat, office, evening"],
    [
        ["--peak", "3", "--flavor", "b9-1-gpu"],
        "--flavor b9-1-gpu: there is no profile of it: give one of h100-1-gpu, l40s-1-gpu",
    ],
    [["--trace", "nowhere.csv"], "nowhere.csv"],
    [["--peak", "3", "--schedule", "weekdays"], '--schedule "weekdays": give DAYS HH:MM-HH:MM MIN-MAX'],
    [
        ["--peak", "3", "--schedule", "mon 08:00-19:00 1-2", "--schedule", "mon-fri 18:00-20:00 1-2"],
        '--schedule "mon-fri 18:00-20:00 1-2" and "mon 08:00-19:00 1-2" overlap',
    ],
    [["--peak", "3", "--speed"], "--speed"],
    [["--peak", "3", "--gpus", "1.5"], "--gpus 1.5: give a whole number from 1 to 8"],
    [["--peak", "3", "--max-replicas", "2.5"], "--max-replicas 2.5: give a whole number from 1 to 500"],
    [["--peak", "3", "--scale", "2"], "--scale says nothing of --peak: leave it out"],
    [["--trace", "nowhere.csv", "--prompt", "900"], "--prompt says nothing of --trace: leave it out"],
    [["--live", "--shape", "office"], "--shape says nothing of --live: leave it out"],
    [["--peak", "3", "--shift", "2"], "--shift is of a shape: give --shape, too"],
    [["--peak", "3", "--html", "/nowhere/plan.html"], "--html /nowhere/plan.html: there is no folder /nowhere"],
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

it("tells how many requests are longer than the context of the settings: the engine refuses them", () => {
    const values = readValues(["--peak", "2", "--days", "0.05", "--prompt", "900", "--output", "250"]);
    const asked = (maxModelLen?: number, say = question): string => {
        const served = defaultServed();
        served.model = { ...served.model, vllm: { ...served.model.vllm, maxModelLen } };
        const problem = readProblem(values, readTraffic(values), served);
        const capacity = findCapacity(problem, openTraffic(problem.traffic));
        return say({ capacity } as Plan, problem).join("\n");
    };
    expect(asked()).not.toContain("refuses");
    expect(asked(2000)).toMatch(/\d+ requests \(\d+\.\d %\) have more than 2,000 tokens, .*: the engine refuses them/);
    expect(asked(1, refused)).toMatch(
        /^No request can be served\nAll have more than 1 tokens: a longer vllm.maxModelLen/,
    );
});

describe("prints settings that the program takes", () => {
    const h100 = { flavor: "h100-1-gpu", gpus: 1, profile: ministral14bOnH100, gpuMemoryUtilization: 0.9 };
    const office = { days: "mon-fri", from: "07:45", to: "19:00", timeZone: "UTC", min: 2, max: 4 } as const;
    const setting: Setting = {
        ...{
            metric: "vllm:num_requests_running",
            target: 16,
            min: 1,
            max: 2,
            scaleUpSeconds: 0,
            scaleDownSeconds: 300,
        },
        ...{ maxNumSeqs: 256, cooldownSeconds: 900 },
    };

    it("always on", () => {
        const config = configOf(configLines("ministral", setting, h100));
        expect(config.models.ministral.scaling.cooldownSeconds).toBeUndefined();
        expect(parse(config).models.ministral).toMatchObject(config.models.ministral);
    });

    it("on a GPU that does not hold the longest context, with one that it holds", () => {
        const l40s = { flavor: "l40s-1-gpu", gpus: 1, profile: ministral14bOnL40s, gpuMemoryUtilization: 0.9 };
        const config = configOf(configLines("ministral", setting, l40s));
        expect(config.models.ministral.vllm.maxModelLen).toBeLessThan(ministral14bOnL40s.maxModelLen);
        expect(parse(config).models.ministral).toMatchObject({ ...config.models.ministral, flavor: "l40s-1-gpu" });
    });

    it("leaves a context alone that is set, and shortens it only where vLLM would not start with it", () => {
        const l40s = { flavor: "l40s-1-gpu", gpus: 1, profile: ministral14bOnL40s, gpuMemoryUtilization: 0.9 };
        const printed = (maxModelLen?: number): unknown =>
            configOf(configLines("ministral", setting, { ...l40s, maxModelLen })).models.ministral.vllm.maxModelLen;
        const fits = printed()!;
        expect(printed(8192)).toBeUndefined();
        expect(printed(fits as number)).toBeUndefined();
        expect(printed(ministral14bOnL40s.maxModelLen - 1)).toBe(fits);
    });

    it("asleep when nobody asks, with hours", () => {
        const config = configOf(configLines("ministral", { ...setting, min: 0, schedule: [office] }, h100));
        expect(config.models.ministral).toMatchObject({
            replicas: { min: 0, max: 2 },
            scaling: { cooldownSeconds: 900 },
            schedule: [office],
        });
        const { ministral } = parse({ ...config, appReaderKey: "made-up-key:made-up-secret:made-up-consumer" }).models;
        expect(ministral).toMatchObject(config.models.ministral);
    });
});
