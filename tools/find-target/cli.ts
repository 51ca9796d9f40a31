// `npm run find-target`: what scaling target, max-num-seqs and number of replicas fit the latency targets?
import { writeFileSync } from "node:fs";
import { stringify } from "yaml";
import { OvhClient } from "../../packages/ai-deploy/src/api/client";
import { styled, table } from "../../machine/terminal";
import type { ModelSettings } from "../../src/settings";
import { maxNumSeqs } from "../../src/vllm/limits";
import { authorities, checkResultFile, commandLine, errorText } from "../command-line";
import { chooseModel, readStack, stackApi, stackSettings } from "../stack";
import { readApp } from "../verify/app";
import { calibrate, type Measurement } from "./calibrate";
import { measureLevel, measurePrompts, type MeasureOptions } from "./measure";
import { configLines, findLimits, recommend, type Level, type Limit } from "./search";

const usage = `Usage: npm run find-target [-- OPTIONS]

Measures on one replica how many requests at once stay within the model's latency targets, and recommends scaling target,
max-num-seqs and replica limits, as lines to paste. The replica is under load meanwhile: not for one that serves users.

  --stack NAME          stack to measure (default: the selected stack)
  --model NAME          which model of the stack, when it has several
  --prompt-tokens N     of each request, default 512
  --output-tokens N     of each answer, default 256: of both your own traffic's are best
  --seconds N           for each number of requests at once, after its ramp, default 60
  --most N              requests at once at most (default: max-num-seqs)
  --margin SHARE        how far the scaling target lies below the limit, default 0.2
  --peak N              requests at once at the busiest time; says how many replicas that takes
  --profile FILE        write a profile of the measured engine, for the sandbox (--profiles FILE) and the planner
  --ca FILE             also trust this certificate authority (PEM)

Exit code: 0, 1 (no setting is within the targets), 2 (could not measure).`;

async function main(): Promise<number> {
    const { values: given } = commandLine({
        options: {
            stack: { type: "string" },
            model: { type: "string" },
            "prompt-tokens": { type: "string" },
            "output-tokens": { type: "string" },
            seconds: { type: "string" },
            most: { type: "string" },
            margin: { type: "string" },
            peak: { type: "string" },
            profile: { type: "string" },
            ca: { type: "string" },
            help: { type: "boolean", short: "h", default: false },
        },
    });
    if (given.help) {
        console.log(usage);
        return 0;
    }
    checkResultFile("profile", given.profile);
    const whole = (key: "prompt-tokens" | "output-tokens" | "most" | "peak", fallback: number): number => {
        const value = given[key] === undefined ? fallback : Number(given[key]);
        if (!(Number.isInteger(value) && value > 0)) {
            throw new Error(`--${key} ${given[key]}: give a whole number above 0`);
        }
        return value;
    };
    const number = (key: "seconds" | "margin", fallback: number, most: number): number => {
        const value = given[key] === undefined ? fallback : Number(given[key]);
        if (!(value > 0 && value < most)) {
            throw new Error(`--${key} ${given[key]}: give a number above 0 and below ${most}`);
        }
        return value;
    };
    const margin = number("margin", 0.2, 1);
    const peak = given.peak === undefined ? undefined : whole("peak", 1);
    const stack = await readStack(given.stack);
    const [name, output] = chooseModel(stack, given.model);
    const settings = stackSettings(stack).models[name];
    const api = stackApi(stack, (credentials) => new OvhClient(credentials, { requestTimeoutMs: 10_000 }));
    await requireOneReplica(name, settings, api, output.appId);

    const options: MeasureOptions = {
        endpoint: { baseUrl: output.openAiBaseUrl, token: output.clientToken, ca: authorities(given.ca) },
        model: output.model,
        seconds: number("seconds", 60, 86_400),
        promptTokens: whole("prompt-tokens", 512),
        outputTokens: whole("output-tokens", 256),
        targets: settings.targets,
    };
    const measurements: Measurement[] = [];
    const { levels, limits } = await findLimits(
        async (workers) => {
            const measured = await measureLevel(workers, options);
            measurements.push(measured.measurement);
            console.log(styled("dim", progress(measured.level)));
            return measured.level;
        },
        {
            withinTargets: settings.targets.withinTargets,
            most: whole("most", maxNumSeqs(settings)),
            precision: 0.03,
        },
    );
    console.log(`\n${curve(levels, limits, settings)}`);
    if (given.profile !== undefined) {
        // With prompts of one length nothing tells what a sequence costs from what its context does.
        const workers = Math.ceil(Math.min(...limits.map(({ holds }) => Math.max(1, holds))) / 4);
        const longer = await measureLevel(workers, { ...options, promptTokens: 4 * options.promptTokens });
        const prompts = await measurePrompts(options, [64, 256, 1024]);
        writeProfile(given.profile, settings, [...measurements, longer.measurement, ...prompts]);
    }
    return advise(name, limits, margin, peak);
}

/** With a second replica the load would be shared, and what is measured would be nobody's. */
async function requireOneReplica(
    name: string,
    { replicas }: ModelSettings,
    api: ReturnType<typeof stackApi<OvhClient>>,
    appId: string,
): Promise<void> {
    if (replicas.max > 1) {
        throw new Error(
            `the platform may add replicas meanwhile: hold it at one, and undo that afterwards:\n` +
                `  pulumi config set --path models.${name}.replicas.min 1 && pulumi config set --path models.${name}.replicas.max 1 && pulumi up`,
        );
    }
    if (typeof api === "string") return;
    const { status } = await readApp(api, appId);
    if (status.availableReplicas !== 1) {
        throw new Error(
            `${status.availableReplicas ?? 0} replicas are ready (${status.state}), not one: npm run verify tells more`,
        );
    }
}

const ms = (seconds: number): string => `${(seconds * 1000).toFixed(seconds < 0.1 ? 1 : 0)} ms`;

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function progress({ workers, within }: Level): string {
    const { timeToFirstToken, interTokenLatency } = within;
    return `${workers} workers: ${percent(timeToFirstToken)} of first tokens and ${percent(interTokenLatency)} of the times between tokens within target`;
}

function curve(levels: Level[], limits: Limit[], { targets }: ModelSettings): string {
    const most = Math.max(...levels.map(({ meanInterToken }) => meanInterToken));
    const rows = levels.map((level) => [
        String(level.workers),
        level.atOnce.toFixed(1),
        String(level.requests),
        String(level.failures),
        percent(level.within.timeToFirstToken),
        percent(level.within.interTokenLatency),
        ms(level.meanInterToken),
        level.outputTokensPerSecond.toFixed(0),
        "█".repeat(Math.max(1, Math.round((level.meanInterToken / most) * 20))),
    ]);
    const head = [
        ...["workers", "at once", "requests", "failed"],
        `first token in ${ms(targets.timeToFirstToken)}`,
        `between tokens in ${ms(targets.interTokenLatency)}`,
        ...["mean", "tokens/s", ""],
    ];
    const words = limits.map(({ target, holds, breaks }) => {
        const aim = `${target} of ${ms(targets[target])} for ${percent(targets.withinTargets)}`;
        return breaks === undefined
            ? `${aim}: held up to ${holds}`
            : `${aim}: held with ${holds} at once, broken with ${breaks}`;
    });
    return `${table([head, ...rows])}\n\n${words.join("\n")}`;
}

function advise(name: string, limits: Limit[], margin: number, peak?: number): number {
    let advice;
    try {
        advice = recommend(limits, margin, peak);
    } catch (error) {
        console.error(styled("red", (error as Error).message));
        return 1;
    }
    const { limit, bound, scalingTarget } = advice;
    const because = bound === undefined ? "the most that was tried" : `where ${bound} ends`;
    console.log(
        `\nOne replica carries ${limit} requests at once, ${because}. Scaling target ${scalingTarget}: ${Math.round((1 - scalingTarget / limit) * 100)} % below.`,
    );
    if (peak === undefined) {
        console.log(
            `Each replica adds ${scalingTarget} at once; --peak N says how many replicas your busiest time takes.`,
        );
    }
    console.log(`\n${configLines(name, advice).join("\n")}`);
    return 0;
}

function writeProfile(file: string, settings: ModelSettings, measurements: Measurement[]): void {
    const { step, requestOverhead, residual, used, dropped } = calibrate(measurements);
    const gpu = /^(h100|l40s|l4)-/.exec(settings.flavor)?.[1].toUpperCase() ?? "H100";
    const profile = {
        name: `${settings.model} on ${settings.flavor}, measured ${new Date().toISOString().slice(0, 10)}`,
        like: gpu,
        model: settings.model,
        gpu,
        step,
        requestOverhead,
    };
    const note = `# By npm run find-target: ${used} measurements fitted (${dropped} dropped), ${(residual * 100).toFixed(1)} % off at root mean square.\n`;
    writeFileSync(file, note + stringify({ profiles: [profile] }));
    console.log(`\nProfile: ${file}, ${(residual * 100).toFixed(1)} % off the ${used} measurements`);
}

main().then(
    (code) => process.exit(code),
    (error: Error) => {
        console.error(errorText(error));
        process.exit(2);
    },
);
