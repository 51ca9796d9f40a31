import { kvBlocks, speedup } from "../sandbox/vllm/profiles";
import type { Hardware } from "./hardware";
import type { Scaling, Signal, Targets, World } from "./world";
import { readTrace } from "../tools/loadtest/trace";
import { ofPast, type Past } from "./past";
import type { ScheduleEntry } from "./schedule";
import { inColumns, replay, shaped, type Replay, type Shape, type Traffic } from "./traffic";

/** Where the traffic comes from, as plain data: each worker reads it for itself. */
export type TrafficSource = (({ trace: string } & Replay) | { shape: Shape } | { past: Past; scale?: number }) & {
    /** Answers are so many times as long. Default 1. */
    answers?: number;
};

export function openTraffic(source: TrafficSource): Traffic {
    const traffic = opened(source);
    return source.answers === undefined ? traffic : withLongerAnswers(traffic, source.answers);
}

function opened(source: TrafficSource): Traffic {
    if ("trace" in source) return replay(inColumns(source.trace, readTrace(source.trace)), source);
    return "shape" in source ? shaped(source.shape) : ofPast(source.past, source.scale);
}

function withLongerAnswers(traffic: Traffic, factor: number): Traffic {
    return {
        ...traffic,
        *requests(seed) {
            for (const request of traffic.requests(seed)) {
                yield { ...request, answerTokens: Math.max(1, Math.round(request.answerTokens * factor)) };
            }
        },
    };
}

/** What is asked: everything but the settings that are searched. Times are seconds. */
export interface Problem extends Hardware {
    traffic: TrafficSource;
    gpuMemoryUtilization: number;
    prefixCaching: boolean;
    /** `vllm.maxModelLen` of the settings. Absent: the model's own context. */
    maxModelLen?: number;
    targets: Targets & {
        /** Share of the requests that is to be within the two. */
        withinTargets: number;
        /** Share that may fail. */
        errorBudget: number;
    };
    boot: World["boot"];
    noGpu: World["noGpu"];
    drainSeconds: World["drainSeconds"];
    asleep: World["asleep"];
    /** Replicas that quota and purse allow. */
    maxReplicas: number;
    /** Given, and then not searched. */
    schedule?: ScheduleEntry[];
    seed: number;
}

/** What is searched, as the stack config has it. */
export interface Setting {
    metric: Signal;
    target: number;
    min: number;
    max: number;
    /** Stabilization windows. */
    scaleUpSeconds: number;
    scaleDownSeconds: number;
    maxNumSeqs: number;
    /** Idle seconds beyond the scale-down window before the last replica goes, where `min` is 0. */
    cooldownSeconds: number;
    schedule?: ScheduleEntry[];
}

/** Whether a setting may sleep at some time. */
export function maySleep({ min, schedule = [] }: Setting): boolean {
    return min === 0 || schedule.some((entry) => entry.min === 0);
}

const blockSize = 16;

/**
 * Tokens that a request may have, prompt and answer: as the settings say, or as the model's own context is, and no more than
 * fit into the KV cache, since vLLM does not start with less room than for one request. There in whole 1,024.
 */
export function longestRequest(
    problem: Pick<Problem, "gpus" | "profile" | "gpuMemoryUtilization" | "maxModelLen">,
): number {
    const { profile, gpus, gpuMemoryUtilization, maxModelLen = profile.maxModelLen } = problem;
    const fits = blockSize * kvBlocks(profile, gpus, gpuMemoryUtilization, blockSize);
    return maxModelLen <= fits ? maxModelLen : fits - (fits > 1024 ? fits % 1024 : 0);
}

/** The world of a problem with this scaling. */
export function worldOf(problem: Problem, scaling: Scaling, maxNumSeqs = problem.profile.defaults.maxNumSeqs): World {
    const { profile, gpus, gpuMemoryUtilization, prefixCaching, boot, noGpu, drainSeconds, asleep } = problem;
    const { step } = profile;
    const factor = speedup(gpus);
    return {
        engine: {
            maxNumSeqs,
            maxNumBatchedTokens: Math.max(maxNumSeqs, profile.defaults.maxNumBatchedTokens),
            blockSize,
            numBlocks: kvBlocks(profile, gpus, gpuMemoryUtilization, blockSize),
            step: {
                base: step.base / factor,
                prefillToken: step.prefillToken / factor,
                decodeSequence: step.decodeSequence / factor,
                contextToken: step.contextToken / factor,
                spread: step.spread,
            },
        },
        prefixCaching,
        maxModelLen: longestRequest(problem),
        requestOverhead: profile.requestOverhead,
        boot,
        noGpu,
        drainSeconds,
        asleep,
        scaling,
    };
}

export function scalingOf(setting: Setting): Scaling {
    const { metric, target, min, max, scaleUpSeconds, scaleDownSeconds, cooldownSeconds, schedule } = setting;
    return {
        metric,
        target,
        aggregation: "AVERAGE",
        replicasMin: min,
        replicasMax: max,
        scaleUpStabilizationWindowSeconds: scaleUpSeconds,
        scaleDownStabilizationWindowSeconds: scaleDownSeconds,
        cooldownPeriodSeconds: cooldownSeconds,
        schedule,
    };
}
