// `npm run pipeline`: what the jobs of GitHub Actions and GitLab CI do, so that the YAML only calls it (docs/pull-requests.md).
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { costChange } from "../cost/run";
import { driftIssue, marker, previewComment } from "./comment";
import { forgeOfJob } from "./forge";
import { previewStack } from "./preview";
import { parseReport } from "./report";
import { changedStacks } from "./stacks";

const usage = `Usage: npm run -s pipeline -- COMMAND [OPTIONS]

  stacks --base REF           the stacks that the commits since REF can change, as JSON; the sandbox is none of them
  preview --stack NAME --out FILE
                              pulumi preview and what it changes of the cost, written to FILE as a report
      --policy-pack DIR       also asks these policies
      --refresh               looks first for what has changed outside Pulumi
  comment FILE...             reports of previews as one comment, printed as Markdown
      --pull-request NUMBER   also keeps it as the one comment there
  drift FILE                  the report of a preview with --refresh as the body of an issue, printed as Markdown
      --publish               also opens or renews the issue, or closes it when nothing has drifted

Exit code: 0, 1 (a preview failed, or a policy refuses it), 2 (the command could not be carried out).`;

const root = resolve(__dirname, "../..");

async function main(): Promise<number> {
    const { values: options, positionals } = parseArgs({
        allowPositionals: true,
        options: {
            base: { type: "string" },
            stack: { type: "string" },
            out: { type: "string" },
            "policy-pack": { type: "string" },
            refresh: { type: "boolean", default: false },
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
            return stacks(required(options.base, "--base"));
        case "preview": {
            const out = required(options.out, "--out");
            const stack = required(options.stack, "--stack");
            const { refresh, "policy-pack": policyPack } = options;
            // Of what has changed outside Pulumi nobody asks what it costs.
            const cost = refresh
                ? undefined
                : await costChange(stack).catch((error: Error) => `Not known: ${error.message}`);
            const report = await previewStack({ stack, policyPack, refresh, cost });
            writeFileSync(out, `${JSON.stringify(report, undefined, 4)}\n`);
            return report.ok ? 0 : 1;
        }
        case "comment":
            return comment(files, options["pull-request"]);
        case "drift":
            return drift(files, options.publish);
        default:
            throw new Error(
                `${command === undefined ? "no command is given" : `there is no command "${command}"`}\n\n${usage}`,
            );
    }
}

function stacks(base: string): number {
    // Since the two parted, as a pull request shows it.
    const changed = execFileSync("git", ["diff", "--name-only", "-z", `${base}...HEAD`], {
        cwd: root,
        encoding: "utf8",
    });
    const known = readdirSync(root).flatMap((file) => /^Pulumi\.([\w-]+)\.yaml$/.exec(file)?.[1] ?? []);
    const real = known.filter((stack) => stack !== "sandbox").sort();
    console.log(JSON.stringify(changedStacks(changed.split("\0").filter(Boolean), real)));
    return 0;
}

async function comment(files: string[], pullRequest: string | undefined): Promise<number> {
    const body = previewComment(files.map((file) => parseReport(readFileSync(file, "utf8"), file)));
    console.log(body);
    if (pullRequest !== undefined) {
        if (!/^[1-9]\d*$/.test(pullRequest)) {
            throw new Error(`--pull-request ${pullRequest}: give the pull request's number`);
        }
        console.error(`comment ${await forgeOfJob(process.env).keepComment(Number(pullRequest), marker, body)}`);
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

main().then(
    (code) => (process.exitCode = code),
    (error: unknown) => {
        console.error((error as Error).message);
        process.exitCode = 2;
    },
);
