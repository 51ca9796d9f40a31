import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { containerCommand } from "../../../src/vllm/command-line";
import { fastProfile } from "../vllm/replica";
import { appBody, startTestCloud, type TestCloud } from "./cloud";

let cloud: TestCloud;
afterEach(() => cloud.close());

/** Answers that last, without the work of many tokens: some 100 ms each. */
const slow = { ...fastProfile, step: { ...fastProfile.step, base: 0.1 } };
const image = "vllm/vllm-openai:v0.13.0";
const streams = 200;

/** An app with the program's own command line, behind its gateway, with so many replicas that serve. */
async function appOf(replicas: number, strategy: object = {}): Promise<{ id: string; token: string }> {
    cloud = await startTestCloud({ balancing: "round-robin", profiles: [slow] });
    const server = { model: "Qwen/Qwen3-14B", image, port: 8000, gpus: 1, drain: true, vllm: { extraArgs: [] } };
    const { id } = await cloud.api("POST", "/ai/app", {
        ...appBody({ command: containerCommand(server), image }),
        deploymentStrategy: { terminationGracePeriodSeconds: 120, ...strategy },
        scalingStrategy: { fixed: { replicas } },
    });
    const { status } = await cloud.api("POST", "/ai/token", { name: "t", region: "GRA", role: "ai_training_read" });
    await cloud.until(id, "all serve", ({ availableReplicas }) => availableReplicas === replicas);
    return { id, token: status.value };
}

/** Begins so many streams, of which the first token comes once all of them are under way. */
async function beginStreams(id: string, token: string, count: number): Promise<Promise<string>[]> {
    await cloud.control("POST", `apps/${id}/faults`, { kind: "stall" });
    const begun = Array.from({ length: count }, () => stream(id, token, 100));
    // As the gateway counts: the gauges of an engine that makes no step stay as they were.
    const underWay = (): number => cloud.app(id).replicas.reduce((sum, { requests }) => sum + requests, 0);
    await cloud.until(id, "all under way", () => underWay() === count);
    await cloud.control("DELETE", `apps/${id}/faults`);
    return begun;
}

/** How the streams ended: "whole", or what was wrong, each with its number. */
type Ends = Record<string, number>;

async function stream(id: string, token: string, tokens: number): Promise<string> {
    const messages = [{ role: "user", content: "hello" }];
    const body = { model: "Qwen/Qwen3-14B", messages, max_tokens: tokens, ignore_eos: true, stream: true };
    const answer = await cloud.ask(cloud.app(id), "/v1/chat/completions", { token, body });
    if (answer.status !== 200) return `status ${answer.status}`;
    return answer.body.trimEnd().endsWith("data: [DONE]") ? "whole" : "cut";
}

const counted = async (all: Promise<string>[]): Promise<Ends> => {
    const ends: Ends = {};
    for (const end of await Promise.all(all.map((one) => one.catch((error: Error) => error.message)))) {
        ends[end] = (ends[end] ?? 0) + 1;
    }
    return ends;
};

/** Sends one request after the other, 100 ms apart, until `over`. */
async function goOnAsking(id: string, token: string, over: () => boolean): Promise<Promise<string>[]> {
    const sent: Promise<string>[] = [];
    while (!over()) {
        sent.push(stream(id, token, 10));
        await sleep(100);
    }
    return sent;
}

describe("no request is lost", () => {
    it("by a scale-down, those included that the gateway still sends to the replica that goes", async () => {
        const { id, token } = await appOf(2);
        // So that the gateway takes a second to learn of it.
        await cloud.control("POST", "speed", { speed: 2 });
        const underWay = await beginStreams(id, token, streams);
        expect(cloud.app(id).replicas.map(({ requests }) => requests)).toEqual([streams / 2, streams / 2]);
        await cloud.api("PUT", `/ai/app/${id}/scalingstrategy`, { fixed: { replicas: 1 } });
        const goes = (): boolean => cloud.app(id).replicas.some(({ phase }) => phase === "draining");
        await cloud.until(id, "one goes", goes);
        const late = await goOnAsking(id, token, () => !goes());
        expect(await counted(underWay)).toEqual({ whole: streams });
        expect(late.length).toBeGreaterThan(10);
        expect(await counted(late)).toEqual({ whole: late.length });
        expect(cloud.app(id).replicas).toHaveLength(1);
    });

    it("by the rollout of an image", async () => {
        const { id, token } = await appOf(1);
        await cloud.control("POST", "speed", { speed: 300 });
        const underWay = await beginStreams(id, token, streams);
        await cloud.api("PUT", `/ai/app/${id}`, { url: `${image}-next` });
        const isNew = (): boolean => {
            const { replicas } = cloud.app(id);
            return replicas.length === 1 && replicas[0].index > 0 && replicas[0].ready;
        };
        const late = await goOnAsking(id, token, isNew);
        expect(await counted(underWay)).toEqual({ whole: streams });
        expect(await counted(late)).toEqual({ whole: late.length });
    });

    it.each<[string, object, { most: number; fewest: number }]>([
        // Of 3 replicas a quarter is 1 rounded up, and 0 rounded down.
        ["the platform's default", {}, { most: 4, fewest: 3 }],
        ["none more at a time, two fewer", { maxSurge: "0", maxUnavailable: "2" }, { most: 3, fewest: 1 }],
        ["all of them beside the old ones", { maxSurge: "100%", maxUnavailable: "0" }, { most: 6, fewest: 3 }],
    ])("rolls over three replicas by its strategy: %s", async (_, strategy, bounds) => {
        const { id } = await appOf(3, strategy);
        await cloud.api("PUT", `/ai/app/${id}`, { url: `${image}-next` });
        const seen = { most: 0, fewest: Infinity };
        await cloud.until(id, "rolled over", ({ replicas, availableReplicas }) => {
            const staying = replicas.filter(({ phase }) => phase !== "draining" && phase !== "ended");
            seen.most = Math.max(seen.most, staying.length);
            seen.fewest = Math.min(seen.fewest, availableReplicas);
            return replicas.length === 3 && replicas.every(({ index, ready }) => index > 2 && ready);
        });
        expect(seen).toEqual(bounds);
    });

    it("by a stop, which is over when all is answered", async () => {
        const { id, token } = await appOf(1);
        const underWay = await beginStreams(id, token, 20);
        await cloud.api("PUT", `/ai/app/${id}/stop`);
        expect(await counted(underWay)).toEqual({ whole: 20 });
        const stopped = await cloud.until(id, "stopped", ({ state }) => state === "STOPPED");
        expect(stopped.replicas).toEqual([]);
    });
});
