import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { askModel, figures } from "../../../tools/chat/chat";
import { Connector } from "../../../tools/loadtest";

let server: Server | undefined;
afterEach(() => server?.close().closeAllConnections());

/** Asks a server that answers so. */
async function ask(answer: (response: ServerResponse, body: any) => void, signal?: AbortSignal) {
    server = createServer((request, response) => {
        let text = "";
        request.on("data", (part: Buffer) => (text += part.toString()));
        request.on("end", () => answer(response, JSON.parse(text)));
    });
    await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const connector = new Connector({ baseUrl: `http://127.0.0.1:${port}/v1`, token: "made-up-token" });
    const pieces: string[] = [];
    const turn = await askModel(connector, [{ role: "user", content: "hello" }], {
        model: "a-model",
        maxTokens: 9,
        onText: (piece) => pieces.push(piece),
        signal,
    });
    return { turn, pieces };
}

const event = (data: object | string): string => `data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;
const piece = (content: string, finish_reason?: string): string =>
    event({ choices: [{ delta: { content }, finish_reason }] });
const stream = (response: ServerResponse): ServerResponse =>
    response.writeHead(200, { "content-type": "text/event-stream" });

describe("an answer of the model", () => {
    it("comes piece by piece, with its figures as the server counts them", async () => {
        const { turn, pieces } = await ask((response, body) => {
            expect(body).toMatchObject({ model: "a-model", max_tokens: 9, stream: true });
            const usage = event({ choices: [], usage: { prompt_tokens: 4, completion_tokens: 7 } });
            stream(response).end(piece("Hel") + piece("lo é", "stop") + usage + event("[DONE]"));
        });
        expect(pieces).toEqual(["Hel", "lo é"]);
        expect(turn).toMatchObject({ text: "Hello é", promptTokens: 4, outputTokens: 7, finishReason: "stop" });
        expect(figures({ ...turn, firstTokenSeconds: 0.5, seconds: 2.5 })).toBe(
            "4 tokens in, 7 out, first token after 0.50 s, 3.0 tokens/s, 2.5 s in all",
        );
    });

    it.each<[number, RegExp]>([
        [401, /^401: the token is missing, wrong or revoked: pulumi refresh/],
        [403, /does not open this app/],
        [503, /asleep or is stopped/],
        [418, /^418: the server refuses/],
    ])("refused with %i: says what to do, without the token", async (status, words) => {
        const asked = ask((response) => response.writeHead(status).end("no made-up-token here"));
        await expect(asked).rejects.toThrow(words);
        await expect(asked).rejects.not.toThrow(/made-up-token/);
    });

    it("may begin with reasoning, whichever name it has, and unreadable events end it", async () => {
        const said = await ask((response) => {
            const delta = (value: object): string => event({ choices: [{ delta: value }] });
            const parts = [
                delta({ reasoning_content: "Hm" }),
                delta({ reasoning: "m. ", content: null }),
                piece("Hello"),
            ];
            stream(response).end(parts.join("") + event("[DONE]"));
        });
        expect(said.pieces).toEqual(["Hm", "m. ", "Hello"]);
        const broken = ask((response) => stream(response).end(event("{") + event("[DONE]")));
        await expect(broken).rejects.toThrow(/broke off: it sent what is no JSON: \{/);
    });

    it("that breaks off is no answer", async () => {
        await expect(ask((response) => stream(response).end(piece("Hel")))).rejects.toThrow(/broke off before its end/);
        await expect(ask((response) => response.destroy())).rejects.toThrow(/does not answer/);
        const broken = ask((response) => stream(response).end(event({ error: { message: "out of memory" } })));
        await expect(broken).rejects.toThrow(/the server broke off: out of memory/);
    });

    it("is ended by its reader, who keeps what came", async () => {
        const stop = new AbortController();
        const { turn } = await ask((response) => {
            stream(response).write(piece("Hel"));
            setTimeout(() => stop.abort(), 200);
        }, stop.signal);
        expect(turn).toMatchObject({ text: "Hel", finishReason: "stopped by you" });
    });
});
