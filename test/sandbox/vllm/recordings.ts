import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { OwnProfile } from "../../../sandbox/vllm/profile-file";
import { ministral14bOnH100 } from "../../../sandbox/vllm/profiles";
import { exchange, read, type Shape } from "./recordings/exchange";
import { recorded } from "./recordings/server/requests";
import { readyReplica, type TestReplica } from "./replica";

/**
 * A simulated vLLM as the recorded ones were started.
 * @param step how long a token takes, seconds
 */
export function recordedReplica(flags: string[], step = 0.0002): Promise<TestReplica> {
    const common = ["--served-model-name", "tiny", "--max-model-len", "2048", "--max-num-seqs", "16"];
    const endless: OwnProfile = {
        ...ministral14bOnH100,
        name: "an endless one",
        step: { base: step, prefillToken: 0, decodeSequence: 0, contextToken: 0, spread: 0 },
        requestOverhead: 0,
        // Answers do not end by themselves, as those of a model that draws each token at random.
        meanAnswerTokens: 1e9,
    };
    return readyReplica([...common, ...flags], { profiles: [endless] });
}

const folder = join(__dirname, "recordings/server");

/** What the real vLLM answered, by the name of the request. */
export function recordedAnswers(): Record<string, Shape> {
    const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
    return Object.assign(
        {},
        ...files.map((name) => read(JSON.parse(readFileSync(join(folder, name), "utf8")) as Record<string, Shape>)),
    ) as Record<string, Shape>;
}

/** What the simulated one answers. Requests go through a connection of this process, as the gateway's do. */
export async function simulatedAnswers(): Promise<Record<string, Shape>> {
    const withTools = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"];
    const open = await recordedReplica(withTools);
    // Slow enough for a stream to come in parts on a busy machine.
    const slow = await recordedReplica(withTools, 0.02);
    const keyed = await recordedReplica(["--api-key", "made-up-key", "other-made-up-key"]);
    const answers: Record<string, Shape> = {};
    const waiting = Object.values(recorded).flat();
    const askNext = async (): Promise<void> => {
        for (let request = waiting.shift(); request; request = waiting.shift()) {
            const streams = typeof request.body === "object" && "stream" in request.body;
            const { replica } = request.keyed ? keyed : streams ? slow : open;
            answers[request.name] = await exchange(() => replica.connect(), request);
        }
    };
    await Promise.all(Array.from({ length: 16 }, askNext));
    for (const { replica } of [open, slow, keyed]) await replica.stop();
    return answers;
}

/** The paths at which two values differ, such as `body.error.message`. */
export function differingPaths(one: unknown, other: unknown, path = ""): string[] {
    const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
    if (!isObject(one) || !isObject(other) || Array.isArray(one) !== Array.isArray(other)) {
        return one === other ? [] : [path];
    }
    const names = [...new Set([...Object.keys(one), ...Object.keys(other)])];
    return names.flatMap((name) => differingPaths(one[name], other[name], path === "" ? name : `${path}.${name}`));
}
