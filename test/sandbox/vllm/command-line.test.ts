import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startReplica } from "../../../sandbox/vllm/replica";
import { fastProfile, model } from "./replica";

/** What vLLM said to one command line, see recordings/command-line/record.py. */
interface Verdict {
    env?: Record<string, string>;
    words: string[];
    /** 0: it would have started an engine. */
    code: number;
    error: string;
    /** It depended on the machine: no GPU, no Hugging Face hub. */
    here?: boolean;
}

const verdicts = JSON.parse(
    readFileSync(join(__dirname, "recordings/command-line/verdicts.json"), "utf8"),
) as Verdict[];

interface Start {
    words: string[];
    /** Null: it serves. */
    code: number | null;
    engine?: string;
    server?: string;
}

const starts = JSON.parse(readFileSync(join(__dirname, "recordings/command-line/starts.json"), "utf8")) as Start[];

/** Lines that pass the checks, and whose engine does not start: that is the verdict which counts. */
const failsAtStart = new Set(starts.filter(({ code }) => code).map(({ words }) => ["MODEL", ...words].join(" ")));

/** The model of the recording has a context of this length. */
const profile = { ...fastProfile, maxModelLen: 32768 };

/** How a replica with this command line ends, or code 0 when it boots. */
async function verdictOf({
    words,
    env = {},
}: Pick<Verdict, "words" | "env">): Promise<{ code: number; error: string }> {
    const lines: string[] = [];
    const ours = words.map((word) => word.replace(/^(--model=)?MODEL$/, `$1${model}`));
    const replica = startReplica({
        command: ["vllm", "serve", ...ours],
        env,
        port: 0,
        speed: 1_000_000,
        profiles: [profile],
        log: (line) => lines.push(line.replace(/^\(\w+ pid=\d+\) ERROR [\d-]+ [\d:]+ (\[core.py\] )?/, "")),
    });
    const ended = replica.exited.then(({ code }) => code);
    while (!replica.ready) {
        const code = await Promise.race([ended, new Promise<void>((resolve) => setTimeout(resolve, 2))]);
        if (code !== undefined) return { code, error: errorOf(lines) };
    }
    await replica.stop();
    return { code: 0, error: "" };
}

function errorOf(lines: string[]): string {
    const first = lines.findIndex((line) => /(: error: |^[\w.]+(Error|gaierror): )/.test(line));
    return lines
        .slice(first)
        .join("\n")
        .replace(/^.*?: error: /, "")
        .replaceAll(model, "MODEL")
        .replace(/\/\S+\/dist-packages\/vllm/, "VLLM");
}

describe("the command line, as the real server takes it", () => {
    it("has a recording worth the name", () => {
        expect(verdicts.filter(({ here }) => !here).length).toBeGreaterThan(250);
        expect(new Set(verdicts.map(({ code }) => code))).toEqual(new Set([0, 1, 2]));
    });

    it.each(
        verdicts
            .filter(({ here, words }) => !here && !failsAtStart.has(words.join(" ")))
            .map((verdict) => [[...Object.keys(verdict.env ?? {}), ...verdict.words].join(" "), verdict] as const),
    )("%s", async (_, verdict) => {
        expect(await verdictOf(verdict)).toEqual({ code: verdict.code, error: verdict.error });
    });

    it.each(starts.map((start) => [start.words.join(" "), start] as const))(
        "%s, when the engine starts",
        async (_, { words, code, engine = "", server = "" }) => {
            // What only the start of vLLM's engine shows; verdictOf begins with the first error.
            const error = [engine, server].filter(Boolean).join("\n");
            expect(await verdictOf({ words: ["MODEL", ...words] })).toEqual({ code: code ?? 0, error });
        },
    );
});
