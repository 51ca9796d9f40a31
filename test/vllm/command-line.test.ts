import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { containerCommand, shellWord } from "../../src/vllm/command-line";

const plain = { model: "Qwen/Qwen3-8B", port: 8000, gpus: 1, vllm: { extraArgs: [] as string[] } };
const line = (settings: Partial<Parameters<typeof containerCommand>[0]>) =>
    containerCommand({ ...plain, ...settings })[2];
const start = "python3 -m vllm.entrypoints.openai.api_server --model Qwen/Qwen3-8B";

describe("containerCommand", () => {
    it("leaves out what is not set", () => {
        expect(containerCommand(plain)).toEqual(["bash", "-c", start]);
    });

    it.each([
        [
            "prefix caching off is said, as vLLM's default is on",
            { enablePrefixCaching: false },
            "--no-enable-prefix-caching",
        ],
        ["tool choice off needs no option", { enableAutoToolChoice: false }, ""],
        [
            "limits",
            { maxModelLen: 32768, maxNumSeqs: 128, gpuMemoryUtilization: 0.9 },
            "--max-model-len 32768 --max-num-seqs 128 --gpu-memory-utilization 0.9",
        ],
        ["served name", { servedModelName: "chat" }, "--served-model-name chat"],
        ["extra arguments come last, quoted where needed", { extraArgs: ["--seed", "7", "a b"] }, "--seed 7 'a b'"],
    ])("%s", (_, vllm, expected) => {
        expect(line({ vllm: { ...plain.vllm, ...vllm } })).toBe(`${start} ${expected}`.trim());
    });

    it("names a port that is not vLLM's own", () => {
        expect(line({ port: 8080 })).toBe(`${start} --port 8080`);
    });

    it("uses all GPUs of a replica, unless it is said how", () => {
        expect(line({ gpus: 2 })).toBe(`${start} --tensor-parallel-size 2`);
        for (const extraArgs of [["--data-parallel-size=2"], ["-tp", "2"], ["--pipeline_parallel_size", "2"]]) {
            expect(line({ gpus: 2, vllm: { extraArgs } })).toBe(`${start} ${extraArgs.join(" ")}`);
        }
    });
});

describe("shellWord", () => {
    it("leaves ordinary words as they are", () => {
        for (const word of ["--model", "mistralai/Ministral-3-14B-Instruct-2512", "0.9", "a=b:c"]) {
            expect(shellWord(word)).toBe(word);
        }
    });

    it("gives a real shell back every word as it was", () => {
        // No NUL: no argument of a process can hold one.
        const word = fc.string({ unit: "binary" }).filter((text) => !text.includes("\0"));
        fc.assert(
            fc.property(fc.array(word, { minLength: 1, maxLength: 20 }), (words) => {
                const script = `printf '%s\\0' ${words.map(shellWord).join(" ")}`;
                const printed = execFileSync("bash", ["-c", script], { encoding: "utf8" });
                expect(printed.split("\0").slice(0, -1)).toEqual(words);
            }),
            { numRuns: 60 },
        );
    });
});
