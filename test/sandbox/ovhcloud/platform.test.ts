import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { appBody, scaling, startTestCloud, type TestCloud } from "./cloud";

let test: TestCloud | undefined;
afterEach(async () => {
    await test?.close();
    test = undefined;
});

async function start(options: Parameters<typeof startTestCloud>[0] = {}): Promise<TestCloud> {
    test = await startTestCloud(options);
    return test;
}

async function runningApp(cloud: TestCloud, more: Record<string, unknown> = {}): Promise<string> {
    const { id } = (await cloud.api("POST", "/ai/app", appBody(more))) as { id: string };
    await cloud.until(id, "RUNNING", ({ state }) => state === "RUNNING");
    return id;
}

async function token(cloud: TestCloud, more: Record<string, unknown> = {}): Promise<string> {
    const made = await cloud.api("POST", "/ai/token", { name: "t", region: "GRA", role: "ai_training_read", ...more });
    return made.status.value as string;
}

async function log(cloud: TestCloud, id: string): Promise<string> {
    const { logs } = await cloud.api("GET", `/ai/app/${id}/log?size=1000`);
    return (logs as { content: string }[]).map(({ content }) => content).join("\n");
}

/** Sleeps after a quarter of an hour: at the speed of the tests a second, in which others may be asked. */
const zero = scaling({ replicasMin: 0, scaleDownStabilizationWindowSeconds: 600, cooldownPeriodSeconds: 300 });

const chat = (more: Record<string, unknown> = {}): object => ({
    model: "Qwen/Qwen3-14B",
    messages: [{ role: "user", content: "Tell me." }],
    max_tokens: 4,
    ...more,
});

describe("boot", () => {
    it("goes through its phases, in the log and in the status, and serves", async () => {
        const cloud = await start({ speed: 100 });
        const seen = new Set<string>();
        const { id } = await cloud.api("POST", "/ai/app", appBody());
        await cloud.until(id, "RUNNING", ({ state, replicas }) => {
            for (const { phase } of replicas) seen.add(phase);
            return state === "RUNNING";
        });
        for (const phase of ["starting", "downloading", "loading", "compiling", "warming-up", "serving"]) {
            expect(seen).toContain(phase);
        }
        const text = await log(cloud, id);
        const order = [
            "Pulling image",
            "the container starts",
            "vLLM API server version",
            "downloading weights",
            "Loading weights took",
            "torch.compile takes",
        ];
        const places = [...order, "GPU KV cache size", "Application startup complete"].map((part) =>
            text.indexOf(part),
        );
        expect(places).toEqual([...places].sort((a, b) => a - b));
        expect(places[0]).toBeGreaterThanOrEqual(0);
        const { history } = (await cloud.api("GET", `/ai/app/${id}`)).status as { history: { state: string }[] };
        expect(history.map(({ state }) => state)).toEqual(["INITIALIZING", "SCALING", "RUNNING"]);
    });

    it("is killed by a liveness probe that begins too early, and the message says why", async () => {
        const cloud = await start({ speed: 200 });
        const livenessProbe = { path: "/health", port: 8000, initialDelaySeconds: 30, periodSeconds: 5 };
        const { id } = await cloud.api("POST", "/ai/app", appBody({ livenessProbe }));
        const { message } = await cloud.until(id, "FAILED", ({ state }) => state === "FAILED");
        expect(message).toContain("liveness probe /health failed 3 times");
        expect(message).toContain("initialDelaySeconds (30 s)");
        expect(await log(cloud, id)).toContain("the replica is killed");
    });

    it("survives the same probe when it begins late enough", async () => {
        const cloud = await start();
        const livenessProbe = { path: "/health", port: 8000, initialDelaySeconds: 1500, periodSeconds: 5 };
        const id = await runningApp(cloud, { livenessProbe });
        await sleep(2000); // many times what three failures would take
        expect(cloud.app(id)).toMatchObject({ state: "RUNNING", replicas: [{ index: 0, ready: true }] });
    });

    it("never becomes ready behind a probe of a port where nothing listens", async () => {
        const cloud = await start();
        const livenessProbe = { path: "/health", port: 8080, initialDelaySeconds: 300 };
        const { id } = await cloud.api(
            "POST",
            "/ai/app",
            appBody({ probe: { path: "/health", port: 8080 }, livenessProbe }),
        );
        const failed = await cloud.until(id, "FAILED", ({ state }) => state === "FAILED");
        expect(failed.message).toContain("liveness probe");
    });

    it("ends with vLLM's message when the model does not fit on the GPU", async () => {
        const cloud = await start();
        const resources = { flavor: "l4-1-gpu", gpu: 1 };
        const { id } = await cloud.api("POST", "/ai/app", appBody({ resources }));
        const failed = await cloud.until(id, "FAILED", ({ state }) => state === "FAILED");
        expect(failed.message).toMatch(
            /KV cache is needed.*Try increasing `gpu_memory_utilization` or decreasing `max_model_len`/,
        );
        const command = ["vllm", "serve", "Qwen/Qwen3-14B", "--max-model-len", "16k"];
        await runningApp(cloud, { resources, command });
    });
});

describe("gateway", () => {
    it("answers 401, 403, 404, 502 and 503 where the platform does", async () => {
        const cloud = await start({ speed: 200 });
        const made = await cloud.api("POST", "/ai/app", appBody());
        const id = made.id as string;
        const read = await token(cloud, { labelSelector: "group=tests" });
        const other = await token(cloud, { labelSelector: "group=others" });
        const quantum = await token(cloud, { role: "quantum_reader" });
        expect((await cloud.ask(cloud.app(id), "/v1/models", { token: read })).status).toBe(503);
        const app = await cloud.until(id, "RUNNING", ({ state }) => state === "RUNNING");
        const status = async (path: string, value?: string): Promise<number> =>
            (await cloud.ask(app, path, { token: value })).status;
        expect(await status("/v1/models")).toBe(401);
        expect(await status("/v1/models", "made-up")).toBe(401);
        expect(await status("/v1/models", other)).toBe(403);
        expect(await status("/v1/models", quantum)).toBe(403);
        expect(await status("/v1/models", read)).toBe(200);
        expect(await status("/nowhere", read)).toBe(404);
        const large = { token: read, method: "POST", headers: { "content-length": String(200 * 1024 ** 2) } };
        expect((await cloud.ask(app, "/v1/completions", large)).status).toBe(413);
        await cloud.api("DELETE", `/ai/app/${id}?force=true`);
        expect(await status("/v1/models", read)).toBe(404);
    });

    it("answers 502 when the app's HTTP port is not the one that the server listens on", async () => {
        const cloud = await start();
        const id = await runningApp(cloud, { defaultHttpPort: 9000 });
        const { status, body } = await cloud.ask(cloud.app(id), "/health", { token: await token(cloud) });
        expect(status).toBe(502);
        expect(body).toContain("does not listen on port 9000");
    });

    it("counts the seconds of answers that were served, not of reads and refusals", async () => {
        const cloud = await start();
        const id = await runningApp(cloud);
        const value = await token(cloud);
        const ask = (body: object) => cloud.ask(cloud.app(id), "/v1/chat/completions", { token: value, body });
        await cloud.ask(cloud.app(id), "/metrics", { token: value });
        expect((await ask({ ...chat(), model: "made/up" })).status).toBe(404);
        expect(cloud.app(id).gateway.served).toEqual({ requests: 0, firstSeconds: 0, seconds: 0 });

        for (const stream of [true, true]) await ask(chat({ max_tokens: 100, ignore_eos: true, stream }));
        const { served } = cloud.app(id).gateway;
        expect(served.requests).toBe(2);
        expect(served.firstSeconds).toBeGreaterThan(0);
        expect(served.seconds).toBeGreaterThan(served.firstSeconds);
    });

    const shares = async (cloud: TestCloud, id: string, value: string, requests: number): Promise<number[]> => {
        const starts = new Map<string, number>();
        for (let i = 0; i < requests; i++) {
            const { body } = await cloud.ask(cloud.app(id), "/metrics", { token: value });
            const started = /^process_start_time_seconds (\S+)/m.exec(body)![1];
            starts.set(started, (starts.get(started) ?? 0) + 1);
        }
        return [...starts.values()].sort((a, b) => a - b);
    };

    it("spreads new connections by each strategy", async () => {
        const cloud = await start();
        const id = await runningApp(cloud, { scalingStrategy: { fixed: { replicas: 3 } } });
        await cloud.until(id, "3 ready", ({ availableReplicas }) => availableReplicas === 3);
        const value = await token(cloud);
        const random = await shares(cloud, id, value, 60);
        expect(random).toHaveLength(3); // a share of 0 has a probability of 1e-10

        expect((await cloud.control("POST", "balancing", { balancing: "round-robin" })).status).toBe(200);
        expect(await shares(cloud, id, value, 30)).toEqual([10, 10, 10]);

        await cloud.control("POST", "balancing", { balancing: "least-connections" });
        const streams = Array.from({ length: 6 }, () =>
            cloud.ask(cloud.app(id), "/v1/chat/completions", {
                token: value,
                body: chat({ max_tokens: 200, ignore_eos: true, stream: true }),
            }),
        );
        const { replicas } = await cloud.until(id, "6 running", (app) => app.gateway.open === 6);
        expect(replicas.map(({ requests }) => requests)).toEqual([2, 2, 2]);
        for (const { status } of await Promise.all(streams)) expect(status).toBe(200);

        await cloud.control("POST", "balancing", { balancing: "sticky" });
        const first = await cloud.ask(cloud.app(id), "/metrics", { token: value });
        const cookie = String(first.headers["set-cookie"]).split(";")[0];
        const started = /^process_start_time_seconds (\S+)/m.exec(first.body)![1];
        for (let i = 0; i < 10; i++) {
            const again = await cloud.ask(cloud.app(id), "/metrics", { token: value, headers: { cookie } });
            expect(again.body).toContain(`process_start_time_seconds ${started}`);
            expect(again.headers["set-cookie"]).toBeUndefined();
        }
        const wrong = await cloud.control("POST", "balancing", { balancing: "fair" });
        expect(wrong).toMatchObject({ status: 400, body: { message: expect.stringContaining("least-connections") } });
    });

    it("tells the replica when a client goes away, and the client when its replica is lost", async () => {
        const cloud = await start();
        const id = await runningApp(cloud);
        const app = cloud.app(id);
        const value = await token(cloud);
        const gone = new AbortController();
        const body = chat({ max_tokens: 5000, ignore_eos: true, stream: true });
        const asked = { token: value, body, signal: gone.signal };
        const left = expect(cloud.ask(app, "/v1/chat/completions", asked)).rejects.toThrow();
        await cloud.until(id, "1 running", ({ replicas }) => replicas[0].running === 1);
        gone.abort();
        await left;
        await cloud.until(
            id,
            "none running",
            ({ replicas }) => replicas[0].running === 0 && replicas[0].requests === 0,
        );
        const lost = expect(cloud.ask(app, "/v1/chat/completions", { token: value, body })).rejects.toThrow(
            /aborted|hang up/,
        );
        await cloud.until(id, "1 running", ({ replicas }) => replicas[0].running === 1);
        await cloud.control("POST", `apps/${id}/faults`, { kind: "crash" });
        await lost;
    });

    it("loses the requests of a replica that is scaled away, as vLLM 0.13 does", async () => {
        const cloud = await start();
        const deploymentStrategy = { terminationGracePeriodSeconds: 1 };
        const id = await runningApp(cloud, { scalingStrategy: { fixed: { replicas: 2 } }, deploymentStrategy });
        await cloud.until(id, "2 ready", ({ availableReplicas }) => availableReplicas === 2);
        await cloud.control("POST", "balancing", { balancing: "round-robin" });
        const value = await token(cloud);
        const body = chat({ max_tokens: 400, ignore_eos: true, stream: true });
        const streams = [1, 2].map(() => cloud.ask(cloud.app(id), "/v1/chat/completions", { token: value, body }));
        const answers = Promise.allSettled(streams);
        await cloud.until(id, "both busy", ({ replicas }) => replicas.every(({ running }) => running === 1));
        await cloud.api("PUT", `/ai/app/${id}/scalingstrategy`, { fixed: { replicas: 1 } });
        const draining = await cloud.until(id, "draining", ({ replicas }) =>
            replicas.some(({ phase }) => phase === "draining"),
        );
        expect(draining.availableReplicas).toBe(1);
        const ends = (await answers).map((answer) =>
            answer.status === "fulfilled" && answer.value.body.includes("data: [DONE]") ? "whole" : "cut",
        );
        expect(ends.sort()).toEqual(["cut", "whole"]);
        await cloud.until(id, "one replica", ({ replicas }) => replicas.length === 1);
        const { logs } = await cloud.api("GET", `/ai/app/${id}/log?size=1000`);
        expect(JSON.stringify(logs)).toContain("replica ended with exit code 137");
    });
});

describe("autoscaler", () => {
    it("scales up on the metric of the replicas, down after the window, and keeps every decision with its inputs", async () => {
        const cloud = await start({ speed: 300 });
        const id = await runningApp(cloud, { scalingStrategy: scaling({}, { targetValue: 2.5 }) });
        const value = await token(cloud);
        const body = chat({ max_tokens: 700, ignore_eos: true, stream: true });
        const streams = Array.from({ length: 8 }, () =>
            cloud.ask(cloud.app(id), "/v1/chat/completions", { token: value, body }),
        );
        const grown = await cloud.until(id, "3 ready", ({ availableReplicas }) => availableReplicas === 3);
        expect(grown.scaling).toMatchObject({ mode: "metric", min: 1, max: 3, target: 2.5, wanted: 3 });
        // To 2 first if only some of the 8 had arrived at the first look.
        const up = grown.decisions.find(({ from, to }) => to > from)!;
        const read = up.value!;
        expect(up).toMatchObject({ from: 1, ratio: read / 2.5, recommended: Math.ceil(read / 2.5) });
        expect(up.inputs).toEqual([{ replica: 0, ready: true, value: read }]);
        const line = `autoscaler test-app: 1 -> ${up.to} replicas: ${up.reason} (vllm:num_requests_running AVERAGE ${read} of [#0: ${read}], target 2.5, asks for ${up.recommended})`;
        expect(cloud.lines).toContain(line);
        await Promise.all(streams);
        const back = await cloud.until(
            id,
            "1 replica",
            ({ scaling, replicas }) => scaling.wanted === 1 && replicas.length === 1,
        );
        expect(back.decisions.some(({ reason }) => reason.includes("scale-down window of 300 s"))).toBe(true);
    });

    it("says what is missing when it cannot read the metric, and changes nothing", async () => {
        const cloud = await start();
        const id = await runningApp(cloud, {
            scalingStrategy: scaling({ replicasMin: 2 }, { valueLocation: "vllm:no_such_metric" }),
        });
        const { decisions, scaling: state } = await cloud.until(id, "decided", (app) =>
            app.decisions.some(({ inputs }) => inputs.length === 2 && inputs.every(({ ready }) => ready)),
        );
        expect(decisions.at(-1)).toMatchObject({
            from: 2,
            to: 2,
            reason: "no replica gave a value: nothing is changed",
        });
        expect(decisions.at(-1)!.inputs[0].missing).toContain("vllm:no_such_metric is not on the page");
        expect(state.current).toBeUndefined();
    });

    it("reads JSON from the app itself", async () => {
        const cloud = await start();
        const metric = {
            apiUrl: "http://<SELF>:8000/load",
            format: "JSON",
            valueLocation: "server_load",
            targetValue: 5,
        };
        const id = await runningApp(cloud, { scalingStrategy: scaling({}, metric) });
        const { decisions } = await cloud.until(id, "decided", (app) => app.decisions.some((one) => one.value === 0));
        expect(decisions.at(-1)!.inputs[0]).toMatchObject({ value: 0 });
    });

    it("scales on CPU, which hardly knows of the GPU's load", async () => {
        const cloud = await start();
        const cpu = { automatic: { replicasMin: 1, replicasMax: 3, resourceType: "CPU", averageUsageTarget: 75 } };
        const id = await runningApp(cloud, { scalingStrategy: cpu });
        const { scaling: state, decisions } = await cloud.until(id, "decided", (app) => app.decisions.length > 0);
        expect(state).toMatchObject({ mode: "resource", metric: "CPU", target: 75, wanted: 1 });
        expect(decisions[0].value).toBeLessThan(10);
    });

    it("scales to zero when idle, and a request wakes the app", async () => {
        const cloud = await start();
        const id = await runningApp(cloud, { scalingStrategy: zero });
        const asleep = await cloud.until(id, "STANDBY", ({ state }) => state === "STANDBY");
        expect(asleep.message).toContain("scaled to zero");
        await cloud.until(id, "no replica", ({ replicas }) => replicas.length === 0);
        const value = await token(cloud);
        const waking = await cloud.ask(cloud.app(id), "/v1/models", { token: value });
        expect(waking.status).toBe(503);
        expect(waking.headers["retry-after"]).toBe("30");
        await cloud.until(id, "RUNNING", ({ state }) => state === "RUNNING");
        expect((await cloud.ask(cloud.app(id), "/v1/models", { token: value })).status).toBe(200);
    });

    describe("what OVHcloud does not document of apps that sleep", () => {
        async function asleep(cloud: TestCloud): Promise<string> {
            const id = await runningApp(cloud, { scalingStrategy: zero });
            await cloud.until(id, "asleep", ({ state, replicas }) => state === "STANDBY" && replicas.length === 0);
            return id;
        }

        it("a request that wakes an app may be held until a replica serves", async () => {
            const cloud = await start();
            await cloud.control("POST", "sleep", { wakingRequest: "held" });
            const id = await asleep(cloud);
            const [value, states] = [await token(cloud), [] as string[]];
            const first = cloud.ask(cloud.app(id), "/v1/models", { token: value });
            await cloud.until(id, "waking", ({ state }) => state !== "STANDBY");
            const second = cloud.ask(cloud.app(id), "/v1/models", { token: value });
            states.push(cloud.app(id).state);
            expect((await Promise.all([first, second])).map(({ status }) => status)).toEqual([200, 200]);
            expect(states).toEqual(["SCALING"]);
        });

        it("one that is held is refused when the app is stopped meanwhile", async () => {
            const cloud = await start();
            await cloud.control("POST", "sleep", { wakingRequest: "held" });
            const id = await asleep(cloud);
            const waiting = cloud.ask(cloud.app(id), "/v1/models", { token: await token(cloud) });
            await cloud.until(id, "waking", ({ state }) => state !== "STANDBY");
            await cloud.api("PUT", `/ai/app/${id}/stop`);
            expect((await waiting).status).toBe(503);
        });

        it("any request at its address may count as use", async () => {
            const cloud = await start();
            await cloud.control("POST", "sleep", { keptAwakeBy: "calls" });
            const id = await runningApp(cloud, { scalingStrategy: zero });
            const value = await token(cloud);
            const looks = (): number => cloud.app(id).decisions.reduce((sum, { times }) => sum + times, 0);
            // Periods of 15 s: twice the window and the cooldown.
            for (const end = looks() + 120; looks() < end;) {
                await cloud.ask(cloud.app(id), "/metrics", { token: value });
            }
            expect(cloud.app(id).state).toBe("RUNNING");
            await cloud.until(id, "asleep, asked no more", ({ state }) => state === "STANDBY");
        });

        it("is refused where it is neither", async () => {
            const cloud = await start();
            const { status, body } = await cloud.control("POST", "sleep", { wakingRequest: "lost" });
            expect({ status, message: body.message }).toMatchObject({
                status: 400,
                message: expect.stringMatching(/^wakingRequest: /),
            });
        });
    });

    it("stays asleep when the sandbox is started anew", async () => {
        const stateDir = mkdtempSync(join(tmpdir(), "cloud-"));
        const cloud = await start({ stateDir });
        const id = await runningApp(cloud, { scalingStrategy: zero });
        await cloud.until(id, "asleep", ({ state }) => state === "STANDBY");
        const value = await token(cloud);
        await cloud.cloud.close();
        const again = await start({ stateDir });
        expect(again.app(id)).toMatchObject({ state: "STANDBY", replicas: [] });
        expect((await again.ask(again.app(id), "/v1/models", { token: value })).status).toBe(503);
        await again.until(id, "awake", ({ state }) => state === "RUNNING");
    });

    it("looks at an app although a replica of another one hangs", async () => {
        const cloud = await start();
        // Without a readiness probe it stays ready, so that its metric goes on being read.
        const hanging = await runningApp(cloud, { name: "hanging", probe: null, scalingStrategy: scaling() });
        const other = await runningApp(cloud, { scalingStrategy: scaling() });
        const looks = (id: string): number => cloud.app(id).decisions.reduce((sum, { times }) => sum + times, 0);
        await cloud.until(hanging, "looked at", () => looks(hanging) > 0);
        await cloud.control("POST", `apps/${hanging}/faults`, { kind: "hang" });
        const before = { hanging: looks(hanging), other: looks(other) };
        await cloud.until(other, "looked at 20 times", () => looks(other) >= before.other + 20);
        expect(looks(hanging) - before.hanging).toBeLessThanOrEqual(5);
        const { decisions } = await cloud.until(hanging, "without a value", ({ decisions: all }) =>
            all.some(({ inputs }) => inputs[0]?.missing?.startsWith("no answer within")),
        );
        expect(decisions.at(-1)).toMatchObject({ to: 1, reason: "no replica gave a value: nothing is changed" });
    });

    it("reads replicas that are ready only", async () => {
        const cloud = await start();
        // 0 of the replicas that boot are no lower load: only what serves is read.
        const probe = { path: "/health", port: 8000, initialDelaySeconds: 20_000 };
        const { id } = await cloud.api("POST", "/ai/app", appBody({ probe, scalingStrategy: scaling() }));
        await cloud.until(id, "serving", ({ replicas }) => replicas[0]?.phase === "serving");
        await sleep(500); // many periods of the autoscaler
        expect(cloud.app(id).decisions).toEqual([]);
    });

    it("shows SCALING while replicas come and go, and those there are go on serving", async () => {
        const cloud = await start({ gpuQuota: 2 });
        const id = await runningApp(cloud);
        const value = await token(cloud);
        const serves = async (): Promise<number> =>
            (await cloud.ask(cloud.app(id), "/v1/models", { token: value })).status;
        await cloud.api("PUT", `/ai/app/${id}/scalingstrategy`, { fixed: { replicas: 3 } });
        expect(cloud.app(id)).toMatchObject({ state: "SCALING", availableReplicas: 1 });
        expect(await serves()).toBe(200);
        // For want of a GPU it stays so, for as long as that takes.
        await cloud.until(id, "2 of 3", ({ availableReplicas }) => availableReplicas === 2);
        await sleep(500);
        expect(cloud.app(id)).toMatchObject({ state: "SCALING", message: expect.stringContaining("no GPU is left") });
        expect(await serves()).toBe(200);
        await cloud.api("PUT", `/ai/app/${id}/scalingstrategy`, { fixed: { replicas: 2 } });
        await cloud.until(id, "RUNNING", ({ state }) => state === "RUNNING");
        await cloud.api("PUT", `/ai/app/${id}/scalingstrategy`, { fixed: { replicas: 1 } });
        await cloud.until(id, "RUNNING", ({ state, replicas }) => state === "RUNNING" && replicas.length === 1);
        const { status } = await cloud.api("GET", `/ai/app/${id}`);
        expect((status.history as { state: string }[]).map(({ state }) => state).slice(2)).toEqual([
            "RUNNING",
            "SCALING",
            "RUNNING",
            "SCALING",
            "RUNNING",
        ]);
    });

    it("lets replicas wait when the GPU quota is used up", async () => {
        const cloud = await start({ gpuQuota: 2 });
        const id = await runningApp(cloud, { scalingStrategy: { fixed: { replicas: 1 } } });
        await cloud.api("PUT", `/ai/app/${id}/scalingstrategy`, { fixed: { replicas: 3 } });
        const waiting = await cloud.until(
            id,
            "2 of 3",
            ({ availableReplicas, replicas }) => availableReplicas === 2 && replicas.length === 3,
        );
        expect(waiting.replicas.map(({ phase }) => phase)).toEqual(["serving", "serving", "pending"]);
        expect(waiting.message).toContain("no GPU is left: 2 of 2 in use");
        await cloud.api("PUT", `/ai/app/${id}/scalingstrategy`, { fixed: { replicas: 1 } });
        await cloud.until(id, "one replica", ({ replicas }) => replicas.length === 1);
    });
});
