import { afterEach, beforeEach, expect, it } from "vitest";
import { runFaultCommand } from "../../../sandbox/commands/fault";
import type { SandboxStatus } from "../../../sandbox/ovhcloud/status";
import { appBody, startTestCloud, type TestCloud } from "./cloud";

let cloud: TestCloud;
let id: string;
let token: string;

beforeEach(async () => {
    cloud = await startTestCloud();
    // A boot of 200 s takes 0.2 s at this speed, or several times that on a busy machine.
    const livenessProbe = { path: "/health", port: 8000, initialDelaySeconds: 2000 };
    const scalingStrategy = { fixed: { replicas: 2 } };
    ({ id } = await cloud.api("POST", "/ai/app", appBody({ livenessProbe, scalingStrategy })));
    const made = await cloud.api("POST", "/ai/token", { name: "t", region: "GRA", role: "ai_training_read" });
    token = made.status.value;
    await cloud.until(id, "2 ready", ({ availableReplicas }) => availableReplicas === 2);
});
afterEach(() => cloud.close());

const fault = async (body: object): Promise<void> => {
    const { status, body: answer } = await cloud.control("POST", `apps/${id}/faults`, body);
    expect(answer, JSON.stringify(answer)).toBeInstanceOf(Array);
    expect(status).toBe(200);
};
const platformFault = (body: object): Promise<{ status: number; body: any }> =>
    cloud.control("POST", "platform/faults", body);
const stream = (maxTokens: number): Promise<{ status: number; body: string }> =>
    cloud.ask(cloud.app(id), "/v1/chat/completions", {
        token,
        body: {
            messages: [{ role: "user", content: "Tell me." }],
            max_tokens: maxTokens,
            ignore_eos: true,
            stream: true,
        },
    });
const indexes = (): number[] => cloud.app(id).replicas.map(({ index }) => index);

it("crash: the replica ends at once and another takes its place, under the same app", async () => {
    await fault({ kind: "crash", replica: 0 });
    await cloud.until(id, "replaced", ({ availableReplicas }) => availableReplicas === 2 && !indexes().includes(0));
    expect(indexes()).toEqual([1, 2]);
    expect(cloud.app(id)).toMatchObject({ state: "RUNNING" });
    const { logs } = await cloud.api("GET", `/ai/app/${id}/log?size=1000&replica=0`);
    const text = (logs as { content: string }[]).map(({ content }) => content).join("\n");
    expect(text).toContain("Segmentation fault");
    expect(text).toContain("exit code 139");
    expect(cloud.cloud.status().faults).toEqual([]); // it happened, it does not last
});

it("hang: nothing is answered until the liveness probe kills the replica", async () => {
    await fault({ kind: "hang", replica: 1 });
    await cloud.until(id, "hanging", ({ replicas }) => replicas.some(({ phase }) => phase === "hanging"));
    await cloud.until(id, "replaced", ({ availableReplicas }) => availableReplicas === 2 && !indexes().includes(1));
});

it("hang: when it ends in time, what has piled up is answered", async () => {
    await cloud.api("PUT", `/ai/app/${id}/scalingstrategy`, { fixed: { replicas: 1 } });
    await cloud.until(id, "1 replica", ({ replicas }) => replicas.length === 1);
    await fault({ kind: "hang", forSeconds: 0.3 });
    const answer = await stream(3);
    expect(answer.status).toBe(200);
    expect(answer.body).toContain("data: [DONE]");
    expect(cloud.cloud.status().faults).toEqual([]);
    expect(indexes()).toEqual([0]);
});

it("stall: the engine makes no step while everything else answers, until it ends", async () => {
    await cloud.api("PUT", `/ai/app/${id}/scalingstrategy`, { fixed: { replicas: 1 } });
    await cloud.until(id, "1 replica", ({ replicas }) => replicas.length === 1);
    const first = stream(2000);
    const page = async (): Promise<string> => (await cloud.ask(cloud.app(id), "/metrics", { token })).body;
    await expect.poll(page).toMatch(/vllm:num_requests_running\{\S* 1\.0/);
    await fault({ kind: "stall" });
    expect(cloud.app(id).replicas[0].phase).toBe("stalled");
    const second = stream(3);
    await cloud.until(id, "asked", ({ gateway }) => gateway.open === 2);
    const generated = async (): Promise<string> => /vllm:generation_tokens_total\{\S* (\S+)/.exec(await page())![1];
    const before = await generated();
    expect((await cloud.ask(cloud.app(id), "/health", { token })).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await generated()).toBe(before);
    // What it was at its last step: the engine that would say otherwise is the one that stalls.
    expect(await page()).toMatch(/vllm:num_requests_running\{\S* 1\.0/);
    expect(await page()).toMatch(/vllm:num_requests_waiting\{\S* 0\.0/);
    expect(indexes()).toEqual([0]);
    await cloud.control("DELETE", `apps/${id}/faults`);
    for (const { body } of await Promise.all([first, second])) expect(body).toContain("data: [DONE]");
});

it("errors: a share of the requests is answered with a status, and counted", async () => {
    await fault({ kind: "errors", status: 503 });
    const body = { messages: [{ role: "user", content: "Hi" }], max_tokens: 1 };
    const asked = (): Promise<{ status: number }> => cloud.ask(cloud.app(id), "/v1/chat/completions", { token, body });
    expect((await Promise.all(Array.from({ length: 8 }, asked))).map(({ status }) => status)).toEqual(
        Array(8).fill(503),
    );
    expect((await cloud.ask(cloud.app(id), "/health", { token })).status).toBe(200);
    const pages = await Promise.all(
        cloud.app(id).replicas.map(async ({ port }) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()),
    );
    const counts = pages.flatMap((page) => [...page.matchAll(/http_requests_total\{.*status="5xx"\} (\S+)/g)]);
    expect(counts.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(8);
    await cloud.control("DELETE", `apps/${id}/faults`);
    await fault({ kind: "errors", rate: 0.5 });
    const mixed = (await Promise.all(Array.from({ length: 60 }, asked))).map(({ status }) => status);
    expect(new Set(mixed)).toEqual(new Set([200, 500]));
});

it("metrics: shown as they were set, by replicas that start later, too", async () => {
    await fault({ kind: "metrics", metrics: ["vllm:num_requests_waiting=50"] });
    await cloud.api("PUT", `/ai/app/${id}/scalingstrategy`, { fixed: { replicas: 3 } });
    await cloud.until(id, "3 ready", ({ availableReplicas }) => availableReplicas === 3);
    const waiting = (): Promise<string[]> =>
        Promise.all(
            cloud.app(id).replicas.map(async ({ port }) => {
                const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
                return /vllm:num_requests_waiting\{\S* (\S+)/.exec(page)![1];
            }),
        );
    expect(await waiting()).toEqual(["50.0", "50.0", "50.0"]);
    await cloud.control("DELETE", `apps/${id}/faults`);
    expect(await waiting()).toEqual(["0.0", "0.0", "0.0"]);
});

it("slow: steps take longer as long as it lasts, for new replicas too", async () => {
    // 200 steps of 7.5 ms: at factor 1000 not one of them ends while this test looks.
    await fault({ kind: "slow", factor: 100_000 });
    const answers = Promise.allSettled([stream(20), stream(20), stream(20), stream(20)]);
    await cloud.until(id, "busy", ({ gateway }) => gateway.open === 4);
    await cloud.control("DELETE", `apps/${id}/faults`);
    // The step under way still takes its time; those of a replica that starts anew do not.
    await fault({ kind: "crash" });
    for (const one of await answers) expect(one.status).toBe("rejected");
    await cloud.until(id, "2 ready", ({ availableReplicas }) => availableReplicas === 2);
    expect((await stream(20)).body).toContain("data: [DONE]");
});

it("oom: requests under way get an error in the stream, then the replica is replaced", async () => {
    const answers = Promise.all([stream(5000), stream(5000)]);
    await cloud.until(id, "busy", ({ replicas }) => replicas.reduce((sum, { running }) => sum + running, 0) === 2);
    await fault({ kind: "oom" });
    for (const { body } of await answers) {
        expect(body).toContain('"type":"BadRequestError"'); // as vLLM has it for all that goes wrong in a stream
        expect(body).toContain("EngineCore encountered an issue");
    }
    await cloud.until(id, "replaced", ({ availableReplicas }) => availableReplicas === 2 && indexes()[0] >= 2);
    const { logs } = await cloud.api("GET", `/ai/app/${id}/log?size=1000`);
    expect(JSON.stringify(logs)).toContain("torch.OutOfMemoryError: CUDA out of memory");
});

it("image-pull: replicas that start wait for their image, those that run go on", async () => {
    await fault({ kind: "image-pull" });
    await cloud.api("PUT", `/ai/app/${id}/scalingstrategy`, { fixed: { replicas: 3 } });
    const waiting = await cloud.until(id, "told", ({ message }) => message.includes("cannot be pulled"));
    expect(waiting).toMatchObject({ state: "SCALING", availableReplicas: 2 });
    expect(waiting.replicas[2].phase).toBe("pulling");
    await cloud.control("DELETE", `apps/${id}/faults`);
    await cloud.until(id, "3 ready", ({ availableReplicas }) => availableReplicas === 3);
});

it("hf-401: replicas that start are refused by the hub, and come up when it is over", async () => {
    await fault({ kind: "hf-401" });
    await cloud.api("PUT", `/ai/app/${id}/scalingstrategy`, { fixed: { replicas: 3 } });
    const refused = await cloud.until(id, "refused", ({ message }) => message.includes("gated repo"));
    expect(refused).toMatchObject({ state: "SCALING", availableReplicas: 2 });
    await cloud.control("DELETE", `apps/${id}/faults`);
    await cloud.until(id, "3 ready", ({ availableReplicas }) => availableReplicas === 3);
});

it("quota: nothing new gets a GPU, neither a replica nor an app", async () => {
    expect((await platformFault({ kind: "quota" })).status).toBe(200);
    await cloud.api("PUT", `/ai/app/${id}/scalingstrategy`, { fixed: { replicas: 3 } });
    await cloud.until(id, "told", ({ message }) => message.includes("no GPU is left: 2 of 0 in use"));
    await expect(cloud.api("POST", "/ai/app", appBody())).rejects.toThrow("409");
    await cloud.control("DELETE", "platform/faults");
    await cloud.until(id, "3 ready", ({ availableReplicas }) => availableReplicas === 3);
});

it("region-outage: connections are cut and replicas lost, until it is over", async () => {
    const cut = expect(stream(5000)).rejects.toThrow();
    await cloud.until(id, "busy", ({ replicas }) => replicas.some(({ running }) => running === 1));
    await platformFault({ kind: "region-outage", region: "GRA" });
    await cut;
    await expect(cloud.ask(cloud.app(id), "/health", { token })).rejects.toThrow();
    const out = await cloud.until(id, "no replica", ({ availableReplicas }) => availableReplicas === 0);
    expect(out.message).toContain("region GRA is out of order");
    await cloud.control("DELETE", "platform/faults");
    await cloud.until(id, "2 ready", ({ availableReplicas }) => availableReplicas === 2);
    expect((await stream(3)).status).toBe(200);
});

it("region-outage: another region is not concerned", async () => {
    await platformFault({ kind: "region-outage", region: "BHS" });
    expect((await stream(3)).status).toBe(200);
    expect(cloud.app(id).availableReplicas).toBe(2);
});

it("api-outage: OVHcloud's API answers 503 while apps go on; scheduled and for a time", async () => {
    const { body } = await platformFault({ kind: "api-outage", afterSeconds: 0.5, forSeconds: 3 });
    expect(body).toMatchObject([{ kind: "api-outage", state: "scheduled" }]);
    await cloud.api("GET", "/ai/app");
    await expect.poll(() => cloud.cloud.status().faults[0]?.state, { timeout: 20_000 }).toBe("active");
    await expect(cloud.api("GET", "/ai/app")).rejects.toThrow("503");
    expect((await stream(3)).status).toBe(200);
    await expect.poll(() => cloud.cloud.status().faults, { timeout: 20_000 }).toEqual([]);
    await cloud.api("GET", "/ai/app");
});

it("token-revoked: that token opens nothing any more", async () => {
    const { id: other } = await cloud.api("POST", "/ai/token", { name: "o", region: "GRA", role: "ai_training_read" });
    await platformFault({ kind: "token-revoked", token: other });
    expect((await stream(3)).status).toBe(200);
    await platformFault({ kind: "token-revoked" });
    expect((await stream(3)).status).toBe(401);
});

it("refuses what makes no sense, with the field and the fault", async () => {
    const told = async (body: object): Promise<string> => {
        const answer = await cloud.control("POST", `apps/${id}/faults`, body);
        expect(answer.status).toBe(400);
        return answer.body.message as string;
    };
    expect(await told({ kind: "explode" })).toContain("kind");
    expect(await told({ kind: "crash", forSeconds: 3 })).toContain("forSeconds: crash happens once");
    expect(await told({ kind: "hang", factor: 3 })).toContain("factor: hang does not have it");
    expect(await told({ kind: "slow", factor: 0 })).toContain("factor");
    expect(await told({ kind: "crash", repilca: 1 })).toContain("repilca");
    expect(await told({ kind: "crash", replica: 99 })).toBe("replica: the app has no running replica 99; it has 0, 1");
    expect(await told({ kind: "errors", status: 200 })).toContain("status");
    expect(await told({ kind: "errors", rate: 2 })).toContain("rate");
    expect(await told({ kind: "stall", rate: 0.5 })).toContain("rate: stall does not have it");
    expect(await told({ kind: "metrics" })).toBe("metrics: give one at least, NAME=VALUE");
    const metrics = ["vllm:num_requests_waiting=1", "vllm:no=1"];
    expect(await told({ kind: "metrics", metrics })).toMatch(/^vllm:no=1: there is no metric "vllm:no"; there is /);
    await cloud.api("PUT", `/ai/app/${id}/stop`);
    await cloud.until(id, "gone", ({ replicas }) => replicas.length === 0);
    expect(await told({ kind: "crash" })).toBe("replica: the app has no running replica; it has none");
    expect((await cloud.control("POST", "apps/none/faults", { kind: "crash" })).status).toBe(404);
});

it("is a command as well", async () => {
    const api = cloud.cloud.url.replace(/\/v1$/, "");
    const command = async (words: string[], options = {}): Promise<string> =>
        runFaultCommand(api, (await cloud.control("GET", "status")).body as SandboxStatus, words, options);
    expect(await command(["list"])).toBe("no faults");
    expect(await command(["slow"], { factor: "3", for: "600" })).toMatch(/slow x 3 +test-app +all +active/);
    expect(await command(["quota"], { after: "600" })).toMatch(/quota +platform +all +scheduled/);
    expect(await command(["list"])).toMatch(/slow[^]*quota/);
    expect(JSON.parse(await command(["list"], { json: true }))).toMatchObject([{ kind: "slow" }, { kind: "quota" }]);
    expect(await command(["clear"])).toBe("ended: 2");
    const set = ["vllm:num_requests_waiting=50", "vllm:num_preemptions_total=2"];
    expect(await command(["metrics", ...set])).toMatch(
        /metrics vllm:num_requests_waiting=50 vllm:num_preemp\S+=2 +test-app/,
    );
    expect(await command(["errors"], { rate: "0.2", status: "503" })).toMatch(/errors 20 % with status 503 +test-app/);
    await command(["clear"]);
    expect(cloud.cloud.status().faults).toEqual([]);
    expect(await command(["crash"], { app: "test-app", replica: "1" })).toBe("crash: done");
    await expect(command(["crash"], { app: "another" })).rejects.toThrow("no such app");
    await expect(command(["crash"], { replica: "99" })).rejects.toThrow("no running replica 99");
    await expect(command(["slow", "more"])).rejects.toThrow("name one fault");
    await expect(command(["explode"])).rejects.toThrow('no fault "explode": give one of crash, hang, ');
    await expect(command(["slwo"])).rejects.toThrow('no fault "slwo": did you mean "slow"?');
    await expect(command(["metrics", "vllm:no=1"])).rejects.toThrow(/^vllm:no=1: there is no metric "vllm:no"/);
    await expect(command(["slow"], { factor: "much" })).rejects.toThrow("--factor much: give a number");
});

it("tells each change as an event", async () => {
    const answer = await fetch(cloud.cloud.url.replace(/\/v1$/, "/sandbox/events"));
    expect(answer.headers.get("content-type")).toBe("text/event-stream");
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    const next = async (): Promise<SandboxStatus> => {
        while (!text.includes("\n\n")) text += (await reader.read()).value ?? "";
        const [event, ...rest] = text.split("\n\n");
        text = rest.join("\n\n");
        return JSON.parse(event.replace(/^data: /, "")) as SandboxStatus;
    };
    expect((await next()).apps[0]).toMatchObject({ id, availableReplicas: 2 });
    await platformFault({ kind: "quota", afterSeconds: 600 });
    await cloud.control("POST", "speed", { speed: 20 });
    let status = await next();
    while (status.speed !== 20) status = await next();
    expect(status.faults).toMatchObject([{ kind: "quota", state: "scheduled" }]);
    await reader.cancel();
    expect((await cloud.control("POST", "speed", { speed: 0 })).status).toBe(400);
});
