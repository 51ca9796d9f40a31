import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Report } from "../../tools/loadtest/report";
import type { LoadView } from "./state";

export interface LoadTarget {
    id: string;
    url: string;
    /** Opens the app. */
    token: string;
}

export interface LoadRunnerOptions {
    /** Where the report of the last run is kept. */
    dir: string;
    /** The authority of the gateways. */
    caFile: string;
    /** `OVH_*`, with which the load test counts replicas. */
    env: Record<string, string>;
    /** Called when the view has changed. */
    changed: () => void;
}

/** How long a run that is ended may take for its report. */
const graceMs = 10_000;

/** Runs the load test of `tools/loadtest` as a process of its own, one at a time. */
export class LoadRunner {
    private current: LoadView = { state: "idle" };
    private child?: ChildProcess;

    constructor(private readonly options: LoadRunnerOptions) {}

    get view(): LoadView {
        return this.current;
    }

    /** Throws an Error for people when one runs already. */
    start({ id, url, token }: LoadTarget, workers: number, requests: number): void {
        if (this.child) throw new Error("a load test runs already: stop it first");
        const { dir, caFile, env, changed } = this.options;
        mkdirSync(dir, { recursive: true });
        const json = join(dir, "loadtest.json");
        rmSync(json, { force: true });
        const root = resolve(__dirname, "../..");
        const load = ["--workers", String(workers), "--requests", String(requests)];
        const child = spawn(
            process.execPath,
            [
                "--import",
                "tsx",
                "tools/loadtest/cli.ts",
                "--url",
                url,
                "--app",
                id,
                "--ca",
                caFile,
                "--json",
                json,
                ...load,
            ],
            { cwd: root, env: { ...process.env, ...env, OPENAI_API_KEY: token }, stdio: ["ignore", "pipe", "pipe"] },
        );
        this.child = child;
        this.current = { state: "running", app: id, workers, requests, startedAt: new Date().toISOString() };
        const heard = (text: string): void => {
            const line = text.trimEnd().split("\n").at(-1)?.trim();
            if (!line) return;
            this.current = { ...this.current, line };
            changed();
        };
        // The report is read from its file; of what is printed only the progress is of interest, and errors.
        child.stdout.setEncoding("utf8").on("data", (text: string) => {
            if (/ done · /.test(text)) heard(text);
        });
        child.stderr.setEncoding("utf8").on("data", heard);
        child.on("error", (error) => heard(error.message));
        child.on("close", (code) => {
            this.child = undefined;
            this.current = { ...this.current, state: "ended", exitCode: code ?? 1, result: resultOf(json) };
            changed();
        });
    }

    /** Ends the run as Ctrl-C would; resolves when it has ended. Does nothing when none runs. */
    async stop(): Promise<void> {
        const { child } = this;
        if (!child) return;
        const closed = new Promise((done) => child.once("close", done));
        child.kill("SIGINT");
        await Promise.race([closed, sleep(graceMs, undefined, { ref: false }).then(() => child.kill("SIGKILL"))]);
        await closed;
    }
}

function resultOf(json: string): LoadView["result"] {
    let report: Report;
    try {
        report = JSON.parse(readFileSync(json, "utf8")) as Report;
    } catch (error) {
        // A run that could not start writes none, and has said why.
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
    }
    const three = (summary: Report["latencySeconds"]): { p50: number; p95: number; p99: number } | null =>
        summary && { p50: summary.p50, p95: summary.p95, p99: summary.p99 };
    return {
        ok: report.requests.ok,
        errors: report.requests.errors,
        errorsByKind: report.errorsByKind,
        wallSeconds: report.wallSeconds,
        requestsPerSecond: report.requestsPerSecond,
        outputTokensPerSecond: report.outputTokensPerSecond,
        latency: three(report.latencySeconds),
        ttft: three(report.ttftSeconds),
        clientLimits: report.clientLimits,
    };
}
