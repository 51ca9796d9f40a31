import { once } from "node:events";
import type { Server } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { CommandError, parseCommand } from "./command-line";
import { vllmServer } from "./http-server";
import { ministral14bOnH100 } from "./profiles";
import { Serving } from "./serving";

export interface ReplicaOptions {
    /** The app's command, as the API has it. */
    command: string[];
    env: Record<string, string>;
    /** Port on 127.0.0.1; 0: a free one. */
    port: number;
    /** Shortens the boot; tokens take their real time. */
    speed: number;
    log: (line: string) => void;
    /** Makes the lengths of answers repeatable. */
    seed?: number;
}

export interface Replica {
    /** 0 until it listens. */
    readonly port: number;
    /** Whether the server is up. */
    readonly ready: boolean;
    /** How it ended, if it does so by itself or is stopped. `reason` is the last line of its log that says why. */
    readonly exited: Promise<{ code: number; reason?: string }>;
    /** Ends it; open requests are cut. */
    stop(): Promise<void>;
}

/** Organizations whose models are open to all; the rest want a token. A simulation: the hub is never asked. */
const openModels = /^(Qwen|HuggingFaceTB|facebook|ibm-granite)\//;

/**
 * Boots a simulated vLLM server in this process. It says in `log` what vLLM says, refuses a wrong command line as vLLM
 * does, and listens only once the model is "loaded".
 */
export function startReplica(options: ReplicaOptions): Replica {
    const profile = ministral14bOnH100;
    const stopped = new AbortController();
    let server: Server | undefined;
    let serving: Serving | undefined;
    let port = 0;
    const pause = (seconds: number): Promise<unknown> => sleep((seconds * 1000) / options.speed, undefined, { signal: stopped.signal });
    const info = (line: string): void => options.log(`INFO ${line}`);

    async function run(): Promise<void> {
        const args = parseCommand(options.command);
        info(`[api_server.py] vLLM API server version 0.13.0 (simulated by the sandbox: no GPU, no model)`);
        info(`[api_server.py] non-default args: {'model': '${args.model}', 'max_num_seqs': ${args.maxNumSeqs}}`);
        await pause(2);
        checkAccess(args.model, options.env.HF_TOKEN ?? "");
        info(`[weight_utils.py] Downloading weights of ${args.model} to ${options.env.HF_HOME ?? "~/.cache/huggingface"}`);
        await pause(profile.boot.downloadSeconds);
        info(`[default_loader.py] Loading weights took ${profile.boot.loadSeconds.toFixed(2)} seconds`);
        await pause(profile.boot.loadSeconds);
        info(`[backends.py] torch.compile takes ${profile.boot.compileSeconds.toFixed(2)} s in total`);
        await pause(profile.boot.compileSeconds);
        info(`[kv_cache_utils.py] GPU KV cache size: ${(profile.numBlocks * profile.blockSize).toLocaleString("en")} tokens`);
        await pause(profile.boot.profileSeconds);
        serving = new Serving(args, profile, random(options.seed ?? Math.floor(Math.random() * 2 ** 31)));
        server = vllmServer(args, serving);
        server.listen(options.port, "127.0.0.1");
        await once(server, "listening");
        port = (server.address() as { port: number }).port;
        info(`[api_server.py] Starting vLLM API server 0 on http://0.0.0.0:${args.port}`);
        info("Application startup complete.");
        await once(stopped.signal, "abort");
    }

    async function end(): Promise<void> {
        serving?.close();
        if (!server) return;
        const closed = server.listening ? once(server, "close") : undefined;
        server.close();
        server.closeAllConnections();
        await closed;
        port = 0;
    }

    const exited = run()
        .then(
            () => ({ code: 0 }),
            (error: unknown) => {
                if (stopped.signal.aborted) return { code: 0 };
                const message = (error as Error).message;
                for (const line of message.split("\n")) options.log(`ERROR ${line}`);
                return { code: error instanceof CommandError ? error.code : 1, reason: message.split("\n").at(-1) };
            },
        )
        .then(async (result) => {
            await end();
            return result;
        });

    return {
        get port() {
            return port;
        },
        get ready() {
            return port !== 0;
        },
        exited,
        async stop() {
            stopped.abort();
            await exited;
        },
    };
}

/** As huggingface_hub refuses: a token that does not look like one, or says that it is invalid, opens no gated model. */
function checkAccess(model: string, token: string): void {
    if (openModels.test(model)) return;
    if (!token.startsWith("hf_") || token.includes("invalid")) {
        throw new CommandError(
            1,
            `huggingface_hub.errors.GatedRepoError: 401 Client Error. Cannot access gated repo for url https://huggingface.co/${model}/resolve/main/config.json. ` +
                `Access to model ${model} is restricted. You must have access to it and be authenticated to access it. Please log in.`,
        );
    }
}

/** A small seeded generator (mulberry32): uniform in [0, 1). */
function random(seed: number): () => number {
    let state = seed;
    return () => {
        state = (state + 0x6d2b79f5) | 0;
        let t = Math.imul(state ^ (state >>> 15), 1 | state);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
}
