import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { readEvents } from "./events";
import { reportOf, type Report } from "./report";

export interface PreviewOptions {
    stack: string;
    /** Folder of a policy pack that is asked. */
    policyPack?: string;
    /** Looks first whether everything is still as the state has it; changes nothing of the state. */
    refresh: boolean;
    /** Difference of the cost, as Markdown. */
    cost?: string;
}

/**
 * Runs `pulumi preview` in the checkout; what it prints goes where this process's output goes.
 * @throws Error when `pulumi` cannot be started, or has said nothing that could be read
 */
export async function previewStack(options: PreviewOptions): Promise<Report> {
    const { stack, policyPack, refresh, cost } = options;
    // Readable to its owner alone, since the log has secrets in clear, and gone before this returns.
    const folder = mkdtempSync(join(tmpdir(), "preview-"));
    const log = join(folder, "events.jsonl");
    try {
        const code = await runPulumi([
            "preview",
            ...["--stack", stack, "--diff", "--non-interactive", "--color", "never", "--event-log", log],
            ...(policyPack === undefined ? [] : ["--policy-pack", resolve(policyPack)]),
            ...(refresh ? ["--refresh"] : []),
        ]);
        if (!existsSync(log)) {
            throw new Error(
                `pulumi preview of stack ${stack} ended with code ${code} before it began; its reason is above`,
            );
        }
        const report = reportOf(readEvents(readFileSync(log, "utf8")), {
            stack,
            policiesRun: policyPack !== undefined,
            cost,
        });
        return { ...report, ok: report.ok && code === 0 };
    } finally {
        rmSync(folder, { recursive: true, force: true });
    }
}

function runPulumi(args: string[]): Promise<number> {
    return new Promise((done, fail) => {
        const child = spawn("pulumi", args, {
            cwd: resolve(__dirname, "../.."),
            // Without it the CLI knows no --event-log.
            env: { ...process.env, PULUMI_DEBUG_COMMANDS: "true" },
            // stdout is left to what this command itself prints.
            stdio: ["ignore", process.stderr, process.stderr],
        });
        child.on("error", (error: NodeJS.ErrnoException) => {
            const missing = "pulumi is not on the PATH: install it; for the sandbox, `source .sandbox/env` first";
            fail(error.code === "ENOENT" ? new Error(missing) : error);
        });
        child.on("close", (code) => done(code ?? 1));
    });
}
