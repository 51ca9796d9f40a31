import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Calibration } from "../../tools/find-target/calibrate";
import { ministral14bOnH100, type Profile } from "../../sandbox/vllm/profiles";
import { startReplica } from "../../sandbox/vllm/replica";

/** The two servers that are compared: a real vLLM, and the simulated one with the times that were fitted to it. */

export interface Settings {
    maxNumSeqs: number;
    maxNumBatchedTokens: number;
    maxModelLen: number;
    blockSize: number;
    blocks: number;
}

export interface RunningServer {
    url: string;
    stop(): Promise<void>;
}

export interface RealServer extends RunningServer {
    /** What it and its processes, ended ones too, have taken so far. Linux only. */
    cpuSeconds(): number;
}

function schedulerFlags(settings: Settings): string[] {
    return [
        ...["--max-num-seqs", String(settings.maxNumSeqs)],
        ...["--max-num-batched-tokens", String(settings.maxNumBatchedTokens)],
        ...["--max-model-len", String(settings.maxModelLen)],
        ...["--block-size", String(settings.blockSize)],
    ];
}

/** Starts `binary serve model`, with random weights unless the flags say otherwise. Throws with its last lines if it ends. */
export async function startReal(
    binary: string,
    model: string,
    settings: Settings,
    flags: string[],
): Promise<RealServer> {
    const port = await freePort();
    const own = ["--host", "127.0.0.1", "--port", String(port), "--num-gpu-blocks-override", String(settings.blocks)];
    const child = spawn(binary, ["serve", model, ...own, ...schedulerFlags(settings), ...flags], {
        // Of the CPU build: one thread, free to move, and no look at the hub. All can be set otherwise.
        env: {
            VLLM_CPU_KVCACHE_SPACE: "1",
            VLLM_CPU_OMP_THREADS_BIND: "nobind",
            OMP_NUM_THREADS: "1",
            HF_HUB_OFFLINE: "1",
            VLLM_NO_USAGE_STATS: "1",
            ...process.env,
        },
        stdio: ["ignore", "pipe", "pipe"],
        detached: true, // its engine is a process of its own, and ends with its group
    });
    let log = "";
    for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (data: Buffer) => (log = (log + data.toString()).slice(-4000)));
    }
    const ended = new Promise<never>((_, reject) => {
        child.on("error", (error) => reject(new Error(`${binary}: ${error.message}`)));
        child.on("exit", (code) => reject(new Error(`${binary} ended with ${code}:\n${log}`)));
    });
    ended.catch(() => undefined);
    const url = `http://127.0.0.1:${port}`;
    const kill = (signal: NodeJS.Signals): void => {
        try {
            process.kill(-child.pid!, signal);
        } catch {
            // It is gone already.
        }
    };
    process.on("exit", () => kill("SIGKILL"));
    // A group of its own hears nothing of Ctrl-C, and by itself a signal ends this process without its "exit".
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
    await Promise.race([ended, untilHealthy(url)]).catch((error: Error) => {
        kill("SIGKILL");
        throw error;
    });
    return {
        url,
        cpuSeconds: () => groupCpuSeconds(child.pid!),
        async stop() {
            if (child.exitCode === null && child.signalCode === null) {
                kill("SIGTERM");
                await Promise.race([once(child, "exit"), sleep(20_000)]);
            }
            kill("SIGKILL");
        },
    };
}

/** Of `/proc/PID/stat`, in ticks of 10 ms: user and system time, its own and that of children that it has waited for. */
function groupCpuSeconds(group: number): number {
    const ticks = readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .map((pid) => {
            try {
                const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ").map(Number);
                return fields[2] === group ? fields[11] + fields[12] + fields[13] + fields[14] : 0;
            } catch (error) {
                if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return 0; // ended meanwhile
                throw error;
            }
        });
    return ticks.reduce((sum, one) => sum + one, 0) / 100;
}

/** Starts the simulated server in this process, with the times of the fit and as many KV blocks as the real one has. */
export async function startSimulated(
    fit: Calibration,
    model: string,
    settings: Settings,
    seed: number,
): Promise<RunningServer> {
    const replica = startReplica({
        command: ["vllm", "serve", "Qwen/fitted", "--served-model-name", model, ...schedulerFlags(settings)],
        env: {},
        port: 0,
        speed: 1_000_000,
        seed,
        profiles: [fittedProfile(fit, settings)],
        log: () => undefined,
    });
    const ended = replica.exited.then(({ reason }) => {
        throw new Error(`the simulated server ended: ${reason}`);
    });
    ended.catch(() => undefined);
    await Promise.race([
        ended,
        (async () => {
            while (!replica.ready) await sleep(10);
        })(),
    ]);
    return { url: `http://127.0.0.1:${replica.port}`, stop: () => replica.stop() };
}

function fittedProfile({ step, requestOverhead }: Calibration, settings: Settings): Profile {
    const kvPerToken = 1024;
    const kv = settings.blocks * settings.blockSize * kvPerToken;
    return {
        ...ministral14bOnH100,
        name: "fitted to a real server",
        maxModelLen: settings.maxModelLen,
        // So that what is left beside the weights, at the default share of 0.9, is the blocks and half a one.
        memory: { gpu: (kv * (1 + 0.5 / settings.blocks) + 2) / 0.9, weights: 1, activations: 1, kvPerToken },
        step,
        requestOverhead,
    };
}

async function untilHealthy(url: string): Promise<void> {
    for (;;) {
        const healthy = await fetch(`${url}/health`).then(
            ({ ok }) => ok,
            () => false,
        );
        if (healthy) return;
        await sleep(500);
    }
}

async function freePort(): Promise<number> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, "close");
    return port;
}
