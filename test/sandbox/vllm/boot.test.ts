import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { profileFor, readProfiles } from "../../../sandbox/vllm/profile-file";
import { builtInProfiles } from "../../../sandbox/vllm/profiles";
import { startReplica } from "../../../sandbox/vllm/replica";
import { model, readyReplica } from "./replica";

/** How a replica with this command ends. */
async function ending(command: string[], env: Record<string, string> = {}): Promise<{ code: number; text: string }> {
    const lines: string[] = [];
    const replica = startReplica({ command, env, port: 0, speed: 100_000, log: (line) => lines.push(line) });
    const { code } = await replica.exited;
    return { code, text: lines.join("\n") };
}

describe("a command line that vLLM would not start with", () => {
    it.each([
        ["unknown flag", ["--max-num-sequences", "4"], 2, "vllm: error: unrecognized arguments: --max-num-sequences 4"],
        ["missing value", ["--port"], 2, "error: argument --port: expected one argument"],
        ["wrong type", ["--max-num-seqs", "many"], 2, "argument --max-num-seqs: invalid int value: 'many'"],
        ["wrong choice", ["--dtype", "int3"], 2, "argument --dtype: invalid choice: 'int3'"],
        [
            "tool choice alone",
            ["--enable-auto-tool-choice"],
            1,
            "--enable-auto-tool-choice requires --tool-call-parser",
        ],
        ["no such parser", ["--enable-auto-tool-choice", "--tool-call-parser", "x"], 1, "invalid tool call parser: x"],
        ["too long a context", ["--max-model-len", "1M"], 1, "greater than the derived max_model_len"],
        [
            "batch below sequences",
            ["--max-num-batched-tokens", "8", "--max-num-seqs", "16"],
            1,
            "must be greater than or equal to max_num_seqs",
        ],
        ["more GPUs than there are", ["-tp", "2"], 1, "larger than the number of available GPUs (1)"],
        ["no room for the cache", ["--gpu-memory-utilization", "0.2"], 1, "No available memory for the cache blocks"],
    ])("%s", async (_, flags, code, message) => {
        const ended = await ending(["vllm", "serve", model, ...flags]);
        expect(ended.code).toBe(code);
        expect(ended.text).toContain(message);
    });

    it("a program that is not there, a gated model without a token", async () => {
        expect(await ending(["vlm", "serve", model])).toMatchObject({ code: 127 });
        const gated = await ending(["vllm", "serve", "mistralai/Ministral-3-14B-Instruct-2512"]);
        expect(gated).toMatchObject({ code: 1, text: expect.stringContaining("401 Client Error") });
        const wrong = await ending(["vllm", "serve", "mistralai/M"], { HF_TOKEN: "hf_invalid_made_up" });
        expect(wrong.text).toContain("GatedRepoError");
    });
});

describe("a model in a folder", () => {
    const command = ["vllm", "serve", "/weights", "--served-model-name", "mistralai/Ministral-3-14B-Instruct-2512"];

    it("of object storage needs no hub, and is there at once when the platform has it", async () => {
        for (const isCached of [false, true]) {
            const folders = [{ path: "/weights", isCached }];
            const own = await readyReplica([], { command, folders, hubRefuses: true });
            const { data } = (await (await own.get("/v1/models")).json()) as { data: { id: string; root: string }[] };
            expect(data[0]).toMatchObject({ id: command[4], root: "/weights" });
            expect(own.log.join("\n")).toContain(`come from ${isCached ? "the platform's cache" : "object storage"}`);
            await own.replica.stop();
        }
    });

    it("that nothing is mounted at is refused", async () => {
        expect(await ending(command)).toMatchObject({ code: 1, text: expect.stringContaining("local directory") });
    });
});

describe("boot", () => {
    it("never logs a key or a token", async () => {
        const { log, replica } = await readyReplica(["--api-key", "made-up-key", "--hf-token", "hf_made_up"]);
        expect(log.join("\n")).not.toMatch(/made-up-key|hf_made_up/);
        await replica.stop();
    });

    it("says which flags have no effect, and that it is simulated", async () => {
        const { log, replica } = await readyReplica(["--enforce-eager"]);
        expect(log.some((line) => line.includes("without effect in the simulation: --enforce-eager"))).toBe(true);
        expect(log.some((line) => line.includes("simulated, with the timing of"))).toBe(true);
        await replica.stop();
    });
});

describe("profiles", () => {
    const read = (text: string): ReturnType<typeof readProfiles> => {
        const dir = mkdtempSync(join(tmpdir(), "profiles-"));
        try {
            const file = join(dir, "profiles.yaml");
            writeFileSync(file, text);
            return readProfiles(file);
        } finally {
            rmSync(dir, { recursive: true });
        }
    };

    it("are chosen by the GPU, own ones first", () => {
        expect(profileFor("any", "L4").gpu).toBe("L4");
        expect(profileFor("any", undefined).gpu).toBe("H100");
        expect(new Set(builtInProfiles.map(({ gpu }) => gpu)).size).toBe(builtInProfiles.length);
        const own = read("profiles: [{ name: mine, like: L4, model: a/b, step: { base: 0.5 } }]");
        expect(profileFor("a/b", "L4", own)).toMatchObject({
            name: "mine",
            step: { base: 0.5, prefillToken: 0.00037 },
        });
        expect(profileFor("a/c", "L4", own).name).toContain("Ministral");
        expect(profileFor("a/b", "H100", own).name).toContain("H100");
    });

    it("are refused with the file, the field and the fault", () => {
        expect(() => read("profiles: [{ name: mine, like: A100 }]")).toThrow(/profiles\.yaml: profiles\.0\.like/);
        expect(() => read("profiles: [{ name: mine, like: L4, step: { basis: 1 } }]")).toThrow("basis");
        expect(() => read("profiles: [{ name: mine, like: L4, memory: { gpu: -1 } }]")).toThrow("memory.gpu");
        expect(() => read("profiles: [{ name: mine, like: L4, step: { spread: 3 } }]")).toThrow("step.spread");
        expect(() => readProfiles("/does/not/exist")).toThrow("/does/not/exist");
    });
});
