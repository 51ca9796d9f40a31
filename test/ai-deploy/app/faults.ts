// `npm run test:faults -- --sequences N --seed S [--path P]`: see fault-sequences.ts.
import { parseArgs } from "node:util";
import fc from "fast-check";
import { startTestCloud } from "../cloud";
import { runSequence, sequence } from "./fault-sequences";
import { startProvider } from "../provider-process";

export interface FaultRun {
    sequences: number;
    seed: number;
    /** Replays the one counterexample of this path. */
    path?: string;
}

/** A sequence takes a second or two; one that takes this long waits for a time-out of minutes, which no fault here should lead to. */
const slowestMs = 45_000;

/** A sequence mostly waits, for polls and time-outs. */
const manyLanes = 6;

/** Runs random sequences in several lanes, each with a cloud and a provider process of its own. Throws the first failure. */
export async function runFaultSequences({ sequences, seed, path }: FaultRun): Promise<void> {
    const lanes = path === undefined ? manyLanes : 1;
    const runLane = async (lane: number): Promise<void> => {
        const cloud = await startTestCloud();
        const provider = await startProvider({ ...cloud.env, OVH_AI_DEPLOY_REQUEST_TIMEOUT_MS: "400" });
        try {
            await fc.assert(
                fc.asyncProperty(sequence, (one) => runSequence(one, cloud, provider)),
                {
                    numRuns: Math.ceil(sequences / lanes),
                    seed: seed + lane,
                    path,
                    endOnFailure: true,
                    timeout: slowestMs,
                },
            );
            if (cloud.api.violations().length > 0) throw new Error(cloud.api.violations().join("\n"));
        } finally {
            await provider.close();
            await cloud.close();
        }
    };
    const lanesDone = await Promise.allSettled(Array.from({ length: lanes }, (_, lane) => runLane(lane)));
    const failed = lanesDone.find((result) => result.status === "rejected");
    if (!failed) return;
    const error = failed.reason as Error;
    const cause = error.cause instanceof Error ? `${error.cause.message}\n` : "";
    throw new Error(cause + error.message);
}

if (require.main === module) {
    const { values } = parseArgs({
        options: { sequences: { type: "string" }, seed: { type: "string" }, path: { type: "string" } },
    });
    const run = {
        sequences: Number(values.sequences ?? 1000),
        seed: Number(values.seed ?? Date.now() % 1_000_000),
        path: values.path,
    };
    console.log(`${run.sequences} sequences, seed ${run.seed}`);
    const started = Date.now();
    runFaultSequences(run).then(
        () => console.log(`no promise broken (${Math.round((Date.now() - started) / 1000)} s)`),
        (error: Error) => {
            console.error(error.message);
            process.exitCode = 1;
        },
    );
}
