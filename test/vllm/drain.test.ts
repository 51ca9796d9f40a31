import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, describe, expect, it } from "vitest";
import { shellWord } from "../../src/vllm/command-line";
import { drained, drainedServer } from "../../src/vllm/drain";

/**
 * A server that shows one page of metrics after the other, and the last one from then on: a number of requests, "none" for
 * a page without them, "cut" for no answer. On SIGTERM it says how often it was asked and ends with exit code 7.
 */
const server = `
const [port, pages] = [Number(process.argv[1]), JSON.parse(process.argv[2])];
let looks = 0;
require("node:http").createServer((request, answer) => {
    if (request.url === "/slow") {
        answer.write("answered");
        return setTimeout(() => answer.end(" late"), 8000);
    }
    if (request.url === "/crash") process.exit(9);
    if (request.url !== "/metrics") return answer.end("answered");
    const page = pages[Math.min(looks++, pages.length - 1)];
    if (page === "cut") return request.socket.destroy();
    const gauges = 'vllm:num_requests_running{engine="0"} ' + page + '.0\\nvllm:num_requests_waiting{engine="0"} 0.0\\n';
    answer.end("# HELP x y\\n" + (page === "none" ? "" : gauges) + "python_info 1.0\\n");
}).listen(port, "127.0.0.1", () => console.log("listens"));
process.on("SIGTERM", () => { console.log("looks: " + looks); process.exit(7); });
`;

const started: ChildProcess[] = [];
afterAll(() => started.forEach((child) => child.kill("SIGKILL")));

interface Running {
    child: ChildProcess;
    url: string;
    /** Resolves once the server listens. */
    listens: Promise<unknown>;
    /** Exit code, and all that was said. */
    ended: Promise<{ code: number; said: string }>;
}

async function start(seconds: number, pages: unknown[], command?: string[]): Promise<Running> {
    const free = createServer().listen(0, "127.0.0.1");
    await once(free, "listening");
    const { port } = free.address() as { port: number };
    await new Promise((closed) => free.close(closed));
    const words = [process.execPath, "-e", server, String(port), JSON.stringify(pages)];
    // Behind the shell, as in the app's command: the signal has to reach the server through it.
    const [program, ...args] = drained({
        seconds,
        port,
        command: command ?? ["bash", "-c", words.map(shellWord).join(" ")],
    });
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
    started.push(child);
    const exited = once(child, "exit") as Promise<[number]>;
    const said = text(child.stdout);
    return {
        child,
        url: `http://127.0.0.1:${port}`,
        listens: new Promise((resolve) =>
            child.stdout.on("data", (data: Buffer) => /listens/.test(String(data)) && resolve(0)),
        ),
        ended: Promise.all([exited, said]).then(([[code], all]) => ({ code, said: all })),
    };
}

describe.concurrent("a server that is drained", () => {
    it("goes on answering until its metrics have shown no request five times in a row, then is told to end", async () => {
        const { child, url, listens, ended } = await start(60, [2, "none", 0, 0, "cut", 0, 0, 1, 0]);
        await listens;
        child.kill("SIGTERM");
        child.kill("SIGTERM");
        expect(await (await fetch(`${url}/late`, { headers: { connection: "close" } })).text()).toBe("answered");
        const { code, said } = await ended;
        expect(said).toContain("looks: 13");
        expect(code).toBe(7);
    });

    it("is not at rest while somebody is connected, whatever its metrics say", async () => {
        const { child, url, listens, ended } = await start(60, [0]);
        await listens;
        const answer = (await fetch(`${url}/slow`)).text();
        child.kill("SIGTERM");
        expect(await answer).toBe("answered late");
        expect(await ended).toMatchObject({ code: 7 });
    });

    it("is told to end when the time is over, though it is not at rest", async () => {
        const { child, listens, ended } = await start(2, [1]);
        await listens;
        child.kill("SIGTERM");
        expect(await ended).toMatchObject({ code: 7, said: expect.stringMatching(/looks: [123]\n/) });
    });

    it("is killed when it has not answered three times", async () => {
        const { child, listens, ended } = await start(60, ["cut"]);
        await listens;
        child.kill("SIGTERM");
        expect(await ended).toMatchObject({ code: 128 + 9 });
    });

    it("ends at once while it does not listen yet", async () => {
        const starting =
            "process.on('SIGTERM', () => process.exit(5)); console.log('listens'); setInterval(() => 0, 1000)";
        const { child, listens, ended } = await start(60, [], [process.execPath, "-e", starting]);
        await listens;
        child.kill("SIGTERM");
        expect(await ended).toMatchObject({ code: 5 });
    });

    it("that crashes meanwhile is not waited for: its exit code is handed on", async () => {
        const { child, url, listens, ended } = await start(60, [1]);
        await listens;
        child.kill("SIGTERM");
        await new Promise((resolve) => setTimeout(resolve, 1500));
        await expect(fetch(`${url}/crash`)).rejects.toThrow();
        expect(await ended).toMatchObject({ code: 9 });
    });

    it("that ends by itself hands on how", async () => {
        expect(await (await start(60, [], ["bash", "-c", "exit 3"])).ended).toMatchObject({ code: 3 });
        expect(await (await start(60, [], ["bash", "-c", "kill -KILL $$"])).ended).toMatchObject({ code: 137 });
    });
});

it("drainedServer reads what drained writes, and nothing else", () => {
    const one = { seconds: 110, port: 8000, command: ["bash", "-c", "vllm serve a/b"] };
    expect(drainedServer(drained(one))).toEqual(one);
    expect(drainedServer(one.command)).toBeUndefined();
    expect(drainedServer(["python3", "-c", "print()", "1", "2"])).toBeUndefined();
});
