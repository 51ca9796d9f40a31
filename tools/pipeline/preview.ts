import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { mask } from "../../packages/ai-deploy/src/errors/mask";
import { costChange } from "../cost/run";
import { pulumi } from "../stack";
import { CutOffError, kindOf, nameOf, readEvents } from "./events";
import { failedReport, reportOf, type Report } from "./report";

export interface PreviewOptions {
    stack: string;
    /** Folder of a policy pack that is asked. */
    policyPack?: string;
    /** Looks first whether everything is still as the state has it; changes nothing of the state. */
    refresh: boolean;
}

const root = resolve(__dirname, "../..");

/**
 * Runs `pulumi preview` in the checkout; what it prints goes where this process's output goes. Whatever is wrong with the stack is in
 * the report, so that whoever reads the comment sees it.
 * @throws Error when `pulumi` cannot be started
 */
export async function previewStack(options: PreviewOptions): Promise<Report> {
    const file = `Pulumi.${options.stack.split("/").at(-1)}.yaml`;
    const isThere = existsSync(join(root, file));
    const report = isThere ? await reportOfPreview(options) : await reportWithoutConfig(options, file);
    // The engine has said its own.
    if (!isThere) for (const text of [...report.errors, ...report.warnings]) console.error(text);
    // The report leaves the job, whose log masks them.
    return JSON.parse(mask(JSON.stringify(report), secretsOf(process.env))) as Report;
}

async function reportOfPreview({ stack, policyPack, refresh }: PreviewOptions): Promise<Report> {
    // Readable to its owner alone, since the log has secrets in clear, and gone before this returns.
    const folder = mkdtempSync(join(tmpdir(), "preview-"));
    const log = join(folder, "events.jsonl");
    try {
        const { code, errors } = await runPulumi([
            "preview",
            ...["--stack", stack, "--diff", "--non-interactive", "--color", "never", "--event-log", log],
            ...(policyPack === undefined ? [] : ["--policy-pack", resolve(policyPack)]),
            ...(refresh ? ["--refresh"] : []),
        ]);
        if (!existsSync(log)) {
            const firstTime = errors.some((text) => text.includes("no stack named")) ? [howToBegin(stack)] : [];
            return failedReport(stack, [...errors, ...firstTime]);
        }
        // Of what has changed outside Pulumi nobody asks what it costs.
        const cost = refresh ? undefined : await costOf(stack);
        const report = reportOf(readEvents(readFileSync(log, "utf8")), {
            stack,
            policiesRun: policyPack !== undefined,
            cost,
        });
        return { ...report, ok: report.ok && code === 0 };
    } catch (error) {
        if (error instanceof CutOffError) return failedReport(stack, [error.message]);
        throw error;
    } finally {
        rmSync(folder, { recursive: true, force: true });
    }
}

function costOf(stack: string): Promise<string> {
    return costChange(stack).catch(({ message }: Error) => `Not known: ${message}`);
}

function howToBegin(stack: string): string {
    return (
        `A new stack is made once, by hand: pulumi stack init ${stack}. Its jobs need the environments ${stack}-preview, ` +
        `${stack}-drift and ${stack} with their secrets: docs/pull-requests.md`
    );
}

/** Of a stack whose config is deleted: does anything of it still stand? */
async function reportWithoutConfig({ stack }: PreviewOptions, file: string): Promise<Report> {
    let exported: string;
    try {
        exported = await pulumi(["stack", "export"], stack);
    } catch (error) {
        const { message } = error as Error;
        if (!message.includes("no stack named")) return failedReport(stack, [message]);
        const nothing = `there is neither ${file} nor a stack ${stack}: nothing is left of it`;
        return { ...failedReport(stack, []), ok: true, warnings: [nothing] };
    }
    const { deployment } = JSON.parse(exported) as {
        deployment?: { resources?: { urn: string; type: string; custom?: boolean }[] };
    };
    const standing = (deployment?.resources ?? []).filter(
        ({ custom, type }) => custom && !type.startsWith("pulumi:providers:"),
    );
    const removal = `pulumi stack rm ${stack}`;
    if (standing.length === 0) {
        return { ...failedReport(stack, []), ok: true, warnings: [`the stack ${stack} has no resources: ${removal}`] };
    }
    const billed = standing.filter((one) => ["App", "Kube", "FloatingIp"].includes(kindOf(one)));
    const names = billed.map((one) => `${kindOf(one)} ${nameOf(one.urn)}`).join(", ");
    return failedReport(stack, [
        `${file} is gone, and the stack is not: ${standing.length} resources stay as they are` +
            `${names && `, and are billed (${names})`}, and neither a deployment nor the nightly look sees to them any more. ` +
            `Before the file goes: pulumi destroy --stack ${stack}, then ${removal}`,
    ]);
}

/** What a job was given in confidence: by the names of its variables, and the password in an address of a backend. */
function secretsOf(env: NodeJS.ProcessEnv): string[] {
    const named = Object.entries(env).filter(([name]) => /SECRET|PASSWORD|PASSPHRASE|TOKEN|_KEY$/.test(name));
    const [, password] = /^\w+:\/\/[^/@:]*:([^/@]+)@/.exec(env.PULUMI_BACKEND_URL ?? "") ?? [];
    return [...named.map(([, value]) => value ?? ""), password ?? ""];
}

/** Runs it, and resolves with its exit code and the errors that it printed. */
function runPulumi(args: string[]): Promise<{ code: number; errors: string[] }> {
    return new Promise((done, fail) => {
        const child = spawn("pulumi", args, {
            cwd: root,
            // Without it the CLI knows no --event-log.
            env: { ...process.env, PULUMI_DEBUG_COMMANDS: "true" },
            stdio: ["ignore", "pipe", "pipe"],
        });
        let said = "";
        child.stdout.pipe(process.stderr, { end: false });
        child.stderr.pipe(process.stderr, { end: false });
        child.stderr.on("data", (part: Buffer) => (said += part.toString()));
        child.on("error", (error: NodeJS.ErrnoException) => {
            const missing = "pulumi is not on the PATH: install it; for the sandbox, `source .sandbox/env` first";
            fail(error.code === "ENOENT" ? new Error(missing) : error);
        });
        child.on("close", (code) => done({ code: code ?? 1, errors: errorsIn(said) }));
    });
}

/** What the CLI says before there are events: each error with the lines that belong to it. */
function errorsIn(said: string): string[] {
    return said
        .split(/^(?=error: )/m)
        .filter((text) => text.startsWith("error: "))
        .map((text) => text.slice("error: ".length).trim());
}
