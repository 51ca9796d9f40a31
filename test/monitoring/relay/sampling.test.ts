import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { createRequire } from "node:module";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { relayMetrics } from "../../../src/monitoring/metrics";
import type { Metric } from "../../../src/vllm/metrics";
import { relayScript } from "../../../src/monitoring/relay/manifests";
import type * as Relay from "../../../src/monitoring/relay/relay";
import { loadBalancer, seeded, SimulatedReplica, strategies, type LoadBalancer, type Strategy } from "./load-balancer";

const folder = mkdtempSync(join(tmpdir(), "relay-"));
// The file as it is deployed.
const file = join(folder, "relay.cjs");
writeFileSync(file, relayScript());
const { relayServer, parsePage, drawsNeeded, maxRequests, failureKinds } = createRequire(file)(file) as typeof Relay;
const interval = 15;

const readToken = () => readFileSync(join(folder, "token"), "utf8").trim();

beforeAll(() => writeFileSync(join(folder, "token"), "a-token\n"));
afterAll(() => rmSync(folder, { recursive: true }));
// The relay's clock: a test says when a scrape interval has passed. Timers run on.
beforeEach(() => void vi.useFakeTimers({ toFake: ["Date", "performance"], now: Date.UTC(2026, 0, 1) }));
afterEach(() => void vi.useRealTimers());

let stop: (() => Promise<void>)[] = [];
afterEach(async () => {
    for (const end of stop) await end();
    stop = [];
});

interface Answer {
    status: number;
    text: string;
    /** Value of a counter by name of the replica. */
    tokens: Map<string, number>;
}

interface Stage {
    balancer: LoadBalancer;
    /** Scrapes, after an interval, or so many seconds, have passed since the last time. */
    scrape: (timeout?: number, after?: number) => Promise<Answer>;
    /** The relay's own series, by name and labels. */
    own: () => Promise<Record<string, number>>;
    logged: string[];
}

const spawnReplicas = (n: number, from = 1764000000): SimulatedReplica[] =>
    Array.from({ length: n }, (_, index) => {
        const replica = new SimulatedReplica({ startTime: from + index * 0.01 });
        replica.work(1000 * (index + 1), index + 1);
        return replica;
    });

async function stage(
    strategy: Strategy,
    replicas: SimulatedReplica[],
    { min = 1, max = 10, random = seeded(7) } = {},
): Promise<Stage> {
    const balancer = await loadBalancer({ strategy, replicas, random });
    const logged: string[] = [];
    const config = { url: balancer.url, interval, replicas: { min, max } };
    const server: Server = relayServer(config, readToken, (line) => logged.push(line));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    stop.push(
        () => balancer.close(),
        () => new Promise((resolve) => void (server.closeAllConnections(), server.close(() => resolve()))),
    );
    const get = async (path: string, timeout = 10): Promise<{ status: number; text: string }> => {
        const headers = { "x-prometheus-scrape-timeout-seconds": String(timeout) };
        const response = await fetch(url + path, { headers });
        return { status: response.status, text: await response.text() };
    };
    return {
        balancer,
        logged,
        async scrape(timeout, after = interval) {
            vi.advanceTimersByTime(after * 1000);
            const { status, text } = await get("/replicas", timeout);
            const tokens = status === 200 ? byReplica(text, "vllm:generation_tokens_total") : new Map<string, number>();
            return { status, text, tokens };
        },
        async own() {
            const page = parsePage((await get("/metrics")).text);
            const series = page.flatMap((family) => family.series);
            return Object.fromEntries(
                series.map(({ name, labels, value }) => [
                    name.replace("vllm_relay_", "") + labels.replace(/^(.+)$/, "{$1}"),
                    Number(value),
                ]),
            );
        },
    };
}

function byReplica(text: string, name: string): Map<string, number> {
    const series = parsePage(text)
        .flatMap((family) => family.series)
        .filter((one) => one.name === name);
    return new Map(series.map(({ labels, value }) => [/^replica="([^"]+)"/.exec(labels)![1], Number(value)]));
}

const total = (values: Iterable<number>): number => [...values].reduce((sum, value) => sum + value, 0);
const truth = (replicas: SimulatedReplica[]): number =>
    total(
        replicas.map((one) =>
            parsePage(one.page())
                .flatMap(({ series }) => series)
                .filter(({ name }) => name === "vllm:generation_tokens_total")
                .reduce((sum, { value }) => sum + Number(value), 0),
        ),
    );

describe.each(strategies.filter((strategy) => strategy !== "sticky source"))("balancing: %s", (strategy) => {
    it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])("%i replicas: all seen, and the sum is the truth", async (n) => {
        const replicas = spawnReplicas(n);
        // Long enough that requests of one burst meet.
        if (strategy === "least requests") for (const replica of replicas) replica.behaviour = { slow: 30 };
        const { balancer, scrape, own } = await stage(strategy, replicas);
        // A round that is by chance short of one replica makes up for it in the next one: twice in a row is 1 in 10000.
        await scrape();
        const { status, tokens } = await scrape();
        expect(status).toBe(200);
        expect(tokens.size).toBe(n);
        expect(total(tokens.values())).toBe(truth(replicas));
        const state = await own();
        expect(state.round_requests).toBeLessThanOrEqual(drawsNeeded(Math.min(n + 1, 10)));
        // Some were taken back before they arrived.
        expect(balancer.requests).toBeLessThanOrEqual(state.requests_total);
        expect(state).toMatchObject({
            replicas: n,
            blind: 0,
            spread_seen: n > 1 ? 1 : 0,
            'rounds_total{result="failed"}': 0,
        });
    });
});

describe("a balancer that goes by the client's address", () => {
    it("shows one replica, and below the minimum that is known to be too few", async () => {
        const { scrape, own } = await stage("sticky source", spawnReplicas(3), { min: 2 });
        expect((await scrape()).tokens.size).toBe(1);
        expect(await own()).toMatchObject({ replicas: 1, replicas_min: 2, blind: 1, spread_seen: 0 });
    });

    it("cannot be told from a single replica otherwise, and the relay says that spreading is unproven", async () => {
        const sticky = await stage("sticky source", spawnReplicas(3));
        const single = await stage("random", spawnReplicas(1));
        for (const { scrape, own } of [sticky, single]) {
            await scrape();
            const state = await own();
            expect(state).toMatchObject({ replicas: 1, blind: 0, spread_seen: 0 });
            expect(state.unseen_probability).toBeGreaterThan(0);
        }
    });

    it("loses the proof of nothing: once two replicas were seen, spreading stays proven", async () => {
        const { balancer, scrape, own } = await stage("round robin", spawnReplicas(2));
        await scrape();
        balancer.replicas = balancer.replicas.slice(0, 1);
        for (let i = 0; i < 3; i++) await scrape();
        expect(await own()).toMatchObject({ replicas: 1, spread_seen: 1 });
    });
});

describe("least connections", () => {
    it("sees replicas that are busier than others, since its own connections stay open", async () => {
        const replicas = spawnReplicas(3);
        replicas[1].busy = 3;
        replicas[2].busy = 4;
        const { scrape } = await stage("least connections", replicas, { max: 3 });
        await scrape();
        expect((await scrape()).tokens.size).toBe(3);
    });
});

describe("replicas come and go", () => {
    it("a new one is seen by the next scrape", async () => {
        const { balancer, scrape } = await stage("random", spawnReplicas(2));
        await scrape();
        balancer.replicas = [...balancer.replicas, ...spawnReplicas(1, 1764001000)];
        await scrape();
        const { tokens } = await scrape();
        expect(tokens.size).toBe(3);
        expect(total(tokens.values())).toBe(truth(balancer.replicas));
    });

    it("one that is gone is carried once, with the time of its sample, and then vanishes", async () => {
        const replicas = spawnReplicas(3);
        const { balancer, scrape, own, logged } = await stage("round robin", replicas);
        const before = await scrape();
        const sampled = Date.now();
        balancer.replicas = replicas.slice(1);
        const carried = await scrape();
        const [gone] = [...before.tokens].find(([, value]) => value === 1000)!;
        expect(carried.tokens.get(gone)).toBe(1000);
        const times = carried.text.match(
            new RegExp(`^vllm:generation_tokens_total\\{replica="${gone}".* (\\d+)$`, "m"),
        );
        expect(times![1]).toBe(String(sampled));
        expect((await own())[`sample_age_seconds{replica="${gone}"}`]).toBe(interval);
        const after = await scrape();
        expect(after.text).not.toContain(gone);
        expect(total(after.tokens.values())).toBe(truth(balancer.replicas));
        expect(logged.slice(-1)).toEqual([`replica ${gone} is gone`]);
        expect(await own()).not.toHaveProperty(`sample_age_seconds{replica="${gone}"}`);
    });

    it("one that restarts comes back under another name: no series ever falls", async () => {
        const replicas = spawnReplicas(3);
        const { balancer, scrape } = await stage("random", replicas, { max: 3 });
        const first = await scrape();
        const [restarted] = spawnReplicas(1, 1764005000);
        restarted.work(5, 0);
        balancer.replicas = [replicas[0], replicas[1], restarted];
        const seen: Answer[] = [first, await scrape(), await scrape(), await scrape()];
        for (const [index, { tokens }] of seen.entries()) {
            for (const [name, value] of seen[index - 1]?.tokens ?? []) {
                expect(tokens.get(name) ?? Infinity).toBeGreaterThanOrEqual(value);
            }
        }
        expect(total(seen[3].tokens.values())).toBe(truth(balancer.replicas));
        expect(seen[3].tokens.size).toBe(3);
    });

    it("makes room at once when as many as there can be were seen", async () => {
        const replicas = spawnReplicas(3);
        const { balancer, scrape } = await stage("round robin", replicas, { max: 3 });
        await scrape();
        balancer.replicas = [replicas[0], replicas[1], ...spawnReplicas(1, 1764005000)];
        const { tokens } = await scrape();
        expect(tokens.size).toBe(3);
        expect(total(tokens.values())).toBe(truth(balancer.replicas));
    });

    it("shows old and new ones of a rolling update together, also above the maximum", async () => {
        const replicas = spawnReplicas(4);
        const { scrape } = await stage("random", replicas, { max: 3 });
        for (let i = 0; i < 4; i++) await scrape();
        const { tokens } = await scrape();
        expect(tokens.size).toBe(4);
    });
});

describe("two replicas with one start time", () => {
    it("are told apart by their first series", async () => {
        const replicas = [1, 2].map(() => new SimulatedReplica({ startTime: 1764000000 }));
        replicas.forEach((replica, index) => replica.work(index + 1, 0));
        const { scrape } = await stage("round robin", replicas);
        expect(total((await scrape()).tokens.values())).toBe(3);
    });

    it("that cannot be told apart are reported, and no counter falls", async () => {
        const replicas = [1, 2].map(() => new SimulatedReplica({ startTime: 1764000000, created: false }));
        replicas[0].work(500, 0);
        const { balancer, scrape, own } = await stage("round robin", [replicas[0]]);
        expect([...(await scrape()).tokens.values()]).toEqual([500]);
        balancer.replicas = [replicas[1]];
        expect((await scrape()).status).toBe(503);
        expect((await own())['failures_total{kind="contradicted"}']).toBeGreaterThan(0);
    });
});

describe("replicas that do not behave", () => {
    const healthyTwo = 1000 + 2000;

    it.each([
        ["half: length", "truncated"],
        ["half: chunked", "truncated"],
        ["half: neither", "truncated"],
        ["half: proxied", "truncated"],
        ["fail", "status"],
    ] as const)("%s: never exported, counted as %s", async (behaviour, kind) => {
        const replicas = spawnReplicas(3);
        replicas[2].behaviour = behaviour;
        const { scrape, own } = await stage("random", replicas, { max: 3 });
        await scrape();
        const { status, tokens } = await scrape();
        expect([status, total(tokens.values())]).toEqual([200, healthyTwo]);
        const state = await own();
        expect(state[`failures_total{kind="${kind}"}`]).toBeGreaterThan(0);
        const others = failureKinds.filter((other) => other !== kind);
        for (const other of others) expect(state[`failures_total{kind="${other}"}`], other).toBe(0);
    });

    it("a slow one is waited for", async () => {
        const replicas = spawnReplicas(3);
        replicas[0].behaviour = { slow: 700 };
        const { scrape, own } = await stage("round robin", replicas);
        expect(total((await scrape()).tokens.values())).toBe(truth(replicas));
        expect(await own()).toMatchObject({ blind: 0, 'failures_total{kind="timeout"}': 0 });
    });

    it("a hanging one costs neither the others' samples nor the scrape, and makes the relay say that it is blind", async () => {
        const replicas = spawnReplicas(3);
        const { scrape, own } = await stage("random", replicas, { max: 3 });
        await scrape();
        await scrape();
        replicas[2].behaviour = "hang";
        const { status, tokens } = await scrape(1);
        expect(status).toBe(200);
        // Its last sample is carried: hanging is no proof that it is gone.
        expect(total(tokens.values())).toBe(truth(replicas));
        const state = await own();
        expect(state).toMatchObject({ blind: 1, 'rounds_total{result="incomplete"}': 1 });
        expect(state['failures_total{kind="timeout"}']).toBeGreaterThan(0);
        // For four intervals; after that its numbers are too old to be shown.
        let last = tokens;
        for (let i = 0; i < 4; i++) ({ tokens: last } = await scrape(1));
        expect(total(last.values())).toBe(healthyTwo);
        expect(await own()).toMatchObject({ replicas: 2, blind: 1 });
        replicas[2].behaviour = "answer";
        await scrape();
        expect(total((await scrape()).tokens.values())).toBe(truth(replicas));
        expect(await own()).toMatchObject({ replicas: 3, blind: 0 });
    });

    it("a page that lacks what it had before is not taken, however whole it looks", async () => {
        const [replica] = spawnReplicas(1);
        const { scrape, own } = await stage("round robin", [replica]);
        const { tokens } = await scrape();
        const page = replica.page();
        const cut = page.replace(/^(# \w+ )?vllm:generation_tokens_total.*\n/gm, "");
        replica.page = () => cut;
        expect((await scrape()).status).toBe(503);
        expect((await own())['failures_total{kind="contradicted"}']).toBeGreaterThan(0);
        replica.page = () => page;
        expect((await scrape()).tokens).toEqual(tokens);
    });
});

describe("one of two replicas is well", () => {
    const twoOf = (bad: SimulatedReplica["behaviour"], well: SimulatedReplica["behaviour"]) => {
        const replicas = spawnReplicas(2);
        replicas[0].behaviour = bad;
        replicas[1].behaviour = well;
        return replicas;
    };
    const ofTheHealthy = 2000;

    it.each(["refuse", "fail"] as const)("the other is quick to %s: its answer is waited for", async (bad) => {
        const { scrape } = await stage("random", twoOf(bad, { slow: 20 }), { max: 2 });
        const answers: Answer[] = [];
        for (let i = 0; i < 40; i++) answers.push(await scrape());
        expect(answers.map(({ status }) => status).filter((status) => status !== 200)).toEqual([]);
        for (const { tokens } of answers) expect([...tokens.values()]).toEqual([ofTheHealthy]);
    });

    it("the other hangs, and has the first requests: more are made", async () => {
        const draw = seeded(7);
        let drawn = 0;
        const random = () => (drawn++ < 4 ? 0 : draw());
        const { scrape } = await stage("random", twoOf("hang", "answer"), { max: 2, random });
        const { status, tokens } = await scrape(2);
        expect([status, ...tokens.values()]).toEqual([200, ofTheHealthy]);
    });

    it("one answer is a 401, as while a token spreads: those under way are waited for", async () => {
        const { scrape } = await stage("round robin", twoOf("unauthorized", { slow: 20 }), { max: 2 });
        expect((await scrape()).status).toBe(200);
    });
});

describe("an app that cannot be reached", () => {
    it("is a 503 with the reason, never an old number, and comes back", async () => {
        const { balancer, scrape, own, logged } = await stage("random", spawnReplicas(3));
        await scrape();
        const { replicas } = balancer;
        balancer.replicas = [];
        const down = await scrape();
        expect(down.status).toBe(503);
        expect(down.text).toMatch(/^no replica answers: \d+ requests, \d+ status\n$/);
        expect(await own()).toMatchObject({ replicas: 0, blind: 1, 'rounds_total{result="failed"}': 1 });
        await scrape();
        balancer.replicas = replicas;
        expect((await scrape()).tokens.size).toBe(3);
        expect(logged.filter((line) => line.includes("answer"))).toEqual([
            expect.stringMatching(/^no replica answers: /),
            "replicas answer again",
        ]);
    });

    it("refused connections", async () => {
        const { balancer, scrape, own } = await stage("random", spawnReplicas(3));
        await balancer.close();
        expect((await scrape()).status).toBe(503);
        expect((await own())['failures_total{kind="connection"}']).toBeGreaterThan(0);
    });

    it("a token that is refused is told apart, without a request for each draw, and one that is renewed is used", async () => {
        const { balancer, scrape, own } = await stage("random", spawnReplicas(3));
        await scrape();
        balancer.token = "another-token";
        const before = balancer.requests;
        const refused = await scrape();
        expect(refused.status).toBe(503);
        expect(refused.text).toMatch(/unauthorized/);
        expect(refused.text).not.toMatch(/a-token/);
        expect(balancer.requests - before).toBeLessThanOrEqual(8);
        const state = await own();
        expect(state['failures_total{kind="unauthorized"}']).toBeGreaterThan(0);
        expect(state['failures_total{kind="status"}']).toBe(0);
        writeFileSync(join(folder, "token"), "another-token");
        expect((await scrape()).status).toBe(200);
        writeFileSync(join(folder, "token"), "a-token\n");
    });

    it("a token file that is missing is an error of the scrape that names it", async () => {
        const { scrape } = await stage("random", spawnReplicas(1));
        rmSync(join(folder, "token"));
        const answer = await scrape();
        writeFileSync(join(folder, "token"), "a-token\n");
        expect(answer.status).toBe(500);
        expect(answer.text).toMatch(/ENOENT.*token/);
    });
});

describe("cost", () => {
    it("scrapes at one time, or soon after, share a round", async () => {
        const { scrape, own } = await stage("random", spawnReplicas(3), { max: 3 });
        const answers = await Promise.all([scrape(), scrape()]);
        const cost = (await own()).requests_total;
        answers.push(await scrape(undefined, 2));
        expect((await own()).requests_total).toBe(cost);
        for (const { text } of answers) expect(text).toBe(answers[0].text);
    });

    it("a round is bounded, and one that is cut short by that says so", async () => {
        const { balancer, scrape, own } = await stage("random", spawnReplicas(40), { max: 60 });
        expect((await scrape()).status).toBe(200);
        expect(balancer.requests).toBeLessThanOrEqual(maxRequests);
        expect(await own()).toMatchObject({ blind: 1, round_requests: maxRequests });
    });

    it("keeps no connection open after a round", async () => {
        const { balancer, scrape } = await stage("least connections", spawnReplicas(3));
        await scrape();
        await vi.waitFor(() => expect(balancer.connections()).toBe(0), { timeout: 30_000 });
    });
});

describe("what the relay says of itself", () => {
    it("carries the labels of the catalogue", async () => {
        const { scrape, own } = await stage("random", spawnReplicas(2));
        await scrape();
        const found = new Map<string, string[]>();
        for (const series of Object.keys(await own())) {
            const [name, labels = ""] = series.split("{");
            found.set(
                `vllm_relay_${name}`,
                [...labels.matchAll(/(\w+)=/g)].map(([, label]) => label),
            );
        }
        const known = Object.values<Metric>(relayMetrics);
        // There is no certificate without TLS, no completion is asked for here, and nothing sleeps.
        const here = known.filter(
            ({ name, when }) =>
                name !== relayMetrics.certificateExpiry.name &&
                !name.includes("completion") &&
                !when?.includes("min of 0"),
        );
        for (const { name, labels } of here) {
            // `own` takes the model away; `replica` is a label of the target for all that is scraped.
            const expected = labels.filter((label) => label !== "model");
            expect(
                found.get(name)?.filter((label) => label !== "replica"),
                name,
            ).toEqual(expected);
        }
    });
});

describe("a time of day that is set back by an hour", () => {
    const setBack = () => void vi.setSystemTime(Date.now() - 3600_000);

    it("makes no old sample a young one", async () => {
        const replicas = spawnReplicas(3);
        const { scrape, own } = await stage("random", replicas, { max: 3 });
        await scrape();
        await scrape();
        replicas[2].behaviour = "hang";
        await scrape(1);
        setBack();
        await scrape(1);
        const ages = Object.entries(await own()).filter(([name]) => name.startsWith("sample_age_seconds"));
        expect(ages.map(([, age]) => Math.round(age)).sort((a, b) => a - b)).toEqual([0, 0, 2 * interval]);
        // Past four intervals its numbers are not shown any more.
        let last = await scrape(1);
        for (let i = 0; i < 3; i++) last = await scrape(1);
        expect(last.tokens.size).toBe(2);
    });

    it("dates what is carried by its age, not by the time of day that it was taken at", async () => {
        const replicas = spawnReplicas(2);
        const { scrape } = await stage("random", replicas, { max: 2 });
        await scrape();
        await scrape();
        replicas[1].behaviour = "hang";
        setBack();
        const { text } = await scrape(1);
        const times = text.matchAll(/^vllm:generation_tokens_total\{.*\} \S+ (\d+)$/gm);
        const ages = [...times].map(([, time]) => Date.now() - Number(time));
        expect(ages.sort((a, b) => a - b)).toEqual([0, interval * 1000]);
    });

    it("keeps no scrape from sampling anew", async () => {
        const { balancer, scrape } = await stage("round robin", spawnReplicas(1));
        await scrape();
        setBack();
        balancer.replicas[0].work(5, 0);
        expect([...(await scrape()).tokens.values()]).toEqual([1005]);
    });
});

describe("requests of whoever", () => {
    /** What the relay writes to a connection on which this is sent, until it ends it or stops for a moment. */
    const send = (port: number, text: string): Promise<string> =>
        new Promise((resolve) => {
            let said = "";
            const socket = connect(port, "127.0.0.1", () => socket.write(text));
            socket.setTimeout(2000, () => socket.destroy());
            socket.on("data", (part) => (said += part.toString()));
            socket.on("error", () => undefined);
            socket.on("close", () => resolve(said));
        });
    const request = (line: string, headers = "") => `${line} HTTP/1.1\r\nhost: relay\r\n${headers}\r\n`;

    it.each([
        ["a path that is no URL", request("GET //"), 404],
        ["a whole URL", request("GET http://relay/metrics"), 404],
        ["a path that is none", request("GET \\u0000%"), 400],
        ["no HTTP", "hello\r\n\r\n", 400],
        ["a header without end", request("GET /metrics", `x: ${"a".repeat(20_000)}\r\n`), 431],
        ["a body", request("GET /metrics", "content-length: 1000000\r\n"), 413],
        ["a body without end", request("GET /metrics", "transfer-encoding: chunked\r\n") + "1\r\na\r\n", 413],
        ["another method, with a body to come", request("POST /replicas", "content-length: 10\r\n"), 405],
        ["a patience without end", request("GET /replicas", "x-prometheus-scrape-timeout-seconds: Infinity\r\n"), 503],
    ])("%s: answered, and the relay lives on", async (_, text, status) => {
        const config = { url: "http://127.0.0.1:9", interval, replicas: { min: 1, max: 3 } };
        const server = relayServer(config, readToken, () => undefined);
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        stop.push(() => new Promise((resolve) => void (server.closeAllConnections(), server.close(() => resolve()))));
        const { port } = server.address() as AddressInfo;
        const said = await send(port, text);
        expect(said).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
        expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    });
});

describe("paths", () => {
    it("knows the replicas' page, its own and its health, and nothing else", async () => {
        const config = { url: "http://127.0.0.1:9", interval, replicas: { min: 1, max: 3 } };
        const server = relayServer(config, readToken, () => undefined);
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        stop.push(() => new Promise((resolve) => void (server.closeAllConnections(), server.close(() => resolve()))));
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
        const status = async (path: string, method = "GET") => (await fetch(url + path, { method })).status;
        expect(await status("/healthz")).toBe(200);
        expect(await status("/metrics")).toBe(200);
        expect(await status("/replicas/other")).toBe(404);
        expect(await status("/")).toBe(404);
        expect(await status("/metrics", "POST")).toBe(405);
    });
});
