import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { argumentFaults } from "../../src/vllm/arguments";

interface Verdict {
    words: string[];
    /** Exit code of vLLM 0.13.0: 0 started, 2 refused by its parser, 1 by what comes after it. */
    code: number;
    error: string;
}

const recorded = join(__dirname, "../sandbox/vllm/recordings/command-line/verdicts.json");
const verdicts = (JSON.parse(readFileSync(recorded, "utf8")) as Verdict[])
    // The model is a setting here, so that its place among the words is none of theirs.
    .map((verdict) => ({ ...verdict, words: verdict.words.filter((word) => !/^(MODEL|--model(=.*)?)$/.test(word)) }));
const line = ({ words }: Verdict) => words.join(" ");

describe("lines that a real vLLM was given", () => {
    it("those that its parser refused are refused here, all but what is inside of JSON or said twice for the model", () => {
        const missed = verdicts.filter(({ code, words }) => code === 2 && argumentFaults(words).length === 0).map(line);
        expect(new Set(missed)).toEqual(
            new Set([
                "",
                "--all2all-backend None",
                "--lora-modules a",
                "-cc.no_such_field 1",
                '--structured-outputs-config {"backend": "foo"}',
                '--kv-transfer-config {"kv_connector": "foo"}',
            ]),
        );
    });

    it("those that it took are taken, all but what it read otherwise than it looks, or would fail by later", () => {
        const taken = verdicts.filter(({ code }) => code === 0);
        expect(taken.length).toBeGreaterThan(80);
        const refused = taken.flatMap((verdict) =>
            argumentFaults(verdict.words).map(({ fix }) => `${line(verdict)}: ${fix}`),
        );
        const expected =
            /: (write it in full|keep one|leave it out: vLLM 0\.13\.0 has no|give one of (auto, hf|deepseek_v3,)|give at least)/;
        expect(refused.filter((one) => !expected.test(one))).toEqual([]);
    });
});

it.each([
    [["--seed 7"], 0, 'give it as two words: "--seed", "7"'],
    [["7"], 0, "leave it out: it is the value of no option"],
    [["--x-y", "1", "--seed", "a"], 3, "give a whole number"],
    [["--gpu-memory-utilisation", "0.5"], 0, "leave it out: vLLM 0.13.0 has no such option"],
])("%j: word %i", (words, index, fix) => {
    expect(argumentFaults(words)).toContainEqual({ index, fix });
});
