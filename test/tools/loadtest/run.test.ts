import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadConfig } from "../../../tools/loadtest/config";
import { requestsCsv } from "../../../tools/loadtest/csv";
import { reportPage } from "../../../tools/loadtest/html";
import { makeReport } from "../../../tools/loadtest/report";
import { LoadRun } from "../../../tools/loadtest/run";
import { phasesTable, reportText } from "../../../tools/loadtest/text";

/** Whole runs against a server that writes down what it is asked. */

const token = "made-up-token";
let server: Server;
let baseUrl: string;
let bodies: { messages: { role: string; content: string }[]; max_tokens: number; ignore_eos?: boolean }[] = [];
let most = 0;

beforeAll(async () => {
    let under = 0;
    server = createServer((request, response) => {
        let text = "";
        request.on("data", (piece: Buffer) => (text += piece.toString()));
        request.on("end", () => {
            const body = JSON.parse(text) as (typeof bodies)[number];
            bodies.push(body);
            most = Math.max(most, ++under);
            setTimeout(() => {
                under--;
                if (body.max_tokens === 10) return;
                if (body.max_tokens === 11) {
                    const piece = { choices: [{ delta: { content: "And" } }] };
                    response.writeHead(200, { "content-type": "text/event-stream" });
                    return void response.write(`data: ${JSON.stringify(piece)}\n\n`);
                }
                if (body.max_tokens === 13) return void response.writeHead(500).end(`<b>no</b> ${token}`);
                const piece = { choices: [{ delta: { content: `answer ${bodies.length}` } }] };
                const usage = { choices: [], usage: { prompt_tokens: 9, completion_tokens: 4 } };
                response.writeHead(200, { "content-type": "text/event-stream" });
                const events = body.max_tokens === 14 ? [piece] : [piece, usage];
                const written = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
                response.end(`${written}data: [DONE]\n\n`);
            }, 30);
        });
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    baseUrl = `http://127.0.0.1:${(server.address() as { port: number }).port}/v1`;
});
afterAll(() => {
    server.closeAllConnections();
    server.close();
});

async function run(given: Parameters<typeof loadConfig>[0]): Promise<LoadRun> {
    bodies = [];
    most = 0;
    const load = new LoadRun(loadConfig(given), "m", { baseUrl, token });
    await load.run();
    return load;
}

const report = (load: LoadRun) =>
    makeReport({
        startedAt: new Date(0),
        run: load,
        targets: { ttft: 10 },
        replicaPrice: 3,
        replicas: [{ t: 0, ready: 2 }],
    });

describe("loads", () => {
    it("an open loop sends at its times, whatever the answers do", async () => {
        const load = await run({ rate: 50, arrivals: "constant", burst: 5, ramp: 0, duration: 0.5 });
        const { outcomes } = load.results;
        expect(outcomes.length).toBe(25);
        expect(most).toBeGreaterThanOrEqual(5);
        const due = [...outcomes].map(
            ({ start, scheduleDelay, connectSeconds }) => start - scheduleDelay - connectSeconds,
        );
        // Five at a time, every tenth of a second; what is left is what a clock is read apart from another.
        for (const t of due) expect(Math.abs(10 * t - Math.round(10 * t))).toBeLessThan(0.05);
    });

    it("several processes make one run: every worker's requests are there once, also their gaps", async () => {
        const load = await run({ workers: 7, requests: 3, ramp: 0, processes: 2 });
        const counts = new Map<number, number>();
        for (const { worker } of load.results.outcomes) counts.set(worker, (counts.get(worker) ?? 0) + 1);
        expect([...counts].sort(([a], [b]) => a - b)).toEqual(Array.from({ length: 7 }, (_, worker) => [worker, 3]));
        expect(bodies).toHaveLength(21);
        // Four tokens in one piece: three gaps of nothing in each answer.
        expect(load.results.gapsWhere(() => true).length).toBe(63);
        expect(load.self.processes).toBe(2);
        expect(load.connections.length).toBe(7);
        // On one clock: a process that began before the common start would end after the run.
        for (const { end } of load.results.outcomes) expect(end).toBeLessThanOrEqual(load.now());
    });

    it("a sweep lets every request end before the next step", async () => {
        const load = await run({ workers: [1, 4], sweep: true, ramp: 0, duration: 0.3 });
        expect(load.phases.map(({ name }) => name)).toEqual(["1 worker", "4 workers"]);
        const ends = [...load.results.outcomes].filter(({ phase }) => phase === 0).map(({ end }) => end);
        const starts = [...load.results.outcomes].filter(({ phase }) => phase === 1).map(({ start }) => start);
        expect(Math.max(...ends)).toBeLessThanOrEqual(Math.min(...starts));
        expect(report(load).phases.filter(({ kind }) => kind === "steady")).toHaveLength(2);
    });

    it("steps go down too, and each is a part of its own up to the end", async () => {
        const load = await run({ workers: [4, 1], ramp: 0, duration: 0.5 });
        const parts = report(load).phases.filter(({ kind }) => kind === "steady");
        expect(parts.map(({ name, from, to }) => [name, from, to])).toEqual([
            ["4 workers", 0, 0.5],
            ["1 worker", 0.5, 1],
        ]);
        expect(parts[1].requests).toBeGreaterThan(0);
        expect(parts[0].requests).toBeGreaterThan(parts[1].requests);
    });

    it("a conversation carries its questions and answers along", async () => {
        await run({ workers: 1, requests: 5, turns: 3, ramp: 0, maxTokens: 20, ignoreEos: true });
        expect(bodies.map(({ messages }) => messages.length)).toEqual([1, 3, 5, 1, 3]);
        expect(bodies[2].messages.map(({ role }) => role)).toEqual(["user", "assistant", "user", "assistant", "user"]);
        expect(bodies[2].messages[1].content).toBe("answer 1");
        expect(bodies.every(({ max_tokens, ignore_eos }) => max_tokens === 20 && ignore_eos === true)).toBe(true);
    });

    it("a run that is stopped ends, and says what was under way", async () => {
        const load = new LoadRun(loadConfig({ workers: 3, duration: 60, ramp: 0 }), "m", { baseUrl, token });
        const running = load.run();
        await expect.poll(() => load.results.outcomes.length, { timeout: 10_000 }).toBeGreaterThan(0);
        load.stop("enough");
        await running;
        expect(load.stopped).toBe("enough");
        expect(load.results.cancelled).toBeLessThanOrEqual(3);
    });

    it.each([
        [10, undefined],
        [11, expect.any(Number)],
    ])("a request that hangs is seen while it does, with its first token if it came (%i)", async (maxTokens, ttft) => {
        const load = new LoadRun(loadConfig({ workers: 2, requests: 1, ramp: 0, maxTokens }), "m", { baseUrl, token });
        const running = load.run();
        await expect.poll(() => load.underWay).toEqual([1, 2].map(() => ({ start: expect.any(Number), ttft })));
        load.stop("enough");
        await running;
        expect(load.underWay).toEqual([]);
        expect(load.results.outcomes.length).toBe(0);
        const found = report(load);
        expect(found.requests).toMatchObject({ total: 0, cancelled: 2 });
        expect(found.requests.longestCancelled).toBeGreaterThan(0);
        expect(found.requests.longestCancelled).toBeLessThanOrEqual(load.now());
        expect(reportText(found)).toMatch(/2 cancelled, the longest after [\d.]+ m?s, in no figure below/);
    });
});

describe("the report", () => {
    it("of answers says what they cost and how many were good", async () => {
        const found = report(await run({ workers: 2, requests: 3, ramp: 0 }));
        expect(found).toMatchObject({
            goodShare: 1,
            requests: { total: 6, ok: 6 },
            tokens: { prompt: 54, output: 24 },
        });
        expect(found.cost!.euros).toBeCloseTo((found.wallSeconds * 2 * 3) / 3600, 9);
        expect(found.cost!.perMillionOutputTokens).toBeCloseTo((found.cost!.euros * 1e6) / 24, 6);
    });

    it("of an open loop says what was asked for and what was sent, and the rate without its ramp", async () => {
        const found = report(await run({ rate: 20, arrivals: "constant", ramp: 0.5, duration: 0.5 }));
        expect(found.sent!.asked).toBeCloseTo(found.requests.total, 6); // in a second
        expect(found.sent!.achieved).toBeLessThanOrEqual(found.sent!.asked);
        expect(reportText(found)).toMatch(
            /Rate +[\d.]+ requests\/s, \d+ output tokens\/s in the steady parts; .* in all; sent/,
        );
        expect(reportPage(found)).toContain(
            "Load: rate 20, arrivals constant, burst 1, ramp 0.5, duration 0.5, sweep false, ",
        );
        expect(reportPage(found)).toMatch(/maxTokens 768, ignoreEos false, turns 1, images 0, temperature 0.7/);
        const closed = report(await run({ workers: 1, requests: 1, ramp: 0 }));
        expect(closed.sent).toBeUndefined();
        expect(Object.keys(closed.settings)).toEqual(expect.arrayContaining(["workers", "requests"]));
        for (const key of ["arrivals", "burst", "traceSpeed", "prefixShare", "imageSize"]) {
            expect(closed.settings).not.toHaveProperty(key);
        }
    });

    it("of failures counts them as longer than any, and shows neither token nor markup nor question", async () => {
        const load = await run({ workers: 2, requests: 2, ramp: 0, maxTokens: "uniform:12:13", seed: 3 });
        const found = report(load);
        expect(found.requests.errors).toBeGreaterThan(0);
        expect(found.requests.ok).toBeGreaterThan(0);
        expect(found.latencySeconds).toMatchObject({ unknown: found.requests.errors });
        expect(found.latencySeconds!.atLeast).toContain("p99");
        expect(found.goodShare).toBe(found.requests.ok / 4);
        const page = reportPage(found);
        const csv = requestsCsv(load, []);
        expect(page).toContain("&lt;b&gt;no&lt;/b&gt; [secret]");
        expect(page).not.toMatch(/<script|https?:\/\/(?!127\.0\.0\.1)/);
        expect(csv.trim().split("\n")).toHaveLength(5);
        for (const text of [page, csv, reportText(found), JSON.stringify(found)]) {
            expect(text).not.toContain(token);
            for (const { messages } of bodies) expect(text).not.toContain(messages[0].content);
        }
    });

    it("of answers without a count says that their pieces were counted; of a part of a moment, no rate", async () => {
        const found = report(await run({ workers: 2, requests: 2, ramp: 0, maxTokens: 14 }));
        expect(found).toMatchObject({ uncounted: 4, tokens: { prompt: 0, output: 4 } });
        expect(reportText(found)).toContain("of 4 answers the server gave no count: their pieces were counted");
        found.phases = [{ ...found.phases[0], name: "tail", from: 1.25, to: 1.251 }];
        expect(phasesTable(found)[1].slice(0, 7)).toEqual([
            "tail",
            "1.3 s",
            "1.3 s",
            expect.any(String),
            "0",
            "-",
            "-",
        ]);
        expect(report(await run({ workers: 1, requests: 1, ramp: 0 }))).not.toHaveProperty(
            "uncounted",
            expect.any(Number),
        );
    });

    it("of a trace that is a single moment does not blame the client, and shows what got no answer last", async () => {
        const trace = join(mkdtempSync(join(tmpdir(), "trace-")), "t.csv");
        writeFileSync(trace, "TIMESTAMP,ContextTokens,GeneratedTokens\n5,900,13\n5,30,4\n");
        const { clientLimits, byLength } = report(await run({ trace }));
        expect(clientLimits.join()).not.toMatch(/were asked for/);
        expect(byLength.map(({ lengthClass, ok }) => [lengthClass, ok])).toEqual([
            ["up to 32 tokens", 1],
            ["up to 2048 tokens", 0],
        ]);
    });

    it("holds questions when they were asked for", async () => {
        const csv = requestsCsv(await run({ workers: 1, requests: 1, ramp: 0, csv: "x", withPrompts: true }), []);
        expect(csv).toContain("question");
        expect(csv).toContain(JSON.stringify(bodies[0].messages).replace(/"/g, '""'));
    });
});
