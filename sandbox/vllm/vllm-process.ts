import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { get } from "node:http";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { drained, drainedServer } from "../../src/vllm/drain";
import { markOf } from "../processes";
import type { Phase } from "./phase";
import type { Replica, ReplicaOptions } from "./replica";
import { CommandError, isKnownProgram, startedProgram } from "./shell";

/** A replica that is a real `vllm` process of this machine, with the app's own command line. Linux only. */

export interface RealEngine {
    /** Path of the executable. */
    command: string;
    /** Serves this model (a path, or a name on the hub) under the names of the app's own. */
    model?: string;
    /** Folder of the sandbox, with which its processes are marked. */
    dir: string;
}

/** What the log says when a phase of the start begins. */
const phases: [RegExp, Phase][] = [
    [/Starting to load model/, "loading"],
    [/torch\.compile|Compiling a graph/, "compiling"],
    [/KV cache size|init engine/, "warming-up"],
];
const lookEveryMs = 500;

export function startVllmProcess(options: ReplicaOptions, engine: RealEngine): Replica {
    let phase: Phase = "starting";
    let containerPort: number | undefined;
    let port = 0;
    let child: ChildProcess | undefined;
    let lastError: string | undefined;
    let stopping = false;
    let load: Replica["load"] = { running: 0, waiting: 0, kvUsage: 0 };
    let usage: Replica["usage"] = { cores: 0, memory: 0 };

    const log = (line: string): void => {
        // Colours are for a terminal.
        const text = line.replace(/\x1b\[[\d;]*m/g, "");
        options.log(text);
        if (/\berror: |\b\w*(Error|Exception): /.test(text)) lastError = text;
        if (port === 0) phase = phases.find(([said]) => said.test(text))?.[1] ?? phase;
    };

    async function run(): Promise<{ code: number; reason?: string }> {
        await sleep(0); // not before the caller has its Replica
        const drain = drainedServer(options.command);
        const { argv, env } = engineArguments(drain?.command ?? options.command, options.env, engine.model);
        containerPort = Number(lastValue(argv, "--port") ?? 8000);
        const free = await freePort();
        if (stopping) return { code: 0 };
        log(`[sandbox] a real vLLM: ${engine.command} ${argv.join(" ")}`);
        const server = [engine.command, ...argv, "--host", "127.0.0.1", "--port", String(free)];
        const [program, ...words] = drain ? drained({ ...drain, port: free, command: server }) : server;
        child = spawn(program, words, {
            env: { ...ownEnvironment(), ...env, ...markOf(engine.dir) },
            stdio: ["ignore", "pipe", "pipe"],
            detached: true, // a process group of its own, so that all of it can be ended
        });
        for (const out of [child.stdout!, child.stderr!]) createInterface({ input: out }).on("line", log);
        const closed = once(child, "close"); // after the last line of its log
        closed.catch(() => undefined);
        try {
            const ended = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
            void look(free);
            const [code, signal] = await ended;
            signalGroup("SIGKILL"); // an engine outlives a server that was killed
            await closed;
            const exit = code ?? (signal === "SIGKILL" ? 137 : 143);
            return { code: exit, reason: exit === 0 ? undefined : lastError };
        } catch (error) {
            return { code: 127, reason: `${engine.command}: ${(error as Error).message}` };
        } finally {
            port = 0;
            phase = "ended";
        }
    }

    /** Follows the process until it ends: whether it listens, what its metrics say, what it takes. */
    async function look(own: number): Promise<void> {
        let before = { at: performance.now(), cpuSeconds: 0 };
        while (phase !== "ended") {
            if (port === 0 && (await listens(own)) && (phase as Phase) !== "ended") {
                port = own;
                phase = "serving";
            }
            if (port > 0) load = await loadOf(port).catch(() => load);
            const { cpuSeconds, memory } = groupUsage(child?.pid);
            const at = performance.now();
            usage = { cores: Math.max(0, (1000 * (cpuSeconds - before.cpuSeconds)) / (at - before.at)), memory };
            before = { at, cpuSeconds };
            await sleep(lookEveryMs, undefined, { ref: false });
        }
    }

    function signalGroup(signal: NodeJS.Signals): void {
        if (child?.pid === undefined) return;
        try {
            process.kill(-child.pid, signal);
        } catch {
            // all of it has ended
        }
    }

    const exited = run().catch((error: Error) => {
        phase = "ended";
        for (const line of error.message.split("\n")) options.log(line);
        return { code: error instanceof CommandError ? error.code : 1, reason: error.message.split("\n").at(-1) };
    });

    return {
        get port() {
            return port;
        },
        get containerPort() {
            return containerPort;
        },
        get ready() {
            return port > 0;
        },
        get phase() {
            return phase;
        },
        get load() {
            return load;
        },
        get usage() {
            return usage;
        },
        exited,
        connect() {
            if (port === 0) throw new Error("connect ECONNREFUSED");
            return connect(port, "127.0.0.1");
        },
        async stop(graceSeconds = 0) {
            stopping = true;
            if (phase !== "ended") phase = "draining";
            // Not by its number: one that has ended, and whose log is still read, is none to signal.
            if (graceSeconds > 0) child?.kill("SIGTERM");
            const over = new AbortController();
            await Promise.race([
                exited,
                sleep(graceSeconds * 1000, undefined, { signal: over.signal }).catch(() => undefined),
            ]);
            over.abort();
            signalGroup("SIGKILL");
            await exited;
        },
        impair({ hanging, stalled }) {
            signalGroup(hanging ? "SIGSTOP" : "SIGCONT");
            if (hanging || !stalled) return;
            for (const { pid, name } of groupProcesses(child?.pid)) {
                if (name.startsWith("VLLM::Engine")) process.kill(pid, "SIGSTOP");
            }
        },
        crash() {
            signalGroup("SIGKILL");
        },
        outOfMemory() {
            throw new Error("a real vLLM cannot be made to run out of memory");
        },
    };
}

/** The arguments of `vllm` that the app's command stands for. Keys go into the environment: `ps` shows arguments to everyone. */
export function engineArguments(
    command: string[],
    containerEnv: Record<string, string>,
    model: string | undefined,
): { argv: string[]; env: Record<string, string> } {
    const started =
        command.length === 0 ? { argv: ["vllm", "serve"], env: containerEnv } : startedProgram(command, containerEnv);
    const [program, ...words] = started.argv;
    if (!isKnownProgram(program)) {
        throw new CommandError(127, `exec: "${program}": executable file not found in $PATH`);
    }
    const isModule = words[0] === "-m" && words[1] === "vllm.entrypoints.openai.api_server";
    if (words[0] !== "serve" && !isModule) {
        throw new CommandError(2, `${started.argv.join(" ")}: with a real engine a command is "vllm serve ..."`);
    }
    const env = { ...started.env };
    let argv = words.slice(isModule ? 2 : 1);
    for (const [option, variable] of [
        ["--api-key", "VLLM_API_KEY"],
        ["--hf-token", "HF_TOKEN"],
    ]) {
        const value = lastValue(argv, option);
        if (value !== undefined) env[variable] = value;
        argv = without(argv, option);
    }
    if (model === undefined) return { argv: ["serve", ...argv], env };
    const positional = !argv[0] || argv[0].startsWith("-") ? undefined : argv[0];
    const own = positional ?? lastValue(argv, "--model");
    argv = without(positional === undefined ? argv : argv.slice(1), "--model");
    const named = lastValue(argv, "--served-model-name") !== undefined || own === undefined;
    return { argv: ["serve", model, ...argv, ...(named ? [] : ["--served-model-name", own])], env };
}

function isOption(word: string, option: string): boolean {
    const name = word.split("=")[0];
    return name.replace(/_/g, "-") === option;
}

/** The value of the option's last occurrence. */
function lastValue(words: string[], option: string): string | undefined {
    const at = words.findLastIndex((word) => isOption(word, option));
    if (at < 0) return undefined;
    return words[at].includes("=") ? words[at].slice(words[at].indexOf("=") + 1) : words[at + 1];
}

/** The words without the option and its values. */
function without(words: string[], option: string): string[] {
    const kept: string[] = [];
    let skipping = false;
    for (const word of words) {
        if (word.startsWith("-")) skipping = isOption(word, option);
        if (!skipping) kept.push(word);
        if (skipping && word.includes("=")) skipping = false;
    }
    return kept;
}

/** That of this process, without what opens OVHcloud or Pulumi. */
function ownEnvironment(): NodeJS.ProcessEnv {
    return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(OVH|PULUMI)_/.test(name)));
}

/**
 * A port that nothing listens on. The engine takes it only after a minute or so: until then nobody else may be given it,
 * so it is none of those that Linux gives to whoever asks for any.
 */
async function freePort(): Promise<number> {
    for (;;) {
        const port = 20_000 + Math.floor(Math.random() * 12_000);
        const server = createServer();
        try {
            await once(server.listen(port, "127.0.0.1"), "listening");
            return port;
        } catch {
            // taken: another one
        } finally {
            server.close();
        }
    }
}

function listens(port: number): Promise<boolean> {
    return new Promise((resolve) => {
        const socket = connect(port, "127.0.0.1");
        socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
        socket.on("connect", () => socket.destroy());
    });
}

/** What its `/metrics` says. Rejects when it does not answer. */
async function loadOf(port: number): Promise<Replica["load"]> {
    const page = await new Promise<string>((resolve, reject) => {
        const call = get({ host: "127.0.0.1", port, path: "/metrics", agent: false, timeout: 1000 }, (answer) => {
            let text = "";
            answer.setEncoding("utf8").on("data", (part: string) => (text += part));
            answer.on("end", () => resolve(text));
        });
        call.on("timeout", () => call.destroy(new Error("no answer"))).on("error", reject);
    });
    const sum = (name: string): number =>
        page
            .split("\n")
            .filter((line) => line.startsWith(`${name}{`))
            .reduce((all, line) => all + Number(line.split(" ").at(-1)), 0);
    return {
        running: sum("vllm:num_requests_running"),
        waiting: sum("vllm:num_requests_waiting"),
        kvUsage: sum("vllm:kv_cache_usage_perc"),
    };
}

interface GroupProcess {
    pid: number;
    name: string;
    /** Since it began, in seconds. */
    cpuSeconds: number;
    /** Bytes. */
    memory: number;
}

/** Clock ticks per second and bytes per page, as Linux has them on the machines that vLLM runs on. */
const ticks = 100;
const pageBytes = 4096;

/** The processes of a group. */
function groupProcesses(group: number | undefined): GroupProcess[] {
    if (group === undefined) return [];
    return readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .flatMap((pid) => {
            try {
                const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
                if (Number(fields[2]) !== group) return [];
                const name = readFileSync(`/proc/${pid}/cmdline`, "utf8");
                const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / ticks;
                return [{ pid: Number(pid), name, cpuSeconds, memory: Number(fields[21]) * pageBytes }];
            } catch {
                return []; // ended meanwhile
            }
        });
}

function groupUsage(group: number | undefined): { cpuSeconds: number; memory: number } {
    const all = groupProcesses(group);
    return {
        cpuSeconds: all.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
        memory: all.reduce((sum, { memory }) => sum + memory, 0),
    };
}
