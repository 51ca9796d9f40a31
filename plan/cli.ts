// `npm run plan`: how many replicas, which target, what will it cost, will users wait.
import { writeFileSync } from "node:fs";
import { duration, styled } from "../machine/terminal";
import { UsageError } from "../tools/loadtest/usage-error";
import { drawDay } from "./drawing";
import { priced, type Hardware } from "./hardware";
import { number, readHardware, readProblem, readTraffic, readValues, usage, type Values } from "./options";
import { plan, type Progress } from "./plan";
import type { Problem, TrafficSource } from "./problem";
import { planPage } from "./report";
import { defaultServed, servedBy, type Served } from "./served";
import { planText } from "./text";

/** The traffic, and the settings of the model that it asks. Throws an Error for people. */
async function readRequest(values: Values): Promise<{ traffic: TrafficSource; served: Served }> {
    const { stack, model, live } = values;
    if (!live) {
        const traffic = readTraffic(values);
        return { traffic, served: stack === undefined ? defaultServed(model) : await servedBy(stack, model) };
    }
    const days = number(values, "days", 7, 0.05, 30);
    const scale = number(values, "scale", 1, 0.001, 1000);
    // Of no use without a stack, and slow to load.
    const { readLive } = await import("./live");
    const { past, served } = await readLive(values, days);
    return { traffic: { past, scale }, served };
}

/** What is to be compared with its prices, that of the settings first, and what there is to say of the prices. */
async function readPrices(values: Values, served: Served): Promise<{ hardware: Hardware[]; notes: string[] }> {
    const [first, ...others] = readHardware(values, served);
    if (values.price !== undefined) {
        const price = { perHour: number(values, "price", 0, 0.0001), currency: "EUR" };
        return {
            hardware: [{ ...first, price }],
            notes: ["the price, given with --price: so nothing else is compared"],
        };
    }
    const list = await served.prices();
    const found = [first, ...others].map((one) => priced(one, served.model.region, list));
    const missing = [...new Set(found.filter((one) => typeof one === "string"))];
    const own = typeof found[0] === "string" ? [first] : [];
    const hardware = [...own, ...found.filter((one) => typeof one !== "string")];
    return {
        // Without the price of the first there is nothing to compare with.
        hardware: own.length > 0 ? own : hardware,
        notes: [
            ...(list.source && missing.length < found.length ? [`prices: ${list.source}`] : []),
            ...(missing.length > 0 ? [`no price found of ${missing.join(", ")}: give --price or prices.file`] : []),
            ...list.remarks,
        ],
    };
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
    const { traffic, served } = await readRequest(values);
    const asked = readProblem(values, traffic, served);
    const { hardware, notes } = await readPrices(values, served);
    const stop = new AbortController();
    process.once("SIGINT", () => stop.abort());
    const progress = values.progress ?? (process.stderr.isTTY && !values.json);
    const found = await plan(asked, hardware, progress ? teller() : undefined, stop.signal);
    const problem: Problem = { ...asked, ...found.hardware };
    if (progress) process.stderr.write("\r\u001b[K");
    const { intervals, ...rest } = found;
    const json = JSON.stringify({ problem, notes, ...rest, day: intervals }, null, 2);
    if (values["json-file"] !== undefined) writeFileSync(values["json-file"], json);
    if (values.html !== undefined) writeFileSync(values.html, planPage(found, problem, served.name, notes));
    if (values.svg !== undefined) writeFileSync(values.svg, drawDay(found, problem));
    console.log(values.json ? json : planText(found, problem, served.name, notes));
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
