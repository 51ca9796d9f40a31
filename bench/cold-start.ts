// From the wish for a second replica until it serves, by what shortens it: platform seconds of the sandbox's H100 profile,
// whose figures are guesses (sandbox/vllm/profiles.ts). `npm run bench -- cold-start`
// With a real vLLM of the CPU: what kept caches of the compiler save of its start.
// `npm run bench -- cold-start --vllm VLLM --model FOLDER -- FLAGS OF VLLM`
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { containerCommand, weightsPath } from "../src/vllm/command-line";
import { ministral14bOnH100, type Profile } from "../sandbox/vllm/profiles";
import { appBody, startTestCloud } from "../test/sandbox/ovhcloud/cloud";
import { startReal } from "./fidelity/servers";

const image = "vllm/vllm-openai:v0.13.0";
const speed = 30;

/** Phases of the boot that take less, in seconds; the profile's own are 20 and 45. */
const compiled = { compile: 9 };
const streamed = { load: 6 };

interface Way {
    /** Of the readiness probe, in seconds. */
    initialDelaySeconds: number;
    /** Weights from a volume that the platform caches. */
    weights?: object;
    /** What of the profile's boot is otherwise. */
    boot?: Partial<Profile["boot"]>;
}

const ways: Record<string, Way> = {
    "as in the guide": { initialDelaySeconds: 300 },
    "first readiness probe after 10 s": { initialDelaySeconds: 10 },
    "weights from a cached volume": { initialDelaySeconds: 300, weights: {} },
    "these two": { initialDelaySeconds: 10, weights: {} },
    "these two, compiled kernels kept": { initialDelaySeconds: 10, weights: {}, boot: compiled },
    "these two, runai_streamer": { initialDelaySeconds: 10, weights: {}, boot: streamed },
    "all four": { initialDelaySeconds: 10, weights: {}, boot: { ...compiled, ...streamed } },
};

/** Platform seconds until the second replica of such an app serves. */
async function measure({ initialDelaySeconds, weights, boot }: Way): Promise<number> {
    const profile = { ...ministral14bOnH100, boot: { ...ministral14bOnH100.boot, ...boot } };
    const cloud = await startTestCloud({ speed, profiles: [{ ...profile, name: "with other times of its boot" }] });
    try {
        const server = { model: "Qwen/Qwen3-14B", image, port: 8000, gpus: 1, drain: true, vllm: { extraArgs: [] } };
        const volume = {
            mountPath: weightsPath,
            permission: "RO",
            cache: true,
            volumeSource: { dataStore: { alias: "GRA", container: "weights" } },
        };
        const { id } = await cloud.api("POST", "/ai/app", {
            ...appBody({ command: containerCommand({ ...server, weights }), image }),
            probe: { path: "/v1/models", port: 8000, initialDelaySeconds },
            volumes: weights ? [volume] : [],
            scalingStrategy: { fixed: { replicas: 1 } },
        });
        const serve = async (replicas: number): Promise<void> => {
            while (cloud.app(id).availableReplicas < replicas) {
                const { state, message } = cloud.app(id);
                if (state === "FAILED") throw new Error(`the app has failed: ${message}`);
                await sleep(5);
            }
        };
        await serve(1);
        const begin = performance.now();
        await cloud.api("PUT", `/ai/app/${id}/scalingstrategy`, { fixed: { replicas: 2 } });
        await serve(2);
        return ((performance.now() - begin) / 1000) * speed;
    } finally {
        await cloud.close();
    }
}

async function compareWays(): Promise<void> {
    let guide: number | undefined;
    for (const [name, way] of Object.entries(ways)) {
        const seconds = await measure(way);
        guide ??= seconds;
        console.log(
            `${name.padEnd(36)} ${seconds.toFixed(0).padStart(4)} s  ${(seconds / guide).toFixed(2)} of the guide's`,
        );
    }
}

interface Start {
    name: string;
    /** Folders of VLLM_CACHE_ROOT and of torch's compiler; the same ones are kept from one start to the next. */
    caches: [vllm: string, compiler: string];
    flags?: string[];
}

/** To be compared by CPU seconds: what the first one had to read from the disk, and whoever else is busy, is in the others. */
const starts: Start[] = [
    { name: "nothing kept", caches: ["a", "a"] },
    { name: "both kept", caches: ["a", "a"] },
    { name: "VLLM_CACHE_ROOT alone kept", caches: ["a", "b"] },
    { name: "no compilation (--enforce-eager)", caches: ["c", "c"], flags: ["--enforce-eager"] },
];

const settings = { maxNumSeqs: 16, maxNumBatchedTokens: 2048, maxModelLen: 2048, blockSize: 32, blocks: 200 };

/** Seconds, and CPU seconds, from the start of a real vLLM to its first token. */
async function startOnce(vllm: string, model: string, flags: string[]): Promise<{ wall: number; cpu: number }> {
    const begin = performance.now();
    const server = await startReal(vllm, model, settings, flags);
    try {
        const answer = await fetch(`${server.url}/v1/completions`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ model, prompt: "hello", max_tokens: 1 }),
        });
        if (!answer.ok) throw new Error(`a completion of one token: ${answer.status} ${await answer.text()}`);
        await answer.text();
        return { wall: (performance.now() - begin) / 1000, cpu: server.cpuSeconds() };
    } finally {
        await server.stop();
    }
}

async function compareCaches(vllm: string, model: string, flags: string[]): Promise<void> {
    // Its processes end with this one only if this one exits by itself.
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
    const folder = mkdtempSync(join(tmpdir(), "cold-start-"));
    try {
        let first: { wall: number; cpu: number } | undefined;
        for (const { name, caches, flags: own = [] } of starts) {
            const [cacheRoot, compilerCache] = caches.map((cache, at) =>
                join(folder, `${["vllm", "torch"][at]}-${cache}`),
            );
            for (const dir of [cacheRoot, compilerCache]) mkdirSync(dir, { recursive: true });
            // As vLLM sets it on a GPU, into its own cache; on a CPU it leaves it where torch has it.
            Object.assign(process.env, { VLLM_CACHE_ROOT: cacheRoot, TORCHINDUCTOR_CACHE_DIR: compilerCache });
            const { wall, cpu } = await startOnce(vllm, model, [...flags, ...own]);
            first ??= { wall, cpu };
            const ratio = `${(wall / first.wall).toFixed(2)} and ${(cpu / first.cpu).toFixed(2)} of the first`;
            console.log(
                `${name.padEnd(36)} ${wall.toFixed(1).padStart(6)} s ${cpu.toFixed(1).padStart(6)} CPU s  ${ratio}`,
            );
        }
    } finally {
        rmSync(folder, { recursive: true, force: true });
    }
}

async function main(): Promise<void> {
    const text = { type: "string" } as const;
    const { values, positionals } = parseArgs({ allowPositionals: true, options: { vllm: text, model: text } });
    const { vllm, model } = values;
    if ((vllm === undefined) !== (model === undefined)) throw new Error("give both of --vllm and --model, or none");
    await (vllm && model ? compareCaches(vllm, model, positionals) : compareWays());
}

void main().catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
});
