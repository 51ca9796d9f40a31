import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { commandLine } from "../command-line";
import { changedFiles } from "./changed-files";
import { driftIssue, longestSummary, marker, previewComment } from "./comment";
import { forgeOfJob, gitHubOfJob } from "./forge";
import { previewStack } from "./preview";
import { failedReport, parseReport, type Report } from "./report";
import { changedStacks, deletedStacks, stacksIn } from "./stacks";

const usage = `Usage: npm run -s pipeline -- COMMAND [OPTIONS]

  stacks                      the stacks that have a file, as JSON; the sandbox is none of them
      --base REF              those that the commits since REF can change
      --with-deleted          and those whose file these commits delete
      --deployed              those that the commits since this workflow's last run at GitHub that succeeded can change: so
                              what a run has left that failed, or never began
  preview --stack NAME --out FILE
                              pulumi preview and what it changes of the cost, written to FILE as a report
      --policy-pack DIR       also asks these policies
      --refresh               looks first for what has changed outside Pulumi
  comment [FILE...]           reports of previews as one comment, printed as Markdown
      --in FOLDER             all reports that this folder holds, which need not be there
      --expect JSON           the stacks of which there must be a report: one that has none has failed. May be given twice
      --pull-request NUMBER   also keeps it as the one comment there
  drift FILE                  the report of a preview with --refresh as the body of an issue, printed as Markdown
      --publish               also opens or renews the issue, or closes it when nothing has drifted

Exit code: 0, 1 (a preview failed, or a policy refuses it), 2 (the command could not be carried out).`;

const root = resolve(__dirname, "../..");

/** `npm run pipeline` with these options; resolves with the exit code. Rejects with an Error for people. */
export async function runPipeline(args: string[]): Promise<number> {
    const { values: options, positionals } = commandLine({
        args,
        allowPositionals: true,
        options: {
            base: { type: "string" },
            "with-deleted": { type: "boolean", default: false },
            deployed: { type: "boolean", default: false },
            stack: { type: "string" },
            out: { type: "string" },
            "policy-pack": { type: "string" },
            refresh: { type: "boolean", default: false },
            in: { type: "string" },
            expect: { type: "string", multiple: true, default: [] },
            "pull-request": { type: "string" },
            publish: { type: "boolean", default: false },
            help: { type: "boolean", short: "h", default: false },
        },
    });
    const [command, ...files] = positionals;
    if (options.help) {
        console.log(usage);
        return 0;
    }
    switch (command) {
        case "stacks":
            console.log(JSON.stringify(await stacks(options)));
            return 0;
        case "preview": {
            const out = required(options.out, "--out");
            const stack = required(options.stack, "--stack");
            const { refresh, "policy-pack": policyPack } = options;
            const report = await previewStack({ stack, policyPack, refresh });
            mkdirSync(dirname(out), { recursive: true });
            writeFileSync(out, `${JSON.stringify(report, undefined, 4)}\n`);
            return report.ok ? 0 : 1;
        }
        case "comment": {
            const found = [...files, ...(options.in === undefined ? [] : reportsIn(options.in))];
            const reports = found.map((file) => parseReport(readFileSync(file, "utf8"), file));
            return comment(withMissing(reports, options.expect), options["pull-request"]);
        }
        case "drift":
            return drift(files, options.publish);
        default:
            throw new Error(
                `${command === undefined ? "no command is given" : `there is no command "${command}"`}\n\n${usage}`,
            );
    }
}

interface Which {
    base?: string;
    deployed: boolean;
    "with-deleted": boolean;
}

async function stacks({ base, deployed, "with-deleted": withDeleted }: Which): Promise<string[]> {
    const all = stacksIn(readdirSync(root));
    if (base === undefined && !deployed) return all;
    const since = deployed ? await gitHubOfJob(process.env).lastSuccess() : base;
    const files = since === undefined ? undefined : changedFiles(root, since);
    if (files === undefined) {
        console.error(`what has changed since ${since ?? "the last deployment"} is not known here: every stack counts`);
        return all;
    }
    return [...changedStacks(files, all), ...(withDeleted ? deletedStacks(files, all) : [])];
}

function reportsIn(folder: string): string[] {
    try {
        return readdirSync(folder).map((file) => join(folder, file));
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
        throw error;
    }
}

/** Each stack of which a report is expected has one: a job that ended before it wrote one has failed. */
function withMissing(reports: Report[], expected: string[]): Report[] {
    const names = expected
        .flatMap((json) => namesIn(json))
        .filter((name) => reports.every(({ stack }) => stack !== name));
    return [
        ...reports,
        ...names.map((name) => failedReport(name, ["Its job ended before a preview began; see its log."])),
    ];
}

function namesIn(json: string): string[] {
    try {
        return z.array(z.string()).parse(JSON.parse(json));
    } catch {
        throw new Error(
            `--expect '${json}': give a list of stacks as \`pipeline -- stacks\` prints it, such as '["dev"]'`,
        );
    }
}

async function comment(reports: Report[], pullRequest: string | undefined): Promise<number> {
    console.log(previewComment(reports, longestSummary));
    if (pullRequest !== undefined) {
        if (!/^[1-9]\d*$/.test(pullRequest)) {
            throw new Error(`--pull-request ${pullRequest}: give the pull request's number`);
        }
        const forge = forgeOfJob(process.env);
        console.error(`comment ${await forge.keepComment(Number(pullRequest), marker, previewComment(reports))}`);
    }
    return 0;
}

async function drift(files: string[], publish: boolean): Promise<number> {
    if (files.length !== 1) throw new Error(`give one report; ${files.length} are given`);
    const report = parseReport(readFileSync(files[0], "utf8"), files[0]);
    const body = driftIssue(report);
    const title = `Stack ${report.stack} is not as its last up left it`;
    console.log(body ?? `Stack ${report.stack} is as its last up left it.`);
    if (!publish) return 0;
    const forge = forgeOfJob(process.env);
    const gone = "Nothing differs any more.";
    console.error(`issue ${await (body === undefined ? forge.closeIssue(title, gone) : forge.keepIssue(title, body))}`);
    return 0;
}

function required(value: string | undefined, option: string): string {
    if (value === undefined || value === "") throw new Error(`${option} is not given\n\n${usage}`);
    return value;
}
