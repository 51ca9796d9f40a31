import { fork, type ChildProcess } from "node:child_process";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadConfig } from "../../../tools/loadtest/config";
import { LoadRun } from "../../../tools/loadtest/run";
import { clientLimits, type Circumstances, type SelfReport } from "../../../tools/loadtest/self-report";

const healthy: SelfReport = {
    processes: 1,
    cpu: 0.3,
    machineCpu: 0.5,
    eventLoopBusy: 0.3,
    saturatedSeconds: 0,
    eventLoopDelayMs: { p50: 0.1, p99: 5, max: 40 },
    waitedForCpu: 0.01,
    memoryMb: 100,
    sockets: 50,
    scheduleDelayMs: { p50: 0.2, p99: 3, max: 20 },
    waitedForConnection: { requests: 0, p50: 0, p99: 0, max: 0 },
    firstTokenDelayMs: { p50: 0.1, p99: 4, max: 20 },
    firstTokenError: { p50: 0.001, p99: 0.02 },
};
const around: Circumstances = { sameMachine: true, latencyMs: 1000, notSent: 0 };
const limits = (self: Partial<SelfReport>, more: Partial<Circumstances> = {}): string =>
    clientLimits({ ...healthy, ...self }, { ...around, ...more }).join("; ");

describe("client limits", () => {
    it("say nothing of a client that kept up", () => {
        expect(limits({})).toBe("");
        // Late, and nothing beside the latency; a large share of next to nothing.
        expect(limits({ scheduleDelayMs: { p50: 20, p99: 90, max: 200 } })).toBe("");
        expect(limits({ firstTokenError: { p50: 0.5, p99: 0.5 } })).toBe("");
    });

    it.each<[RegExp, Partial<SelfReport>, Partial<Circumstances>]>([
        [/^50 % of all seconds|saturated in 50 %/, { saturatedSeconds: 0.5 }, {}],
        [/60 ms too late at p50/, { scheduleDelayMs: { p50: 60, p99: 90, max: 200 } }, {}],
        [/30 ms too late at p50/, { scheduleDelayMs: { p50: 30, p99: 90, max: 200 } }, { latencyMs: 100 }],
        [/99 % busy, with the server on the same machine/, { machineCpu: 0.99 }, {}],
        [/waited for a free core in 30 %/, { waitedForCpu: 0.3 }, {}],
        [
            /40 % of the time to the first token at p50.*waited up to 370 ms/,
            { firstTokenError: { p50: 0.4, p99: 0.05 }, firstTokenDelayMs: { p50: 370, p99: 370, max: 370 } },
            {},
        ],
        [/sent 90.0 requests\/s where 100.0 were asked for/, {}, { rate: { asked: 100, achieved: 90 } }],
        [/3 requests were due and not sent/, {}, { notSent: 3 }],
    ])("name what was too much: %s", (message, self, circumstances) => {
        const found = limits(self, circumstances);
        expect(found).toMatch(message);
        expect(found).not.toContain(";");
    });
});

describe("one stall into which most first tokens fall", () => {
    let server: ChildProcess;
    let baseUrl: string;
    beforeAll(async () => {
        // In a process of its own: it is to go on while this one stands still.
        const program = resolve(__dirname, "../../../bench/loadtest/server.ts");
        server = fork(program, ["0", "500"], { execArgv: ["--import", "tsx"] });
        baseUrl = `http://127.0.0.1:${await new Promise<number>((done) => server.once("message", done))}/v1`;
    });
    afterAll(() => void server.kill());

    /** The server sends first tokens 500 to 530 ms after a request; this process stands still from 100 to 900 ms. */
    async function stalledRun(): Promise<SelfReport> {
        const run = new LoadRun(loadConfig({ workers: 20, requests: 1, ramp: 0, maxTokens: 5 }), "mock", { baseUrl });
        const done = run.run();
        while (run.running < 20) await new Promise((resolve) => setImmediate(resolve));
        await new Promise((resolve) => setTimeout(resolve, 100));
        const until = performance.now() + 800;
        while (performance.now() < until);
        await done;
        expect(run.results.errors).toBe(0);
        return run.self;
    }

    it("is seen in what the first tokens waited, though the event loop was late once", async () => {
        const self = await stalledRun();
        expect(self.firstTokenDelayMs.p50).toBeGreaterThan(150);
        expect(self.firstTokenError.p50).toBeGreaterThan(0.1);
        expect(clientLimits(self, around).join()).toMatch(/of the time to the first token at p50 may be its own/);
    });
});
