import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { containerCommand } from "../../../src/vllm/command-line";
import { appBody, startTestCloud, type TestCloud } from "./cloud";

let cloud: TestCloud;
afterEach(() => cloud.close());

const image = "vllm/vllm-openai:v0.13.0";
const streams = 200;

/** An app with the program's own command line, behind its gateway, with so many replicas that serve. */
async function appOf(replicas: number): Promise<{ id: string; token: string }> {
    // As for a connection that has been kept, which the default balancing takes for the replica's own.
    cloud = await startTestCloud({ balancing: "round-robin" });
    const server = { model: "Qwen/Qwen3-14B", image, port: 8000, gpus: 1, drain: true, vllm: { extraArgs: [] } };
    const { id } = await cloud.api("POST", "/ai/app", {
        ...appBody({ command: containerCommand(server), image }),
        deploymentStrategy: { terminationGracePeriodSeconds: 120 },
        scalingStrategy: { fixed: { replicas } },
    });
    const { status } = await cloud.api("POST", "/ai/token", { name: "t", region: "GRA", role: "ai_training_read" });
    await cloud.until(id, "all serve", ({ availableReplicas }) => availableReplicas === replicas);
    // Answers that last, without the work of many tokens: some 100 ms each.
    await cloud.control("POST", `apps/${id}/faults`, { kind: "slow", factor: 10 });
    return { id, token: status.value };
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

/** Sends one request after the other, at most 20 ms apart, until `over`. */
async function goOnAsking(id: string, token: string, over: () => boolean): Promise<Promise<string>[]> {
    const sent: Promise<string>[] = [];
    while (!over()) {
        sent.push(stream(id, token, 10));
        await sleep(20);
    }
    return sent;
}

describe("no request is lost", () => {
    it("by a scale-down, those included that the gateway still sends to the replica that goes", async () => {
        const { id, token } = await appOf(2);
        // So that the gateway takes half a second to learn of it.
        await cloud.control("POST", "speed", { speed: 4 });
        const underWay = Array.from({ length: streams }, () => stream(id, token, 100));
        await cloud.until(id, "both busy", ({ replicas }) =>
            replicas.every(({ running }) => running >= 0.45 * streams),
        );
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
        const underWay = Array.from({ length: streams }, () => stream(id, token, 100));
        await cloud.until(id, "busy", ({ replicas }) => replicas[0].running >= 0.9 * streams);
        await cloud.api("PUT", `/ai/app/${id}`, { url: `${image}-next` });
        const isNew = (): boolean => {
            const { replicas } = cloud.app(id);
            return replicas.length === 1 && replicas[0].index > 0 && replicas[0].ready;
        };
        const late = await goOnAsking(id, token, isNew);
        expect(await counted(underWay)).toEqual({ whole: streams });
        expect(await counted(late)).toEqual({ whole: late.length });
    });

    it("by a stop, which is over when all is answered", async () => {
        const { id, token } = await appOf(1);
        const underWay = Array.from({ length: 20 }, () => stream(id, token, 30));
        await cloud.until(id, "busy", ({ replicas }) => replicas[0].running === 20);
        await cloud.api("PUT", `/ai/app/${id}/stop`);
        expect(await counted(underWay)).toEqual({ whole: 20 });
        const stopped = await cloud.until(id, "stopped", ({ state }) => state === "STOPPED");
        expect(stopped.replicas).toEqual([]);
    });
});
