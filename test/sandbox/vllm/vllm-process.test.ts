import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { endProcesses, identityOf, sandboxProcesses } from "../../../sandbox/processes";
import type { Replica } from "../../../sandbox/vllm/replica";
import { engineArguments, startVllmProcess } from "../../../sandbox/vllm/vllm-process";
import { drained } from "../../../src/vllm/drain";
import { until } from "./replica";

/** A program that acts as `vllm serve`: a server with a process of its own for the engine. */
const fake = `#!${process.execPath}
const { spawn } = require("node:child_process");
const args = process.argv.slice(2);
if (args.includes("--refused")) {
    console.error("vllm: error: unrecognized arguments: --refused");
    process.exit(2);
}
const engine = spawn("sleep", ["600"], { stdio: "ignore" });
console.log("engine " + engine.pid + " key " + process.env.VLLM_API_KEY + " args " + args.join(" "));
console.log("(EngineCore_DP0 pid=1) INFO Starting to load model x...");
const page = 'vllm:num_requests_running{engine="0"} 3.0\\nvllm:num_requests_waiting{engine="0"} 2.0\\n';
const server = require("node:http").createServer((request, answer) => {
    if (request.url === "/stuck") return;
    answer.end(request.url === "/metrics" ? page : "ok");
});
const port = Number(args[args.lastIndexOf("--port") + 1]);
setTimeout(() => server.listen(port, "127.0.0.1"), 200);
if (!args.includes("--stubborn")) process.on("SIGTERM", () => { engine.kill(); process.exit(0); });
else process.on("SIGTERM", () => undefined);
`;

let dir: string;
let command: string;
const replicas: Replica[] = [];
beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "sandbox-"));
    command = join(dir, "vllm");
    writeFileSync(command, fake);
    chmodSync(command, 0o755);
});
afterEach(() => Promise.all(replicas.splice(0).map((replica) => replica.stop())));
afterAll(() => rmSync(dir, { recursive: true }));

function start(
    flags: string[],
    engine = command,
    wrapped = (server: string[]): string[] => server,
): { replica: Replica; log: string[]; enginePid: () => number } {
    const log: string[] = [];
    const replica = startVllmProcess(
        {
            command: wrapped(["bash", "-c", `vllm serve a/b --port 8000 --api-key made-up ${flags.join(" ")}`]),
            env: { HF_TOKEN: "hf_made_up" },
            port: 0,
            speed: 1,
            log: (line) => log.push(line),
        },
        { command: engine, dir },
    );
    replicas.push(replica);
    const enginePid = (): number => Number(/engine (\d+)/.exec(log.join("\n"))![1]);
    return { replica, log, enginePid };
}

describe.runIf(process.platform === "linux")("a replica that is a process", () => {
    it("is told the app's command line, listens on a port of its own, and keeps keys out of its arguments", async () => {
        const { replica, log, enginePid } = start([]);
        await until(() => replica.ready);
        expect(replica).toMatchObject({ containerPort: 8000, phase: "serving" });
        expect(await (await fetch(`http://127.0.0.1:${replica.port}/x`)).text()).toBe("ok");
        const said = log.find((line) => line.startsWith("engine"))!;
        expect(said).toMatch(/key made-up args serve a\/b --port 8000 --host 127\.0\.0\.1 --port \d+$/);
        expect(log.filter((line) => line.includes("made-up") && line !== said)).toEqual([]);
        await until(() => replica.load.running === 3);
        expect(replica.load.waiting).toBe(2);
        await replica.stop(20);
        expect(await replica.exited).toEqual({ code: 0 });
        expect(replica).toMatchObject({ port: 0, phase: "ended" });
        await until(() => identityOf(enginePid()) === undefined);
    });

    it("is killed with all that it started when its grace is over, or at once by a crash", async () => {
        const stubborn = start(["--stubborn"]);
        await until(() => stubborn.replica.ready);
        await stubborn.replica.stop(0.3);
        expect(await stubborn.replica.exited).toMatchObject({ code: 137 });
        await until(() => identityOf(stubborn.enginePid()) === undefined);
        const crashed = start([]);
        await until(() => crashed.replica.ready);
        crashed.replica.crash();
        expect(await crashed.replica.exited).toMatchObject({ code: 137 });
    });

    it("is drained as in its container: its server goes on while its metrics show requests, for so long", async () => {
        const wrapped = (server: string[]): string[] => drained({ seconds: 2, port: 8000, command: server });
        const { replica, log, enginePid } = start([], command, wrapped);
        await until(() => replica.ready);
        expect(replica.containerPort).toBe(8000);
        const stopped = replica.stop(60);
        await until(() => log.some((line) => line.startsWith("[drain] SIGTERM")));
        expect(await (await fetch(`http://127.0.0.1:${replica.port}/x`)).text()).toBe("ok");
        await stopped;
        expect(await replica.exited).toEqual({ code: 0 });
        await until(() => identityOf(enginePid()) === undefined);
    });

    it("ends as the process does that refuses its command line, or cannot be started", async () => {
        const refused = start(["--refused"]);
        expect(await refused.replica.exited).toEqual({
            code: 2,
            reason: "vllm: error: unrecognized arguments: --refused",
        });
        expect(await start([], join(dir, "missing")).replica.exited).toMatchObject({ code: 127 });
    });

    it("is found by its sandbox after the death of the daemon, engine included", async () => {
        const { replica, enginePid } = start([]);
        await until(() => replica.ready);
        const found = sandboxProcesses(dir);
        expect(found).toContain(enginePid());
        expect(found.length).toBeGreaterThanOrEqual(2);
        expect(sandboxProcesses(`${dir}-other`)).toEqual([]);
        await endProcesses(found, 5);
        expect(sandboxProcesses(dir)).toEqual([]);
    });

    it("hangs as a whole, and goes on", async () => {
        const { replica } = start([]);
        await until(() => replica.ready);
        const as = (hanging: boolean) => ({ slowness: 1, hanging, stalled: false, errors: [], metrics: [] });
        const health = (): Promise<Response> =>
            fetch(`http://127.0.0.1:${replica.port}/health`, { signal: AbortSignal.timeout(400) });
        replica.impair(as(true));
        await expect(health()).rejects.toThrow();
        replica.impair(as(false));
        await until(async () => (await health().catch(() => undefined))?.ok === true);
    });
});

describe("the arguments of a real engine", () => {
    const of = (text: string, model?: string) => engineArguments(["bash", "-c", text], { A: "1" }, model);

    it("serve another model under the app's name", () => {
        const { argv } = of("vllm serve a/b --port 8000", "/models/tiny");
        expect(argv).toEqual(["serve", "/models/tiny", "--port", "8000", "--served-model-name", "a/b"]);
        const module = of("python3 -m vllm.entrypoints.openai.api_server --model a/b --served-model-name x", "/tiny");
        expect(module.argv).toEqual(["serve", "/tiny", "--served-model-name", "x"]);
    });

    it("leave keys to the environment", () => {
        const { argv, env } = of("export B=2; exec vllm serve a/b --api_key=k --hf-token t --seed 1");
        expect(argv).toEqual(["serve", "a/b", "--seed", "1"]);
        expect(env).toEqual({ A: "1", B: "2", VLLM_API_KEY: "k", HF_TOKEN: "t" });
    });

    it("are those of a server", () => {
        expect(() => of("vllm bench latency")).toThrow('with a real engine a command is "vllm serve ..."');
        expect(() => of("nginx")).toThrow("nginx");
    });
});
