// `npm run loadtest`: the reference architecture's load test.
import { accessSync, constants, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { rootCertificates } from "node:tls";
import { parseArgs } from "node:util";
import { styled } from "../../machine/terminal";
import { Connector, servedModels } from "./client";
import { Load, type LoadSettings } from "./load";
import { ReplicaWatch } from "./replicas";
import { makeReport, type Report } from "./report";
import { clientLimits, SelfObserver } from "./self-report";
import { stackTarget, urlTarget, type Target } from "./target";
import { progressLines, reportText } from "./text";

const usage = `Usage: npm run loadtest [-- OPTIONS]

Sends chat completions to the model of a stack, as many workers that each ask, read the streamed answer, and ask again.
Prompts are drawn from a pool of short, medium and long ones.

Target
  --stack NAME           stack whose outputs hold URL and token (default: the selected stack)
  --model NAME           which model of the stack, when it has several; with --url: the id that requests name
  --url URL              instead of a stack: OpenAI base URL; the token is taken from OPENAI_API_KEY
  --app ID               with --url: AI Deploy app whose replicas are counted (credentials: OVH_*, project:
                         OVH_CLOUD_PROJECT_SERVICE)
  --ca FILE              also trust this certificate authority (PEM)

Load
  --workers N            default 500
  --requests N           per worker, default 25
  --ramp SECONDS         over which the workers start, default 10
  --max-tokens N         per answer, default 768
  --seed N               of the draw of prompts, default 1
  --timeout SECONDS      for one request, default 300
  --connection-age SECONDS   after which a worker opens a new connection, give or take half, default 30; 0: one for each
                         request

Result
  --max-error-rate SHARE exit code 1 when a larger share of requests fails, default 0.05
  --json FILE            also write the report there

Exit code: 0, 1 (nothing succeeded, or too many errors), 2 (could not start), 130 (Ctrl-C; the report is still made).`;

/** A setting that cannot be used: shown with a hint at the usage. */
class UsageError extends Error {}

/** How often the platform is asked for the replica count: 12 of the 60 requests a minute that OVHcloud allows. */
const replicaPeriodMs = 5000;
const longestDay = 86_400;

function readOptions() {
    let values;
    try {
        ({ values } = parseArgs({
            options: {
                stack: { type: "string" },
                model: { type: "string" },
                url: { type: "string" },
                app: { type: "string" },
                ca: { type: "string" },
                workers: { type: "string" },
                requests: { type: "string" },
                ramp: { type: "string" },
                "max-tokens": { type: "string" },
                seed: { type: "string" },
                timeout: { type: "string" },
                "connection-age": { type: "string" },
                "max-error-rate": { type: "string" },
                json: { type: "string" },
                help: { type: "boolean", short: "h" },
            },
        }));
    } catch (error) {
        throw new UsageError((error as Error).message);
    }
    const given = values;
    if (given.url !== undefined && given.stack !== undefined) {
        throw new UsageError("--url and --stack exclude each other");
    }
    if (given.app !== undefined && given.url === undefined) throw new UsageError("--app is only for --url");
    const number = (
        name: Exclude<keyof typeof given, "help">,
        fallback: number,
        least: number,
        most: number,
        whole = false,
    ): number => {
        const text = given[name];
        if (text === undefined) return fallback;
        const value = text.trim() === "" ? NaN : Number(text);
        if (!(value >= least && value <= most) || (whole && !Number.isInteger(value))) {
            throw new UsageError(`--${name} ${text}: give a ${whole ? "whole " : ""}number from ${least} to ${most}`);
        }
        return value;
    };
    const settings: LoadSettings = {
        workers: number("workers", 500, 1, 20_000, true),
        requests: number("requests", 25, 1, 1_000_000, true),
        rampSeconds: number("ramp", 10, 0, longestDay),
        maxTokens: number("max-tokens", 768, 1, 1_000_000, true),
        seed: number("seed", 1, 0, 2 ** 32, true),
        timeoutSeconds: number("timeout", 300, 0.1, longestDay),
        connectionAgeSeconds: number("connection-age", 30, 0, longestDay),
    };
    return { ...given, settings, maxErrorRate: number("max-error-rate", 0.05, 0, 1) };
}

/** Refuses what the report could not be written to before any load: a run of an hour is not to fail at its end. */
function checkReportFile(file: string): void {
    const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
    const folder = dirname(file);
    // A path that ends in a slash is a folder, whether it is there or not.
    if (!file.endsWith("/") && !isFolder(folder)) {
        throw new UsageError(`--json ${file}: make its folder first, ${folder} is none`);
    }
    if (file === "" || file.endsWith("/") || isFolder(file)) {
        throw new UsageError(`--json ${file} is a folder: name a file, such as ${join(file, "report.json")}`);
    }
    try {
        accessSync(folder, constants.W_OK);
    } catch (error) {
        throw new UsageError(`--json ${file}: nothing can be written there (${(error as Error).message})`);
    }
}

async function main(): Promise<number> {
    const options = readOptions();
    if (options.help) {
        console.log(usage);
        return 0;
    }
    const { settings } = options;
    if (options.json !== undefined) checkReportFile(options.json);
    const target: Target =
        options.url === undefined
            ? await stackTarget(options.stack, options.model)
            : urlTarget(options.url, options.model, options.app);
    const connector = new Connector({
        baseUrl: target.baseUrl,
        token: target.token,
        ca: options.ca === undefined ? undefined : [...rootCertificates, readFileSync(options.ca, "utf8")],
    });
    const model = await chooseModel(connector, target.model);
    const load = new Load(settings, model, connector);
    let interrupted = false;
    const interrupt = (signal: NodeJS.Signals): void => {
        if (interrupted) process.exit(130); // whoever asks twice does not want to wait
        interrupted = true;
        load.stop(`interrupted by ${signal === "SIGINT" ? "Ctrl-C" : signal}`);
    };
    process.on("SIGINT", interrupt);
    process.on("SIGTERM", interrupt);
    console.log(
        `${settings.workers} workers x ${settings.requests} requests to ${connector.shown(model)} at ${target.baseUrl}, ` +
            `started over ${settings.rampSeconds} s, at most ${settings.maxTokens} tokens each\n`,
    );

    const replicas =
        typeof target.app === "string" ? undefined : new ReplicaWatch(target.app, () => load.now(), pollMs());
    void replicas?.begin();
    const startedAt = new Date();
    const observer = new SelfObserver();
    const endProgress = showProgress(() => progressLines(load, replicas?.samples ?? []));
    await load.run();
    const wallSeconds = load.now();
    endProgress();
    replicas?.stop();

    const client = observer.end(load.outcomes.map(({ scheduleDelay }) => scheduleDelay));
    const report = makeReport({
        startedAt,
        target: { baseUrl: target.baseUrl, model },
        load,
        wallSeconds,
        replicas: replicas?.samples ?? [],
        replicasUnknown: typeof target.app === "string" ? target.app : replicas?.failure,
        connections: connector.opened,
        client,
        clientLimits: clientLimits(client, ["127.0.0.1", "localhost", "[::1]"].includes(connector.url.hostname)),
    });
    console.log(reportText(report));
    if (options.json !== undefined) {
        writeFileSync(`${options.json}.new`, JSON.stringify(report, null, 4) + "\n");
        renameSync(`${options.json}.new`, options.json);
        console.log(`\nReport: ${options.json}`);
    }
    return interrupted ? 130 : verdict(report, options.maxErrorRate);
}

function verdict({ requests, stopped }: Report, maxErrorRate: number): number {
    const say = (text: string): number => {
        console.error(styled("red", `\nfailed: ${text}`));
        return 1;
    };
    if (requests.ok === 0) return say("no request succeeded");
    if (stopped) return say("the run could not be finished");
    const rate = requests.errors / requests.total;
    if (rate > maxErrorRate) {
        return say(`${(100 * rate).toFixed(1)} % of the requests failed, more than --max-error-rate ${maxErrorRate}`);
    }
    return 0;
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
        const { message } = error as Error;
        console.error(styled("red", `error: ${message}`) + (error instanceof UsageError ? "\n\n" + usage : ""));
        process.exit(2);
    },
);
