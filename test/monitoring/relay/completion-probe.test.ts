import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { CompletionProbe } from "../../../src/monitoring/relay/completion-probe";
import { relayServer } from "../../../src/monitoring/relay/relay";

let servers: Server[] = [];
afterEach(() => {
    for (const server of servers) server.close().closeAllConnections();
    servers = [];
});

async function listen(server: Server): Promise<string> {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const completion = JSON.stringify({ choices: [{ message: { content: "H" } }], usage: { completion_tokens: 1 } });

/** What an app answers a completion with; nothing: it hangs. */
type Behaviour = { status: number; body: string } | undefined;

async function app(behaviour: () => Behaviour, requests: object[] = []): Promise<string> {
    return listen(
        createServer((request, response) => {
            let text = "";
            request.on("data", (part: Buffer) => (text += part.toString()));
            request.on("end", () => {
                requests.push({ path: request.url, token: request.headers.authorization, ...JSON.parse(text || "{}") });
                const answer = behaviour();
                if (answer) response.writeHead(answer.status).end(answer.body);
            });
        }),
    );
}

const config = { model: "a-model", interval: 45, timeout: 5 };
/** For an app that hangs. */
const impatient = { ...config, timeout: 0.2 };

describe("a completion of one token", () => {
    it("is a real one: of the model, with the token, one token long", async () => {
        const requests: object[] = [];
        const probe = new CompletionProbe(
            await app(() => ({ status: 200, body: completion }), requests),
            config,
            () => "a-token",
            () => undefined,
        );
        await probe.look();
        expect(probe.last).toMatchObject({ result: "ok" });
        expect(requests).toMatchObject([
            { path: "/v1/chat/completions", token: "Bearer a-token", model: "a-model", max_tokens: 1 },
        ]);
    });

    it.each<[string, Behaviour, string]>([
        ["an engine that hangs", undefined, "timeout"],
        ["a failure", { status: 500, body: "" }, "error"],
        ["no replica", { status: 503, body: "" }, "error"],
        ["a page of something else", { status: 200, body: "<html>" }, "error"],
        ["an answer without a token", { status: 200, body: '{"usage":{"completion_tokens":0}}' }, "error"],
        ["a refused token", { status: 401, body: "" }, "refused"],
    ])("%s", async (_, behaviour, result) => {
        const lines: string[] = [];
        const probe = new CompletionProbe(
            await app(() => behaviour),
            behaviour ? config : impatient,
            () => "a-token",
            (line) => lines.push(line),
        );
        await probe.look();
        await probe.look();
        expect(probe.last?.result).toBe(result);
        expect(probe.totals).toMatchObject({ ok: 0, [result]: 2 });
        expect(lines).toHaveLength(1); // once, not each time
    });

    it("and nobody listening", async () => {
        const probe = new CompletionProbe(
            "http://127.0.0.1:9",
            config,
            () => "a-token",
            () => undefined,
        );
        await probe.look();
        expect(probe.last?.result).toBe("error");
    });
});

describe("the relay's own page", () => {
    async function page(behaviour: Behaviour, completions: typeof config | undefined): Promise<string> {
        const url = await app(() => behaviour);
        const relay = await listen(
            relayServer(
                { url, interval: 15, replicas: { min: 1, max: 2 }, completions },
                () => "a-token",
                () => undefined,
            ),
        );
        for (;;) {
            const text = await (await fetch(`${relay}/metrics`)).text();
            if (!completions || /completions_total\{result="\w+"\} [1-9]/.test(text)) return text;
        }
    }

    it("tells success and time", async () => {
        const text = await page({ status: 200, body: completion }, config);
        expect(text).toContain("vllm_relay_completion_success 1\n");
        expect(text).toMatch(/^vllm_relay_completion_duration_seconds 0\.\d+$/m);
    });

    it("tells that it hangs", async () => {
        expect(await page(undefined, impatient)).toContain("vllm_relay_completion_success 0\n");
    });

    it("says nothing of the engine while the token is refused, nor where no completion is asked for", async () => {
        expect(await page({ status: 401, body: "" }, config)).not.toContain("vllm_relay_completion_success");
        expect(await page({ status: 200, body: completion }, undefined)).not.toContain("vllm_relay_completion");
    });
});
