// `npm run plan`: how many replicas, which target, what will it cost, will users wait.
import { writeFileSync } from "node:fs";
import { duration, styled } from "../machine/terminal";
import { UsageError } from "../tools/loadtest/usage-error";
import { drawDay } from "./drawing";
import { number, readProblem, readTraffic, readValues, usage, type Values } from "./options";
import { plan, type Progress } from "./plan";
import type { Problem } from "./problem";
import { planPage } from "./report";
import { planText, type Price } from "./text";

/** What is asked, and the model whose settings are printed. Throws an Error for people. */
async function readRequest(values: Values): Promise<{ problem: Problem; model: string }> {
    if (!values.live) return { problem: readProblem(values, readTraffic(values)), model: values.model ?? "ministral" };
    const days = number(values, "days", 7, 1 / 24, 30);
    const scale = number(values, "scale", 1, 0.001, 1000);
    // Of no use without a stack, and slow to load.
    const { readLive } = await import("./live");
    const { name, past, targets } = await readLive(values, days);
    return { problem: readProblem(values, { past, scale }, targets), model: name };
}

/** Tells on one line how far it is and how long it will take, at the speed so far. */
function teller(): (progress: Progress) => void {
    const began = performance.now();
    return ({ done, expected, best }) => {
        const left = (performance.now() - began) * (Math.max(0, expected - done) / done);
        const sofar = best
            ? `best so far ${(best.replicaHours / best.hours).toFixed(2)} replicas on average`
            : "none keeps the targets yet";
        process.stderr.write(`\r\u001b[K${done} runs, about ${duration(left)} left, ${sofar}`);
    };
}

async function main(): Promise<number> {
    const values = readValues();
    if (values.help) {
        console.log(usage);
        return 0;
    }
    const price: Price | undefined =
        values.price === undefined ? undefined : { perHour: number(values, "price", 0, 0.0001), currency: "EUR" };
    const { problem, model } = await readRequest(values);
    const stop = new AbortController();
    process.once("SIGINT", () => stop.abort());
    const progress = values.progress ?? (process.stderr.isTTY && !values.json);
    const found = await plan(problem, progress ? teller() : undefined, stop.signal);
    if (progress) process.stderr.write("\r\u001b[K");
    const { intervals, ...rest } = found;
    const json = JSON.stringify({ problem, ...rest, day: intervals }, null, 2);
    if (values["json-file"] !== undefined) writeFileSync(values["json-file"], json);
    if (values.html !== undefined) writeFileSync(values.html, planPage(found, problem, model, price));
    if (values.svg !== undefined) writeFileSync(values.svg, drawDay(found, problem));
    console.log(values.json ? json : planText(found, problem, model, price));
    if (stop.signal.aborted && !values.json) {
        console.log(styled("yellow", "\nEnded early: the best of what was tried by then."));
    }
    if (stop.signal.aborted) return 130;
    return found.best ? 0 : 1;
}

main().then(
    (code) => (process.exitCode = code),
    (error: Error) => {
        console.error(styled("red", error.message));
        if (error instanceof UsageError) console.error("See npm run plan -- --help");
        process.exitCode = 2;
    },
);
