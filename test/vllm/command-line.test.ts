import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { containerCommand, graceSeconds, shellWord } from "../../src/vllm/command-line";
import { drainedServer } from "../../src/vllm/drain";

const plain = {
    model: "Qwen/Qwen3-8B",
    image: "vllm/vllm-openai:v0.13.0",
    port: 8000,
    gpus: 1,
    drain: false,
    vllm: { extraArgs: [] as string[] },
};
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

    it("names the revision beside the model, for the tokenizer too", () => {
        expect(line({ revision: "v1.0" })).toBe(`${start} --revision v1.0`);
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

describe("drain", () => {
    const draining = { ...plain, drain: true };

    it("stands before the command line, which stays as it is, and leaves vLLM time to end", () => {
        const command = ["bash", "-c", start];
        expect(drainedServer(containerCommand(draining))).toEqual({ seconds: 110, port: 8000, command });
        const short = { ...draining, port: 8080, deploymentStrategy: { terminationGracePeriodSeconds: 60 } };
        expect(drainedServer(containerCommand(short))).toMatchObject({ seconds: 50, port: 8080 });
        const none = { ...draining, deploymentStrategy: { terminationGracePeriodSeconds: 5 } };
        expect(drainedServer(containerCommand(none))).toMatchObject({ seconds: 0 });
    });

    it.each(["vllm/vllm-openai:v0.18.0", "registry.example:5000/vllm:0.33.0", "vllm/vllm-openai:v1.0.0"])(
        "leaves it to %s, once the platform sends it nothing more",
        (image) => {
            expect(drainedServer(containerCommand({ ...draining, image }))).toEqual({
                seconds: 5,
                port: 8000,
                command: ["bash", "-c", `${start} --shutdown-timeout 105`],
            });
        },
    );

    it("takes an image of unknown version for one that cannot", () => {
        for (const image of [
            "vllm/vllm-openai:v0.17.9",
            `own/vllm@sha256:${"0".repeat(64)}`,
            "own.example:5000/vllm:mine",
        ]) {
            expect(drainedServer(containerCommand({ ...draining, image }))).toMatchObject({ seconds: 110 });
        }
    });

    it("has a grace period of its own, and the platform's without", () => {
        expect(graceSeconds({ drain: true })).toBe(120);
        expect(graceSeconds({ drain: false })).toBe(30);
        expect(graceSeconds({ drain: false, deploymentStrategy: { terminationGracePeriodSeconds: 7 } })).toBe(7);
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
