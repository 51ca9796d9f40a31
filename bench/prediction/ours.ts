import { simulateFleet } from "../../plan/fleet";
import type { Answered, Request, Traffic } from "../../plan/traffic";
import type { World } from "../../plan/world";
import type { Calibration } from "../../tools/find-target/calibrate";
import type { Settings } from "../fidelity/servers";

/** A request of a load, as both planners are told of it. */
export interface PredictedRequest extends Pick<Request, "at" | "promptTokens" | "answerTokens"> {
    /** Whole blocks of the prompt; equal numbers are the same tokens behind the same tokens. */
    blocks: number[];
}

/** What is predicted of a request. Times are seconds. */
export interface Prediction {
    timeToFirstToken: number;
    /** From sent to the last token. */
    duration: number;
}

/** The planner's own replica with the fitted times, in virtual time. */
export function predictOurs(
    requests: PredictedRequest[],
    { step, requestOverhead }: Calibration,
    settings: Settings,
    seed: number,
): Prediction[] {
    const { blocks: numBlocks, blockSize, maxNumSeqs, maxNumBatchedTokens, maxModelLen } = settings;
    const world: World = {
        engine: { maxNumSeqs, maxNumBatchedTokens, blockSize, numBlocks, step },
        prefixCaching: true,
        maxModelLen,
        requestOverhead,
        boot: { median: 0, spread: 0 },
        noGpu: { chance: 0, retry: 60 },
        drainSeconds: Infinity,
        asleep: "refused",
        scaling: { every: 86_400, replicas: [1] },
    };
    const answered: Answered[] = [];
    // Far longer than any of them waits.
    const end = requests[requests.length - 1].at + 3600;
    const traffic: Traffic = {
        ...{ name: "recorded", seconds: end, begins: 0, blockTokens: blockSize, waits: true },
        *requests(_seed, answers) {
            for (const request of requests) yield { ...request, commonTokens: 0 };
            answered.push(...answers!.until(end));
        },
    };
    const never = { timeToFirstToken: Infinity, interTokenLatency: Infinity };
    simulateFleet(world, traffic, never, seed);
    if (answered.length !== requests.length) {
        throw new Error(`of ${requests.length} requests ${answered.length} were answered`);
    }
    return answered
        .sort((a, b) => a.request - b.request)
        .map(({ start, firstToken, end: last }) => ({ timeToFirstToken: firstToken - start, duration: last - start }));
}
