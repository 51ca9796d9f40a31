// The plan's prediction of a load step beside what `npm run prove-scaling` measures of it, on the emulated platform, in real time.
// `npm run bench -- plan-proof [--rounds N]`: about two minutes a round; with 0 it only predicts. The plan knows what the
// platform is set to (boot, windows, speed) and the profile of the GPU, and nothing of what was measured.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { OvhClient } from "../packages/ai-deploy/src/api/client";
import { simulateLoadStep, secondsOver, type LoadStep, type StepSeen } from "../plan/load-step";
import type { World } from "../plan/world";
import { kvBlocks, ministral14bOnL4 as profile } from "../sandbox/vllm/profiles";
import { tokensOf } from "../sandbox/vllm/tokenizer";
import { containerCommand, drainSeconds } from "../src/vllm/command-line";
import { accessToken, projectId, scaling } from "../test/sandbox/ovhcloud/cloud";
import { ministral, parse } from "../test/settings/config";
import { prompts } from "../tools/loadtest/workload";
import { proveScaling } from "../tools/prove-scaling/run";
import { exponential } from "../tools/random";
import { startBenchCloud } from "./cloud/start";

/** Platform seconds per second. */
const speed = 12;
const [target, scaleDownSeconds, maxNumSeqs, maxModelLen] = [12, 300, 32, 16_384];
const replicas = { min: 1, max: 3 };
const [baseline, workers, maxTokens, baselineSeconds, patienceSeconds] = [2, 46, 64, 12, 120];
/** Platform seconds: the image, and the first probe of readiness, which finds it ready. */
const [imagePull, readiness] = [60, 300];

const { ministral: model } = parse(
    ministral({
        ...{ flavor: "l4-1-gpu", replicas, scaling: { target, scaleDownStabilizationSeconds: scaleDownSeconds } },
        ...{ vllm: { maxNumSeqs, maxModelLen }, probes: { readiness: { initialDelaySeconds: readiness } } },
    }),
).models;

/** The world as the sandbox is set to be, on the clock of those who ask. */
function world(): World {
    const blockSize = 16;
    return {
        engine: {
            ...{ maxNumSeqs, maxNumBatchedTokens: profile.defaults.maxNumBatchedTokens, blockSize },
            ...{ numBlocks: kvBlocks(profile, 1, 0.9, blockSize), step: profile.step },
        },
        prefixCaching: true,
        requestOverhead: profile.requestOverhead,
        boot: { median: (imagePull + readiness) / speed, spread: 0 },
        noGpu: { chance: 0, retry: 60 },
        drainSeconds: drainSeconds(model),
        asleep: "refused",
        lookEvery: 15 / speed,
        scaling: {
            ...{ metric: "vllm:num_requests_running", target, aggregation: "AVERAGE" },
            ...{ replicasMin: replicas.min, replicasMax: replicas.max },
            scaleUpStabilizationWindowSeconds: 0,
            scaleDownStabilizationWindowSeconds: scaleDownSeconds / speed,
            cooldownPeriodSeconds: 300 / speed,
        },
    };
}

/** The prompts of the load test, each found again from the second time on, and answers as the simulated model ends them. */
function step(): LoadStep {
    const weights = prompts.flatMap(({ weight }, i) => Array<number>(weight).fill(i));
    const tokens = prompts.map(({ text }) => tokensOf(text).length);
    const blocks = tokens.map((count, i) => Array.from({ length: Math.floor(count / 16) }, (_, n) => 1000 * i + n));
    return {
        ...{
            baseline,
            workers,
            baselineSeconds,
            patienceSeconds,
            downPatienceSeconds: patienceSeconds,
            blockTokens: 16,
        },
        draw(random) {
            const i = weights[Math.floor(random() * weights.length)];
            const natural = Math.max(1, Math.round(profile.meanAnswerTokens * exponential(random)));
            return { promptTokens: tokens[i], answerTokens: Math.min(maxTokens, natural), blocks: blocks[i] };
        },
    };
}

/** Undefined: the client was the limit. */
async function measure(): Promise<Omit<StepSeen, "outcome"> | undefined> {
    const cloud = await startBenchCloud({
        ...{ apps: 1, replicas: 1, speed },
        body: {
            command: containerCommand(model),
            resources: { flavor: model.flavor, gpu: 1 },
            deploymentStrategy: { terminationGracePeriodSeconds: drainSeconds(model) + 10 },
            probe: { path: "/v1/models", port: 8000, initialDelaySeconds: readiness },
            envVars: [{ name: "HF_TOKEN", value: "hf_made_up_for_a_benchmark" }],
            scalingStrategy: scaling(
                {
                    replicasMin: replicas.min,
                    replicasMax: replicas.max,
                    scaleDownStabilizationWindowSeconds: scaleDownSeconds,
                },
                { targetValue: target },
            ),
        },
    });
    try {
        const { urls, ids, token, caFile, controls } = cloud.answer;
        const baseUrl = controls.replace(/\/sandbox$/, "/v1");
        const { moments, seen, requests, verdict } = await proveScaling({
            model: { ...model, name: "ministral" },
            served: model.model,
            ...{ appId: ids[0], appUrl: urls[0] },
            endpoint: { baseUrl: `${urls[0]}/v1`, token, ca: [readFileSync(caFile, "utf8")] },
            api: {
                client: new OvhClient({ baseUrl, auth: { kind: "token", accessToken } }, { requestsPerMinute: 60_000 }),
                projectId,
            },
            options: {
                ...{ workers, baseline, baselineSeconds, maxTokens, speed },
                ...{ patienceSeconds, downPatienceSeconds: patienceSeconds, platformPeriodMs: 250 },
            },
            log: (line) => console.error(line),
        });
        console.error(verdict.words);
        return verdict.code === 2 ? undefined : { moments, seen, requests };
    } finally {
        await cloud.close();
    }
}

type Figures = Record<string, number>;

function figuresOf({ moments, seen, requests }: Omit<StepSeen, "outcome">): Figures {
    const { loadOn, serving = NaN, recovered = NaN, loadOff = NaN, downDecided = NaN, down = NaN } = moments;
    const during = (from: number, to: number): number[] =>
        requests.flatMap(({ start, ttft }) => (ttft !== undefined && start >= from && start < to ? [ttft] : []));
    const full = seen.platform.find(({ t, ready }) => t > loadOn && ready === replicas.max)?.t ?? NaN;
    return {
        "load until one more replica serves, s": serving - loadOn,
        "load until all three serve, s": full - loadOn,
        "load until p95 is under its target, s": recovered - loadOn,
        "time over the target, s": secondsOver(requests, moments, model.targets.timeToFirstToken),
        "first token p50, one replica, s": quantile(during(loadOn + 5, serving), 0.5),
        "first token p95, one replica, s": quantile(during(loadOn + 5, serving), 0.95),
        "requests answered a second, one replica": during(loadOn + 5, serving).length / (serving - loadOn - 5),
        "replica-seconds that served, load to end": area(seen.platform, loadOn, down),
        "end of load until a replica is given up, s": downDecided - loadOff,
        "end of load until one replica is left, s": down - loadOff,
    };
}

/** Replicas that take requests, over time. */
function area(platform: { t: number; ready: number }[], from: number, to: number): number {
    const within = platform.filter(({ t }) => t >= from && t <= to);
    return within.slice(1).reduce((sum, { t, ready }, i) => sum + ready * (t - within[i].t), 0);
}

function quantile(values: number[], share: number): number {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
}

/** Seeds of the prediction: where the autoscaler's looks fall, lengths of answers, which replica a request comes to. */
const seeds = 20;

function beside(predicted: number[], measured: number[]): string {
    const [middle, rounds] = [quantile(measured, 0.5), measured.map((value) => value.toFixed(2)).join(" ")];
    const ratio = (quantile(predicted, 0.5) / middle).toFixed(2);
    return `   ${ratio}  ${middle.toFixed(2).padStart(8)}          ${rounds}`;
}

async function main(): Promise<void> {
    const { values } = parseArgs({ options: { rounds: { type: "string", default: "3" } } });
    const predicted = Array.from({ length: seeds }, (_, i) =>
        figuresOf(simulateLoadStep(world(), model, step(), i + 1)),
    );
    const measured: Figures[] = [];
    let left = 0;
    for (let round = 0; round < Number(values.rounds); round++) {
        const seen = await measure();
        if (seen) measured.push(figuresOf(seen));
        else left++;
    }
    if (left > 0) console.log(`${left} rounds do not count: the client was the limit`);
    console.log(`${"".padEnd(46)}  predicted, ${seeds} seeds   ratio  measured, median  each round`);
    for (const name of Object.keys(predicted[0])) {
        const [ours, theirs] = [predicted, measured].map((all) => all.map((figures) => figures[name]));
        const range = `${quantile(ours, 0.5).toFixed(2)} (${Math.min(...ours).toFixed(2)} to ${Math.max(...ours).toFixed(2)})`;
        console.log(`${name.padEnd(46)} ${range.padStart(24)}${theirs.length > 0 ? beside(ours, theirs) : ""}`);
    }
}

void main();
