import { spawn } from "node:child_process";
import { copyFileSync, existsSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { createInterface } from "node:readline/promises";
import { duration, styled } from "../../machine/terminal";
import { watchOver } from "../interruptible";
import { checkout, type Layout } from "../layout";
import type { RunningDaemon } from "./daemon-process";
import { isInterrupted } from "./interruption";
import { putBackCommand, tourSteps, type TourStep } from "./tour-steps";
import { UserError } from "./user-error";

/** `npm run sandbox -- tour`: walks through the architecture, step by step, on the stack that runs. */

export interface TourOptions {
    /** Runs through without a question, the tearing down included. */
    yes?: boolean;
    /** Number of the step to begin with, as typed. */
    from?: string;
    /** Puts a question to the person; by default on the terminal. */
    ask?: (question: string) => Promise<string>;
}

/** Gives 0 when each step that was run showed what it was to show. */
export async function tour(layout: Layout, running: RunningDaemon | undefined, options: TourOptions): Promise<number> {
    if (!running || running.status.apps.length === 0 || !existsSync(layout.env)) {
        throw new UserError('there is no stack to look at: bring it up with "npm run sandbox"');
    }
    const { yes, ask = askOnTerminal } = options;
    if (!yes && !process.stdin.isTTY && !options.ask) {
        throw new UserError("the tour asks before each step: run it on a terminal, or through with --yes");
    }
    const config = inCheckout(layout, "tour.yaml");
    const mistake = inCheckout(layout, "mistake.yaml");
    const steps = tourSteps(running.info.prometheus, config, mistake);
    const first = firstStep(options.from, steps.length);
    copyFileSync(join(checkout, "Pulumi.sandbox.yaml"), join(checkout, config));
    console.log(
        'Ten steps on the stack that runs. Each says what it changes; the end of the tour\nputs that back, and so does "npm run sandbox".',
    );
    const failed: string[] = [];
    let toPutBack = false;
    let number = first;
    for (; number <= steps.length; number++) {
        const step = steps[number - 1];
        announce(step, number, steps.length);
        const isLast = number === steps.length;
        if (!yes && !(await agrees(ask, isLast))) break;
        // Also of one that fails half-way.
        if (step.changes && !step.passes) toPutBack = !isLast;
        if (!(await shows(step, layout))) failed.push(`step ${number}`);
        if (isInterrupted()) return interrupted(number);
    }
    if (toPutBack && !(await putBack(layout))) failed.push("putting it back");
    for (const file of [config, mistake]) rmSync(join(checkout, file), { force: true });
    if (number <= steps.length) console.log(`\nGo on with: npm run sandbox -- tour ${number}`);
    if (failed.length === 0) return 0;
    console.error(styled("red", `\nNot as it was to be: ${failed.join(", ")}. See ${layout.daemonLog}`));
    return 1;
}

function firstStep(text: string | undefined, count: number): number {
    if (text === undefined) return 1;
    const number = Number(text);
    if (Number.isInteger(number) && number >= 1 && number <= count) return number;
    throw new UserError(`tour ${text}: give the number of a step, 1 to ${count}`);
}

function announce(step: TourStep, number: number, count: number): void {
    console.log(`
${styled("bold", `${number}/${count}  ${step.title}`)}
${wrapped(step.about)}
${styled("cyan", indented(step.command, "    $ ", "      "))}
${wrapped(`Look for: ${step.sees}.`)}
${wrapped(`Changes: ${step.changes ?? "nothing"}.`)}`);
}

/** A path as it is typed in the checkout. */
function inCheckout(layout: Layout, file: string): string {
    return relative(checkout, join(layout.dir, file));
}

/** Whether the person wants the step; the tearing down wants a yes. */
async function agrees(ask: (question: string) => Promise<string>, isLast: boolean): Promise<boolean> {
    const question = isLast ? "  Tear it down? y, or Enter to keep it: " : "  Enter to run it, q to end: ";
    const answer = (await ask(question)).trim().toLowerCase();
    return isLast ? /^y(es)?$/.test(answer) : !/^q/.test(answer);
}

/** An input that has ended is a q. */
async function askOnTerminal(question: string): Promise<string> {
    // Not as a terminal's editor: Ctrl-C stays a signal.
    const asking = createInterface({ input: process.stdin, output: process.stdout, terminal: false });
    const closed = new Promise<string>((resolve) => asking.once("close", () => resolve("q")));
    const answer = await Promise.race([asking.question(question), closed]);
    asking.close();
    return answer;
}

/** Runs a step and says whether it showed what it was to show. */
async function shows({ command, seen, fails }: TourStep, layout: Layout): Promise<boolean> {
    const started = performance.now();
    const { code, output } = await bash(command, layout);
    const took = duration(performance.now() - started);
    const asMeant = fails ? code !== 0 : code === 0;
    const ok = asMeant && seen.test(output);
    if (ok) console.log(styled("green", `  ✓ ${took}`));
    else {
        const why = asMeant ? "what to look for is not there" : fails ? "this was to fail" : `exit code ${code}`;
        console.log(styled("red", `  ✗ ${took}: ${why}`));
    }
    return ok;
}

/** Runs lines of bash as a person would, and passes on what they print, indented. */
function bash(lines: string, layout: Layout): Promise<{ code: number; output: string }> {
    return new Promise((resolve, reject) => {
        const script = 'set -eo pipefail; source "$1"; eval "$2"';
        const child = spawn("bash", ["--norc", "-c", script, "bash", layout.env, lines], {
            cwd: checkout,
            env: { ...process.env, NO_COLOR: "1" },
            stdio: ["ignore", "pipe", "pipe"],
            // A group of its own, which is told of Ctrl-C once.
            detached: true,
        });
        watchOver(child, "group");
        let output = "";
        let atStart = true;
        const show = (text: string): void => {
            output += text;
            process.stdout.write((atStart ? "    " : "") + text.replace(/\n(?=.)/gs, "\n    "));
            atStart = text.endsWith("\n");
        };
        child.stdout.setEncoding("utf8").on("data", show);
        child.stderr.setEncoding("utf8").on("data", show);
        child.on("error", (error) => reject(new UserError(`the tour needs bash: ${error.message}`)));
        child.on("close", (code) => resolve({ code: code ?? 130, output }));
    });
}

async function putBack(layout: Layout): Promise<boolean> {
    console.log(`\nThe stack is put back as it was:\n${styled("cyan", `    $ ${putBackCommand}`)}`);
    const { code } = await bash(putBackCommand, layout);
    return code === 0;
}

function interrupted(step: number): number {
    console.error(`\n"npm run sandbox" puts back what was changed; "npm run sandbox -- tour ${step}" goes on.`);
    return 130;
}

function wrapped(text: string, width = 78): string {
    const lines: string[] = [""];
    for (const word of text.split(" ")) {
        const line = lines[lines.length - 1];
        if (line !== "" && line.length + word.length + 3 > width) lines.push(word);
        else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
    }
    return indented(lines.join("\n"), "  ", "  ");
}

function indented(text: string, first: string, others: string): string {
    return first + text.replaceAll("\n", `\n${others}`);
}
