import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Settings } from "../fidelity/servers";
import type { PredictedRequest, Prediction } from "../prediction/ours";
import { device, type BlisCoefficients } from "./fit";
import { replayWithBlis, type BlisRequest } from "./replay";

/** What BLIS predicts of a load, with these coefficients. Throws when it fails or answers fewer requests. */
export function predictWithBlis(
    requests: PredictedRequest[],
    { alpha, beta }: BlisCoefficients,
    model: Record<string, unknown>,
    settings: Settings,
    blis: { program: string; checkout: string },
): Prediction[] {
    const flags = (folder: string) => {
        mkdirSync(join(folder, "model"));
        writeFileSync(join(folder, "model", "config.json"), JSON.stringify(model));
        const { tflops, terabytesPerSecond } = device;
        const hardware = {
            TFlopsPeak: tflops,
            BwPeakTBs: terabytesPerSecond,
            mfuPrefill: 1,
            mfuDecode: 1,
            MemoryGiB: 16,
        };
        writeFileSync(join(folder, "hardware.json"), JSON.stringify({ [device.name]: hardware }));
        return {
            ...{ model: "made/up", "model-config-folder": join(folder, "model"), tp: 1 },
            ...{ hardware: device.name, "hardware-config": join(folder, "hardware.json") },
            ...{ "alpha-coeffs": alpha.join(","), "beta-coeffs": beta.join(",") },
            "max-num-seqs": settings.maxNumSeqs,
            "max-num-batched-tokens": settings.maxNumBatchedTokens,
            "max-model-len": settings.maxModelLen,
            "block-size-in-tokens": settings.blockSize,
            // vLLM keeps one to itself.
            "total-kv-blocks": settings.blocks - 1,
            // Microseconds; by itself it stops at twice the time of the last arrival.
            horizon: Math.round((requests[requests.length - 1].at + 3600) * 1e6),
            "results-path": join(folder, "results.json"),
        };
    };
    const { read } = replayWithBlis(blis, withPrefixes(requests, settings.blockSize), flags, (folder) =>
        JSON.parse(readFileSync(join(folder, "results.json"), "utf8")),
    );
    const results = read as { request_id: number; ttft_us: number; e2e_us: number }[];
    if (results.length !== requests.length) throw new Error(`BLIS answered ${results.length} of ${requests.length}`);
    return results
        .sort((a, b) => a.request_id - b.request_id)
        .map(({ ttft_us: first, e2e_us: whole }) => ({ timeToFirstToken: first / 1e6, duration: whole / 1e6 }));
}

/** All of a group of BLIS begin with equally many tokens: as many blocks as most of those that begin alike have in common. */
function withPrefixes(requests: PredictedRequest[], blockSize: number): BlisRequest[] {
    const seen = new Map<number, number>();
    for (const block of requests.flatMap(({ blocks }) => blocks)) seen.set(block, (seen.get(block) ?? 0) + 1);
    const shared = (blocks: number[]): number => blocks.filter((block) => seen.get(block)! > 1).length;
    const longest = new Map<number, number>();
    for (const { blocks } of requests) longest.set(blocks[0], Math.max(longest.get(blocks[0]) ?? 0, shared(blocks)));
    return requests.map(({ blocks, ...request }) => {
        const count = shared(blocks);
        const whole = count > 0 && count === longest.get(blocks[0]) && count * blockSize < request.promptTokens;
        return { ...request, prefix: whole ? { group: `g${blocks[0]}`, tokens: count * blockSize } : undefined };
    });
}
