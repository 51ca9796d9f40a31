import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Report } from "../../../tools/loadtest/report";
import { model, startRunningApp, type RunningApp } from "../../sandbox/running-app";

/** The command as people run it, against the emulated platform: TLS, tokens, gateway, simulated vLLM. */

const root = resolve(__dirname, "../../..");
let app: RunningApp;
let folder: string;

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "loadtest-"));
    app = await startRunningApp({ min: 2, max: 2 });
});
afterAll(async () => {
    await app.close();
    rmSync(folder, { recursive: true, force: true });
});

interface Run {
    code: number | null;
    stdout: string;
    stderr: string;
    report?: Report;
    /** The command line of the process, as anybody on the machine can read it. */
    commandLine: string;
}

interface RunOptions {
    env?: Record<string, string>;
    /** Sends Ctrl-C once this text has been printed. */
    interruptAfter?: string;
}

let runs = 0;

async function loadtest(args: string[], { env, interruptAfter }: RunOptions = {}): Promise<Run> {
    const json = join(folder, `${++runs}.json`);
    const child = spawn(
        process.execPath,
        ["--import", "tsx", "tools/loadtest/cli.ts", "--ca", app.cloud.caFile, "--json", json, ...args],
        { cwd: root, env: { ...process.env, ...app.env, OPENAI_API_KEY: app.token, ...env } },
    );
    const commandLine = readFileSync(`/proc/${child.pid}/cmdline`, "utf8").replace(/\0/g, " ");
    let stdout = "";
    let stderr = "";
    let interrupted = false;
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
        stdout += text;
        if (!interruptAfter || interrupted || !stdout.includes(interruptAfter)) return;
        // A second one would end it without its report.
        interrupted = true;
        child.kill("SIGINT");
    });
    const code = await new Promise<number | null>((done) => child.on("close", done));
    let report: Report | undefined;
    try {
        report = JSON.parse(readFileSync(json, "utf8")) as Report;
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    return { code, stdout, stderr, report, commandLine };
}

/** Nothing failed. Whether this machine was quick enough for the figures to count is told by the exit code alone. */
function expectSuccess({ code, report, stdout, stderr }: Run): void {
    expect(report, stdout + stderr).toBeDefined();
    expect(code, stdout + stderr).toBe(report!.valid ? 0 : 3);
}

const small = ["--workers", "8", "--requests", "3", "--ramp", "0.5", "--max-tokens", "20"];

describe("a run that succeeds", () => {
    let run: Run;
    beforeAll(async () => {
        run = await loadtest(["--url", app.url, "--app", app.id, ...small]);
    });

    it("reports every request, in text and as JSON", () => {
        expectSuccess(run);
        const report = run.report!;
        expect(report.requests).toEqual({ planned: 24, total: 24, ok: 24, errors: 0, cancelled: 0 });
        expect(report.target).toEqual({ baseUrl: `${app.url}/v1`, model });
        for (const summary of [report.latencySeconds!, report.ttftSeconds!, report.interTokenSeconds!]) {
            expect(Object.keys(summary).sort()).toEqual(["max", "mean", "min", "p50", "p95", "p99"]);
            expect(summary.min).toBeLessThanOrEqual(summary.p50);
            expect(summary.p99).toBeLessThanOrEqual(summary.max);
        }
        expect(report.ttftSeconds!.mean).toBeLessThan(report.latencySeconds!.mean);
        expect(report.requestsPerSecond).toBeCloseTo(24 / report.wallSeconds, 6);
        expect(report.outputTokensPerSecond).toBeCloseTo(report.tokens.output / report.wallSeconds, 6);
        expect(report.tokens.output).toBeGreaterThan(24);
        expect(report.tokens.output).toBeLessThanOrEqual(24 * 20);
        expect(report.tokens.prompt).toBeGreaterThan(report.requests.ok);
        expect(report.timeline.reduce((sum, { ok }) => sum + ok, 0)).toBe(24);
        expect(run.stdout).toContain("24 of 24: 24 ok, 0 errors");
    });

    it("shows the engines' own times of the same requests beside", () => {
        const { server, byLength } = run.report!;
        // Each look meets one of two replicas: both are likely met, and certainly one.
        expect(server!.replicas).toBeGreaterThan(0);
        expect(server!.requests).toBeLessThanOrEqual(24);
        expect(run.stdout).toContain("vLLM's own: first token");
        expect(byLength.map(({ lengthClass }) => lengthClass)).toEqual(
            ["short", "medium", "long"].filter((length) => byLength.some(({ lengthClass }) => lengthClass === length)),
        );
    });

    it("counts replicas as the platform does", () => {
        expect(run.report!.replicasUnknown).toBeUndefined();
        expect(run.report!.replicas.length).toBeGreaterThan(0);
        expect(new Set(run.report!.replicas.map(({ ready }) => ready))).toEqual(new Set([2]));
        expect(run.stdout).toContain("Ready replicas: 2");
    });

    it("shows the token nowhere", () => {
        expect(run.commandLine).toContain("cli.ts");
        for (const text of [run.stdout, run.stderr, run.commandLine, JSON.stringify(run.report)]) {
            expect(text).not.toContain(app.token);
        }
    });
});

describe("a run that does not succeed", () => {
    it("Ctrl-C cancels what is under way and still reports; exit code 130", async () => {
        const run = await loadtest(["--url", app.url, "--workers", "4", "--requests", "1000", "--ramp", "0"], {
            interruptAfter: " workers x ",
        });
        expect(run.code, run.stdout + run.stderr).toBe(130);
        const { requests, stopped } = run.report!;
        expect(stopped).toBe("interrupted by Ctrl-C");
        expect(requests.cancelled).toBeLessThanOrEqual(4);
        expect(requests.total).toBeLessThan(requests.planned!);
        expect(requests.ok + requests.errors).toBe(requests.total);
        expect(run.stdout).toContain("Ended early: interrupted by Ctrl-C.");
    });

    it("a token that is revoked on the way ends it after some refusals; exit code 1", async () => {
        const other = await startRunningApp({ min: 1, max: 1 });
        const load = ["--workers", "5", "--requests", "1000", "--max-tokens", "2", "--ramp", "0"];
        try {
            const running = loadtest(["--url", other.url, "--ca", other.cloud.caFile, ...load], {
                env: { OPENAI_API_KEY: other.token },
            });
            await other.until("asked", ({ gateway }) => (gateway.answers["200"] ?? 0) > 10);
            await other.control("POST", "platform/faults", { kind: "token-revoked" });
            const { code, stdout, stderr, report } = await running;
            expect(code, stdout + stderr).toBe(1);
            expect(report!.stopped).toMatch(/^20 requests in a row were refused \(HTTP 401: /);
            expect(report!.errorsByKind["HTTP 401"]).toBeGreaterThanOrEqual(20);
            expect(report!.requests.total).toBeLessThan(report!.requests.planned!);
            expect(report!.requests.ok).toBeGreaterThan(0);
        } finally {
            await other.close();
        }
    });

    it("a replica that crashes takes its requests along; they are counted, and the run goes on", async () => {
        const other = await startRunningApp({ min: 1, max: 1 });
        const load = ["--workers", "10", "--requests", "3", "--ramp", "0", "--max-error-rate", "0"];
        try {
            const running = loadtest(["--url", other.url, "--ca", other.cloud.caFile, ...load], {
                env: { OPENAI_API_KEY: other.token },
            });
            await other.until("streaming", ({ replicas }) => replicas.some(({ running: streams }) => streams > 0));
            await other.control("POST", `apps/${other.id}/faults`, { kind: "crash" });
            const { code, stdout, stderr, report } = await running;
            expect(code, stdout + stderr).toBe(1);
            expect(report!.requests.errors).toBeGreaterThan(0);
            // Which it is depends on how far each answer was, and on when the next replica is ready.
            const lost = /^(cut off mid-stream|connection lost before the answer|HTTP 50[023])$/;
            for (const kind of Object.keys(report!.errorsByKind)) expect(kind).toMatch(lost);
            expect(report!.requests).toMatchObject({ planned: 30, total: 30, cancelled: 0 });
            expect(stderr).toContain("more than --max-error-rate 0");
        } finally {
            await other.close();
        }
    });

    it("a wrong token is refused before any load; exit code 2", async () => {
        const run = await loadtest(["--url", app.url], { env: { OPENAI_API_KEY: "made-up" } });
        expect(run.code).toBe(2);
        expect(run.stderr).toMatch(/^error: .*\/v1\/models answers 401 \(the token is missing, wrong or revoked\)/);
        expect(run.stderr).not.toContain("made-up");
        expect(run.stderr.trim().split("\n")).toHaveLength(1);
        expect(run.report).toBeUndefined();
    });

    it("an error share above --max-error-rate; exit code 1", async () => {
        // Prompt and answer do not fit together: vLLM refuses with 400 all but the short ones.
        const run = await loadtest(["--url", app.url, ...small, "--max-tokens", "262000"]);
        expect(run.code, run.stdout + run.stderr).toBe(1);
        expect(run.report!.requests.errors).toBeGreaterThan(0);
    });

    it("a certificate that is not trusted says how to trust it", async () => {
        const run = await loadtest(["--url", app.url, "--ca", join(root, "package.json")]);
        expect(run.code).toBe(2);
        expect(run.stderr).toMatch(/is not trusted \(.*\): give its authority with --ca FILE or NODE_EXTRA_CA_CERTS/);
    });

    it.each([
        [["--workers", "0"], "--workers 0: give a whole number from 1 to 20000, or up to 50 of them such as 1,2"],
        [["--ramp", "soon"], "--ramp soon: give a number from 0 to 86400"],
        [["--url", "nowhere"], "--url nowhere is not a URL"],
        [["--url", "https://a/v1", "--stack", "b"], "--url and --stack exclude each other"],
        [["--app", "x"], "--app is only for --url"],
        [["--wrokers", "1"], "--wrokers: no such option; did you mean --workers?"],
        [["--ca", "nowhere.pem", "--url", "https://a/v1"], "--ca nowhere.pem: ENOENT"],
    ])("%s is refused in words", async (args, message) => {
        const run = await loadtest(args);
        expect(run.code).toBe(2);
        expect(run.stderr).toContain(message);
        expect(run.stderr).not.toMatch(/^\s+at /m);
    });
});

it("without the rights to ask the platform, the run goes on and says why there is no count", async () => {
    const run = await loadtest(["--url", app.url, "--app", app.id, ...small], {
        env: { OVH_ACCESS_TOKEN: "made-up" },
    });
    expectSuccess(run);
    expect(run.report!.replicas).toEqual([]);
    expect(run.report!.replicasUnknown).toMatch(/403|401/);
    expect(run.stdout).toContain("The replica count could not be read");
});

it("a connection age of 0 is a connection for each request", async () => {
    const run = await loadtest(["--url", app.url, ...small, "--connection-age", "0"]);
    expectSuccess(run);
    expect(run.report!.connections.count).toBe(24);
});
