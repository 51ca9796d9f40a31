// `npm run loadtest`: the reference architecture's load test, and other loads.
import { renameSync, writeFileSync } from "node:fs";
import { styled } from "../../machine/terminal";
import { authorities, checkResultFile, errorText } from "../command-line";
import { awaken } from "../wake";
import { servedModels } from "./client";
import { compareFiles } from "./compare";
import type { LoadConfig } from "./config";
import { Connector, type Endpoint } from "./connection";
import { requestsCsv } from "./csv";
import { reportPage } from "./html";
import { readOptions, usage } from "./options";
import { ReplicaWatch } from "./replicas";
import { makeReport, type Report } from "./report";
import { LoadRun, type Elsewhere } from "./run";
import { requestsPerWorker } from "./schedule";
import { ServerWatch } from "./server-metrics";
import { stackTarget, urlTarget, type Target } from "./target";
import { progressLines, reportText } from "./text";
import { UsageError } from "./usage-error";

/** How often the platform is asked for the replica count: 12 of the 60 requests a minute that OVHcloud allows. */
const replicaPeriodMs = 5000;

async function main(): Promise<number> {
    const args = process.argv.slice(2);
    if (args[0] === "compare") {
        const isAsked = args.includes("--help") || args.includes("-h");
        console.log(isAsked ? usage : compareFiles(args.slice(1)));
        return 0;
    }
    const options = readOptions(args);
    if (options.help) {
        console.log(usage);
        return 0;
    }
    const { config } = options;
    for (const result of ["json", "html", "csv"] as const) checkResultFile(result, config[result]);
    const target: Target =
        config.url === undefined
            ? await stackTarget(config.stack, config.model)
            : urlTarget(config.url, config.model, config.app);
    const endpoint: Endpoint = {
        baseUrl: target.baseUrl,
        token: target.token,
        ca: authorities(config.ca),
    };
    const connector = new Connector(endpoint);
    await awaken(target.app, { wake: false, knock: () => servedModels(connector), log: console.log });
    const run = new LoadRun(
        config,
        await chooseModel(connector, target.model),
        endpoint,
        await elsewhere(config, target),
    );
    const interrupted = heedInterrupts(run);
    console.log(`${headline(config, run)} to ${connector.shown(run.model)} at ${target.baseUrl}\n`);

    const replicas =
        typeof target.app === "string" ? undefined : new ReplicaWatch(target.app, () => run.now(), pollMs());
    const server = new ServerWatch(endpoint);
    void replicas?.begin();
    void server.begin();
    const startedAt = new Date();
    const endProgress = showProgress(() => progressLines(run, replicas?.samples ?? []));
    await run.run();
    endProgress();
    replicas?.stop();

    const report = makeReport({
        startedAt,
        run,
        targets: { ttft: config.ttftTarget ?? target.targets?.ttft, itl: config.itlTarget ?? target.targets?.itl },
        replicaPrice: config.replicaPrice ?? target.replicaPrice,
        replicas: replicas?.samples ?? [],
        replicasUnknown: typeof target.app === "string" ? target.app : replicas?.failure,
        server: await server.end(),
    });
    console.log(reportText(report));
    if (config.json !== undefined) writeResult("Report", config.json, JSON.stringify(report, null, 4) + "\n");
    if (config.html !== undefined) writeResult("Page", config.html, reportPage(report));
    if (config.csv !== undefined) writeResult("Requests", config.csv, requestsCsv(run, replicas?.samples ?? []));
    return interrupted() ? 130 : verdict(report, config.maxErrorRate);
}

/** Has pods of the stack's cluster send, where that is asked for; a client of Kubernetes takes a second of CPU to load. */
async function elsewhere({ inCluster: pods }: LoadConfig, { cluster }: Target): Promise<Elsewhere | undefined> {
    if (pods === undefined) return undefined;
    const { inCluster } = await import("./in-cluster/elsewhere");
    return inCluster(pods, cluster!());
}

/** Ctrl-C ends the run, and its report is made; whoever asks twice does not want to wait. Tells whether it came. */
function heedInterrupts(run: LoadRun): () => boolean {
    let interrupted = false;
    const interrupt = (signal: NodeJS.Signals): void => {
        if (interrupted) process.exit(130);
        interrupted = true;
        run.stop(`interrupted by ${signal === "SIGINT" ? "Ctrl-C" : signal}`);
    };
    process.on("SIGINT", interrupt);
    process.on("SIGTERM", interrupt);
    return () => interrupted;
}

/** The load in a few words. */
function headline(config: LoadConfig, run: LoadRun): string {
    const { workers, rate, arrivals, burst, ramp, duration, trace, traceSpeed } = config;
    const each =
        (duration === undefined ? "" : ` for ${duration} s`) +
        (config.inCluster === undefined ? "" : ` from ${config.inCluster} pods of the cluster`);
    if (trace !== undefined) {
        return `${run.planned} requests of a trace, ${traceSpeed} times as fast as they were${each},`;
    }
    if (rate) {
        const groups = burst > 1 ? ` in bursts of ${burst}` : "";
        return `${rate.join(", then ")} requests/s (${arrivals})${groups}${each}, rate reached over ${ramp} s,`;
    }
    const perWorker = requestsPerWorker(config);
    const requests = perWorker === Infinity ? "" : ` x ${perWorker} requests`;
    return `${workers.join(", then ")} workers${requests}${each}, started over ${ramp} s,`;
}

function verdict({ requests, stopped, valid }: Report, maxErrorRate: number): number {
    const say = (code: number, text: string): number => {
        console.error(styled("red", `\nfailed: ${text}`));
        return code;
    };
    if (requests.ok === 0) return say(1, "no request succeeded");
    if (stopped) return say(1, "the run could not be finished");
    const rate = requests.errors / requests.total;
    if (rate > maxErrorRate) {
        return say(
            1,
            `${(100 * rate).toFixed(1)} % of the requests failed, more than --max-error-rate ${maxErrorRate}`,
        );
    }
    return valid ? 0 : say(3, "the client or its machine was the limit");
}

function writeResult(name: string, file: string, text: string): void {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
    console.log(`\n${name}: ${file}`);
}

/** Asks the app what it serves, which also shows that it can be reached and that the token opens it. */
async function chooseModel(connector: Connector, wanted: string | undefined): Promise<string> {
    const served = await servedModels(connector);
    if (wanted === undefined && served.length > 0) return served[0];
    if (wanted !== undefined && served.includes(wanted)) return wanted;
    throw new Error(`the app serves ${connector.shown(served.join(", ")) || "no model"}, not ${wanted ?? "any"}`);
}

/** The poll interval that the AI Deploy provider is told, so that one setting fits a sandbox to its speed. */
function pollMs(): number {
    const text = process.env.OVH_AI_DEPLOY_POLL_MS;
    if (!text) return replicaPeriodMs;
    if (!(Number(text) > 0)) {
        throw new UsageError(`OVH_AI_DEPLOY_POLL_MS is "${text}": give a number above 0, or unset it`);
    }
    return Number(text);
}

/** Lines that are written over on a terminal, one long line every ten seconds elsewhere. Returns what ends it. */
function showProgress(lines: () => string[]): () => void {
    const { stdout } = process;
    if (!stdout.isTTY) {
        const print = (): void => console.log(lines().join(" · "));
        const timer = setInterval(print, 10_000);
        return () => {
            clearInterval(timer);
            print();
            console.log();
        };
    }
    let drawn = 0;
    const draw = (): void => {
        // No wider than the terminal: a line that wraps would be two to go back over.
        const now = lines().map((line) => line.slice(0, (stdout.columns ?? 80) - 1));
        stdout.write((drawn > 0 ? `\x1b[${drawn}A` : "") + now.map((line) => `\x1b[2K${line}\n`).join(""));
        drawn = now.length;
    };
    const timer = setInterval(draw, 500);
    return () => {
        clearInterval(timer);
        draw();
        console.log();
    };
}

main().then(
    (code) => process.exit(code),
    (error: unknown) => {
        console.error(errorText(error as Error));
        // Not the usage itself: in a terminal it would push the message out of sight.
        if (error instanceof UsageError) console.error("See npm run loadtest -- --help");
        process.exit(2);
    },
);
